"""Keeping channels, people and chats in one JSON file between runs."""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import msgspec

from line_simulator.state import (
    PARTS,
    AccessToken,
    Channel,
    Chat,
    Friendship,
    PersonRecord,
    Said,
    Sending,
    Via,
    World,
)

_FORMAT: Final = 2
_PERIOD_SECONDS: Final = 3.0
_CHAT_FIELDS: Final = ("since", "ever_friend", "ever_blocked", "last_said_at", "seen")


class Snapshot:
    """Writes the world to `folder`/linesim.json every few seconds when it changed, and when stopped."""

    def __init__(self, world: World, folder: Path) -> None:
        self._world = world
        self._file = folder / "linesim.json"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="linesim-snapshot", daemon=True)
        self._last = b""
        self._saved: object = None

    def load(self) -> None:
        """Fill the world from the file, if there is one. Raises ValueError for a file of another format."""
        if not self._file.exists():
            return
        content = json.loads(self._file.read_bytes())
        if content.get("format") != _FORMAT:
            raise ValueError(f"{self._file} was written by another version; delete it to start anew.")
        with self._world.lock:
            restore(self._world, content)

    def save(self) -> None:
        """Write the file if anything changed since the last time."""
        with self._world.lock:
            # Only the copying holds up the callers; a large world takes seconds to become text.
            plain = describe(self._world)
        content = json.dumps(plain, ensure_ascii=False).encode("utf-8", "surrogatepass")
        if content == self._last:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._file.with_suffix(".tmp")
        draft.write_bytes(content)
        os.replace(draft, self._file)
        self._last = content

    def start(self) -> None:
        """Begin to save from time to time."""
        self._thread.start()

    def stop(self) -> None:
        """Save a last time."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        self.save()

    def _run(self) -> None:
        period = _PERIOD_SECONDS
        while not self._stop.wait(period):
            mark = self._mark()
            if mark == self._saved:
                continue
            started = time.monotonic()
            self.save()
            self._saved = mark
            # A large world is saved less often, so that saving takes at most a tenth of the time.
            period = max(_PERIOD_SECONDS, 10 * (time.monotonic() - started))

    def _mark(self) -> object:
        """Return something small that differs whenever there may be something new to save."""
        state = self._world.state
        channels = [(one.name, one.webhook_url, one.webhook_active, one.redelivery) for one in state.channels.values()]
        return (state.sequence, len(state.people), len(state.tokens), channels)


def describe(world: World) -> dict[str, Any]:
    """Return the lasting part of the world as JSON values; each sending appears once, however many received it."""
    state = world.state
    sendings: dict[int, Sending] = {one.sequence: one for one in state.retries.values()}
    channels = []
    for channel in state.channels.values():
        plain = {f.name: getattr(channel, f.name) for f in fields(Channel) if f.name != "chats"}
        plain["chats"] = {user_id: _describe_chat(chat, sendings) for user_id, chat in channel.chats.items()}
        channels.append(plain)
    return {
        "format": _FORMAT,
        "clock": world.clock.time(),
        "sequence": state.sequence,
        "last_message": world.ids.last_message,
        "person_count": state.person_count,
        "people": [asdict(person) for person in state.people.values()],
        "channels": channels,
        "sendings": [
            {**asdict(one), "body": one.body.decode("utf-8", "surrogatepass")}
            for one in sorted(sendings.values(), key=lambda one: one.sequence)
        ],
        "parts": {
            name: msgspec.to_builtins(state.parts[kind], str_keys=True) for name, kind in PARTS.items() if kind in state.parts
        },
        "tokens": {value: asdict(token) for value, token in state.tokens.items()},
    }


def _describe_chat(chat: Chat, sendings: dict[int, Sending]) -> dict[str, Any]:
    for sending in chat.inbox or ():
        sendings[sending.sequence] = sending
    return {
        "status": chat.status,
        **{name: getattr(chat, name) for name in _CHAT_FIELDS},
        "history": list(chat.history),
        "inbox": [sending.sequence for sending in chat.inbox or ()],
        "said": [asdict(said) for said in chat.said or ()],
    }


def restore(world: World, content: dict[str, Any]) -> None:
    """Fill an empty world with what `describe` returned."""
    state = world.state
    kept = content.get("clock", 0.0)
    if kept > world.clock.time():
        # A clock that was turned stays ahead: nothing that is kept may lie in its future.
        world.clock.set(kept)
    state.sequence, state.person_count = content["sequence"], content["person_count"]
    world.ids.skip_messages_past(content.get("last_message", 0))
    for plain in content["people"]:
        person = PersonRecord(**plain)
        state.people[person.id] = state.names[person.name] = person
        for provider, user_id in person.user_ids.items():
            state.owners[user_id] = (provider, person)
    sendings = {plain["sequence"]: _sending(plain) for plain in content["sendings"]}
    for sending in sendings.values():
        world.ids.skip_messages_past(sending.first_id + sending.count)
        if sending.retry_key is not None:
            state.retries[(sending.channel_id, f"{sending.via}/{sending.retry_key}")] = sending
    for plain in content["channels"]:
        chats = {user_id: _chat(chat, sendings) for user_id, chat in plain.pop("chats").items()}
        channel = Channel(**plain, chats=chats)
        state.channels[channel.id] = channel
        for chat in chats.values():
            for said in chat.said or ():
                world.ids.skip_messages_past(int(said.id) + 1)
    for name, plain in content["parts"].items():
        if name in PARTS:
            state.parts[PARTS[name]] = msgspec.convert(plain, PARTS[name], strict=False)
    for value, token in content["tokens"].items():
        state.tokens[value] = AccessToken(**token)


def _sending(plain: dict[str, Any]) -> Sending:
    body = plain["body"].encode("utf-8", "surrogatepass")
    return Sending(**{**plain, "body": body, "via": Via(plain["via"])})


def _chat(plain: dict[str, Any], sendings: dict[int, Sending]) -> Chat:
    return Chat(
        status=Friendship(plain["status"]),
        history=tuple((at, Friendship(status)) for at, status in plain["history"]),
        inbox=[sendings[number] for number in plain["inbox"]] or None,
        said=[Said(**said) for said in plain["said"]] or None,
        **{name: plain[name] for name in _CHAT_FIELDS},
    )

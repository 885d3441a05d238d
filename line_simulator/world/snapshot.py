"""Keeping the world in one JSON file between runs."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from line_simulator.exchange import SimulatorError
from line_simulator.webhooks.webhooks import Delivery, Webhooks, restore_delivery
from line_simulator.world.clock import LATEST
from line_simulator.world.state import (
    PARTS,
    AccessToken,
    Channel,
    Chat,
    Content,
    Friendship,
    LinkToken,
    PersonRecord,
    ReplyToken,
    Said,
    Sending,
    State,
    Via,
    World,
)

try:
    import fcntl
except ImportError:  # only where there are no such locks
    fcntl = None  # type: ignore[assignment]

_FORMAT: Final = 2
_PERIOD_SECONDS: Final = 3.0
_CHUNK: Final = 2000
_CHAT_FIELDS: Final = ("since", "ever_friend", "ever_blocked", "last_said_at", "seen")
_CHANNEL_FIELDS: Final = tuple(one.name for one in fields(Channel) if one.name != "chats")
_SENDING_FIELDS: Final = tuple(one.name for one in fields(Sending) if one.name != "body")


class Snapshot:
    """Writes the world to `folder`/linesim.json every few seconds when it may have changed, and when stopped.

    Kept: everything in World.state, the parts of the areas, the clock, and webhooks on their way.
    Not kept: faults, limits, settings, the journal and the log of webhooks.
    """

    def __init__(self, world: World, folder: Path, webhooks: Webhooks) -> None:
        self._world = world
        self._webhooks = webhooks
        self._file = folder / "linesim.json"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="linesim-snapshot", daemon=True)
        self._saved: object = None
        self._runs = 1
        self._claim: BinaryIO | None = None
        self._is_loaded = False

    def load(self) -> list[Delivery]:
        """Fill the world from the file, if there is one; returns the webhooks that were on their way.

        Raises ValueError for a file that cannot be understood, SimulatorError while another simulator uses the folder.
        """
        self._claim_folder()
        try:
            content = json.loads(self._file.read_bytes()) if self._file.exists() else None
            waiting = [] if content is None else self._fill(content)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
            self._world.state = State()
            self._release()
            raise ValueError(f"{self._file} was written by another version, or is damaged; delete it to start anew.") from None
        self._is_loaded = True
        return waiting

    def save(self) -> None:
        """Write the file. Raises OSError when that fails; what was written before stays."""
        with self._world.lock:
            # Only the copying holds up the callers; a large world takes seconds to become text.
            plain, sendings = describe(self._world)
            plain["runs"] = self._runs
            plain["webhooks"] = [msgspec.to_builtins(one) for one in self._webhooks.waiting()]
        draft = self._file.with_suffix(".tmp")
        with draft.open("wb") as file:
            for piece in _text(plain, sendings):
                file.write(piece)
        os.replace(draft, self._file)

    def start(self) -> None:
        """Begin to save from time to time."""
        self._thread.start()

    def stop(self) -> None:
        """Save a last time, if the world was loaded: otherwise it is not what is kept."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        if self._is_loaded:
            self._is_loaded = False
            self._save_or_tell()
            self._release()

    def _fill(self, content: dict[str, Any]) -> list[Delivery]:
        if content["format"] != _FORMAT:
            raise ValueError("another format")
        with self._world.lock:
            restore(self._world, content)
            waiting = [restore_delivery(plain) for plain in content.get("webhooks", [])]
        self._runs = content.get("runs", 1) + 1
        self._world.ids.reseed(self._runs)
        return waiting

    def _claim_folder(self) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        claim = self._file.with_name(".linesim-lock").open("ab")
        try:
            if fcntl is not None:
                fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            claim.close()
            raise SimulatorError(f"another simulator uses the folder {self._file.parent}.", 409) from None
        self._claim = claim

    def _release(self) -> None:
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def _run(self) -> None:
        period = _PERIOD_SECONDS
        while not self._stop.wait(period):
            mark = self._mark()
            if mark == self._saved:
                continue
            started = time.monotonic()
            if self._save_or_tell():
                self._saved = mark
            # A large world is saved less often, so that saving takes at most a tenth of the time.
            period = max(_PERIOD_SECONDS, 10 * (time.monotonic() - started))

    def _save_or_tell(self) -> bool:
        try:
            self.save()
        except OSError as error:
            print(f"line_simulator: {self._file} を保存できません / cannot be written: {error.strerror}", file=sys.stderr)
            return False
        return True

    def _mark(self) -> object:
        """Return something small that differs whenever there may be something new to save."""
        world, state = self._world, self._world.state
        channels = [tuple(getattr(one, name) for name in _CHANNEL_FIELDS if name not in _COUNTS) for one in state.channels.values()]
        counts = (state.sequence, len(state.people), len(state.tokens), world.asked, world.due.done)
        return (id(state), counts, self._webhooks.total, self._webhooks.pending, world.clock.anchor, channels)


_COUNTS: Final = ("used", "reserved", "sent")


def describe(world: World) -> tuple[dict[str, Any], list[Sending]]:
    """Return the lasting part of the world, and every send call once, however many received it.

    The first is ready to become JSON and shares nothing that changes later. The caller holds the world's lock.
    """
    state = world.state
    sendings: dict[int, Sending] = {one.sequence: one for one in state.retries.values()}
    channels = []
    for channel in state.channels.values():
        plain = {name: getattr(channel, name) for name in _CHANNEL_FIELDS}
        plain["chats"] = {user_id: _describe_chat(chat, sendings) for user_id, chat in channel.chats.items()}
        channels.append(plain)
    clock = {"virtual": world.clock.time(), "real": time.time(), "scale": world.clock.scale}
    others = {"tokens": state.tokens, "reply_tokens": state.reply_tokens, "link_tokens": state.link_tokens}
    return {
        "format": _FORMAT,
        "sequence": state.sequence,
        "last_message": world.ids.last_message,
        "person_count": state.person_count,
        "clock": clock,
        "people": _encoded(list(state.people.values())),
        "channels": _encoded(channels),
        "parts": {name: _encoded(state.parts[kind]) for name, kind in PARTS.items() if kind in state.parts},
        "read_tokens": dict(state.read_tokens),
        "contents": _encoded(state.contents),
        **{name: _encoded(value) for name, value in others.items()},
    }, sorted(sendings.values(), key=lambda one: one.sequence)


def _describe_chat(chat: Chat, sendings: dict[int, Sending]) -> dict[str, Any]:
    numbers = []
    for sending in chat.inbox or ():
        sendings[sending.sequence] = sending
        numbers.append(sending.sequence)
    plain = {name: getattr(chat, name) for name in _CHAT_FIELDS}
    plain |= {"status": chat.status, "history": chat.history, "inbox": numbers, "said": chat.said or ()}
    return plain


def _encoded(value: Any) -> msgspec.Raw:
    try:
        return msgspec.Raw(msgspec.json.encode(value))
    except UnicodeEncodeError:
        # Somebody is called or said half a character; only escaped can it be written.
        return msgspec.Raw(json.dumps(msgspec.to_builtins(value, str_keys=True)).encode("ascii"))


def _text(plain: dict[str, Any], sendings: list[Sending]) -> Iterator[bytes]:
    """Yield the file, the send calls in pieces, so that others may run in between."""
    yield bytes(_encoded(plain))[:-1]
    yield b',"sendings":['
    comma = b""
    for start in range(0, len(sendings), _CHUNK):
        chunk = sendings[start : start + _CHUNK]
        rows = [{**{name: getattr(one, name) for name in _SENDING_FIELDS}, "body": one.body.decode()} for one in chunk]
        yield comma + bytes(_encoded(rows))[1:-1]
        comma = b","
    yield b"]}"


def restore(world: World, content: dict[str, Any]) -> None:
    """Fill an empty world with what `describe` returned and JSON kept."""
    state = world.state
    state.sequence, state.person_count = content["sequence"], content["person_count"]
    world.ids.skip_messages_past(content["last_message"])
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
    _restore_tokens(state, content)
    _restore_clock(world, content.get("clock"))


def _restore_tokens(state: State, content: dict[str, Any]) -> None:
    state.tokens = msgspec.convert(content["tokens"], dict[str, AccessToken], strict=False)
    # What follows was not kept at first.
    state.reply_tokens = msgspec.convert(content.get("reply_tokens", {}), dict[str, ReplyToken], strict=False)
    state.link_tokens = msgspec.convert(content.get("link_tokens", {}), dict[str, LinkToken], strict=False)
    state.contents = msgspec.convert(content.get("contents", {}), dict[str, Content], strict=False)
    state.read_tokens = dict(content.get("read_tokens", {}))


def _restore_clock(world: World, kept: dict[str, float] | float | None) -> None:
    """Let time go on from where it was. While nobody ran, it passed as it does on this machine, however fast it was set.

    A clock that lives in a file went on there; it is only kept from standing before what is remembered.
    """
    if not isinstance(kept, dict):
        # Not kept at first, then as a plain number.
        kept = {"virtual": kept or 0.0, "real": time.time()}
    passed = 0.0 if world.clock.shared else max(0.0, time.time() - kept["real"])
    moment = min(kept["virtual"] + passed, LATEST)
    if moment > world.clock.time():
        world.clock.set(moment)


def _sending(plain: dict[str, Any]) -> Sending:
    return Sending(**{**plain, "body": plain["body"].encode("utf-8", "surrogatepass"), "via": Via(plain["via"])})


def _chat(plain: dict[str, Any], sendings: dict[int, Sending]) -> Chat:
    return Chat(
        status=Friendship(plain["status"]),
        history=tuple((at, Friendship(status)) for at, status in plain["history"]),
        inbox=[sendings[number] for number in plain["inbox"]] or None,
        said=[Said(**said) for said in plain["said"]] or None,
        **{name: plain[name] for name in _CHAT_FIELDS},
    )

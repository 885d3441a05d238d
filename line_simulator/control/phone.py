"""What the phone page asks for, under /_sim/: chats with their marks, the list of chats, and news as soon as there are any."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from line_simulator.control.describe import describe_message, instant
from line_simulator.control.group_views import group_chat, group_talks
from line_simulator.control.values import Answer, Verb, need, need_text
from line_simulator.exchange import SimulatorError
from line_simulator.world import activity, screens
from line_simulator.world.state import Channel, Chat, JsonObject, PersonRecord, unpack

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator

_LINES: Final = 100
_WAIT_MAX_SECONDS: Final = 25.0
_LOOK_EVERY_SECONDS: Final = 0.05


class Phoning:
    """Answers for screens."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line

    def routes(self) -> dict[tuple[str, str], Answer]:
        """Return the answers by method and path."""
        return {
            ("GET", "/_sim/chats"): self._chat,
            ("GET", "/_sim/talks"): self._talks,
            ("GET", "/_sim/version"): self._version,
            ("POST", "/_sim/webhooks/test"): self._test_webhook,
        }

    def verbs(self) -> dict[str, Verb]:
        """Return what a person does with the screen."""
        return {"play": self._play, "read": self._read}

    def _chat(self, _: JsonObject, query: dict[str, str]) -> Any:
        """Both sides of one chat, in order: {"status", "userId", "lines", "unread", "loading": seconds}.

        With ?group= instead of ?channel=, what ?person= sees of a group chat or room; see group_views.group_chat.
        """
        world = self._line.world
        with world.lock:
            person = world.person(need(query, "person"))
            if "group" in query:
                return group_chat(world, self._line.group_chats.find(query["group"]), person)
            channel = world.channel(need(query, "channel"))
            user_id = person.user_ids.get(channel.provider, "")
            chat = channel.chats.get(user_id) or Chat()
            lines: list[tuple[int, JsonObject]] = []
            for sending in (chat.inbox or ())[-_LINES:]:
                pack = [describe_message(one) for one in unpack(sending, user_id)]
                lines += [(sending.sequence, {"from": "account", **one}) for one in pack]
            for said in (chat.said or ())[-_LINES:]:
                read = screens.is_read(world, channel, user_id, said)
                line = {"from": "person", "id": said.id, "message": said.message, "at": instant(said.at), "read": read}
                lines.append((said.sequence, {**line, "note": said.note}))
            lines.sort(key=lambda line: line[0])
            return {
                "status": chat.status,
                "userId": user_id,
                "lines": [line for _, line in lines],
                "unread": _unread(chat),
                "loading": screens.loading_seconds(world, channel, user_id),
            }

    def _talks(self, _: JsonObject, query: dict[str, str]) -> Any:
        """The chats of one person: {"talks": [{"channel", "status", "unread", "last", "at"}]}, and in "groups" their groups and rooms.

        Each group: {"group": id, "name", "room", "pictureUrl", "count", "unread", "last", "by", "at"}.
        """
        world = self._line.world
        with world.lock:
            person = world.person(need(query, "person"))
            channels = list(world.state.channels.values())
            return {"talks": [_talk(person, channel) for channel in channels], "groups": group_talks(world, person)}

    def _version(self, _: JsonObject, query: dict[str, str]) -> Any:
        """A text that changes with everything a screen may show; with ?since=&wait=seconds after it has changed, or when time is up."""
        try:
            wait = min(float(query.get("wait", "0")), _WAIT_MAX_SECONDS)
        except ValueError:
            raise SimulatorError("wait must be a number of seconds.") from None
        until = time.monotonic() + wait
        while (version := self._seen()) == query.get("since") and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_SECONDS)
        return {"version": version}

    def _seen(self) -> str:
        state, hooks = self._line.world.state, self._line.webhook_queue
        counts = (state.sequence, len(state.people), len(state.channels), hooks.total, hooks.pending, self._line.journal.total)
        return ".".join(map(str, counts))

    def _test_webhook(self, body: JsonObject, _: dict[str, str]) -> Any:
        """Send an empty, signed webhook now, as the console's button does: {"status", "reason", "detail", "latencyMs"}."""
        channel = self._line.world.channel(need_text(body, "channel"))
        if not channel.webhook_url:
            raise SimulatorError(f"{channel.name} has no webhook URL.")
        outcome = self._line.webhook_queue.test(channel, channel.webhook_url)
        latency = round(outcome.latency_ms, 1)
        return {"status": outcome.status, "reason": outcome.reason, "detail": outcome.detail, "latencyMs": latency}

    def _play(self, person: PersonRecord, channel: Channel, body: JsonObject) -> None:
        """Note how far a video or sound was played: {"messageId", "percent"}."""
        percent = body.get("percent", 100)
        if isinstance(percent, bool) or not isinstance(percent, int) or not 0 <= percent <= 100:
            raise SimulatorError("percent must be a number from 0 to 100.")
        self._line.people.play(person, channel, need_text(body, "messageId"), percent)

    def _read(self, person: PersonRecord, channel: Channel, _: JsonObject) -> Any:
        """Note that the person sees what came while the chat was open; opening it is the verb look."""
        world = self._line.world
        with world.lock:
            user_id = world.user_id(person, channel.provider)
            chat = channel.chats.get(user_id)
            return {"looked": activity.look(world, chat, user_id) if chat else 0}


def _unread(chat: Chat) -> int:
    return sum(sending.count for sending in (chat.inbox or ())[chat.seen :])


def _talk(person: PersonRecord, channel: Channel) -> JsonObject:
    user_id = person.user_ids.get(channel.provider, "")
    chat = channel.chats.get(user_id) or Chat()
    last, at, sequence = None, 0.0, -1
    if chat.inbox:
        sending = chat.inbox[-1]
        last, at, sequence = sending.messages()[-1], sending.at, sending.sequence
    if chat.said and chat.said[-1].sequence > sequence:
        last, at = chat.said[-1].message, chat.said[-1].at
    return {"channel": channel.id, "status": chat.status, "unread": _unread(chat), "last": last, "at": at}

"""What people did with what they received: looked, tapped, played. Insight is computed from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from line_simulator.world.state import Channel, Chat, JsonObject, Sending, World, part


@dataclass(slots=True)
class Click:
    """A tap on a link of a message; `index` is the message's position in its call."""

    user_id: str
    at: float
    index: int
    url: str


@dataclass(slots=True)
class Play:
    """How far a video or sound of a message was played, in percent."""

    user_id: str
    at: float
    index: int
    percent: int


@dataclass(slots=True)
class SendingActivity:
    """What happened to one accepted send call of `bubbles` messages, sent at `sent_at` (epoch seconds).

    impressions: when each person first saw it. repeats: who saw it again later, and when.
    """

    sent_at: float = 0.0
    bubbles: int = 1
    impressions: dict[str, float] = field(default_factory=dict)
    repeats: list[tuple[str, float]] = field(default_factory=list)
    clicks: list[Click] = field(default_factory=list)
    plays: list[Play] = field(default_factory=list)


@dataclass(slots=True)
class Deeds:
    """How often people saw send calls for the first time, tapped links, and played videos or sounds."""

    looks: int = 0
    taps: int = 0
    plays: int = 0


@part("activity")
@dataclass(slots=True)
class Activity:
    """By the sequence number of the send call. days: by channel id/day in Japan (yyyymmdd)."""

    sendings: dict[int, SendingActivity] = field(default_factory=dict)
    days: dict[str, Deeds] = field(default_factory=dict)

    def today(self, world: World, channel_id: str) -> Deeds:
        """Return what people did with what this channel sent, on this day in Japan."""
        return self.days.setdefault(f"{channel_id}/{world.tokyo():%Y%m%d}", Deeds())

    def of(self, sending: Sending) -> SendingActivity:
        """Return the activity on a send call, begun if need be."""
        found = self.sendings.get(sending.sequence)
        if found is None:
            found = self.sendings[sending.sequence] = SendingActivity(sending.at, sending.count)
        return found


def look(world: World, chat: Chat, user_id: str) -> int:
    """Open a chat: everything in it that was not seen yet is seen now. Returns how many send calls that are."""
    inbox = chat.inbox or []
    fresh = inbox[chat.seen :]
    chat.seen = len(inbox)
    activity, now = world.part(Activity), world.clock.time()
    for sending in fresh:
        activity.of(sending).impressions.setdefault(user_id, now)
    if fresh:
        activity.today(world, fresh[0].channel_id).looks += len(fresh)
    return len(fresh)


def enter(world: World, chat: Chat, user_id: str) -> int:
    """Open a chat as `look` does; if nothing is new, the newest message is seen again.

    Coming back to the chat counts as another impression (documentation, Measure impressions); how far up the person
    scrolls is nobody's knowledge, so only the newest counts.
    """
    fresh = look(world, chat, user_id)
    if not fresh and chat.inbox:
        world.part(Activity).of(chat.inbox[-1]).repeats.append((user_id, world.clock.time()))
    return fresh


def click(world: World, channel: Channel, user_id: str, message_id: str, url: str) -> None:
    """Note a tap on a link of a received message; an unknown message is nobody's."""
    for sending, index in _located(channel, user_id, message_id):
        world.part(Activity).of(sending).clicks.append(Click(user_id, world.clock.time(), index, url))
        world.part(Activity).today(world, channel.id).taps += 1


def play(world: World, channel: Channel, user_id: str, message_id: str, percent: int) -> None:
    """Note how far a received video or sound was played."""
    for sending, index in _located(channel, user_id, message_id):
        world.part(Activity).of(sending).plays.append(Play(user_id, world.clock.time(), index, percent))
        world.part(Activity).today(world, channel.id).plays += 1


def video_messages(sending: Sending, tracking_id: str) -> Iterator[tuple[int, JsonObject]]:
    """Yield position and content of the videos of a send call that carry this trackingId."""
    for index, message in enumerate(sending.messages()):
        if message.get("type") == "video" and message.get("trackingId") == tracking_id:
            yield index, message


def _located(channel: Channel, user_id: str, message_id: str) -> Iterator[tuple[Sending, int]]:
    chat = channel.chats.get(user_id)
    if chat is None or not message_id.isdigit():
        return
    for sending in chat.inbox or ():
        index = int(message_id) - sending.first_id
        if 0 <= index < sending.count:
            yield sending, index

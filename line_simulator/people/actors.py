"""Crowds with habits: they follow, look, tap, answer, block and come back by themselves, at virtual instants."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from line_simulator.exchange import SimulatorError
from line_simulator.people.habits import (
    LONGEST_SECONDS,
    SETTLED_SECONDS,
    TOKYO_OFFSET_SECONDS,
    Deed,
    Habits,
    Seen,
    awake,
    chances,
    choose,
    read_habits,
    seen,
    timeline,
)
from line_simulator.people.person import Person, actions_of
from line_simulator.world.rich_menu_book import menu_of
from line_simulator.world.state import (
    DAY_SECONDS,
    Channel,
    Chat,
    Friendship,
    JsonObject,
    PersonRecord,
    Sending,
    part,
    unpack,
)

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator

Plan = list[tuple[float, str, Deed]]


@dataclass(slots=True)
class Group:
    """People who share habits towards one channel; `user_ids` None means everybody whom no other group names.

    counts: by day (days since 1970 in Japan time) how many received, looked, tapped, …
    waiting: how many things they are going to do as far as is known yet.
    since, counted: the sequence numbers after which send calls concern them, and of the last one that is in `counts`.
    arrive: from when on (virtual epoch seconds), and within how many seconds, the named people become friends.
    """

    id: str
    channel_id: str
    seed: str
    habits: Habits
    user_ids: set[str] | None = None
    arrive: tuple[float, float] | None = None
    counts: dict[int, dict[str, int]] = field(default_factory=dict)
    since: int = 0
    counted: int = 0
    waiting: int = 0

    def count(self, at: float, what: str, number: int = 1) -> None:
        """Note that something was done."""
        day = self.counts.setdefault(int((at + TOKYO_OFFSET_SECONDS) // DAY_SECONDS), {})
        day[what] = day.get(what, 0) + number

    @property
    def total(self) -> dict[str, int]:
        """How often each thing was done: received, looked, tapped, opened, replied, played, menu (taps), blocked, unblocked, followed."""
        found: dict[str, int] = {}
        for day in self.counts.values():
            for what, number in day.items():
                found[what] = found.get(what, 0) + number
        return found


@part("actors")
@dataclass(slots=True)
class ActorBook:
    """All groups, oldest first."""

    groups: list[Group] = field(default_factory=list)
    number: int = 0


class Actors:
    """Lets groups act in a simulator."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line
        self._world = line.world
        self._people = line.people

    @property
    def _book(self) -> ActorBook:
        return self._world.part(ActorBook)

    def enlist(
        self,
        habits: Habits,
        channel: Channel,
        people: Iterable[Person | str] | None,
        *,
        crowd: int,
        arrive_seconds: float | None,
        seed: object,
    ) -> Group:
        """Let these people (handles, names or ids), a new crowd, or with neither everybody live by habits; see add()."""
        habits, named = read_habits(habits), None
        if people is not None:
            records = [one.record if isinstance(one, Person) else self._world.person(one) for one in people]
            named = [self._people.user_id(record, channel) for record in records]
        if crowd:
            known = self._line.crowd(crowd, channel if arrive_seconds is None else None)
            if arrive_seconds is not None:
                known = [self._people.user_id(self._world.state.people[one], channel) for one in known]
            named = [*(named or []), *known]
        return self.add(habits, channel, named, seed=seed, arrive_seconds=arrive_seconds)

    def add(
        self,
        habits: Habits,
        channel: Channel,
        user_ids: Iterable[str] | None = None,
        *,
        seed: object = None,
        arrive_seconds: float | None = None,
    ) -> Group:
        """Let people have habits towards a channel, until removed; a later group wins over an earlier one.

        arrive_seconds: the people become friends one after the other within this time, each with a webhook.
        Raises SimulatorError for habits that cannot be.
        """
        habits, world = read_habits(habits), self._world
        with world.lock:
            book = self._book
            book.number += 1
            named = None if user_ids is None else set(user_ids)
            if arrive_seconds is not None and not (named and 0 <= arrive_seconds <= 1e9):
                raise SimulatorError("Only named people can arrive, within a number of seconds.")
            arrive = None if arrive_seconds is None else (world.clock.time(), float(arrive_seconds))
            group = Group(f"a{book.number}", channel.id, str(seed), habits, named, arrive, since=world.state.sequence)
            book.groups.append(group)
            self._expect_arrivals(group)
            return group

    def remove(self, group_id: str | None = None, channel: Channel | None = None) -> int:
        """Take the habits from one group, from all of a channel, or from all; returns from how many groups."""
        with self._world.lock:
            book = self._book
            gone = [one for one in book.groups if group_id in (None, one.id) and (channel is None or channel.id == one.channel_id)]
            book.groups = [one for one in book.groups if one not in gone]
            return len(gone)

    def describe(self) -> list[JsonObject]:
        """Return every group as JSON values: habits, how many people, what they did in all and by day, what is still to come."""
        with self._world.lock:
            return [self._describe(group) for group in self._book.groups]

    def _describe(self, group: Group) -> JsonObject:
        days = {
            f"{datetime.fromtimestamp(day * DAY_SECONDS, UTC):%Y%m%d}": dict(counts) for day, counts in sorted(group.counts.items())
        }
        return {
            "id": group.id,
            "channel": group.channel_id,
            "habits": group.habits,
            "people": None if group.user_ids is None else len(group.user_ids),
            "counts": group.total,
            "days": days,
            "waiting": group.waiting,
        }

    # -- what is to come

    def received(self, channel: Channel, user_ids: list[str], sending: Sending) -> None:
        """Hear of a delivery. Who reacts is worked out when the first could, so that sending stays fast and its order is no matter."""
        # What is said in groups is no habit of single people.
        if not sending.group_id and any(group.channel_id == channel.id for group in self._book.groups):
            self._world.due.at(sending.at + SETTLED_SECONDS, lambda: self._sample(channel, user_ids, sending))

    def resume(self) -> None:
        """Take up again what was to come when the world was kept."""
        with self._world.lock:
            now = self._world.clock.time()
            for group in self._book.groups:
                group.waiting = 0
                self._expect_arrivals(group)
            for channel in self._world.state.channels.values():
                recent: dict[int, tuple[Sending, list[str]]] = {}
                for user_id, chat in channel.chats.items():
                    for sending in chat.inbox or ():
                        if sending.at > now - 3 * LONGEST_SECONDS:
                            recent.setdefault(sending.sequence, (sending, []))[1].append(user_id)
                for sending, user_ids in recent.values():
                    self._sample(channel, user_ids, sending, after=now)

    def _sample(self, channel: Channel, user_ids: list[str], sending: Sending, after: float | None = None) -> None:
        for group, named in self._shared_out(channel, user_ids):
            if sending.sequence <= group.since:
                continue
            what = seen(sending, group.seed)
            plan: Plan = []
            for user_id in named:
                owner, chat = self._world.state.owners.get(user_id), channel.chats.get(user_id)
                if owner is None or chat is None:
                    continue
                lot = chances(what.key, owner[1].id)
                chance = _block_chance(group.habits, chat, sending)
                plan += [(at, user_id, deed) for at, deed in timeline(group.habits, what, lot, chance)]
            if sending.sequence > group.counted:
                group.count(sending.at, "received", len(named))
                group.counted = sending.sequence
            if after is not None:
                plan = [one for one in plan if one[0] > after]
            self._expect(group, channel, plan, (sending, what))

    def _shared_out(self, channel: Channel, user_ids: list[str]) -> list[tuple[Group, list[str]]]:
        left, found = user_ids, []
        for group in reversed(self._book.groups):
            if group.channel_id != channel.id or not left:
                continue
            names = group.user_ids
            mine = left if names is None else [one for one in left if one in names]
            left = [] if names is None else [one for one in left if one not in names]
            if mine:
                found.append((group, mine))
        return found

    def _expect_arrivals(self, group: Group) -> None:
        if group.arrive is None:
            return
        channel = self._world.state.channels[group.channel_id]
        begin, seconds = group.arrive
        plan: Plan = []
        for user_id in sorted(group.user_ids or ()):
            chat, owner = channel.chats.get(user_id), self._world.state.owners.get(user_id)
            if owner is not None and (chat is None or not chat.ever_friend):
                lot = chances(group.seed.encode()[:64], owner[1].id)
                plan.append((awake(group.habits, begin + seconds * lot[0] / 2**64, lot[1]), user_id, Deed.FOLLOW))
        self._expect(group, channel, plan, None)

    def _expect(self, group: Group, channel: Channel, plan: Plan, about: tuple[Sending, Seen] | None) -> None:
        """Let a plan come true. It waits as one act, whatever its length, and shrinks as it is lived."""
        if not plan:
            return
        plan.sort(reverse=True)
        group.waiting += len(plan)
        due = self._world.due

        def step() -> None:
            if not plan:
                # Their habits were taken away meanwhile.
                return
            at, user_id, deed = plan.pop()
            group.waiting -= 1
            if plan:
                due.at(plan[-1][0], step)
            if group in self._book.groups:
                self._do(group, channel, at, user_id, deed, about)
            else:
                plan.clear()

        due.at(plan[-1][0], step)

    # -- what they do

    def _do(self, group: Group, channel: Channel, at: float, user_id: str, deed: Deed, about: tuple[Sending, Seen] | None) -> None:
        owner = self._world.state.owners.get(user_id)
        if owner is None:
            return
        record, chat = owner[1], channel.chat(user_id)
        if (chat.status is Friendship.BLOCKED) is not (deed is Deed.UNBLOCK):
            return
        match deed:
            case Deed.LOOK:
                self._people.open_chat(record, channel)
            case Deed.BLOCK:
                self._people.block(record, channel)
            case Deed.UNBLOCK:
                self._people.unblock(record, channel)
            case Deed.FOLLOW:
                self._people.follow(record, channel)
            case Deed.MENU:
                if not self._tap_menu(group, channel, record, user_id, at):
                    return
            case _ if about is not None:
                if not self._respond(group, channel, record, user_id, deed, *about):
                    return
        group.count(at, _COUNTED[deed])

    def _respond(
        self, group: Group, channel: Channel, record: PersonRecord, user_id: str, deed: Deed, sending: Sending, what: Seen
    ) -> bool:
        number = chances(what.key + bytes([deed]), record.id)[0]
        match deed:
            case Deed.REPLY:
                replies = group.habits.replies
                text = replies[choose([1.0] * len(replies), number) or 0]
                self._people.say(record, channel, {"type": "text", "text": text})
                return True
            case Deed.VIDEO:
                return self._play(channel, record, sending, what)
            case _:
                return self._tap(group, channel, record, user_id, number, sending, what)

    def _play(self, channel: Channel, record: PersonRecord, sending: Sending, what: Seen) -> bool:
        for index, message in enumerate(what.messages):
            if message.get("type") == "video" and message.get("trackingId"):
                self._people.finish_video(record, channel, str(message["trackingId"]))
            elif message.get("type") == "video":
                self._people.play(record, channel, str(sending.first_id + index))
        return True

    def _tap(
        self, group: Group, channel: Channel, record: PersonRecord, user_id: str, number: int, sending: Sending, what: Seen
    ) -> bool:
        options = [(index, action) for index, message in enumerate(what.messages) for action in actions_of(message)]
        weights = [_weight(group.habits, position, action) for position, (_, action) in enumerate(options)]
        chosen = choose(weights, number)
        if chosen is None:
            return False
        index, action = options[chosen]
        received = list(unpack(sending, user_id, what.messages))[index]
        if action.get("type") != "uri":
            # A handle for the moment: those who open no page need no browser that lasts.
            Person(record, self._world, self._people).tap(channel, received, action)
            return True
        uri = str(action.get("uri") or action.get("linkUri"))
        self._people.click(record, channel, received.id, uri)
        self._follow_link(group, record, uri)
        return True

    def _tap_menu(self, group: Group, channel: Channel, record: PersonRecord, user_id: str, at: float) -> bool:
        menu = menu_of(self._world, channel, user_id)
        if menu is None or not menu.content["areas"]:
            return False
        area = choose([1.0] * len(menu.content["areas"]), chances(f"{at:.0f}/{group.seed}".encode()[:64], record.id)[0])
        tap = Person(record, self._world, self._people).tap_menu(channel, area or 0, open_link=False)
        if tap.action.get("type") == "uri":
            self._follow_link(group, record, str(tap.action.get("uri")))
        return True

    def _follow_link(self, group: Group, record: PersonRecord, uri: str) -> None:
        if group.habits.open_links and uri.startswith(("http://", "https://")):
            self._line.aside(partial(self._open, group, record, uri, self._world.clock.time()))

    def _open(self, group: Group, record: PersonRecord, uri: str, at: float) -> None:
        try:
            self._line.handle_of(record).open(uri)
            result = "opened"
        except (OSError, SimulatorError, ValueError):
            result = "failed"
        with self._world.lock:
            group.count(at, result)


_COUNTED: Final = {
    Deed.LOOK: "looked",
    Deed.TAP: "tapped",
    Deed.REPLY: "replied",
    Deed.VIDEO: "played",
    Deed.BLOCK: "blocked",
    Deed.UNBLOCK: "unblocked",
    Deed.FOLLOW: "followed",
    Deed.MENU: "menu",
}


def _weight(habits: Habits, position: int, action: JsonObject) -> float:
    if not habits.taps:
        return 1.0
    return habits.taps.get(str(action.get("label")), habits.taps.get(str(position), 0.0))


def _block_chance(habits: Habits, chat: Chat, sending: Sending) -> float:
    if not habits.fatigue:
        return habits.block_rate
    since, recent = sending.at - habits.fatigue_days * DAY_SECONDS, 0
    for one in reversed(chat.inbox or ()):
        if one.at <= since:
            break
        recent += one.at <= sending.at + SETTLED_SECONDS
    return habits.block_rate + habits.fatigue * max(0, recent - habits.fatigue_free)

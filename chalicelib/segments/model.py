"""A person as conditions and deliveries see him: everything that is known, read at one moment."""

from __future__ import annotations

from calendar import isleap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from operator import attrgetter
from typing import Any

from chalicelib.customers.model import (
    PROFILE_SK,
    Customer,
    DeliveryChannel,
    customer_of,
    has_postal_address,
    is_mobile,
)
from chalicelib.friends.model import Friend, from_item
from chalicelib.kernel.clock import EVER
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.kernel.windows import day_of, local_date
from chalicelib.orders.model import STATS_SK, Order, PurchaseStats, stats_of
from chalicelib.ports.database import Item
from chalicelib.segments.rfm import frequency, monetary, recency
from chalicelib.tags.model import TAGS_SK, tags_of
from chalicelib.tracking.model import ACTIVITY_SK, Activity, activity_of

FRIEND_PREFIX = "FR#"
KINDS = (PROFILE_SK, STATS_SK, TAGS_SK, ACTIVITY_SK)


@dataclass(frozen=True, slots=True)
class Run:
    """A person's way through a scenario, as far as its conditions ask.

    responses: by the node that sent, or `node|link`, `<ISO instant> <evidence> <kind>`. events: by
    segments.expression.event_key, the latest ISO instant. sent: by node, the instant of its last send to him.
    """

    entered_at: datetime
    responses: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)
    sent: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Act:
    """Something that a person did, or that happened to him, as his timeline keeps it; kind: segments.expression.ACTS."""

    kind: str
    at: datetime
    name: str = ""
    link: str = ""
    evidence: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Way:
    """A person's run of a scenario. status: scenarios.model.EnrollmentStatus; reason: the outcome of its end, or why he left."""

    scenario_id: str
    status: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """A message that was sent to him: by `cmp` or `scn`, its id, and the step of a scenario."""

    kind: str
    id: str
    node: str = ""


@dataclass(frozen=True, slots=True)
class Reaction:
    """What he did about a message. link: "" where there was none."""

    to: Contact
    evidence: str
    link: str = ""


@dataclass(frozen=True, slots=True)
class History:
    """What a person has done and been sent, of all numbers that he has had.

    asked: what it was read for, in the words of segments.expression.asks; about anything else it says nothing. since: what is on
    the timeline, acts and clicks, was read from here on.
    """

    orders: tuple[Order, ...] = ()
    acts: tuple[Act, ...] = ()
    ways: tuple[Way, ...] = ()
    contacts: frozenset[Contact] = frozenset()
    reactions: tuple[Reaction, ...] = ()
    asked: frozenset[str] = frozenset()
    since: datetime = EVER


@dataclass(frozen=True, slots=True)
class SavedSegment:
    """A condition with a name. revision: grows with every change."""

    segment_id: str
    name: str
    condition: Mapping[str, Any]
    revision: int


class LiveState(StrEnum):
    """Whether people are told of when they come into a saved segment and go."""

    OFF = "off"
    PREPARING = "preparing"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Live:
    """A saved segment for which people are looked at whenever something happens to them.

    generation: grows with every preparation. meaning: a fingerprint of the condition that it was prepared for; "" when it is off
    and nothing is noted about it any more. at: since when it is in this state.
    """

    segment_id: str
    state: LiveState
    generation: int
    meaning: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """A person with everything that conditions ask about.

    suppressed: channels whose address must not be used. run: the run of a scenario that asks; None outside one. brought: what
    the trigger of a scenario brought, for the message that is written to him. history: empty where nobody asked for it. marks: his
    item of tags, which says when he got each (tags.model.tags_at).
    """

    customer: Customer
    stats: PurchaseStats
    tags: frozenset[str]
    friends: Mapping[AccountKey, Friend]
    suppressed: frozenset[DeliveryChannel] = field(default_factory=frozenset)
    activity: Activity = field(default_factory=Activity)
    run: Run | None = None
    brought: Mapping[str, str] = field(default_factory=dict)
    history: History = field(default_factory=History)
    marks: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cid(self) -> Cid:
        """The person's number."""
        return self.customer.cid

    def friend(self, account: AccountKey | None) -> Friend | None:
        """Return his friendship with an account; with None, any reachable one, by key."""
        if account is not None:
            return self.friends.get(account)
        reachable = [key for key, friend in self.friends.items() if friend.is_reachable]
        return self.friends[min(reachable)] if reachable else None

    def can_reach(self, channel: DeliveryChannel, account: AccountKey | None = None) -> bool:
        """Say whether this channel has an address of his that he has not refused and that works."""
        return self.has_address(channel, account) and not (self.customer.has_opted_out(channel) or channel in self.suppressed)

    def has_address(self, channel: DeliveryChannel, account: AccountKey | None = None) -> bool:
        """Say whether this channel has an address of his, whatever he thinks of it; on LINE, one that he has not blocked."""
        profile = self.customer.profile
        match channel:
            case DeliveryChannel.LINE:
                friend = self.friend(account)
                return friend is not None and friend.is_reachable
            case DeliveryChannel.EMAIL:
                return bool(profile.email)
            case DeliveryChannel.SMS:
                return bool(profile.phone) and is_mobile(profile.phone)
            case DeliveryChannel.POSTAL:
                return has_postal_address(profile)

    def value(self, name: str, account: AccountKey | None, today: date) -> Any:
        """Return the value of a field of segments.expression.FIELDS on a JST day, None when he has none."""
        return reader(name, account, today)(self)

    def day(self, name: str, account: AccountKey | None) -> date | None:
        """Return the JST day of a date of segments.expression (is_date), None when he has none."""
        room, _, rest = name.partition(".")
        if room == "attribute":
            return day_of(self.customer.profile.attributes.get(rest))
        if name == "profile.birthday":
            return self.customer.profile.birthday
        moment = self.moment(name, account)
        return local_date(moment) if moment else None

    def moment(self, name: str, account: AccountKey | None) -> datetime | None:
        """Return the instant of a date that has one, None for others and where he has none."""
        match name:
            case "purchase.first":
                return self.stats.first_at
            case "purchase.last":
                return self.stats.last_at
            case "friend.since":
                friend = self.friend(account)
                return (friend.state_at or friend.first_seen_at) if friend else None
            case "activity.last":
                latest = self.activity.last_at
                for moment in (self.stats.last_at, self.moment("friend.since", account)):
                    if moment and (latest is None or moment > latest):
                        latest = moment
                return latest
        return None


def reader(name: str, account: AccountKey | None, today: date) -> Callable[[Person], Any]:
    """Return what reads the value of a field of segments.expression.FIELDS on a JST day from a person, None when he has none.

    Every event of a person is held against hundreds of conditions: which field it is, is found out once for each.
    """
    room, _, rest = name.partition(".")
    match room:
        case "profile" if rest == "age":
            return lambda person: age_on(today, person.customer.profile.birthday)
        case "profile" if rest == "birthday":
            return lambda person: birthday.isoformat() if (birthday := person.customer.profile.birthday) else None
        case "profile":
            read = attrgetter(f"customer.profile.{rest}")
            return lambda person: read(person) or None
        case "attribute":
            return lambda person: person.customer.profile.attributes.get(rest)
        case "rfm":
            return _score(rest, today)
        case "purchase":
            return attrgetter(f"stats.{rest}")
        case "customer":
            return lambda person: bool(person.customer.profile.member_no)
        case "line" if rest == "linked":
            return lambda person: bool(person.friends) and bool(person.customer.profile.member_no)
        case _:
            channel = DeliveryChannel(room)
            return lambda person: person.can_reach(channel, account)


def _score(name: str, today: date) -> Callable[[Person], int | None]:
    match name:
        case "recency":
            return lambda person: recency(local_date(person.stats.last_at) if person.stats.last_at else None, today)
        case "frequency":
            return lambda person: frequency(person.stats.count)
        case _:
            return lambda person: monetary(person.stats.total_yen, person.stats.count)


def age_on(today: date, birthday: date | None) -> int | None:
    """Return the full years of somebody on a day; None where the birthday is not known, or still to come."""
    if birthday is None or birthday > today:
        return None
    has_been = (birthday.month, birthday.day) <= (today.month, today.day) or falls_on(birthday, today)
    return today.year - birthday.year - (not has_been)


def falls_on(anniversary: date, day: date) -> bool:
    """Say whether a day has the month and day of an anniversary; who was born on 29 February has it on the 28th in other years."""
    if (anniversary.month, anniversary.day) == (2, 29) and not isleap(day.year):
        return (day.month, day.day) == (2, 28)
    return (anniversary.month, anniversary.day) == (day.month, day.day)


def person_of(cid: Cid, collection: Mapping[str, Item], suppressed: frozenset[DeliveryChannel] = frozenset()) -> Person:
    """Return the person from his core items."""
    friends = {}
    for sk, item in collection.items():
        if sk.startswith(FRIEND_PREFIX):
            account = AccountKey(sk.removeprefix(FRIEND_PREFIX))
            friends[account] = from_item(cid, account, item)
    return Person(
        customer_of(cid, collection),
        stats_of(collection),
        tags_of(collection),
        friends,
        suppressed,
        activity_of(collection),
        marks=collection.get(TAGS_SK, {}),
    )

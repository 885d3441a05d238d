"""The condition tree: all, any, not over leaves, pure. docs/segments.md says the same to a marketer; reading.py reads it.

Written as JSON: {"all": […]}, {"any": […]}, {"not": {…}}, or a leaf with exactly one of these keys:
  {"tag": "tag_…"}                                         carries the tag
  {"field": "profile.gender", "is": "female"}              also in: […], from/to for numbers; see FIELDS
  {"purchase": {"count_from": 2, "total_from": 15000}}     of his orders: product, category, shop (of the same order), amount_from,
                                                           within_days, before_days, which: "first" or "last" narrow them down;
                                                           then count_from (1 unless said), count_to, total_from, total_to
  {"event": {"kind": "clicked", "within_days": 30}}        what he did; name, link, evidence, data: {…}; count_from; see ACTS
  {"received": {"campaign": "cmp_…"}}                      was sent it; or scenario and node
  {"reacted": {"campaign": "cmp_…", "evidence": "B"}}      to it; link: by that link; or scenario and node
  {"scenario": {"id": "welcome", "state": "in"}}           is in it; "ever" was; "done", "left"; outcome
  {"date": "purchase.last", "before_days": 90}             at least that many JST days ago; within_days: at most
  {"date": "purchase.first", "from": "2026-01-01", "to": "2026-01-31"}
  {"date": "profile.birthday", "anniversary_in_days": 7}   in_days: that very day; negative: ago; see DATES, and attribute.<name>
  {"responded": {"of": "send_a", "evidence": "B"}}         in this run of a scenario; link: by that link; without `of`: to any send
  {"happened": {"event": "purchase", "since": "entry"}}    in this run; product or name; since: also a node that sent; see EVENTS
  {"segment": "seg_…"}                                     fulfils the condition that is saved under this id
A leaf about a value that a person does not have is false, and so is its opposite bound: only `not` turns it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any, assert_never

from chalicelib.kernel.facts import Evidence

FIELDS = (
    "profile.member_no", "profile.name", "profile.gender", "profile.birthday", "profile.prefecture", "profile.city",
    "profile.postal_code", "line.reachable", "email.reachable", "sms.reachable", "postal.reachable", "line.linked",
    "customer.known", "purchase.count", "purchase.total_yen", "profile.age", "rfm.recency", "rfm.frequency", "rfm.monetary",
)  # fmt: skip
DATES = ("purchase.first", "purchase.last", "friend.since", "profile.birthday", "activity.last")
EVENTS = (
    "purchase", "custom", "survey_answered", "form_submitted", "reservation_made", "reservation_visited", "reservation_cancelled",
    "visited",
)  # fmt: skip
MOMENTS = frozenset(DATES) - {"profile.birthday"}  # these are instants, of which the JST day is asked
# What the timeline keeps of a person (tracking.note), by its own word.
ACTS = (
    "message", "postback", "video", "clicked", "email_opened", "visited", "followed", "blocked", "linked", "unlinked", "opted_out",
    "custom", "survey_answered", "form_submitted", "reservation_made", "reservation_visited", "reservation_cancelled",
)  # fmt: skip
STATES = ("in", "ever", "done", "left")
ENTRY = "entry"
ATTRIBUTE = "attribute."


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; an empty one holds for everybody."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Some part holds; an empty one holds for nobody."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Expression


@dataclass(frozen=True, slots=True)
class InSegment:
    """The saved segment's condition holds; None while nobody has looked it up."""

    segment_id: str
    condition: Expression | None


@dataclass(frozen=True, slots=True)
class HasTag:
    """The person carries the tag."""

    tag_id: str


@dataclass(frozen=True, slots=True)
class FieldIs:
    """The field has one of these values."""

    field: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class FieldBetween:
    """The field lies in [low, high]; None is open."""

    field: str
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class DaysAgo:
    """The JST day of the date lies between `most` and `least` days before today; None is open. 0 is today."""

    date: str
    least: int | None
    most: int | None


@dataclass(frozen=True, slots=True)
class InDays:
    """The JST day of the date, or one of its anniversaries, is exactly `days` after today; negative: before."""

    date: str
    days: int
    yearly: bool


@dataclass(frozen=True, slots=True)
class DateBetween:
    """The JST day of the date lies in [first, last]; None is open."""

    date: str
    first: dt.date | None
    last: dt.date | None


@dataclass(frozen=True, slots=True)
class Span:
    """Numbers in [low, high]; None is open."""

    low: float | None = None
    high: float | None = None

    def holds(self, number: float) -> bool:
        """Say whether a number lies in it."""
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)


@dataclass(frozen=True, slots=True)
class HasOrdered:
    """So many of his orders fit, and add up to so much.

    product, category: some line of the order has both; "" any. shop: the order's; "" any. amount: of one order, in yen. days: so
    many JST days ago. which: `first` or `last` looks at that order alone (of several at one instant the least number), "" at all.
    count: 0 of them when none fits. total: what those that fit add up to, 0 when none does.
    """

    product: str
    category: str
    shop: str
    amount: Span
    days: Span
    which: str
    count: Span
    total: Span


@dataclass(frozen=True, slots=True)
class HasActed:
    """He did this so often. name, link: "" any. least: of clicks and opens, the weakest evidence that counts.

    days: so many JST days ago. data: what must have been told along with it, text for text.
    """

    kind: str
    name: str
    link: str
    least: Evidence
    data: tuple[tuple[str, str], ...]
    days: Span
    count: Span


@dataclass(frozen=True, slots=True)
class Delivered:
    """What was sent by a campaign (node "") or by a step of a scenario (node "": by any)."""

    kind: str  # "cmp" or "scn", as in the source of tracking tokens
    id: str
    node: str


@dataclass(frozen=True, slots=True)
class HasReceived:
    """He was sent this."""

    what: Delivered


@dataclass(frozen=True, slots=True)
class HasReacted:
    """He reacted to this, by `link` (empty: in any way), at least as surely as `least`."""

    what: Delivered
    link: str
    least: Evidence


@dataclass(frozen=True, slots=True)
class InScenario:
    """He is in a scenario (`in`), was or is (`ever`), has come to an end of it (`done`), left it before (`left`).

    outcome: the outcome of the end that he came to, or the reason for which he left; "" any.
    """

    scenario_id: str
    state: str
    outcome: str


@dataclass(frozen=True, slots=True)
class HasResponded:
    """In this run he reacted to the send `of` (empty: to any), by `link` (empty: in any way), at least as surely as `least`."""

    of: str
    link: str
    least: Evidence


@dataclass(frozen=True, slots=True)
class HasHappened:
    """In this run the event of this key happened: after he entered (`since` is ENTRY), or since the last send of a node."""

    key: str
    since: str


Expression = (
    All | AnyOf | Not | InSegment | HasTag | FieldIs | FieldBetween | DaysAgo | InDays | DateBetween
    | HasOrdered | HasActed | HasReceived | HasReacted | InScenario | HasResponded | HasHappened
)  # fmt: skip


def event_key(event: str, detail: str = "") -> str:
    """Return the name under which a run keeps the latest instant of an event; detail: a product, or a name.

    It becomes part of a path in DynamoDB and so has no letters but [a-z0-9_].
    """
    return f"{event}_{hashlib.sha256(detail.encode()).hexdigest()[:12]}" if detail else event


def is_date(name: object) -> bool:
    """Say whether conditions and waits can ask for a date of this name."""
    return isinstance(name, str) and (name in DATES or (name.startswith(ATTRIBUTE) and name != ATTRIBUTE))


def asks(expression: Expression) -> frozenset[str]:
    """Return what an expression depends on, as `kind:name`.

    tag:<id>, field:<name>, date:<name>, purchase, event:<kind>, delivered:<kind>|<id>, scenario:<id>, responded,
    happened:<event key>, segment:<id>; what a segment asks that was looked up is among them.
    """
    match expression:
        case All(parts) | AnyOf(parts):
            return frozenset().union(*(asks(part) for part in parts))
        case Not(part):
            return asks(part)
        case InSegment(segment_id, condition):
            return frozenset({f"segment:{segment_id}"}) | (asks(condition) if condition else frozenset())
        case HasTag(tag_id):
            return frozenset({f"tag:{tag_id}"})
        case FieldIs(field) | FieldBetween(field):
            return frozenset({f"field:{field}"})
        case DaysAgo(name) | InDays(name) | DateBetween(name):
            return frozenset({f"date:{name}"})
        case HasOrdered():
            return frozenset({"purchase"})
        case HasActed(kind):
            return frozenset({f"event:{kind}"})
        case HasReceived(what) | HasReacted(what):
            return frozenset({f"delivered:{what.kind}|{what.id}"})
        case InScenario(scenario_id):
            return frozenset({f"scenario:{scenario_id}"})
        case HasResponded():
            return frozenset({"responded"})
        case HasHappened(key):
            return frozenset({f"happened:{key}"})
        case _:
            assert_never(expression)


def whatever_was(expression: Expression, *, may: bool = True) -> Expression:
    """Return the condition without what it asks of people's histories: it holds for everybody who may fulfil the whole.

    may: False returns the one that holds only for who fulfils the whole, whatever his history is.
    """
    match expression:
        case All(parts):
            return All(tuple(whatever_was(part, may=may) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(whatever_was(part, may=may) for part in parts))
        case Not(part):
            return Not(whatever_was(part, may=not may))
        case InSegment(segment_id, condition) if condition is not None:
            return InSegment(segment_id, whatever_was(condition, may=may))
        case HasOrdered() | HasActed() | HasReceived() | HasReacted() | InScenario():
            return All(()) if may else AnyOf(())
        case _:
            return expression

"""The condition tree as a function of one person."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, assert_never

from chalicelib.kernel.clock import from_text
from chalicelib.kernel.facts import Evidence
from chalicelib.kernel.ids import AccountKey
from chalicelib.kernel.windows import JST, local_date
from chalicelib.orders.model import Order
from chalicelib.segments.expression import (
    ENTRY,
    MOMENTS,
    All,
    AnyOf,
    DateBetween,
    DaysAgo,
    Delivered,
    Expression,
    FieldBetween,
    FieldIs,
    HasActed,
    HasHappened,
    HasOrdered,
    HasReacted,
    HasReceived,
    HasResponded,
    HasTag,
    InDays,
    InScenario,
    InSegment,
    Not,
    Span,
)
from chalicelib.segments.model import Contact, Person, Run, Way, falls_on, reader

Predicate = Callable[[Person], bool]
STATUS = {"in": "active", "ever": "", "done": "done", "left": "exited"}  # scenarios.model.EnrollmentStatus


def compile_predicate(expression: Expression, now: datetime, account: AccountKey | None = None) -> Predicate:
    """Return the function that says whether a person fulfils the expression at `now`; it never raises.

    account: the LINE account whose friendship counts; None is any. Raises ValueError when a saved segment in the
    expression has not been looked up: it would hold for nobody, and its opposite for everybody.
    """
    match expression:
        case All(parts):
            return _together(parts, now, account, until=False)
        case AnyOf(parts):
            return _together(parts, now, account, until=True)
        case Not(part):
            inner = compile_predicate(part, now, account)
            return lambda person: not inner(person)
        case InSegment(segment_id, condition):
            if condition is None:
                raise ValueError(f"the saved segment {segment_id} has not been looked up")
            return compile_predicate(condition, now, account)
        case HasTag(tag_id):
            return lambda person: tag_id in person.tags
        case FieldIs(field, values):
            return _field_is(field, values, account, local_date(now))
        case FieldBetween(field, low, high):
            read = reader(field, account, local_date(now))
            return lambda person: _lies_between(read(person), low, high)
        case DaysAgo(date, least, most):
            return _days_ago(date, least, most, now, account)
        case InDays(date, days, yearly):
            return _in_days(date, days, yearly, now, account)
        case DateBetween(name, first, last):
            return lambda person: _falls_between(person.day(name, account), first, last)
        case HasOrdered():
            return _has_ordered(expression, local_date(now))
        case HasActed():
            return _has_acted(expression, local_date(now))
        case HasReceived(what):
            return _has_received(what)
        case HasReacted(what, link, evidence):
            return _has_reacted(what, link, evidence)
        case InScenario(scenario_id, state, outcome):
            return lambda person: any(_goes(way, scenario_id, state, outcome) for way in person.history.ways)
        case HasResponded(of, link, least):
            return lambda person: person.run is not None and _has_responded(person.run, of, link, least)
        case HasHappened(key, since):
            return lambda person: person.run is not None and _has_happened(person.run, key, since)
        case _:
            assert_never(expression)


def _together(parts: Sequence[Expression], now: datetime, account: AccountKey | None, *, until: bool) -> Predicate:
    """Return whether one of the parts says `until`, else the opposite; those that cost least are asked first."""
    asked = [compile_predicate(part, now, account) for part in sorted(parts, key=_cost)]

    def holds(person: Person) -> bool:
        for part in asked:
            if part(person) is until:
                return until
        return not until

    return holds


def _cost(expression: Expression) -> float:
    """Return about how many tenths of a microsecond it takes to ask somebody with a year of history (local/lake_person.py)."""
    match expression:
        case All(parts) | AnyOf(parts):
            return 1 + sum(map(_cost, parts))
        case Not(part):
            return 1 + _cost(part)
        case InSegment(_, condition) if condition is not None:
            return _cost(condition)
        case HasTag():
            return 1
        case HasOrdered() | HasActed():
            return 10
        case _:
            return 4


def _field_is(field: str, values: tuple[Any, ...], account: AccountKey | None, today: date) -> Predicate:
    # Python takes True for 1; nobody who asks for one means the other.
    wanted = {(type(value) is bool, value) for value in values}
    read = reader(field, account, today)

    def holds(person: Person) -> bool:
        value = read(person)
        return (type(value) is bool, value) in wanted

    return holds


def _falls_between(day: date | None, first: date | None, last: date | None) -> bool:
    return day is not None and (first is None or day >= first) and (last is None or day <= last)


def _lies_ago(days: Span, today: date) -> Callable[[datetime], bool]:
    """Return whether an instant lies so many JST days before today; by two instants, the day of each costs ten times as much."""
    since = _first_instant(days, today)
    before = None if days.low is None else _midnight(today - timedelta(days=math.ceil(days.low) - 1))
    return lambda at: (since is None or at >= since) and (before is None or at < before)


def first_instant(days: Span, now: datetime) -> datetime | None:
    """Return from when on what happened lies at most so many JST days ago, None where there is no such bound."""
    return _first_instant(days, local_date(now))


def _first_instant(days: Span, today: date) -> datetime | None:
    return None if days.high is None else _midnight(today - timedelta(days=math.floor(days.high)))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), JST).astimezone(UTC)


# Every event of a person is held against hundreds of segments: these loops say `and` and `continue` where any() over functions
# would be shorter and take four times as long (`make bench`, "one customer against 500 segments").


def _has_ordered(asked: HasOrdered, today: date) -> Predicate:
    lies_ago = _lies_ago(asked.days, today)
    product, category, shop, amount = asked.product, asked.category, asked.shop, asked.amount
    any_amount, any_line = amount == Span(), not (product or category)

    def holds(person: Person) -> bool:
        orders: Sequence[Order] = person.history.orders
        if asked.which and orders:
            choose = min if asked.which == "first" else max
            orders = [choose(orders, key=lambda order: (order.at, order.order_no))]
        number = total = 0
        for order in orders:
            if (shop and order.shop != shop) or not (any_amount or amount.holds(order.amount_yen)) or not lies_ago(order.at):
                continue
            if any_line or any(product in ("", line.product) and category in ("", line.category) for line in order.lines):
                number += 1
                total += order.amount_yen
        return asked.count.holds(number) and asked.total.holds(total)

    return holds


def _has_acted(asked: HasActed, today: date) -> Predicate:
    lies_ago = _lies_ago(asked.days, today)
    kind, name, link, data = asked.kind, asked.name, asked.link, asked.data
    least = asked.least.value  # a plain text: comparing with a member of an enumeration takes twice as long
    low, high = asked.count.low, asked.count.high
    enough = low if low is not None and high is None else math.inf

    def holds(person: Person) -> bool:
        number = 0
        for act in person.history.acts:
            if act.kind != kind or (name and act.name != name) or (link and act.link != link):
                continue
            # A is the surest; acts that need no evidence have none, and "" is less than any.
            if act.evidence > least or not lies_ago(act.at):
                continue
            if data and any(act.data.get(word) != text for word, text in data):
                continue
            number += 1
            if number >= enough:
                return True
        return asked.count.holds(number)

    return holds


def _has_received(what: Delivered) -> Predicate:
    if what.kind == "cmp" or what.node:
        contact = Contact(what.kind, what.id, what.node)
        return lambda person: contact in person.history.contacts
    return lambda person: any(one.id == what.id and one.kind == what.kind for one in person.history.contacts)


def _has_reacted(what: Delivered, link: str, least: Evidence) -> Predicate:
    kind, message, node, weakest = what.kind, what.id, what.node, least.value

    def holds(person: Person) -> bool:
        for one in person.history.reactions:
            to = one.to
            if to.id != message or to.kind != kind or (node and to.node != node) or (link and one.link != link):
                continue
            if one.evidence <= weakest:
                return True
        return False

    return holds


def _goes(way: Way, scenario_id: str, state: str, outcome: str) -> bool:
    return way.scenario_id == scenario_id and STATUS[state] in ("", way.status) and outcome in ("", way.reason)


def _lies_between(value: object, low: float | None, high: float | None) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return (low is None or value >= low) and (high is None or value <= high)


def _days_ago(date: str, least: int | None, most: int | None, now: datetime, account: AccountKey | None) -> Predicate:
    today = local_date(now)
    if date in MOMENTS:
        lies_ago = _lies_ago(Span(0 if least is None and most is not None else least, most), today)

        def was(person: Person) -> bool:
            moment = person.moment(date, account)
            return moment is not None and lies_ago(moment)

        return was

    def holds(person: Person) -> bool:
        day = person.day(date, account)
        if day is None:
            return False
        days = (today - day).days
        return (least is None or days >= least) and (most is None or 0 <= days <= most)

    return holds


def _in_days(date: str, days: int, yearly: bool, now: datetime, account: AccountKey | None) -> Predicate:
    today = local_date(now)
    wanted = today + timedelta(days=days)

    def holds(person: Person) -> bool:
        day = person.day(date, account)
        if day is None:
            return False
        return day == wanted or (yearly and day <= today and day < wanted and falls_on(day, wanted))

    return holds


def _has_responded(run: Run, of: str, link: str, least: Evidence) -> bool:
    for key, text in run.responses.items():
        node, _, clicked = key.partition("|")
        if of in ("", node) and link in ("", clicked) and _proves(text, least):
            return True
    return False


def _proves(text: str, least: Evidence) -> bool:
    words = text.split(" ")
    return len(words) > 1 and words[1] in tuple(Evidence) and Evidence(words[1]).counts_as(least)


def _has_happened(run: Run, key: str, since: str) -> bool:
    try:
        at = from_text(run.events[key])
    except (KeyError, ValueError):
        return False
    if since == ENTRY:
        return at > run.entered_at  # what brought him in, a purchase perhaps, does not count
    sent = run.sent.get(since)
    return sent is not None and at >= sent

"""The condition tree as a function of one person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import assert_never

from chalicelib.kernel.clock import from_text
from chalicelib.kernel.facts import Evidence
from chalicelib.kernel.ids import AccountKey
from chalicelib.kernel.windows import local_date
from chalicelib.segments.expression import (
    ENTRY,
    All,
    AnyOf,
    DaysAgo,
    Expression,
    FieldBetween,
    FieldIs,
    HasHappened,
    HasResponded,
    HasTag,
    InDays,
    InSegment,
    Not,
)
from chalicelib.segments.model import Person, Run, falls_on

Predicate = Callable[[Person], bool]


def compile_predicate(expression: Expression, now: datetime, account: AccountKey | None = None) -> Predicate:
    """Return the function that says whether a person fulfils the expression at `now`; it never raises.

    account: the LINE account whose friendship counts; None is any. Raises ValueError when a saved segment in the
    expression has not been looked up: it would hold for nobody, and its opposite for everybody.
    """
    match expression:
        case All(parts):
            every = [compile_predicate(part, now, account) for part in parts]
            return lambda person: all(part(person) for part in every)
        case AnyOf(parts):
            some = [compile_predicate(part, now, account) for part in parts]
            return lambda person: any(part(person) for part in some)
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
            return lambda person: person.value(field, account) in values
        case FieldBetween(field, low, high):
            return lambda person: _lies_between(person.value(field, account), low, high)
        case DaysAgo(date, least, most):
            return _days_ago(date, least, most, now, account)
        case InDays(date, days, yearly):
            return _in_days(date, days, yearly, now, account)
        case HasResponded(of, link, least):
            return lambda person: person.run is not None and _has_responded(person.run, of, link, least)
        case HasHappened(key, since):
            return lambda person: person.run is not None and _has_happened(person.run, key, since)
        case _:
            assert_never(expression)


def _lies_between(value: object, low: float | None, high: float | None) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return (low is None or value >= low) and (high is None or value <= high)


def _days_ago(date: str, least: int | None, most: int | None, now: datetime, account: AccountKey | None) -> Predicate:
    today = local_date(now)

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

"""The condition tree as a function of one person."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import assert_never

from chalicelib.kernel.ids import AccountKey
from chalicelib.kernel.windows import local_date
from chalicelib.segments.expression import All, AnyOf, DaysAgo, Expression, FieldBetween, FieldIs, HasTag, Not
from chalicelib.segments.model import Person

Predicate = Callable[[Person], bool]


def compile_predicate(expression: Expression, now: datetime, account: AccountKey | None = None) -> Predicate:
    """Return the function that says whether a person fulfils the expression at `now`.

    account: the LINE account whose friendship counts; None is any.
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
        case HasTag(tag_id):
            return lambda person: tag_id in person.tags
        case FieldIs(field, values):
            return lambda person: person.value(field, account) in values
        case FieldBetween(field, low, high):
            return lambda person: _lies_between(person.value(field, account), low, high)
        case DaysAgo(date, least, most):
            return _days_ago(date, least, most, now, account)
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

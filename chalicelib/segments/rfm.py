"""How recently, how often and for how much somebody has bought, each from 1 to 5; pure.

Fixed bounds and no fifths of everybody: the score of one person then depends on nobody else, and the same question has the same
answer for one as for a million.

A company may set bounds of its own. What a condition says of a score is then turned into what it says of days, orders and yen
before it is compiled (`scored`), so that whoever compiles conditions, to Python or to SQL, knows of no bounds but these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from chalicelib.kernel.errors import InvalidError
from chalicelib.segments.expression import (
    All,
    AnyOf,
    DateBetween,
    DaysAgo,
    Expression,
    FieldBetween,
    FieldIs,
    InSegment,
    Not,
    Span,
    asks,
)

RECENCY, FREQUENCY, MONETARY = "rfm.recency", "rfm.frequency", "rfm.monetary"
_HAS_BOUGHT = FieldBetween("purchase.count", 1, None)
HIGHEST = 5
_MOST = 10**12


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is still a 5, a 4, a 3 and a 2. recency: at most so many days ago; frequency: at least so many orders; monetary: yen."""

    recency: Sequence[int] = (30, 90, 180, 365)
    frequency: Sequence[int] = (10, 5, 3, 2)
    monetary: Sequence[int] = (100_000, 50_000, 20_000, 10_000)


DEFAULT = Bounds()


def recency(last: date | None, today: date, bounds: Bounds = DEFAULT) -> int | None:
    """Return the score of the day of the last purchase, None where there is none."""
    if last is None:
        return None
    days = (today - last).days
    return 5 - next((place for place, most in enumerate(bounds.recency) if days <= most), 4)


def frequency(count: int, bounds: Bounds = DEFAULT) -> int | None:
    """Return the score of a number of orders, None for none."""
    return _at_least(count, bounds.frequency) if count else None


def monetary(total_yen: int, count: int, bounds: Bounds = DEFAULT) -> int | None:
    """Return the score of what orders add up to, None where there is none."""
    return _at_least(total_yen, bounds.monetary) if count else None


def _at_least(number: int, bounds: Sequence[int]) -> int:
    return 5 - next((place for place, least in enumerate(bounds) if number >= least), 4)


def check(bounds: Bounds) -> None:
    """Raise InvalidError(`rfm.bounds_malformed`) unless there are four of each, and each harder to reach than the one below it."""
    rising = (list(bounds.recency), list(reversed(bounds.frequency)), list(reversed(bounds.monetary)))
    for least, steps in zip((0, 2, 1), rising, strict=True):
        if len(steps) != HIGHEST - 1 or steps != sorted(set(steps)) or not least <= steps[0] <= steps[-1] <= _MOST:
            raise InvalidError("rfm.bounds_malformed")


def scored(expression: Expression, bounds: Bounds) -> Expression:
    """Return an expression that says by the bounds what the given one says of scores."""
    match expression:
        case All(parts):
            return All(tuple(scored(part, bounds) for part in parts))
        case AnyOf(parts):
            return AnyOf(tuple(scored(part, bounds) for part in parts))
        case Not(part):
            return Not(scored(part, bounds))
        case InSegment(segment_id, condition):
            return InSegment(segment_id, scored(condition, bounds) if condition else None)
        case FieldIs(field, values) if field in (RECENCY, FREQUENCY, MONETARY):
            numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
            return _one_of(field, [score for score in range(1, HIGHEST + 1) if score in numbers], bounds)
        case FieldBetween(field, low, high) if field in (RECENCY, FREQUENCY, MONETARY):
            return _one_of(field, [score for score in range(1, HIGHEST + 1) if Span(low, high).holds(score)], bounds)
        case _:
            return expression


def _one_of(field: str, scores: Sequence[int], bounds: Bounds) -> Expression:
    return AnyOf(tuple(_has(field, score, bounds) for score in scores))


def _has(field: str, score: int, bounds: Bounds) -> Expression:
    place = HIGHEST - score  # in the bounds; 4 is beyond all of them
    if field == RECENCY:
        known = DateBetween("purchase.last", date.min, None)
        # `not longer ago than`, because a purchase whose day is still to come is as recent as can be.
        near = (Not(DaysAgo("purchase.last", bounds.recency[place] + 1, None)),) if place < HIGHEST - 1 else ()
        far = (DaysAgo("purchase.last", bounds.recency[place - 1] + 1, None),) if place else ()
        return All((known, *near, *far))
    steps = bounds.frequency if field == FREQUENCY else bounds.monetary
    name = "purchase.count" if field == FREQUENCY else "purchase.total_yen"
    low = steps[place] if place < HIGHEST - 1 else None
    high = steps[place - 1] - 1 if place else None  # orders and yen are whole
    return All((_HAS_BOUGHT, FieldBetween(name, low, high)) if (low, high) != (None, None) else (_HAS_BOUGHT,))


def asks_for_scores(expression: Expression) -> bool:
    """Say whether an expression asks for a score."""
    return any(word.startswith("field:rfm.") for word in asks(expression))


@dataclass(frozen=True, slots=True)
class Cell:
    """Those of one recency and one frequency: how many they are, and what they have spent in all."""

    recency: int
    frequency: int
    count: int
    yen: int

    def condition(self) -> Mapping[str, Any]:
        """Return the condition that names its people."""
        return {"all": [{"field": RECENCY, "is": self.recency}, {"field": FREQUENCY, "is": self.frequency}]}

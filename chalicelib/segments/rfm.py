"""How recently, how often and for how much somebody has bought, each from 1 to 5; pure.

Fixed bounds and no fifths of everybody: the score of one person then depends on nobody else, and the same question has the same
answer for one as for a million.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date


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

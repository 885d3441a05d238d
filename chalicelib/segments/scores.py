"""Everybody who has bought, by how recently and how often: the table of RFM, and the company's own bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from chalicelib.kernel.clock import from_text
from chalicelib.kernel.windows import local_date
from chalicelib.ports.analyst import Analyst, to_wire
from chalicelib.segments.rfm import HIGHEST, Bounds, Cell, check, frequency, recency
from chalicelib.segments.service import Segments
from chalicelib.segments.sql import compile_sql


class Asking(Protocol):
    """Who knows whether the lake is to be asked (asking.py)."""

    def prefers_the_lake(self) -> bool:
        """Say whether there are so many people that the lake is asked, and a lake."""
        ...


class Scores:
    """A company's bounds, and everybody by them."""

    def __init__(self, segments: Segments, asking: Asking, analyst: Analyst) -> None:
        self._segments = segments
        self._asking = asking
        self._analyst = analyst

    def bounds(self) -> Bounds:
        """Return the company's bounds."""
        return self._segments.bounds()

    def set_bounds(self, bounds: Bounds) -> None:
        """Set them; conditions go by them half a minute later. Raises InvalidError(`rfm.bounds_malformed`)."""
        check(bounds)
        self._segments.set_bounds(bounds)

    def table(self, now: datetime) -> tuple[list[Cell], datetime | None]:
        """Return the 25 cells of everybody who has bought, the best first, and until when the lake was complete that told.

        None where the tables were asked: a company is small, or has no lake.
        """
        found = self._by_the_lake(now) if self._asking.prefers_the_lake() else None
        return found or (list(self._by_the_tables(now)), None)

    def _by_the_tables(self, now: datetime) -> Iterator[Cell]:
        bounds, today = self.bounds(), local_date(now)
        count, yen = Counter[tuple[int, int]](), Counter[tuple[int, int]]()
        for person in self._segments.find({"field": "purchase.count", "from": 1}, now):
            stats = person.stats
            recent = recency(local_date(stats.last_at) if stats.last_at else None, today, bounds)
            often = frequency(stats.count, bounds)
            if recent and often:
                count[recent, often] += 1
                yen[recent, often] += stats.total_yen
        return (Cell(r, f, count[r, f], yen[r, f]) for r, f in _places())

    def _by_the_lake(self, now: datetime) -> tuple[list[Cell], datetime] | None:
        queries = {}
        for r, f in _places():
            query = compile_sql(self._segments.read(Cell(r, f, 0, 0).condition()), now)
            queries[f"{r}{f}"] = to_wire(query.text, query.parameters)
        answer = self._analyst.ask({"op": "totals", "queries": queries})
        if answer["as_of"] is None:
            return None
        return [Cell(r, f, *answer["totals"][f"{r}{f}"]) for r, f in _places()], from_text(answer["as_of"])


def _places() -> list[tuple[int, int]]:
    return [(r, f) for r in range(HIGHEST, 0, -1) for f in range(HIGHEST, 0, -1)]

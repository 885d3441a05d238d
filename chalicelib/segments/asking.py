"""Conditions asked of everybody: of the lake where there are many people, of the tables themselves where there are few.

The lake answers in a blink and is a minute behind; the tables are exact, and walking them takes a second for every few thousand
people (docs/decisions/0004).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import Any, Literal

from chalicelib.kernel.clock import from_text
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.kernel.windows import local_date
from chalicelib.lake.sizes import Size, Sizes
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.people.service import People
from chalicelib.ports.analyst import Analyst, to_wire
from chalicelib.segments.expression import asks
from chalicelib.segments.history import asks_history
from chalicelib.segments.model import SavedSegment
from chalicelib.segments.service import Segments
from chalicelib.segments.sql import compile_sql

FEW = 20_000  # people that a scan walks in a few seconds; a lake is no faster to ask cold
FEW_PASTS = 1_000  # people whose orders, acts and scenarios are read meanwhile, each by queries of his own
Source = Literal["auto", "lake", "tables"]
_SAMPLE = 5
_MOST_OVERLAPS = 12
_MEASURED_AT_ONCE = 20  # segments in one question, which has fifty seconds (lake.questions)


@dataclass(frozen=True, slots=True)
class Count:
    """How many fulfil a condition, and a few of them. as_of: until when the lake was complete; None when the tables were asked."""

    count: int
    sample: Sequence[Cid]
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """How many fulfil a condition; by channel, how many of them are `reachable`, and the others by the reason."""

    count: int
    channels: Mapping[str, Mapping[str, int]]
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many are in each of some segments, and in each two of them."""

    counts: Mapping[str, int]
    both: Sequence[tuple[str, str, int]]
    as_of: datetime


class Asking:
    """Asks the lake, or the tables."""

    def __init__(self, segments: Segments, people: People, accounts: LineAccounts, analyst: Analyst, sizes: Sizes) -> None:
        self._segments = segments
        self._people = people
        self._accounts = accounts
        self._analyst = analyst
        self._sizes = sizes

    # Now --------------------------------------------------------------------------------------------------------------------

    def count(self, condition: object, now: datetime, account: AccountKey | None = None, source: Source = "auto") -> Count:
        """Return how many people fulfil a condition at `now`, and a few of them.

        account: whose friendship counts; None is any. Raises InvalidError(`condition.*`, and `lake.none` when the lake was
        wished for and there is none).
        """
        if source == "lake" or (source == "auto" and self._is_long(condition)):
            answer = self._ask({"op": "count", "query": self._query(condition, now, account), "sample": _SAMPLE})
            if answer is not None:
                return Count(answer["count"], answer["sample"], from_text(answer["as_of"]))
            if source == "lake":
                raise InvalidError("lake.none")
        found = self._segments.find(condition, now, account)
        sample = [person.cid for person in islice(found, _SAMPLE)]
        return Count(len(sample) + sum(1 for _ in found), sample)

    def reach(self, condition: object, now: datetime) -> Reach:
        """Return who of those who fulfil a condition can be reached by which channel.

        Raises InvalidError(`condition.*`, `lake.none`).
        """
        answer = self._told({"op": "channels", "query": self._query(condition, now)})
        return Reach(answer["count"], answer["channels"], from_text(answer["as_of"]))

    def overlaps(self, segment_ids: Sequence[str], now: datetime) -> Overlap:
        """Return how many people saved segments have in common.

        Raises NotFoundError(`segment.unknown`), InvalidError(`segment.too_many`, `lake.none`).
        """
        if len(segment_ids) > _MOST_OVERLAPS:
            raise InvalidError("segment.too_many", most=_MOST_OVERLAPS)
        queries = {name: self._query(self._segments.saved(name).condition, now) for name in segment_ids}
        answer = self._told({"op": "overlaps", "queries": queries})
        both = [(one, other, number) for one, other, number in answer["both"]]
        return Overlap(answer["counts"], both, from_text(answer["as_of"]))

    def segments_of(self, cid: Cid, now: datetime) -> list[SavedSegment]:
        """Return the saved segments that a person is in at `now`: asked of the tables, so exact."""
        segments = self._segments.all_saved()
        accounts = [account.key for account in self._accounts.everyone()]
        readable = [segment for segment in segments if self._is_readable(segment)]
        person = self._segments.load([cid], accounts, conditions=[segment.condition for segment in readable])[cid]
        return [segment for segment in readable if self._segments.holds(segment.condition, person, now)]

    def prefers_the_lake(self) -> bool:
        """Say whether there are so many people that the lake is asked, and a lake."""
        return self._are_many() and self._ask({"op": "counts", "queries": {}}) is not None

    def numbers(self) -> int:
        """Return how many numbers have been given to people; there are a few people less."""
        return self._people.highest()

    # Day by day -------------------------------------------------------------------------------------------------------------

    def measure(self, now: datetime) -> int:
        """Keep the size of every saved segment for this JST day; return how many there are. Without a lake nothing is kept."""
        segments = [segment for segment in self._segments.all_saved() if self._is_readable(segment)]
        queries = {segment.segment_id: self._query(segment.condition, now) for segment in segments}
        sizes: dict[str, Size] = {}
        rest = iter(queries.items())
        while some := dict(islice(rest, _MEASURED_AT_ONCE)):
            answer = self._ask({"op": "sizes", "queries": some, "day": local_date(now).isoformat()})
            if answer is None:
                return 0
            sizes |= {name: Size(*size) for name, size in answer["sizes"].items()}
        if sizes:
            self._sizes.note(local_date(now), sizes)
        return len(sizes)

    def sizes(self, segment_id: str, first: date, last: date) -> Mapping[date, Size]:
        """Return the sizes of a saved segment by JST day. Raises NotFoundError(`segment.unknown`)."""
        return self._sizes.of(self._segments.saved(segment_id).segment_id, first, last)

    # ------------------------------------------------------------------------------------------------------------------------

    def _is_readable(self, segment: SavedSegment) -> bool:
        """Say whether its condition still is one: it may name a segment that has been deleted since."""
        try:
            self._segments.read(segment.condition)
        except InvalidError:
            return False
        return True

    def _is_long(self, condition: object) -> bool:
        """Say whether a walk through the tables takes longer than anybody waits for a count."""
        few = FEW_PASTS if asks_history(asks(self._segments.read(condition))) else FEW
        return self._people.highest() > few

    def _are_many(self) -> bool:
        return self.numbers() > FEW

    def _query(self, condition: object, now: datetime, account: AccountKey | None = None) -> dict[str, Any]:
        query = compile_sql(self._segments.read(condition), now, account)
        return to_wire(query.text, query.parameters)

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any] | None:
        answer = self._analyst.ask(question)
        return answer if answer["as_of"] is not None else None

    def _told(self, question: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._ask(question)
        if answer is None:
            raise InvalidError("lake.none")
        return answer

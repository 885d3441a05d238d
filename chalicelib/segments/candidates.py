"""Who is meant at an instant, for a send to many: found in the lake where there are many people, by a walk through the tables else.

From the lake it goes so: ask for marks in the tables' streams, wait until the lake holds them, so that it holds everything before
the instant; keep the audience; look at everybody in it again in the tables, for much may have happened since. What was decided
is kept beside the audience, so that a step that comes again does the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Protocol

from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.errors import InvalidError, TemporaryError
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.lake.audiences import AUDIENCES
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.observability import count
from chalicelib.ports.analyst import Analyst, to_wire
from chalicelib.ports.files import Files
from chalicelib.segments.asking import Asking
from chalicelib.segments.expression import asks
from chalicelib.segments.model import Person
from chalicelib.segments.service import ADDRESS_FIELDS, Segments
from chalicelib.segments.sql import compile_sql

WAIT_SECONDS = 10  # between two looks at whether the lake has come so far
PARTS = 4  # the fewest
# People of a part. A step that ends half-way comes again and begins its part anew, so a part must end well within the 300 seconds
# that a step may last: about ten where profiles are enough (133 µs of CPU a person, `python -m local.bench delivery`, besides
# waiting), two minutes where three queries each read everybody's history (reckoned, not measured).
A_PART = 20_000
_PAGE = 5_000  # numbers in an answer: 40 KB of JSON
_BATCH = 100
# Whatever keeps the lake from coming, a send does not wait longer: the tables are always right.
_PATIENCE = timedelta(minutes=10)
_AGAIN = timedelta(minutes=1)
_JSON = "application/json"


class Marks(Protocol):
    """How far the tables' streams have come in the lake."""

    def ask(self, now: datetime) -> None:
        """Write marks into the tables."""
        ...

    def reached(self, asked_at: datetime) -> bool:
        """Say whether the lake holds all that was written before the marks of an instant."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """How people are looked for: in so many parts, in an audience from the lake or through the tables."""

    audience_id: str
    parts: int
    from_lake: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who is looked for: whoever fulfils a condition at an instant, by the friendship with an account; None is any.

    audience_id: the same for the same search, however often its steps come.
    """

    audience_id: str
    condition: object
    at: datetime
    account: AccountKey | None


class Candidates:
    """Finds the people of a send."""

    def __init__(
        self, segments: Segments, asking: Asking, accounts: LineAccounts, analyst: Analyst, marks: Marks, files: Files
    ) -> None:
        self._segments = segments
        self._asking = asking
        self._accounts = accounts
        self._analyst = analyst
        self._marks = marks
        self._files = files

    def plan(self, wanted: Wanted, now: datetime) -> Plan | None:
        """Return how to look for people, from the first part on the same; None while the lake has not come so far."""
        decided, tag = self._decided(wanted.audience_id)
        if decided is None:
            # Decided once: a company may become large, or the lake come, while its parts are looked through.
            if self._prefers_the_lake():
                self._marks.ask(now)
                self._decide(wanted.audience_id, {"asked_at": to_text(now)}, "")
                return None
            decided = self._decide(wanted.audience_id, self._by_tables(), "")
        if "parts" not in decided:
            more = self._waited(wanted, decided, now)
            decided = self._decide(wanted.audience_id, decided | more, tag) if more else decided
        return Plan(wanted.audience_id, decided["parts"], decided["from_lake"]) if "parts" in decided else None

    def _prefers_the_lake(self) -> bool:
        try:
            return self._asking.prefers_the_lake()
        except TemporaryError:
            return True  # it is waited for, and not longer than for one that is late

    def _waited(self, wanted: Wanted, decided: Mapping[str, str], now: datetime) -> dict[str, Any]:
        """Return what is to be decided besides, now that it was waited for the lake."""
        asked_at = from_text(decided["asked_at"])
        is_there = self._marks.reached(asked_at)
        try:
            found = self._make(wanted) if is_there else None
        except TemporaryError:
            found, is_there = None, False
        if found is not None:
            return {"parts": _parts(found), "from_lake": True}
        if is_there or now - asked_at > _PATIENCE:
            count("LakeTooLate")
            return self._by_tables()
        # Whoever else asked at this moment may have written over some of our marks, with an earlier instant.
        if now - from_text(decided.get("asked_again_at", decided["asked_at"])) >= _AGAIN:
            self._marks.ask(now)
            return {"asked_again_at": to_text(now)}
        return {}

    def _by_tables(self) -> dict[str, Any]:
        return {"parts": _parts(self._asking.numbers()), "from_lake": False}

    def find(self, plan: Plan, wanted: Wanted, part: int) -> Iterator[Person]:
        """Yield the people of a part who fulfil the condition now that they are looked at, each once.

        Who has become part of another comes under the number that lives, whatever part that number falls into: it may have been
        looked at before the two were one. So of two parts both may yield him.
        """
        seen: set[Cid] = set()
        for person in self._find(plan, wanted, part):
            if person.cid not in seen:
                seen.add(person.cid)
                yield person

    def _find(self, plan: Plan, wanted: Wanted, part: int) -> Iterator[Person]:
        accounts = [account.key for account in self._accounts.everyone()]
        if not plan.from_lake:
            yield from self._segments.find(
                wanted.condition, wanted.at, wanted.account, segment=part, segments=plan.parts, follow=accounts
            )
            return
        addresses = not ADDRESS_FIELDS.isdisjoint(asks(self._segments.read(wanted.condition)))
        members = self._members(plan.audience_id, part, plan.parts)
        while batch := list(islice(members, _BATCH)):
            people = self._segments.load(batch, accounts, addresses=addresses, conditions=[wanted.condition])
            for person in people.values():
                if self._segments.holds(wanted.condition, person, wanted.at, wanted.account):
                    yield person

    def _make(self, wanted: Wanted) -> int | None:
        """Return how many are in the audience, None when the lake cannot answer this condition in time: the tables can."""
        query = compile_sql(self._segments.read(wanted.condition), wanted.at, wanted.account)
        question = {
            "op": "audience",
            "audience_id": wanted.audience_id,
            "query": to_wire(query.text, query.parameters),
            "about": {"condition": wanted.condition, "at": to_text(wanted.at), "account": wanted.account},
        }
        try:
            return int(self._analyst.ask(question)["count"])
        except InvalidError:
            return None

    def _members(self, audience_id: str, part: int, parts: int) -> Iterator[Cid]:
        after = 0
        while True:
            question = {"op": "members", "audience_id": audience_id, "after": after, "most": _PAGE, "part": part, "parts": parts}
            cids: Iterable[Cid] = self._analyst.ask(question)["cids"]
            for after in cids:
                yield Cid(after)
            if not cids:
                return

    def _decided(self, audience_id: str) -> tuple[dict[str, Any] | None, str]:
        content, tag = self._files.get_tagged(_key(audience_id)) or (b"", "")
        decided: dict[str, Any] | None = json.loads(content) if content else None
        return decided, tag

    def _decide(self, audience_id: str, decided: dict[str, Any], tag: str) -> dict[str, Any]:
        """Keep a decision in the place of the one that was read; return the one that stands: of two at once the first."""
        content = json.dumps(decided, sort_keys=True).encode()
        if self._files.put_if(_key(audience_id), content, _JSON, tag) is not None:
            return decided
        return self._decided(audience_id)[0] or decided


def _parts(people: int) -> int:
    return max(PARTS, -(-people // A_PART))


def _key(audience_id: str) -> str:
    return f"{AUDIENCES}{audience_id}.plan"

"""Enrollments and cohorts in memory, for a rehearsal: the same verbs as in DynamoDB, compact, and for one thread alone.

Nothing comes in between here, so of every race protocol only its outcome is left: whoever asks first has it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from chalicelib.delivery.model import Row
from chalicelib.kernel.clock import to_text
from chalicelib.kernel.ids import Cid, CohortId
from chalicelib.people.model import person_key
from chalicelib.scenarios.model import (
    INLINE,
    Cohort,
    CohortState,
    Enrollment,
    EnrollmentStatus,
    Move,
    ScenarioHead,
    ScenarioState,
    Version,
    parse_cohort_id,
)

_ACTIVE = EnrollmentStatus.ACTIVE
_NOTHING: dict[str, str] = {}  # shared by all who have nothing noted yet; never written to


class Member:
    """An enrollment and its row in one: everything that Enrollment and Row can be asked, and always as it stands now."""

    __slots__ = (
        "at_node", "cid", "claim", "cohort", "data", "ended_at", "entered_at", "events", "last", "occurrence", "path", "reason",
        "responses", "row", "run", "scenario_id", "sk", "status", "version",
    )  # fmt: skip

    def __init__(self, cid: Cid, version: Version, cohort: str, at: datetime, data: Mapping[str, str]) -> None:
        self.row: Row = self  # type: ignore[assignment] # what delivery claims is the member himself: he has all of a Row
        self.cid = cid
        self.sk = ""
        self.scenario_id = version.scenario_id
        self.version = version.version
        self.run = 1
        self.occurrence = ""
        self.cohort = cohort
        self.at_node = version.graph.start
        self.status = _ACTIVE
        self.last = self.claim = self.reason = ""
        self.entered_at = at
        self.ended_at: datetime | None = None
        self.path = self.responses = self.events = _NOTHING
        self.data = data

    @property
    def pk(self) -> str:
        """Where the row would stand."""
        return person_key(self.cid)

    @property
    def enrollment(self) -> Enrollment:
        """The member, for those who ask for an Enrollment."""
        return cast("Enrollment", self)

    def after(self, _visit: str) -> Enrollment:
        """Return the member: he has his last visit already."""
        return self.enrollment

    def within(self, _cohort: str) -> Enrollment:
        """Return the member: he is in his cohort already."""
        return self.enrollment

    came_at = None  # nobody comes late
    seen_by = ""
    last_node = Enrollment.last_node
    last_due = Enrollment.last_due

    def note(self, visit: str, text: str) -> None:
        """Note what was decided at a visit."""
        if self.path is _NOTHING:
            self.path = {visit: text}
        else:
            self.path[visit] = text

    def awaits(self, cohort: str, visit: str) -> bool:
        """Say whether the member may be claimed for a visit, as delivery's ledger asks."""
        return self.cohort == cohort and self.status is _ACTIVE and visit not in self.path

    def visit(self, visit: str, claim: str, text: str) -> None:
        """Claim or skip the member for a visit."""
        self.last, self.claim = visit, claim
        self.note(visit, text)


class MemoryRecords:
    """The records of one scenario in memory. Implements Records.

    page: as in DynamoDB, so that the machine is called exactly as often as it would be there.
    """

    def __init__(self, version: Version, page: int = 500) -> None:
        self.page = page
        self.members_by_cid: dict[Cid, Member] = {}
        self.state = ScenarioState.ACTIVE
        self.writes = 0
        self._versions = {version.version: version}
        self._head = ScenarioHead(version.scenario_id, version.graph.name, ScenarioState.ACTIVE, version.version, {}, 1)
        self._headers: dict[str, Cohort] = {}
        self._hints: dict[str, dict[int, dict[Cid, Member]]] = defaultdict(dict)
        self._lists: dict[tuple[str, int], list[Member]] = {}

    def enter(self, cid: Cid, at: datetime, cohort: str = INLINE, data: Mapping[str, str] = _NOTHING) -> Member:
        """Return a new enrollment in the scenario's version; whoever enters a cohort still needs a hint there."""
        version = self._versions[self._head.version]
        member = self.members_by_cid[cid] = Member(cid, version, cohort, at, data)
        self.writes += 1
        return member

    # Records ----------------------------------------------------------------------------------------------------------------

    def head(self, scenario_id: str) -> ScenarioHead | None:
        """Return a scenario's head; see Records."""
        if scenario_id != self._head.scenario_id:
            return None
        if self._head.state is not self.state:
            self._head = replace(self._head, state=self.state)
        return self._head

    def version(self, scenario_id: str, number: int) -> Version | None:
        """Return a version; see Records."""
        return self._versions.get(number) if scenario_id == self._head.scenario_id else None

    def cohort(self, name: str) -> Cohort | None:
        """Return a cohort's header; see Records."""
        return self._headers.get(name)

    def live_cohorts(self) -> list[Cohort]:
        """Return the cohorts that have not ended."""
        return [header for header in self._headers.values() if header.state is not CohortState.ENDED]

    def ensure_cohort(self, name: CohortId, shards: int) -> None:
        """Make a cohort unless it is there; see Records."""
        if name in self._headers:
            return
        scenario_id, version, node, due = parse_cohort_id(name)
        self._headers[name] = Cohort(
            name, scenario_id, version, node, due, CohortState.OPEN, at_node=node, at_due=due, is_started=False, shards=shards
        )
        self.writes += 2

    def close_cohort(self, name: str, at: datetime) -> None:
        """Let nobody join any more; see Records."""
        header = self._headers[name]
        if header.state is CohortState.OPEN:
            self._headers[name] = replace(header, state=CohortState.CLOSED, closed_at=at)
            self.writes += 1

    def set_cohort(self, header: Cohort, **values: Any) -> bool:
        """Write where a cohort stands; see Records."""
        known = self._headers[header.cohort_id]
        if known.run != header.run:
            return False
        self._headers[header.cohort_id] = replace(known, **values)
        self.writes += 1
        return True

    def lead_on(self, header: Cohort, *, at_node: str, at_due: datetime, events: int, progress_at: datetime) -> bool:
        """Write where a cohort goes; see Records."""
        return self.set_cohort(header, at_node=at_node, at_due=at_due, events=events, progress_at=progress_at)

    def end_cohort(self, header: Cohort) -> None:
        """Note that a cohort is through; see Records."""
        if self.set_cohort(header, state=CohortState.ENDED):
            self._hints.pop(header.cohort_id, None)
            self.writes += 1

    def put_hints(self, header: Cohort, ones: Iterable[Enrollment]) -> None:
        """Note who may be a member of a cohort; see Records."""
        by_shard, shards = self._hints[header.cohort_id], header.shards
        for one in cast("Iterable[Member]", ones):
            shard = one.cid % shards
            if shard not in by_shard:
                by_shard[shard] = {}
            by_shard[shard][one.cid] = one
            self.writes += 1

    def shards_in_use(self, header: Cohort) -> list[int]:
        """Return the shards that have any hints; see Records."""
        return sorted(self._hints[header.cohort_id])

    def members(self, name: str, shard: int, cursor: str, most: int) -> tuple[list[Enrollment], str]:
        """Return a page of members and the next page's cursor; see Records."""
        key = (name, shard)
        if not cursor:
            self._lists[key] = list(self._hints[name].get(shard, {}).values())
        start = int(cursor or 0)
        found = self._lists[key][start : start + most]
        if len(found) == most:
            return cast("list[Enrollment]", found), str(start + most)
        self._lists.pop(key)
        return cast("list[Enrollment]", found), ""

    def count_in(self, ones: Sequence[Enrollment], name: str) -> list[bool]:  # noqa: ARG002 - nobody comes late
        """Say that these are members; see Records."""
        return [True] * len(ones)

    def read_again(self, one: Enrollment) -> Enrollment:
        """Return an enrollment as it stands now: a member always does."""
        return one

    def move_pointers(self, moves: Sequence[Move], target: CohortId, *, version: int, at: datetime) -> list[bool]:  # noqa: ARG002 - nobody comes late
        """Point members to a cohort; see Records."""
        won = []
        for move in moves:
            member = cast("Member", move.one)
            is_here = member.status is _ACTIVE
            if is_here:
                member.cohort, member.at_node, member.version = target, "", version
                if move.note:
                    member.note(move.visit, move.noted(target))
            won.append(is_here)
        self.writes += len(moves)
        return won

    def set_inline_node(self, one: Enrollment, node: str, visit: str, note: str) -> None:
        """Note how far an inline walk has come; see Records."""
        member = cast("Member", one)
        member.at_node = node
        if note:
            member.note(visit, note)
        self.writes += 1

    def note_response(self, one: Enrollment, key: str, text: str) -> None:
        """Note a reaction; see Records."""
        member = cast("Member", one)
        if member.responses is _NOTHING:
            member.responses = {}
        member.responses[key] = text
        self.writes += 1

    def note_events(self, one: Enrollment, keys: Iterable[str], at: datetime) -> None:
        """Note that something happened to a person on the way; see Records."""
        member = cast("Member", one)
        member.events = {**member.events, **dict.fromkeys(keys, to_text(at))}
        self.writes += 1

    def end_enrollments(
        self,
        ones: Sequence[Enrollment],
        status: EnrollmentStatus,
        reason: str,
        at: datetime,
        *,
        in_cohort: bool,  # noqa: ARG002 - nobody moves between reading and writing here
    ) -> list[bool]:
        """End active members; see Records."""
        ended = []
        for member in cast("Sequence[Member]", ones):
            is_active = member.status is _ACTIVE
            if is_active:
                member.status, member.reason, member.ended_at = status, reason, at
            ended.append(is_active)
        self.writes += len(ones)
        return ended

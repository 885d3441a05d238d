"""Scenarios as they are kept, enrollments and cohorts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any

from chalicelib.delivery.model import Row
from chalicelib.kernel.clock import aware
from chalicelib.kernel.ids import Cid, CohortId, ScenarioId
from chalicelib.scenarios.graph import Scenario

LONGEST_CALL = timedelta(minutes=15)  # no function of ours may run longer (Lambda's limit)
INLINE = "inline"  # the pointer of an enrollment that is still being walked by the worker that made it


class ScenarioState(StrEnum):
    """PAUSED: nobody enters, whoever is in stays where he is. STOPPED: called off, everybody is taken out."""

    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Relocation:
    """Where those in flight on another version go: by node id, or by `mapping` (an empty target is the exit)."""

    to_version: int
    mapping: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ScenarioHead:
    """A scenario's name and state. version: the published one, 0 for none; draft: what is being drawn.

    paused_at: since when nothing moves. resumes_at: everybody's waits are being put off by the pause until then. skipped: the
    pause whose messages are left out. moves: by version, where its people are to go.
    """

    scenario_id: ScenarioId
    name: str
    state: ScenarioState
    version: int
    draft: Mapping[str, Any]
    revision: int
    pause_reason: str = ""
    paused_at: datetime | None = None
    moves: Mapping[int, Relocation] = field(default_factory=dict)
    resumes_at: datetime | None = None
    skipped: tuple[datetime, datetime] | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """A published version: never changes."""

    scenario_id: ScenarioId
    version: int
    graph: Scenario


class EnrollmentStatus(StrEnum):
    """EXITED: left before the end, `reason` says why."""

    ACTIVE = "active"
    DONE = "done"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Enrollment:
    """One person going through one version; `row` is what delivery claims.

    at_node: only while INLINE. seen_by: the cohort that has counted him among its members, noted where that could be in doubt;
    came_at: when he was pointed there. path: by visit, what was decided there (delivery's notes, and `moved …` of a way that is not
    the main one). responses: by node, or `node|link`, `<instant> <evidence> <kind>`. events: by segments' event key, the
    latest instant. data: what the trigger brought.
    """

    row: Row
    scenario_id: ScenarioId
    version: int
    run: int
    occurrence: str
    entered_at: datetime
    at_node: str = ""
    ended_at: datetime | None = None
    reason: str = ""
    path: Mapping[str, str] = field(default_factory=dict)
    responses: Mapping[str, str] = field(default_factory=dict)
    events: Mapping[str, str] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    seen_by: str = ""
    came_at: datetime | None = None

    @property
    def cid(self) -> Cid:
        """The person's number."""
        return self.row.cid

    @property
    def last_node(self) -> str:
        """The node that was acted on last, empty before the first."""
        return self.row.last.rpartition("__")[0]  # from the right: a node's id may hold __ too

    @property
    def last_due(self) -> datetime:
        """The instant of the visit that was acted on last; his entry before the first."""
        minute_text = self.row.last.rpartition("__")[2]
        return from_minute(minute_text) if minute_text else self.entered_at

    def after(self, visit: str) -> Enrollment:
        """Return the enrollment as it stands after a visit that was noted meanwhile."""
        return replace(self, row=replace(self.row, last=visit))

    def within(self, cohort: str) -> Enrollment:
        """Return the enrollment as it stands after it was moved to a cohort."""
        return replace(self, row=replace(self.row, cohort=cohort))


class CohortState(StrEnum):
    """OPEN: may be joined. CLOSED: under way; who comes too late joins the next one. ENDED: nobody is left in it."""

    OPEN = "open"
    CLOSED = "closed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Cohort:
    """Everyone who must do a node of a version at an instant. at_node, at_due: where it stands now.

    run: number of the execution that may act for it; a call of any other is told to stop. is_started: whether that one was
    started; began_at: when; events: what its history holds so far, estimated. hold: why nobody may start it but who mends
    it. shifted: the end of the last pause by which it was put off. progress_at: the last sign of life. closed_at: since when
    nobody joins, by the machine's clock; first_visit: the one at which its members were listed first; acted: the visit of
    the last action that was begun; is_swept: nobody who came too late is left in it.
    """

    cohort_id: CohortId
    scenario_id: ScenarioId
    version: int
    node: str
    due: datetime
    state: CohortState
    at_node: str
    at_due: datetime
    is_started: bool
    shards: int = 1
    run: int = 0
    began_at: datetime | None = None
    events: int = 0
    hold: str = ""
    shifted: datetime | None = None
    progress_at: datetime | None = None
    closed_at: datetime | None = None
    first_visit: str = ""
    acted: str = ""
    is_swept: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """A cohort that does not move by itself. why: `overdue`, `held`, `paused` or `far` (started when it has come near)."""

    cohort: Cohort
    why: str


@dataclass(frozen=True, slots=True)
class Move:
    """An enrollment's way to another cohort. note: why, kept on its path under the visit that it leaves; may be empty.

    is_late: he has come too late into the cohort that he leaves, and stays if it has counted him after all.
    """

    one: Enrollment
    visit: str = ""
    note: str = ""
    is_late: bool = False

    def noted(self, target: str) -> str:
        """Return the note with the instant of the cohort that the way leads to, which is not always the one looked for."""
        return f"{self.note} {target.rpartition('-')[2]}"


def is_late(header: Cohort, one: Enrollment) -> bool:
    """Say whether somebody who is listed in a closed cohort may have come too late for its first visit.

    Not who came so long before it closed that whoever brought him had ended by then, nor whom it has counted or acted on.
    """
    if one.came_at is None or header.closed_at is None or one.came_at < header.closed_at - LONGEST_CALL:
        return False
    return one.seen_by != header.cohort_id and header.first_visit not in one.path


def is_past_first(header: Cohort) -> bool:
    """Say whether a cohort has left the visit at which its members were listed first."""
    return bool(header.first_visit) and visit_of(header.at_node, header.at_due) != header.first_visit


@lru_cache(maxsize=4096)
def minute(moment: datetime) -> str:
    """Return the compact form of a full minute, `202611221030`."""
    return aware(moment).strftime("%Y%m%d%H%M")


@lru_cache(maxsize=4096)  # asked of every member of a page, and all of them have the same few
def from_minute(text: str) -> datetime:
    """Return the instant of `minute`."""
    return datetime.strptime(text, "%Y%m%d%H%M").replace(tzinfo=UTC)


def cohort_id(scenario_id: ScenarioId, version: int, node: str, due: datetime) -> CohortId:
    """Return the name of a cohort, which is also the name of its execution (AWS allows 80 characters)."""
    return CohortId(f"{scenario_id}-v{version}-{node}-{minute(due)}")


def parse_cohort_id(text: str) -> tuple[ScenarioId, int, str, datetime]:
    """Return scenario, version, node and instant of a cohort's name. Raises ValueError."""
    scenario_id, version, node, due = text.rsplit("-", 3)
    return ScenarioId(scenario_id), int(version.removeprefix("v")), node, from_minute(due)


def visit_of(node: str, due: datetime) -> str:
    """Return the name of one visit of a node: a loop visits the same node at different instants."""
    return f"{node}__{minute(due)}"


def sent_at(one: Enrollment, node: str) -> datetime | None:
    """Return the instant of the last send of a node to the person."""
    minutes = [visit[len(node) + 2 :] for visit, note in one.path.items() if note == "sent" and visit.rpartition("__")[0] == node]
    return from_minute(max(minutes)) if minutes else None

"""Joining cohorts: the one way in which an enrollment's pointer moves. No short cuts; each one that was tried lost somebody.

Order: header if absent → hint → pointer (conditional) → header again; if it has been closed, on to the next cohort. The gate
closes the header before it lists hints. So either the lister sees the hint or the joiner sees the closed header; or both, and
then the row decides: who may have come late is counted in (`seen_by`) or acted on at the cohort's first visit, or moves on.
Who came late and was left there by a crash is found by his hint once nobody can be on his way any more (upkeep's sweep).
tests/pure/test_join_protocol.py runs this code under crashes at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from chalicelib.kernel.clock import to_text
from chalicelib.kernel.errors import NotFoundError
from chalicelib.kernel.ids import CohortId, ScenarioId
from chalicelib.kernel.windows import next_grain
from chalicelib.observability import warning
from chalicelib.ports.database import Item
from chalicelib.ports.machines import Machines
from chalicelib.scenarios.asl import machine_name
from chalicelib.scenarios.model import Cohort, CohortState, Enrollment, Move, cohort_id
from chalicelib.scenarios.records import Records, TableRecords, enrollment_of
from chalicelib.settings import settings

LATE = timedelta(minutes=5)  # who comes too late goes with the next cohort
# A year is the hard limit of an execution; what is further off is started by the daily planner (engines.md 1.5).
INSIDE = timedelta(days=300)
# Every shard costs transitions, and thins out the multicasts of 500; a whole audience still needs several at once: a million
# at 2,000 pushes a second are eight minutes' work for three functions.
FEW_SHARDS, MANY_SHARDS = 1, 8
_MANY = 60  # of a page of 500: an eighth, for whom one shard is enough when they leave a cohort of eight
NO_MACHINE = "its machine was deleted"


class Cohorts:
    """Cohorts and who is in them."""

    def __init__(self, records: Records, machines: Machines) -> None:
        self._records = records
        self._machines = machines

    def move(self, moves: Sequence[Move], version: int, node: str, due: datetime, now: datetime, shards: int = FEW_SHARDS) -> int:
        """Move enrollments of one scenario to (node, due); return how many moved. Who has acted or left stays where he is.

        shards: those of the cohort that they leave; one to which many of a page go gets as many.
        """
        if not moves:
            return 0
        header = self.open(moves[0].one.scenario_id, version, node, due, shards if len(moves) > _MANY else FEW_SHARDS)
        target, page, moved = header.cohort_id, self._records.page, 0
        for start in range(0, len(moves), page):
            part = moves[start : start + page]
            self._records.put_hints(header, [move.one for move in part])
            won = self._records.move_pointers(part, target, version=version, at=now)
            moved += sum(won)
            self._follow_up(target, [move.one for move, ours in zip(part, won, strict=True) if ours], now)
        self.start(target, now)
        return moved

    def enter(self, items: Sequence[Item], target: CohortId, now: datetime) -> list[bool]:
        """Write new enrollments straight into a cohort whose execution is started later; True for those that are new."""
        if not isinstance(self._records, TableRecords):
            raise TypeError("only kept records can be entered")
        self._records.ensure_cohort(target, MANY_SHARDS)
        header = self._records.cohort(target)
        ones = [enrollment_of(item) for item in items]
        if header is None or not ones:
            return []
        self._records.put_hints(header, ones)
        fresh = self._records.insert([{**item, "came_at": to_text(now)} for item in items])
        self._follow_up(target, [one for one, new in zip(ones, fresh, strict=True) if new], now)
        return fresh

    def _follow_up(self, target: CohortId, joined: Sequence[Enrollment], now: datetime) -> None:
        """Move those on who came into a cohort as it closed.

        joined: as they were before they joined. Whether the gate still saw a hint cannot be known, but the row can tell: a
        member whom the cohort has acted on has another `last` by now, or was counted in, and his pointer stays.
        """
        header = self._records.cohort(target)
        if joined and header is not None and header.state is not CohortState.OPEN:
            self.move_on(header, [one.within(target) for one in joined], now)

    def move_on(self, header: Cohort, late: Sequence[Enrollment], now: datetime) -> None:
        """Move those to the next cohort of a closed one's first node who came too late for it."""
        moves = [Move(one, is_late=True) for one in late]
        self.move(moves, header.version, header.node, max(header.due, now) + LATE, now)

    def open(self, scenario_id: ScenarioId, version: int, node: str, due: datetime, shards: int) -> Cohort:
        """Return the first cohort of a node at or after an instant that may be joined."""
        moment = next_grain(due, timedelta(minutes=1))
        while True:
            name = cohort_id(scenario_id, version, node, moment)
            self._records.ensure_cohort(name, shards)
            header = self._records.cohort(name)
            if header is not None and header.state is CohortState.OPEN:
                return header
            moment += LATE

    def start(self, name: CohortId, now: datetime) -> bool:
        """Start the execution of a cohort unless it runs or is too far off; say whether it is started now."""
        header = self._records.cohort(name)
        if header is None or header.state is CohortState.ENDED or header.is_started or header.hold or header.at_due - now > INSIDE:
            return False
        return self._launch(header, now)

    def park(self, header: Cohort, **values: object) -> bool:
        """Take a cohort from whatever execution acts for it; that one is told to stop. False when somebody was faster.

        Whoever starts it next starts one of another name, so a cohort that is not started never has one under way.
        """
        return self._records.set_cohort(header, **{"run": header.run + 1, "is_started": False, "events": 0, **values})

    def start_again(self, header: Cohort, now: datetime, **values: object) -> bool:
        """Give a cohort a new execution; whatever acts for it by an older one is told to stop. False when somebody was faster.

        values: more of the header to change with it.
        """
        return self.park(header, **{"hold": "", **values}) and self.start(header.cohort_id, now)

    def _launch(self, header: Cohort, now: datetime) -> bool:
        execution = f"{header.cohort_id}-r{header.run}" if header.run else str(header.cohort_id)
        data = {"cohort": header.cohort_id, "due": f"{header.at_due:%Y-%m-%dT%H:%M:%SZ}", "run": header.run}
        try:
            self._machines.start(machine_name(settings().stage, header.scenario_id, header.version), execution, data)
        except NotFoundError:
            # Somebody came into a version long after everybody had left it; who may publish machines publishes it again.
            warning("a cohort waits for its machine", cohort=header.cohort_id)
            self.park(header, hold=NO_MACHINE)
            return False
        self._records.set_cohort(header, is_started=True, began_at=now)
        return True

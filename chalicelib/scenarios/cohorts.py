"""Joining cohorts: the one way in which an enrollment's pointer moves. No short cuts; each one that was tried lost somebody.

Order: header if absent → hint → pointer (conditional) → header again; if it has been closed, on to the next cohort. The gate
closes the header before it lists hints. So either the lister sees the hint or the joiner sees the closed header.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.kernel.ids import CohortId, ScenarioId
from chalicelib.kernel.windows import next_grain
from chalicelib.ports.database import Database, Item
from chalicelib.ports.machines import Machines
from chalicelib.scenarios import table
from chalicelib.scenarios.asl import machine_name
from chalicelib.scenarios.graph import LONGEST_WAIT
from chalicelib.scenarios.model import CohortState, Enrollment, cohort_id, parse_cohort_id
from chalicelib.settings import settings

LATE = timedelta(minutes=5)  # who comes too late goes with the next cohort
PAGE = 500


class Cohorts:
    """Cohorts and who is in them."""

    def __init__(self, database: Database, machines: Machines) -> None:
        self._database = database
        self._machines = machines

    def move(self, ones: Sequence[Enrollment], version: int, node: str, due: datetime, now: datetime) -> int:
        """Move enrollments of one scenario to (node, due); return how many moved. Who has acted or left stays where he is."""
        if not ones:
            return 0
        target = self._open(ones[0].scenario_id, version, node, due)
        moved = 0
        for start in range(0, len(ones), PAGE):
            page = ones[start : start + PAGE]
            table.put_hints(self._database, target, [(one.cid, (one.row.pk, one.row.sk)) for one in page])
            won = table.move_pointers(self._database, [(one, target) for one in page])
            moved += sum(won)
            self._follow_up(target, [_in(one, target) for one, ours in zip(page, won, strict=True) if ours], now)
        self.start(target, now)
        return moved

    def enter(self, items: Sequence[Item], target: CohortId, now: datetime) -> list[bool]:
        """Write new enrollments straight into a cohort whose execution is started later; True for those that are new."""
        table.ensure_cohort(self._database, target)
        table.put_hints(self._database, target, [(item["cid"], (item["pk"], item["sk"])) for item in items])
        fresh = table.insert_enrollments(self._database, items)
        self._follow_up(target, [table.enrollment_of(item) for item, new in zip(items, fresh, strict=True) if new], now)
        return fresh

    def _follow_up(self, target: CohortId, joined: Sequence[Enrollment], now: datetime) -> None:
        """Move those on who came into a cohort as it closed.

        joined: as they were when they joined. Whether the gate still saw a hint cannot be known, but the row can tell: a
        member whom the cohort has acted on has another `last` by now, and his pointer stays.
        """
        header = table.cohort(self._database, target)
        if joined and header is not None and header.state is not CohortState.OPEN:
            self.move(joined, header.version, header.node, max(header.due, now) + LATE, now)

    def _open(self, scenario_id: ScenarioId, version: int, node: str, due: datetime) -> CohortId:
        moment = next_grain(due, timedelta(minutes=1))
        while True:
            name = cohort_id(scenario_id, version, node, moment)
            table.ensure_cohort(self._database, name)
            header = table.cohort(self._database, name)
            if header is not None and header.state is CohortState.OPEN:
                return name
            moment += LATE

    def start(self, name: CohortId, now: datetime, *, again: str = "") -> None:
        """Start the execution of a cohort; one that is too far off waits for the planner.

        again: appended to the execution's name when a parked or broken one is to run once more.
        """
        header = table.cohort(self._database, name)
        if header is None or header.due - now > LONGEST_WAIT or (header.is_started and not again):
            return
        scenario_id, version, _, _ = parse_cohort_id(name)
        data = {"cohort": name, "due": f"{header.at_due:%Y-%m-%dT%H:%M:%SZ}"}
        self._machines.start(machine_name(settings().stage, scenario_id, version), f"{name}{again}", data)
        table.set_cohort(self._database, name, is_started=True)


def _in(one: Enrollment, cohort: CohortId) -> Enrollment:
    return replace(one, row=replace(one.row, cohort=cohort))

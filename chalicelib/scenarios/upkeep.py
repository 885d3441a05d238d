"""Pause, resume, call off, move to another version; and the hourly and daily look at cohorts that nobody moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.observability import gauge, warning
from chalicelib.ports.machines import Machines
from chalicelib.scenarios import table
from chalicelib.scenarios.asl import machine_name
from chalicelib.scenarios.cohorts import Cohorts
from chalicelib.scenarios.graph import EndNode, WaitNode, is_timed, wait_ends
from chalicelib.scenarios.model import (
    Cohort,
    CohortState,
    EnrollmentStatus,
    Move,
    Relocation,
    ScenarioHead,
    ScenarioState,
    visit_of,
)
from chalicelib.scenarios.records import TableRecords
from chalicelib.scenarios.service import Scenarios
from chalicelib.settings import settings

_OVERDUE = {CohortState.OPEN: timedelta(minutes=10), CohortState.CLOSED: timedelta(hours=1)}
_DAY = timedelta(days=1)
ResumeMode = Literal["now", "shift", "skip"]
Step = dict[str, Any]


class Upkeep:
    """Looks after what is under way. Long work goes step by step through the work queue."""

    def __init__(self, scenarios: Scenarios, cohorts: Cohorts, records: TableRecords, machines: Machines, clock: Clock) -> None:
        self._scenarios = scenarios
        self._cohorts = cohorts
        self._records = records
        self._machines = machines
        self._clock = clock

    # Pause and resume --------------------------------------------------------------------------------------------------------

    def pause(self, scenario_id: str, reason: str = "") -> ScenarioHead:
        """Park a scenario: nobody enters, nothing leaves, everybody keeps his place. Raises ConflictError."""
        head = self._scenarios.get(scenario_id)
        if head.state is not ScenarioState.ACTIVE:
            raise ConflictError("scenario.not_active")
        now = self._clock.now()
        return self._scenarios.keep(
            replace(head, state=ScenarioState.PAUSED, revision=head.revision + 1, pause_reason=reason, paused_at=now)
        )

    def pause_for(self, cohort_name: str, reason: str) -> None:
        """Park the scenario of a cohort because nothing can be sent at all (LINE's month is used up); a person resumes it."""
        header = self._records.cohort(cohort_name)
        if header is not None and self._scenarios.get(header.scenario_id).state is ScenarioState.ACTIVE:
            self.pause(header.scenario_id, reason)

    def resume(self, scenario_id: str, mode: ResumeMode = "now") -> ScenarioHead:
        """Go on where everybody stands. Raises ConflictError(`scenario.not_paused`).

        mode: what became due in the pause leaves `now`; or everything is put off by the pause (`shift`, by whole days where a
        clock time is waited for); or what became due is left out (`skip`).
        """
        head = self._scenarios.get(scenario_id)
        if head.state is not ScenarioState.PAUSED:
            raise ConflictError("scenario.not_paused")
        now = self._clock.now()
        # Their times first: when this stops half-way the scenario is still paused, and the same call goes on.
        for cohort in self._records.live_cohorts(scenario_id):
            self._retime(cohort, head.paused_at or now, now, mode)
        active = self._scenarios.keep(
            replace(head, state=ScenarioState.ACTIVE, revision=head.revision + 1, pause_reason="", paused_at=None)
        )
        for cohort in self._records.live_cohorts(scenario_id):
            if cohort.at_due <= now or not cohort.is_started:
                self._cohorts.start_again(cohort, now)
        self._scenarios.arm(active)
        return active

    def _retime(self, cohort: Cohort, paused_at: datetime, now: datetime, mode: ResumeMode) -> None:
        mark = f"{mode} {paused_at:%Y%m%d%H%M%S}"  # the same pause changes a cohort once
        if cohort.hold == mark or mode == "now":
            return
        if mode == "skip":
            if cohort.at_due <= now:
                self._records.set_cohort(cohort, skip_until=now)
            return
        version = self._records.version(cohort.scenario_id, cohort.version)
        node = version.graph.nodes[cohort.at_node] if version else None
        length = now - paused_at
        if isinstance(node, WaitNode) or is_timed(node) if node else False:
            length = -(-length // _DAY) * _DAY if getattr(node, "at", "") else length
        # A new run: the execution that sleeps until the old instant is told to stop when it wakes.
        self._records.set_cohort(cohort, at_due=cohort.at_due + length, run=cohort.run + 1, is_started=False, hold=mark)

    # Calling off -------------------------------------------------------------------------------------------------------------

    def stop(self, scenario_id: str, reason: str = "") -> tuple[ScenarioHead, list[Step]]:
        """Call a scenario off for good: from now on nothing leaves; the steps take everybody out, page by page."""
        head = self._scenarios.get(scenario_id)
        if head.state not in (ScenarioState.ACTIVE, ScenarioState.PAUSED):
            raise ConflictError("scenario.not_active")
        stopped = self._scenarios.keep(
            replace(head, state=ScenarioState.STOPPED, revision=head.revision + 1, pause_reason=reason, paused_at=None)
        )
        return stopped, self._steps("scenario_stop_page", scenario_id, None)

    def stop_page(self, name: str, shard: int, cursor: str) -> list[Step]:
        """Take one page of a cohort out of a scenario that was called off; return the step that follows."""
        header = self._records.cohort(name)
        if header is None or self._scenarios.get(header.scenario_id).state is not ScenarioState.STOPPED:
            return []
        found, following = self._records.members(name, shard, cursor, self._records.page)
        ours = [one for one in found if one.row.cohort == name]
        self._records.end_enrollments(ours, EnrollmentStatus.EXITED, "stopped", self._clock.now(), in_cohort=False)
        return self._next_page("scenario_stop_page", header, shard, following)

    # To another version ------------------------------------------------------------------------------------------------------

    def relocate(self, scenario_id: str, from_version: int, mapping: Mapping[str, str]) -> tuple[ScenarioHead, list[Step]]:
        """Move everybody in flight on a version to the current one, by node id or as `mapping` says ("" is the exit).

        Raises InvalidError(`scenario.nodes_unmapped`) with the nodes of the old version that the new one lacks.
        """
        head = self._scenarios.get(scenario_id)
        old = self._records.version(scenario_id, from_version)
        new = self._records.version(scenario_id, head.version)
        if old is None or new is None or from_version >= head.version:
            raise NotFoundError("scenario.version_unknown", scenario_id=scenario_id, version=from_version)
        missing = [
            node_id
            for node_id in old.graph.nodes
            if node_id not in mapping and node_id not in new.graph.nodes and not isinstance(old.graph.nodes[node_id], EndNode)
        ]
        unknown = [target for target in mapping.values() if target and target not in new.graph.nodes]
        if missing or unknown:
            raise InvalidError("scenario.nodes_unmapped", missing=missing or ["-"], known=unknown or ["-"])
        moves = {**head.moves, from_version: Relocation(head.version, dict(mapping))}
        kept = self._scenarios.keep(replace(head, moves=moves, revision=head.revision + 1))
        return kept, self._steps("scenario_move_page", scenario_id, from_version)

    def move_page(self, name: str, shard: int, cursor: str) -> list[Step]:
        """Move one page of a cohort to the version that was ordered; return the step that follows."""
        header = self._records.cohort(name)
        head = self._scenarios.get(header.scenario_id) if header else None
        if header is None or head is None or header.version not in head.moves:
            return []
        order = head.moves[header.version]
        mark = f"moves to v{order.to_version}"
        if header.hold != mark:
            # Nobody joins it any more, and whatever execution acts for it is told to stop.
            self._records.close_cohort(name)
            self._records.set_cohort(header, run=header.run + 1, is_started=True, hold=mark)
            header = self._records.cohort(name) or header
        new = self._records.version(header.scenario_id, order.to_version)
        if new is None:
            return []
        found, following = self._records.members(name, shard, cursor, self._records.page)
        ours = [one for one in found if one.row.cohort == name and one.row.status == EnrollmentStatus.ACTIVE]
        target = order.mapping.get(header.at_node, header.at_node)
        now = self._clock.now()
        if not target or target not in new.graph.nodes:
            self._records.end_enrollments(ours, EnrollmentStatus.EXITED, "version_moved", now, in_cohort=True)
            return self._next_page("scenario_move_page", header, shard, following)
        groups: dict[datetime, list[Move]] = {}
        node = new.graph.nodes[target]
        for one in ours:
            # The wait of the new version counts from where his own wait began.
            due = max(wait_ends(node, one.last_due), now) if is_timed(node) else max(header.at_due, now)  # type: ignore[arg-type]
            note = f"moved {target} version {order.to_version}"
            groups.setdefault(due, []).append(Move(one, visit_of(header.at_node, header.at_due), note))
        for due, moves in groups.items():
            self._cohorts.move(moves, order.to_version, target, due, now)
        return self._next_page("scenario_move_page", header, shard, following)

    def _steps(self, op: str, scenario_id: str, version: int | None) -> list[Step]:
        cohorts = self._records.live_cohorts(scenario_id)
        return [_first_step(op, cohort) for cohort in cohorts if version in (None, cohort.version)]

    def _next_page(self, op: str, header: Cohort, shard: int, following: str) -> list[Step]:
        if following:
            return [{"op": op, "cohort": header.cohort_id, "shard": shard, "cursor": following}]
        if shard + 1 < header.shards:
            return [{"op": op, "cohort": header.cohort_id, "shard": shard + 1, "cursor": ""}]
        self._records.end_cohort(header)
        return []

    # Keeping the promise -----------------------------------------------------------------------------------------------------

    def reconcile(self) -> tuple[int, list[Step]]:
        """Start cohorts that nobody moves, and finish what was ordered; return how many, and steps for the work queue."""
        now = self._clock.now()
        started, steps, overdue, held = 0, list[Step](), 0, 0
        for head in table.heads():
            for cohort in self._records.live_cohorts(head.scenario_id):
                if head.state is ScenarioState.STOPPED:
                    steps.append(_first_step("scenario_stop_page", cohort))
                elif cohort.version in head.moves:
                    steps.append(_first_step("scenario_move_page", cohort))
                elif head.state is ScenarioState.ACTIVE:
                    late = self._is_overdue(cohort, now)
                    overdue += late
                    held += bool(cohort.hold)
                    if late or not cohort.is_started:
                        started += (
                            self._cohorts.start_again(cohort, now)
                            if late or cohort.hold
                            else self._cohorts.start(cohort.cohort_id, now)
                        )
        gauge("CohortsOverdue", overdue)
        gauge("CohortsHeld", held)
        return started, steps

    def _is_overdue(self, cohort: Cohort, now: datetime) -> bool:
        alive = max(cohort.at_due, cohort.progress_at or cohort.at_due)
        return cohort.is_started and alive < now - _OVERDUE.get(cohort.state, timedelta(0))

    def plan(self) -> int:
        """Once a day: start what has come near enough, and delete the machines of versions in which nobody is left."""
        now = self._clock.now()
        started = 0
        for head in table.heads():
            live = self._records.live_cohorts(head.scenario_id)
            if head.state is ScenarioState.ACTIVE:
                started += sum(self._cohorts.start(cohort.cohort_id, now) for cohort in live if not cohort.is_started)
            self._tidy(head, {cohort.version for cohort in live}, now)
        return started

    def _tidy(self, head: ScenarioHead, in_use: set[int], now: datetime) -> None:
        for version in table.versions(head.scenario_id):
            number = version["version"]
            is_current = number == head.version and head.state is not ScenarioState.STOPPED
            if is_current or version["ended_at"] or number in in_use:
                continue
            try:
                self._machines.delete(machine_name(settings().stage, head.scenario_id, number))
            except NotFoundError:
                warning("a machine was gone already", scenario_id=head.scenario_id, version=number)
            table.end_version(head.scenario_id, number, now)

    def restart(self) -> int:
        """Start every live cohort anew: all executions were lost (a restored backup, MiniStack's restart); return how many.

        Harmless while the old ones live: they are told to stop.
        """
        now = self._clock.now()
        active = [head for head in table.heads() if head.state is ScenarioState.ACTIVE]
        found = [cohort for head in active for cohort in self._records.live_cohorts(head.scenario_id)]
        return sum(self._cohorts.start_again(cohort, now) for cohort in found)


def _first_step(op: str, cohort: Cohort) -> Step:
    return {"op": op, "cohort": cohort.cohort_id, "shard": 0, "cursor": ""}

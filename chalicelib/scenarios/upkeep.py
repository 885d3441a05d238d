"""Pause, resume, call off, move to another version; and the hourly and daily look at cohorts that nobody moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal

from chalicelib.kernel.clock import Clock, from_text
from chalicelib.kernel.errors import ConflictError, DomainError, NotFoundError, SendingStoppedError
from chalicelib.kernel.facts import Fact
from chalicelib.kernel.ids import ScenarioId
from chalicelib.observability import gauge, warning
from chalicelib.ports.machines import Machines
from chalicelib.scenarios import table
from chalicelib.scenarios.asl import compile_machine, machine_name
from chalicelib.scenarios.cohorts import INSIDE, NO_MACHINE, Cohorts
from chalicelib.scenarios.engine import Engine
from chalicelib.scenarios.graph import WaitForResponseNode, WaitNode, is_timed
from chalicelib.scenarios.model import (
    LONGEST_CALL,
    Cohort,
    CohortState,
    EnrollmentStatus,
    Relocation,
    ScenarioHead,
    ScenarioState,
    Standing,
    is_late,
    is_past_first,
)
from chalicelib.scenarios.records import TableRecords
from chalicelib.scenarios.relocation import Relocations, is_moving, put_off
from chalicelib.scenarios.service import Scenarios
from chalicelib.settings import settings

_OVERDUE = {CohortState.OPEN: timedelta(minutes=10), CohortState.CLOSED: timedelta(hours=1)}
# A message about a person may lie in a queue for fourteen days, and may still bring him into the version of then.
_KEEP_MACHINES = timedelta(days=15)
_COHORTS_A_STEP = 50
ResumeMode = Literal["now", "shift", "skip"]
Step = dict[str, Any]


class Upkeep:
    """Looks after what is under way. Long work goes step by step through the work queue (`do`)."""

    def __init__(
        self,
        scenarios: Scenarios,
        cohorts: Cohorts,
        records: TableRecords,
        machines: Machines,
        engine: Engine,
        relocations: Relocations,
        clock: Clock,
    ) -> None:
        self._scenarios = scenarios
        self._cohorts = cohorts
        self._records = records
        self._machines = machines
        self._engine = engine
        self._relocations = relocations
        self._clock = clock

    # Orders ------------------------------------------------------------------------------------------------------------------

    def pause(self, scenario_id: str, reason: str = "") -> ScenarioHead:
        """Park a scenario: nobody enters, nothing leaves, everybody keeps his place. Raises ConflictError."""
        head = self._scenarios.get(scenario_id)
        if head.state is not ScenarioState.ACTIVE:
            raise ConflictError("scenario.not_active")
        return self._keep(head, state=ScenarioState.PAUSED, pause_reason=reason, paused_at=self._clock.now())

    def pause_for(self, cohort_name: str, reason: str) -> None:
        """Park the scenario of a cohort because nothing can be sent at all (LINE's month is used up); a person resumes it."""
        header = self._records.cohort(cohort_name)
        if header is not None and self._scenarios.get(header.scenario_id).state is ScenarioState.ACTIVE:
            self.pause(header.scenario_id, reason)

    def resume(self, scenario_id: str, mode: ResumeMode = "now") -> tuple[ScenarioHead, list[Step]]:
        """Go on where everybody stands; the steps start everybody. Raises ConflictError(`scenario.not_paused`).

        One that is active is carried on with: the call that resumed it may have broken off before it had its steps.
        mode: what became due in the pause leaves `now`; or what it would have sent is left out (`skip`); or every wait is put
        off by the pause (`shift`, to the next clock time and weekday that it waits for), and the scenario is active after that.
        """
        head = self._scenarios.get(scenario_id)
        if head.state is ScenarioState.ACTIVE:
            return head, self._carry_on(head)
        if head.state is not ScenarioState.PAUSED:
            raise ConflictError("scenario.not_paused")
        now = self._clock.now()
        since = head.paused_at or now
        if mode == "shift" or head.resumes_at:  # once begun it is carried through
            kept = head if head.resumes_at else self._keep(head, resumes_at=now)
            return kept, [_cohorts_step(scenario_id, "shift")]
        return self._go_on(head, skipped=(since, now) if mode == "skip" else head.skipped)

    def stop(self, scenario_id: str, reason: str = "") -> tuple[ScenarioHead, list[Step]]:
        """Call a scenario off for good: from now on nothing leaves; the steps take everybody out, page by page."""
        head = self._scenarios.get(scenario_id)
        if head.state not in (ScenarioState.ACTIVE, ScenarioState.PAUSED):
            raise ConflictError("scenario.not_active")
        stopped = self._keep(head, state=ScenarioState.STOPPED, pause_reason=reason, paused_at=None, resumes_at=None)
        return stopped, [_cohorts_step(scenario_id, "stop")]

    def relocate(self, scenario_id: str, from_version: int, mapping: Mapping[str, str]) -> tuple[ScenarioHead, list[Step]]:
        """Move everybody in flight on a version to the current one, by node id or as `mapping` says ("" is the exit).

        Raises InvalidError(`scenario.nodes_unmapped`) with the nodes of the old version that the new one lacks.
        """
        head = self._scenarios.get(scenario_id)
        self._relocations.check(head, from_version, mapping)
        kept = self._keep(head, moves={**head.moves, from_version: Relocation(head.version, dict(mapping))})
        return kept, [_cohorts_step(scenario_id, "move")]

    def _keep(self, head: ScenarioHead, **changes: Any) -> ScenarioHead:
        return self._scenarios.keep(replace(head, revision=head.revision + 1, **changes))

    def _go_on(self, head: ScenarioHead, **changes: Any) -> tuple[ScenarioHead, list[Step]]:
        active = self._keep(head, state=ScenarioState.ACTIVE, pause_reason="", paused_at=None, resumes_at=None, **changes)
        return active, self._carry_on(active)

    def _carry_on(self, head: ScenarioHead) -> list[Step]:
        self._scenarios.arm(head)
        return [_cohorts_step(head.scenario_id, "start")]

    # Steps -------------------------------------------------------------------------------------------------------------------

    def do(self, step: Step, tell: Callable[[Sequence[Fact]], None]) -> list[Step]:
        """Do one step; return those that follow. Harmless when it is done again, or too late. tell: hears what came of it."""
        match step["op"]:
            case "scenario_cohorts":
                return self._for_cohorts(step)
            case "scenario_stop_page":
                return self._stop_page(step["cohort"], step["shard"], step["cursor"])
            case "scenario_move_page":
                return self._move_page(step, tell)
            case "scenario_sweep_page":
                return self._sweep_page(step["cohort"], step["shard"], step["cursor"])
            case unknown:
                raise DomainError("step.unknown", op=unknown)

    def _for_cohorts(self, step: Step) -> list[Step]:
        """Do what was ordered with some of a scenario's live cohorts."""
        head, what = self._scenarios.get(step["scenario_id"]), step["what"]
        if what == "shift" and (head.state is not ScenarioState.PAUSED or head.resumes_at is None):
            return self._carry_on(head) if head.state is ScenarioState.ACTIVE else []  # the last step may have broken off
        found, following = self._records.live_page(head.scenario_id, step["after"], _COHORTS_A_STEP)
        steps = [more for cohort in found for more in self._for_cohort(what, head, cohort)]
        if following:
            return [*steps, {**step, "after": following}]
        return self._go_on(head)[1] if what == "shift" else steps

    def _for_cohort(self, what: str, head: ScenarioHead, cohort: Cohort) -> list[Step]:
        if what == "stop" and head.state is ScenarioState.STOPPED:
            return [_first_page("scenario_stop_page", cohort)]
        if what == "move" and cohort.version in head.moves:
            return [_first_page("scenario_move_page", cohort)]
        if what == "shift":
            self._shift(head, cohort)
        if what == "start" and head.state is ScenarioState.ACTIVE and cohort.version not in head.moves:
            self._start(cohort, self._clock.now())
        return []

    def _start(self, cohort: Cohort, now: datetime) -> bool:
        """Start a cohort unless it is under way or being moved; one that was held gets another try."""
        if is_moving(cohort):
            return False
        return self._cohorts.start_again(cohort, now) if cohort.hold else self._cohorts.start(cohort.cohort_id, now)

    def _shift(self, head: ScenarioHead, cohort: Cohort) -> None:
        version = self._records.version(cohort.scenario_id, cohort.version)
        node = version.graph.nodes[cohort.at_node] if version else None
        if head.resumes_at is None or head.paused_at is None or cohort.shifted == head.resumes_at:
            return
        if not isinstance(node, WaitNode | WaitForResponseNode) or not is_timed(node):
            return  # what is no wait was due and is done at once; a person's own date does not move
        later = put_off(node, cohort.at_due, head.resumes_at - head.paused_at)
        # The execution that sleeps until the old instant is told to stop when it wakes.
        self._cohorts.park(cohort, at_due=later, shifted=head.resumes_at)

    def _stop_page(self, name: str, shard: int, cursor: str) -> list[Step]:
        """Take one page of a cohort out of a scenario that was called off."""
        header = self._records.cohort(name)
        if header is None or self._scenarios.get(header.scenario_id).state is not ScenarioState.STOPPED:
            return []
        found, following = self._records.members(name, shard, cursor, self._records.page)
        ours = [one for one in found if one.row.cohort == name]
        self._records.end_enrollments(ours, EnrollmentStatus.EXITED, "stopped", self._clock.now(), in_cohort=False)
        try:
            self._engine.finish(header, found, skip="stopped")  # whoever was claimed and not written to gets nothing
        except SendingStoppedError as error:
            warning("a message waits until sending is possible again", scenario_id=header.scenario_id, reason=error.reason)
        return self._next_page("scenario_stop_page", header, shard, following)

    def _move_page(self, step: Step, tell: Callable[[Sequence[Fact]], None]) -> list[Step]:
        """Move one page of a cohort to the version that was ordered."""
        header = self._records.cohort(step["cohort"])
        head = self._scenarios.get(header.scenario_id) if header else None
        if header is None or head is None or header.version not in head.moves or header.state is CohortState.ENDED:
            return []
        order = head.moves[header.version]
        moved = self._relocations.move_page(header, order, step["shard"], step["cursor"], self._clock.now(), tell)
        # An execution that had begun this page may have come between: whom it has acted on is moved as he stands now.
        return [step] if moved is None else self._next_page("scenario_move_page", header, step["shard"], moved)

    def _next_page(self, op: str, header: Cohort, shard: int, following: str) -> list[Step]:
        if following:
            return [{"op": op, "cohort": header.cohort_id, "shard": shard, "cursor": following}]
        if shard + 1 < header.shards:
            return [{"op": op, "cohort": header.cohort_id, "shard": shard + 1, "cursor": ""}]
        fresh = self._records.cohort(header.cohort_id)
        if fresh is None:
            return []
        if op == "scenario_sweep_page":
            self._records.set_cohort(fresh, is_swept=True)
            if fresh.state is CohortState.ENDED:
                self._records.forget_cohort(fresh)
            return []
        self._records.close_cohort(fresh.cohort_id, self._clock.now())
        self._records.end_cohort(fresh)
        return []

    def _sweep_page(self, name: str, shard: int, cursor: str) -> list[Step]:
        """Move those on, page by page, who came into a cohort too late and were left there by a crash."""
        header = self._records.cohort(name)
        if header is None:
            return []
        found, following = self._records.members(name, shard, cursor, self._records.page)
        ours = [one for one in found if one.row.cohort == name and one.row.status == EnrollmentStatus.ACTIVE]
        self._cohorts.move_on(header, [one for one in ours if is_late(header, one)], self._clock.now())
        return self._next_page("scenario_sweep_page", header, shard, following)

    # Keeping the promise -----------------------------------------------------------------------------------------------------

    def reconcile(self) -> tuple[int, list[Step]]:
        """Start cohorts that nobody moves, and finish what was ordered; return how many, and steps for the work queue."""
        now = self._clock.now()
        started, steps, whys = 0, list[Step](), list[str]()
        for head in self._scenarios.everyone():
            known = self._records.known_cohorts(head.scenario_id)
            steps += [_first_page("scenario_sweep_page", cohort) for cohort in known if needs_sweep(cohort, now)]
            live = [cohort for cohort in known if cohort.state is not CohortState.ENDED]
            if head.resumes_at is not None:
                steps.append(_cohorts_step(head.scenario_id, "shift"))
            if head.state is ScenarioState.STOPPED and live:
                steps.append(_cohorts_step(head.scenario_id, "stop"))
            if any(cohort.version in head.moves for cohort in live):
                steps.append(_cohorts_step(head.scenario_id, "move"))
            if head.state is not ScenarioState.ACTIVE:
                continue
            for cohort in live:
                why = why_standing(head, cohort, now)
                whys.append(why)
                if cohort.version in head.moves or why == "far":
                    continue
                if cohort.hold == NO_MACHINE:
                    self._publish_again(cohort.scenario_id, cohort.version)
                started += self._cohorts.start_again(cohort, now) if why == "overdue" else self._start(cohort, now)
        gauge("CohortsOverdue", whys.count("overdue"))
        gauge("CohortsHeld", whys.count("held"))
        return started, steps

    def _publish_again(self, scenario_id: ScenarioId, number: int) -> None:
        """Bring back the machine of a version, into which somebody came after everybody had left it, or that is elsewhere."""
        machine = compile_machine(
            self._engine.version(scenario_id, number).graph, scenario_id, number, settings().steps_function_arn
        )
        self._machines.publish(machine_name(settings().stage, scenario_id, number), machine)
        table.reopen_version(scenario_id, number)

    def standing(self) -> list[Standing]:
        """Return the cohorts that do not move by themselves at this moment, by scenario and name."""
        now = self._clock.now()
        found = [(head, cohort) for head in self._scenarios.everyone() for cohort in self._records.live_cohorts(head.scenario_id)]
        whys = ((cohort, why_standing(head, cohort, now)) for head, cohort in found)
        return [Standing(cohort, why) for cohort, why in whys if why]

    def plan(self) -> int:
        """Once a day: start what has come near enough, and delete the machines of versions in which nobody is left."""
        now = self._clock.now()
        started = 0
        for head in self._scenarios.everyone():
            live = self._records.live_cohorts(head.scenario_id)
            if head.state is ScenarioState.ACTIVE:
                waiting = [cohort for cohort in live if not cohort.is_started and cohort.version not in head.moves]
                started += sum(self._cohorts.start(cohort.cohort_id, now) for cohort in waiting)
            self._tidy(head, {cohort.version for cohort in live}, now)
        return started

    def _tidy(self, head: ScenarioHead, in_use: set[int], now: datetime) -> None:
        versions = table.versions(head.scenario_id)
        followed_at = {version["version"] - 1: from_text(version["published_at"]) for version in versions}
        for version in versions:
            number = version["version"]
            left_at = followed_at.get(number, from_text(version["published_at"]))
            is_open = number == head.version and head.state is not ScenarioState.STOPPED
            if is_open or version["ended_at"] or number in in_use or now - left_at < _KEEP_MACHINES:
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
        active = [head for head in self._scenarios.everyone() if head.state is ScenarioState.ACTIVE]
        found = [cohort for head in active for cohort in self._records.live_cohorts(head.scenario_id)]
        return sum(self._cohorts.start_again(cohort, now) for cohort in found if not is_moving(cohort))

    def revive(self) -> int:
        """Bring scenarios back whose data came from another installation: machines, schedules, executions; return how many.

        Harmless when repeated.
        """
        for head in self._scenarios.everyone():
            if not head.version:
                continue
            live = {cohort.version for cohort in self._records.live_cohorts(head.scenario_id)}
            for number in sorted(live | ({head.version} if head.state is not ScenarioState.STOPPED else set())):
                self._publish_again(head.scenario_id, number)
            self._scenarios.arm(head)
        return self.restart()


def why_standing(head: ScenarioHead, cohort: Cohort, now: datetime) -> str:
    """Return why a live cohort does not move by itself (see Standing); empty when it does."""
    if head.state is ScenarioState.PAUSED:
        return "paused"
    if cohort.hold:
        return "held"
    if not cohort.is_started:
        return "far" if cohort.at_due - now > INSIDE else "overdue"
    alive = max(cohort.at_due, cohort.progress_at or cohort.at_due, cohort.began_at or cohort.at_due)
    return "overdue" if alive < now - _OVERDUE.get(cohort.state, timedelta(0)) else ""


def needs_sweep(cohort: Cohort, now: datetime) -> bool:
    """Say whether it is time to look for those who came into a cohort too late: nobody can be on his way into it any more."""
    if cohort.closed_at is None or now - cohort.closed_at < LONGEST_CALL:
        return False
    if cohort.state is CohortState.ENDED:
        return True
    return is_past_first(cohort) and not cohort.is_swept


def _cohorts_step(scenario_id: str, what: str) -> Step:
    return {"op": "scenario_cohorts", "scenario_id": scenario_id, "what": what, "after": ""}


def _first_page(op: str, cohort: Cohort) -> Step:
    return {"op": op, "cohort": cohort.cohort_id, "shard": 0, "cursor": ""}

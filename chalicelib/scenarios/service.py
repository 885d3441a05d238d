"""Draw and publish scenarios, and tell which there are; who is in them is entries', hearing's and upkeep's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chalicelib.kernel.clock import Clock, to_text
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.ids import ScenarioId
from chalicelib.ports.machines import Machines
from chalicelib.ports.schedules import Schedules
from chalicelib.scenarios import table
from chalicelib.scenarios.asl import compile_machine, machine_name, problems_of
from chalicelib.scenarios.graph import Scenario, parse, structure_hash, to_plain
from chalicelib.scenarios.known import Here, LookUp
from chalicelib.scenarios.lint import lint
from chalicelib.scenarios.lint_words import explained
from chalicelib.scenarios.model import ScenarioHead, ScenarioState, Version
from chalicelib.scenarios.published import Published
from chalicelib.scenarios.schedules import next_at, schedule_of
from chalicelib.settings import settings

_ID = re.compile(r"[a-z][a-z0-9_]{0,23}\Z")


class Scenarios:
    """Scenarios as they are drawn and published."""

    def __init__(
        self,
        published: Published,
        look_up: LookUp,
        machines: Machines,
        schedules: Schedules,
        clock: Clock,
    ) -> None:
        self._published = published
        self._look_up = look_up
        self._machines = machines
        self._schedules = schedules
        self._clock = clock

    def save_draft(self, scenario_id: str, data: Mapping[str, Any]) -> ScenarioHead:
        """Keep a drawing, finished or not. Raises InvalidError(`scenario.id_malformed`, `scenario.malformed`)."""
        if not _ID.match(scenario_id):
            raise InvalidError("scenario.id_malformed")
        scenario = parse(data)
        old = table.head(scenario_id)
        if old:
            return self.keep(replace(old, name=scenario.name, draft=data, revision=old.revision + 1))
        return self.keep(ScenarioHead(ScenarioId(scenario_id), scenario.name, ScenarioState.DRAFT, 0, data, 1))

    def save_text(self, scenario_id: str, text: str) -> ScenarioHead:
        """Keep a drawing written as YAML. Raises InvalidError(`scenario.yaml_malformed`) besides `save_draft`'s."""
        from chalicelib.scenarios.yaml_text import read  # few calls need it, and it takes its time to import

        return self.save_draft(scenario_id, read(text))

    def text(self, scenario_id: str) -> str:
        """Return the drawing as YAML."""
        from chalicelib.scenarios.yaml_text import write

        return write(to_plain(parse(self.get(scenario_id).draft)))

    def problems(self, scenario_id: str) -> list[dict[str, str]]:
        """Return everything that keeps a drawing from being published, by node."""
        return self.problems_of(parse(self.get(scenario_id).draft), scenario_id)

    def problems_of(self, scenario: Scenario, scenario_id: str) -> list[dict[str, str]]:
        """Return everything that keeps a scenario from being published, what it names and is not there included."""
        return [explained(problem) for problem in lint(scenario, Here(self._look_up, scenario_id, self._clock.now()))]

    def publish(self, scenario_id: str) -> ScenarioHead:
        """Make the drawing the version that new people enter; those under way finish theirs, or are moved (upkeep.relocate).

        A drawing whose structure is the published one's makes no new version. Raises InvalidError(`scenario.has_problems`)
        with every problem.
        """
        head = self.get(scenario_id)
        found = self.problems(scenario_id)
        if found:
            raise InvalidError("scenario.has_problems", problems=found)
        graph = parse(head.draft)
        current = table.version(scenario_id, head.version) if head.version else None
        is_same = current is not None and structure_hash(current.graph) == structure_hash(graph)
        if is_same and head.state is ScenarioState.ACTIVE:
            self.arm(head)  # an earlier try may have stopped before this
            return head
        version = Version(head.scenario_id, head.version if is_same else head.version + 1, graph)
        machine = compile_machine(version.graph, scenario_id, version.version, settings().steps_function_arn)
        broken = problems_of(machine)
        if broken:
            raise AssertionError(f"the compiler made a machine with loose ends: {broken}")
        if not is_same:
            table.put_version(version, self._clock.now())
        self._machines.publish(machine_name(settings().stage, scenario_id, version.version), machine)
        # A paused scenario stays paused: whoever resumes it says what becomes of those who wait.
        state = ScenarioState.PAUSED if head.state is ScenarioState.PAUSED else ScenarioState.ACTIVE
        published = self.keep(replace(head, version=version.version, state=state, revision=head.revision + 1))
        self.arm(published)
        return published

    def arm(self, head: ScenarioHead) -> None:
        """Schedule the next time at which a scenario looks for people; armed anew by each firing."""
        version = table.version(head.scenario_id, head.version)
        schedule = schedule_of(version.graph) if version else None
        at = next_at(schedule, self._clock.now()) if schedule else None
        if at is None or head.state is not ScenarioState.ACTIVE:
            return
        event = {"kind": "scenario_entry", "scenario_id": head.scenario_id, "at": to_text(at)}
        self._schedules.at(f"{settings().stage}-entry-{head.scenario_id}", at, event)

    def keep(self, head: ScenarioHead) -> ScenarioHead:
        """Write a head that follows the kept one. Raises ConflictError(`scenario.changed_meanwhile`)."""
        if not table.put_head(head):
            raise ConflictError("scenario.changed_meanwhile")
        self._published.forget()
        return head

    def get(self, scenario_id: str) -> ScenarioHead:
        """Return a scenario. Raises NotFoundError(`scenario.unknown`)."""
        head = table.head(scenario_id)
        if head is None:
            raise NotFoundError("scenario.unknown", scenario_id=scenario_id)
        return head

    def everyone(self) -> list[ScenarioHead]:
        """Return all scenarios by id."""
        return table.heads()

    def versions(self, scenario_id: str) -> list[Mapping[str, Any]]:
        """Return the published versions of a scenario, oldest first."""
        return table.versions(scenario_id)

    def machine(self, scenario_id: str) -> dict[str, Any]:
        """Return the state machine that the drawing would become."""
        head = self.get(scenario_id)
        return compile_machine(parse(head.draft), scenario_id, head.version + 1, settings().steps_function_arn)

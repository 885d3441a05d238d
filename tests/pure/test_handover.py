"""An execution ends at 25,000 events, at 256 KB and after a year: a cohort of any size and length goes on in another one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, cast

import pytest

from chalicelib.scenarios.asl import compile_machine
from chalicelib.scenarios.cohorts import INSIDE, MANY_SHARDS, Cohorts
from chalicelib.scenarios.engine import Engine, events_of
from chalicelib.scenarios.graph import parse
from chalicelib.scenarios.machine import MOST_BYTES, MOST_EVENTS, Tally, check, walk
from chalicelib.scenarios.model import Cohort, CohortState, ScenarioHead, ScenarioState, Version, cohort_id
from chalicelib.scenarios.ready_made import drawings
from chalicelib.scenarios.steps import Steps
from tests.fakes.clock import FakeClock
from tests.pure.test_graph import END, answer, graph, send, wait

BEGIN = datetime(2026, 12, 1, 1, 0, tzinfo=UTC)
_PAGE = 500


class Counts:
    """Records of one cohort that knows how many are in it, not who. Every page's members all stay."""

    page = _PAGE

    def __init__(self, version: Version, people: int, shards: int) -> None:
        name = cohort_id(version.scenario_id, 1, version.graph.start, BEGIN)
        self.header = Cohort(
            name, version.scenario_id, 1, version.graph.start, BEGIN, CohortState.OPEN, version.graph.start, BEGIN, False, shards
        )
        self.pages = ceil(people / shards / _PAGE)
        self._version = version

    def head(self, scenario_id: str) -> ScenarioHead:
        return ScenarioHead(self._version.scenario_id, "x", ScenarioState.ACTIVE, 1, {}, 1)

    def version(self, scenario_id: str, number: int) -> Version:
        return self._version

    def cohort(self, name: str) -> Cohort:
        return self.header

    def close_cohort(self, name: str, at: datetime) -> None:
        self.header = replace(self.header, state=CohortState.CLOSED)

    def lead_on(self, header: Cohort, **values: Any) -> bool:
        return self.set_cohort(header, **values)

    def set_cohort(self, header: Cohort, **values: Any) -> bool:
        if header.run != self.header.run:
            return False
        self.header = replace(self.header, **values)
        return True

    def end_cohort(self, header: Cohort) -> None:
        self.set_cohort(header, state=CohortState.ENDED)

    def shards_in_use(self, header: Cohort) -> list[int]:
        return list(range(header.shards))


class CountingEngine(Engine):
    """The engine, but a page is a number and its members are done at once."""

    pages = 0

    def page(self, name: str, run: int, node_id: str, due: datetime, shard: int, cursor: str) -> tuple[str, int, list[Any]]:
        done = int(cursor or 0) + 1
        # As long as a cursor is in truth: a row's key.
        return (f"{done:012d}" + " " * 60 if done < self.pages else ""), _PAGE, []


class Run:
    """One cohort from its first execution to its end, by the compiled machine. ended: the tally of each execution."""

    def __init__(self, graph_data: Mapping[str, Any], people: int, *, pages_a_call: int = 50, shards: int = MANY_SHARDS) -> None:
        version = Version("s", 1, parse(graph_data))  # type: ignore[arg-type]
        self.machine = compile_machine(version.graph, "s", 1, "arn:aws:lambda:ap-northeast-1:0:function:steps")
        check(self.machine)
        self.records = Counts(version, people, shards)
        self.clock = FakeClock(BEGIN)
        self.waiting: list[tuple[str, dict[str, Any]]] = []
        self.ended: list[Tally] = []
        self.longest = timedelta(0)
        self.estimated, self.slack = 0, MOST_EVENTS
        cohorts = Cohorts(cast("Any", self.records), cast("Any", self))
        engine = CountingEngine(cast("Any", self.records), cohorts, cast("Any", None), self.clock)
        engine.pages = self.records.pages
        self.cohorts, self._engine, self._left, self._pages_a_call = cohorts, engine, 0, pages_a_call
        self.steps = Steps(engine, lambda facts: None, lambda name, why: None, self._has_time, lambda _: None)

    def _has_time(self) -> bool:
        self._left -= 1
        return self._left > 0

    def start(self, machine: str, execution: str, data: dict[str, Any]) -> None:
        """Implements ports.machines.Machines."""
        self.waiting.append((execution, data))

    def _call(self, payload: dict[str, Any]) -> Mapping[str, Any]:
        if payload["op"] == "advance":
            self.estimated = self.records.header.events + events_of(payload.get("shards", ()))
        self._left = self._pages_a_call
        return cast("Mapping[str, Any]", json.loads(json.dumps(self.steps.handle(payload))))

    def through(self) -> Run:
        """Let everything happen until the cohort has ended."""
        self.cohorts.start(self.records.header.cohort_id, self.clock.now())
        while self.records.header.state is not CohortState.ENDED:
            if not self.waiting:  # too far off: the daily planner's
                self.clock.advance(days=1)
                self.cohorts.start(self.records.header.cohort_id, self.clock.now())
                continue
            _, data = self.waiting.pop(0)
            begun, tally = self.clock.now(), Tally()
            for moment in walk(self.machine, data, self._call, tally):
                self.clock.set(max(moment, self.clock.now()))
            self.ended.append(tally)
            self.longest = max(self.longest, self.clock.now() - begun)
            self.slack = min(self.slack, self.estimated - tally.events)
        return self


@pytest.mark.parametrize("pages_a_call", [50, 12])  # as fast as engines.md says, and every page five seconds long
@pytest.mark.parametrize("people", [100, 1_000_000, 10_000_000])
@pytest.mark.parametrize("name", drawings())
def test_no_execution_reaches_its_limits(name: str, people: int, pages_a_call: int) -> None:
    run = Run(drawings()[name].graph, people, pages_a_call=pages_a_call, shards=1 if people < 2000 else MANY_SHARDS).through()
    assert max(tally.most_events for tally in run.ended) < MOST_EVENTS
    assert max(tally.most_bytes for tally in run.ended) < MOST_BYTES / 10
    assert run.slack >= 0, "the estimate is below the truth"
    if people == 100:
        assert len(run.ended) == 1


def test_a_chain_of_sends_for_ten_million_is_handed_over_in_time() -> None:
    nodes = {f"s{n}": send(f"s{n + 1}") for n in range(12)} | {"s12": send("a"), "a": answer(of="s12"), "done": END}
    run = Run(graph(nodes), 10_000_000).through()
    assert len(run.ended) > 2
    assert max(tally.most_events for tally in run.ended) < MOST_EVENTS
    assert run.slack >= 0


@pytest.mark.parametrize("days", [20, 200, 290, 310, 800])
def test_no_execution_lives_for_a_year_however_long_the_waits(days: int) -> None:
    nodes = {f"w{n}": wait(f"w{n + 1}", f"P{days}D") for n in range(9)} | {"w9": wait("s"), "s": send(), "done": END}
    run = Run(graph(nodes), 100, shards=1).through()
    assert run.longest <= timedelta(days=364)
    assert run.records.header.at_due >= BEGIN + timedelta(days=8 * days)
    assert len(run.ended) >= 8 * days // (2 * INSIDE.days)

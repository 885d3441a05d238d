"""What the hourly and the daily look find and mend: nobody stands still for good, and no machine is kept for nobody."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.entrypoints import scenario_steps, workers
from chalicelib.kernel.errors import TemporaryError
from chalicelib.reactions import react
from chalicelib.scenarios import table
from chalicelib.scenarios.model import EnrollmentStatus
from tests.builders import HANAKO, TARO, Stage
from tests.fakes.runner import Runner
from tests.rooms.journey import END, NOON, dies, enrollment, follow, reconcile, rest, resume, say, texts, three_days


def whys(stage: Stage) -> list[str]:
    return [standing.why for standing in stage.world.upkeep.standing()]


def test_the_reconciler_starts_a_cohort_that_a_crash_left_alone(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    start, stage.machines.start = stage.machines.start, dies  # type: ignore[method-assign]
    with pytest.raises(SystemError):
        follow(stage)
    stage.machines.start = start  # type: ignore[method-assign]
    runner.days(8)
    assert texts(stage) == ["a"]
    assert whys(stage) == ["overdue"]
    assert reconcile(stage) == 1
    assert whys(stage) == []
    runner.days(20)
    assert texts(stage) == ["a", "b", "c"]


def test_a_second_execution_of_the_same_cohort_changes_nothing(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage)
    runner.days(1)
    assert stage.world.upkeep.restart() == 1
    runner.days(30)
    assert texts(stage) == ["a", "b", "c"]


def test_an_outage_that_outlasts_the_machines_patience_is_healed_by_the_reconciler(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage)
    stage.line.problems = [TemporaryError("503", maybe_done=True)] * 40
    runner.days(7.5)
    assert len(runner.failed) == 1
    assert whys(stage) == ["overdue"]
    stage.line.problems = []
    reconcile(stage)
    runner.days(10)
    assert texts(stage) == ["a", "b", "c"]


@pytest.mark.parametrize("missing", ["template", "account"])
def test_a_cohort_whose_template_or_account_is_gone_is_held_and_loses_nobody(stage: Stage, runner: Runner, missing: str) -> None:
    three_days(stage)
    cid = follow(stage)
    messages = stage.world.messages
    get = messages.get
    deliver = stage.world.delivery.deliver

    def gone(*_: Any, **__: Any) -> Any:
        from chalicelib.kernel.errors import NotFoundError

        raise NotFoundError("template.unknown" if missing == "template" else "line_account.unknown", id="x")

    if missing == "template":
        messages.get = gone  # type: ignore[method-assign]
    else:
        stage.world.delivery.deliver = gone  # type: ignore[method-assign]
    runner.days(7.5)
    assert texts(stage) == ["a"]
    assert whys(stage) == ["held"]
    assert stage.world.upkeep.standing()[0].cohort.hold.endswith(".unknown: x")
    assert reconcile(stage) == 1  # tried every hour, and held again
    runner.days(0.1)
    assert whys(stage) == ["held"]
    messages.get, stage.world.delivery.deliver = get, deliver  # type: ignore[method-assign]
    reconcile(stage)
    runner.days(0.1)
    assert (texts(stage), whys(stage)) == (["a", "b"], [])
    runner.days(8)
    assert texts(stage) == ["a", "b", "c"]
    assert enrollment(stage, cid).row.status == EnrollmentStatus.DONE
    assert runner.failed == []


def test_an_execution_that_another_one_has_replaced_is_told_to_stop(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage)
    (old,) = stage.machines.started.values()
    stage.world.upkeep.restart()
    runner.days(7.1)
    assert texts(stage) == ["a", "b"]
    header = stage.world.records.live_cohorts("welcome")[0]
    assert header.run == 1
    payload = {"op": "gate", "cohort": old[1]["cohort"], "run": 0}
    assert scenario_steps.handle(payload, stage.world)["go"] == "#stop"
    page = {"op": "page", "node": "b", "shard": 0, "cursor": "", "stayed": 0, "calls": 0, "due": "2026-12-08T03:00:00Z"}
    assert scenario_steps.handle({**payload, **page}, stage.world)["halted"] is True
    advance = {**payload, "op": "advance", "node": "b", "due": "2026-12-08T03:00:00Z", "shards": []}
    assert scenario_steps.handle(advance, stage.world)["go"] == "#stop"
    assert stage.world.records.live_cohorts("welcome") == [header]


def test_a_paused_scenario_is_left_alone_and_told_of(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage)
    stage.world.upkeep.pause("welcome")
    runner.days(9)
    assert whys(stage) == ["paused"]
    assert reconcile(stage) == 0
    runner.days(1)
    assert texts(stage) == ["a"]
    resume(stage, "welcome")
    runner.days(0.1)
    assert (texts(stage), whys(stage)) == (["a", "b"], [])


# The daily look ---------------------------------------------------------------------------------------------------------------


def plan(stage: Stage) -> None:
    workers.tick({"kind": "plan"}, stage.world)


def test_a_wait_of_more_than_300_days_lies_parked_until_the_planner_starts_it(stage: Stage, runner: Runner) -> None:
    for name in ("a", "b"):
        stage.template(f"tpl_{name}", name)
    nodes = {"w": rest("P400D", "a"), "a": say("tpl_a", "w2"), "w2": rest("P350D", "b"), "b": say("tpl_b", "e"), "e": END}
    stage.scenario("far", nodes)
    follow(stage)
    assert (stage.machines.started, whys(stage)) == ({}, ["far"])
    assert reconcile(stage) == 0
    plan(stage)
    runner.days(99)
    assert stage.machines.started == {}
    runner.days(2)
    plan(stage)
    assert (len(stage.machines.started), whys(stage)) == (1, [])
    runner.until(NOON + timedelta(days=400.1))
    assert (texts(stage), whys(stage)) == (["a"], ["far"])
    runner.days(51)
    plan(stage)
    runner.until(NOON + timedelta(days=750.1))
    assert texts(stage) == ["a", "b"]
    assert runner.failed == []


def test_the_machine_of_a_version_goes_when_nobody_is_left_in_it_and_nobody_can_come(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage, HANAKO, "1")
    stage.scenario("welcome", {"a": say("tpl_a", "w1"), "w1": rest("P7D", "b"), "b": say("tpl_b", "e"), "e": END})
    follow(stage, TARO, "2")
    runner.days(13)
    plan(stage)
    assert len(stage.machines.published) == 2
    runner.days(1.1)
    assert texts(stage) == ["a", "b", "c"]
    plan(stage)
    assert len(stage.machines.published) == 2  # a message that lies in a queue may still bring somebody in
    runner.days(2)
    for _ in range(2):
        plan(stage)
    assert [name.rpartition("-")[2] for name in stage.machines.published] == ["v2"]
    assert [bool(version["ended_at"]) for version in table.versions("welcome")] == [True, False]


def test_the_machine_of_a_scenario_that_was_called_off_goes_too(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    stage.scenario("long", {"w": rest("P30D", "a"), "a": say("tpl_a", "e"), "e": END})
    follow(stage)
    runner.days(16)
    stage.world.upkeep.stop("long")
    plan(stage)
    assert len(stage.machines.published) == 1  # somebody is still in it
    reconcile(stage)
    plan(stage)
    assert stage.machines.published == {}

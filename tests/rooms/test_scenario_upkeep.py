"""Pause, resume, call off: nobody is lost and nobody hears a thing twice, wherever it broke off."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.kernel.errors import ConflictError, QuotaExceededError
from chalicelib.kernel.ids import LineUserId
from chalicelib.scenarios.model import EnrollmentStatus, ScenarioState
from tests.builders import HANAKO, TARO, Stage
from tests.fakes.runner import Runner
from tests.rooms.crashes import every_crash
from tests.rooms.journey import (
    END,
    NOON,
    answer,
    drain,
    dormant,
    enrollment,
    follow,
    friend_number,
    member,
    order,
    reconcile,
    rest,
    resume,
    say,
    texts,
    three_days,
)


def test_a_pause_parks_everybody_and_resuming_goes_on_from_there(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage)
    runner.days(1)
    stage.world.upkeep.pause("welcome")
    runner.days(9)
    assert texts(stage) == ["a"]
    follow(stage, TARO, "2")
    assert texts(stage, TARO) == []
    resume(stage, "welcome")
    runner.days(0.1)
    assert texts(stage) == ["a", "b"]
    runner.days(30)
    assert texts(stage) == ["a", "b", "c"]


def test_used_up_messages_park_the_scenario_and_nobody_gets_it_twice_after(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    for n in range(3):
        follow(stage, friend_number(n), f"ev{n}")
    stage.line.problems = [QuotaExceededError("You have reached your monthly limit.")] * 99
    runner.days(8)
    assert stage.world.scenarios.get("welcome").state is ScenarioState.PAUSED
    stage.line.problems = []
    runner.days(3)
    resume(stage, "welcome")
    runner.days(30)
    assert [texts(stage, friend_number(n)) for n in range(3)] == [["a", "b", "c"]] * 3


def test_a_pause_that_ends_before_anything_was_due_changes_nothing(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage)
    runner.days(1)
    stage.world.upkeep.pause("welcome")
    runner.days(1)
    resume(stage, "welcome", "skip")
    runner.until(NOON + timedelta(days=7, hours=1))
    assert texts(stage) == ["a", "b"]
    assert len(stage.machines.started) == 1


def test_what_fell_into_the_pause_is_left_out_and_what_follows_comes_at_its_time(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    cid = follow(stage)
    runner.days(1)
    stage.world.upkeep.pause("welcome")
    runner.days(9)
    resume(stage, "welcome", "skip")
    runner.days(1)
    assert texts(stage) == ["a"]
    runner.until(NOON + timedelta(days=14, hours=1))
    assert texts(stage) == ["a", "c"]
    assert "skipped paused" in enrollment(stage, cid).path.values()


def test_who_leaves_the_main_path_with_the_pause_behind_him_is_left_out_too(stage: Stage, runner: Runner) -> None:
    """The way to the send leads through a branch: the pause is the scenario's, not the cohort's."""
    stage.template("tpl_a", "a")
    stage.template("tpl_b", "b")
    reachable = {"field": "line.reachable", "is": True}
    nodes = {
        "w": rest("P1D", "br"), "br": {"type": "branch", "cases": [{"when": reachable, "next": "a"}], "otherwise": "e"},
        "a": say("tpl_a", "w2"), "w2": rest("P3D", "b"), "b": say("tpl_b", "e"), "e": END,
    }  # fmt: skip
    stage.scenario("forked", nodes)
    follow(stage)
    stage.world.upkeep.pause("forked")
    runner.days(2)
    resume(stage, "forked", "skip")
    runner.days(9)
    assert texts(stage) == ["b"]


@pytest.mark.parametrize(
    ("wait", "pause_hours", "expected"),
    [
        ({"duration": "P7D"}, 50, NOON + timedelta(days=7, hours=50)),
        # 10:00 in Japan; two days and two hours are three days for whom the clock counts.
        ({"duration": "P7D", "at": "10:00"}, 50, datetime(2026, 12, 11, 1, 0, tzinfo=UTC)),
        # 8 December 2026 is a Tuesday; moved by two days it would be Thursday, and he waits for Mondays.
        ({"duration": "P6D", "at": "10:00", "weekdays": ["mon"]}, 48, datetime(2026, 12, 14, 1, 0, tzinfo=UTC)),
    ],
)
def test_shifted_waits_end_so_much_later_at_the_clock_time_that_they_wait_for(
    stage: Stage, runner: Runner, wait: dict[str, Any], pause_hours: int, expected: datetime
) -> None:
    stage.template("tpl_a", "a")
    stage.scenario("later", {"w": {"type": "wait", "next": "a", **wait}, "a": say("tpl_a", "e"), "e": END})
    follow(stage)
    runner.days(1)
    stage.world.upkeep.pause("later")
    runner.days(pause_hours / 24)
    resume(stage, "later", "shift")
    runner.until(expected - timedelta(minutes=1))
    assert texts(stage) == []
    runner.until(expected + timedelta(minutes=1))
    assert texts(stage) == ["a"]
    assert runner.failed == []


def test_two_pauses_shift_twice(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage)
    for _ in range(2):
        runner.days(1)
        stage.world.upkeep.pause("welcome")
        runner.days(10)
        resume(stage, "welcome", "shift")
    runner.until(NOON + timedelta(days=26.9))
    assert texts(stage) == ["a"]
    runner.until(NOON + timedelta(days=27.1))
    assert texts(stage) == ["a", "b"]
    runner.days(8)
    assert texts(stage) == ["a", "b", "c"]


def test_who_responds_in_the_pause_goes_on_when_it_ends(stage: Stage, runner: Runner) -> None:
    dormant(stage)
    cid = member(stage, "1", HANAKO)
    runner.days(2)
    stage.world.upkeep.pause("dormant")
    answer(stage, cid)
    runner.days(20)
    assert texts(stage) == ["hello"]
    resume(stage, "dormant", "shift")
    runner.days(0.1)
    assert texts(stage) == ["hello", "thanks"]


@pytest.mark.parametrize("mode", ["now", "shift", "skip"])
def test_a_resuming_that_broke_off_anywhere_is_finished_by_the_next_try(stage: Stage, runner: Runner, mode: Any) -> None:
    for name in ("a", "b"):
        stage.template(f"tpl_{name}", name)

    def scene(number: int) -> Callable[[], None]:
        name = f"s{number}"
        stage.clock.set(NOON + timedelta(days=40 * number))
        nodes = {"w": rest("P3D", "a"), "a": say("tpl_a", "w2"), "w2": rest("P7D", "b"), "b": say("tpl_b", "e"), "e": END}
        stage.scenario(name, nodes, trigger={"type": "manual"})
        cid = stage.friend(friend_number(number))
        stage.world.entries.by_hand(name, cid, "x")
        stage.world.upkeep.pause(name)
        runner.days(4)

        def act() -> None:
            order(stage, stage.world.upkeep.resume, name, mode)

        return act

    expected = {"now": (["a"], ["a", "b"]), "skip": ([], ["b"]), "shift": ([], ["a"])}[mode]
    for number, _, again in every_crash(scene):
        try:
            again()
        except ConflictError:
            drain(stage)  # active already: what is left is in the queue, or found by the reconciler
        reconcile(stage)
        runner.days(0.5)
        assert texts(stage, friend_number(number)) == expected[0], number
        runner.days(6.5)
        assert texts(stage, friend_number(number)) == expected[1], number
        assert stage.world.scenarios.get(f"s{number}").state is ScenarioState.ACTIVE


def test_calling_off_takes_everybody_out_and_nothing_leaves_any_more(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    cids = [follow(stage, friend_number(n), f"ev{n}") for n in range(3)]
    runner.days(1)
    order(stage, stage.world.upkeep.stop, "welcome", "wrong text")
    ends = [enrollment(stage, cid) for cid in cids]
    assert {(one.row.status, one.reason) for one in ends} == {(EnrollmentStatus.EXITED, "stopped")}
    assert stage.world.records.live_cohorts("welcome") == []
    runner.days(30)
    assert [texts(stage, friend_number(n)) for n in range(3)] == [["a"]] * 3
    with pytest.raises(ConflictError):
        stage.world.upkeep.stop("welcome")


@pytest.mark.parametrize("trip", range(6))
def test_calling_off_while_pages_run_stops_the_pages_that_follow(stage: Stage, runner: Runner, trip: int) -> None:
    three_days(stage)
    cid = follow(stage)
    runner.days(6)
    start = len(runner.trips)

    def before(_: dict[str, Any]) -> None:
        if len(runner.trips) == start + trip + 1:
            order(stage, stage.world.upkeep.stop, "welcome")

    runner.before = before
    runner.days(30)
    assert texts(stage) in (["a"], ["a", "b"])
    assert (enrollment(stage, cid).row.status, enrollment(stage, cid).reason) == (EnrollmentStatus.EXITED, "stopped")
    reconcile(stage)
    assert stage.world.records.live_cohorts("welcome") == []
    assert runner.failed == []


def test_a_calling_off_that_broke_off_anywhere_is_finished(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")

    def scene(number: int) -> Callable[[], None]:
        name = f"s{number}"
        stage.scenario(name, {"w": rest("P3D", "a"), "a": say("tpl_a", "e"), "e": END}, trigger={"type": "manual"})
        stage.world.entries.by_hand(name, stage.friend(LineUserId(f"U{number:032x}")), "x")
        return lambda: order(stage, stage.world.upkeep.stop, name)

    for number, _, again in every_crash(scene):
        try:
            again()
        except ConflictError:
            drain(stage)
        reconcile(stage)
        assert stage.world.records.live_cohorts(f"s{number}") == [], number
    runner.days(4)
    assert stage.line.sent == []


@pytest.mark.parametrize(("mode", "second"), [("now", 3), ("skip", 0)])
def test_a_reminder_keeps_its_distance_to_a_message_that_a_pause_held_back(
    stage: Stage, runner: Runner, mode: str, second: int
) -> None:
    """Resumed after a long pause, a message and the reminder that follows after three days do not leave together."""
    for name in ("a", "b"):
        stage.template(f"tpl_{name}", name)
    nodes = {"w": rest("P1D", "a"), "a": say("tpl_a", "w2"), "w2": rest("P3D", "b"), "b": say("tpl_b", "e"), "e": END}
    stage.scenario("late", nodes)
    follow(stage)
    stage.world.upkeep.pause("late")
    runner.days(8)
    resume(stage, "late", mode)
    runner.days(0.1)
    assert texts(stage) == (["a"] if mode == "now" else [])
    runner.days(2.5)
    assert texts(stage) == (["a"] if mode == "now" else [])
    runner.days(1)
    assert texts(stage) == (["a", "b"] if second else [])
    assert stage.world.records.live_cohorts("late") == []

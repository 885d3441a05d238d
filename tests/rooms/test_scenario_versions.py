"""A new version while people are in the old one: they finish it, or are moved; nobody is lost, nobody hears a thing twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chalicelib.kernel.errors import InvalidError, NotFoundError
from chalicelib.scenarios.graph import WaitNode
from chalicelib.scenarios.model import EnrollmentStatus
from chalicelib.scenarios.relocation import began_at, put_off
from tests.builders import HANAKO, TARO, Stage
from tests.fakes.runner import Runner
from tests.rooms.crashes import every_crash, interrupted
from tests.rooms.journey import (
    END,
    NOON,
    answer,
    enrollment,
    follow,
    friend_number,
    order,
    reconcile,
    rest,
    say,
    texts,
    three_days,
)


def second_version(stage: Stage, scenario_id: str = "welcome", **more: Any) -> None:
    """Five days instead of seven to b, then another text besides; c is called d."""
    for name in ("new", "d"):
        stage.template(f"tpl_{name}", name)
    nodes = {
        "a": say("tpl_a", "w1"), "w1": rest("P5D", "b"), "b": say("tpl_b", "x"), "x": say("tpl_new", "w2"), "w2": rest("P7D", "d"),
        "d": say("tpl_d", "e"), "e": END,
    }  # fmt: skip
    stage.scenario(scenario_id, nodes, **more)


def move(stage: Stage, mapping: Any = None, scenario_id: str = "welcome", version: int = 1) -> None:
    order(stage, stage.world.upkeep.relocate, scenario_id, version, mapping or {"c": "d"})


def test_those_in_flight_finish_the_old_version(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage, HANAKO, "1")
    stage.template("tpl_new", "new")
    stage.scenario("welcome", {"a": say("tpl_a", "w1"), "w1": rest("P7D", "n"), "n": say("tpl_new", "e"), "e": END})
    follow(stage, TARO, "2")
    runner.days(30)
    assert (texts(stage, HANAKO), texts(stage, TARO)) == (["a", "b", "c"], ["a", "new"])


def test_who_is_moved_waits_as_long_as_the_new_version_says_from_where_his_wait_began(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    cid = follow(stage)
    runner.days(3)
    second_version(stage)
    move(stage)
    assert enrollment(stage, cid).version == 2
    assert any(note.startswith("moved w1 version") for note in enrollment(stage, cid).path.values())
    runner.until(NOON + timedelta(days=4.9))
    assert texts(stage) == ["a"]
    runner.until(NOON + timedelta(days=5.1))
    assert texts(stage) == ["a", "b", "new"]
    runner.days(30)
    assert texts(stage) == ["a", "b", "new", "d"]
    assert enrollment(stage, cid).row.status == EnrollmentStatus.DONE
    assert stage.world.records.live_cohorts("welcome") == []


def test_who_has_waited_longer_than_the_new_version_asks_goes_on_at_once(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage)
    runner.days(6)
    second_version(stage)
    move(stage)
    runner.days(0.1)
    assert texts(stage) == ["a", "b", "new"]


def test_a_node_that_is_gone_needs_a_place_or_the_exit(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    cid = follow(stage)
    runner.days(1)
    stage.scenario("welcome", {"a": say("tpl_a", "c"), "c": say("tpl_c", "e"), "e": END})
    with pytest.raises(InvalidError) as refused:
        stage.world.upkeep.relocate("welcome", 1, {"w1": "nowhere"})
    assert refused.value.details == {"missing": ["b", "w2"], "known": ["nowhere"]}
    with pytest.raises(NotFoundError):
        stage.world.upkeep.relocate("welcome", 2, {})
    move(stage, {"w1": "", "b": "", "w2": "c"})
    assert (enrollment(stage, cid).row.status, enrollment(stage, cid).reason) == (EnrollmentStatus.EXITED, "version_moved")
    runner.days(30)
    assert texts(stage) == ["a"]


def test_who_joins_an_old_cohort_after_the_order_is_moved_by_the_hourly_look(stage: Stage, runner: Runner) -> None:
    for name in ("a", "b", "thanks"):
        stage.template(f"tpl_{name}", name)
    hears = {"type": "wait_for_response", "of": "a", "timeout": "P3D", "responded": "w", "timed_out": "b"}
    nodes = {
        "a": say("tpl_a", "h"),
        "h": hears,
        "b": say("tpl_b", "e"),
        "w": rest("P2D", "t"),
        "t": say("tpl_thanks", "e"),
        "e": END,
    }
    stage.scenario("hears", nodes)
    cid = follow(stage)
    runner.days(1)
    stage.scenario("hears", {**nodes, "w": rest("P4D", "t")})
    head, steps = stage.world.upkeep.relocate("hears", 1, {})
    answer(stage, cid)  # into a cohort of the old version, before anybody has begun to move
    assert head.moves[1].to_version == 2
    reconcile(stage)
    assert enrollment(stage, cid).version == 2
    runner.days(3.9)
    assert texts(stage) == ["a"]
    runner.days(0.3)
    assert texts(stage) == ["a", "thanks"]
    assert stage.world.records.live_cohorts("hears") == []


def test_a_move_that_broke_off_anywhere_is_finished(stage: Stage, runner: Runner) -> None:
    three_days(stage)

    def scene(number: int) -> Callable[[], None]:
        name = f"s{number}"
        nodes = {"w1": rest("P7D", "b"), "b": say("tpl_b", "e"), "e": END}
        stage.scenario(name, nodes, trigger={"type": "manual"})
        stage.world.entries.by_hand(name, stage.friend(friend_number(number)), "x")
        stage.scenario(name, {**nodes, "w1": rest("P5D", "c"), "c": say("tpl_c", "b")}, trigger={"type": "manual"})
        return lambda: move(stage, {"x": "b"}, name)

    number = 0
    for number, _, again in every_crash(scene):
        again()
        assert stage.world.records.of(stage.world.friends.get("main", friend_number(number)).cid)[0].version == 2
    reconcile(stage)
    runner.days(10)
    assert Counter(tuple(texts(stage, friend_number(n))) for n in range(1, number + 1)) == {("c", "b"): number}
    reconcile(stage)
    assert all(stage.world.records.live_cohorts(f"s{n}") == [] for n in range(1, number + 1))


def test_a_move_between_any_two_calls_of_a_page_neither_loses_nor_doubles(stage: Stage, runner: Runner) -> None:
    """The cohort sends b while somebody orders the move, at every call that its execution makes to DynamoDB."""
    for name in ("b", "c", "d"):
        stage.template(f"tpl_{name}", name)

    def scene(number: int) -> Callable[[], None]:
        name = f"s{number}"
        nodes = {"w1": rest("P1D", "b"), "b": say("tpl_b", "w2"), "w2": rest("P1D", "c"), "c": say("tpl_c", "e"), "e": END}
        stage.scenario(name, nodes, trigger={"type": "manual"})
        for one in (0, 1):
            stage.world.entries.by_hand(name, stage.friend(friend_number(2 * number + one)), "x")
        second = {**nodes, "w2": rest("P1D", "d"), "d": say("tpl_d", "e")}
        second.pop("c")
        stage.scenario(name, second, trigger={"type": "manual"})
        runner.days(0.9)
        return lambda: runner.days(0.2)

    moved = number = 0
    while True:
        act, after = scene(number), bool(number % 2)
        with interrupted(2 * number, lambda number=number: move(stage, {"c": "d"}, f"s{number}"), after=after) as watch:  # type: ignore[misc]
            act()
        if watch.made <= 2 * number:
            break
        runner.days(3)
        heard = {tuple(texts(stage, friend_number(2 * number + one))) for one in (0, 1)}
        assert heard <= {("b", "d"), ("b", "c")}, number
        moved += heard == {("b", "d")}
        assert stage.world.records.live_cohorts(f"s{number}") == []
        stage.world.upkeep.stop(f"s{number}")
        number += 1
    assert moved > 10
    assert runner.failed == []


# From where a wait counts ---------------------------------------------------------------------------------------------------

_moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
_waits = st.builds(
    lambda days, at, weekdays: WaitNode(next="x", duration=f"P{days}D", at=at, weekdays=weekdays),
    st.integers(1, 60),
    st.sampled_from(["", "10:00", "23:30"]),
    st.lists(st.sampled_from(["mon", "wed", "sun"]), unique=True),
)


@given(_waits, _moments, st.integers(0, 90 * 24 * 60))
@hypothesis_settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_wait_that_is_put_off_ends_later_by_the_pause_or_at_the_next_time_that_it_waits_for(
    node: WaitNode, begins_at: datetime, minutes: int
) -> None:
    from chalicelib.scenarios.graph import wait_ends

    end, pause = wait_ends(node, begins_at), timedelta(minutes=minutes)
    later = put_off(node, end, pause)
    assert end + pause <= later <= end + pause + timedelta(days=1 if not node.weekdays else 7, minutes=1)
    assert began_at(node, end, begins_at) == begins_at
    if node.at:
        assert later.strftime("%H:%M") == {"10:00": "01:00", "23:30": "14:30"}[node.at]
    if not pause:
        assert later == end or (end.second, end.microsecond) != (0, 0)

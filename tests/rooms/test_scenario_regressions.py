"""What random lives of scenarios and second looks have found, one case each: the smallest way in which it went wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.delivery.hooks import Hook
from chalicelib.entrypoints import workers
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.ids import Cid
from chalicelib.reactions import react
from chalicelib.scenarios import table
from chalicelib.scenarios.cohorts import FEW_SHARDS, MANY_SHARDS
from chalicelib.scenarios.model import CohortState, EnrollmentStatus, Move, ScenarioState, cohort_id
from chalicelib.scenarios.records import enrollment_key, new_enrollment
from tests.builders import HANAKO, TARO, Stage
from tests.fakes.runner import Runner
from tests.rooms.crashes import every_intrusion
from tests.rooms.journey import (
    END,
    NOON,
    answer,
    crowd,
    dies,
    drain,
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

HOUR = NOON + timedelta(hours=1)
TEN_PAST = NOON + timedelta(minutes=11)
SCORE: dict[str, Any] = {"type": "action", "do": "score_add", "by": 1}


def hears(of: str, responded: str, timed_out: str) -> dict[str, Any]:
    return {"type": "wait_for_response", "of": of, "timeout": "P3D", "responded": responded, "timed_out": timed_out}


def score(stage: Stage, cid: Cid) -> object:
    return stage.world.customers.load([cid])[cid].profile.attributes.get("score")


def late(stage: Stage, length: str = "PT1H", **nodes: Any) -> None:
    """A scenario that begins with a rest."""
    stage.template("tpl_a", "a")
    stage.scenario("late", {"w": rest(length, next(iter(nodes))), **nodes, "e": END})


def once_before_the_header_is_read_again(stage: Stage, act: Callable[[], Any]) -> None:
    """Let something happen when the next who joins a cohort has his pointer there and has not looked at the header again."""
    cohorts, after = stage.world.cohorts, stage.world.cohorts._follow_up

    def interrupted(*given: Any) -> None:
        cohorts._follow_up = after  # type: ignore[method-assign]
        act()
        after(*given)

    cohorts._follow_up = interrupted  # type: ignore[method-assign]


# Entering -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["name", "tag"])
def test_scenarios_that_start_each_other_write_to_a_person_once_each(stage: Stage, by: str) -> None:
    stage.template("tpl_a", "a")
    stage.template("tpl_b", "b")
    for name in ("ping", "pong"):
        stage.world.tags.create(name, tag_id=f"tag_{name}")
    stage.scenario("pong", {"e": END}, trigger={"type": "manual"})
    for own, other, template in (("ping", "pong", "tpl_a"), ("pong", "ping", "tpl_b")):
        steps: list[dict[str, Any]] = [{"do": "scenario_start", "scenario": other}]
        trigger: dict[str, Any] = {"type": "event", "event": "follow"} if own == "ping" else {"type": "manual"}
        if by == "tag":
            steps = [{"do": "tag_remove", "tag": f"tag_{own}"}, {"do": "tag_add", "tag": f"tag_{other}"}]
            trigger = {"type": "event", "event": "tag_added", "tag": f"tag_{own}"}
        nodes: dict[str, Any] = {"a": say(template, "t0"), "e": END}
        for number, step in enumerate(steps):
            follows = f"t{number + 1}" if number + 1 < len(steps) else "e"
            nodes[f"t{number}"] = {"type": "action", **step, "next": follows}
        stage.scenario(own, nodes, trigger=trigger, reentry={"mode": "always"})
    cid = follow(stage)
    if by == "tag":
        react(stage.world.tags.add_many({cid: "staff"}, "tag_ping"), stage.world)
    assert texts(stage) == ["a", "b"]
    assert all(one.row.status == EnrollmentStatus.DONE for one in stage.world.scenario_people.of(cid))


# Joining ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["walked", "entered at once"])
def test_who_comes_late_and_dies_before_he_can_move_on_is_swept_up(stage: Stage, runner: Runner, way: str) -> None:
    late(stage, "PT10M", a=say("tpl_a", "e"))
    follow(stage, HANAKO, "1")
    cid, version, records = stage.friend(TARO), stage.world.records.version("late", 1), stage.world.records
    assert version is not None
    verb = "move_pointers" if way == "walked" else "insert"
    points = getattr(records, verb)

    def too_late(*given: Any, **more: Any) -> Any:
        setattr(records, verb, points)
        runner.until(TEN_PAST)  # the gate closes, and the page finds his hint and not him
        return points(*given, **more)

    setattr(records, verb, too_late)
    once_before_the_header_is_read_again(stage, dies)
    with pytest.raises(SystemError):
        if way == "walked":
            stage.world.entries.enroll(version, cid, "x", NOON, None, {})
        else:
            target = cohort_id(version.scenario_id, 1, "w", NOON + timedelta(minutes=10))
            item = new_enrollment(enrollment_key(cid, "late"), cid, version, 1, "x", target, NOON, {})
            stage.world.cohorts.enter([item], target, NOON)
    assert (texts(stage, HANAKO), texts(stage, TARO)) == (["a"], [])
    runner.days(0.1)
    reconcile(stage)
    runner.days(0.1)
    assert texts(stage, TARO) == ["a"]


def test_who_was_counted_in_is_not_sent_on_to_have_the_action_again(stage: Stage, runner: Runner) -> None:
    late(stage, "PT10M", t={**SCORE, "next": "r"}, r=rest("PT1H", "e"))
    follow(stage, HANAKO, "1")
    once_before_the_header_is_read_again(stage, lambda: runner.until(TEN_PAST))
    cid = follow(stage, TARO, "2")
    assert score(stage, cid) == 1
    runner.days(1)
    assert score(stage, cid) == 1


def test_a_reaction_while_his_cohort_comes_to_an_action_skips_it_for_nobody(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_thanks", "thanks")
    late(stage, a=say("tpl_a", "t"), t={**SCORE, "next": "h"}, h=hears("a", "thanks", "e"), thanks=say("tpl_thanks", "e"))
    cid = follow(stage)
    answered: list[str] = []

    def before(payload: dict[str, Any]) -> None:
        if payload.get("node") == "t" and payload["op"] == "page" and not answered:
            answered.append("t")
            answer(stage, cid)

    runner.before = before
    runner.days(1)
    assert (answered, texts(stage), score(stage, cid)) == (["t"], ["a", "thanks"], 1)


# Reactions during a walk -----------------------------------------------------------------------------------------------------


def quick(stage: Stage, number: int) -> tuple[str, Cid]:
    name = f"s{number}"
    nodes = {"a": say("tpl_a", "h"), "h": hears("a", "b", "e"), "b": say("tpl_b", "e"), "e": END}
    stage.scenario(name, nodes, trigger={"type": "manual"})
    return name, stage.friend(friend_number(number))


def test_a_reaction_at_any_moment_of_a_walk_is_answered_soon(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    stage.template("tpl_b", "b")
    heard: dict[int, list[str]] = {}
    people: dict[int, tuple[str, Cid]] = {}

    def scene(number: int) -> Callable[[], Any]:
        people[number] = quick(stage, number)
        return lambda: stage.world.entries.by_hand(*people[number], "x")

    def intruder(number: int) -> Callable[[], None]:
        def reacts() -> None:
            heard[number] = texts(stage, friend_number(number))
            answer(stage, people[number][1], friend_number(number))

        return reacts

    count = sum(1 for _ in every_intrusion(scene, intruder))
    runner.days(0.02)
    answered = [number for number, before in heard.items() if before == ["a"]]
    assert (count > 20, len(answered) > 5) == (True, True)
    assert [texts(stage, friend_number(number)) for number in answered] == [["a", "b"]] * len(answered)


def test_a_walk_that_ends_while_a_reaction_is_noted_leaves_it_to_be_answered_soon(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    stage.template("tpl_b", "b")
    people: dict[int, tuple[str, Cid]] = {}

    def scene(number: int) -> Callable[[], Any]:
        people[number] = quick(stage, number)
        move, stage.world.cohorts.move = stage.world.cohorts.move, dies  # type: ignore[method-assign]
        with pytest.raises(SystemError):
            stage.world.entries.by_hand(*people[number], "x")
        stage.world.cohorts.move = move  # type: ignore[method-assign]
        return lambda: answer(stage, people[number][1], friend_number(number))

    numbers = [number for number, *_ in every_intrusion(scene, lambda number: lambda: scene_again(stage, people[number]))]
    runner.days(0.02)
    assert [texts(stage, friend_number(number)) for number in numbers] == [["a", "b"]] * len(numbers)


def scene_again(stage: Stage, person: tuple[str, Cid]) -> None:
    stage.world.entries.by_hand(*person, "x")


# Orders ------------------------------------------------------------------------------------------------------------------------


def test_who_was_claimed_when_his_scenario_was_called_off_is_told_to_have_got_nothing(stage: Stage, runner: Runner) -> None:
    late(stage, a=say("tpl_a", "e"))
    cid = follow(stage)
    freeze, stage.world.ledger.freeze = stage.world.ledger.freeze, dies  # type: ignore[method-assign]
    runner.until(HOUR + timedelta(minutes=1))
    stage.world.ledger.freeze = freeze  # type: ignore[method-assign]
    claimed = enrollment(stage, cid)
    assert claimed.path[claimed.row.last] == "sent"
    order(stage, stage.world.upkeep.stop, "late")
    runner.days(1)
    assert (texts(stage), enrollment(stage, cid).reason) == ([], "stopped")
    assert stage.world.delivery.why_failed(claimed.row.claim, cid) == "stopped after the claim"


def test_resuming_again_after_it_broke_off_starts_everybody_at_once(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage)
    runner.days(1)
    stage.world.upkeep.pause("welcome")
    runner.days(9)
    stage.world.upkeep.resume("welcome")  # and what was to follow went down with the caller
    order(stage, stage.world.upkeep.resume, "welcome")
    runner.days(0.1)
    assert texts(stage) == ["a", "b"]


@pytest.mark.parametrize("mode", ["now", "shift", "skip"])
def test_a_scenario_looks_for_people_again_wherever_its_resumption_broke_off(stage: Stage, runner: Runner, mode: Any) -> None:
    stage.template("tpl_a", "a")
    trigger = {"type": "segment", "condition": {"field": "customer.known", "is": True}, "schedule": {"at": "10:00"}}
    stage.scenario("daily", {"a": say("tpl_a", "e"), "e": END}, trigger=trigger)
    stage.world.upkeep.pause("daily")
    runner.days(2)  # its alarm has gone off, for nothing
    assert stage.schedules.armed == {}
    arm, stage.world.scenarios.arm = stage.world.scenarios.arm, dies  # type: ignore[method-assign]
    with pytest.raises(SystemError):
        order(stage, stage.world.upkeep.resume, "daily", mode)
    stage.world.scenarios.arm = arm  # type: ignore[method-assign]
    assert stage.world.scenarios.get("daily").state is ScenarioState.ACTIVE
    drain(stage) if mode == "shift" else order(stage, stage.world.upkeep.resume, "daily", mode)
    assert len(stage.schedules.armed) == 1


# Versions ----------------------------------------------------------------------------------------------------------------------


def test_who_comes_into_a_version_whose_machine_is_gone_waits_until_the_hourly_look_brings_it_back(
    stage: Stage, runner: Runner
) -> None:
    three_days(stage)
    move, stage.world.cohorts.move = stage.world.cohorts.move, dies  # type: ignore[method-assign]
    with pytest.raises(SystemError):
        follow(stage)
    stage.world.cohorts.move = move  # type: ignore[method-assign]
    stage.scenario("welcome", {"a": say("tpl_a", "w1"), "w1": rest("P7D", "b"), "b": say("tpl_b", "e"), "e": END})
    runner.days(16)
    workers.tick({"kind": "plan"}, stage.world)
    assert [name.rpartition("-")[2] for name in stage.machines.published] == ["v2"]
    follow(stage)  # his message had lain among the dead ones
    assert [standing.why for standing in stage.world.upkeep.standing()] == ["held"]
    assert reconcile(stage) == 1
    runner.days(20)
    assert texts(stage) == ["a", "b", "c"]
    assert [bool(version["ended_at"]) for version in table.versions("welcome")] == [False, False]
    workers.tick({"kind": "plan"}, stage.world)
    assert [name.rpartition("-")[2] for name in stage.machines.published] == ["v2"]


def relocated(stage: Stage, nodes: dict[str, Any]) -> None:
    stage.scenario("late", {**nodes, "r": rest("PT3H", "e")})
    order(stage, stage.world.upkeep.relocate, "late", 1, {})


def test_an_action_that_was_done_before_the_move_is_not_done_again_after_it(stage: Stage, runner: Runner) -> None:
    late(stage, t={**SCORE, "next": "r"}, r=rest("PT1H", "e"))
    cid = follow(stage)

    def before(payload: dict[str, Any]) -> None:
        if payload["op"] == "advance" and payload.get("node") == "t":
            raise SystemError("nobody leads the cohort on")

    runner.before = before
    runner.until(HOUR + timedelta(minutes=30))
    assert score(stage, cid) == 1
    graph = {"w": rest("PT1H", "t"), "t": {**SCORE, "next": "r"}, "e": END}
    relocated(stage, graph)
    runner.before = lambda _: None
    runner.days(1)
    assert (score(stage, cid), enrollment(stage, cid).version) == (1, 2)
    assert enrollment(stage, cid).row.status == EnrollmentStatus.DONE


def test_who_went_ahead_by_a_reaction_has_his_action_though_his_cohort_is_moved(stage: Stage, runner: Runner) -> None:
    nodes = {"a": say("tpl_a", "t"), "t": {**SCORE, "next": "h"}, "h": hears("a", "r", "e"), "r": rest("PT1H", "e")}
    late(stage, **nodes)
    cid = follow(stage)

    def before(payload: dict[str, Any]) -> None:
        if payload["op"] == "page" and payload.get("node") == "t":
            raise SystemError("nobody does the action")

    runner.before = before
    runner.until(HOUR + timedelta(minutes=30))
    answer(stage, cid)
    assert score(stage, cid) is None
    relocated(stage, {"w": rest("PT1H", "a"), **nodes, "e": END})
    assert score(stage, cid) == 1
    runner.before = lambda _: None
    runner.days(1)
    assert (score(stage, cid), texts(stage)) == (1, ["a"])


@pytest.mark.parametrize("is_moved", [False, True])
def test_a_machine_is_told_of_who_went_ahead_by_a_reaction(stage: Stage, runner: Runner, is_moved: bool) -> None:
    stage.world.hooks.save(Hook("pos", "POS", "https://pos.test/"))
    call = {"type": "action", "do": "webhook", "target": "pos", "next": "h"}
    nodes = {"a": say("tpl_a", "t"), "t": call, "h": hears("a", "b", "e"), "b": say("tpl_a", "r"), "r": rest("PT1H", "e")}
    late(stage, **nodes)
    cid = follow(stage)
    died: list[str] = []

    def before(payload: dict[str, Any]) -> None:
        if payload["op"] == "page" and payload.get("node") == "t":
            raise SystemError("the machine is not told yet")

    def after(batch: Any, *_: Any) -> Any:
        died.append(batch.batch_id)
        stage.world.ledger.freeze = freeze  # type: ignore[method-assign]
        raise SystemError("dies between its claim and its batch")

    runner.before = before
    runner.until(HOUR + timedelta(minutes=30))
    answer(stage, cid)
    runner.until(HOUR + timedelta(hours=1))
    assert (texts(stage), stage.hook_caller.sent) == (["a", "a"], [])
    if is_moved:
        relocated(stage, {"w": rest("PT1H", "a"), **nodes, "e": END})
    freeze, stage.world.ledger.freeze = stage.world.ledger.freeze, after  # type: ignore[method-assign]
    runner.before = lambda _: None
    stage.clock.advance(hours=2)
    reconcile(stage)
    runner.days(1)
    assert bool(died) is not is_moved
    keys = {headers["Idempotency-Key"] for _, _, headers in stage.hook_caller.sent}
    assert (len(stage.hook_caller.sent), len(keys), texts(stage)) == (1, 1, ["a", "a"])
    assert [note for visit, note in enrollment(stage, cid).path.items() if visit.startswith("t__")] == ["sent"]


def test_a_cohort_that_went_on_as_it_was_parked_for_the_move_is_moved_from_where_it_came_to(stage: Stage, runner: Runner) -> None:
    late(stage, a=say("tpl_a", "r"), r=rest("PT1H", "e"))
    follow(stage)
    relocations, move_page = stage.world.upkeep._relocations, stage.world.upkeep._relocations.move_page

    def slowly(*given: Any) -> Any:
        relocations.move_page = move_page  # type: ignore[method-assign]
        runner.until(HOUR + timedelta(minutes=1))  # it has read where the cohort stands, and now the cohort goes on
        return move_page(*given)

    relocations.move_page = slowly  # type: ignore[method-assign]
    runner.until(HOUR - timedelta(minutes=1))
    stage.scenario("late", {"w": rest("PT2H", "a"), "a": say("tpl_a", "r"), "r": rest("PT3H", "e"), "e": END})
    upkeep = stage.world.upkeep
    _, (everybody,) = upkeep.relocate("late", 1, {})
    (page,) = upkeep.do(everybody, lambda _: None)
    enqueue(upkeep.do(page, lambda _: None), stage.world)
    assert texts(stage) == ["a"]
    drain(stage)
    runner.days(1)
    assert texts(stage) == ["a"]


# Shards ------------------------------------------------------------------------------------------------------------------------


def test_a_cohort_to_which_many_go_has_as_many_shards_as_the_one_that_they_leave(stage: Stage) -> None:
    late(stage, a=say("tpl_a", "e"))
    version = stage.world.records.version("late", 1)
    assert version is not None
    target = cohort_id(version.scenario_id, 1, "w", HOUR)
    people = crowd(stage, 62)
    items = [new_enrollment(enrollment_key(cid, "late"), cid, version, 1, "x", target, NOON, {}) for cid in people]
    assert all(stage.world.cohorts.enter(items, target, NOON))
    ones = stage.world.records.get((item["pk"], item["sk"]) for item in items)
    moves = [Move(one) for one in ones.values()]
    stage.world.cohorts.move(moves[:61], 1, "a", HOUR, NOON, MANY_SHARDS)
    stage.world.cohorts.move(moves[61:], 1, "e", HOUR, NOON, MANY_SHARDS)
    found = {cohort.node: cohort.shards for cohort in stage.world.records.live_cohorts("late")}
    assert found == {"w": MANY_SHARDS, "a": MANY_SHARDS, "e": FEW_SHARDS}
    assert all(cohort.state is CohortState.OPEN for cohort in stage.world.records.live_cohorts("late"))

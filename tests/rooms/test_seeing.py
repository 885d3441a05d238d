"""What the staff sees of a scenario is what happened: to one person, and to all of them together, however often work was repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.entrypoints import workers
from chalicelib.kernel.errors import PermanentError
from chalicelib.kernel.ids import Cid
from chalicelib.orders.model import Order
from chalicelib.reactions import react
from chalicelib.scenarios.model import EnrollmentStatus
from chalicelib.settings import settings
from tests.builders import HANAKO, TARO, Stage
from tests.fakes.runner import Runner
from tests.rooms.crashes import Crash, interrupted
from tests.rooms.journey import END, NOON, answer, crowd, dormant, follow, member, rest, say, three_days


def codes(stage: Stage, cid: Cid) -> list[tuple[str, str]]:
    (story,) = stage.world.seeing.stories(cid)
    assert story.is_whole
    return [(told.step.node, told.step.what) for told in story.told]


def sentences(stage: Stage, cid: Cid) -> str:
    (story,) = stage.world.seeing.stories(cid)
    return "\n".join(told.sentence.ja for told in story.told)


def test_a_persons_way_says_where_he_is_and_what_becomes_of_him_next(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    cid = follow(stage)
    assert codes(stage, cid) == [("a", "entered"), ("a", "sent"), ("w1", "waiting")]
    (story,) = stage.world.seeing.stories(cid)
    assert story.told[1].result == "accepted"
    assert story.told[-1].step.until == NOON + timedelta(days=7)
    runner.days(30)
    expected = [("a", "entered"), ("a", "sent"), ("w1", "waited"), ("b", "sent"), ("w2", "waited"), ("c", "sent"), ("e", "ended")]
    assert codes(stage, cid) == expected
    (story,) = stage.world.seeing.stories(cid)
    assert [told.result for told in story.told if told.step.what == "sent"] == ["accepted"] * 3


def test_a_refused_message_says_so_on_the_way(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    stage.line.problems = [PermanentError("LINE 400: The user hasn't added the LINE Official Account as a friend")]
    (story,) = stage.world.seeing.stories(follow(stage))
    assert story.told[1].result.startswith("failed LINE 400")


def test_the_reasons_are_told_in_japanese(stage: Stage, runner: Runner) -> None:
    dormant(stage)
    hanako = member(stage, "1", HANAKO, phone="+819012345678")
    taro = member(stage, "2", TARO, name="太郎", postal_code="100-0001", prefecture="東京都", address="1-1")
    jiro = member(stage, "3", phone="+819012345679")
    runner.days(2)
    answer(stage, hanako)
    runner.days(20)
    assert "反応があったため「thanks」へ" in sentences(stage, hanako)
    assert "3日以内に反応がなかったため「again」へ" in sentences(stage, taro)
    assert "友だちではないためLINEでは送れず、代わりに「sms」へ" in sentences(stage, jiro)
    assert codes(stage, hanako)[-2:] == [("thanks", "sent"), ("e", "ended")]
    assert [node for node, what in codes(stage, taro) if what == "sent"] == ["hello", "again", "dm"]


def test_who_buys_leaves_with_the_goal(stage: Stage, runner: Runner) -> None:
    three_days(stage, goal={"event": "purchase"})
    cid = follow(stage)
    runner.days(1)
    facts, _ = stage.world.orders.take([Order("1", cid, stage.clock.now(), 1000)])
    react(facts, stage.world)
    assert codes(stage, cid)[-2:] == [("w1", "waiting"), ("w1", "exited")]
    assert "目標達成" in sentences(stage, cid)
    report = stage.world.reports.report("welcome")
    assert (report.entered, report.exited, report.goal, report.standing) == (1, {"goal": 1}, 1, 0)


def test_a_version_that_he_was_moved_to_is_on_the_way(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    cid = follow(stage)
    runner.days(1)
    nodes = {"a": say("tpl_a", "w1"), "w1": rest("P9D", "c"), "c": say("tpl_c", "e"), "e": END}
    stage.scenario("welcome", nodes)
    stage.world.upkeep.relocate("welcome", 1, {"w2": "c", "b": "c"})
    stage.world.work.put('{"op": "scenario_cohorts", "scenario_id": "welcome", "what": "move", "after": ""}', {})
    runner.days(30)
    whats = codes(stage, cid)
    assert ("w1", "relocated") in whats and whats[-1] == ("e", "ended")
    assert "v1→v2へ移動" in sentences(stage, cid)


def test_why_somebody_is_not_in_a_scenario(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    nodes = {"a": say("tpl_a", "e"), "e": END}
    stage.scenario("bought", nodes, trigger={"type": "event", "event": "purchase"}, filter={"field": "customer.known", "is": True})
    cid = stage.friend()
    found = {finding.code for finding in stage.world.seeing.why_not(cid, "bought")}
    assert found == {"trigger_never_happened", "filter_refused"}
    stage.scenario("welcome", nodes)
    cid = follow(stage, TARO)
    runner.days(1)
    assert {finding.code for finding in stage.world.seeing.why_not(cid, "welcome")} >= {"reentry_never"}
    stage.world.upkeep.pause("welcome")
    assert "paused" in {finding.code for finding in stage.world.seeing.why_not(cid, "welcome")}


# Together ------------------------------------------------------------------------------------------------------------------


def truth(stage: Stage, cids: list[Cid]) -> dict[str, Counter[str]]:
    """What the people's own enrollments say."""
    found: dict[str, Counter[str]] = {}
    for cid in cids:
        for one in stage.world.scenario_people.of(cid):
            for visit, note in one.path.items():
                node = visit.rpartition("__")[0]
                if note == "sent" or note.startswith("skipped"):
                    found.setdefault(node, Counter())[note] += 1
            if one.row.status == EnrollmentStatus.DONE:
                found.setdefault("e", Counter())[f"ended {one.reason}"] += 1
    return found


def counted(stage: Stage, scenario_id: str) -> dict[str, Counter[str]]:
    kept = stage.world.counts.read(scenario_id, 1)
    words = {
        node: Counter({w: n for w, n in said.items() if w.split(" ")[0] in ("sent", "skipped", "ended")})
        for node, said in kept.items()
    }
    return {node: said for node, said in words.items() if said}


def people(stage: Stage) -> list[Cid]:
    dormant(stage)
    return [
        member(stage, "1", HANAKO, phone="+819012345678"),
        member(stage, "2", TARO, name="太郎", postal_code="100-0001", prefecture="東京都", address="1-1"),
        member(stage, "3", phone="+819012345679"),
        member(stage, "4"),
    ]


def test_the_funnel_is_what_happened(stage: Stage, runner: Runner) -> None:
    cids = people(stage)
    runner.days(2)
    answer(stage, cids[0])
    report = stage.world.reports.report("dormant")
    assert (report.entered, report.is_exact) == (4, True)
    assert report.standing == 2
    runner.days(30)
    assert counted(stage, "dormant") == truth(stage, cids)
    report = stage.world.reports.report("dormant")
    steps = {step.node: step for step in report.steps}
    assert (report.entered, report.standing, sum(report.ended.values())) == (4, 0, 4)
    assert (steps["hello"].reached, steps["hello"].sent, steps["hello"].skipped) == (4, 2, {"not_a_friend": 2})
    assert steps["hello"].ways == {"w1": 2, "sms": 2}
    assert (steps["w1"].reached, steps["w1"].ways) == (2, {"thanks": 1, "again": 1})
    assert (steps["hello"].responded, steps["e"].reached) == (1, 4)
    assert [step.node for step in report.steps][0] == "hello"


def test_people_who_stand_are_counted_where_they_stand(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    trigger = {"type": "segment", "condition": {"field": "line.reachable", "is": True}, "schedule": {"at": "13:00"}}
    stage.scenario("many", {"w": rest("P1D", "a"), "a": say("tpl_a", "v"), "v": rest("P5D", "e"), "e": END}, trigger=trigger)
    crowd(stage, 40)
    runner.until(NOON + timedelta(hours=2))
    report = stage.world.reports.report("many")
    steps = {step.node: step for step in report.steps}
    assert (report.entered, steps["w"].reached, steps["w"].standing, steps["a"].reached) == (40, 40, 40, 0)
    runner.days(2)
    report = stage.world.reports.report("many")
    steps = {step.node: step for step in report.steps}
    assert [(step.node, step.reached, step.standing) for step in report.steps] == [
        ("w", 40, 0),
        ("a", 40, 0),
        ("v", 40, 40),
        ("e", 0, 0),
    ]
    assert steps["v"].next_due is not None


def test_many_are_estimated_and_said_to_be(stage: Stage, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.scenarios import reports

    monkeypatch.setattr(reports, "_MOST_ROWS", 10)
    monkeypatch.setattr(type(stage.world.records), "page", 5)
    stage.template("tpl_a", "a")
    trigger = {"type": "segment", "condition": {"field": "line.reachable", "is": True}, "schedule": {"at": "13:00"}}
    stage.scenario("many", {"w": rest("P1D", "a"), "a": say("tpl_a", "e"), "e": END}, trigger=trigger)
    crowd(stage, 160)
    runner.until(NOON + timedelta(hours=2))
    report = stage.world.reports.report("many")
    assert (report.entered, report.is_exact) == (160, False)


@pytest.mark.parametrize("after", [False, True])
def test_a_page_that_dies_anywhere_is_counted_once(stage: Stage, runner: Runner, after: bool) -> None:
    """Every call of every page of a branch, a send and an end dies once; machines try again."""
    stage.template("tpl_a", "a")
    nodes = {
        "w": rest("PT1H", "b"), "b": {"type": "branch", "cases": [{"when": {"tag": "tag_a"}, "next": "d"}], "otherwise": "a"},
        "a": say("tpl_a", "e", unreachable="d"), "d": {"type": "split", "shares": [{"weight": 1, "next": "a2"}, {"weight": 1, "next": "e"}]},
        "a2": say("tpl_a", "e"), "e": END,
    }  # fmt: skip
    tag = stage.world.tags.create("a").tag_id
    nodes["b"]["cases"][0]["when"]["tag"] = tag
    stage.scenario("x", nodes, trigger={"type": "manual"})
    cids = [*crowd(stage, 4), member(stage, "1"), member(stage, "2")]
    for cid in cids[:2]:
        stage.world.tags.add(cid, tag, "test")
    for cid in cids:
        stage.world.entries.by_hand("x", cid, f"o{cid}")
    steps: Callable[..., Any] = stage.world.engine.page
    tries: Counter[str] = Counter()

    def page(*args: Any) -> Any:
        key = str(args)
        tries[key] += 1
        if tries[key] <= 14:
            with interrupted(tries[key] - 1, after=after):
                return steps(*args)
        return steps(*args)

    stage.world.engine.page = page  # type: ignore[method-assign,assignment]
    for _ in range(20):
        runner.days(0.2)
        workers.tick({"kind": "reconcile"}, stage.world)
    assert max(tries.values()) > 5
    assert runner.failed == []
    assert counted(stage, "x") == truth(stage, cids)
    report = stage.world.reports.report("x")
    steps_ = {step.node: step for step in report.steps}
    assert (report.entered, sum(report.ended.values()), steps_["b"].ways) == (6, 6, {"d": 2, "a": 4})


def test_a_walk_that_dies_anywhere_is_counted_once(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    cid = stage.friend()
    for number in range(60):
        try:
            with interrupted(number) as watch:
                stage.world.entries.by_hand("welcome", cid, "o")
        except Crash:
            continue
        assert watch.made <= number
        break
    assert counted(stage, "welcome") == {"a": Counter(sent=1)}


def test_a_roll_up_changes_no_figure_wherever_it_dies(stage: Stage, runner: Runner) -> None:
    cids = people(stage)
    runner.days(2)
    answer(stage, cids[0])
    runner.days(30)
    before = stage.world.counts.read("dormant", 1)
    pk = "CNT#dormant#1"
    items = len(stage.world.database.query(settings().engine_table, pk))
    for number in range(60):
        try:
            with interrupted(number) as watch:
                stage.world.counts.roll_up("dormant", 1, stage.clock.now())
        except Crash:
            assert stage.world.counts.read("dormant", 1) == before
            continue
        if watch.made <= number:
            break
    assert stage.world.counts.read("dormant", 1) == before
    assert len(stage.world.database.query(settings().engine_table, pk)) < items

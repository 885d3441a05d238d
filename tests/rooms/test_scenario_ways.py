"""Ways through a scenario and out of it: every kind of node, and who leaves."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.errors import QuotaExceededError, TemporaryError
from chalicelib.kernel.facts import LinkAnswered, OrderPlaced, ReplyToken, Responded
from chalicelib.kernel.ids import Cid, LineUserId
from chalicelib.orders.model import Order
from chalicelib.reactions import react
from chalicelib.scenarios import table
from chalicelib.scenarios.model import EnrollmentStatus, ScenarioState
from chalicelib.settings import settings
from tests.builders import HANAKO, MAIN, TARO, Stage
from tests.fakes.runner import Runner
from tests.rooms.journey import END, NOON, answer, crowd, dies, dormant, enrollment, follow, member, rest, say, texts, three_days


def test_branch_split_and_action_lead_everybody_to_one_end(stage: Stage, runner: Runner) -> None:
    for name in ("tagged", "left", "right"):
        stage.template(f"tpl_{name}", name)
    tag = stage.world.tags.create("vip").tag_id
    nodes = {
        "w": rest("P1D", "br"),
        "br": {"type": "branch", "cases": [{"when": {"tag": tag}, "next": "tagged"}], "otherwise": "sp"},
        "tagged": say("tpl_tagged", "e"),
        "sp": {"type": "split", "shares": [{"weight": 1, "next": "left"}, {"weight": 1, "next": "right"}]},
        "left": say("tpl_left", "act"), "right": say("tpl_right", "act"),
        "act": {"type": "action", "do": "tag_add", "tag": tag, "next": "e"}, "e": END,
    }  # fmt: skip
    stage.scenario("ways", nodes)
    stage.template("tpl_then", "then")
    stage.scenario("then", {"then": say("tpl_then", "e"), "e": END}, trigger={"type": "event", "event": "tag_added", "tag": tag})
    users = [LineUserId(f"U{i:032x}") for i in range(12)]
    cids = [follow(stage, user_id, f"ev{user_id}") for user_id in users]
    stage.world.tags.add(cids[0], tag, "test")
    runner.days(3)
    heard = [texts(stage, user_id) for user_id in users]
    assert heard[0] == ["tagged"]
    assert {tuple(words) for words in heard[1:]} == {("left", "then"), ("right", "then")}
    assert runner.failed == []


@pytest.mark.parametrize("cause", ["blocked", "opted_out", "goal"])
def test_who_leaves_gets_nothing_more(stage: Stage, runner: Runner, cause: str) -> None:
    three_days(stage, exits=["blocked", "opted_out"], goal={"event": "purchase"})
    cid = follow(stage)
    runner.days(1)
    match cause:
        case "blocked":
            react(stage.world.friends.block(MAIN, HANAKO, stage.clock.now(), event_id="b"), stage.world)
        case "opted_out":
            answer(stage, cid, data="enishi:stop")
        case "goal":
            react([OrderPlaced(fact_id="o", cid=cid, at=stage.clock.now(), order_no="1", is_first=True, amount_yen=1)], stage.world)
    runner.days(30)
    assert texts(stage) == ["a"]
    assert (enrollment(stage, cid).row.status, enrollment(stage, cid).reason) == (EnrollmentStatus.EXITED, cause)


def test_who_opted_out_or_blocked_gets_nothing_even_where_the_scenario_names_no_exits(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    one, _ = follow(stage, HANAKO, "1"), follow(stage, TARO, "2")
    runner.days(1)
    stage.world.customers.set_consent(one, DeliveryChannel.LINE, opted_out=True, source="phone")
    stage.world.friends.block(MAIN, TARO, stage.clock.now(), event_id="b")
    runner.days(30)
    assert (texts(stage, HANAKO), texts(stage, TARO)) == (["a"], ["a"])


@pytest.mark.parametrize(
    ("reentry", "days", "times"),
    [
        ({"mode": "never"}, 10, 1),
        ({"mode": "after_exit", "cooldown": "P5D"}, 4, 1),
        ({"mode": "after_exit", "cooldown": "P5D"}, 6, 2),
        ({"mode": "always"}, 0.01, 2),
    ],
)
def test_coming_back_is_ruled_by_the_scenario(stage: Stage, runner: Runner, reentry: Any, days: float, times: int) -> None:
    stage.template("tpl_a", "a")
    stage.scenario("hi", {"a": say("tpl_a", "e"), "e": END}, reentry=reentry)
    follow(stage, event_id="1")
    runner.days(days)
    for _ in range(2):
        follow(stage, event_id="2")
    assert texts(stage) == ["a"] * times


def test_in_quiet_hours_a_message_waits_for_the_morning(stage: Stage, runner: Runner) -> None:
    three_days(stage, quiet_hours={"start": "21:00", "end": "09:00"})
    stage.clock.set(datetime(2026, 12, 1, 14, 0, tzinfo=UTC))  # 23:00 in Japan
    follow(stage)
    assert texts(stage) == []
    runner.until(datetime(2026, 12, 1, 23, 59, tzinfo=UTC))
    assert texts(stage) == []
    runner.until(datetime(2026, 12, 2, 0, 1, tzinfo=UTC))
    assert texts(stage) == ["a"]
    runner.days(30)
    assert texts(stage) == ["a", "b", "c"]


def test_a_loop_visits_the_same_node_at_every_round(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    stage.scenario("loop", {"a": say("tpl_a", "w"), "w": rest("P1D", "a")}, exits=["blocked"])
    follow(stage)
    runner.days(5.5)
    assert texts(stage) == ["a"] * 6
    react(stage.world.friends.block(MAIN, HANAKO, stage.clock.now(), event_id="b"), stage.world)
    runner.days(3)
    assert texts(stage) == ["a"] * 6
    assert stage.world.records.live_cohorts("loop") == []

"""Ways through a scenario and out of it: every kind of node, and who leaves."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.errors import QuotaExceededError, TemporaryError
from chalicelib.kernel.facts import Occurred, LinkAnswered, OrderPlaced, ReplyToken, Responded
from chalicelib.kernel.ids import Cid, LineUserId
from chalicelib.orders.model import Order
from chalicelib.reactions import react
from chalicelib.scenarios import table
from chalicelib.scenarios.model import EnrollmentStatus, ScenarioState
from chalicelib.settings import settings
from tests.builders import HANAKO, MAIN, TARO, Stage
from tests.fakes.runner import Runner
from tests.rooms.journey import (
    friend_number,
    END,
    NOON,
    answer,
    crowd,
    dies,
    dormant,
    enrollment,
    follow,
    member,
    rest,
    say,
    texts,
    three_days,
)


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


# Waits ------------------------------------------------------------------------------------------------------------------------


def until(date: str, following: str = "a", **more: Any) -> dict[str, Any]:
    offset = {name: more.pop(name) for name in ("offset_days", "yearly") if name in more}
    return {"type": "wait", "until": {"date": date, **offset}, "next": following, **more}


def test_everybody_waits_for_his_own_date_and_who_has_none_goes_elsewhere(stage: Stage, runner: Runner) -> None:
    for name in ("a", "none"):
        stage.template(f"tpl_{name}", name)
    nodes = {
        "w": until("profile.birthday", offset_days=-2, yearly=True, at="10:00", missing="none"),
        "a": say("tpl_a", "e"), "none": say("tpl_none", "e"), "e": END,
    }  # fmt: skip
    trigger = {"type": "segment", "condition": {"field": "line.reachable", "is": True}, "schedule": {"at": "13:00"}}
    stage.scenario("birthday", nodes, trigger=trigger, reentry={"mode": "never"})
    born = {HANAKO: "1990-12-10", TARO: "1980-12-02", friend_number(1): "2000-12-01", friend_number(2): None}
    for number, (user_id, birthday) in enumerate(born.items()):
        member(stage, str(number), user_id, **({"birthday": birthday} if birthday else {}))
    runner.days(0.4)
    assert (texts(stage, friend_number(2)), texts(stage, HANAKO), texts(stage, TARO)) == (["none"], [], [])
    runner.until(datetime(2026, 12, 8, 0, 59, tzinfo=UTC))
    assert texts(stage, HANAKO) == []
    runner.until(datetime(2026, 12, 8, 1, 1, tzinfo=UTC))
    assert texts(stage, HANAKO) == ["a"]
    runner.days(300)
    assert texts(stage, TARO) == []  # 30 November of next year: it was past by a day
    stage.world.upkeep.plan()
    runner.until(datetime(2027, 11, 30, 1, 1, tzinfo=UTC))
    assert (texts(stage, TARO), texts(stage, friend_number(1))) == (["a"], ["a"])
    runner.days(400)
    assert stage.world.records.live_cohorts("birthday") == []
    assert runner.failed == []


def test_the_date_may_come_with_what_started_the_scenario_and_a_past_one_is_over(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    nodes = {"w": until("trigger.day", offset_days=-1, at="18:00"), "a": say("tpl_a", "e"), "e": END}
    stage.scenario("booked", nodes, trigger={"type": "event", "event": "reservation_made"}, reentry={"mode": "always"})
    for number, day in enumerate(["2026-12-05", "2026-12-01", "nonsense"]):
        cid = stage.friend(friend_number(number))
        react([Occurred(fact_id=f"r{number}", cid=cid, at=NOON, event="reservation_made", data={"day": day})], stage.world)
    assert [len(texts(stage, friend_number(number))) for number in range(3)] == [0, 1, 1]
    runner.until(datetime(2026, 12, 4, 8, 59, tzinfo=UTC))
    assert texts(stage, friend_number(0)) == []
    runner.until(datetime(2026, 12, 4, 9, 1, tzinfo=UTC))
    assert texts(stage, friend_number(0)) == ["a"]


def test_a_wait_may_end_on_certain_weekdays_only(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    # The 1st of December 2026 is a Tuesday; two days later it is Thursday, and the next Saturday is the 5th.
    stage.scenario("week", {"w": rest("P2D", "a", at="10:00", weekdays=["sat", "sun"]), "a": say("tpl_a", "e"), "e": END})
    follow(stage)
    runner.until(datetime(2026, 12, 5, 0, 59, tzinfo=UTC))
    assert texts(stage) == []
    runner.until(datetime(2026, 12, 5, 1, 1, tzinfo=UTC))
    assert texts(stage) == ["a"]


@pytest.mark.parametrize("buys", ["", "tea", "rice"])
def test_a_wait_may_be_for_a_purchase_of_one_product(stage: Stage, runner: Runner, buys: str) -> None:
    for name in ("a", "thanks", "again"):
        stage.template(f"tpl_{name}", name)
    waits = {
        "type": "wait_for_response", "of": "a", "timeout": "P3D", "responded": "thanks", "timed_out": "again",
        "on": {"event": "purchase", "product": "tea"},
    }  # fmt: skip
    nodes = {"a": say("tpl_a", "w"), "w": waits, "thanks": say("tpl_thanks", "e"), "again": say("tpl_again", "e"), "e": END}
    stage.scenario("tea", nodes)
    cid = follow(stage)
    runner.days(1)
    answer(stage, cid)  # a reaction is not what it waits for
    if buys:
        fact = OrderPlaced(fact_id="o", cid=cid, at=stage.clock.now(), order_no="1", is_first=True, amount_yen=1, products=(buys,))
        react([fact], stage.world)
    runner.days(0.1)
    assert texts(stage) == (["a", "thanks"] if buys == "tea" else ["a"])
    runner.days(5)
    assert texts(stage) == ["a", "thanks" if buys == "tea" else "again"]


# Caps, hours, importance ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "expected"), [("delay", ["a", "b"]), ("skip", ["a"])])
def test_a_cap_puts_off_or_leaves_out(stage: Stage, runner: Runner, policy: str, expected: list[str]) -> None:
    for name in ("a", "b"):
        stage.template(f"tpl_{name}", name)
    nodes = {"a": say("tpl_a", "w"), "w": rest("P1D", "b"), "b": say("tpl_b", "e"), "e": END}
    stage.scenario("capped", nodes, caps=[{"most": 1, "per": "P3D", "scope": "scenario", "policy": policy}])
    cid = follow(stage)
    runner.days(2.5)
    assert texts(stage) == ["a"]
    runner.days(2)
    assert texts(stage) == expected
    assert enrollment(stage, cid).row.status == EnrollmentStatus.DONE


def test_what_is_important_waits_neither_for_the_morning_nor_for_a_cap(stage: Stage, runner: Runner) -> None:
    for name in ("a", "b"):
        stage.template(f"tpl_{name}", name)
    stage.scenario(
        "urgent",
        {"a": say("tpl_a", "w"), "w": rest("PT3H", "b"), "b": say("tpl_b", "e", important=True), "e": END},
        caps=[{"most": 1, "per": "P3D"}],
        quiet_hours={"start": "21:00", "end": "09:00"},
    )
    stage.clock.set(datetime(2026, 12, 1, 11, 0, tzinfo=UTC))  # 20:00 in Japan
    follow(stage)
    assert texts(stage) == ["a"]
    runner.until(datetime(2026, 12, 1, 14, 1, tzinfo=UTC))
    assert texts(stage) == ["a", "b"]


def test_in_quiet_hours_that_leave_out_nothing_is_sent_later(stage: Stage, runner: Runner) -> None:
    three_days(stage, quiet_hours={"start": "21:00", "end": "09:00", "policy": "skip"})
    stage.clock.set(datetime(2026, 12, 1, 14, 0, tzinfo=UTC))
    cid = follow(stage)
    runner.days(1)
    assert texts(stage) == []
    assert "skipped outside_window" in enrollment(stage, cid).path.values()


def test_every_order_starts_a_run_of_its_own_and_the_same_order_none(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    stage.scenario(
        "orders",
        {"w": rest("P1D", "a"), "a": say("tpl_a", "e"), "e": END},
        trigger={"type": "event", "event": "purchase"},
        reentry={"mode": "always", "key": "order_no"},
    )
    cid = stage.friend()
    for order_no, fact_id in (("1", "f1"), ("2", "f2"), ("1", "f3")):
        fact = OrderPlaced(fact_id=fact_id, cid=cid, at=stage.clock.now(), order_no=order_no, is_first=False, amount_yen=1)
        react([fact], stage.world)
        runner.days(0.1)
    runner.days(2)
    assert texts(stage) == ["a", "a"]

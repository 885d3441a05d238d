"""Whole journeys on a virtual clock: who gets what when, once."""

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


def test_a_friend_gets_his_welcome_at_once_and_the_rest_after_7_and_14_days(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    cid = follow(stage)
    assert texts(stage) == ["a"]
    runner.days(6.9)
    assert texts(stage) == ["a"]
    runner.days(0.2)
    assert texts(stage) == ["a", "b"]
    runner.days(30)
    assert texts(stage) == ["a", "b", "c"]
    assert enrollment(stage, cid).row.status == EnrollmentStatus.DONE
    assert stage.world.records.live_cohorts("welcome") == []
    assert runner.failed == []


def test_the_welcome_goes_by_the_free_reply_token(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage, reply=ReplyToken("token", NOON))
    assert [verb for verb, _, _ in stage.line.sent] == ["reply"]


def test_the_welcome_is_pushed_when_the_reply_token_was_used_up(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    stage.line.used_reply_tokens.add("token")
    follow(stage, reply=ReplyToken("token", NOON))
    assert [verb for verb, _, _ in stage.line.sent] == ["push"]


def test_a_first_purchase_is_followed_after_3_7_and_30_days_and_a_second_one_starts_nothing(stage: Stage, runner: Runner) -> None:
    for name in ("a", "b", "c"):
        stage.template(f"tpl_{name}", name)
    nodes = {
        "w1": rest("P3D", "a", at="10:00"), "a": say("tpl_a", "w2"), "w2": rest("P4D", "b", at="10:00"), "b": say("tpl_b", "w3"),
        "w3": rest("P23D", "c", at="10:00"), "c": say("tpl_c", "e"), "e": END,
    }  # fmt: skip
    stage.scenario("bought", nodes, trigger={"type": "event", "event": "first_purchase"})
    cid = stage.friend()
    for number in ("1", "2"):
        facts, _ = stage.world.orders.take([Order(number, cid, stage.clock.now(), 1000)])
        react(facts, stage.world)
        stage.clock.advance(hours=1)
    for days, expected in ((3, ["a"]), (7, ["a", "b"]), (30, ["a", "b", "c"]), (60, ["a", "b", "c"])):
        runner.until(NOON + timedelta(days=days))
        assert texts(stage) == expected


def test_dormant_people_get_line_then_line_at_another_hour_then_sms_or_a_letter(stage: Stage, runner: Runner) -> None:
    dormant(stage)
    member(stage, "1", HANAKO, phone="+819012345678")
    member(stage, "2", TARO, name="太郎", postal_code="100-0001", prefecture="東京都", address="1-1")
    runner.days(1)
    assert (texts(stage, HANAKO), texts(stage, TARO)) == (["hello"], ["hello"])
    runner.days(4)
    assert texts(stage, HANAKO) == ["hello", "again"]
    runner.days(10)
    assert (texts(stage, HANAKO), texts(stage, TARO)) == (["hello", "again"], ["hello", "again"])
    assert [to for to, _, _ in stage.sms.sent] == ["+819012345678"]
    assert len([name for name in stage.files.kept if name.endswith(".csv")]) == 1
    assert runner.failed == []


@pytest.mark.parametrize(("days", "heard"), [(2, ["hello", "thanks"]), (6, ["hello", "again", "thanks"])])
def test_who_responds_goes_the_other_way_at_once(stage: Stage, runner: Runner, days: int, heard: list[str]) -> None:
    dormant(stage)
    cid = member(stage, "1", HANAKO, phone="+819012345678")
    runner.days(days)
    answer(stage, cid)
    runner.days(0.01)
    assert texts(stage) == heard
    runner.days(20)
    assert texts(stage) == heard
    assert stage.sms.sent == []


def test_who_is_no_friend_goes_the_way_of_the_unreachable(stage: Stage, runner: Runner) -> None:
    dormant(stage)
    member(stage, "1", phone="+819012345678")
    runner.days(1)
    assert len(stage.sms.sent) == 1
    assert stage.line.sent == []


def test_the_daily_entry_may_fire_twice_and_every_day(stage: Stage, runner: Runner) -> None:
    dormant(stage)
    member(stage, "1", HANAKO, phone="+819012345678")
    ((_, event),) = stage.schedules.armed.values()
    runner.days(1)
    for part in range(4):
        stage.world.entries.by_schedule("dormant", datetime.fromisoformat(event["at"]), part)
    runner.days(20)
    assert texts(stage) == ["hello", "again"]
    assert len(stage.sms.sent) == 1


def test_a_daily_reentry_that_crashed_half_way_is_finished_by_the_next_try(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    trigger = {"type": "segment", "condition": {"field": "line.reachable", "is": True}, "schedule": {"at": "10:00"}}
    stage.scenario("daily", {"a": say("tpl_a", "e"), "e": END}, trigger=trigger, reentry={"mode": "after_exit", "cooldown": "PT1H"})
    stage.friend()
    runner.days(1)
    assert texts(stage) == ["a"]
    move, stage.world.cohorts.move = stage.world.cohorts.move, dies  # type: ignore[method-assign]
    at = stage.clock.now()
    with pytest.raises(SystemError):
        for part in range(4):
            stage.world.entries.by_schedule("daily", at, part)
    stage.world.cohorts.move = move  # type: ignore[method-assign]
    for part in range(4):
        stage.world.entries.by_schedule("daily", at, part)
    runner.until(at + timedelta(minutes=1))
    assert texts(stage) == ["a", "a"]


def test_a_friend_who_links_half_way_goes_on_and_does_not_enter_a_second_time(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    stage.template("tpl_day", "day")
    trigger = {"type": "segment", "condition": {"field": "line.reachable", "is": True}, "schedule": {"at": "10:00"}}
    stage.scenario("daily", {"w": rest("P2D", "d"), "d": say("tpl_day", "e"), "e": END}, trigger=trigger)
    friend = follow(stage)
    runner.days(1.5)
    customer = stage.customer("77")
    url = stage.world.identity_links.request("main", "77", "linktoken1234567890")
    nonce = url.rpartition("nonce=")[2]
    from urllib.parse import unquote

    fact = LinkAnswered(fact_id="l", cid=friend, at=stage.clock.now(), account=MAIN, line_user_id=HANAKO, nonce=unquote(nonce))
    react([fact], stage.world)
    assert stage.world.friends.get(MAIN, HANAKO).cid == customer
    runner.days(30)
    assert Counter(texts(stage)) == {"a": 1, "b": 1, "c": 1, "day": 1}


def test_two_thousand_people_get_one_message_each_by_pages(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    trigger = {"type": "segment", "condition": {"field": "line.reachable", "is": True}, "schedule": {"at": "13:00"}}
    stage.scenario("many", {"a": say("tpl_a", "w"), "w": rest("P1D", "b"), "b": say("tpl_a", "e"), "e": END}, trigger=trigger)
    cids = crowd(stage, 2000)
    runner.until(NOON + timedelta(hours=2))
    got = Counter(user_id for _, body, _ in stage.line.sent for user_id in body["to"])
    assert len(got) == len(cids)
    assert set(got.values()) == {1}
    assert len(stage.line.sent) <= 8
    assert runner.failed == []


def test_a_shard_of_many_pages_leaves_nobody_out(stage: Stage, runner: Runner) -> None:
    """All of one shard: numbers that differ by its count."""
    stage.template("tpl_a", "a")
    stage.scenario(
        "deep", {"w": rest("PT1H", "a"), "a": say("tpl_a", "e"), "e": END}, trigger={"type": "event", "event": "purchase"}
    )
    cids = [cid for cid in crowd(stage, 8 * 1100) if cid % 8 == 0]
    facts = [OrderPlaced(fact_id=f"o{cid}", cid=cid, at=NOON, order_no=str(cid), is_first=True, amount_yen=1) for cid in cids]
    stage.world.scenario_people.on_orders(facts)
    stage.line.problems = [None, TemporaryError("503", maybe_done=True)]
    runner.days(1)
    got = Counter(user_id for _, body, _ in stage.line.sent for user_id in body["to"])
    assert (len(got), set(got.values())) == (1100, {1})

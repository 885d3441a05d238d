"""Whole journeys on a virtual clock: who gets what when, once; and what crashes, pauses and races do to it."""

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

NOON = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
def runner(stage: Stage) -> Runner:
    stage.clock.set(NOON)
    return Runner(stage)


def say(template: str, following: str, **more: Any) -> dict[str, Any]:
    return {"type": "send", "channel": "line", "template": template, "next": following, **more}


def rest(length: str, following: str, **more: Any) -> dict[str, Any]:
    return {"type": "wait", "duration": length, "next": following, **more}


END = {"type": "end"}


def texts(stage: Stage, user_id: LineUserId = HANAKO) -> list[str]:
    return [messages[0]["text"] for messages in stage.line.received_by(user_id)]


def follow(stage: Stage, user_id: LineUserId = HANAKO, event_id: str = "ev-1", reply: ReplyToken | None = None) -> Cid:
    facts = stage.world.friends.follow(MAIN, user_id, stage.clock.now(), event_id=event_id, is_unblocked=False, reply=reply)
    react(facts, stage.world)
    return facts[0].cid


def answer(stage: Stage, cid: Cid, user_id: LineUserId = HANAKO, data: str = "", event_id: str = "answer") -> None:
    fact = Responded(
        fact_id=event_id, cid=cid, at=stage.clock.now(), account=MAIN, line_user_id=user_id, kind="postback", data=data
    )
    react([fact], stage.world)


def crowd(stage: Stage, count: int) -> list[Cid]:
    """Enter many friends at once."""
    first = 1000
    items = [
        {
            "pk": f"C#{first + i}", "sk": "FR#main", "line_user_id": f"U{first + i:032x}", "state": "following",
            "first_seen_at": "2026-11-01T00:00:00.000Z", "state_at": "2026-11-01T00:00:00.000Z", "display_name": "x",
        }
        for i in range(count)
    ]  # fmt: skip
    stage.world.database.put_many(settings().core_table, items)
    return [Cid(first + i) for i in range(count)]


def enrollment(stage: Stage, cid: Cid) -> Any:
    return stage.world.scenario_people.of(cid)[0]


def three_days(stage: Stage, **more: Any) -> None:
    for name in ("a", "b", "c"):
        stage.template(f"tpl_{name}", name)
    nodes = {
        "a": say("tpl_a", "w1"), "w1": rest("P7D", "b"), "b": say("tpl_b", "w2"), "w2": rest("P7D", "c"), "c": say("tpl_c", "e"),
        "e": END,
    }  # fmt: skip
    stage.scenario("welcome", nodes, **more)


# The three journeys ---------------------------------------------------------------------------------------------------------


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


def dormant(stage: Stage) -> None:
    for name in ("hello", "again", "thanks"):
        stage.template(f"tpl_{name}", name)
    stage.template("tpl_sms", "sms", "sms")
    stage.template("tpl_dm", "dm", "postal")
    nodes = {
        "hello": say("tpl_hello", "w1", unreachable="sms"),
        "w1": {"type": "wait_for_response", "of": "hello", "timeout": "P3D", "responded": "thanks", "timed_out": "again", "at": "20:00"},
        "again": say("tpl_again", "w2"),
        "w2": {"type": "wait_for_response", "of": "again", "timeout": "P3D", "responded": "thanks", "timed_out": "sms"},
        "sms": {"type": "send", "channel": "sms", "template": "tpl_sms", "next": "e", "unreachable": "dm"},
        "dm": {"type": "send", "channel": "postal", "template": "tpl_dm", "next": "e"},
        "thanks": say("tpl_thanks", "e"),
        "e": END,
    }  # fmt: skip
    trigger = {"type": "segment", "condition": {"field": "customer.known", "is": True}, "schedule": {"at": "10:00"}}
    stage.scenario("dormant", nodes, trigger=trigger, reentry={"mode": "never"})


def member(stage: Stage, number: str, user_id: LineUserId | None = None, **values: str) -> Cid:
    cid = stage.customer(number, **values)
    if user_id:
        stage.world.friends.enter(MAIN, user_id, cid, stage.clock.now())
    return cid


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
    move, stage.world.cohorts.move = stage.world.cohorts.move, _dies  # type: ignore[method-assign]
    at = stage.clock.now()
    with pytest.raises(SystemError):
        for part in range(4):
            stage.world.entries.by_schedule("daily", at, part)
    stage.world.cohorts.move = move  # type: ignore[method-assign]
    for part in range(4):
        stage.world.entries.by_schedule("daily", at, part)
    runner.until(at + timedelta(minutes=1))
    assert texts(stage) == ["a", "a"]


def _dies(*_: Any, **__: Any) -> Any:
    raise SystemError("the process dies here")


# Ways through and out -------------------------------------------------------------------------------------------------------


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


# Races ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [-6, -1, 0, 1, 6])
def test_a_response_around_the_time_out_leads_exactly_one_way(stage: Stage, runner: Runner, minutes: int) -> None:
    dormant(stage)
    cid = member(stage, "1", HANAKO)
    runner.until(datetime(2026, 12, 5, 11, 0, tzinfo=UTC) + timedelta(minutes=minutes))
    answer(stage, cid)
    runner.days(20)
    heard = texts(stage)
    # After the time-out he answers to the second message.
    assert heard == (["hello", "thanks"] if minutes < 0 else ["hello", "again", "thanks"])


@pytest.mark.parametrize("trip", range(8))
def test_a_response_between_any_two_steps_of_the_machine_leads_exactly_one_way(stage: Stage, runner: Runner, trip: int) -> None:
    dormant(stage)
    cid = member(stage, "1", HANAKO)
    runner.days(2)
    start = len(runner.trips)

    def before(_: dict[str, Any]) -> None:
        if len(runner.trips) == start + trip + 1:
            answer(stage, cid)

    runner.before = before
    runner.days(20)
    heard = texts(stage)
    assert heard in (["hello", "thanks"], ["hello", "again"], ["hello", "again", "thanks"])
    assert enrollment(stage, cid).row.status == EnrollmentStatus.DONE


def test_who_comes_too_late_goes_with_the_next_cohort(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    stage.scenario("late", {"w": rest("PT1H", "a"), "a": say("tpl_a", "e"), "e": END})
    follow(stage, HANAKO, "1")
    late: list[Cid] = []

    def before(payload: dict[str, Any]) -> None:
        if payload["op"] == "advance" and not late:
            stage.clock.advance(hours=-1)
            late.append(follow(stage, TARO, "2"))
            stage.clock.advance(hours=1)

    runner.before = before
    runner.days(1)
    assert (texts(stage, HANAKO), texts(stage, TARO)) == (["a"], ["a"])


def test_who_joins_while_the_gate_closes_goes_on_with_the_next_cohort(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    stage.scenario("late", {"w": rest("PT1H", "a"), "a": say("tpl_a", "e"), "e": END})
    follow(stage, HANAKO, "1")
    execute = stage.world.database.execute
    ran: list[bool] = []

    def the_cohort_runs_first(statements: Any) -> Any:
        if not ran and statements and 'SET "cohort"' in statements[0].text:
            ran.append(True)
            runner.until(NOON + timedelta(hours=1, minutes=1))
        return execute(statements)

    stage.world.database.execute = the_cohort_runs_first  # type: ignore[method-assign]
    follow(stage, TARO, "2")
    assert (texts(stage, HANAKO), texts(stage, TARO)) == (["a"], [])
    runner.days(1)
    assert (texts(stage, HANAKO), texts(stage, TARO)) == (["a"], ["a"])


@pytest.mark.parametrize("moved", [True, False])
def test_who_was_claimed_but_not_frozen_is_still_owed_his_message(stage: Stage, runner: Runner, moved: bool) -> None:
    """A crash between claim and freeze, and a word from the person before the page is tried again."""
    dormant(stage)
    cid = member(stage, "1", HANAKO)
    freeze = stage.world.ledger.freeze
    crashes = [0]

    def dies(batch: Any, *rest: Any) -> Any:
        if not crashes[0]:
            crashes[0] += 1
            if moved:
                answer(stage, cid)
            raise SystemError("the process dies here")
        return freeze(batch, *rest)

    stage.world.ledger.freeze = dies  # type: ignore[method-assign]
    runner.days(2)
    assert texts(stage) == (["hello", "thanks"] if moved else ["hello"])


# Crashes --------------------------------------------------------------------------------------------------------------------


class Crash(BaseException):
    """The process dies: nothing may catch it."""


def crash_at(stage: Stage, number: int) -> list[int]:
    """Let the world's database die before its n-th call; returns the counter."""
    database, count = stage.world.database, [0]
    for name in ("execute", "get_many", "put_many", "query"):
        real = getattr(database, name)

        def call(*args: Any, _real: Any = real, **more: Any) -> Any:
            count[0] += 1
            if count[0] == number:
                raise Crash
            return _real(*args, **more)

        setattr(database, name, call)
    return count


def test_an_inline_walk_that_crashes_anywhere_sends_each_message_once(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_a", "a")
    stage.template("tpl_b", "b")
    tag = stage.world.tags.create("new").tag_id
    nodes = {
        "a": say("tpl_a", "t"), "t": {"type": "action", "do": "tag_add", "tag": tag, "next": "b"}, "b": say("tpl_b", "w"),
        "w": rest("P1D", "e"), "e": END,
    }  # fmt: skip
    stage.scenario("inline", nodes, filter={"not": {"tag": tag}})
    count = crash_at(stage, -1)
    follow(stage, LineUserId("U" + "0" * 32), "whole")
    calls = count[0]
    assert calls > 20
    for number in range(1, calls + 1):
        user_id = LineUserId(f"U{number:032x}")
        for name in ("execute", "get_many", "put_many", "query"):
            stage.world.database.__dict__.pop(name, None)
        crash_at(stage, number)
        try:
            follow(stage, user_id, f"ev{number}")
        except Crash:
            follow(stage, user_id, f"ev{number}")
        assert texts(stage, user_id) == ["a", "b"], f"crash before call {number}"
    for name in ("execute", "get_many", "put_many", "query"):
        stage.world.database.__dict__.pop(name, None)
    runner.days(2)
    states = Counter(
        str(enrollment(stage, stage.world.friends.get(MAIN, LineUserId(f"U{n:032x}")).cid).row.status) for n in range(calls + 1)
    )
    assert states == {"done": calls + 1}


def test_a_machine_whose_every_step_fails_once_sends_each_message_once(stage: Stage, runner: Runner) -> None:
    dormant(stage)
    member(stage, "1", HANAKO, phone="+819012345678")
    tried: set[str] = set()

    def before(payload: dict[str, Any]) -> None:
        text = json.dumps(payload)
        if text not in tried:
            tried.add(text)
            # It did its work, and its answer was lost.
            from chalicelib.entrypoints import scenario_steps

            scenario_steps.handle(payload, stage.world)
            raise TemporaryError("time-out")

    runner.before = before
    runner.days(30)
    assert texts(stage) == ["hello", "again"]
    assert len(stage.sms.sent) == 1
    assert runner.failed == []


def test_the_reconciler_starts_a_cohort_that_a_crash_left_alone(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    start, stage.machines.start = stage.machines.start, _dies  # type: ignore[method-assign]
    with pytest.raises(SystemError):
        follow(stage)
    stage.machines.start = start  # type: ignore[method-assign]
    runner.days(8)
    assert texts(stage) == ["a"]
    assert stage.world.upkeep.reconcile()[0] == 1
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
    stage.line.problems = []
    stage.world.upkeep.reconcile()
    runner.days(10)
    assert texts(stage) == ["a", "b", "c"]


# Pause, quota, versions -----------------------------------------------------------------------------------------------------


def test_a_pause_parks_everybody_and_resuming_goes_on_from_there(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage)
    runner.days(1)
    stage.world.upkeep.pause("welcome")
    runner.days(9)
    assert texts(stage) == ["a"]
    follow(stage, TARO, "2")
    assert texts(stage, TARO) == []
    stage.world.upkeep.resume("welcome")
    runner.days(0.1)
    assert texts(stage) == ["a", "b"]
    runner.days(30)
    assert texts(stage) == ["a", "b", "c"]


def test_used_up_messages_park_the_scenario_and_nobody_gets_it_twice_after(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    for n in range(3):
        follow(stage, LineUserId(f"U{n:032x}"), f"ev{n}")
    stage.line.problems = [QuotaExceededError("You have reached your monthly limit.")] * 99
    runner.days(8)
    assert stage.world.scenarios.get("welcome").state is ScenarioState.PAUSED
    stage.line.problems = []
    runner.days(3)
    stage.world.upkeep.resume("welcome")
    runner.days(30)
    assert [texts(stage, LineUserId(f"U{n:032x}")) for n in range(3)] == [["a", "b", "c"]] * 3


def test_those_in_flight_finish_the_old_version(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    follow(stage, HANAKO, "1")
    stage.template("tpl_new", "new")
    stage.scenario("welcome", {"a": say("tpl_a", "w1"), "w1": rest("P7D", "n"), "n": say("tpl_new", "e"), "e": END})
    follow(stage, TARO, "2")
    runner.days(30)
    assert (texts(stage, HANAKO), texts(stage, TARO)) == (["a", "b", "c"], ["a", "new"])


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


# Many -----------------------------------------------------------------------------------------------------------------------


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

"""Two things at once, and deaths at every step: everybody goes exactly one way and hears everything once."""

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

"""Pause, resume, call off, move to another version: nobody is lost and nobody hears a thing twice."""

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
from tests.rooms.journey import (
    resume,
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
        follow(stage, LineUserId(f"U{n:032x}"), f"ev{n}")
    stage.line.problems = [QuotaExceededError("You have reached your monthly limit.")] * 99
    runner.days(8)
    assert stage.world.scenarios.get("welcome").state is ScenarioState.PAUSED
    stage.line.problems = []
    runner.days(3)
    resume(stage, "welcome")
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

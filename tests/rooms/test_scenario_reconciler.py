"""What the hourly and the daily look find and mend."""

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


def test_the_reconciler_starts_a_cohort_that_a_crash_left_alone(stage: Stage, runner: Runner) -> None:
    three_days(stage)
    start, stage.machines.start = stage.machines.start, dies  # type: ignore[method-assign]
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

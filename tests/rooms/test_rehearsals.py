"""Rehearsals with the company's own people: they read, and touch nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import LineUserId
from chalicelib.scenarios.dry import Rate
from chalicelib.scenarios.rehearsals import Wanted
from tests.builders import MAIN, Stage

NOON = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)


@pytest.fixture
def drawn(stage: Stage) -> Stage:
    stage.clock.set(NOON)
    for number in range(6):
        cid = stage.customer(str(number), name=f"人{number}", phone="+819012345678" if number % 2 else "")
        if number < 3:
            stage.world.friends.enter(MAIN, LineUserId(f"U{number:032x}"), cid, NOON)
    stage.template("tpl_hello", "こんにちは、{{name}}様")
    stage.template("tpl_again", "もう一度")
    stage.template("tpl_sms", "sms", "sms")
    nodes = {
        "hello": {"type": "send", "channel": "line", "template": "tpl_hello", "next": "wait", "unreachable": "sms"},
        "wait": {"type": "wait_for_response", "of": "hello", "timeout": "P3D", "responded": "e", "timed_out": "again"},
        "again": {"type": "send", "channel": "line", "template": "tpl_again", "next": "e"},
        "sms": {"type": "send", "channel": "sms", "template": "tpl_sms", "next": "e"},
        "e": {"type": "end"},
    }  # fmt: skip
    trigger = {"type": "segment", "condition": {"field": "customer.known", "is": True}, "schedule": {"at": "10:00"}}
    graph = {"schema": "scenario/1", "name": "x", "trigger": trigger, "start": "hello", "nodes": nodes}
    stage.world.scenarios.save_draft("x", graph)
    return stage


def only_reading(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on whatever writes, sends, starts or arms fails the test."""

    def refuse(*_given: Any, **_more: Any) -> Any:
        raise AssertionError("a rehearsal touched the outside")

    here = stage.world
    for name in ("execute", "put_many"):
        monkeypatch.setattr(here.database, name, refuse)
    for port in ("line", "email", "sms", "files", "events", "work", "machines", "schedules", "hook_caller"):
        here.__dict__[port] = _Refusing(refuse)
    assert here.delivery  # made by now with the ports that refuse


class _Refusing:
    def __init__(self, refuse: Any) -> None:
        self._refuse = refuse

    def __getattr__(self, _name: str) -> Any:
        return self._refuse


def test_a_rehearsal_tells_what_would_happen_and_touches_nothing(drawn: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    only_reading(drawn, monkeypatch)
    found = drawn.world.rehearsals.run("x", Wanted(NOON, rates={"hello": Rate(1.0, (1, 2))}))
    steps = {step.node: step for step in found.steps}
    assert (found.audience, found.rehearsed) == (6, 6)
    assert dict(steps["hello"].messages) == {"push": 3}  # a name in it: each his own
    assert dict(steps["hello"].skipped) == {"not_a_friend": 3}
    assert (steps["hello"].responses, dict(steps["wait"].ways)) == (3, {"e": 3})
    assert dict(steps["sms"].messages) == {"sms": 2} and dict(steps["sms"].skipped) == {"no_address": 1}
    assert steps["hello"].first_at == datetime(2026, 12, 2, 1, 0, tzinfo=UTC)
    assert dict(found.ends) == {"e": 6}
    assert [warned.code for warned in found.warnings] == ["never_reached"]
    texts = {line.text for sample in found.samples for line in sample.lines if line.node == "hello" and line.text}
    assert texts == {"こんにちは、人0様", "こんにちは、人1様", "こんにちは、人2様"}


def test_a_sample_is_scaled_up_to_everybody_and_is_the_same_every_time(drawn: Stage) -> None:
    first, second = (drawn.world.rehearsals.run("x", Wanted(NOON, sample=2)) for _ in range(2))
    assert (first.audience, first.rehearsed) == (6, 2)
    assert sum(first.ends.values()) == 6
    assert first == second


def test_people_can_be_named_and_refusals_count(drawn: Stage) -> None:
    cid = drawn.customer("7")
    drawn.world.friends.enter(MAIN, LineUserId("U" + "7" * 32), cid, NOON)
    drawn.world.customers.set_consent(cid, DeliveryChannel.LINE, opted_out=True, source="test")
    found = drawn.world.rehearsals.run("x", Wanted(NOON, cids=[cid]))
    assert found.rehearsed == 1
    assert dict(found.steps[0].skipped) == {"opted_out": 1}


def test_a_drawing_with_problems_and_rates_of_nobody_are_refused(drawn: Stage) -> None:
    with pytest.raises(InvalidError, match=r"api\.parameter_malformed"):
        drawn.world.rehearsals.run("x", Wanted(NOON, rates={"nobody": Rate(1.0)}))
    graph = dict(drawn.world.scenarios.get("x").draft)
    drawn.world.scenarios.save_draft("x", {**graph, "start": "nowhere"})
    with pytest.raises(InvalidError, match=r"scenario\.has_problems"):
        drawn.world.rehearsals.run("x", Wanted(NOON))

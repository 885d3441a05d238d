"""Rehearsals with the company's own people: they read, and touch nothing."""

from __future__ import annotations

import zlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.customers.model import DeliveryChannel
from chalicelib.entrypoints import workers
from chalicelib.kernel.errors import InvalidError, NotFoundError, TemporaryError
from chalicelib.kernel.ids import LineUserId
from chalicelib.ports.line import Quota
from chalicelib.scenarios import full_rehearsals
from chalicelib.scenarios.costs import Prices
from chalicelib.scenarios.dry import Rate
from chalicelib.scenarios.full_rehearsals import PARTS
from chalicelib.scenarios.rehearsals import Rehearsals, Wanted
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
    here.__dict__["line"] = _Refusing(refuse, quota=here.line.quota)  # what the month has left is read, never used
    for port in ("email", "sms", "files", "events", "work", "machines", "schedules", "hook_caller"):
        here.__dict__[port] = _Refusing(refuse)
    assert here.delivery  # made by now with the ports that refuse


class _Refusing:
    def __init__(self, refuse: Any, **allowed: Any) -> None:
        self._refuse = refuse
        self._allowed = allowed

    def __getattr__(self, name: str) -> Any:
        return self._allowed.get(name, self._refuse)


def test_a_rehearsal_tells_what_would_happen_and_touches_nothing(drawn: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    only_reading(drawn, monkeypatch)
    found = drawn.world.rehearsals.run("x", Wanted(NOON, rates={"hello": Rate(1.0, (1, 2))}))
    steps = {step.node: step for step in found.steps}
    assert (found.audience, found.audience_is_exact, found.rehearsed, found.played) == (6, True, 6, 6)
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
    assert (first.audience, first.rehearsed, first.played, len(first.samples)) == (6, 2, 6, 2)
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


# What is expected ---------------------------------------------------------------------------------------------------------------


def test_rates_come_from_what_earlier_versions_did_unless_they_are_given(drawn: Stage) -> None:
    here = drawn.world
    graph = dict(here.scenarios.get("x").draft)
    here.scenarios.save_draft("x", {**graph, "goal": {"event": "purchase"}})
    here.scenarios.publish("x")
    done = {"hello": {"sent": 30}, "again": {"sent": 10, "responded": 4}, "e": {"ended e": 36}, "": {"exited goal": 4}}
    here.counts.page("x", 1, "first", done, NOON)
    here.counts.page("x", 1, "second", {"hello": {"sent": 10, "responded": 20}}, NOON)
    found = here.rehearsals.run("x", Wanted(NOON, rates={"sms": Rate(0.0)}))
    told = {name: (one.rate, one.origin, one.seen) for name, one in found.expected.items()}
    assert told == {
        "hello": (0.5, "history", 40),
        "again": (0.48, "history_of_all", 50),  # ten messages say nothing yet
        "sms": (0.0, "given", 0),
        "goal": (0.1, "history", 40),
    }


def test_what_a_line_account_has_left_is_told_and_what_exceeds_it_with_step_and_day(drawn: Stage) -> None:
    drawn.line.month = Quota(limit=10, used=8)
    found = drawn.world.rehearsals.run("x", Wanted(NOON))
    assert found.line_quota == Quota(limit=10, used=8)
    said = {warned.code: warned.ja for warned in found.warnings}
    assert "「hello」(12/2)でLINEアカウントの残り2通" in said["quota_exceeded"]
    later = drawn.world.rehearsals.run("x", Wanted(NOON + timedelta(days=31)))  # another month: all of it is left
    assert later.line_quota == Quota(limit=10, used=0)
    assert "quota_exceeded" not in {warned.code for warned in later.warnings}


def test_what_line_has_counted_is_used_up_of_the_plan_unless_somebody_knows_better(drawn: Stage) -> None:
    drawn.line.month = Quota(limit=None, used=30_000)
    assert drawn.world.rehearsals.run("x", Wanted(NOON)).yen["line"] > 0
    assert drawn.world.rehearsals.run("x", Wanted(NOON, prices=Prices(line_used=0))).yen["line"] == 0


def test_a_rehearsal_does_without_the_quota_when_line_does_not_answer(drawn: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(_credentials: Any) -> Any:
        raise TemporaryError("time-out")

    monkeypatch.setattr(drawn.line, "quota", silent)
    assert drawn.world.rehearsals.run("x", Wanted(NOON)).line_quota is None


def test_looking_for_people_ends_in_time_and_says_so(drawn: Stage) -> None:
    here, seconds = drawn.world, iter([0.0, 1.0, 8.0])
    hasty = Rehearsals(
        here.scenarios, here.segments, here.messages, here.line_accounts, here.caps, here.reports, here.delivery, here.clock,
        monotonic=lambda: next(seconds),
    )  # fmt: skip
    found = hasty.run("x", Wanted(NOON))  # one batch of a hundred, and then no time for another
    assert (found.audience, found.audience_is_exact) == (6, False)


# Everybody ----------------------------------------------------------------------------------------------------------------------


def ordered(stage: Stage, wanted: Wanted, times: int = 1) -> str:
    """Order a rehearsal of everybody and do every step so many times; return its id."""
    full = stage.world.full_rehearsals
    rehearsal_id, steps = full.order("x", wanted)
    assert (full.get(rehearsal_id).status, len(steps)) == ("queued", 4)
    while steps:
        step = steps.pop(0)
        assert full.get(rehearsal_id).status in ("queued", "running", "done")
        for _ in range(times):
            following = workers.do(step, stage.world)
        steps += following
    return rehearsal_id


def test_everybody_is_rehearsed_as_a_sample_of_all_would_be(drawn: Stage) -> None:
    drawn.world.customers.suppress(DeliveryChannel.SMS, "+819012345678", "test")
    wanted = Wanted(NOON, rates={"hello": Rate(1.0, (1, 2))})
    sample = drawn.world.rehearsals.run("x", wanted)
    standing = drawn.world.full_rehearsals.get(ordered(drawn, wanted))
    assert (standing.status, standing.share_done, standing.problem) == ("done", 1.0, "")
    assert standing.result is not None
    assert {step.node: dict(step.skipped) for step in sample.steps}["sms"] == {"address_refused": 2, "no_address": 1}
    order = {one.cid: one for one in standing.result.samples}
    assert [order[one.cid] for one in sample.samples] == list(sample.samples)  # names and all
    # Who reacts is drawn for each; the cohorts are the same, so all the figures are.
    assert replace(standing.result, samples=()) == replace(sample, samples=())


def test_who_comes_by_a_day_of_his_own_is_rehearsed_when_it_lies_within_the_time_that_is_watched(drawn: Stage) -> None:
    for number, birthday in enumerate(["1990-12-05", "1990-12-20", "1990-11-30", "1988-02-29"]):
        drawn.customer(f"b{number}", name="誕", birthday=birthday)
    graph = drawn.world.scenarios.get("x").draft
    trigger = {"type": "date", "date": "profile.birthday", "at": "10:00", "offset_days": -1, "yearly": True}
    drawn.world.scenarios.save_draft("x", {**graph, "trigger": trigger})
    for days, audience in ((10, 1), (30, 2), (100, 3), (365, 4)):
        sample = drawn.world.rehearsals.run("x", Wanted(NOON, days=days))
        assert sample.audience == sum(step.people for step in sample.steps if step.node == "hello") == audience
        whole = drawn.world.full_rehearsals.get(ordered(drawn, Wanted(NOON, days=days))).result
        assert whole is not None and replace(whole, samples=()) == replace(sample, samples=())


def test_steps_that_come_twice_change_nothing(drawn: Stage) -> None:
    once, twice = (drawn.world.full_rehearsals.get(ordered(drawn, Wanted(NOON), times)) for times in (1, 2))
    assert once.result == twice.result is not None


def test_a_step_that_comes_after_the_end_leaves_the_result_alone(drawn: Stage) -> None:
    rehearsal_id = ordered(drawn, Wanted(NOON))
    result = drawn.world.full_rehearsals.get(rehearsal_id).result
    for key in [key for key in drawn.files.kept if "/people/" in key]:
        del drawn.files.kept[key]  # their thirty days are over a little earlier than the result's
    assert workers.do({"op": "rehearsal", "rehearsal_id": rehearsal_id, "part": None}, drawn.world) == []
    assert drawn.world.full_rehearsals.get(rehearsal_id).result == result


def test_nobody_is_kept_with_his_name_but_the_samples(drawn: Stage) -> None:
    rehearsal_id = ordered(drawn, Wanted(NOON))
    kept = {key: content for key, content in drawn.files.kept.items() if key.startswith(f"rehearsals/{rehearsal_id}/people/")}
    assert len(kept) == PARTS
    everything = b"".join(zlib.decompress(content) for content in kept.values())
    assert "人".encode() not in everything and b"12345678" not in everything
    assert "人".encode() in drawn.files.kept[f"rehearsals/{rehearsal_id}.json"]


def test_of_too_many_an_even_draw_stands_for_all(drawn: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(full_rehearsals, "MOST_PLAYED", 4)
    result = drawn.world.full_rehearsals.get(ordered(drawn, Wanted(NOON))).result
    assert result is not None
    assert (result.audience, result.rehearsed, sum(result.ends.values())) == (6, 4, 6)
    assert (result.audience_is_exact, result.aws_is_exact) == (True, False)


def test_what_cannot_be_done_any_more_fails_with_its_reason(drawn: Stage) -> None:
    here = drawn.world
    here.segments.save("seg_all", "全員", {"field": "customer.known", "is": True})
    graph = dict(here.scenarios.get("x").draft)
    trigger = {"type": "segment", "condition": {"segment": "seg_all"}, "schedule": {"at": "10:00"}}
    here.scenarios.save_draft("x", {**graph, "trigger": trigger})
    rehearsal_id, steps = here.full_rehearsals.order("x", Wanted(NOON))
    here.segments.delete("seg_all")
    assert [workers.do(step, here) for step in steps] == [[], [], [], []]
    standing = here.full_rehearsals.get(rehearsal_id)
    assert (standing.status, standing.problem) == ("failed", "condition.segment_unknown")


def test_what_was_given_up_is_said_to_have_failed_and_what_is_not_there_is_unknown(drawn: Stage) -> None:
    full = drawn.world.full_rehearsals
    rehearsal_id, steps = full.order("x", Wanted(NOON))
    workers.do(steps[0], drawn.world)
    assert (full.get(rehearsal_id).status, full.get(rehearsal_id).share_done) == ("running", 0.02)
    drawn.clock.set(NOON + timedelta(hours=4))
    assert (full.get(rehearsal_id).status, full.get(rehearsal_id).problem) == ("failed", "gave_up")
    for unknown in ("reh_" + "0" * 26, "../reh"):
        with pytest.raises(NotFoundError, match=r"rehearsal\.unknown"):
            full.get(unknown)

"""The rehearsal's own parts: the machine that counts, the costs, and how lanes and months are told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.ids import ScenarioId, TemplateId
from chalicelib.kernel.windows import JST
from chalicelib.messages.model import Template
from chalicelib.scenarios.asl import compile_machine
from chalicelib.scenarios.costs import Prices, bill, line_yen, sms_parts
from chalicelib.scenarios.dry import Rate
from chalicelib.scenarios.forecast import Known, forecast
from chalicelib.scenarios.graph import parse
from chalicelib.scenarios.machine import Tally, check, walk
from chalicelib.scenarios.model import Version
from chalicelib.scenarios.rehearsal import Assumptions, Rehearsal
from chalicelib.segments.model import falls_on
from local.rehearse import ACCOUNT, crowd, drawing, rates_of, templates_of

BEGIN = datetime(2026, 12, 1, tzinfo=UTC)
DORMANT = {"first_try": Rate(0.28), "second_try": Rate(0.15), "goal": Rate(0.03, (24, 200))}


def rehearsed(name: str = "dormant90", people: int = 300, **more: Any) -> Rehearsal:
    graph = parse(drawing(name))
    assumed = Assumptions(BEGIN, **{"rates": DORMANT, **more})
    done = Rehearsal(
        Version(ScenarioId("x"), 1, graph), crowd(people, ACCOUNT, 0.9, 0.3, 0.2), templates_of(graph), [ACCOUNT], assumed
    )
    done.run()
    return done


# The machine ------------------------------------------------------------------------------------------------------------------


def test_a_walk_is_counted_state_by_state_and_event_by_event() -> None:
    nodes = {"a": {"type": "send", "channel": "line", "template": "t", "next": "e"}, "e": {"type": "end"}}
    data = {"schema": "scenario/1", "name": "x", "trigger": {"type": "manual"}, "start": "a", "nodes": nodes}
    machine = compile_machine(parse(data), "x", 1, "f")
    check(machine)
    calls: list[str] = []

    def call(payload: dict[str, Any]) -> Mapping[str, Any]:
        calls.append(payload["op"])
        if payload["op"] == "gate":
            return {"cohort": "c", "run": 0, "go": "a", "due": "2026-12-01T00:00:00Z", "shards": [0, 1]}
        if payload["op"] == "page":
            more = payload["calls"] == 0 and payload["shard"] == 0
            return {**payload, "cursor": "x" if more else "", "calls": payload["calls"] + 1, "stayed": 1}
        return {"cohort": "c", "run": 0, "go": "#stop", "due": "2026-12-01T00:00:00Z", "shards": []}

    tally = Tally()
    waited = list(walk(machine, {"cohort": "c", "due": "2026-12-01T00:00:00Z", "run": 0}, call, tally))
    assert waited == [BEGIN]
    assert calls == ["gate", "page", "page", "page", "advance"]
    # Due Gate At a, per shard (page more)+ done, a.next a.go Stopped
    assert (tally.executions, tally.calls, tally.transitions) == (1, 5, 4 + (5 + 3) + 3)
    # ExecutionStarted and Succeeded; 3 calls outside the map and 3 inside; waits, choices, ends; the map and its two shards
    assert tally.events == 2 + 5 * 5 + 2 * (1 + 1 + 3 + 2 + 1 + 1) + 4 + 2 * 2
    assert 0 < tally.most_bytes < 1000


def test_a_machine_with_something_unknown_is_refused() -> None:
    with pytest.raises(NotImplementedError):
        check({"States": {"x": {"Type": "Parallel"}}})
    with pytest.raises(NotImplementedError):
        check({"States": {"x": {"Type": "Wait", "Seconds": 3}}})


# What it shows ------------------------------------------------------------------------------------------------------------------


def test_nobody_is_lost_between_the_steps() -> None:
    done = rehearsed()
    found = forecast(done, {}, Prices())
    assert sum(found.ends.values()) == found.audience == 300
    assert done.records.live_cohorts() == []
    arrived = {step.node: 0 for step in found.steps}
    for step in found.steps:
        for target, people in step.ways.items():
            arrived[target] += people
    # Whoever came to a node came from another; he leaves it, reaches the goal meanwhile, or ends there.
    assert all(arrived[step.node] >= step.people > 0 for step in found.steps if step.node != "first_try")


def test_the_same_people_react_every_time_and_others_with_another_seed() -> None:
    one, same, other = rehearsed(), rehearsed(), rehearsed(seed="other")
    assert one.responses == same.responses and one.tally == same.tally
    assert one.responses != other.responses


def test_a_quota_that_is_used_up_is_told_with_the_step_at_which_it_is() -> None:
    found = forecast(rehearsed(), {}, Prices(line_included=400))
    told = {warned.code: warned.ja for warned in found.warnings}
    assert "別の時間に再送" in told["included_exceeded"]
    assert found.yen["line"] == (sum(found.line_by_month.values()) - 400) * 3.0


def test_the_same_text_for_everybody_goes_by_multicast_and_a_link_of_his_own_by_push() -> None:
    graph = parse(drawing("dormant90"))
    same = Template(TemplateId("t"), "t", DeliveryChannel.LINE, {"messages": [{"type": "text", "text": "同じ"}]}, 1, BEGIN)
    for templates, lane in ((templates_of(graph), "push"), (dict.fromkeys(templates_of(graph), same), "multicast")):
        done = Rehearsal(Version(ScenarioId("x"), 1, graph), crowd(100, ACCOUNT, 1, 0, 0), templates, [ACCOUNT], Assumptions(BEGIN))
        done.run()
        sent = done.outbox.sends["first_try"]
        assert dict(sent.lanes) == {lane: 100}
        assert sent.calls[lane] == (100 if lane == "push" else 8)  # a call a shard
        assert sent.billable["line"] == 100


def test_figures_are_scaled_up_to_the_whole_audience() -> None:
    found = forecast(rehearsed(), {}, Prices(), Known(30_000))
    assert (found.audience, found.rehearsed, sum(found.ends.values())) == (30_000, 300, 30_000)


def test_what_is_sent_at_night_waits_for_the_morning() -> None:
    graph = drawing("dormant90") | {"quiet_hours": {"start": "09:00", "end": "11:00"}}
    parsed = parse(graph)
    done = Rehearsal(Version(ScenarioId("x"), 1, parsed), crowd(10, ACCOUNT, 1, 0, 0), {}, [ACCOUNT], Assumptions(BEGIN))
    done.run()
    step = next(step for step in forecast(done, {}, Prices()).steps if step.node == "first_try")
    assert dict(step.held) == {"quiet_hours": 10} and step.people == 10
    assert step.last_at == datetime(2026, 12, 1, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize("name", ["welcome", "first_purchase", "dormant90"])
def test_every_ready_made_scenario_can_be_rehearsed(name: str) -> None:
    found = forecast(rehearsed(name, 20, rates={}), {}, Prices())
    assert found.rehearsed == 20 and found.steps


def test_everybody_comes_on_the_day_of_his_own_that_lets_him_in() -> None:
    done = rehearsed("birthday", 400, rates={}, days=40)
    members = list(done.records.members_by_cid.values())
    assert 0.05 * 400 < len(members) < 0.2 * 400
    for member in members:
        birthday = done.crowd.people[member.cid].customer.profile.birthday
        day = member.entered_at.astimezone(JST)
        assert birthday is not None and (day.hour, day.minute) == (10, 0)
        assert falls_on(birthday, day.date() + timedelta(days=7))
        assert BEGIN <= member.entered_at < BEGIN + timedelta(days=40)
    assert len({member.entered_at for member in members}) > 10
    step = next(step for step in forecast(done, {}, Prices()).steps if step.node == "coupon")
    assert step.people == len(members)


# Costs ------------------------------------------------------------------------------------------------------------------------


def test_messages_of_a_month_cost_beyond_what_the_plan_includes() -> None:
    prices = Prices(line_included=100, line_used=40, line_extra=3.0)
    assert line_yen({"2026-12": 60, "2027-01": 100}, prices, "2026-12") == 0
    assert line_yen({"2026-12": 61, "2027-01": 102}, prices, "2026-12") == 3 * 3.0


def test_a_long_sms_is_several() -> None:
    assert [sms_parts("あ" * length) for length in (1, 70, 71, 132, 133)] == [1, 1, 2, 2, 3]


def test_the_bill_adds_up() -> None:
    found = bill(transitions=40_000, calls=0, writes=1_000_000, sends=0)
    assert found.step_functions == pytest.approx(1.0)
    assert found.dynamodb == pytest.approx(0.715 + 0.1425)
    assert found.total == pytest.approx(found.step_functions + found.dynamodb + found.lambda_)


def test_rates_are_read_from_words() -> None:
    assert rates_of(["a=0.5", "goal=0.1:2-4"]) == {"a": Rate(0.5), "goal": Rate(0.1, (2.0, 4.0))}

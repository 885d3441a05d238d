"""What other systems report: taken once, kept as it was told first, and handed over to the worker."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.entrypoints.webhook_worker import handle
from chalicelib.kernel.clock import to_text
from chalicelib.kernel.ids import Cid, customer_id
from tests.builders import Stage
from tests.doors.conftest import Knock, records
from tests.doors.test_admin_api import is_problem

NODES = {"w": {"type": "wait", "duration": "P3D", "next": "e"}, "e": {"type": "end"}}


def event(**more: Any) -> dict[str, Any]:
    return {"event": "reservation_made", "event_id": "R-1", "name": "カット", "member_no": "M1", **more}


def work(stage: Stage) -> None:
    """Let the worker take what is queued, twice."""
    taken, stage.events.messages = stage.events.messages, []
    for _ in range(2):
        assert handle(records(*taken), stage.world) == {"batchItemFailures": []}


def runs(stage: Stage, cid: Cid) -> list[Any]:
    return stage.world.scenario_people.of(cid)


@pytest.fixture
def booked(stage: Stage) -> Cid:
    stage.scenario("booked", NODES, trigger={"type": "event", "event": "reservation_made"}, reentry={"mode": "always"})
    return stage.customer("M1")


def test_a_report_starts_a_scenario_with_what_it_brings(stage: Stage, knock: Knock, booked: Cid) -> None:
    starts_at = to_text(stage.clock.now() + timedelta(days=2))
    answer = knock.api("POST", "/events", event(data={"starts_at": starts_at}))
    assert (answer.status_code, answer.json_body) == (202, {"event_id": "R-1", "customer_id": customer_id(booked)})
    work(stage)
    (one,) = runs(stage, booked)
    assert one.data == {"at": to_text(stage.clock.now()), "name": "カット", "starts_at": starts_at}
    (noted,) = stage.world.tracking.timeline(booked)
    assert (noted["kind"], noted["name"]) == ("reservation_made", "カット")
    assert stage.world.segments.load([booked], [])[booked].activity.last_at == stage.clock.now()


def test_told_again_it_is_the_same_event_as_it_was_told_first(stage: Stage, knock: Knock, booked: Cid) -> None:
    knock.api("POST", "/events", event())
    work(stage)
    stage.clock.advance(hours=1)
    assert knock.api("POST", "/events", event(name="カラー")).status_code == 202
    work(stage)
    assert len(runs(stage, booked)) == 1
    assert [noted["name"] for noted in stage.world.tracking.timeline(booked)] == ["カット"]
    assert knock.api("POST", "/events", event(event="reservation_cancelled")).status_code == 202
    work(stage)
    assert len(stage.world.tracking.timeline(booked)) == 2, "another kind of event has ids of its own"


def test_an_id_cannot_be_told_of_another_person_but_of_who_he_became(stage: Stage, knock: Knock, booked: Cid) -> None:
    friend, other = stage.friend(), stage.customer("M2")
    knock.api("POST", "/events", event(member_no="", customer_id=customer_id(friend)))
    is_problem(knock.api("POST", "/events", event(member_no="M2")), 422, "event.of_another_customer")
    stage.world.people.mark_merged(friend, booked)
    assert knock.api("POST", "/events", event()).json_body["customer_id"] == customer_id(booked)
    work(stage)
    assert (len(runs(stage, booked)), runs(stage, other)) == (1, [])


@pytest.mark.parametrize(
    ("more", "code", "status"),
    [
        ({"member_no": ""}, "event.person_missing", 422),
        ({"customer_id": "cus_0000000001"}, "event.person_missing", 422),
        ({"member_no": "M9"}, "customer.unknown", 404),
        ({"member_no": "", "customer_id": "cus_x"}, "customer.unknown", 404),
        ({"event": "custom", "name": ""}, "event.name_missing", 422),
        ({"occurred_at": "2026-12-01T10:00:00"}, "event.time_malformed", 422),
        ({"occurred_at": "2020-12-01T10:00:00+09:00"}, "event.time_malformed", 422),
        ({"occurred_at": "2999-12-01T10:00:00+09:00"}, "event.time_malformed", 422),
        ({"event": "follow"}, "api.body_malformed", 422),
        ({"event_id": ""}, "api.body_malformed", 422),
        ({"event_id": "予約"}, "api.body_malformed", 422),
        ({"event_id": "x" * 65}, "api.body_malformed", 422),
        ({"data": {f"k{n}": "x" for n in range(11)}}, "api.body_malformed", 422),
        ({"data": {"k": "x" * 201}}, "api.body_malformed", 422),
        ({"data": {"at": "x"}}, "api.body_malformed", 422),
        ({"data": {"Ｋ": "x"}}, "api.body_malformed", 422),
    ],
)
def test_what_cannot_be_taken_is_refused_and_leaves_nothing(
    stage: Stage, knock: Knock, booked: Cid, more: dict[str, Any], code: str, status: int
) -> None:
    is_problem(knock.api("POST", "/events", event(**more)), status, code)
    assert stage.events.messages == []
    assert runs(stage, booked) == []


def test_a_hundred_come_at_once_and_each_has_its_own_answer(stage: Stage, knock: Knock, booked: Cid) -> None:
    given = [event(event_id=f"R-{n}", data={f"k{i}": "x" for i in range(10)}) for n in range(97)]
    given += [event(event_id="R-0"), event(event_id="R-0", member_no="M9"), event(event="custom", name="")]
    answer = knock.api("POST", "/events/batch", {"events": given})
    assert answer.status_code == 202
    items = answer.json_body["items"]
    assert [item["event_id"] for item in items] == [one["event_id"] for one in given]
    codes = [item["problem"]["code"] if item["problem"] else "" for item in items]
    assert codes == [""] * 98 + ["customer.unknown", "event.name_missing"]
    parts = [json.loads(body)["fact_ids"] for body, _ in stage.events.messages]
    assert (max(map(len, parts)), len({fact_id for part in parts for fact_id in part})) == (10, 97)
    stage.events.messages = stage.events.messages[:1]
    work(stage)
    assert len(runs(stage, booked)) == 10
    is_problem(knock.api("POST", "/events/batch", {"events": []}), 422, "api.body_malformed")
    is_problem(knock.api("POST", "/events/batch", {"events": given * 2}), 422, "api.body_malformed")

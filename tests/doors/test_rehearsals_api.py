"""A drawing rehearsed over the admin API."""

from __future__ import annotations

from chalicelib.entrypoints import workers
from tests.builders import HANAKO, MAIN, Stage
from tests.doors.conftest import Knock, records


def test_a_marketer_rehearses_a_drawing_before_publishing_it(stage: Stage, knock: Knock) -> None:
    stage.template("tpl_hello", "{{name}}様")
    hanako = stage.customer("1", name="花子")
    stage.world.friends.enter(MAIN, HANAKO, hanako, stage.clock.now())
    nodes = {"hello": {"type": "send", "channel": "line", "template": "tpl_hello", "next": "e"}, "e": {"type": "end"}}
    trigger = {"type": "segment", "condition": {"field": "customer.known", "is": True}, "schedule": {"at": "10:00"}}
    graph = {"schema": "scenario/1", "name": "x", "trigger": trigger, "start": "hello", "nodes": nodes}
    assert knock.api("PUT", "/scenarios/x", {"graph": graph}).status_code == 200
    answer = knock.api("POST", "/scenarios/x/rehearsals", {"from": "2026-12-01T00:00:00Z", "rates": {"hello": {"rate": 1.0}}})
    assert answer.status_code == 200
    told = answer.json_body
    assert (told["audience"], told["rehearsed"], told["line_by_month"]) == (1, 1, {"2026-12": 1})
    assert [line["text"] for line in told["samples"][0]["lines"] if line["text"]] == ["花子様"]
    assert told["aws"]["one_execution_each"] > 0
    assert stage.line.sent == []


def test_everybody_is_rehearsed_by_the_queue_and_asked_for_later(stage: Stage, knock: Knock) -> None:
    stage.template("tpl_hello", "{{name}}様")
    stage.world.friends.enter(MAIN, HANAKO, stage.customer("1", name="花子"), stage.clock.now())
    nodes = {"hello": {"type": "send", "channel": "line", "template": "tpl_hello", "next": "e"}, "e": {"type": "end"}}
    graph = {"schema": "scenario/1", "name": "x", "trigger": {"type": "manual"}, "start": "hello", "nodes": nodes}
    knock.api("PUT", "/scenarios/x", {"graph": graph})
    answer = knock.api("POST", "/scenarios/x/rehearsals", {"everybody": True, "rates": {"hello": "history"}})
    assert answer.status_code == 202
    path = f"/rehearsals/{answer.json_body['rehearsal_id']}"
    assert (
        knock.api("POST", "/scenarios/x/rehearsals", {"rates": {"helo": "history"}}).json_body["code"] == "api.parameter_malformed"
    )
    queued = knock.api("GET", path).json_body
    assert (queued["scenario_id"], queued["status"], queued["share_done"], queued["result"]) == ("x", "queued", 0.0, None)
    while stage.work.messages:
        assert workers.handle(records(stage.work.messages.pop(0)), stage.world) == {"batchItemFailures": []}
    done = knock.api("GET", path).json_body
    assert (done["status"], done["share_done"], done["problem"]) == ("done", 1.0, "")
    assert (done["result"]["audience"], done["result"]["audience_is_exact"], done["result"]["aws"]["is_exact"]) == (1, True, True)
    assert done["result"]["rates"]["hello"] == {"rate": 0.05, "within_hours": [1.0, 48.0], "origin": "default", "seen": 0}
    assert done["result"]["line_quota"] == {"limit": stage.line.month.limit, "used": stage.line.month.used}
    assert [line["text"] for line in done["result"]["samples"][0]["lines"] if line["text"]] == ["花子様"]
    assert stage.line.sent == []


def test_a_later_answer_is_documented(knock: Knock) -> None:
    answers = knock("GET", "/v1/openapi.json").json_body["paths"]["/v1/scenarios/{scenario_id}/rehearsals"]["post"]["responses"]
    assert set(answers) == {"200", "202", "default"}


def test_what_cannot_be_rehearsed_is_refused(stage: Stage, knock: Knock) -> None:
    assert knock.api("POST", "/scenarios/nobody/rehearsals", {}).json_body["code"] == "scenario.unknown"
    assert knock.api("GET", "/rehearsals/reh_0").json_body["code"] == "rehearsal.unknown"
    both = {"everybody": True, "customers": ["cus_0000000001"]}
    for body in (
        both,
        {"rates": "guess"},
        {"prices": {"sms_part": -1}},
        {"sample": 2001},
        {"customers": ["x"]},
        {"rates": {"a": {"rate": 2}}},
        {"from": "2026-12-01T00:00:00"},
    ):
        assert knock.api("POST", "/scenarios/x/rehearsals", body).status_code in (400, 422), body

"""A drawing rehearsed over the admin API."""

from __future__ import annotations

from tests.builders import HANAKO, MAIN, Stage
from tests.doors.conftest import Knock


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


def test_what_cannot_be_rehearsed_is_refused(stage: Stage, knock: Knock) -> None:
    assert knock.api("POST", "/scenarios/nobody/rehearsals", {}).json_body["code"] == "scenario.unknown"
    for body in ({"sample": 2001}, {"customers": ["x"]}, {"rates": {"a": {"rate": 2}}}, {"from": "2026-12-01T00:00:00"}):
        assert knock.api("POST", "/scenarios/x/rehearsals", body).status_code in (400, 422), body

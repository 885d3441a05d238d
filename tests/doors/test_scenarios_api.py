"""Scenarios at the door: drawn as JSON or YAML, checked with sentences, made from what comes with the product."""

from __future__ import annotations

from tests.builders import Stage
from tests.doors.conftest import Knock

TEXT = """\
schema: scenario/1
name: あいさつ
trigger:
  type: event
  event: follow
start: hello
nodes:
  hello:
    type: send
    channel: line
    template: tpl_hello
    next: until_ten
  until_ten:
    type: wait
    next: done
    at: 10:00
  done:
    type: end
"""


def test_a_scenario_is_drawn_as_yaml_and_comes_back(knock: Knock, stage: Stage) -> None:
    stage.template()
    saved = knock.api("PUT", "/scenarios/hello", {"yaml": TEXT})
    assert saved.status_code == 200 and saved.json_body["draft"]["nodes"]["until_ten"]["at"] == "10:00"
    text = knock.api("GET", "/scenarios/hello/yaml").json_body["yaml"]
    assert text == TEXT.replace("at: 10:00", "at: '10:00'")
    assert knock.api("PUT", "/scenarios/hello", {"yaml": text}).json_body["draft"] == saved.json_body["draft"]
    assert knock.api("POST", "/scenarios/hello/publish").json_body["version"] == 1


def test_yaml_that_cannot_be_read_names_line_and_column(knock: Knock) -> None:
    refused = knock.api("PUT", "/scenarios/hello", {"yaml": "name: x\nname: y"})
    assert (refused.status_code, refused.json_body["code"]) == (422, "scenario.yaml_malformed")
    assert "2行目、1文字目" in refused.json_body["title"]
    assert knock.api("PUT", "/scenarios/hello", {"yaml": "name: x"}).json_body["code"] == "scenario.malformed"
    assert knock.api("PUT", "/scenarios/hello", {"yaml": ""}).json_body["code"] == "scenario.malformed"


def test_a_drawing_comes_in_one_form(knock: Knock) -> None:
    for body in ({}, {"graph": {}, "yaml": ""}):
        assert knock.api("PUT", "/scenarios/hello", body).json_body["code"] == "scenario.drawing_missing"


def test_problems_say_what_to_do_in_two_languages(knock: Knock) -> None:
    knock.api("PUT", "/scenarios/hello", {"yaml": TEXT})
    (problem,) = knock.api("GET", "/scenarios/hello/problems").json_body["problems"]
    assert problem == {
        "node": "hello",
        "code": "template_unknown",
        "path": "template",
        "name": "tpl_hello",
        "ja": "テンプレート「tpl_hello」はありません。作るか、別のテンプレートを選んでください。",
        "en": "There is no template tpl_hello; make it or choose another.",
    }
    refused = knock.api("POST", "/scenarios/hello/publish")
    assert (refused.status_code, refused.json_body["problems"]) == (422, [problem])


def test_everything_that_a_drawing_names_is_looked_up(knock: Knock) -> None:
    nodes = {
        "a": {"type": "action", "do": "tag_add", "tag": "tag_gone", "next": "b"},
        "b": {"type": "action", "do": "webhook", "target": "gone", "next": "c"},
        "c": {"type": "action", "do": "scenario_start", "scenario": "gone", "next": "d"},
        "d": {"type": "action", "do": "scenario_start", "scenario": "asks", "next": "e"},
        "e": {"type": "action", "do": "coupon", "target": "c10", "next": "f"},
        "f": {"type": "branch", "cases": [{"when": {"segment": "seg_gone"}, "next": "g"}], "otherwise": "g"},
        "g": {"type": "send", "channel": "line", "template": "tpl_gone", "account": "gone", "next": "h"},
        "h": {"type": "end"},
    }
    exits = [{"event": "clicked", "link": "gone"}]
    trigger = {"type": "segment", "condition": {"tag": "tag_a"}, "schedule": {"at": "10:00", "every": "once", "on": "2020-01-01"}}
    graph = {
        "schema": "scenario/1",
        "name": "x",
        "account": "gone",
        "trigger": trigger,
        "start": "a",
        "nodes": nodes,
        "exits": exits,
    }
    assert knock.api("PUT", "/scenarios/asks", {"graph": graph}).status_code == 200
    found = knock.api("GET", "/scenarios/asks/problems").json_body["problems"]
    assert [(problem["node"], problem["code"]) for problem in found] == [
        ("a", "tag_unknown"), ("b", "webhook_unknown"), ("c", "scenario_unknown"), ("d", "scenario_itself"), ("e", "action_unknown"),
        ("f", "condition_segment_unknown"), ("g", "account_unknown"), ("g", "template_unknown"), ("", "account_unknown"),
        ("", "tag_unknown"), ("", "schedule_past"), ("", "link_unknown"),
    ]  # fmt: skip


def test_the_grammar_is_there_for_editors(knock: Knock) -> None:
    schema = knock.api("GET", "/scenario-schema").json_body
    assert schema["$schema"].endswith("2020-12/schema") and "SendNode" in schema["$defs"]


def test_a_ready_made_scenario_says_what_is_missing_and_publishes_once_it_is_there(knock: Knock, stage: Stage) -> None:
    items = {item["ready_id"]: item for item in knock.api("GET", "/ready-made-scenarios").json_body["items"]}
    assert items["welcome"]["missing_links"] == ["story"] and items["booking"]["missing_links"] == []
    assert items["welcome"]["needs"][0]["ja"] and items["welcome"]["templates"][0]["template_id"] == "tpl_hello"
    made = knock.api("POST", "/ready-made-scenarios/welcome", {"scenario_id": "first_words", "account": "main"})
    assert (made.status_code, made.json_body["scenario_id"], made.json_body["version"]) == (201, "first_words", 0)
    assert knock.api("POST", "/ready-made-scenarios/welcome", {"scenario_id": "first_words", "account": "main"}).status_code == 201
    assert knock.api("POST", "/scenarios/first_words/publish").json_body["problems"][0]["code"] == "link_unknown"
    stage.world.tracking.create_link("story", "読みもの", "https://shop.test/story")
    assert knock.api("POST", "/scenarios/first_words/publish").json_body["version"] == 1
    assert knock.api("POST", "/ready-made-scenarios/birthday", {"scenario_id": "first_words"}).json_body["code"] == "scenario.taken"
    assert knock.api("POST", "/ready-made-scenarios/moon").json_body["code"] == "ready_made.unknown"

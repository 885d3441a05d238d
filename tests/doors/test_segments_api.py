"""Saved segments over the admin API, from the first try of a condition to its end."""

from __future__ import annotations

from typing import Any

import pytest

from chalicelib.kernel.ids import customer_id
from tests.builders import Stage
from tests.doors.conftest import Knock

GOLD = {"field": "attribute.rank", "is": "gold"}


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json_body["code"]


def test_a_marketer_tries_a_condition_keeps_it_and_builds_on_it(stage: Stage, knock: Knock) -> None:
    gold = [stage.customer(f"M{n}", attributes={"rank": "gold"}) for n in range(7)]
    stage.customer("M8", attributes={"rank": "silver"})
    stage.friend()
    tried = knock.api("POST", "/segments/count", {"condition": GOLD}).json_body
    assert tried["count"] == 7
    assert len(tried["sample"]) == 5 and set(tried["sample"]) <= {customer_id(cid) for cid in gold}
    made = knock.api("PUT", "/segments/seg_gold", {"name": "ゴールド会員", "condition": GOLD})
    sentence = {"ja": "友だち情報「rank」が「gold」である人", "en": "people whose attribute “rank” is “gold”"}
    assert (made.status_code, made.json_body) == (
        200, {"segment_id": "seg_gold", "name": "ゴールド会員", "condition": GOLD, "revision": 1, "sentence": sentence, "schema": "segment/1"},
    )  # fmt: skip
    others = {"not": {"segment": "seg_gold"}}
    assert knock.api("POST", "/segments/count", {"condition": others}).json_body["count"] == 2
    knock.api(
        "PUT", "/segments/seg_gold", {"name": "ゴールド会員", "condition": {"field": "attribute.rank", "in": ["gold", "silver"]}}
    )
    assert knock.api("POST", "/segments/count", {"condition": others}).json_body["count"] == 1
    assert [one["segment_id"] for one in knock.api("GET", "/segments").json_body["items"]] == ["seg_gold"]
    assert knock.api("GET", "/segments/seg_gold").json_body["revision"] == 2
    assert knock.api("DELETE", "/segments/seg_gold").status_code == 204
    assert refusal(knock.api("GET", "/segments/seg_gold")) == (404, "segment.unknown")
    assert refusal(knock.api("DELETE", "/segments/seg_gold")) == (404, "segment.unknown")
    assert refusal(knock.api("POST", "/segments/count", {"condition": others})) == (422, "condition.segment_unknown")


@pytest.mark.parametrize(
    ("segment_id", "name", "condition", "code"),
    [
        ("gold", "x", GOLD, "segment.id_malformed"),
        ("seg_gold", "", GOLD, "segment.name_empty"),
        ("seg_gold", "x", {"field": "profile.colour", "is": 1}, "condition.field_unknown"),
        ("seg_gold", "x", {"not": {"happened": {"event": "purchase"}}}, "condition.of_a_run"),
        ("seg_gold", "x", {"all": [{"segment": "seg_gold"}]}, "condition.cycle"),
        ("seg_gold", "x", {"any": [GOLD] * 2_000}, "condition.too_large"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_japanese(
    knock: Knock, segment_id: str, name: str, condition: dict[str, Any], code: str
) -> None:
    answer = knock.api("PUT", f"/segments/{segment_id}", {"name": name, "condition": condition})
    assert refusal(answer) == (422, code)
    assert any("぀" <= char <= "ヿ" for char in answer.json_body["title"]) and "{" not in answer.json_body["title"]
    assert knock.api("GET", "/segments").json_body == {"items": []}


def test_what_a_segment_was_stays_known_until_it_is_deleted(knock: Knock) -> None:
    conditions = [{"tag": f"tag_{number}"} for number in range(3)]
    for condition in (*conditions, conditions[2]):
        body = {"name": f"name of {condition['tag']}", "condition": condition, "schema": "segment/1"}
        assert knock.api("PUT", "/segments/seg_a", body).status_code == 200
    assert knock.api("PUT", "/segments/seg_b", {"name": "other", "condition": GOLD}).json_body["revision"] == 1
    found = knock.api("GET", "/segments/seg_a/revisions").json_body["items"]
    assert [(one["revision"], one["condition"]) for one in found] == [(3, conditions[2]), (2, conditions[1]), (1, conditions[0])]
    assert [one["name"] for one in found] == ["name of tag_2", "name of tag_1", "name of tag_0"]
    assert [one["sentence"]["ja"] for one in found] == [f"タグ「tag_{number}」が付いている人" for number in (2, 1, 0)]
    knock.api("DELETE", "/segments/seg_a")
    assert refusal(knock.api("GET", "/segments/seg_a/revisions")) == (404, "segment.unknown")
    knock.api("PUT", "/segments/seg_a", {"name": "again", "condition": GOLD})
    assert len(knock.api("GET", "/segments/seg_a/revisions").json_body["items"]) == 1
    refused = knock.api("PUT", "/segments/seg_a", {"name": "x", "condition": GOLD, "schema": "segment/2"})
    assert refused.status_code == 422


def test_a_sentence_says_names_and_not_ids(stage: Stage, knock: Knock) -> None:
    stage.template()
    stage.world.tags.create("VIP", tag_id="tag_vip")
    stage.world.tracking.create_link("spring", "春のカタログ", "https://shop.test/spring")
    stage.world.segments.save("seg_staff", "社員", GOLD)
    body = {"name": "春の新作", "channel": "line", "template_id": "tpl_hello", "condition": {"all": []}, "account": "main"}
    campaign = knock.api("POST", "/campaigns", body).json_body["campaign_id"]
    stage.scenario("welcome", {"e": {"type": "end"}}, trigger={"type": "manual"})
    condition = {
        "all": [
            {"tag": "tag_vip"}, {"tag": "tag_gone"}, {"event": {"kind": "clicked", "link": "spring"}}, {"segment": "seg_staff"},
            {"not": {"reacted": {"campaign": campaign}}}, {"received": {"campaign": "cmp_gone"}}, {"scenario": {"id": "welcome"}},
        ]
    }  # fmt: skip
    said = knock.api("POST", "/segments/sentence", {"condition": condition}).json_body["ja"]
    scenario = stage.world.scenarios.get("welcome").name
    for words in ("タグ「VIP」", "タグ「tag_gone」", "計測リンク「春のカタログ」", "セグメント「社員」", "一斉配信「春の新作」",
                  "一斉配信「cmp_gone」", f"シナリオ「{scenario}」"):  # fmt: skip
        assert words in said, said
    refused = knock.api("POST", "/segments/sentence", {"condition": {"any": [{"segment": "seg_gone"}]}})
    assert refusal(refused) == (422, "condition.segment_unknown")
    assert (
        refused.json_body["path"] == "$.any[0].segment"
        if "path" in refused.json_body
        else "$.any[0].segment" in str(refused.json_body)
    )
    assert knock.api("GET", "/segment-schema").json_body["$id"].endswith("segment-1.schema.json")


def test_a_campaign_takes_a_saved_segment(stage: Stage, knock: Knock) -> None:
    stage.template()
    stage.friend()
    stage.world.segments.save("seg_friends", "友だち", {"field": "line.reachable", "is": True})
    body = {"name": "春", "channel": "line", "template_id": "tpl_hello", "condition": {"segment": "seg_friends"}, "account": "main"}
    made = knock.api("POST", "/campaigns", body)
    assert made.status_code == 201, made.body
    estimate = knock.api("GET", f"/campaigns/{made.json_body['campaign_id']}/estimate").json_body
    assert estimate == {"recipients": 1, "line_messages": 1}
    refused = knock.api("POST", "/campaigns", {**body, "condition": {"segment": "seg_gone"}})
    assert refusal(refused) == (422, "condition.segment_unknown")

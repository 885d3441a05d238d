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
    assert (made.status_code, made.json_body) == (
        200, {"segment_id": "seg_gold", "name": "ゴールド会員", "condition": GOLD, "revision": 1},
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

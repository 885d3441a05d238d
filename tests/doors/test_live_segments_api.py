"""Making a segment live over the admin API, and a profile that the API changes."""

from __future__ import annotations

import json

from chalicelib.entrypoints import workers
from tests.builders import Stage
from tests.doors.conftest import Knock
from tests.rooms.journey import END, drain, rest

GOLD = {"field": "attribute.rank", "is": "gold"}


def test_a_segment_goes_live_starts_a_scenario_and_is_ended(stage: Stage, knock: Knock) -> None:
    knock.api("PUT", "/segments/seg_gold", {"name": "ゴールド会員", "condition": GOLD})
    graph = {
        "schema": "scenario/1", "name": "gold", "start": "w", "nodes": {"w": rest("P1D", "e"), "e": END},
        "trigger": {"type": "event", "event": "segment_entered", "segment": "seg_gold"},
    }  # fmt: skip
    stage.world.scenarios.save_draft("gold", graph)
    problems = knock.api("GET", "/scenarios/gold/problems").json_body["problems"]
    assert [problem["code"] for problem in problems] == ["live_segment_unknown"]
    assert knock.api("GET", "/segments/seg_gold/live").json_body == {"segment_id": "seg_gold", "state": "off", "at": None}
    assert knock.api("PUT", "/segments/seg_gold/live", {"live": True}).json_body["state"] == "preparing"
    (body, _) = stage.work.messages[0]
    assert json.loads(body)["delay_seconds"] == 15
    drain(stage)
    assert knock.api("GET", "/segments/seg_gold/live").json_body["state"] == "live"
    stage.world.scenarios.publish("gold")
    knock.api("POST", "/customers", {"member_no": "M1", "attributes": {"rank": "silver"}})
    cid = stage.world.customers.by_member_no("M1").cid
    assert stage.world.scenario_people.current(cid) == []
    knock.api("POST", "/customers", {"member_no": "M1", "attributes": {"rank": "gold"}})
    assert len(stage.world.scenario_people.current(cid)) == 1


def test_another_condition_is_prepared_anew_and_the_end_is_the_end(stage: Stage, knock: Knock) -> None:
    knock.api("PUT", "/segments/seg_gold", {"name": "x", "condition": GOLD})
    knock.api("PUT", "/segments/seg_both", {"name": "x", "condition": {"any": [{"segment": "seg_gold"}, {"tag": "tag_a"}]}})
    for name in ("seg_gold", "seg_both"):
        knock.api("PUT", f"/segments/{name}/live", {"live": True})
    drain(stage)
    knock.api("PUT", "/segments/seg_gold", {"name": "y", "condition": GOLD})
    assert stage.work.messages == []
    knock.api("PUT", "/segments/seg_gold", {"name": "y", "condition": {"not": GOLD}})
    assert len(stage.work.messages) == 2
    workers.do({"op": "segment_live", "segment_id": "seg_gold", "generation": 1, "part": 0}, stage.world)  # of before: nothing
    drain(stage)
    assert knock.api("PUT", "/segments/seg_gold/live", {"live": False}).json_body["state"] == "off"
    assert knock.api("DELETE", "/segments/seg_both").status_code == 204
    assert knock.api("GET", "/segments/seg_both/live").status_code == 404
    assert stage.world.live_segments.overdue() == []

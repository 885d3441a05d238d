"""Making a segment live over the admin API, and a profile that the API changes."""

from __future__ import annotations

import json

from chalicelib.entrypoints import workers
from chalicelib.orders.model import Order
from chalicelib.reactions import react
from chalicelib.segments import table
from chalicelib.segments.rfm import DEFAULT, Bounds
from tests.builders import Stage
from tests.doors.conftest import Knock
from tests.rooms.journey import END, drain, rest

GOLD = {"field": "attribute.rank", "is": "gold"}
OFTEN = {"field": "rfm.frequency", "is": 5}
EASY = {"recency": [7, 14, 21, 28], "frequency": [5, 4, 3, 2], "monetary": [4000, 3000, 2000, 1000]}


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
    assert json.loads(body)["delay_seconds"] == 40
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
    assert knock.api("DELETE", "/segments/seg_gold").status_code == 204
    assert knock.api("GET", "/segments/seg_both/live").json_body["state"] == "off"  # what it names is no more
    assert knock.api("DELETE", "/segments/seg_both").status_code == 204
    assert knock.api("GET", "/segments/seg_both/live").status_code == 404
    assert stage.world.live_segments.overdue() == []


def test_bounds_that_change_prepare_anew_what_goes_by_them_at_once(stage: Stage, knock: Knock) -> None:
    knock.api("PUT", "/segments/seg_often", {"name": "x", "condition": OFTEN})
    knock.api("PUT", "/segments/seg_gold", {"name": "x", "condition": GOLD})
    for name in ("seg_often", "seg_gold"):
        knock.api("PUT", f"/segments/{name}/live", {"live": True})
    drain(stage)
    knock.api("PUT", "/rfm-bounds", EASY)
    assert [json.loads(body)["segment_id"] for body, _ in stage.work.messages] == ["seg_often"]
    drain(stage)
    stage.scenario(
        "often", {"w": rest("P1D", "e"), "e": END}, trigger={"type": "event", "event": "segment_entered", "segment": "seg_often"}
    )
    cid = stage.customer("M1")
    orders = [Order(f"O{place}", cid, stage.clock.now(), 100) for place in range(5)]
    react(stage.world.orders.take(orders)[0], stage.world)
    assert len(stage.world.scenario_people.current(cid)) == 1


def test_who_remembers_former_bounds_prepares_by_those_of_today(stage: Stage, knock: Knock) -> None:
    knock.api("PUT", "/segments/seg_often", {"name": "x", "condition": OFTEN})
    knock.api("PUT", "/segments/seg_often/live", {"live": True})
    drain(stage)
    assert stage.world.segments.bounds() == DEFAULT
    table.put_bounds(Bounds(**EASY))  # another process does
    assert len(stage.world.live_segments.overdue()) == 1
    assert stage.world.live_segments.overdue()[0]["generation"] == 2

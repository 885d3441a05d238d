"""RFM by the API: the company's bounds, everybody in 25 cells, and each customer's scores."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.kernel.ids import customer_id
from chalicelib.orders.model import Order
from tests.builders import Stage
from tests.doors.conftest import Knock
from tests.doors.test_admin_api import is_problem

OWN = {"recency": [7, 14, 21, 28], "frequency": [5, 4, 3, 2], "monetary": [4000, 3000, 2000, 1000]}


def buys(stage: Stage, member_no: str, *days: int) -> str:
    """Let somebody buy for 1,000 yen so many days ago each; return his public id."""
    cid = stage.customer(member_no)
    now = stage.clock.now()
    stage.world.orders.take([Order(f"{member_no}-{day}", cid, now - timedelta(days=day), 1000) for day in days])
    return customer_id(cid)


def test_everybody_stands_in_one_cell_and_its_condition_finds_him(stage: Stage, knock: Knock) -> None:
    buys(stage, "M1", 1, 2, 3)
    buys(stage, "M2", 20)
    buys(stage, "M3", 400)
    stage.customer("M4")
    table = knock.api("GET", "/rfm").json_body
    found = {(cell["recency"], cell["frequency"]): (cell["count"], cell["yen"]) for cell in table["cells"] if cell["count"]}
    assert found == {(5, 3): (1, 3000), (5, 1): (1, 1000), (1, 1): (1, 1000)}
    assert (len(table["cells"]), table["count"], table["yen"], table["as_of"]) == (25, 3, 5000, None)
    assert knock.api("PUT", "/rfm-bounds", OWN).json_body == OWN
    table = knock.api("GET", "/rfm").json_body
    found = {(cell["recency"], cell["frequency"]): cell["count"] for cell in table["cells"] if cell["count"]}
    assert found == {(5, 3): 1, (3, 1): 1, (1, 1): 1}
    for cell in table["cells"]:
        assert stage.world.segments.count(cell["condition"], stage.clock.now())[0] == cell["count"], cell


def test_a_customer_shows_his_scores_and_whether_he_is_new(stage: Stage, knock: Knock) -> None:
    ids = [buys(stage, "M1", 1, 2, 3), buys(stage, "M2", 20), buys(stage, "M3")]
    knock.api("PUT", "/rfm-bounds", OWN)
    shown = [knock.api("GET", f"/customers/{one}").json_body for one in ids]
    assert [one["kind"] for one in shown] == ["existing", "new", "none"]
    assert [one["rfm"] for one in shown] == [
        {"recency": 5, "frequency": 3, "monetary": 4}, {"recency": 3, "frequency": 1, "monetary": 2}, None,
    ]  # fmt: skip


def test_bounds_are_ours_until_they_are_set_and_must_be_in_order(knock: Knock) -> None:
    assert knock.api("GET", "/rfm-bounds").json_body["recency"] == [30, 90, 180, 365]
    is_problem(knock.api("PUT", "/rfm-bounds", {**OWN, "recency": [9, 8, 7, 6]}), 422, "rfm.bounds_malformed")
    is_problem(knock.api("PUT", "/rfm-bounds", {**OWN, "recency": ["x"]}), 422, "api.body_malformed")
    is_problem(knock.api("PUT", "/rfm-bounds", OWN, scopes=("segments:read",)), 403, "auth.scope_missing")
    assert knock.api("GET", "/rfm-bounds").json_body["recency"] == [30, 90, 180, 365]

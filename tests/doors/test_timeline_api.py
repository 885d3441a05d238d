"""A person's timeline over the admin API."""

from __future__ import annotations

from datetime import timedelta

import pytest

from chalicelib.kernel.facts import Occurred
from chalicelib.kernel.ids import Cid, customer_id
from chalicelib.kernel.pages import encode_cursor
from tests.builders import Stage
from tests.doors.conftest import Knock
from tests.doors.test_admin_api import is_problem


def act(stage: Stage, cid: Cid, number: int, name: str = "") -> None:
    at = stage.clock.now() + timedelta(minutes=number)
    fact = Occurred(fact_id=name or f"f{number}", cid=cid, at=at, event="visited", name=name or f"n{number}", data={})
    stage.world.tracking.note(fact, "visited", name=fact.name)


def test_all_that_he_did_under_any_of_his_numbers_in_order_and_by_pages(stage: Stage, knock: Knock) -> None:
    kept, gone, friend = stage.customer("A"), stage.customer("B"), stage.friend()
    for number in range(9):
        act(stage, (kept, gone, friend)[number * 2 % 3], number)
    act(stage, kept, 4, "same instant")
    stage.world.people.mark_merged(friend, gone)
    for cid in (kept, gone):  # a fact that was told again after the merge, now under the number that goes on
        act(stage, cid, 20, "twice")
    knock.api("POST", "/merges", {"kept": customer_id(kept), "gone": customer_id(gone)})
    everything = [*(f"n{number}" for number in range(5)), "same instant", *(f"n{number}" for number in range(5, 9)), "twice"]
    for asked in (kept, gone, friend):
        path = f"/customers/{customer_id(asked)}/timeline"
        whole = knock.api("GET", path).json_body
        assert ([item["name"] for item in whole["items"]], whole["next_cursor"]) == (everything, None)
    for size in (1, 2, 3, 10, 11):
        found, pages, cursor = list[str](), 0, ""
        while cursor is not None:
            page = knock.api("GET", f"{path}?limit={size}&cursor={cursor}").json_body
            found += [item["name"] for item in page["items"]]
            cursor, pages = page["next_cursor"], pages + 1
        assert (found, pages) == (everything, -(-11 // size))


@pytest.mark.parametrize("place", ["PUR#2026", "EV", 7, "EV#" + "x" * 301, "EV#\ud800", ["EV#"]])
def test_a_place_that_we_never_named_is_refused(stage: Stage, knock: Knock, place: object) -> None:
    path = f"/customers/{customer_id(stage.customer('A'))}/timeline"
    is_problem(knock.api("GET", f"{path}?cursor={encode_cursor(place)}"), 422, "cursor.malformed")

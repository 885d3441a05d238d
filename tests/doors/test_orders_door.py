"""An order is taken whatever process died with it: the till sends it again until it is answered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from botocore.client import BaseClient

from chalicelib.kernel.ids import LineUserId
from tests.builders import MAIN, Stage
from tests.doors.conftest import Knock
from tests.rooms.journey import END, drain, rest, say
from tests.rooms.test_live_segments import go_live


class Killed(BaseException):
    """Not even what should be cleared up at the end is."""


@contextmanager
def killed(at: int) -> Iterator[list[int]]:
    """Let the process die before the call to AWS numbered `at`, from 0, which is after the one before; it makes no call any more."""
    made, original = [0], BaseClient._make_api_call

    def call(self: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        number, made[0] = made[0], made[0] + 1
        if number < at:
            return original(self, operation, arguments)
        raise Killed

    BaseClient._make_api_call = call
    try:
        yield made
    finally:
        BaseClient._make_api_call = original


def customer_with_much_to_follow(stage: Stage, number: int) -> dict[str, Any]:
    """Enter a friend who is a customer; return an order of his."""
    user_id = LineUserId(f"U{number:032x}")
    friend = stage.friend(user_id)
    cid = stage.customer(f"M{number}", email=f"m{number}@example.jp")
    stage.world.people.mark_merged(friend, cid)
    found = stage.world.friends.find(MAIN, user_id)
    assert found is not None
    stage.world.friends.move(found, cid)
    at = stage.clock.now().isoformat()
    return {"order_no": f"N-{number}", "member_no": f"M{number}", "amount_yen": 4980, "products": ["ピアスA"], "ordered_at": at}


def test_an_order_is_taken_after_whichever_call_its_first_taker_died(stage: Stage, knock: Knock) -> None:
    stage.template("tpl_a", "ありがとうございます")
    bought = {"type": "event", "event": "purchase"}
    stage.scenario("now", {"a": say("tpl_a", "s"), "s": {"type": "action", "do": "score_add", "by": 1, "next": "w"},
                           "w": rest("P3D", "e"), "e": END}, trigger=bought)  # fmt: skip
    go_live(stage, "seg_buyers", {"purchase": {"count_from": 1}})
    drain(stage)
    entered = {"type": "event", "event": "segment_entered", "segment": "seg_buyers"}
    stage.scenario("entered", {"w": rest("P9D", "e"), "e": END}, trigger=entered)
    knock.token("*")
    for at in count():
        order = customer_with_much_to_follow(stage, at)
        with killed(at) as made:
            try:
                knock.api("POST", "/orders", order)
            except Killed:
                pass
        answer = knock.api("POST", "/orders", order)
        assert (answer.status_code, answer.json_body["is_first"]) == (201, True), at
        cid = stage.world.customers.by_member_no(f"M{at}").cid
        assert stage.world.orders.stats([cid])[cid].count == 1, at
        assert stage.world.customers.get(cid).profile.attributes == {"score": 1}, at
        assert len(stage.world.scenario_people.of(cid)) == 2, at
        if made[0] <= at:
            break
    assert at > 10

"""From the rooms' writes through streams, feeder, folding and query to a count: the lake says what a walk through the tables says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from chalicelib.entrypoints import lake_feeder
from chalicelib.kernel.ids import LineUserId
from chalicelib.lake.folding import fold
from chalicelib.orders.model import Line, Order
from tests.builders import MAIN, Stage
from tests.lake.streams import TABLES
from tests.lake.test_feed_rooms import everything_happens, stage, told

__all__ = ["stage"]  # the fixture
CONDITIONS: list[Any] = [
    {"all": []},
    {"field": "customer.known", "is": True},
    {"field": "line.reachable", "is": True},
    {"not": {"field": "line.reachable", "is": True}},
    {"field": "email.reachable", "is": True},
    {"field": "sms.reachable", "is": False},
    {"all": [{"field": "profile.gender", "is": "female"}, {"field": "profile.prefecture", "in": ["北海道", "東京都"]}]},
    {"field": "profile.age", "from": 30, "to": 39},
    {"field": "attribute.points", "from": 5, "to": 20},
    {"field": "purchase.total_yen", "from": 2000},
    {"date": "purchase.last", "within_days": 10},
    {"date": "activity.last", "before_days": 1},
    {"tag": "tag_vip"},
    {"not": {"tag": "tag_vip"}},
    {"purchase": {"product": "ピアスA", "shop": "札幌"}},
    {"purchase": {"count_from": 2, "total_from": 1500}},
    {"purchase": {"count_to": 0, "count_from": 0}},
    {"event": {"kind": "clicked"}},
    {"event": {"kind": "survey_answered", "data": {"q1": "はい"}}},
    {"reacted": {"scenario": "welcome", "node": "hi"}},
    {"received": {"scenario": "welcome"}},
    {"scenario": {"id": "welcome", "state": "ever"}},
    {"any": [{"tag": "tag_vip"}, {"all": [{"purchase": {"amount_from": 900}}, {"not": {"event": {"kind": "blocked"}}}]}]},
]


def town(stage: Stage) -> None:
    """Thirty members and a dozen friends besides the one to whom everything happens; some of them are linked, some have blocked."""
    prefectures = ("東京都", "大阪府", "北海道")
    rows = [
        {
            "member_no": f"T{n}", "prefecture": prefectures[n % 3], "gender": ("female", "male", "")[n % 3 - n % 2],
            "birthday": f"{1980 + n}-0{n % 9 + 1}-11", "attributes": {"points": n}, **({"email": f"t{n}@example.jp"} if n % 4 else {}),
        }
        for n in range(30)
    ]  # fmt: skip
    members = [customer.cid for customer, _ in stage.world.customers.save_many(rows)]
    start = stage.clock.now() - timedelta(days=40)
    line = (Line("ピアスA", "耳飾り", 1, 900),)
    stage.world.orders.take(
        Order(
            f"T{n}-{k}", members[n], start + timedelta(days=9 * k), 900 * (n % 4), shop=("札幌", "渋谷")[k % 2], lines=line[: n % 2]
        )
        for n in range(0, 30, 2)
        for k in range(n % 5)
    )
    for cid in members[::5]:
        stage.world.tags.add(cid, "tag_vip", "test")
    for n in range(12):
        user = LineUserId(f"U{n:032x}")
        own = stage.friend(user)
        if n % 3 == 0:
            row = stage.world.friends.get(MAIN, user)
            stage.world.people.mark_merged(own, members[n])
            stage.world.friends.move(row, members[n])
        if n % 4 == 0:
            stage.world.friends.block(MAIN, user, stage.clock.now() + timedelta(seconds=1), event_id=f"b{n}")


def test_a_count_from_the_lake_is_the_count_of_a_walk_through_the_tables(stage: Stage, tmp_path: Path) -> None:
    everything_happens(stage)
    town(stage)
    for table in TABLES:
        lake_feeder.handle({"Records": told(table)}, stage.world)
    now = stage.clock.now()
    assert fold(stage.files, tmp_path, now).changes > 100
    counts = {}
    for condition in CONDITIONS:
        told_by = [stage.world.asking.count(condition, now, source=source) for source in ("lake", "tables")]
        counts[str(condition)] = tuple(found.count for found in told_by)
    assert {condition: both for condition, both in counts.items() if both[0] != both[1]} == {}
    assert len({lake for lake, _ in counts.values()}) > 8  # they tell people apart

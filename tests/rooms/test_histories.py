"""What conditions ask about the past of a person: read from orders, the timeline, scenarios and campaigns, and only when asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.customers.model import Customer, DeliveryChannel, Profile
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.facts import EmailOpened, Evidence, LinkClicked, Occurred, OrderPlaced, Responded
from chalicelib.kernel.ids import Cid
from chalicelib.orders.model import Line, Order, PurchaseStats
from chalicelib.reactions import react
from chalicelib.scenarios.afar import Asked, from_afar
from chalicelib.scenarios.dry import StillCrowd
from chalicelib.segments.model import History, Person
from tests.builders import HANAKO, MAIN, TARO, Stage
from tests.fakes.runner import Runner
from tests.rooms.journey import END, NOON, follow, rest, say

PAIRS = [
    # (what holds for Hanako alone, and what holds for nobody)
    (
        {"purchase": {"product": "ピアスA", "shop": "店舗A", "within_days": 30}},
        {"purchase": {"product": "ピアスA", "shop": "店舗B"}},
    ),
    ({"purchase": {"category": "指輪", "total_from": 9000, "which": "last"}}, {"purchase": {"category": "指輪", "which": "first"}}),
    ({"event": {"kind": "clicked", "link": "spring"}}, {"event": {"kind": "clicked", "link": "spring", "evidence": "A"}}),
    ({"event": {"kind": "postback", "data": {"data": "menu=2"}}}, {"event": {"kind": "postback", "data": {"data": "menu=1"}}}),
    ({"event": {"kind": "custom", "name": "試着", "data": {"size": "M"}}}, {"event": {"kind": "custom", "data": {"size": "L"}}}),
    ({"reacted": {"scenario": "s", "node": "send_a", "link": "spring"}}, {"reacted": {"scenario": "s", "node": "send_b"}}),
    ({"field": "profile.age", "is": 30}, {"field": "profile.age", "is": 29}),
    ({"reacted": {"scenario": "s", "evidence": "A"}}, {"reacted": {"scenario": "s", "evidence": "A", "link": "spring"}}),
]


@pytest.fixture
def town(stage: Stage, runner: Runner) -> Stage:
    """Hanako and Taro: both in a scenario, both bought; Hanako, linked to a member since, did all that PAIRS names."""
    stage.template("tpl_a", "a")
    stage.scenario("s", {"send_a": say("tpl_a", "w"), "w": rest("P9D", "e"), "e": END})
    hanako, taro = follow(stage), follow(stage, TARO, "ev-2")
    member = stage.customer("M1", birthday="1996-01-31")
    runner.days(0.01)
    at = stage.clock.now() + timedelta(hours=1)
    told = {"fact_id": "x", "cid": hanako, "at": at}
    react([LinkClicked(link_id="spring", source="scn|s|send_a", evidence=Evidence.PROBABLE, **told)], stage.world)
    react([Responded(**(told | {"fact_id": "y"}), account=MAIN, line_user_id=HANAKO, kind="postback", data="menu=2")], stage.world)
    react([Occurred(**(told | {"fact_id": "z"}), event="custom", name="試着", data={"size": "M"})], stage.world)
    stage.world.orders.take(
        [
            Order("1", hanako, at, 3000, shop="店舗A", lines=(Line("ピアスA", "耳"), Line("箱"))),
            Order("2", member, at + timedelta(hours=1), 9000, shop="店舗B", lines=(Line("指輪A", "指輪"),)),
            Order("3", taro, at, 500, ("ピアスB",), "店舗A"),
        ]
    )
    friend = stage.world.friends.get(MAIN, HANAKO)
    stage.world.people.mark_merged(hanako, member)
    stage.world.friends.move(friend, member)
    stage.clock.set(at + timedelta(hours=2))
    return stage


def holding(stage: Stage, condition: Any) -> list[Cid]:
    found = stage.world.segments.find(condition, stage.clock.now())
    return sorted(person.cid for person in found)


def hanako(stage: Stage) -> Cid:
    return stage.world.customers.by_member_no("M1").cid


@pytest.mark.parametrize(("true", "false"), PAIRS, ids=str)
def test_the_past_is_that_of_all_numbers_and_found_as_by_asking_each(town: Stage, true: Any, false: Any) -> None:
    member, taro = hanako(town), town.world.friends.get(MAIN, TARO).cid
    assert holding(town, true) == [member] and holding(town, false) == []
    assert holding(town, {"not": true}) == [taro]
    people = town.world.segments.load([member, taro], [MAIN], conditions=[true, false])
    holds = town.world.segments.holds
    assert [holds(true, people[cid], town.clock.now()) for cid in (member, taro)] == [True, False]
    assert not holds(false, people[member], town.clock.now())
    # Who was loaded for something else is not taken for somebody who did nothing.
    plain = town.world.segments.load([member], [MAIN])[member]
    assert plain.history.asked == frozenset() and holds(true, plain, town.clock.now())


def test_scenarios_are_asked_of_present_and_former_runs(town: Stage) -> None:
    member, taro = hanako(town), town.world.friends.get(MAIN, TARO).cid
    assert holding(town, {"scenario": {"id": "s"}}) == sorted([member, taro])
    assert holding(town, {"received": {"scenario": "s", "node": "send_a"}}) == sorted([member, taro])
    assert holding(town, {"received": {"scenario": "s", "node": "w"}}) == []
    town.world.tags.create("VIP", tag_id="tag_vip")
    nodes = {
        "br": {"type": "branch", "cases": [{"when": {"tag": "tag_vip"}, "next": "w"}], "otherwise": "e"},
        "w": rest("P9D", "e"), "e": {"type": "end", "outcome": "cold"},
    }  # fmt: skip
    town.scenario("t", nodes, trigger={"type": "manual"}, reentry={"mode": "after_exit", "cooldown": "PT1M"})
    town.world.entries.by_hand("t", taro, "api", town.clock.now())
    cold = {"scenario": {"id": "t", "state": "done", "outcome": "cold"}}
    assert holding(town, cold) == [taro] and holding(town, {"scenario": {"id": "t"}}) == []
    town.world.tags.add(taro, "tag_vip", "test")
    town.world.entries.by_hand("t", taro, "api again", town.clock.now() + timedelta(hours=1))
    assert holding(town, cold) == [taro] and holding(town, {"scenario": {"id": "t"}}) == [taro]
    assert holding(town, {"scenario": {"id": "t", "state": "ever"}}) == [taro]
    assert holding(town, {"scenario": {"id": "t", "state": "left"}}) == []


def test_a_campaigns_recipients_and_those_who_reacted(town: Stage, runner: Runner) -> None:
    member, taro = hanako(town), town.world.friends.get(MAIN, TARO).cid
    town.world.tags.create("VIP", tag_id="tag_vip")
    town.world.tags.add(taro, "tag_vip", "test")
    made = town.world.campaigns.create("news", DeliveryChannel.LINE, "tpl_a", {"tag": "tag_vip"})
    _, steps = town.world.campaigns.schedule(made.campaign_id, None)
    enqueue(steps, town.world)
    runner.days(0.01)
    received, reacted = {"received": {"campaign": made.campaign_id}}, {"reacted": {"campaign": made.campaign_id, "evidence": "C"}}
    assert holding(town, received) == [taro] and holding(town, reacted) == []
    assert holding(town, {"all": [{"field": "line.reachable", "is": True}, {"not": received}]}) == [member]
    opened = EmailOpened(fact_id="o", cid=taro, at=town.clock.now(), source=f"cmp|{made.campaign_id}|")
    react([opened], town.world)
    assert holding(town, reacted) == [taro]
    assert holding(town, {"reacted": {"campaign": made.campaign_id}}) == []


def test_nothing_is_read_that_nobody_asks_about(town: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    queries: list[tuple[str, str]] = []
    database = town.world.database
    query = database.query

    def counting(table: str, pk: str, **more: Any) -> Sequence[Any]:
        queries.append((pk, more.get("prefix", "")))
        return query(table, pk, **more)

    monkeypatch.setattr(database, "query", counting)
    member = hanako(town)
    own = {f"C#{number}" for number in (member, *town.world.customers.get(member).aliases)}
    load = town.world.segments.load
    load([member], [MAIN])
    load([member], [MAIN], conditions=[{"purchase": {"count_from": 1}}, {"tag": "tag_vip"}])
    assert queries == []
    load([member], [MAIN], conditions=[{"purchase": {"product": "x"}}])
    assert {pk for pk, _ in queries} == own and {prefix for _, prefix in queries} == {"PUR#"}
    queries.clear()
    # Only those whom the rest leaves: nobody carries the tag.
    assert holding(town, {"all": [{"tag": "tag_vip"}, {"event": {"kind": "clicked"}}]}) == []
    assert holding(town, {"not": {"any": [{"not": {"tag": "tag_vip"}}, {"event": {"kind": "clicked"}}]}}) == []
    assert queries == []


def test_from_afar_a_past_tells_what_is_asked_and_no_more(town: Stage) -> None:
    condition = {"all": [true for true, _ in PAIRS]}
    member = hanako(town)
    person = town.world.segments.load([member], [MAIN], conditions=[condition])[member]
    seen = from_afar(person, Asked([condition]))
    assert town.world.segments.holds(condition, seen, town.clock.now())
    assert "箱" not in str(seen) and "箱" in str(person)
    assert {order.order_no for order in seen.history.orders} == {"000000", "000001"}


def test_a_rehearsal_remembers_what_happens_in_it_as_far_as_it_is_asked() -> None:
    bought = OrderPlaced(fact_id="o", cid=Cid(1), at=NOON, order_no="1", is_first=True, amount_yen=5, products=("x",), shop="y")
    clicked = LinkClicked(fact_id="c", cid=Cid(1), at=NOON, link_id="l", source="scn|s|a", evidence=Evidence.PROBABLE)
    said = Responded(fact_id="r", cid=Cid(1), at=NOON, account=MAIN, line_user_id=HANAKO, kind="postback", data="d")
    told = Occurred(fact_id="e", cid=Cid(1), at=NOON, event="custom", name="n", data={"k": "v"})
    asked = {"purchase", "event:clicked", "event:postback", "event:custom", "delivered:scn|s"}
    for words in (set(), asked):
        person = Person(Customer(Cid(1), Profile()), PurchaseStats(), frozenset(), {}, history=History(asked=frozenset(words)))
        crowd = StillCrowd({Cid(1): person})
        crowd.brought("scn|s|a", [Cid(1)])
        for fact in (bought, clicked, said, told):
            crowd.take(fact)
        for condition in (
            {"purchase": {"product": "x", "shop": "y", "amount_from": 5}}, {"event": {"kind": "clicked", "link": "l"}},
            {"event": {"kind": "postback", "data": {"data": "d"}}}, {"event": {"kind": "custom", "name": "n", "data": {"k": "v"}}},
            {"received": {"scenario": "s", "node": "a"}}, {"reacted": {"scenario": "s", "node": "a", "link": "l"}},
        ):  # fmt: skip
            assert crowd.holds(condition, crowd.people[Cid(1)], NOON) is bool(words), condition
        assert crowd.people[Cid(1)].stats.count == 1

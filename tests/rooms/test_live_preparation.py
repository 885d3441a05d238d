"""While a live segment is prepared: who came to fulfil it after it was made live is told of, once, and nobody who was in before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from chalicelib.customers.model import DeliveryChannel
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.facts import Fact, Occurred
from chalicelib.kernel.ids import Cid
from chalicelib.orders.model import Order
from chalicelib.reactions import react
from chalicelib.segments import table
from chalicelib.segments.expression import HasTag
from chalicelib.segments.live import LiveSegments, Watched
from chalicelib.segments.membership import Standing
from chalicelib.segments.model import LiveState
from tests.builders import HANAKO, MAIN, Stage
from tests.rooms.crashes import every_intrusion
from tests.rooms.journey import drain
from tests.rooms.memory import crashes, people
from tests.rooms.test_live_segments import VIP, go_live, listen, live, short, standing, tag, untag

Act = Callable[[Stage, Cid], list[Any]]
_MADE_OF = ("segments", "candidates", "accounts", "people", "database", "clock")


def _order(stage: Stage, cid: Cid) -> list[Any]:
    return list(stage.world.orders.take([Order(f"second of {cid}", cid, stage.clock.now(), 100)])[0])


def _visit(stage: Stage, cid: Cid) -> list[Any]:
    fact = Occurred(fact_id="o", cid=cid, at=stage.clock.now(), event="visited", name="x")
    stage.world.tracking.note(fact, "visited")
    return [fact]


def _refusal(stage: Stage, cid: Cid) -> list[Any]:
    return stage.world.customers.set_consent(cid, DeliveryChannel.EMAIL, opted_out=True, source="x")


CAME: dict[str, tuple[Any, Act]] = {
    "a tag": (VIP, lambda stage, cid: stage.world.tags.add(cid, "tag_vip", "x")),
    "a tag taken off": ({"not": {"tag": "tag_old"}}, lambda stage, cid: stage.world.tags.remove(cid, "tag_old", "x")),
    "an order": ({"field": "purchase.count", "from": 2}, _order),
    "an act": ({"event": {"kind": "visited"}}, _visit),
    "a refusal": ({"not": {"field": "email.reachable", "is": True}}, _refusal),
}


@pytest.fixture
def told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[Fact]:
    """What is told of coming and going, each time that it is told."""
    return listen(stage, monkeypatch)


@pytest.mark.parametrize("is_heard", [True, False])
@pytest.mark.parametrize("name", CAME)
def test_who_comes_in_by_his_first_act_is_told_of(stage: Stage, told: list[Fact], name: str, is_heard: bool) -> None:
    """Whether the process that took it has heard of the live segment, or the preparation finds him."""
    condition, act = CAME[name]
    for tag_id in ("tag_old", "tag_vip"):
        stage.world.tags.create(tag_id, tag_id=tag_id)
    cid, before = stage.customer("M1", email="a@example.com"), stage.customer("M2", email="b@example.com")
    stage.world.tags.add_many({cid: "x", before: "x"}, "tag_old")
    stage.world.orders.take([Order(f"first of {one}", one, stage.clock.now(), 100) for one in (cid, before)])
    act(stage, before)
    go_live(stage, "seg_new", condition)
    stage.clock.advance(seconds=1)
    facts = act(stage, cid)
    if is_heard:
        react(facts, stage.world)
        assert short(told) == [("in", cid)]
    drain(stage)
    assert short(told) == [("in", cid)]
    assert (standing(stage, cid, "seg_new"), standing(stage, before, "seg_new")) == (Standing.IN, Standing.IN)
    react(facts, stage.world)
    assert len(told) == 1


@pytest.mark.parametrize("is_heard", [True, False])
def test_somebody_new_is_told_of(stage: Stage, told: list[Fact], is_heard: bool) -> None:
    go_live(stage, "seg_friends", {"field": "line.reachable", "is": True})
    stage.clock.advance(seconds=1)
    at = stage.clock.now()
    facts = stage.world.friends.follow(MAIN, HANAKO, at, event_id="e1", is_unblocked=False, reply=None)
    if is_heard:
        react(facts, stage.world)
        assert len(told) == 1
    drain(stage)
    assert len(told) == 1


def test_who_goes_after_the_order_is_told_of_too(stage: Stage, told: list[Fact]) -> None:
    stage.world.tags.create("VIP", tag_id="tag_vip")
    cid = stage.customer("M1")
    stage.world.tags.add(cid, "tag_vip", "before")
    go_live(stage)
    stage.clock.advance(seconds=1)
    react(stage.world.tags.remove(cid, "tag_vip", "x"), stage.world)
    drain(stage)
    assert short(told) == [("out", cid)]


def test_who_was_told_of_by_somebody_deaf_to_the_new_condition_is_not_told_of_again(stage: Stage, told: list[Fact]) -> None:
    live(stage)
    cid = stage.customer("M1")
    stage.world.segments.save("seg_vip", "x", {"all": [VIP, {"not": {"tag": "tag_other"}}]})
    steps = stage.world.live_segments.overdue()
    deaf = LiveSegments(*(getattr(stage.world.live_segments, f"_{name}") for name in _MADE_OF))
    former = replace(table.lives()[0], generation=1, state=LiveState.LIVE)
    deaf._watched, deaf._read_at = [Watched.of(former, HasTag("tag_vip"), stage.clock.now())], deaf._monotonic()
    stage.clock.advance(seconds=1)
    deaf.on_facts(stage.world.tags.add(cid, "tag_vip", "test"), stage.clock.now(), lambda facts: react(facts, stage.world))
    assert short(told) == [("in", cid)]
    enqueue(steps, stage.world)
    drain(stage)
    assert short(told) == [("in", cid)] and standing(stage, cid) is Standing.IN


def test_the_preparation_may_die_anywhere(memory: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    people(memory, *range(1, 6))
    told = listen(memory, monkeypatch)
    go_live(memory)
    for cid in (1, 2, 3):
        memory.world.tags.add(Cid(cid), "tag_vip", "before")
    waiting = list(memory.work.messages)
    # What is live stands in a table that the deaths do not take back: the preparation begins anew each time.
    for number in crashes(memory, lambda: drain(memory)):
        drain(memory)
        assert [standing(memory, Cid(cid)) for cid in range(1, 6)] == [Standing.IN] * 3 + [None] * 2, f"death at step {number}"
        memory.world.live_segments.end("seg_vip")
        memory.world.live_segments.start("seg_vip")
        state = memory.world.live_segments.state("seg_vip")
        assert state is not None
        body = waiting[0][0].replace('"generation": 1', f'"generation": {state.generation}')
        memory.work.messages[:] = [(body, waiting[0][1])]
    assert told == []


def test_a_fact_during_the_preparation_is_neither_lost_nor_told_twice(stage: Stage, told: list[Fact]) -> None:
    """Whoever breaks into the preparation at any moment: at its end everybody's note is true, and he is told of from then on."""
    stage.world.tags.create("VIP", tag_id="tag_vip")
    comes, goes = stage.customer("M1"), stage.customer("M2")

    def scene(number: int) -> Callable[[], Any]:
        stage.world.live_segments.end("seg_vip") if number else None
        untag(stage, comes, f"undo {number}")
        tag(stage, goes, f"undo {number}")
        go_live(stage)
        told.clear()
        return lambda: drain(stage)

    def intruder(number: int) -> Callable[[], Any]:
        def both() -> None:
            stage.clock.advance(seconds=1)
            tag(stage, comes, f"in {number}")
            untag(stage, goes, f"out {number}")

        return both

    for number, _, _ in every_intrusion(scene, intruder):
        assert standing(stage, comes) is Standing.IN, number
        assert standing(stage, goes) in (Standing.OUT, None), number
        assert len({fact.fact_id for fact in told}) == len(told) <= 2, number
        told.clear()
        tag(stage, comes, f"once more {number}")
        untag(stage, comes, f"later {number}")
        tag(stage, goes, f"later {number}")
        assert short(told) == [("out", comes), ("in", goes)], number

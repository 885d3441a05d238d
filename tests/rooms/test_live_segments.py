"""Live segments: who comes in and who goes is told once, whatever dies, whoever else is at work, and nothing is read in vain."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from chalicelib.customers.model import DeliveryChannel
from chalicelib.entrypoints import workers
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.facts import (
    Fact,
    IdentityLinked,
    IdentityUnlinked,
    Occurred,
    OrderPlaced,
    SegmentEntered,
    SegmentLeft,
    TagAdded,
)
from chalicelib.kernel.ids import Cid
from chalicelib.orders.model import Order
from chalicelib.reactions import react, react_to_orders
from chalicelib.segments import ended
from chalicelib.segments.membership import NOTES_SK, Note, Standing
from chalicelib.segments.model import LiveState
from tests.builders import HANAKO, MAIN, TARO, Stage
from tests.rooms.crashes import every_crash, every_intrusion
from tests.fakes.runner import Runner
from tests.rooms.journey import END, drain, rest, say, texts
from tests.rooms.test_imports import begin
from tests.rooms.memory import crashes, database, inside, people

VIP = {"tag": "tag_vip"}
NODES = {"w": rest("P9D", "e"), "e": END}
ENTERS = {"type": "event", "event": "segment_entered", "segment": "seg_vip"}
LEAVES = {"event": "segment_left", "segment": "seg_vip"}


@pytest.fixture
def told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[Fact]:
    """What is told of coming and going, each time that it is told."""
    return listen(stage, monkeypatch)


def listen(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> list[Fact]:
    heard: list[Fact] = []
    original = stage.world.scenario_people.on_fact

    def on_fact(fact: Fact, *given: Any) -> list[Fact]:
        if isinstance(fact, SegmentEntered | SegmentLeft):
            heard.append(fact)
        return original(fact, *given)

    monkeypatch.setattr(stage.world.scenario_people, "on_fact", on_fact)
    return heard


def go_live(stage: Stage, segment_id: str = "seg_vip", condition: Any = VIP) -> None:
    """Save a segment and make it live; its preparation waits in the queue."""
    if segment_id == "seg_vip" and not any(tag.tag_id == "tag_vip" for tag in stage.world.tags.everyone()):
        stage.world.tags.create("VIP", tag_id="tag_vip")
    stage.world.segments.save(segment_id, segment_id, condition)
    _, steps = stage.world.live_segments.start(segment_id)
    enqueue(steps, stage.world)


def live(stage: Stage, segment_id: str = "seg_vip", condition: Any = VIP) -> None:
    go_live(stage, segment_id, condition)
    drain(stage)
    state = stage.world.live_segments.state(segment_id)
    assert state is not None and state.state is LiveState.LIVE


def tag(stage: Stage, cid: Cid, by: str = "test") -> None:
    react(stage.world.tags.add(cid, "tag_vip", by), stage.world)


def untag(stage: Stage, cid: Cid, by: str = "test") -> None:
    react(stage.world.tags.remove(cid, "tag_vip", by), stage.world)


def short(facts: list[Fact]) -> list[tuple[str, int]]:
    return [("in" if isinstance(fact, SegmentEntered) else "out", fact.cid) for fact in facts]


def note_of(stage: Stage, cid: Cid, segment_id: str = "seg_vip") -> Note | None:
    text = stage.world.people.collections([cid], [NOTES_SK])[cid].get(NOTES_SK, {}).get(segment_id)
    return Note.parse(text) if text else None


def standing(stage: Stage, cid: Cid, segment_id: str = "seg_vip") -> Standing | None:
    note = note_of(stage, cid, segment_id)
    assert note is None or not note.is_due
    return note.standing if note else None


# Coming and going -----------------------------------------------------------------------------------------------------------


def test_somebody_comes_in_once_however_often_it_is_told_and_leaves_once(stage: Stage, told: list[Fact]) -> None:
    cid = stage.customer("M1")
    live(stage)
    facts = stage.world.tags.add(cid, "tag_vip", "test")
    for _ in range(3):
        react(facts, stage.world)
    assert short(told) == [("in", cid)]
    untag(stage, cid)
    tag(stage, cid, "again")
    assert short(told) == [("in", cid), ("out", cid), ("in", cid)]
    assert len({fact.fact_id for fact in told}) == 3
    assert sorted(told, key=lambda fact: fact.at) == told and len({fact.at for fact in told}) == 3


def test_who_was_in_is_not_told_of_and_who_goes_is(stage: Stage, told: list[Fact]) -> None:
    cid, other = stage.customer("M1"), stage.customer("M2")
    stage.world.tags.create("VIP", tag_id="tag_vip")
    stage.world.tags.add(cid, "tag_vip", "before")
    live(stage)
    assert (standing(stage, cid), standing(stage, other)) == (Standing.IN, None)
    tag(stage, cid, "once more")
    assert told == []
    untag(stage, cid)
    assert short(told) == [("out", cid)]


def test_a_scenario_is_started_by_coming_in_and_ended_by_going(stage: Stage) -> None:
    cid = stage.customer("M1")
    live(stage)
    stage.scenario("care", NODES, trigger=ENTERS, exits=[LEAVES], reentry={"mode": "always"})
    tag(stage, cid)
    (one,) = stage.world.scenario_people.current(cid)
    assert one.data["segment"] == "seg_vip"
    untag(stage, cid)
    assert stage.world.scenario_people.current(cid) == []
    tag(stage, cid, "again")
    assert len(stage.world.scenario_people.of(cid)) == 2 and len(stage.world.scenario_people.current(cid)) == 1


def test_orders_of_many_are_looked_at_together(stage: Stage, told: list[Fact], monkeypatch: pytest.MonkeyPatch) -> None:
    live(stage, "seg_buyers", {"purchase": {"total_from": 1_000}})
    cids = [stage.customer(f"M{n}") for n in range(30)]
    orders = [Order(f"N{n}", cid, stage.clock.now(), 900 if n % 3 else 1_100) for n, cid in enumerate(cids)]
    facts = [fact for fact in stage.world.orders.take(orders)[0] if isinstance(fact, OrderPlaced)]
    loads = []
    original = stage.world.segments.load
    monkeypatch.setattr(stage.world.segments, "load", lambda cids, *a, **k: (loads.append(1), original(cids, *a, **k))[1])
    stage.world.live_segments.on_facts(facts, stage.clock.now(), lambda facts: react(facts, stage.world))
    looked = len(loads)
    assert {cid for _, cid in short(told)} == set(cids[::3]) and len(told) == 10
    assert looked - len(told) <= 3  # one to look, one to be sure, one to see that all is well
    react_to_orders(facts, stage.world)
    assert len(told) == 10


def test_what_concerns_no_live_segment_reads_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    cid = stage.customer("M1")
    live(stage)
    stage.world.live_segments.on_facts([], stage.clock.now(), lambda facts: None)
    calls: list[str] = []
    original = BaseClient._make_api_call

    def call(self: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        calls.append(operation)
        return original(self, operation, arguments)

    base: dict[str, Any] = {"cid": cid, "at": stage.clock.now()}
    stage.world.live_segments._watch(stage.clock.now())
    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    facts = [
        Occurred(fact_id="o", event="custom", name="x", **base),
        TagAdded(fact_id="t", tag_id="tag_other", **base),
        OrderPlaced(fact_id="p", order_no="n", is_first=True, amount_yen=1, **base),
    ]
    stage.world.live_segments.on_facts(facts, stage.clock.now(), lambda facts: None)
    assert calls == []
    stage.world.live_segments.on_facts([TagAdded(fact_id="v", tag_id="tag_vip", **base)], stage.clock.now(), lambda facts: None)
    assert 0 < len(calls) <= 4


def test_of_a_long_past_no_more_is_read_than_conditions_ask(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """One event of somebody with a long past: his items, the days that are asked of his past, his notes; three requests."""
    cid = stage.customer("M1", email="a@example.com")
    live(stage, "seg_lately", {"event": {"kind": "visited", "within_days": 7, "count_from": 100}})
    live(stage, "seg_now", {"not": {"event": {"kind": "visited", "within_days": 2}}})
    now = stage.clock.now()
    past = [Occurred(fact_id=f"o{day}", cid=cid, at=now - timedelta(days=day), event="visited", name="x") for day in range(1, 60)]
    stage.world.tracking.note_all(past)
    fact = Occurred(fact_id="o", cid=cid, at=now, event="visited")
    look = lambda: stage.world.live_segments.on_facts([fact], now, lambda facts: None)  # noqa: E731
    look()  # what is live, and which accounts there are, is remembered
    calls: list[tuple[str, int]] = []
    original = BaseClient._make_api_call

    def call(self: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        answer = original(self, operation, arguments)
        calls.append((operation, answer.get("Count", 0)))
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    look()
    assert sorted(calls) == [("BatchGetItem", 0), ("BatchGetItem", 0), ("Query", 7)]


def test_an_account_that_was_connected_just_now_counts(stage: Stage, told: list[Fact]) -> None:
    live(stage, "seg_friends", {"field": "line.reachable", "is": True})
    at = stage.clock.now()
    react(stage.world.friends.follow(MAIN, HANAKO, at, event_id="e1", is_unblocked=False, reply=None), stage.world)
    second = stage.world.line_accounts.connect("second", "二号店", "1234567891", "f" * 32, "https://shop.test/login").key
    react(stage.world.friends.follow(second, TARO, at, event_id="e2", is_unblocked=False, reply=None), stage.world)
    assert [way for way, _ in short(told)] == ["in", "in"]


def test_whoever_comes_in_is_written_to_until_he_goes(stage: Stage, runner: Runner) -> None:
    """The whole way: the work queue prepares, a tag brings him in, days pass, and who leaves gets no second message."""
    stage.template("tpl_hello", "ようこそ")
    stage.template("tpl_again", "いかがですか")
    cid, other = stage.friend(HANAKO), stage.friend(TARO)
    go_live(stage)
    nodes = {"a": say("tpl_hello", "w"), "w": rest("P3D", "b"), "b": say("tpl_again", "e"), "e": END}
    stage.scenario("care", nodes, trigger=ENTERS, exits=[LEAVES])
    runner.days(0.1)
    tag(stage, cid)
    tag(stage, other)
    runner.days(1)
    assert (texts(stage, HANAKO), texts(stage, TARO)) == (["ようこそ"], ["ようこそ"])
    untag(stage, other)
    runner.days(9)
    assert (texts(stage, HANAKO), texts(stage, TARO)) == (["ようこそ", "いかがですか"], ["ようこそ"])
    (one,) = stage.world.scenario_people.of(other)
    assert one.reason == "segment_left"


def test_what_a_scenario_writes_into_a_profile_brings_in_too(stage: Stage, told: list[Fact]) -> None:
    live(stage, "seg_warm", {"field": "attribute.score", "from": 10})
    cid = stage.customer("M1")
    nodes = {"s": {"type": "action", "do": "score_add", "by": 10, "next": "e"}, "e": END}
    stage.scenario("score", nodes, trigger={"type": "event", "event": "custom", "name": "x"})
    react([Occurred(fact_id="f", cid=cid, at=stage.clock.now(), event="custom", name="x")], stage.world)
    assert short(told) == [("in", cid)]


def test_an_import_that_may_start_scenarios_brings_in_and_one_that_may_not_does_not(
    stage: Stage, told: list[Fact], monkeypatch: pytest.MonkeyPatch
) -> None:
    live(stage, "seg_tokyo", {"field": "profile.prefecture", "is": "東京都"})
    stage.customer("M0")
    rows = "会員番号,都道府県\r\n" + "".join(f"M{n},東京都\r\n" for n in range(30))
    loads = []
    original = stage.world.segments.load
    monkeypatch.setattr(stage.world.segments, "load", lambda cids, *a, **k: (loads.append(1), original(cids, *a, **k))[1])
    for trigger in (False, True, True):
        import_id = begin(stage, rows, trigger=trigger)
        workers.do({"op": "import", "import_id": import_id}, stage.world)
        assert len(told) == 30 * trigger
    assert len(loads) <= 4  # thirty people together: to look, to be sure, to see that all is well; and once for the last


def test_who_takes_his_refusal_back_comes_in(stage: Stage, told: list[Fact]) -> None:
    live(stage, "seg_mail", {"field": "email.reachable", "is": True})
    cid = stage.customer("M1", email="a@example.com")
    for word in (True, False):
        react(stage.world.customers.set_consent(cid, DeliveryChannel.EMAIL, opted_out=word, source="x"), stage.world)
    assert short(told) == [("in", cid)]


# Deaths ---------------------------------------------------------------------------------------------------------------------


def test_whoever_dies_anywhere_loses_nobody_and_doubles_nobody(memory: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    people(memory, 1, 2)
    live(memory)
    memory.scenario("in", NODES, trigger=ENTERS, reentry={"mode": "always"})
    memory.scenario("out", NODES, trigger={"type": "event", **LEAVES}, reentry={"mode": "always"})
    told = listen(memory, monkeypatch)
    stage, one, two = memory, Cid(1), Cid(2)
    tag(stage, two)

    def act() -> None:
        tag(stage, one, "a")
        untag(stage, two, "b")

    def runs(scenario_id: str) -> list[int]:
        kept = database(stage).items("enishi-test-engine")
        return sorted(int(item["cid"]) for (_, sk), item in kept.items() if sk.startswith(f"ENR#{scenario_id}#"))

    for number in crashes(stage, act):
        act()
        inside(stage, "in")
        assert (runs("in"), runs("out")) == ([1, 2], [2]), f"death at step {number}"
        assert (standing(stage, one), standing(stage, two)) == (Standing.IN, Standing.OUT)
    assert told


def test_what_the_dead_have_noted_is_told_by_whoever_comes_next(memory: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """He who came in is told of even when the fact that brought him never comes again, and another takes him out first."""
    people(memory, 1)
    live(memory)
    told = listen(memory, monkeypatch)
    lost = memory.world.tags.add(Cid(1), "tag_vip", "a")
    noted = 0
    for number in crashes(memory, lambda: react(lost, memory.world)):
        seen = note_of(memory, Cid(1))
        noted += seen is not None
        told.clear()
        untag(memory, Cid(1), "b")
        wanted = {"in", "out"} if seen is not None and seen.is_due else {"out"} if seen is not None else set()
        assert {way for way, _ in short(told)} == wanted, f"death at step {number}"
        assert standing(memory, Cid(1)) in (Standing.OUT, None)
    assert noted


# At the same time -----------------------------------------------------------------------------------------------------------


def _scene(stage: Stage, prepare: Callable[[Cid], object]) -> Callable[[int], Cid]:
    """Return what gives each scene a person of its own."""
    cids: list[Cid] = []

    def of(number: int) -> Cid:
        while len(cids) <= number:
            cids.append(stage.customer(f"M{len(cids)}"))
            prepare(cids[-1])
        return cids[number]

    return of


def test_others_at_the_same_time_leave_a_note_that_is_true_and_tell_in_turn(stage: Stage, told: list[Fact]) -> None:
    live(stage)

    def prepare(cid: Cid) -> None:
        tag(stage, cid, "first")
        untag(stage, cid, "first")

    of = _scene(stage, prepare)

    def others(number: int) -> Callable[[], Any]:
        def both() -> None:
            stage.clock.advance(seconds=1)
            untag(stage, of(number), "other")
            tag(stage, of(number), "other")
            untag(stage, of(number), "other again")

        return both

    def scene(number: int) -> Callable[[], Any]:
        cid = of(number)
        told.clear()
        return lambda: tag(stage, cid)

    for number, _, _ in every_intrusion(scene, others):
        cid = of(number)
        is_in = "tag_vip" in stage.world.tags.of(cid)
        assert (standing(stage, cid) is Standing.IN) == is_in
        facts = sorted({(fact.at, isinstance(fact, SegmentEntered)) for fact in told})
        assert [came for _, came in facts] == [index % 2 == 0 for index in range(len(facts))]
        assert (len(facts) % 2 == 1) == is_in
        assert len({(fact.fact_id, fact.at) for fact in told}) == len({fact.fact_id for fact in told}) == len(facts)


def test_a_condition_that_changes_is_prepared_anew_and_tells_nobody(stage: Stage, told: list[Fact]) -> None:
    live(stage)
    tokyo = stage.customer("M1", prefecture="東京都")
    tag(stage, tokyo)
    other = stage.customer("M2")
    tag(stage, other)
    told.clear()
    stage.world.segments.save("seg_vip", "x", {"all": [VIP, {"field": "profile.prefecture", "is": "東京都"}]})
    stage.world.live_segments.forget()
    untag(stage, other)  # nobody is looked at for a condition that has not been prepared
    assert told == []
    enqueue(stage.world.live_segments.overdue(), stage.world)
    drain(stage)
    untag(stage, tokyo)
    tag(stage, other)
    assert short(told) == [("out", tokyo)]
    assert stage.world.live_segments.overdue() == []


def test_what_ends_tells_nobody_any_more(stage: Stage, told: list[Fact]) -> None:
    live(stage)
    stage.world.live_segments.end("seg_vip")
    tag(stage, stage.customer("M1"))
    stage.world.segments.delete("seg_vip")
    assert told == [] and stage.world.live_segments.overdue() == []


def test_of_what_ended_nothing_stays_noted_and_what_is_live_stays(
    stage: Stage, told: list[Fact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended, "PARTS", 3)
    for name in ("seg_vip", "seg_old", "seg_back"):
        live(stage, name)
    cids = [stage.customer(f"M{n}") for n in range(4)]
    for cid in cids:
        tag(stage, cid)
    stage.world.live_segments.end("seg_old")
    stage.world.live_segments.end("seg_back")
    assert stage.world.live_segments.ended() == []  # somebody may not have heard of it
    stage.clock.advance(minutes=16)
    (work,) = stage.world.live_segments.ended()
    live(stage, "seg_back")  # meanwhile it is made live again
    tag(stage, stage.customer("M9"))
    enqueue([work], stage.world)
    drain(stage)
    assert [standing(stage, cid, "seg_old") for cid in cids] == [None] * 4
    assert {standing(stage, cid, name) for cid in cids for name in ("seg_vip", "seg_back")} == {Standing.IN}
    assert stage.world.live_segments.ended() == []
    told.clear()
    live(stage, "seg_old")
    untag(stage, cids[0])
    assert len(told) == 3 and len({fact.fact_id for fact in told}) == 3


def test_the_hourly_look_forgets_what_ended(stage: Stage) -> None:
    live(stage)
    cid = stage.customer("M1")
    tag(stage, cid)
    stage.world.live_segments.end("seg_vip")
    stage.clock.advance(hours=1)
    workers.tick({"kind": "reconcile"}, stage.world)
    drain(stage)
    assert note_of(stage, cid) is None


# Two numbers of one person --------------------------------------------------------------------------------------------------


def merge(stage: Stage, own: Cid, member: Cid) -> IdentityLinked:
    friend = stage.world.friends.get(MAIN, HANAKO)
    stage.world.people.mark_merged(own, member)
    stage.world.friends.move(friend, member)
    return IdentityLinked(
        fact_id=f"link {own}", cid=member, at=stage.clock.now(), account=MAIN, line_user_id=HANAKO, former_cid=own
    )


FRIENDS = {"any": [VIP, {"field": "line.reachable", "is": True}]}


@pytest.mark.parametrize("is_member_in", [False, True])
def test_two_who_become_one_neither_come_nor_go_when_one_was_in(stage: Stage, told: list[Fact], is_member_in: bool) -> None:
    live(stage, condition=FRIENDS)
    own, member = stage.friend(), stage.customer("M1")
    stage.world.live_segments.on_facts(
        [Occurred(fact_id="x", cid=own, at=stage.clock.now(), event="visited")], stage.clock.now(), lambda facts: None
    )
    friend_facts = stage.world.friends.follow(
        MAIN, HANAKO, stage.clock.now() + timedelta(seconds=1), event_id="e2", is_unblocked=False, reply=None
    )
    react(friend_facts, stage.world)
    if is_member_in:
        tag(stage, member)
    before = short(told)
    assert ("in", own) in before
    fact = merge(stage, own, member)
    for _ in range(2):
        react([fact], stage.world)
    assert short(told) == before
    assert (standing(stage, member), standing(stage, own)) == (Standing.IN, Standing.MOVED)


def test_one_becomes_two_again_by_what_each_is(stage: Stage, told: list[Fact]) -> None:
    live(stage, condition=FRIENDS)
    own, member = stage.friend(), stage.customer("M1")
    react([merge(stage, own, member)], stage.world)
    assert short(told) == [("in", member)]
    friend = stage.world.friends.get(MAIN, HANAKO)
    stage.world.friends.move(friend, own)
    stage.world.people.unmark_merged(own, member)
    fact = IdentityUnlinked(fact_id="u", cid=own, at=stage.clock.now(), account=MAIN, line_user_id=HANAKO, customer_cid=member)
    for _ in range(2):
        react([fact], stage.world)
    assert short(told) == [("in", member), ("out", member)]
    assert (standing(stage, member), standing(stage, own)) == (Standing.OUT, Standing.IN)

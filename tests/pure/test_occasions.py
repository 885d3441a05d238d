"""Which facts a scenario means."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from chalicelib.kernel.facts import (
    EmailOpened,
    Evidence,
    Fact,
    FriendBlocked,
    FriendFollowed,
    IdentityLinked,
    IdentityUnlinked,
    LinkClicked,
    Occurred,
    OptedOut,
    OrderPlaced,
    Responded,
    ScenarioAsked,
    SegmentEntered,
    SegmentLeft,
    TagAdded,
    TagRemoved,
)
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.scenarios import graph as grammar
from chalicelib.scenarios.graph import Occasion, parse
from chalicelib.scenarios.occasions import cares_for, data_of, event_of, is_about, keys_of, listens, matches
from chalicelib.segments.expression import event_key
from tests.pure.test_graph import END, answer, branch, graph, send

AT = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
BASE: dict[str, Any] = {"fact_id": "f", "cid": Cid(1), "at": AT}
ON_LINE = {**BASE, "account": AccountKey("main"), "line_user_id": LineUserId("U" + "a" * 32)}
ORDER = OrderPlaced(**BASE, order_no="o1", is_first=False, amount_yen=3000, products=("茶碗", "湯呑"), shop="札幌")
FIRST = OrderPlaced(**BASE, order_no="o2", is_first=True, amount_yen=500)
CLICK = LinkClicked(**BASE, link_id="shop", source="scn|x|a", evidence=Evidence.PROBABLE)
BOOKED = Occurred(**BASE, event="reservation_made", name="カット", data={"starts_at": "2026-12-05", "no": "r1"})
FACTS: dict[str, Fact] = {
    "follow": FriendFollowed(**ON_LINE, is_unblocked=False),
    "blocked": FriendBlocked(**ON_LINE),
    "linked": IdentityLinked(**ON_LINE, former_cid=Cid(2)),
    "unlinked": IdentityUnlinked(**ON_LINE, customer_cid=Cid(2)),
    "opted_out": OptedOut(**BASE, channel="email"),
    "purchase": ORDER,
    "tag_added": TagAdded(**BASE, tag_id="tag_a"),
    "tag_removed": TagRemoved(**BASE, tag_id="tag_a"),
    "segment_entered": SegmentEntered(**BASE, segment_id="seg_a"),
    "segment_left": SegmentLeft(**BASE, segment_id="seg_a"),
    "clicked": CLICK,
    "postback": Responded(**ON_LINE, kind="postback", data="yes"),
    "message": Responded(**ON_LINE, kind="message", text="予約したい"),
    "video": Responded(**ON_LINE, kind="video"),
    "email_opened": EmailOpened(**BASE, source="scn|x|a"),
    "reservation_made": BOOKED,
    "survey_answered": Occurred(**BASE, event="survey_answered", name="満足度"),
    "custom": Occurred(**BASE, event="custom", name="quote"),
}


def test_every_event_of_the_grammar_is_some_fact() -> None:
    events = set(grammar.Event.__args__)  # type: ignore[attr-defined]
    # Told by other facts: a purchase that is the first, any reaction; the rest comes as `Occurred` like those above.
    alike = {"first_purchase", "responded", "form_submitted", "reservation_visited", "reservation_cancelled", "visited"}
    assert events == set(FACTS) | alike
    assert all(event_of(fact) == event for event, fact in FACTS.items())
    assert event_of(ScenarioAsked(**BASE, scenario_id="x", verb="start")) == ""


@pytest.mark.parametrize("event", FACTS)
def test_an_occasion_means_its_own_event_alone(event: str) -> None:
    met = {name for name, fact in FACTS.items() if matches(Occasion(event=event), fact)}  # type: ignore[arg-type]
    assert met == {event}


@pytest.mark.parametrize(
    ("narrowed", "fact", "expected"),
    [
        ({"event": "purchase", "product": "湯呑"}, ORDER, True),
        ({"event": "purchase", "product": "皿"}, ORDER, False),
        ({"event": "purchase", "shop": "札幌", "min_amount_yen": 3000}, ORDER, True),
        ({"event": "purchase", "min_amount_yen": 3001}, ORDER, False),
        ({"event": "purchase", "shop": "東京"}, ORDER, False),
        ({"event": "segment_entered", "segment": "seg_a"}, FACTS["segment_entered"], True),
        ({"event": "segment_entered", "segment": "seg_b"}, FACTS["segment_entered"], False),
        ({"event": "segment_left", "segment": "seg_b"}, FACTS["segment_left"], False),
        ({"event": "first_purchase"}, ORDER, False),
        ({"event": "first_purchase"}, FIRST, True),
        ({"event": "first_purchase", "min_amount_yen": 501}, FIRST, False),
        ({"event": "first_purchase"}, CLICK, False),
        ({"event": "tag_added", "tag": "tag_a"}, FACTS["tag_added"], True),
        ({"event": "tag_added", "tag": "tag_b"}, FACTS["tag_added"], False),
        ({"event": "tag_removed", "tag": "tag_b"}, FACTS["tag_removed"], False),
        ({"event": "clicked", "link": "shop"}, CLICK, True),
        ({"event": "clicked", "link": "care"}, CLICK, False),
        ({"event": "postback", "data": "yes"}, FACTS["postback"], True),
        ({"event": "postback", "data": "no"}, FACTS["postback"], False),
        ({"event": "message", "contains": "予約"}, FACTS["message"], True),
        ({"event": "message", "contains": "解約"}, FACTS["message"], False),
        ({"event": "reservation_made", "name": "カット"}, BOOKED, True),
        ({"event": "reservation_made", "name": "カラー"}, BOOKED, False),
        ({"event": "custom", "name": "other"}, FACTS["custom"], False),
        ({"event": "responded"}, CLICK, True),
        ({"event": "responded"}, FACTS["video"], True),
        ({"event": "responded"}, FACTS["email_opened"], False),
        ({"event": "responded"}, ORDER, False),
    ],
)
def test_an_occasion_is_narrowed(narrowed: dict[str, Any], fact: Fact, expected: bool) -> None:
    assert matches(Occasion(**narrowed), fact) is expected


def test_what_happens_on_another_account_is_not_meant() -> None:
    follow, message = Occasion(event="follow"), Occasion(event="message")
    assert matches(follow, FACTS["follow"], "main") and not matches(follow, FACTS["follow"], "sub")
    assert not matches(message, FACTS["message"], "sub")
    assert matches(Occasion(event="purchase"), ORDER, "sub")


def test_what_a_fact_brings() -> None:
    assert data_of(ORDER) == {"at": "2026-12-01T03:00:00.000Z", "order_no": "o1", "amount_yen": "3000", "product": "茶碗、湯呑"}
    assert data_of(BOOKED) == {"at": "2026-12-01T03:00:00.000Z", "name": "カット", "starts_at": "2026-12-05", "no": "r1"}
    assert data_of(CLICK)["link"] == "shop" and data_of(FACTS["tag_added"])["tag"] == "tag_a"
    assert set(data_of(FACTS["follow"])) == {"at"}
    many = Occurred(**BASE, event="custom", name="x", data={f"n{i}": "y" * 300 for i in range(30)})
    assert len(data_of(many)) == 12 and len(data_of(many)["n0"]) == 200


def test_another_bookings_cancellation_is_about_another_run() -> None:
    scenario = parse(graph({"done": END}, reentry={"mode": "always", "key": "no"}))

    def told(**data: str) -> Occurred:
        return Occurred(**BASE, event="reservation_cancelled", data=data)

    assert is_about(scenario, {"no": "r1"}, told(no="r1"))
    assert not is_about(scenario, {"no": "r1"}, told(no="r2"))
    assert is_about(scenario, {"no": "r1"}, told()) and is_about(scenario, {}, told(no="r2"))
    assert is_about(scenario, {"no": "r1"}, ORDER)
    assert is_about(scenario, {"no": "y" * 200}, told(no="y" * 300))
    assert is_about(parse(graph({"done": END})), {"no": "r1"}, told(no="r2"))


def test_the_keys_under_which_events_are_noted() -> None:
    assert list(keys_of(ORDER)) == ["purchase", event_key("purchase", "茶碗"), event_key("purchase", "湯呑")]
    assert list(keys_of(BOOKED)) == ["reservation_made", event_key("reservation_made", "カット")]
    assert list(keys_of(CLICK)) == []


def test_a_scenario_listens_to_what_its_branches_ask_about_and_cares_for_what_may_change_something() -> None:
    when = {
        "any": [{"happened": {"event": "purchase", "product": "茶碗"}}, {"not": {"happened": {"event": "custom", "name": "quote"}}}]
    }
    nodes = {
        "a": branch("w", when=when),
        "w": answer(of="s", on={"event": "tag_added", "tag": "tag_a"}),
        "s": send("a"),
        "done": END,
    }
    scenario = parse(graph(nodes, exits=["blocked", {"event": "linked"}], goal={"event": "first_purchase"}))
    assert listens(scenario) == {event_key("purchase", "茶碗"), event_key("custom", "quote")}
    reactions = {"clicked", "postback", "message", "video", "email_opened"}
    assert cares_for(scenario) == reactions | {"purchase", "custom", "tag_added", "blocked", "linked"}
    assert cares_for(parse(graph({"done": END}))) == frozenset()


def test_who_waits_for_any_reaction_is_heard_when_he_reacts() -> None:
    # `responded` stands for the events that a reaction is.
    scenario = parse(graph({"done": END}, exits=[{"event": "responded"}]))
    reactions = [FACTS[name] for name in ("clicked", "postback", "message", "video")]
    assert all(event_of(fact) in cares_for(scenario) for fact in reactions)

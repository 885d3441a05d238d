"""What somebody was at an instant, by what is kept of him."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from chalicelib.customers.model import Consent, Customer, DeliveryChannel, Profile
from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.clock import to_text
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.orders.model import Order, PurchaseStats
from chalicelib.segments.model import Act, History, Person
from chalicelib.segments.past import as_of

AT = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
BEFORE, AFTER = AT - timedelta(days=1), AT + timedelta(seconds=1)
MAIN = AccountKey("main")
FRIEND = Friend(Cid(1), MAIN, LineUserId("U1"), FollowState.FOLLOWING, BEFORE, BEFORE)
ORDERS = (Order("1", Cid(1), BEFORE, 100), Order("2", Cid(1), AFTER, 50))
OLD = Person(Customer(Cid(1), Profile(), created_at=to_text(BEFORE)), PurchaseStats(), frozenset({"tag_a"}), {MAIN: FRIEND})
OLD = replace(OLD, marks={"pk": "C#1", "sk": "T", "tag_a": f"{to_text(AT)} api"})


def was(person: Person) -> Person:
    found = as_of(person, AT)
    assert found is not None
    return found


def test_who_has_not_changed_since_is_himself() -> None:
    orders, act = ORDERS[:1], Act("visited", AT)
    person = replace(OLD, stats=PurchaseStats().with_orders(orders), history=History(orders, (act,)))
    assert as_of(person, AT) is person


def test_who_is_new_was_not_there_unless_another_number_of_his_was() -> None:
    friend = replace(FRIEND, first_seen_at=AFTER, state_at=AFTER)
    new = replace(OLD, customer=replace(OLD.customer, created_at=to_text(AFTER)), friends={MAIN: friend})
    assert as_of(new, AT) is None
    assert was(replace(new, customer=replace(new.customer, aliases=(Cid(2),)))).friends == {}
    assert was(replace(new, friends={MAIN: FRIEND})).friends == {MAIN: FRIEND}


def test_tags_are_those_of_then() -> None:
    marks = {
        **OLD.marks,
        "tag_b": f"{to_text(AFTER)} api",
        "off_tag_c": f"{to_text(AFTER)} api",
        "off_tag_d": f"{to_text(BEFORE)} x",
    }
    assert was(replace(OLD, tags=frozenset({"tag_a", "tag_b"}), marks=marks)).tags == {"tag_a", "tag_c"}


def test_who_follows_again_had_blocked_and_who_blocks_was_following() -> None:
    for now, then in ((FollowState.FOLLOWING, FollowState.BLOCKED), (FollowState.BLOCKED, FollowState.FOLLOWING)):
        person = replace(OLD, friends={MAIN: replace(FRIEND, state=now, state_at=AFTER)})
        assert was(person).friends[MAIN].state is then


def test_who_agrees_may_have_agreed_before_or_never_refused() -> None:
    """He is not told of as one who came: nothing says that he had refused."""
    words = {DeliveryChannel.EMAIL: Consent(False, to_text(AFTER), "form")}
    person = replace(OLD, customer=replace(OLD.customer, consents=words))
    assert as_of(person, AT) is person


def test_words_orders_and_acts_are_those_of_then() -> None:
    words = {
        DeliveryChannel.EMAIL: Consent(True, to_text(AFTER), "x"),
        DeliveryChannel.SMS: Consent(True, to_text(BEFORE), "x"),
    }
    acts = (Act("visited", BEFORE), Act("visited", AFTER))
    person = replace(
        OLD,
        customer=replace(OLD.customer, consents=words),
        stats=PurchaseStats().with_orders(ORDERS),
        history=History(ORDERS, acts),
    )
    then = was(person)
    assert (then.customer.has_opted_out(DeliveryChannel.EMAIL), then.customer.has_opted_out(DeliveryChannel.SMS)) == (False, True)
    assert (then.stats.count, then.stats.last_at) == (1, BEFORE)
    assert (then.history.orders, then.history.acts) == (ORDERS[:1], acts[:1])

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from itertools import pairwise
from typing import Any

import pytest

from chalicelib.customers.model import PROFILE_FIELDS, Consent, DeliveryChannel, Gender, clean
from chalicelib.kernel.clock import to_text
from chalicelib.kernel.errors import InvalidError, NotFoundError
from chalicelib.kernel.facts import OptedOut, ProfileChanged
from chalicelib.kernel.ids import Cid
from tests.builders import MAIN, Stage
from tests.rooms.crashes import every_crash, every_intrusion

WHOLE: dict[str, Any] = {
    "member_no": "M1", "name": "山田花子", "name_kana": "ヤマダハナコ", "birthday": date(1990, 2, 28), "gender": Gender.FEMALE,
    "email": "hanako@shop.test", "phone": "+819012345678", "postal_code": "100-0001", "prefecture": "東京都", "city": "千代田区",
    "address": "千代田1-1", "building": "縁ビル", "attributes": {"rank": "gold", "points": 12, "ratio": 0.5, "vip": True},
}  # fmt: skip


def test_every_field_comes_back_as_it_was_saved(stage: Stage) -> None:
    customer, is_new = stage.world.customers.save(WHOLE)
    assert is_new
    assert set(WHOLE) == set(PROFILE_FIELDS)
    assert {name: getattr(customer.profile, name) for name in WHOLE} == WHOLE
    assert stage.world.customers.by_member_no("M1") == customer
    assert customer.created_at == to_text(stage.clock.now())


def test_saving_again_changes_what_is_given_and_leaves_the_rest(stage: Stage) -> None:
    first, _ = stage.world.customers.save(WHOLE)
    stage.clock.advance(days=1)
    second, is_new = stage.world.customers.save({"member_no": "M1", "city": "港区"})
    assert not is_new
    assert second.cid == first.cid
    assert second.created_at == first.created_at
    assert second.profile.city == "港区"
    assert second.profile.name == "山田花子"


def test_a_none_removes_a_field_and_may_stand_beside_a_change(stage: Stage) -> None:
    stage.world.customers.save(WHOLE)
    given = {name: None for name in WHOLE if name not in ("member_no", "name")}
    customer, _ = stage.world.customers.save({"member_no": "M1", "name": "田中花子", **given})
    assert customer.profile.name == "田中花子"
    assert customer.profile.birthday is None
    assert customer.profile.email == ""
    assert customer.profile.attributes == {}
    assert stage.world.customers.save({"member_no": "M9", "email": None})[0].profile.email == ""
    only = stage.world.customers.change(customer.cid, {"name": None})
    assert (only.profile.name, only.profile.member_no) == ("", "M1")
    assert stage.world.customers.change(customer.cid, {}) == only


def test_attributes_are_written_one_by_one_and_a_none_takes_one_away(stage: Stage) -> None:
    customers = stage.world.customers
    cid = stage.customer("M1", attributes={"a": 1, 'b"': True, "c.d": "x"})
    customers.save({"member_no": "M1", "attributes": {"e": 0.5, 'b"': None}})
    assert customers.get(cid).profile.attributes == {"a": 1, "c.d": "x", "e": 0.5}
    customers.change(cid, {"name": "花子", "attributes": {"a": None, "c.d": None, "e": None, "z": None}})
    assert (customers.get(cid).profile.name, customers.get(cid).profile.attributes) == ("花子", {})
    customers.save_many(
        [{"member_no": number, "attributes": {name: 1}} for number, name in (("M2", "a"), ("M3", "x"), ("M2", "b"))]
    )
    assert customers.by_member_no("M2").profile.attributes == {"a": 1, "b": 1}
    bare = stage.customer("M4")
    customers.write({bare: {"attributes": {"a": 1, "b": None}}})
    assert customers.get(bare).profile.attributes == {"a": 1}


@pytest.mark.parametrize("before", [{}, {"attributes": {"old": 1}}])
def test_whoever_comes_in_between_loses_no_attribute(stage: Stage, before: dict[str, Any]) -> None:
    """An import, the API and a scenario at one person at once, at every call."""
    cids: dict[int, Cid] = {}
    customers = stage.world.customers

    def scene(number: int) -> Callable[[], Any]:
        cids[number] = stage.customer(f"M{number}", **before)
        return lambda: customers.save({"member_no": f"M{number}", "attributes": {"mine": 1}})

    def intruder(number: int) -> Callable[[], Any]:
        def act() -> None:
            customers.write({cids[number]: {"attributes": {"theirs": 2}}})
            customers.change_attribute({cids[number]: "k"}, "score", add(3))

        return act

    for number, _, _ in every_intrusion(scene, intruder):
        expected = {"mine": 1, "theirs": 2, "score": 3, **before.get("attributes", {})}
        assert customers.get(cids[number]).profile.attributes == expected


def test_the_later_of_two_rows_for_one_member_wins_field_by_field(stage: Stage) -> None:
    rows = [{"member_no": "M1", "name": "一", "city": "港区"}, {"member_no": "M2"}, {"member_no": "M1", "name": "二"}]
    saved = stage.world.customers.save_many(rows)
    assert saved[0] == saved[2]
    assert (saved[0][0].profile.name, saved[0][0].profile.city) == ("二", "港区")
    assert [is_new for _, is_new in stage.world.customers.save_many(rows)] == [False] * 3


def test_many_are_saved_over_several_batches(stage: Stage) -> None:
    saved = stage.world.customers.save_many([{"member_no": f"M{i}", "name": str(i)} for i in range(130)])
    assert len({customer.cid for customer, _ in saved}) == 130
    assert all(customer.profile.name == str(i) for i, (customer, _) in enumerate(saved))


def test_a_crash_anywhere_while_saving_is_healed_by_the_next_try(stage: Stage) -> None:
    def scene(number: int) -> Callable[[], Any]:
        return lambda: stage.world.customers.save({"member_no": f"M{number}", "name": "花子", "city": None})

    for number, _, again in every_crash(scene):
        again()
        customer = stage.world.customers.by_member_no(f"M{number}")
        assert customer.profile.name == "花子"
        assert customer.created_at


def test_a_member_number_cannot_be_changed(stage: Stage) -> None:
    cid = stage.customer("M1")
    friend = stage.friend()
    for member_no in ("M2", None):
        with pytest.raises(InvalidError, match="member_no_fixed"):
            stage.world.customers.change(cid, {"member_no": member_no})
    with pytest.raises(InvalidError, match="member_no_fixed"):
        stage.world.customers.change(friend, {"member_no": "M1"})


def test_who_was_never_numbered_is_unknown(stage: Stage) -> None:
    stage.customer("M1")
    for cid in (0, -1, 10**6):
        with pytest.raises(NotFoundError, match="customer.unknown"):
            stage.world.customers.get(cid)
    for member_no in ("M2", "", "長" * 3000):
        with pytest.raises(NotFoundError, match="customer.unknown"):
            stage.world.customers.by_member_no(member_no)


def walk(stage: Stage, size: int) -> list[list[str]]:
    pages, cursor = [], None
    while True:
        page = stage.world.customers.page(cursor, size)
        pages.append([customer.profile.member_no for customer in page.items])
        cursor = page.next_cursor
        if cursor is None:
            return pages


@pytest.mark.parametrize("size", [1, 7, 100])
def test_pages_show_every_customer_once_in_order_over_gaps(stage: Stage, size: int) -> None:
    wanted = []
    for i in range(30):
        if i % 3 == 1:
            stage.world.people.find_or_number_many(f"line#main#{i}-{j}" for j in range(i))  # friends who are no members
        else:
            stage.customer(f"M{i:02d}")
            wanted.append(f"M{i:02d}")
    pages = walk(stage, size)
    assert [member_no for page in pages for member_no in page] == wanted
    assert all(len(page) <= size for page in pages)


def test_a_page_of_nobody_is_empty_and_the_last(stage: Stage) -> None:
    assert walk(stage, 10) == [[]]
    stage.friend()
    assert walk(stage, 10) == [[]]


@pytest.mark.parametrize("cursor", ["!", "bm90anNvbg", "eyJhIjoxfQ"])
def test_a_forged_cursor_is_refused(stage: Stage, cursor: str) -> None:
    with pytest.raises(InvalidError, match="cursor.malformed"):
        stage.world.customers.page(cursor)


def test_a_customer_whose_entry_was_cut_short_before_a_link_is_listed(stage: Stage) -> None:
    stage.world.people.find_or_number("member#M1")  # and here the import died
    friend = stage.friend()
    stage.world.people.mark_merged(friend, stage.world.customers.by_member_no("M1").cid)
    stage.world.customers.save({"member_no": "M1", "name": "花子"})
    assert walk(stage, 10) == [["M1"]]


def test_a_refusal_keeps_when_and_where_it_was_given(stage: Stage) -> None:
    cid = stage.customer("M1", email="a@b.test")
    facts = stage.world.customers.set_consent(cid, DeliveryChannel.EMAIL, opted_out=True, source="one-click 配信 1")
    at = to_text(stage.clock.now())
    customer = stage.world.customers.get(cid)
    assert customer.consents == {DeliveryChannel.EMAIL: Consent(True, at, "one-click 配信 1")}
    assert customer.has_opted_out(DeliveryChannel.EMAIL)
    assert not customer.has_opted_out(DeliveryChannel.LINE)
    assert [(type(fact), fact.cid, fact.at) for fact in facts] == [(OptedOut, cid, stage.clock.now())]
    assert customer.profile.email == "a@b.test"


def test_a_consent_given_again_lifts_the_refusal_with_its_own_proof(stage: Stage) -> None:
    cid = stage.customer("M1")
    stage.world.customers.set_consent(cid, DeliveryChannel.SMS, opted_out=True, source="x")
    stage.clock.advance(days=1)
    (fact,) = stage.world.customers.set_consent(cid, DeliveryChannel.SMS, opted_out=False, source="")
    assert isinstance(fact, ProfileChanged)
    assert stage.world.customers.get(cid).consents[DeliveryChannel.SMS] == Consent(False, to_text(stage.clock.now()), "")


def test_a_friend_who_is_no_customer_can_refuse(stage: Stage) -> None:
    cid = stage.friend()
    stage.world.customers.set_consent(cid, DeliveryChannel.LINE, opted_out=True, source="line postback")
    assert not stage.world.segments.load([cid], [MAIN])[cid].can_reach(DeliveryChannel.LINE, MAIN)
    assert walk(stage, 10) == [[]]


def test_a_suppressed_address_is_refused_however_it_is_written(stage: Stage) -> None:
    customers, email = stage.world.customers, DeliveryChannel.EMAIL
    customers.suppress(email, "Hanako@Shop.test ", "bounce")
    asked = [(email, "hanako@shop.test"), (email, "HANAKO@SHOP.TEST"), (email, "other@shop.test"), (email, "")]
    assert customers.suppressed(asked) == set(asked[:2])
    assert customers.suppressed([(DeliveryChannel.SMS, "hanako@shop.test")]) == set()


def test_a_suppressed_address_is_nobodys_way(stage: Stage) -> None:
    stage.world.customers.suppress(DeliveryChannel.EMAIL, "a@b.test", "complaint")
    one, two = stage.customer("M1", email="a@b.test"), stage.customer("M2", email="A@B.test")
    people = stage.world.segments.load([one, two], [])
    assert not people[one].can_reach(DeliveryChannel.EMAIL)
    assert not people[two].can_reach(DeliveryChannel.EMAIL)


def test_an_email_address_is_kept_in_lower_case() -> None:
    assert clean("email", " Ｈanako@Shop.TEST ") == "hanako@shop.test"


def add(by: int) -> Callable[[Any], Any]:
    return lambda old: (old or 0) + by


def test_an_attribute_changes_once_for_a_key_whatever_there_was_before(stage: Stage) -> None:
    customers, friend = stage.world.customers, stage.friend()
    bare, rich = stage.customer("M1"), stage.customer("M2", attributes={"来店回数": 3, "rank": "gold"})
    for _ in range(2):
        customers.change_attribute({friend: "a", bare: "b", rich: "c"}, "来店回数", add(2))
    values = {cid: customers.get(cid).profile.attributes for cid in (friend, bare, rich)}
    assert values == {friend: {"来店回数": 2}, bare: {"来店回数": 2}, rich: {"来店回数": 5, "rank": "gold"}}
    customers.change_attribute({rich: "d"}, "来店回数", add(1))
    customers.change_attribute({rich: "c"}, "来店回数", add(100))
    customers.change_attribute({rich: "e"}, "rank", lambda _: "silver")
    customers.change_attribute({rich: "f"}, "rank", lambda _: None)
    assert customers.get(rich).profile.attributes == {"来店回数": 6, "rank": "silver"}
    assert walk(stage, 10) == [["M1", "M2"]]


def test_the_latest_sixty_changes_are_remembered(stage: Stage) -> None:
    cid = stage.customer("M1")
    for number in range(70):
        stage.world.customers.change_attribute({cid: f"key{number}"}, "score", add(1))
    for number in range(10, 70):
        stage.world.customers.change_attribute({cid: f"key{number}"}, "score", add(1))
    assert stage.world.customers.get(cid).profile.attributes == {"score": 70}
    assert len(stage.world.people.collections([cid], ["P"])[cid]["P"]["done"]) < 800


def test_changes_at_the_same_moment_all_count(stage: Stage) -> None:
    cid = stage.customer("M1")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: stage.world.customers.change_attribute({cid: str(n // 2)}, "score", add(1)), range(12)))
    assert stage.world.customers.get(cid).profile.attributes == {"score": 6}


def test_a_crash_anywhere_while_an_attribute_changes_changes_it_once(stage: Stage) -> None:
    def scene(number: int) -> Callable[[], Any]:
        cids = [
            stage.customer(f"M{number}"),
            stage.customer(f"N{number}", attributes={"score": 1}),
            stage.world.people.new_number(),
        ]

        def act() -> list[Any]:
            stage.world.customers.change_attribute({cid: f"key{number}" for cid in cids}, "score", add(5))
            return [stage.world.customers.get(cid).profile.attributes["score"] for cid in cids]

        return act

    for _, _, again in every_crash(scene):
        assert again() == [5, 6, 5]


@pytest.mark.parametrize("name", ["", 'a"b', "a\x00", "長" * 101])
def test_an_attribute_needs_a_plain_name(stage: Stage, name: str) -> None:
    with pytest.raises(InvalidError, match="attribute_malformed"):
        stage.world.customers.change_attribute({Cid(1): "k"}, name, add(1))


def test_the_living_are_found_through_every_link(stage: Stage) -> None:
    first, second, third, other = (stage.customer(f"M{n}") for n in range(4))
    stage.world.people.mark_merged(first, second)
    stage.world.people.mark_merged(second, third)
    assert stage.world.customers.living([first, second, third, other]) == {first: third, second: third, third: third, other: other}
    assert stage.world.customers.living([]) == {}


def test_a_long_way_of_links_and_a_ring_of_them_come_to_an_end(stage: Stage) -> None:
    people, customers = stage.world.people, stage.world.customers
    chain = [stage.customer(f"C{n}") for n in range(6)]
    for old, new in pairwise(chain):
        people.mark_merged(old, new)
    assert customers.get(chain[0]).cid == chain[-1]
    assert customers.living(chain) == dict.fromkeys(chain, chain[-1])
    assert people.aliases(chain[-1]) == sorted(chain[:-1])
    ring = [stage.customer(f"R{n}") for n in range(3)]
    for old, new in pairwise([*ring, ring[0]]):
        people.mark_merged(old, new)
    way_in = stage.customer("W")
    people.mark_merged(way_in, ring[2])
    assert customers.living([way_in, *ring]) == dict.fromkeys([way_in, *ring], ring[0])
    assert {customers.get(cid).cid for cid in (way_in, *ring)} == {ring[0]}
    assert people.aliases(ring[0]) == sorted([*ring[1:], way_in])

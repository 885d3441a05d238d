"""Two records of one person: found by what they share, made one with all that hangs on them, and two again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from itertools import count, product
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from chalicelib.customers.model import DeliveryChannel
from chalicelib.duplicates.model import Confidence, Parted, Reason, pairs, plain_kana
from chalicelib.duplicates.service import Duplicates
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError, TemporaryError
from chalicelib.kernel.facts import LinkAnswered
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.lake.audiences import Audiences
from chalicelib.lake.cubes import Cubes
from chalicelib.lake.questions import Questions
from chalicelib.lake.reader import Reader
from chalicelib.orders.model import Order
from chalicelib.people import table
from chalicelib.ports.database import Statement
from chalicelib.reactions import react
from chalicelib.settings import settings
from tests.builders import HANAKO, MAIN, TARO, Stage
from tests.lake.base_files import put_lake
from tests.rooms.journey import END, rest

SECOND = AccountKey("second")


@pytest.fixture
def house(stage: Stage) -> Duplicates:
    return stage.world.duplicates


def buy(stage: Stage, cid: Cid, number: str, yen: int, days: int = 1) -> None:
    stage.world.orders.take([Order(number, cid, stage.clock.now() - timedelta(days=days), yen)])


def follow(stage: Stage, cid: Cid, user_id: LineUserId, account: AccountKey = MAIN) -> None:
    """Make a customer the friend of an account."""
    facts = stage.world.friends.follow(account, user_id, stage.clock.now(), event_id=user_id, is_unblocked=False, reply=None)
    friend = stage.world.friends.get(account, user_id)
    assert facts
    stage.world.friends.move(friend, cid)


def merge(stage: Stage, kept: Cid, gone: Cid, consent: str = "") -> None:
    react(stage.world.duplicates.merge(kept, gone, "enk_1", consent), stage.world)


def state(stage: Stage, *cids: Cid) -> list[Any]:
    """Return all that can be seen of people."""
    world = stage.world
    people = world.segments.load(cids, [MAIN, SECOND])
    return [
        (cid, people[cid].customer.profile, people[cid].customer.aliases, people[cid].stats.count, people[cid].stats.total_yen,
         people[cid].tags, sorted(people[cid].friends), people[cid].customer.merged_into)
        for cid in cids
    ]  # fmt: skip


def test_pairs_are_found_by_what_they_share_the_surest_first(stage: Stage, house: Duplicates) -> None:
    day = date(1990, 1, 31)
    a = stage.customer("A", email="a@example.com", phone="+81901", name_kana="ヤマダ ハナコ", birthday=day)
    b = stage.customer("B", email="a@example.com")
    c = stage.customer("C", phone="+81901", name_kana="やまだ　はなこ", birthday=day)
    d = stage.customer("D", name_kana="ヤマダハナコ", birthday=day)
    stage.customer("E", email="e@example.com", name_kana="ヤマダハナコ")
    for n in range(6):
        stage.customer(f"S{n}", phone="+81300000000")
    found = [(pair.first, pair.second, pair.reasons, pair.confidence) for pair in house.find()]
    assert found == [
        (a, c, (Reason.NAME_BIRTHDAY, Reason.PHONE), Confidence.HIGH),
        (a, b, (Reason.EMAIL,), Confidence.HIGH),
        (a, d, (Reason.NAME_BIRTHDAY,), Confidence.MEDIUM),
        (c, d, (Reason.NAME_BIRTHDAY,), Confidence.MEDIUM),
    ]
    house.deny(c, a)
    merge(stage, a, b)
    assert [(pair.first, pair.second) for pair in house.find()] == [(a, d), (c, d)]


def test_the_lake_finds_the_same(stage: Stage, house: Duplicates, tmp_path: Path) -> None:
    rows = [(1, "a@x.test", "+811", "ヤマダ　ハナコ", date(1990, 1, 31), True), (2, "a@x.test", None, "ヤマダハナコ", date(1990, 1, 31), True),
            (3, None, "+811", None, None, True), (4, "a@x.test", None, None, None, False)]  # fmt: skip
    identity = [{"cid": cid, "email": email, "phone": phone, "name_kana": kana} for cid, email, phone, kana, _, _ in rows]
    put_lake(
        stage.files,
        {"identity": identity, "customer": [{"cid": row[0], "birthday": row[4], "known": row[5]} for row in rows]},
    )
    house._analyst = Questions(Reader(stage.files, tmp_path / "lake"), Audiences(stage.files), Cubes(stage.files))
    house._asking = type("Many", (), {"prefers_the_lake": lambda self: True})()
    found = [(pair.first, pair.second, pair.reasons) for pair in house.find()]
    assert found == [(1, 2, (Reason.EMAIL, Reason.NAME_BIRTHDAY)), (1, 3, (Reason.PHONE,))]


def test_readings_are_compared_without_blanks_and_scripts() -> None:
    assert plain_kana(" ﾔﾏﾀﾞ　はなこ") == "ヤマダハナコ"
    assert pairs([(Reason.PHONE, [1, 2, 3, 4, 5, 6])]) == []


@pytest.fixture
def two(stage: Stage) -> tuple[Cid, Cid]:
    """One who is kept, and one with much that hangs on him."""
    kept = stage.customer("A", name="山田花子", attributes={"会員": "gold"})
    gone = stage.customer("B", name="ヤマダ", email="a@example.com", attributes={"会員": "silver", "靴": 24})
    vip, old = stage.world.tags.create("VIP"), stage.world.tags.create("旧")
    for cid, tag in ((gone, vip), (gone, old), (kept, old)):
        stage.world.tags.add(cid, tag.tag_id, "test")
    buy(stage, kept, "A-1", 1000, days=3)
    buy(stage, gone, "B-1", 500, days=9)
    stage.world.customers.set_consent(gone, DeliveryChannel.SMS, opted_out=True, source="phone")
    follow(stage, gone, HANAKO)
    return kept, gone


def test_everything_comes_along_and_goes_back(stage: Stage, house: Duplicates, two: tuple[Cid, Cid]) -> None:
    kept, gone = two
    before = state(stage, kept, gone)
    merge(stage, kept, gone)
    world = stage.world
    person = world.segments.load([gone], [MAIN])[gone]
    assert (person.cid, person.stats.count, person.stats.total_yen, person.stats.first_no) == (kept, 2, 1500, "B-1")
    assert (person.customer.profile.name, person.customer.profile.email) == ("山田花子", "a@example.com")
    assert person.customer.profile.attributes == {"会員": "gold", "靴": 24}
    assert len(person.tags) == 2 and person.customer.has_opted_out(DeliveryChannel.SMS) and list(person.friends) == [MAIN]
    assert [order.order_no for order in world.orders.all_of(kept)] == ["B-1", "A-1"]
    assert world.customers.by_member_no("B").cid == kept
    buy(stage, world.customers.by_member_no("B").cid, "B-2", 70)
    assert world.orders.stats([kept])[kept].count == 3
    (noted,) = house.merges(kept)
    assert (noted.gone, noted.by, noted.accounts) == (gone, "enk_1", {"main": HANAKO})
    house.undo(kept, gone)
    after = state(stage, kept, gone)
    assert after[0] == (*before[0][:3], 2, 1070, *before[0][5:]), "what has happened since stays"
    assert after[1] == before[1]
    assert house.merges(kept) == []
    with pytest.raises(NotFoundError):
        house.undo(kept, gone)


def test_what_he_changed_since_is_not_taken_back(stage: Stage, house: Duplicates, two: tuple[Cid, Cid]) -> None:
    kept, gone = two
    merge(stage, kept, gone)
    stage.world.customers.change(kept, {"email": "new@example.com"})
    house.undo(kept, gone)
    assert stage.world.customers.get(kept).profile.email == "new@example.com"


def link(stage: Stage, cid: Cid, user_id: LineUserId, number: str) -> None:
    """Let a friend prove by LINE's account-link flow that he is a customer."""
    world, member = stage.world, stage.world.customers.get(cid).profile.member_no
    nonce = world.identity_links.request("main", member, "token-of-LINE").rpartition("nonce=")[2]
    friend = world.friends.observe(MAIN, user_id, stage.clock.now())
    answer = LinkAnswered(
        fact_id=number, cid=friend.cid, at=stage.clock.now(), account=MAIN, line_user_id=user_id, reply=None, nonce=unquote(nonce)
    )
    assert world.identity_links.complete(answer)


def test_only_the_friend_who_came_along_goes_back(stage: Stage, house: Duplicates, two: tuple[Cid, Cid]) -> None:
    kept, gone = two
    merge(stage, kept, gone)
    stage.clock.advance(minutes=10)
    link(stage, kept, TARO, "l1")  # takes the place of the one who came along, who is his own person again
    parted = house.undo(kept, gone)
    assert parted == Parted((), ("main",))
    assert stage.world.friends.get(MAIN, TARO).cid == kept
    assert stage.world.friends.get(MAIN, HANAKO).cid not in (kept, gone)
    assert stage.world.friends.of(gone, MAIN) is None


def test_who_has_proven_since_that_he_is_the_one_who_was_kept_stays(stage: Stage, house: Duplicates, two: tuple[Cid, Cid]) -> None:
    kept, gone = two
    merge(stage, kept, gone)
    stage.clock.advance(minutes=10)
    stage.world.identity_links.undo(stage.world.identity_links.of(kept, MAIN))
    link(stage, kept, HANAKO, "l2")
    assert house.undo(kept, gone) == Parted((), ("main",))
    assert stage.world.friends.get(MAIN, HANAKO).cid == kept


def test_a_merge_is_undone_before_the_one_it_stands_on(stage: Stage, house: Duplicates, two: tuple[Cid, Cid]) -> None:
    kept, gone = two
    before = state(stage, kept, gone)
    third = stage.customer("C", name="山田")
    merge(stage, kept, gone)
    joined = state(stage, kept, gone)
    merge(stage, third, kept)
    with pytest.raises(ConflictError, match="merge.later_first"):
        house.undo(kept, gone)
    assert house.undo(third, kept) == Parted(("main",), ())
    assert state(stage, kept, gone) == joined
    assert house.undo(kept, gone) == Parted(("main",), ())
    assert [one[:-1] for one in state(stage, kept, gone)] == [one[:-1] for one in before]


def test_merges_that_are_told_again_after_later_ones_lead_nobody_away(stage: Stage, house: Duplicates) -> None:
    one, two, three, four = numbers = [stage.customer(name) for name in "ABCD"]
    follow(stage, one, HANAKO)
    told = [(two, one), (three, two), (four, three)]
    for kept, gone in told:
        merge(stage, kept, gone)
    joined = [stage.world.people.collections(numbers, ["P"])]
    for kept, gone in [*told, *reversed(told)]:
        merge(stage, kept, gone)
        assert [stage.world.segments.load([cid], [MAIN])[cid].cid for cid in numbers] == [four] * 4
    assert [stage.world.people.collections(numbers, ["P"])] == joined
    for kept, gone in reversed(told):
        house.undo(kept, gone)
    assert [customer.aliases for customer in stage.world.customers.load(numbers).values()] == [()] * 4
    assert stage.world.friends.get(MAIN, HANAKO).cid == one


def test_a_number_that_has_left_since_does_not_come_back(stage: Stage, house: Duplicates) -> None:
    kept, gone, friend = stage.customer("A"), stage.customer("B"), stage.friend()
    stage.world.people.mark_merged(friend, gone)
    merge(stage, kept, gone)
    stage.world.people.unmark_merged(friend, kept)
    house.undo(kept, gone)
    assert stage.world.customers.get(friend).cid == friend
    assert stage.world.customers.get(gone).aliases == ()


def test_an_undoing_gives_nobody_the_agreement_of_another(stage: Stage, house: Duplicates, two: tuple[Cid, Cid]) -> None:
    kept, gone = two
    customers = stage.world.customers
    customers.set_consent(gone, DeliveryChannel.EMAIL, opted_out=True, source="his own")
    stage.clock.advance(days=1)
    customers.set_consent(kept, DeliveryChannel.EMAIL, opted_out=False, source="the other's")
    merge(stage, kept, gone)
    stage.clock.advance(days=1)
    customers.set_consent(kept, DeliveryChannel.POSTAL, opted_out=True, source="either's")
    house.undo(kept, gone)
    assert customers.get(gone).has_opted_out(DeliveryChannel.EMAIL)
    assert customers.get(gone).has_opted_out(DeliveryChannel.POSTAL)
    assert not customers.get(kept).has_opted_out(DeliveryChannel.EMAIL)


def test_an_undoing_gives_back_the_refusal_that_the_others_agreement_stood_for(
    stage: Stage, house: Duplicates, two: tuple[Cid, Cid]
) -> None:
    kept, gone = two
    customers = stage.world.customers
    for channel in (DeliveryChannel.EMAIL, DeliveryChannel.POSTAL):
        customers.set_consent(kept, channel, opted_out=True, source="at the till")
    before = customers.get(kept).consents
    stage.clock.advance(days=1)
    for channel in (DeliveryChannel.EMAIL, DeliveryChannel.POSTAL):
        customers.set_consent(gone, channel, opted_out=False, source="the other's")
    merge(stage, kept, gone)
    assert not customers.get(kept).has_opted_out(DeliveryChannel.EMAIL)
    stage.clock.advance(days=1)
    customers.set_consent(kept, DeliveryChannel.POSTAL, opted_out=False, source="since then")
    house.undo(kept, gone)
    after = customers.get(kept)
    assert after.consents[DeliveryChannel.EMAIL] == before[DeliveryChannel.EMAIL]
    assert not after.has_opted_out(DeliveryChannel.POSTAL)


def test_a_merge_of_before_this_version_is_undone(stage: Stage, house: Duplicates, two: tuple[Cid, Cid]) -> None:
    kept, gone = two
    merge(stage, kept, gone)
    (item,) = stage.world.database.query(settings().core_table, f"C#{kept}", prefix="MRG#")
    former = {name: value for name, value in item.items() if name != "refusals"} | {"accounts": ["main"]}
    stage.world.database.put_many(settings().core_table, [former])
    merge(stage, kept, gone)
    assert list(house.merges(kept)[0].accounts) == ["main"]
    assert house.undo(kept, gone) == Parted(("main",), ())
    assert stage.world.friends.get(MAIN, HANAKO).cid == gone


def test_of_two_who_ask_for_one_merge_at_once_the_first_says_what_comes_along(
    stage: Stage, house: Duplicates, two: tuple[Cid, Cid], monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = two
    before, aliases = state(stage, kept, gone), stage.world.people.aliases

    def slow(cid: Cid) -> list[Cid]:
        monkeypatch.undo()
        house.merge(kept, gone, "enk_2")
        return aliases(cid)

    monkeypatch.setattr(stage.world.people, "aliases", slow)
    merge(stage, kept, gone)
    assert [noted.by for noted in house.merges(kept)] == ["enk_2"]
    house.undo(kept, gone)
    assert [one[:-1] for one in state(stage, kept, gone)] == [one[:-1] for one in before]


class DiedError(Exception):
    """The process is gone."""


@pytest.mark.parametrize("verb", ["merge", "undo"])
def test_whoever_dies_on_the_way_does_the_rest_by_asking_again(
    stage: Stage, house: Duplicates, two: tuple[Cid, Cid], verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, gone = two
    world = stage.world
    start = state(stage, kept, gone)
    merge(stage, kept, gone)
    joined = state(stage, kept, gone)
    house.undo(kept, gone)
    apart = state(stage, kept, gone)
    assert [one[:-1] for one in apart] == [one[:-1] for one in start]
    acts: list[tuple[Any, str]] = [
        (world.people, "mark_merged"), (world.people, "unmark_merged"), (world.friends, "move"), (world.customers, "carry_consent"),
        (world.customers, "change"), (world.tags, "add"), (world.tags, "remove"), (world.orders, "recount"),
    ]  # fmt: skip
    for place, name in acts:
        for late in (False, True):
            if verb == "undo":
                merge(stage, kept, gone)

            def dies(*given: Any, real: Callable[..., Any] = getattr(place, name), late: bool = late, **named: Any) -> Any:
                if late:
                    real(*given, **named)
                raise DiedError

            act = (lambda: merge(stage, kept, gone)) if verb == "merge" else (lambda: house.undo(kept, gone))
            with monkeypatch.context() as patched:
                patched.setattr(place, name, dies)
                try:
                    act()
                    died = False
                except DiedError:
                    died = True
            if died or verb == "merge":
                act()
            assert state(stage, kept, gone) == (joined if verb == "merge" else apart), (name, late)
            if verb == "merge":
                house.undo(kept, gone)


def test_of_two_runs_of_one_scenario_the_earlier_stays(stage: Stage) -> None:
    stage.scenario("s", {"w": rest("P9D", "e"), "e": END}, trigger={"type": "manual"})
    kept, gone = stage.customer("A"), stage.customer("B")
    stage.world.entries.by_hand("s", gone, "x")
    stage.clock.advance(hours=1)
    stage.world.entries.by_hand("s", kept, "y")
    merge(stage, kept, gone)
    (one,) = stage.world.scenario_people.current(kept)
    assert one.cid == gone


def test_who_had_become_one_before_comes_along(stage: Stage, house: Duplicates) -> None:
    kept, gone, friend = stage.customer("A"), stage.customer("B"), stage.friend()
    stage.world.people.mark_merged(friend, gone)
    merge(stage, kept, gone)
    assert stage.world.customers.get(friend).cid == kept
    assert stage.world.customers.get(kept).aliases == tuple(sorted([gone, friend]))
    house.undo(kept, gone)
    assert stage.world.customers.get(friend).cid == gone
    assert stage.world.customers.get(kept).aliases == ()


def test_friends_of_different_accounts_come_together_only_with_leave_and_consent(stage: Stage, house: Duplicates) -> None:
    stage.world.line_accounts.connect("second", "二号店", "2234567890", "e" * 32, "https://shop.test/login")
    kept, gone, third = stage.customer("A"), stage.customer("B"), stage.customer("C")
    follow(stage, kept, HANAKO)
    follow(stage, gone, TARO, SECOND)
    follow(stage, third, LineUserId("U" + "d" * 32))
    with pytest.raises(ConflictError, match="merge.two_friends"):
        merge(stage, kept, third, "店頭で 2026-11-22")
    with pytest.raises(ConflictError, match="merge.accounts_crossed"):
        merge(stage, kept, gone, "店頭で 2026-11-22")
    house.let_cross_accounts(True)
    with pytest.raises(InvalidError, match="merge.consent_missing"):
        merge(stage, kept, gone, " ")
    merge(stage, kept, gone, "店頭で 2026-11-22")
    assert sorted(stage.world.segments.load([kept], [MAIN, SECOND])[kept].friends) == [MAIN, SECOND]
    assert house.merges(kept)[0].consent == "店頭で 2026-11-22"


def test_who_is_nobody_or_one_already_is_refused(stage: Stage) -> None:
    kept, gone, friend = stage.customer("A"), stage.customer("B"), stage.friend()
    with pytest.raises(NotFoundError):
        merge(stage, kept, friend)
    with pytest.raises(ConflictError, match="one_already"):
        merge(stage, kept, kept)
    merge(stage, kept, gone)
    with pytest.raises(ConflictError, match="one_already"):
        merge(stage, gone, kept)


def test_who_decides_the_opposite_of_what_is_half_done_makes_nobody_part_of_himself(
    stage: Stage, house: Duplicates, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = stage.customer("M1", name="山田 花子"), stage.customer("M2", name="山田 花子")

    def dies(*_: Any) -> None:
        raise DiedError

    with monkeypatch.context() as patched, pytest.raises(DiedError):
        patched.setattr(stage.world.people, "mark_merged", dies)
        house.merge(one, other, "staff")
    with pytest.raises(ConflictError, match="one_already"):
        house.merge(other, one, "staff")
    with stage.world.people.alone("merge 8 9"), pytest.raises(TemporaryError):
        house.merge(one, other, "staff")
    house.merge(one, other, "staff")
    assert stage.world.customers.living([one, other]) == {one: one, other: one}


def test_nobody_is_merged_or_parted_who_is_being_erased(stage: Stage, house: Duplicates, two: tuple[Cid, Cid]) -> None:
    kept, gone = two
    third = stage.customer("C")
    merge(stage, kept, gone)
    receipt = stage.world.erasures.order(gone, "本人の申し出", "key_1")
    assert set(receipt.cids) == {kept, gone}
    for act in (
        lambda: house.undo(kept, gone),
        lambda: house.merge(kept, gone, "staff"),
        lambda: house.merge(third, kept, "staff"),
        lambda: house.merge(kept, third, "staff"),
    ):
        with pytest.raises(ConflictError, match="merge.erasure_runs"):
            act()
    stage.world.erasures.carry_out(receipt.receipt_id)
    with pytest.raises(ConflictError, match="merge.erasure_runs"):
        house.merge(third, kept, "staff")
    stage.world.database.execute(
        [Statement(f'DELETE FROM "{settings().config_table}" WHERE pk=? AND sk=?', ("ERASING", receipt.receipt_id))]
    )
    for act, code in (
        (lambda: house.merge(third, gone, "staff"), "customer.unknown"),
        (lambda: house.undo(kept, gone), "merge.unknown"),
    ):
        with pytest.raises(NotFoundError, match=code):
            act()
    assert not stage.world.people.is_there(gone) and stage.world.customers.get(third).cid == third


def test_an_erasure_after_a_merge_that_died_on_the_way_leaves_nothing_of_him(
    stage: Stage, house: Duplicates, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, whole = stage.world, set[bool]()
    # Where it dies: at the first or second write of its decision, at each mark, before it takes his profile, with all but the last done.
    deaths = [(world.database, "put_many", 1), (world.database, "execute", 2), (table, "mark_merged", 1), (table, "mark_merged", 2),
              (table, "aliases", 1), (world.customers, "change", 1), (world.orders, "recount", 1)]  # fmt: skip
    for number, ((place, name, nth), asks_kept) in enumerate(product(deaths, (True, False))):
        kept = stage.customer(f"K{number}", name="縁太郎")
        gone = stage.customer(f"G{number}", email=f"g{number}@example.jp", attributes={"印": f"sign-{number}-"})
        former = Cid(900_000 + number)
        world.people.mark_merged(former, gone)
        calls = count(1)

        def dies(*given: Any, real: Any = getattr(place, name), nth: int = nth, calls: Iterator[int] = calls, **named: Any) -> Any:
            if next(calls) == nth:
                raise DiedError
            return real(*given, **named)

        with monkeypatch.context() as patched, pytest.raises(DiedError):
            patched.setattr(place, name, dies)
            house.merge(kept, gone, "staff")
        receipt = world.erasures.order(kept if asks_kept else gone, "本人の申し出", "key_1")
        is_whole = set(receipt.cids) == {kept, gone, former}
        assert is_whole or set(receipt.cids) == ({kept} if asks_kept else {gone, former}), (name, nth)
        whole.add(is_whole)
        world.erasures.carry_out(receipt.receipt_id)
        assert not any(world.people.is_there(cid) for cid in receipt.cids), (name, nth)
        if gone in receipt.cids:
            items = [repr(item) for item in world.database.scan(settings().core_table, segment=0, segments=1)]
            assert not [item for item in items if f"sign-{number}-" in item or f"g{number}@" in item], (name, nth)
    assert whole == {True, False}, "before they had become one and after"

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.adapters import aws
from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.ids import LineUserId
from chalicelib.orders.model import Order
from tests.builders import MAIN, Stage

CONDITIONS: list[Any] = [
    {"all": []},
    {"any": []},
    {"tag": "tag_vip"},
    {"not": {"tag": "tag_vip"}},
    {"field": "profile.prefecture", "in": ["東京都", "大阪府"]},
    {"field": "line.reachable", "is": True},
    {"field": "line.linked", "is": True},
    {"field": "customer.known", "is": False},
    {"field": "attribute.points", "from": 5, "to": 20},
    {"purchase": {"count_from": 2, "total_from": 3000}},
    {"date": "purchase.last", "before_days": 10},
    {"all": [{"date": "purchase.last", "within_days": 20}, {"not": {"field": "line.reachable", "is": True}}]},
    {"any": [{"tag": "tag_vip"}, {"purchase": {"count_from": 3}}]},
]


def user(number: int) -> LineUserId:
    return LineUserId(f"U{number:032x}")


@pytest.fixture
def town(stage: Stage) -> Stage:
    """Sixty members and friends of every kind, some of them linked."""
    stage.world.tags.create("VIP", tag_id="tag_vip")
    start = datetime(2026, 11, 1, tzinfo=UTC)
    prefectures = ("東京都", "大阪府", "北海道")
    rows = [{"member_no": f"M{i}", "prefecture": prefectures[i % 3], "attributes": {"points": i}} for i in range(40)]
    members = [customer.cid for customer, _ in stage.world.customers.save_many(rows)]
    orders = [
        Order(f"N{i}-{j}", members[i], start + timedelta(days=j * 7), 900 * (i % 4)) for i in range(0, 40, 2) for j in range(i % 5)
    ]
    stage.world.orders.take(orders)
    for i in range(0, 40, 5):
        stage.world.tags.add(members[i], "tag_vip", "test")
    for i in range(30):
        own = stage.friend(user(i))
        if i % 3 == 0:
            friend = stage.world.friends.get(MAIN, user(i))
            stage.world.people.mark_merged(own, members[i])
            stage.world.friends.move(friend, members[i])
        if i % 4 == 0:
            stage.world.friends.block(MAIN, user(i), stage.clock.now() + timedelta(seconds=1), event_id=f"b{i}")
    return stage


def brute_force(stage: Stage, condition: Any) -> list[int]:
    """Everybody who was ever numbered, one by one."""
    everyone = range(1, stage.world.people.highest() + 1)
    loaded = stage.world.segments.load(everyone, [MAIN])
    entered = {cid for cid in everyone if is_somebody(stage, cid)}
    persons = {person.cid: person for cid, person in loaded.items() if cid in entered}
    holds = stage.world.segments.holds
    return sorted(cid for cid, person in persons.items() if holds(condition, person, stage.clock.now(), MAIN))


def is_somebody(stage: Stage, cid: int) -> bool:
    kinds = ["P", "S", "T", f"FR#{MAIN}"]
    return bool(stage.world.people.collections([cid], kinds)[cid])


def found(stage: Stage, condition: Any, segments: int) -> list[int]:
    return [
        person.cid
        for segment in range(segments)
        for person in stage.world.segments.find(condition, stage.clock.now(), MAIN, segment=segment, segments=segments)
    ]


def test_finding_in_any_number_of_parts_and_pages_equals_asking_everybody(town: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    client = aws.client("dynamodb")
    pages = 0

    def by_sevens(**arguments: Any) -> Any:
        nonlocal pages
        pages += 1
        return original(**arguments, Limit=7)  # a page ends in the middle of a person

    original = client.scan
    monkeypatch.setattr(client, "scan", by_sevens)
    for condition in CONDITIONS:
        wanted = brute_force(town, condition)
        for segments in (1, 3):
            assert sorted(found(town, condition, segments)) == wanted, condition
    assert pages > 20 * len(CONDITIONS)
    assert len(brute_force(town, {"all": []})) == 60
    assert brute_force(town, {"any": []}) == []


def test_a_linked_person_appears_once_under_the_members_number(town: Stage) -> None:
    cids = found(town, {"all": []}, 4)
    assert len(cids) == len(set(cids)) == 60
    for i in range(0, 30, 3):
        member = town.world.customers.by_member_no(f"M{i}").cid
        assert member in cids
        assert town.world.friends.get(MAIN, user(i)).cid == member
        assert not set(town.world.customers.get(member).aliases) & set(cids)


def test_loading_follows_a_link_and_tells_who_was_asked_for(town: Stage) -> None:
    member = town.world.customers.by_member_no("M3")
    people = town.world.segments.load([member.aliases[0], member.cid], [MAIN])
    assert set(people) == {member.aliases[0], member.cid}
    assert {person.cid for person in people.values()} == {member.cid}


def test_loading_nobody_is_nobody_and_a_number_without_records_is_an_empty_person(stage: Stage) -> None:
    assert stage.world.segments.load([], [MAIN]) == {}
    assert stage.world.segments.load([77], [MAIN])[77].friends == {}


def test_an_unlinked_friend_is_two_again_in_every_search(town: Stage) -> None:
    member = town.world.customers.by_member_no("M3").cid
    before = found(town, {"all": []}, 2)
    own = town.world.customers.get(member).aliases[0]
    friend = town.world.friends.get(MAIN, user(3))
    town.world.friends.move(friend, own)
    town.world.people.unmark_merged(own, member)
    assert sorted(found(town, {"all": []}, 2)) == sorted([*before, own])
    assert member not in found(town, {"field": "line.reachable", "is": True}, 2)
    assert own in found(town, {"field": "line.reachable", "is": True}, 2)


def test_a_refused_address_counts_alike_when_finding_and_when_asking_one(stage: Stage) -> None:
    cid = stage.customer("M1", email="a@b.test")
    stage.world.customers.suppress(DeliveryChannel.EMAIL, "a@b.test", "bounce")
    condition = {"field": "email.reachable", "is": True}
    person = stage.world.segments.load([cid], [])[cid]
    assert not stage.world.segments.holds(condition, person, stage.clock.now())
    assert found(stage, condition, 1) == []

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.adapters import aws
from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.facts import (
    EmailOpened,
    Evidence,
    Fact,
    FriendBlocked,
    FriendFollowed,
    IdentityLinked,
    LinkClicked,
    OrderPlaced,
    Responded,
)
from chalicelib.kernel.ids import AccountKey, LineUserId
from chalicelib.orders.model import Order
from chalicelib.reactions import react
from chalicelib.segments import table
from chalicelib.segments.model import Person, SavedSegment
from chalicelib.tracking.model import Activity
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


# Saved segments -------------------------------------------------------------------------------------------------------------

FRIENDS = {"field": "line.reachable", "is": True}


def test_a_saved_segment_is_asked_as_its_condition_is(town: Stage) -> None:
    segments = town.world.segments
    saved = segments.save("seg_vip_friends", " 常連の友だち ", {"all": [{"tag": "tag_vip"}, FRIENDS]})
    assert saved == segments.saved("seg_vip_friends") and (saved.name, saved.revision) == ("常連の友だち", 1)
    condition = {"any": [{"segment": "seg_vip_friends"}, {"purchase": {"count_from": 4}}]}
    segments.check(condition)
    plain = {"any": [saved.condition, {"purchase": {"count_from": 4}}]}
    wanted = brute_force(town, plain)
    assert wanted and wanted == brute_force(town, condition) == sorted(found(town, condition, 3))


def test_saving_again_replaces_and_saving_the_same_changes_nothing(stage: Stage) -> None:
    segments = stage.world.segments
    first = segments.save("seg_a", "友だち", FRIENDS)
    assert segments.save("seg_a", "友だち", dict(FRIENDS)) == first
    second = segments.save("seg_a", "常連", {"tag": "tag_vip"})
    assert (second.revision, second.condition) == (2, {"tag": "tag_vip"})
    segments.save("seg_b", "別", {"segment": "seg_a"})
    assert [one.segment_id for one in segments.all_saved()] == ["seg_a", "seg_b"]
    segments.delete("seg_a")
    assert [one.segment_id for one in segments.all_saved()] == ["seg_b"]


@pytest.mark.parametrize("segment_id", ["seg_", "vip", "seg_花", "seg_" + "x" * 2_000, "seg_" + "x" * 37, "seg_a\n", "SEG_a"])
def test_a_segment_has_an_id_of_one_form(stage: Stage, segment_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "get", None)  # the database would fail on some of these, and is not asked
    with pytest.raises(InvalidError, match="segment.id_malformed"):
        stage.world.segments.save(segment_id, "x", FRIENDS)
    with pytest.raises(NotFoundError, match="segment.unknown"):
        stage.world.segments.saved(segment_id)


def test_what_is_no_segment_is_not_kept(stage: Stage) -> None:
    segments = stage.world.segments
    for name, condition, code in [
        (" ", FRIENDS, "segment.name_empty"),
        ("x", {"colour": "red"}, "condition.kind"),
        ("x", {"segment": "seg_gone"}, "condition.segment_unknown"),
        ("x", {"segment": "no_id"}, "condition.segment_unknown"),
        ("x", {"not": {"segment": "seg_a"}}, "condition.cycle"),
        ("x", {"field": "profile.name", "in": ["花" * 100] * 300}, "condition.too_large"),
    ]:
        with pytest.raises(InvalidError, match=code):
            segments.save("seg_a", name, condition)
    with pytest.raises(NotFoundError, match="segment.unknown"):
        segments.delete("seg_a")
    assert segments.all_saved() == []


def test_the_largest_segment_fits_into_its_item(stage: Stage) -> None:
    condition = {"field": "profile.name", "in": ["花" * 100] * 190}
    stage.world.segments.save("seg_a", "x", condition)
    assert stage.world.segments.saved("seg_a").condition == condition


def test_a_circle_is_refused_whoever_closes_it(stage: Stage) -> None:
    segments = stage.world.segments
    segments.save("seg_a", "x", FRIENDS)
    segments.save("seg_b", "x", {"segment": "seg_a"})
    with pytest.raises(InvalidError, match="condition.cycle"):
        segments.save("seg_a", "x", {"segment": "seg_b"})
    # Two who write at once can close one that neither sees: then it is refused when it is used.
    table.put(SavedSegment("seg_a", "x", {"segment": "seg_b"}, 2))
    with pytest.raises(InvalidError, match="condition.cycle"):
        segments.check({"segment": "seg_a"})


def test_of_two_who_save_at_once_the_later_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    segments = stage.world.segments
    segments.save("seg_a", "x", FRIENDS)
    original = table.get

    def and_then_another(segment_id: str) -> SavedSegment | None:
        before = original(segment_id)
        table.put(SavedSegment("seg_a", "theirs", FRIENDS, 2))
        return before

    monkeypatch.setattr(table, "get", and_then_another)
    with pytest.raises(ConflictError, match="segment.changed_meanwhile"):
        segments.save("seg_a", "mine", FRIENDS)
    monkeypatch.undo()
    assert segments.saved("seg_a").name == "theirs"


def test_what_names_a_forgotten_segment_is_refused_and_never_true(stage: Stage) -> None:
    stage.world.segments.save("seg_a", "x", FRIENDS)
    stage.world.segments.delete("seg_a")
    condition = {"not": {"segment": "seg_a"}}
    person = stage.world.segments.load([stage.friend()], [MAIN])[1]
    for use in (
        lambda: stage.world.segments.check(condition),
        lambda: stage.world.segments.holds(condition, person, stage.clock.now()),
        lambda: found(stage, condition, 1),
    ):
        with pytest.raises(InvalidError, match="condition.segment_unknown"):
            use()


def test_a_page_reads_its_condition_once_and_a_change_is_seen_half_a_minute_later(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    segments, seconds, reads = stage.world.segments, 0.0, 0
    segments._monotonic = lambda: seconds
    segments.save("seg_a", "x", {"field": "purchase.count", "is": 0})
    original = table.get

    def counting(segment_id: str) -> SavedSegment | None:
        nonlocal reads
        reads += 1
        return original(segment_id)

    monkeypatch.setattr(table, "get", counting)
    people, now = segments.load(range(1, 101), [MAIN]), stage.clock.now()
    one, other = {"segment": "seg_a"}, {"not": {"segment": "seg_a"}}
    for person in people.values():
        assert segments.holds(one, person, now, MAIN) and not segments.holds(other, person, now, MAIN)
    assert reads == 2
    segments.save("seg_a", "x", {"field": "purchase.count", "from": 1})
    assert segments.holds(one, people[1], now, MAIN)
    assert not segments.holds(one, people[1], now + timedelta(minutes=1), MAIN)
    seconds = 30.0
    assert not segments.holds(one, people[1], now, MAIN)


def test_what_is_kept_read_does_not_mix_up_moments_accounts_and_kinds_of_values(stage: Stage) -> None:
    segments, now = stage.world.segments, stage.clock.now()
    person = segments.load([stage.friend()], [MAIN])[1]
    since = {"date": "friend.since", "before_days": 1}
    assert not segments.holds(since, person, now)
    assert segments.holds(since, person, now + timedelta(days=1))
    assert segments.holds(FRIENDS, person, now, MAIN) and not segments.holds(FRIENDS, person, now, AccountKey("other"))
    for value, expected in ((True, True), ("true", False), (False, False)):
        assert segments.holds({"field": "line.reachable", "is": value}, person, now) is expected
    for number in range(300):
        assert segments.holds({"field": "purchase.count", "is": number}, person, now) is (number == 0)


def test_counting_tells_how_many_and_shows_a_few(town: Stage) -> None:
    wanted = brute_force(town, {"tag": "tag_vip"})
    number, sample = town.world.segments.count({"tag": "tag_vip"}, town.clock.now())
    assert number == len(wanted) == 8
    assert len(set(sample)) == 5 and set(sample) <= set(wanted)
    assert town.world.segments.count({"any": []}, town.clock.now()) == (0, [])


# Activity -------------------------------------------------------------------------------------------------------------------


def activity(stage: Stage, cid: int) -> Activity:
    loaded = stage.world.segments.load([cid], [])[cid].activity
    scanned = {person.cid: person.activity for person in stage.world.segments.find({"all": []}, stage.clock.now())}
    assert scanned.get(cid, Activity()) == loaded
    return loaded


def hours(**counts: int) -> tuple[int, ...]:
    return tuple(counts.get(f"h{hour}", 0) for hour in range(24))


def test_the_last_act_only_grows_and_hours_are_japans(stage: Stage) -> None:
    cid = stage.friend()
    assert activity(stage, cid) == Activity()
    evening = datetime(2026, 11, 30, 11, 5, 0, 123_000, tzinfo=UTC)  # 20:05 in Japan
    midnight = datetime(2026, 11, 30, 15, 0, tzinfo=UTC)
    stage.world.tracking.acted(cid, evening)
    assert activity(stage, cid) == Activity(evening, hours(h20=1))
    stage.world.tracking.acted(cid, midnight)
    stage.world.tracking.acted(cid, evening - timedelta(days=1))
    assert activity(stage, cid) == Activity(midnight, hours(h20=2, h0=1))
    stage.world.tracking.acted(cid, midnight)  # told again
    assert activity(stage, cid) == Activity(midnight, hours(h20=2, h0=1))
    assert stage.world.segments.holds({"date": "activity.last", "in_days": 0}, person_of(stage, cid), midnight)


def person_of(stage: Stage, cid: int) -> Person:
    return stage.world.segments.load([cid], [MAIN])[cid]


def test_only_what_a_person_does_himself_is_an_act(stage: Stage) -> None:
    cid, at = stage.friend(), stage.clock.now()
    line = {"cid": cid, "account": MAIN, "line_user_id": user(1)}
    click = {"cid": cid, "link_id": "spring", "source": "cmp|x"}
    none: list[Fact] = [
        EmailOpened(fact_id="o", cid=cid, at=at + timedelta(hours=1), source="cmp|x"),
        LinkClicked(fact_id="m", at=at + timedelta(hours=1), evidence=Evidence.WEAK, **click),
        OrderPlaced(fact_id="p", cid=cid, at=at + timedelta(hours=1), order_no="N", is_first=True, amount_yen=1),
        FriendBlocked(fact_id="b", at=at + timedelta(hours=1), **line),
    ]
    react(none, stage.world)
    assert activity(stage, cid) == Activity()
    acts: list[Fact] = [
        FriendFollowed(fact_id="f", at=at, is_unblocked=False, **line),
        Responded(fact_id="r", at=at + timedelta(seconds=1), kind="postback", **line),
        LinkClicked(fact_id="c", at=at + timedelta(seconds=2), evidence=Evidence.PROBABLE, **click),
        IdentityLinked(fact_id="l", at=at + timedelta(seconds=3), former_cid=cid, **line),
    ]
    for number, fact in enumerate(acts, 1):
        react([fact], stage.world)
        found = activity(stage, cid)
        assert (found.last_at, sum(found.hours)) == (fact.at, number)

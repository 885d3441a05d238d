"""Conditions: parsed with the path of a mistake, and true exactly for whom they say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.customers.model import Consent, Customer, DeliveryChannel, Gender, Profile
from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.orders.model import PurchaseStats
from chalicelib.segments.expression import DATES, EVENTS, FIELDS, All, asks, event_key, is_date
from chalicelib.segments.model import Person, Run, day_of, falls_on
from chalicelib.segments.predicate import compile_predicate
from chalicelib.segments.reading import parse
from chalicelib.tracking.model import Activity

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)  # noon in Japan
MAIN, SUB = AccountKey("main"), AccountKey("sub")


def friend(account: AccountKey = MAIN, state: FollowState = FollowState.FOLLOWING, since: datetime = NOW) -> Friend:
    return Friend(Cid(1), account, LineUserId("U" + "a" * 32), state, since, since)


def person(
    profile: Profile | None = None,
    stats: PurchaseStats | None = None,
    tags: frozenset[str] = frozenset(),
    friends: tuple[Friend, ...] = (),
    out: tuple[DeliveryChannel, ...] = (),
    suppressed: frozenset[DeliveryChannel] = frozenset(),
    activity: Activity = Activity(),
    run: Run | None = None,
) -> Person:
    consents = {channel: Consent(True, "2026-01-01T00:00:00.000Z", "page") for channel in out}
    customer = Customer(Cid(1), profile or Profile(), consents)
    return Person(customer, stats or PurchaseStats(), tags, {one.account: one for one in friends}, suppressed, activity, run)


SAVED: dict[str, Any] = {
    "seg_vip": {"tag": "tag_a"},
    "seg_nested": {"all": [{"segment": "seg_vip"}, {"not": {"tag": "tag_b"}}]},
    "seg_self": {"not": {"segment": "seg_self"}},
    "seg_ping": {"any": [{"segment": "seg_pong"}]},
    "seg_pong": {"segment": "seg_ping"},
    "seg_run": {"any": [{"happened": {"event": "purchase"}}]},
    "seg_lost": {"all": [{"segment": "seg_gone"}]},
}


def holds(tree: Any, one: Person, account: AccountKey | None = None, now: datetime = NOW) -> bool:
    return compile_predicate(parse(tree, SAVED.get), now, account)(one)


# Mistakes -------------------------------------------------------------------------------------------------------------------


def deep(levels: int) -> Any:
    return {"tag": "tag_x"} if levels == 0 else {"not": deep(levels - 1)}


@pytest.mark.parametrize(
    ("tree", "code", "path"),
    [
        ([], "condition.malformed", "$"),
        (None, "condition.malformed", "$"),
        ({}, "condition.kind", "$"),
        ({"tag": "t", "all": []}, "condition.kind", "$"),
        ({"colour": "red"}, "condition.kind", "$"),
        ({"all": {}}, "condition.malformed", "$.all"),
        ({"all": [{"tag": "t"}, {"any": [7]}]}, "condition.malformed", "$.all[1].any[0]"),
        ({"not": {"tag": ""}}, "condition.value", "$.not.tag"),
        ({"not": {"tag": 5}}, "condition.value", "$.not.tag"),
        ({"tag": "t", "extra": 1}, "condition.unknown_key", "$.extra"),
        ({"field": "profile.colour", "is": 1}, "condition.field_unknown", "$.field"),
        ({"field": ["x"], "is": 1}, "condition.field_unknown", "$.field"),
        ({"field": "profile.name"}, "condition.value", "$"),
        ({"field": "profile.gender", "is": "女性"}, "condition.gender", "$.is"),
        ({"field": "profile.gender", "in": ["female", True]}, "condition.gender", "$.in[1]"),
        ({"field": "profile.birthday", "is": "2026-02-30"}, "condition.no_such_day", "$.is"),
        ({"field": "profile.birthday", "in": ["1990-02-28", "19900301"]}, "condition.no_such_day", "$.in[1]"),
        ({"field": "profile.name", "is": 1, "in": [2]}, "condition.value", "$"),
        ({"field": "profile.name", "is": None}, "condition.value", "$.is"),
        ({"field": "profile.name", "in": ["a", []]}, "condition.value", "$.in[1]"),
        ({"field": "purchase.count", "from": "2"}, "condition.value", "$.from"),
        ({"field": "purchase.count", "to": True}, "condition.value", "$.to"),
        ({"purchase": {}}, "condition.malformed", "$.purchase"),
        ({"purchase": {"count_from": "2"}}, "condition.value", "$.purchase.count_from"),
        ({"purchase": {"count": 2}}, "condition.unknown_key", "$.purchase.count"),
        ({"date": "purchase.middle", "before_days": 1}, "condition.field_unknown", "$.date"),
        ({"date": "purchase.last"}, "condition.value", "$"),
        ({"date": "purchase.last", "before_days": -1}, "condition.value", "$.before_days"),
        ({"date": "purchase.last", "within_days": 1.5}, "condition.value", "$.within_days"),
        ({"date": "purchase.last", "before_days": 99_999}, "condition.value", "$.before_days"),
        # A bound that says nothing would hold for everybody who has the value: never by accident.
        ({"purchase": {"count_from": None}}, "condition.value", "$.purchase.count_from"),
        ({"field": "purchase.count", "from": None}, "condition.value", "$.from"),
        (deep(30), "condition.too_deep", "$" + ".not" * 21),
        ({"date": "attribute.", "in_days": 1}, "condition.field_unknown", "$.date"),
        ({"date": ["profile.birthday"], "in_days": 1}, "condition.field_unknown", "$.date"),
        ({"date": "purchase.last", "in_days": None}, "condition.value", "$.in_days"),
        ({"date": "purchase.last", "in_days": True}, "condition.value", "$.in_days"),
        ({"date": "purchase.last", "anniversary_in_days": -36_501}, "condition.value", "$.anniversary_in_days"),
        ({"date": "purchase.last", "in_days": 1, "before_days": 1}, "condition.value", "$"),
        ({"date": "purchase.last", "in_days": 1, "anniversary_in_days": 1}, "condition.value", "$"),
        ({"date": "purchase.last", "in_weeks": 1}, "condition.unknown_key", "$.in_weeks"),
        ({"responded": []}, "condition.malformed", "$.responded"),
        ({"responded": {"of": 1}}, "condition.value", "$.responded.of"),
        ({"responded": {"evidence": "D"}}, "condition.value", "$.responded.evidence"),
        ({"responded": {"evidence": ""}}, "condition.value", "$.responded.evidence"),
        ({"responded": {"link": None}}, "condition.value", "$.responded.link"),
        ({"responded": {"node": "a"}}, "condition.unknown_key", "$.responded.node"),
        ({"responded": {}, "of": "a"}, "condition.unknown_key", "$.of"),
        ({"happened": "purchase"}, "condition.malformed", "$.happened"),
        ({"happened": {}}, "condition.field_unknown", "$.happened.event"),
        ({"happened": {"event": ["purchase"]}}, "condition.field_unknown", "$.happened.event"),
        ({"happened": {"event": "custom"}}, "condition.value", "$.happened.name"),
        ({"happened": {"event": "custom", "name": ""}}, "condition.value", "$.happened.name"),
        ({"happened": {"event": "purchase", "name": "x"}}, "condition.unknown_key", "$.happened.name"),
        ({"happened": {"event": "form_submitted", "product": "x"}}, "condition.unknown_key", "$.happened.product"),
        ({"happened": {"event": "purchase", "since": 5}}, "condition.value", "$.happened.since"),
        ({"segment": ""}, "condition.value", "$.segment"),
        ({"segment": 5}, "condition.value", "$.segment"),
        ({"segment": "seg_vip", "is": True}, "condition.unknown_key", "$.is"),
        ({"all": [{"segment": "seg_gone"}]}, "condition.segment_unknown", "$.all[0].segment"),
        ({"segment": "seg_lost"}, "condition.segment_unknown", "$.segment(seg_lost).all[0].segment"),
        ({"segment": "seg_self"}, "condition.cycle", "$.segment(seg_self).not.segment"),
        ({"segment": "seg_ping"}, "condition.cycle", "$.segment(seg_ping).any[0].segment(seg_pong).segment"),
        ({"not": {"segment": "seg_run"}}, "condition.of_a_run", "$.not.segment(seg_run).any[0].happened"),
        ({"any": [{"tag": "t"}] * 2_000}, "condition.too_large", "$.any[1999]"),
    ],
)
def test_a_mistake_is_refused_with_its_path(tree: Any, code: str, path: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse(tree, SAVED.get)
    assert (caught.value.code, caught.value.details["path"]) == (code, path)


WORDS = ["tag_a", "purchase.count", "purchase.last", "attribute.day", "", "purchase", "custom", "B", "entry", "seg_vip", "seg_ping"]
KEYS = [
    "all", "any", "not", "tag", "field", "is", "in", "from", "to", "purchase", "count_from", "date", "before_days", "in_days",
    "anniversary_in_days", "responded", "of", "link", "evidence", "happened", "event", "name", "product", "since", "segment",
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_no_json_whatever_does_more_than_be_refused(tree: Any) -> None:
    try:
        expression = parse(tree, SAVED.get)
    except InvalidError as error:
        assert error.code.startswith("condition.") and error.details["path"].startswith("$")
        return
    assert isinstance(compile_predicate(expression, NOW)(person()), bool)
    assert asks(parse(tree)) <= asks(expression)


def test_it_parses_purchases_into_both_sums() -> None:
    expression = parse({"purchase": {"count_from": 2, "count_to": 3, "total_from": 0}})
    assert isinstance(expression, All) and len(expression.parts) == 2


# Values ---------------------------------------------------------------------------------------------------------------------

LEAVES: list[dict[str, Any]] = [
    {"tag": "tag_a"},
    {"field": "profile.name", "is": "花子"},
    {"field": "profile.gender", "in": ["female", "male"]},
    {"field": "profile.birthday", "is": "1990-01-31"},
    {"field": "attribute.rank", "is": "gold"},
    {"field": "attribute.points", "from": 0},
    {"field": "attribute.points", "to": 10},
    {"date": "purchase.last", "before_days": 0},
    {"date": "purchase.first", "within_days": 30},
    {"date": "friend.since", "before_days": 1},
    {"date": "profile.birthday", "before_days": 0},
    {"date": "profile.birthday", "in_days": 0},
    {"date": "profile.birthday", "anniversary_in_days": 0},
    {"date": "activity.last", "before_days": 0},
    {"date": "attribute.married_on", "within_days": 36_500},
    {"responded": {"evidence": "C"}},
    {"responded": {"of": "send_a", "link": "spring"}},
    *({"happened": {"event": event, "name": "x"}} for event in EVENTS if event != "purchase"),
    {"happened": {"event": "purchase", "product": "ピアスA", "since": "send_a"}},
    {"segment": "seg_vip"},
]


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_about_a_missing_value_is_false_and_only_not_turns_it(leaf: dict[str, Any]) -> None:
    for one in (person(), person(run=Run(NOW))):
        assert not holds(leaf, one)
        assert holds({"not": leaf}, one)


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_can_be_asked_of_anybody(name: str) -> None:
    for one in (person(), person(Profile(member_no="1", gender=Gender.OTHER, birthday=date(1990, 1, 31)), friends=(friend(),))):
        value = one.value(name, None, date(2026, 12, 1))
        assert value is None or isinstance(value, str | int | bool)


def test_all_of_nothing_is_everybody_and_any_of_nothing_is_nobody() -> None:
    assert holds({"all": []}, person())
    assert not holds({"any": []}, person())


@pytest.mark.parametrize(
    ("leaf", "one", "expected"),
    [
        ({"field": "profile.birthday", "is": "1990-01-31"}, person(Profile(birthday=date(1990, 1, 31))), True),
        ({"field": "profile.gender", "is": "female"}, person(Profile(gender=Gender.FEMALE)), True),
        ({"field": "attribute.rank", "is": "gold"}, person(Profile(attributes={"rank": "gold"})), True),
        ({"field": "attribute.points", "from": 5, "to": 5}, person(Profile(attributes={"points": 5})), True),
        ({"field": "attribute.vip", "from": 0}, person(Profile(attributes={"vip": True})), False),
        ({"field": "purchase.count", "is": 0}, person(), True),
        ({"field": "customer.known", "is": False}, person(), True),
        ({"purchase": {"count_from": 2, "total_from": 15000}}, person(stats=PurchaseStats(2, 15000)), True),
        ({"purchase": {"count_from": 2, "total_from": 15000}}, person(stats=PurchaseStats(2, 14999)), False),
        ({"field": "line.reachable", "is": True}, person(friends=(friend(state=FollowState.BLOCKED),)), False),
        ({"field": "line.reachable", "is": True}, person(friends=(friend(state=FollowState.UNKNOWN),)), True),
        ({"field": "sms.reachable", "is": True}, person(Profile(phone="+819012345678")), True),
        ({"field": "sms.reachable", "is": True}, person(Profile(phone="+81312345678")), False),
        ({"field": "email.reachable", "is": True}, person(Profile(email="a@b.test"), out=(DeliveryChannel.EMAIL,)), False),
        (
            {"field": "email.reachable", "is": True},
            person(Profile(email="a@b.test"), suppressed=frozenset({DeliveryChannel.EMAIL})),
            False,
        ),
        (
            {"field": "postal.reachable", "is": True},
            person(Profile(name="花子", postal_code="100-0001", city="千代田区", address="1-1")),
            True,
        ),
        (
            {"field": "postal.reachable", "is": True},
            person(Profile(name="", postal_code="100-0001", city="千代田区", address="1-1")),
            False,
        ),
        ({"field": "line.linked", "is": True}, person(Profile(member_no="1"), friends=(friend(),)), True),
        ({"field": "line.linked", "is": True}, person(friends=(friend(),)), False),
    ],
)
def test_it_holds_for_exactly_these(leaf: dict[str, Any], one: Person, expected: bool) -> None:
    assert holds(leaf, one) is expected


def test_the_account_decides_whose_friendship_counts() -> None:
    one = person(friends=(friend(MAIN, FollowState.BLOCKED), friend(SUB, since=NOW - timedelta(days=5))))
    reachable, since = {"field": "line.reachable", "is": True}, {"date": "friend.since", "before_days": 5}
    assert not holds(reachable, one, MAIN)
    assert holds(reachable, one, SUB) and holds(reachable, one, None)
    assert not holds(since, one, MAIN) and holds(since, one, SUB)
    # What stands around it stays around it: `or` inside does not open the account up.
    assert not holds({"all": [reachable, {"any": [{"all": []}, {"tag": "x"}]}]}, one, MAIN)


@given(st.integers(0, 40), st.integers(0, 86_399), st.integers(0, 40))
def test_days_are_japanese_days_whatever_the_hour(days: int, seconds: int, asked: int) -> None:
    midnight = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)  # 00:00 on the 22nd in Japan
    one = person(stats=PurchaseStats(1, 1, None, midnight - timedelta(days=days) + timedelta(seconds=seconds)))
    assert holds({"date": "purchase.last", "before_days": asked}, one) == (days >= asked)
    assert holds({"date": "purchase.last", "within_days": asked}, one) == (days <= asked)
    assert holds({"date": "purchase.last", "before_days": asked, "within_days": asked}, one) == (days == asked)


def test_a_day_in_the_future_is_neither_within_nor_before() -> None:
    one = person(stats=PurchaseStats(1, 1, None, NOW + timedelta(days=2)))
    assert not holds({"date": "purchase.last", "within_days": 30}, one)
    assert not holds({"date": "purchase.last", "before_days": 0}, one)


# Days that are named -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-11-22", date(2026, 11, 22)),
        ("2026/11/22", date(2026, 11, 22)),
        ("2026/1/5", date(2026, 1, 5)),
        ("2026/11/22 23:30", date(2026, 11, 22)),
        ("2026-11-22T23:30:00", date(2026, 11, 22)),  # Japan's, because it says nothing else
        ("2026-11-22T15:00:00Z", date(2026, 11, 23)),
        ("2026-11-22T14:59:59.999Z", date(2026, 11, 22)),
        ("2026-11-22T23:30:00-09:00", date(2026, 11, 23)),
        ("2026-11-22T00:30:00+09:00", date(2026, 11, 22)),
        ("2026-02-29", None),
        ("2026-11-22T25:00", None),
        ("0001-01-01T00:00:00+23:00", None),
        ("2026-11-22 ", None),
        ("2026-11", None),
        ("11/22/2026", None),
        ("２０２６-11-22", None),
        ("soon", None),
        ("", None),
        (20261122, None),
        (True, None),
        (None, None),
    ],
)
def test_it_reads_a_day_as_people_write_it(value: object, expected: date | None) -> None:
    assert day_of(value) == expected


@given(st.text(max_size=30) | st.from_regex(r"[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}([T ].{0,20})?", fullmatch=True))
def test_no_text_whatever_is_more_than_no_day(text: str) -> None:
    day = day_of(text)
    assert day is None or isinstance(day, date)


DAYS = st.dates(date(1930, 1, 1), date(2090, 12, 31))


@given(DAYS, st.integers(-3, 3), st.integers(-1, 1), st.integers(-800, 800))
@example(date(2026, 2, 28), -2, 0, 7)
def test_a_day_comes_once_and_its_anniversary_every_year(wanted: date, years: int, off: int, days: int) -> None:
    today = wanted - timedelta(days=days)
    now = datetime(today.year, today.month, today.day, 3, tzinfo=UTC)
    try:
        day = wanted.replace(year=wanted.year + years) + timedelta(days=off)
    except ValueError:
        day = date(wanted.year + years, 2, 28)
    one = person(Profile(birthday=day))
    assert holds({"date": "profile.birthday", "in_days": days}, one, now=now) == (wanted == day)
    # Said in another way: the day in the wanted year, on the last day of February if the year lacks it.
    try:
        turn = day.replace(year=wanted.year)
    except ValueError:
        turn = date(wanted.year, 2, 28)
    expected = wanted == day or (day <= today and turn == wanted and wanted > day)
    assert holds({"date": "profile.birthday", "anniversary_in_days": days}, one, now=now) == expected


@pytest.mark.parametrize(
    ("day", "in_days", "expected"),
    [
        (date(1990, 11, 29), 7, True),
        (date(1990, 11, 22), 0, True),
        (date(1990, 11, 20), -2, True),
        (date(1990, 11, 29), 6, False),
        (date(2026, 11, 29), 7, True),  # its own day is not yet an anniversary, but it is what it is about
        (date(2026, 11, 29), 372, False),  # a year after a day that has not been
        (date(2026, 11, 20), 363, True),
        (date(2026, 11, 20), -367, False),  # a year before it had been
    ],
)
def test_what_has_not_been_has_no_anniversary(day: date, in_days: int, expected: bool) -> None:
    assert holds({"date": "profile.birthday", "anniversary_in_days": in_days}, person(Profile(birthday=day))) is expected


@given(DAYS, st.integers(1930, 2090))
def test_every_day_has_one_anniversary_a_year(day: date, year: int) -> None:
    first = date(year, 1, 1)
    assert sum(falls_on(day, first + timedelta(days=n)) for n in range((date(year, 12, 31) - first).days + 1)) == 1


def test_today_changes_at_midnight_in_japan() -> None:
    one = person(Profile(birthday=date(1990, 11, 23)))
    today = {"date": "profile.birthday", "anniversary_in_days": 0}
    assert not holds(today, one, now=datetime(2026, 11, 22, 14, 59, 59, tzinfo=UTC))
    assert holds(today, one, now=datetime(2026, 11, 22, 15, 0, tzinfo=UTC))


def test_an_attribute_can_be_a_date() -> None:
    one = person(Profile(attributes={"married_on": "2020/11/29", "joined": "2026-11-21T16:00:00Z", "points": 5}))
    assert holds({"date": "attribute.married_on", "anniversary_in_days": 7}, one)
    assert holds({"date": "attribute.joined", "in_days": 0}, one)
    assert not holds({"date": "attribute.points", "before_days": 0}, one)


def test_the_last_activity_is_the_latest_of_all() -> None:
    days = [NOW - timedelta(days=n) for n in range(4)]
    bought = PurchaseStats(1, 1, days[2], days[2])
    one = person(stats=bought, friends=(friend(since=days[3]),), activity=Activity(days[1], (0,) * 24))
    assert holds({"date": "activity.last", "in_days": -1}, one)
    assert holds({"date": "activity.last", "in_days": -2}, person(stats=bought, friends=(friend(since=days[3]),)))
    assert holds({"date": "activity.last", "in_days": -3}, person(friends=(friend(since=days[3]),)))
    assert holds({"date": "activity.last", "in_days": 0}, person(stats=PurchaseStats(1, 1, NOW, NOW), activity=one.activity))


@pytest.mark.parametrize("name", [*DATES, "attribute.x"])
def test_every_date_can_be_asked_of_anybody(name: str) -> None:
    assert is_date(name)
    for one in (person(), person(Profile(birthday=date(1990, 1, 31), attributes={"x": "?"}), friends=(friend(),))):
        assert one.day(name, None) is None or isinstance(one.day(name, None), date)


@pytest.mark.parametrize("name", ["", "attribute.", "trigger.at", "profile.name", None, 5])
def test_nothing_else_is_a_date(name: object) -> None:
    assert not is_date(name)


# Habits ---------------------------------------------------------------------------------------------------------------------


def habits(**counts: int) -> Activity:
    return Activity(NOW, tuple(counts.get(f"h{hour}", 0) for hour in range(24)))


@pytest.mark.parametrize(
    ("activity", "expected"),
    [
        (Activity(), None),
        (habits(h20=2), None),
        (habits(h20=3), 20),
        (habits(h8=1, h12=1, h20=1), 8),
        (habits(h8=3, h20=3), 8),
        (habits(h8=4, h20=3, h21=3), 20),  # three at 20:50 and three at 21:10 are one habit
        (habits(h23=2, h0=2, h12=3), 0),  # and so are those around midnight
        (habits(h23=3, h12=3, h13=1), 12),
        (habits(h23=5), 23),
    ],
)
def test_the_best_hour_is_the_habit(activity: Activity, expected: int | None) -> None:
    assert activity.best_hour() == expected


@given(st.lists(st.integers(0, 50), min_size=24, max_size=24))
def test_a_best_hour_lies_beside_an_act_of_his(hours: list[int]) -> None:
    best = Activity(NOW, tuple(hours)).best_hour()
    assert (best is None) == (sum(hours) < 3)
    if best is not None:
        assert hours[best] or hours[best - 1] or hours[(best + 1) % 24]


# A run of a scenario --------------------------------------------------------------------------------------------------------

RUN = Run(
    entered_at=NOW - timedelta(days=3),
    responses={
        "send_a": "2026-11-20T03:00:00.000Z C opened",
        "send_b": "2026-11-20T03:00:00.000Z B clicked",
        "send_b|spring": "2026-11-20T03:00:00.000Z B clicked",
        "send_c": "2026-11-20T03:00:00.000Z A postback",
        "send_d|autumn": "x",
    },
    events={
        "purchase": "2026-11-21T03:00:00.000Z",
        event_key("purchase", "ピアスA"): "2026-11-20T03:00:00.000Z",
        event_key("custom", "来店"): "2026-11-19T03:00:00.000Z",  # the very instant of his entry
        "form_submitted": "x",
    },
    sent={"send_a": NOW - timedelta(days=2), "send_b": NOW - timedelta(hours=1)},
)


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        ({}, True),
        ({"evidence": "A"}, True),
        ({"of": "send_a"}, False),
        ({"of": "send_a", "evidence": "C"}, True),
        ({"of": "send_b"}, True),
        ({"of": "send_b", "evidence": "A"}, False),
        ({"of": "send_b", "link": "spring"}, True),
        ({"of": "send_c", "link": "spring"}, False),
        ({"link": "spring"}, True),
        ({"link": "spring", "evidence": "A"}, False),
        ({"link": "autumn", "evidence": "C"}, False),  # unreadable
        ({"of": "send"}, False),
    ],
)
def test_a_response_counts_by_send_link_and_evidence(leaf: dict[str, str], expected: bool) -> None:
    assert holds({"responded": leaf}, person(run=RUN)) is expected


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        ({"event": "purchase"}, True),
        ({"event": "purchase", "since": "send_a"}, True),
        ({"event": "purchase", "since": "send_b"}, False),
        ({"event": "purchase", "since": "send_z"}, False),  # nothing was sent there
        ({"event": "purchase", "product": "ピアスA"}, True),
        ({"event": "purchase", "product": "ピアスA", "since": "send_a"}, True),  # at the instant of the send
        ({"event": "purchase", "product": "ピアスB"}, False),
        ({"event": "custom", "name": "来店"}, False),  # what brought him in does not count
        ({"event": "custom", "name": "来店", "since": "entry"}, False),
        ({"event": "form_submitted"}, False),  # unreadable
        ({"event": "reservation_made"}, False),
    ],
)
def test_an_event_counts_since_the_entry_or_a_send(leaf: dict[str, str], expected: bool) -> None:
    assert holds({"happened": leaf}, person(run=RUN)) is expected


@given(st.sampled_from(EVENTS), st.text(max_size=20), st.text(max_size=20))
def test_an_event_key_fits_into_a_path_and_tells_details_apart(event: str, one: str, other: str) -> None:
    assert set(event_key(event, one)) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert (event_key(event, one) == event_key(event, other)) == (one == other)


# Saved segments and what is asked -------------------------------------------------------------------------------------------


def test_a_saved_segment_holds_for_those_it_names() -> None:
    nested = {"any": [{"segment": "seg_nested"}, {"segment": "seg_vip"}]}
    assert holds(nested, person(tags=frozenset({"tag_a", "tag_b"})))
    assert holds({"segment": "seg_nested"}, person(tags=frozenset({"tag_a"})))
    assert not holds({"segment": "seg_nested"}, person(tags=frozenset({"tag_a", "tag_b"})))


def test_a_segment_may_not_lead_back_to_itself_by_what_it_is_about_to_become() -> None:
    with pytest.raises(InvalidError, match="condition.cycle"):
        parse({"any": [{"segment": "seg_nested"}]}, SAVED.get, defines="seg_vip")
    parse({"any": [{"segment": "seg_nested"}]}, SAVED.get, defines="seg_new")


def test_a_saved_segment_speaks_of_people_and_not_of_a_run() -> None:
    for leaf in ({"responded": {}}, {"happened": {"event": "purchase"}}):
        parse(leaf, SAVED.get)
        with pytest.raises(InvalidError, match="condition.of_a_run"):
            parse({"not": leaf}, SAVED.get, defines="seg_new")


def test_depth_and_size_count_through_saved_segments() -> None:
    deeper = {f"seg_{n}": {"not": {"segment": f"seg_{n + 1}"}} for n in range(15)} | {"seg_15": {"tag": "t"}}
    with pytest.raises(InvalidError, match="condition.too_deep"):
        parse({"segment": "seg_0"}, deeper.get)
    parse({"segment": "seg_6"}, deeper.get)
    wider = {f"seg_{n}": {"any": [{"segment": f"seg_{n + 1}"}] * 10} for n in range(8)} | {"seg_8": {"tag": "t"}}
    with pytest.raises(InvalidError, match="condition.too_large"):
        parse({"segment": "seg_0"}, wider.get)


def test_a_draft_may_name_a_segment_that_is_not_read_but_nobody_is_asked_by_it() -> None:
    with pytest.raises(ValueError, match="seg_anything"):
        compile_predicate(parse({"not": {"segment": "seg_anything"}}), NOW)


def test_it_tells_what_a_condition_depends_on() -> None:
    tree = {
        "all": [
            {"any": [{"tag": "tag_x"}, {"field": "purchase.count", "from": 1}, {"purchase": {"total_from": 1}}]},
            {"not": {"date": "attribute.day", "in_days": 1}},
            {"date": "purchase.last", "before_days": 1},
            {"responded": {}},
            {"happened": {"event": "purchase", "product": "ピアスA"}},
            {"segment": "seg_nested"},
        ]
    }
    direct = {
        "tag:tag_x", "field:purchase.count", "field:purchase.total_yen", "date:attribute.day", "date:purchase.last", "responded",
        "happened:" + event_key("purchase", "ピアスA"), "segment:seg_nested",
    }  # fmt: skip
    assert asks(parse(tree)) == direct
    assert asks(parse(tree, SAVED.get)) == direct | {"segment:seg_vip", "tag:tag_a", "tag:tag_b"}


# The same said twice --------------------------------------------------------------------------------------------------------

LEAF = st.one_of(
    st.sampled_from(["tag_a", "tag_b"]).map(lambda tag: {"tag": tag}),
    st.integers(0, 3).map(lambda n: {"field": "purchase.count", "is": n}),
    st.lists(st.sampled_from(["東京都", "大阪府"]), max_size=2).map(lambda names: {"field": "profile.prefecture", "in": names}),
    st.tuples(st.integers(-1, 3), st.integers(-1, 3)).map(lambda p: {"field": "attribute.points", "from": p[0], "to": p[1]}),
    st.integers(0, 3).map(lambda n: {"purchase": {"count_to": n, "total_from": n * 100}}),
    st.tuples(st.sampled_from(["before_days", "within_days"]), st.integers(0, 3)).map(
        lambda p: {"date": "purchase.last", p[0]: p[1]}
    ),
    st.booleans().map(lambda is_: {"field": "line.reachable", "is": is_}),
    st.sampled_from(["seg_vip", "seg_nested"]).map(lambda segment: {"segment": segment}),
    st.tuples(st.sampled_from(["", "send_a"]), st.sampled_from("ABC")).map(lambda p: {"responded": {"of": p[0], "evidence": p[1]}}),
    st.sampled_from(["entry", "send_a"]).map(lambda since: {"happened": {"event": "purchase", "since": since}}),
    st.tuples(st.sampled_from(["in_days", "anniversary_in_days"]), st.integers(-2, 2)).map(
        lambda p: {"date": "profile.birthday", p[0]: p[1]}
    ),
)
TREES = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: {"all": parts})
        | st.lists(inner, max_size=3).map(lambda parts: {"any": parts})
        | inner.map(lambda part: {"not": part})
    ),
    max_leaves=12,
)
PEOPLE = st.fixed_dictionaries(
    {
        "tags": st.frozensets(st.sampled_from(["tag_a", "tag_b"])),
        "count": st.integers(0, 3),
        "total": st.integers(0, 400),
        "days": st.none() | st.integers(-1, 4),
        "prefecture": st.sampled_from(["", "東京都", "大阪府"]),
        "points": st.none() | st.integers(-1, 3),
        "state": st.none() | st.sampled_from(list(FollowState)),
        "birthday": st.none() | st.tuples(st.sampled_from([1990, 2026]), st.integers(20, 24)),
        "answer": st.none() | st.tuples(st.sampled_from(["send_a", "send_b"]), st.sampled_from("ABC")),
        "bought": st.none() | st.integers(0, 3),
    }
)


def plainly(tree: dict[str, Any], row: dict[str, Any]) -> bool:
    """The grammar once more, over a plain row and with no word of the product's."""
    kinds = ("all", "any", "not", "tag", "purchase", "date", "field", "segment", "responded", "happened")
    kind, value = next((k, tree[k]) for k in kinds if k in tree)
    if kind == "all":
        return not [part for part in value if not plainly(part, row)]
    if kind == "any":
        return len([part for part in value if plainly(part, row)]) > 0
    if kind == "not":
        return plainly(value, row) is False
    if kind == "tag":
        return value in row["tags"]
    if kind == "purchase":
        return row["count"] <= value["count_to"] and row["total"] >= value["total_from"]
    if kind == "segment":
        return "tag_a" in row["tags"] and (value == "seg_vip" or "tag_b" not in row["tags"])
    if kind == "responded":
        if row["answer"] is None:
            return False
        return value["of"] in ("", row["answer"][0]) and "ABC".index(row["answer"][1]) <= "ABC".index(value["evidence"])
    if kind == "happened":  # entered on day 0, sent on day 2
        return row["bought"] is not None and row["bought"] >= (1 if value["since"] == "entry" else 2)
    if kind == "date" and value == "profile.birthday":
        if row["birthday"] is None:
            return False
        year, day = row["birthday"]
        if "in_days" in tree or (year == 2026 and day > 22):
            return year == 2026 and day == 22 + tree.get("in_days", tree.get("anniversary_in_days"))
        return day == 22 + tree["anniversary_in_days"]
    if kind == "date":
        if row["days"] is None or row["days"] < 0:
            return False
        return row["days"] >= tree["before_days"] if "before_days" in tree else row["days"] <= tree["within_days"]
    if value == "purchase.count":
        return row["count"] == tree["is"]
    if value == "profile.prefecture":
        return row["prefecture"] != "" and row["prefecture"] in tree["in"]
    if value == "attribute.points":
        return row["points"] is not None and tree["from"] <= row["points"] <= tree["to"]
    return (row["state"] in ("following", "unknown")) == tree["is"]


def whole(row: dict[str, Any]) -> Person:
    last = None if row["days"] is None else NOW - timedelta(days=row["days"])
    attributes = {} if row["points"] is None else {"points": row["points"]}
    birthday = None if row["birthday"] is None else date(row["birthday"][0], 11, row["birthday"][1])
    run = None
    if row["answer"] or row["bought"] is not None:
        start = NOW - timedelta(days=5)
        answers = {} if row["answer"] is None else {row["answer"][0]: f"2026-11-22T00:00:00.000Z {row['answer'][1]} postback"}
        bought = {} if row["bought"] is None else {"purchase": (start + timedelta(days=row["bought"])).isoformat()}
        run = Run(start, answers, bought, {"send_a": start + timedelta(days=2)})
    return person(
        Profile(prefecture=row["prefecture"], attributes=attributes, birthday=birthday),
        PurchaseStats(row["count"], row["total"], last, last),
        row["tags"],
        () if row["state"] is None else (friend(state=row["state"]),),
        run=run,
    )


@given(TREES, PEOPLE)
def test_the_predicate_says_what_the_grammar_says(tree: dict[str, Any], row: dict[str, Any]) -> None:
    assert holds(tree, whole(row), MAIN) == plainly(tree, row)


@given(TREES, PEOPLE)
def test_not_turns_every_tree(tree: dict[str, Any], row: dict[str, Any]) -> None:
    one = whole(row)
    assert holds({"not": tree}, one, MAIN) == (not holds(tree, one, MAIN))

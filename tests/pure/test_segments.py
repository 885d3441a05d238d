"""Conditions: parsed with the path of a mistake, and true exactly for whom they say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.customers.model import Consent, Customer, DeliveryChannel, Gender, Profile
from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.orders.model import PurchaseStats
from chalicelib.segments.expression import FIELDS, All, parse
from chalicelib.segments.model import Person
from chalicelib.segments.predicate import compile_predicate

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
) -> Person:
    consents = {channel: Consent(True, "2026-01-01T00:00:00.000Z", "page") for channel in out}
    customer = Customer(Cid(1), profile or Profile(), consents)
    return Person(customer, stats or PurchaseStats(), tags, {one.account: one for one in friends}, suppressed)


def holds(tree: Any, one: Person, account: AccountKey | None = None) -> bool:
    return compile_predicate(parse(tree), NOW, account)(one)


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
        ({"purchase": {"count_from": None}}, "condition.value", "$.purchase"),
        ({"field": "purchase.count", "from": None}, "condition.value", "$"),
        (deep(30), "condition.malformed", "$" + ".not" * 21),
    ],
)
def test_a_mistake_is_refused_with_its_path(tree: Any, code: str, path: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse(tree)
    assert (caught.value.code, caught.value.details["path"]) == (code, path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["tag_a", "purchase.count", "purchase.last", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["all", "any", "not", "tag", "field", "is", "in", "from", "to", "purchase", "count_from", "date", "before_days"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)


@given(JSON)
def test_no_json_whatever_does_more_than_be_refused(tree: Any) -> None:
    try:
        expression = parse(tree)
    except InvalidError as error:
        assert error.code.startswith("condition.") and error.details["path"].startswith("$")
        return
    assert isinstance(compile_predicate(expression, NOW)(person()), bool)


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
]


@pytest.mark.parametrize("leaf", LEAVES)
def test_a_leaf_about_a_missing_value_is_false_and_only_not_turns_it(leaf: dict[str, Any]) -> None:
    assert not holds(leaf, person())
    assert holds({"not": leaf}, person())


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_can_be_asked_of_anybody(name: str) -> None:
    for one in (person(), person(Profile(member_no="1", gender=Gender.OTHER, birthday=date(1990, 1, 31)), friends=(friend(),))):
        value = one.value(name, None)
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
    }
)


def plainly(tree: dict[str, Any], row: dict[str, Any]) -> bool:
    """The grammar once more, over a plain row and with no word of the product's."""
    kind, value = next((k, tree[k]) for k in ("all", "any", "not", "tag", "purchase", "date", "field") if k in tree)
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


@given(TREES, PEOPLE)
def test_the_predicate_says_what_the_grammar_says(tree: dict[str, Any], row: dict[str, Any]) -> None:
    last = None if row["days"] is None else NOW - timedelta(days=row["days"])
    attributes = {} if row["points"] is None else {"points": row["points"]}
    one = person(
        Profile(prefecture=row["prefecture"], attributes=attributes),
        PurchaseStats(row["count"], row["total"], last, last),
        row["tags"],
        () if row["state"] is None else (friend(state=row["state"]),),
    )
    assert holds(tree, one, MAIN) == plainly(tree, row)

"""RFM scores by a company's own bounds: conditions about them mean what the scores are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.customers.model import Customer, Profile
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import Cid
from chalicelib.kernel.windows import local_date
from chalicelib.orders.model import PurchaseStats
from chalicelib.segments.model import Person
from chalicelib.segments.predicate import compile_predicate
from chalicelib.segments.reading import parse
from chalicelib.segments.rfm import DEFAULT, Bounds, asks_for_scores, check, frequency, monetary, recency, scored

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)


def four(least: int, most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(least, most), min_size=4, max_size=4, unique=True).map(sorted)


bounds = st.builds(
    Bounds,
    recency=four(0, 40),
    frequency=four(2, 12).map(lambda steps: steps[::-1]),
    monetary=four(1, 60).map(lambda steps: steps[::-1]),
)


@st.composite
def people(draw: st.DrawFn) -> Person:
    count = draw(st.integers(0, 14))
    last = NOW - timedelta(days=draw(st.integers(-3, 45)), hours=draw(st.integers(0, 30)))
    stats = PurchaseStats(count, draw(st.integers(-5, 70)) if count else 0, last, last) if count else PurchaseStats()
    return Person(Customer(Cid(1), Profile()), stats, frozenset(), {})


wanted = st.one_of(
    st.lists(st.sampled_from([0, 1, 2, 3, 4, 5, 6, 2.0, 2.5, True, "5"]), max_size=4).map(lambda values: {"in": values}),
    st.tuples(st.integers(-1, 6), st.integers(-1, 6)).map(lambda ends: {"from": ends[0], "to": ends[1]}),
    st.integers(0, 6).map(lambda low: {"from": low - 0.5}),
)


@given(bounds, people(), st.sampled_from(["rfm.recency", "rfm.frequency", "rfm.monetary"]), wanted, st.booleans())
def test_a_condition_about_a_score_is_true_of_those_who_have_it(
    made: Bounds, person: Person, field: str, asked: dict[str, Any], turned: bool
) -> None:
    leaf: Any = {"field": field, **asked}
    expression = parse({"not": leaf} if turned else {"all": [leaf]})
    today, stats = local_date(NOW), person.stats
    score = {
        "rfm.recency": recency(local_date(stats.last_at) if stats.last_at else None, today, made),
        "rfm.frequency": frequency(stats.count, made),
        "rfm.monetary": monetary(stats.total_yen, stats.count, made),
    }[field]
    if "in" in asked:
        holds = score in [value for value in asked["in"] if type(value) is not bool]
    else:
        holds = score is not None and asked["from"] <= score <= asked.get("to", 9)
    assert compile_predicate(scored(expression, made), NOW)(person) is (holds is not turned)
    assert not asks_for_scores(scored(expression, made)) and asks_for_scores(expression)


@given(people(), st.sampled_from(["rfm.recency", "rfm.frequency", "rfm.monetary"]), wanted)
def test_with_our_own_bounds_nothing_changes(person: Person, field: str, asked: dict[str, Any]) -> None:
    expression = parse({"field": field, **asked})
    assert compile_predicate(scored(expression, DEFAULT), NOW)(person) == compile_predicate(expression, NOW)(person)


@given(bounds)
def test_bounds_in_order_are_taken(made: Bounds) -> None:
    check(made)


@pytest.mark.parametrize(
    "broken",
    [Bounds(recency=(1, 2, 3)), Bounds(recency=(1, 2, 2, 3)), Bounds(recency=(4, 3, 2, 1)), Bounds(recency=(-1, 2, 3, 4)),
     Bounds(frequency=(2, 3, 5, 10)), Bounds(frequency=(10, 5, 3, 1)), Bounds(monetary=(4, 3, 2, 0)), Bounds(monetary=(10**13, 3, 2, 1)),
     Bounds(monetary=())],
)  # fmt: skip
def test_bounds_out_of_order_are_refused(broken: Bounds) -> None:
    with pytest.raises(InvalidError, match="bounds_malformed"):
        check(broken)

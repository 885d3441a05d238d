"""Nobody outside a scope is found by any condition: in SQL, and one by one."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chalicelib.customers.model import DeliveryChannel
from chalicelib.segments import sql
from chalicelib.segments.model import Person
from chalicelib.segments.predicate import compile_predicate
from chalicelib.segments.reading import parse
from chalicelib.segments.scope import EVERYBODY, Scope, within
from tests.lake.people import ACCOUNTS, MAKERS, SHOPS, Maker
from tests.lake.test_sql_equals_predicate import Question, broken, numbers, trees

SCOPES = st.builds(
    Scope,
    st.none() | st.frozensets(st.sampled_from(ACCOUNTS), max_size=2),
    st.none() | st.frozensets(st.sampled_from(SHOPS[1:]), max_size=2),
    st.none() | st.sampled_from(DeliveryChannel),
)
EVERYBODY_SAID_OTHERWISE: tuple[Any, ...] = (
    {"all": []},
    {"not": {"any": []}},
    {"any": [{"tag": "tag_a"}, {"not": {"tag": "tag_a"}}]},
    {"not": {"all": [{"tag": "tag_a"}, {"not": {"tag": "tag_a"}}]}},
    {"purchase": {"shop": "nowhere", "count_to": 0}},
    {"any": [{"segment": "seg_a"}, {"not": {"segment": "seg_a"}}]},
)


def sees(scope: Scope, person: Person, account: Any) -> bool:
    """The scope once more, by other words."""
    if scope.accounts is not None and not [key for key in scope.accounts if key in person.friends]:
        return False
    if scope.shops is not None and not [order for order in person.history.orders if order.shop in scope.shops]:
        return False
    if scope.channel is None:
        return True
    return compile_predicate(parse({"field": f"{scope.channel}.reachable", "is": True}), NOW_OF_NO_MATTER, account)(person)


NOW_OF_NO_MATTER = Maker(0).now


@given(MAKERS, SCOPES)
@settings(max_examples=30, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
def test_no_condition_finds_anybody_outside_its_scope(maker: Maker, scope: Scope) -> None:
    question = Question(maker, sql.compile_sql)
    seen = {person.cid for person in question.people if sees(scope, person, maker.account)}
    for tree in (*EVERYBODY_SAID_OTHERWISE, *trees(question)):
        assert not (mistake := question.mistake(tree, scope)), mistake
        expression = parse(tree, question.saved.get)
        found = set(numbers(question.tables, sql.compile_sql(expression, maker.now, maker.account, scope)))
        assert found <= seen
        assert found == seen or tree not in EVERYBODY_SAID_OTHERWISE
        others = set(
            numbers(question.tables, sql.compile_sql(parse({"not": tree}, question.saved.get), maker.now, maker.account, scope))
        )
        assert found | others == seen  # who does not fulfil it is nobody else's either
        assert not found & others


LEAKS = {
    "no parentheses around any": (
        'Query(f"({word.join(part.text for part in parts)})"',
        'Query(f"{word.join(part.text for part in parts)}"',
    ),
    "no scope at all": ("*_scope(scope, account), ", ""),
    "one of its parts is enough": ("_all([*_scope(scope, account), ", "_any([*_scope(scope, account), "),
    "an empty scope is none": ("if scope.accounts is not None:", "if scope.accounts:"),
}


@pytest.mark.parametrize("name", LEAKS)
def test_a_compiler_that_leaks_is_found(name: str) -> None:
    compile_sql = broken(*LEAKS[name])
    scopes = [Scope(accounts, shops, channel) for accounts, shops, channel in product(
        (None, frozenset(), frozenset(ACCOUNTS[:1])), (None, frozenset(SHOPS[1:2])), (None, DeliveryChannel.LINE, DeliveryChannel.SMS)
    )]  # fmt: skip
    question = Question(Maker(0), compile_sql)
    assert any(question.mistake(tree, scope) for scope in scopes for tree in EVERYBODY_SAID_OTHERWISE)


def test_without_a_scope_everybody_may_be_seen() -> None:
    question = Question(Maker(0), sql.compile_sql)
    everybody = {person.cid for person in question.people}
    query = sql.compile_sql(parse({"all": []}), question.maker.now)
    assert set(numbers(question.tables, query)) == everybody
    assert "friend" not in query.text
    assert "purchase" not in query.text
    assert all(map(within(EVERYBODY, lambda person: True), question.people))

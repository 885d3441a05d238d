"""A condition asked of everybody by SQL finds exactly those of whom the predicate says yes, one by one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, example, given, settings

from chalicelib.kernel.clock import EVER
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import AccountKey
from chalicelib.segments import sql
from chalicelib.segments.expression import All, InSegment
from chalicelib.segments.history import asks_since
from chalicelib.segments.model import Person
from chalicelib.segments.predicate import compile_predicate
from chalicelib.segments.reading import parse
from chalicelib.segments.scope import EVERYBODY, Scope, within
from tests.lake.people import MAKERS, NOWS, Maker, tables_of

PEOPLE, TREES = 40, 20
Compile = Callable[..., sql.Query]


def numbers(connection: duckdb.DuckDBPyConnection, query: sql.Query) -> list[int]:
    return [row[0] for row in connection.execute(query.text, list(query.parameters)).fetchall()]


def parts(tree: Any) -> Iterator[Any]:
    """The subtrees of a tree, the smallest first."""
    for inner in [*tree.get("all", ()), *tree.get("any", ()), *([tree["not"]] if "not" in tree else ())]:
        yield from parts(inner)
    yield tree


class Question:
    """One population and what is asked of it, with whatever compiler is under test."""

    def __init__(self, maker: Maker, compile_sql: Compile) -> None:
        self.maker, self.compile = maker, compile_sql
        self.people = maker.people(PEOPLE)
        self.tables = tables_of(self.people)
        self.saved = {"seg_a": maker.tree(1)}
        self.saved["seg_b"] = {"not": {"any": [{"segment": "seg_a"}, maker.leaf()]}}

    def difference(self, tree: Any, scope: Scope = EVERYBODY) -> set[int]:
        """The numbers on which the two do not agree."""
        expression, now, account = parse(tree, self.saved.get), self.maker.now, self.maker.account
        found = numbers(self.tables, self.compile(expression, now, account, scope))
        assert len(found) == len(set(found)), "somebody stands in the answer twice"
        holds = within(scope, compile_predicate(expression, now, account), account)
        return {person.cid for person in self.people if holds(person)} ^ set(found)

    def mistake(self, tree: Any, scope: Scope = EVERYBODY) -> str:
        """The smallest part of a tree on which they do not agree, with somebody and the SQL; "" when they agree."""
        if not self.difference(tree, scope):
            return ""
        least = next((part for part in parts(tree) if self.difference(part, scope)), tree)
        cid = min(self.difference(least, scope))
        person = next(person for person in self.people if person.cid == cid)
        query = self.compile(parse(least, self.saved.get), self.maker.now, self.maker.account, scope)
        return "\n".join([
            f"tree:    {json.dumps(least, ensure_ascii=True)}", f"saved:   {self.saved}", f"account: {self.maker.account}, {scope}",
            f"now:     {self.maker.now}", f"person:  {person}", f"SQL:     {query.text}", f"of:      {query.parameters}",
        ])  # fmt: skip


def trees(question: Question) -> Iterator[Any]:
    for number in range(TREES):
        yield question.maker.tree(number % 4, tuple(question.saved))


@given(MAKERS)
@settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
def test_sql_finds_exactly_those_of_whom_the_predicate_says_yes(maker: Maker) -> None:
    question = Question(maker, sql.compile_sql)
    for tree in trees(question):
        assert not (mistake := question.mistake(tree)), mistake


@pytest.mark.parametrize("seed", range(3))
def test_half_of_the_trees_tell_people_apart(seed: int) -> None:
    """Trees that hold for all or for nobody would prove little."""
    question = Question(Maker(seed), sql.compile_sql)
    telling = 0
    for _ in range(200):
        holds = compile_predicate(parse(question.maker.leaf()), question.maker.now, question.maker.account)
        telling += len({holds(person) for person in question.people}) == 2
    assert telling > 100


@given(MAKERS)
@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate])
def test_a_past_from_where_a_condition_asks_on_answers_as_the_whole(maker: Maker) -> None:
    question = Question(maker, sql.compile_sql)
    for tree in trees(question):
        expression = parse(tree, question.saved.get)
        since, holds = asks_since(expression, maker.now), compile_predicate(expression, maker.now, maker.account)
        for person in question.people:
            past = person.history
            acts = tuple(act for act in past.acts if act.at >= since)
            late = replace(person, history=replace(past, acts=acts, reactions=past.reactions if since == EVER else ()))
            assert holds(late) == holds(person), tree


# Compilers that are wrong in one place, and the kind of leaf that shows it: each is what one writes who has not thought of it.
BROKEN = {
    "a missing value under a not": ("field", "(NOT coalesce({part.text}, FALSE))", "(NOT {part.text})"),
    "today in UTC": ("date", "_Compiler(local_date(now), account)", "_Compiler(now.date(), account)"),
    "not inside the question": (
        "tag",
        'return Query(f"(NOT coalesce({part.text}, FALSE))", part.parameters)',
        'return Query(part.text.replace(" WHERE ", " WHERE NOT "), part.parameters)',
    ),
    "sums over lines": ("purchase", "(SELECT DISTINCT {each}", "(SELECT {each}"),
    "orders counted by lines": ("purchase", "[*fits, Query('\"line\" = 0')]", "fits"),
    "nobody without any": ("purchase", "none_too = count.holds(0) and total.holds(0)", "none_too = False"),
    "the future was within days": ("date", "last is None and not future", "False"),
    "any for all of several nots": ("tag", "_not(_any(nots))", "_not(_all(nots))"),
    "born on 29 February": ("date", "days = [28, 29] if", "days = [28] if"),
    "a year too early": ("number", '\'"c"."birthday" > ?\'', '\'"c"."birthday" >= ?\''),
    "True is 1": ("field", "flags = [value for value in values if isinstance(value, bool)]", "flags = list(map(bool, values))"),
    "friends of any account": ("field", '"line.reachable": \'"f"."reachable"\'', '"line.reachable": \'"c"."line_reachable"\''),
    "active on any account": ("date", 'greatest("c"."acted_day", "c"."last_day", "f"."day")', '"c"."activity_day"'),
    "any evidence": ("received", "Query('\"evidence\" <= ?', (str(evidence),))", "Query('? IS NOT NULL', (str(evidence),))"),
    "the stronger of two letters": ("event", "'') <= ?", "'') >= ?"),
    "a scenario for a campaign": ("received", '_is("kind", what.kind), _is("id"', '_is("id"'),
    "half a letter": ("tag", "return None\n    return value", "return '?'\n    return value"),
    "a number that is none": ("number", "isinstance(bound, float) and math.isnan(bound)", "False"),
}


def broken(right: str, wrong: str) -> Compile:
    """The compiler with one of its lines replaced."""
    source = Path(str(sql.__file__)).read_text()
    assert right in source, f"the compiler does not say {right} any more"
    module = ModuleType("broken_sql")
    sys.modules["broken_sql"] = module
    exec(compile(source.replace(right, wrong), "broken_sql", "exec"), module.__dict__)
    return module.compile_sql  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", BROKEN)
def test_a_compiler_that_is_wrong_is_found(name: str) -> None:
    kind, right, wrong = BROKEN[name]
    compile_sql = broken(right, wrong)
    for seed in range(20):
        question = Question(Maker(seed), compile_sql)
        leaves = [question.maker.leaf(kind=kind) for _ in range(TREES)]
        try:
            if any(question.mistake({"all": [{"not": leaf}, {"not": other}]}) for leaf, other in pairwise(leaves)):
                return
        except (duckdb.Error, ValueError):  # as wrong as a wrong answer
            return
    pytest.fail(f"nobody noticed: {name}")


# Said by hand ---------------------------------------------------------------------------------------------------------------


def test_a_query_has_nothing_of_the_callers_in_its_text() -> None:
    words = ["zzz_tag", "zzz_shop", "zzz_name", "zzz_attribute", "zzz_account", "zzz_link", "zzz_data", "zzz_id"]
    tree = {
        "any": [
            {"tag": "zzz_tag"},
            {"purchase": {"shop": "zzz_shop", "product": "zzz_name", "total_from": 777_777}},
            {"field": "profile.name", "is": "zzz_name"},
            {"field": "attribute.zzz_attribute", "in": ["zzz_name", 777_777, True]},
            {"date": "attribute.zzz_attribute", "from": "1977-07-07"},
            {"event": {"kind": "clicked", "link": "zzz_link", "data": {"zzz_data": "zzz_data"}, "count_from": 777_777}},
            {"reacted": {"scenario": "zzz_id", "node": "zzz_id"}},
            {"scenario": {"id": "zzz_id", "outcome": "zzz_name"}},
        ]
    }
    scope = Scope(frozenset({AccountKey("zzz_account")}), frozenset({"zzz_shop"}))
    query = sql.compile_sql(parse(tree), NOWS[0], AccountKey("zzz_account"), scope)
    assert not [word for word in (*words, "777", "1977") if word in query.text]
    assert set(words) <= set(query.parameters)
    assert query.text.count("?") == len(query.parameters)


@pytest.mark.parametrize("leaf", [{"responded": {}}, {"happened": {"event": "purchase"}}])
def test_what_a_run_alone_knows_cannot_be_asked_of_everybody(leaf: Any) -> None:
    with pytest.raises(InvalidError, match="condition.of_a_run"):
        sql.compile_sql(parse({"any": [{"not": leaf}]}), NOWS[0])


def test_a_segment_that_nobody_looked_up_is_not_asked() -> None:
    with pytest.raises(ValueError, match="seg_a"):
        sql.compile_sql(All((InSegment("seg_a", None),)), NOWS[0])


def test_two_hundred_tags_are_one_question() -> None:
    tags = [{"tag": f"tag_{number}"} for number in range(200)]
    for tree in ({"any": tags}, {"all": [{"not": tag} for tag in tags]}):
        query = sql.compile_sql(parse(tree), NOWS[0])
        assert query.text.count("SELECT") == 2
        assert " OR " not in query.text
        assert query.parameters == tuple(tag["tag"] for tag in tags)

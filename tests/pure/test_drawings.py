"""Whatever is drawn: it is refused with sentences, or it compiles, fits the schema, and survives being written as YAML.

`ENISHI_GOLDEN=write pytest tests/pure/test_drawings.py` writes docs/scenario.schema.json anew.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import ScenarioId
from chalicelib.scenarios.asl import compile_machine, problems_of
from chalicelib.scenarios.graph import WaitNode, is_timed, main_exit, parse, reached_at, to_json, to_plain
from chalicelib.scenarios.lint import lint
from chalicelib.scenarios.lint_words import explained
from chalicelib.scenarios.dry import Rate
from chalicelib.scenarios.machine import check
from chalicelib.scenarios.model import Version
from chalicelib.scenarios.nodes import until_ends
from chalicelib.scenarios.occasions import cares_for
from chalicelib.scenarios.ready_made import drawings as ready_made
from chalicelib.scenarios.rehearsal import Assumptions, Rehearsal
from chalicelib.scenarios.schedules import audience_of, next_at, schedule_of
from chalicelib.scenarios.schema import schema
from chalicelib.scenarios.yaml_text import read, write
from chalicelib.segments.reading import parse as parse_condition
from local.rehearse import ACCOUNT, crowd, templates_of
from tests.pure.drawings import WORDS, drawings
from tests.pure.test_graph import END, graph, send, wait

GOLDEN = Path(__file__).resolve().parents[2] / "docs" / "scenario.schema.json"
NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
EDITOR = jsonschema.Draft202012Validator(schema())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawings())
def test_a_drawing_is_refused_or_runs(data: dict[str, Any]) -> None:
    scenario = parse(data)
    problems = lint(scenario)
    assert all(explained(problem)["ja"] for problem in problems)
    if problems:
        return
    machine = compile_machine(scenario, "x", 1, "arn")
    assert problems_of(machine) == []
    check(machine)
    assert cares_for(scenario) is not None
    schedule = schedule_of(scenario)
    assert schedule is None or next_at(schedule, NOW) is None or next_at(schedule, NOW) > NOW  # type: ignore[operator]
    parse_condition(audience_of(scenario) or {"all": []}, lambda _: {"tag": "tag_a"})
    for node in scenario.nodes.values():
        assert not main_exit(node) or main_exit(node) in scenario.nodes
        assert not is_timed(node) or reached_at(node, NOW) >= NOW
        if isinstance(node, WaitNode) and node.until:
            assert until_ends(node, NOW.date(), NOW).tzinfo
    assert [error.message for error in EDITOR.iter_errors(data)] == []


def test_some_random_drawings_can_be_published() -> None:
    found = 0

    @settings(max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(drawings())
    def look(data: dict[str, Any]) -> None:
        nonlocal found
        found += not lint(parse(data)) and len(data["nodes"]) > 2

    look()
    assert found >= 30


@settings(deadline=None)
@given(JSON)
@example({"schema": "scenario/1", "name": "x", "trigger": {"type": "manual"}, "start": "", "nodes": {}})
def test_any_json_is_read_or_refused(data: Any) -> None:
    try:
        scenario = parse(data)
    except InvalidError as error:
        assert error.code == "scenario.malformed"
    else:
        assert lint(scenario)


# The schema ------------------------------------------------------------------------------------------------------------------


def test_the_schema_is_the_one_in_the_docs() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    text = json.dumps(schema(), ensure_ascii=False, indent=1) + "\n"
    if os.environ.get("ENISHI_GOLDEN") == "write":
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("ready_id", ready_made())
def test_the_ready_made_ones_fit_the_schema(ready_id: str) -> None:
    EDITOR.validate(ready_made()[ready_id].graph)
    EDITOR.validate(to_json(parse(ready_made()[ready_id].graph)))


@pytest.mark.parametrize(
    "data",
    [
        graph({"a": {"type": "teleport"}}),
        graph({}),
        graph({"A": END}),
        graph({"a": wait("b", "3 days"), "b": END}),
        graph({"a": wait("b", "P"), "b": END}),
        graph({"a": wait("b", at="9:00"), "b": END}),
        graph({"a": send("B"), "b": END}),
        graph({"a": send("b") | {"nxet": "b"}, "b": END}),
        graph({"a": {"type": "split", "shares": [{"weight": 1, "next": "b"}]}, "b": END}),
        graph({"a": {"type": "branch", "cases": [], "otherwise": "b"}, "b": END}),
        graph({"a": END}, filter={"tag": "tag_a", "segment": "seg_a"}),
        graph({"a": END}, filter={}),
        graph({"a": END}, caps=[{"most": 0, "per": "P7D"}]),
        graph({"a": END}, name=""),
    ],
)
def test_the_schema_refuses(data: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        EDITOR.validate(data)


def test_the_schema_tells_every_part_in_japanese() -> None:
    document = schema()
    for name, part in {"Scenario": document, **document["$defs"]}.items():
        assert part["description"].endswith("。"), name
        for word, inner in part.get("properties", {}).items():
            assert word == "type" or inner["description"].endswith("。"), (name, word)


# YAML ------------------------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(drawings())
def test_a_drawing_survives_being_written_as_yaml(data: dict[str, Any]) -> None:
    scenario = parse(data)
    assert parse(to_plain(scenario)) == scenario
    text = write(to_plain(scenario))
    assert parse(read(text)) == scenario
    assert write(to_plain(parse(read(text)))) == text


@settings(max_examples=400, deadline=None)
@given(JSON)
@example("1e5")
@example({"on": "no", "yes": "10:00", "~": "null", "1": "012", "a": "0x1f", "b": "1_000", "c": "2026-12-01", "d": "=", "e": "<<"})
@example({"x": 1e22, "y": -0.0, "z": 5e-324})
@example("\u2028\x85\ufeff\x7f")
def test_any_json_comes_back_from_yaml(data: Any) -> None:
    assert read(write(data)) == data
    # Whoever reads it with another tool gets the same: nothing is left to what YAML 1.1 makes of a word.
    assert yaml.safe_load(write(data)) == data


def test_words_mean_what_they_look_like() -> None:
    text = "on: no\nyes: 10:00\nat: 012\nday: 2026-12-01\nhex: 0x1F\nmany: 1_000\nn: -3\nf: 1.5\nt: true\nz: ~\nT: True\nq: 'true'\nm: <<\n1: x"
    assert read(text) == {
        "on": "no", "yes": "10:00", "at": "012", "day": "2026-12-01", "hex": "0x1F", "many": "1_000", "n": -3, "f": 1.5, "t": True,
        "z": None, "T": "True", "q": "true", "m": "<<", "1": "x",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "line", "column", "word"),
    [
        ("a: [", 1, 5, "stream end"),
        ("a: 1\nb: 2\na: 3", 3, 1, "twice"),
        ("a:\n  b: 1\n c: 2", 3, 2, "block"),
        ("a: &x 1\nb: *x", 1, 4, "anchors"),
        ("a: &x [1]\nb: [*x, *x]", 1, 4, "anchors"),
        ("名前: 縁\na: \x00", 2, 4, "character"),
        ('a: "\\ud800"', 1, 4, "half"),
        ("a: !!python/object:os.system x", 1, 4, "tags"),
        ("a: !mine x", 1, 4, "tags"),
        ("? [a]\n: 1", 1, 3, "key"),
        ("a\n---\nb", 2, 1, "document"),
        ("a: 1e999", 1, 4, "range"),
        ("[" * 3000, 1, 1, "nested"),
        ("x" * 100_001, 1, 100_001, "100000"),
    ],
)
def test_bad_yaml_is_refused_with_line_and_column(text: str, line: int, column: int, word: str) -> None:
    with pytest.raises(InvalidError) as caught:
        read(text)
    assert caught.value.code == "scenario.yaml_malformed"
    details = caught.value.details
    assert (details["line"], details["column"]) == (line, column) and word in details["problem"]


# The engine ------------------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(drawings().filter(lambda data: not lint(parse(data))), st.integers(0, 9))
def test_what_has_no_problem_runs_until_nobody_is_on_the_way(data: dict[str, Any], seed: int) -> None:
    graph = parse(data)
    assumed = Assumptions(NOW, days=200, rates={"n0": Rate(0.5), "goal": Rate(0.2, (1, 300))}, seed=str(seed))
    people = crowd(12, ACCOUNT, 0.8, 0.5, 0.5)
    done = Rehearsal(
        Version(ScenarioId("x"), 1, graph), people, templates_of(graph), [ACCOUNT], assumed, lambda _: {"tag": "tag_a"}
    )
    done.run()
    # Who is left waits for a time that has not come, and is held by nothing.
    assert all(cohort.at_due >= NOW + timedelta(days=199) and not cohort.hold for cohort in done.records.live_cohorts())

"""Scenarios as marketers draw them: read, checked, walked."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.delivery.model import Row
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import Cid, ScenarioId
from chalicelib.kernel.windows import JST
from chalicelib.scenarios.graph import MOST_NODES, SplitNode, exits_of, lint, main_exit, parse, schema, share_of, to_json, wait_ends
from chalicelib.scenarios.model import Enrollment, cohort_id, from_minute, minute, parse_cohort_id, visit_of

END = {"type": "end"}


def send(to: str = "done", **more: Any) -> dict[str, Any]:
    return {"type": "send", "channel": "line", "template": "tpl_a", "next": to, **more}


def wait(to: str = "done", duration: str = "P1D", **more: Any) -> dict[str, Any]:
    return {"type": "wait", "duration": duration, "next": to, **more}


def answer(of: str = "hello", **more: Any) -> dict[str, Any]:
    return {"type": "wait_for_response", "of": of, "timeout": "P3D", "responded": "done", "timed_out": "done", **more}


def branch(*targets: str, when: Any = None, otherwise: str = "done") -> dict[str, Any]:
    return {
        "type": "branch",
        "cases": [{"when": when or {"tag": "tag_a"}, "next": target} for target in targets],
        "otherwise": otherwise,
    }


def split(*shares: tuple[int, str]) -> dict[str, Any]:
    return {"type": "split", "shares": [{"weight": weight, "next": target} for weight, target in shares]}


def graph(nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "schema": "scenario/1",
        "name": "x",
        "trigger": {"type": "event", "event": "follow"},
        "start": next(iter(nodes), ""),
        "nodes": nodes,
        **more,
    }


def problems(nodes: dict[str, Any], **more: Any) -> list[tuple[str, str]]:
    return [(problem["node"], problem["code"]) for problem in lint(parse(graph(nodes, **more)))]


WHOLE = {"hello": send("wait_a"), "wait_a": answer(), "done": END}


def test_a_whole_scenario_has_no_problems_and_comes_back_from_json() -> None:
    scenario = parse(graph(WHOLE, quiet_hours={"start": "21:00", "end": "09:00"}, goal={"event": "purchase"}, exits=["blocked"]))
    assert lint(scenario) == []
    assert parse(to_json(scenario)) == scenario


@pytest.mark.parametrize(
    ("nodes", "more", "expected"),
    [
        ({"a": send("nowhere"), "done": END}, {}, [("a", "dangling_edge")]),
        ({"a": send("done", unreachable="nowhere"), "done": END}, {}, [("a", "dangling_edge")]),
        ({"a": branch("nowhere"), "done": END}, {}, [("a", "dangling_edge")]),
        ({"a": branch("done", otherwise="nowhere"), "done": END}, {}, [("a", "dangling_edge")]),
        ({"a": split((1, "done"), (1, "nowhere")), "done": END}, {}, [("a", "dangling_edge")]),
        ({"done": END}, {"start": "nowhere"}, [("", "start_unknown")]),
        ({}, {"start": ""}, [("", "wrong_number_of_nodes"), ("", "start_unknown")]),
        ({"done": END}, {"name": " "}, [("", "name_empty")]),
        ({"a": send(), "done": END, "island": send()}, {}, [("island", "unreachable")]),
        ({"a": send("b"), "b": send("a"), "done": END}, {}, [("done", "unreachable"), ("a", "loop_without_wait")]),
        ({"a": send("a")}, {}, [("a", "loop_without_wait")]),
        ({"a": branch("b"), "b": send("a"), "done": END}, {}, [("a", "loop_without_wait")]),
        ({"a": send("b"), "b": wait("a")}, {}, []),
        ({"hello": send("b"), "b": answer(responded="hello", timed_out="hello")}, {}, []),
        # "At 10:00 today" that begins at 10:00 is over at once: the loop would turn for ever at one instant.
        ({"a": send("b"), "b": wait("a", "P0D", at="10:00")}, {}, [("a", "loop_without_wait")]),
        ({"hello": send("b"), "b": answer(timeout="PT0M", at="10:00", responded="hello", timed_out="hello")}, {}, [("b", "loop_without_wait")]),
        ({"a": wait("done", "P0D", at="10:00"), "done": END}, {}, []),
        ({"a": wait("done", "P300D"), "done": END}, {}, []),
        ({"a": wait("done", "P301D"), "done": END}, {}, [("a", "wait_too_long")]),
        ({"hello": send("a"), "a": answer(timeout="P301D"), "done": END}, {}, [("a", "wait_too_long")]),
        ({"a": wait("done", "PT0M"), "done": END}, {}, [("a", "wait_empty")]),
        ({"a": wait("done", "3 days"), "done": END}, {}, [("a", "duration_malformed")]),
        ({"a": wait("done", "P99999999999999D"), "done": END}, {}, [("a", "duration_malformed")]),
        ({"a": wait("done", at="25:00"), "done": END}, {}, [("a", "time_malformed")]),
        ({"hello": send("a"), "a": answer(of="done"), "done": END}, {}, [("a", "of_is_no_send")]),
        ({"hello": send("a"), "a": answer(of="nowhere"), "done": END}, {}, [("a", "of_is_no_send")]),
        ({"a": branch("done", when={"tag": ""}), "done": END}, {}, [("a", "condition_value")]),
        ({"a": branch("done", when={"all": [{"colour": 1}]}), "done": END}, {}, [("a", "condition_kind")]),
        ({"a": branch(), "done": END}, {}, [("a", "no_cases")]),
        ({"a": split((1, "done")), "done": END}, {}, [("a", "shares_malformed")]),
        ({"a": split((1, "done"), (0, "done")), "done": END}, {}, [("a", "shares_malformed")]),
        ({"A": send(), "done": END}, {}, [("A", "id_malformed")]),
        ({"a.b": send(), "done": END}, {}, [("a.b", "id_malformed")]),
        ({"a" * 21: send(), "done": END}, {}, [("a" * 21, "id_malformed")]),
        ({"done": END}, {"trigger": {"type": "segment", "condition": {"tag": "t"}, "schedule": {"at": ""}}}, [("", "time_malformed")]),
        ({"done": END}, {"trigger": {"type": "segment", "condition": {}, "schedule": {"at": "10:00"}}}, [("", "condition_kind")]),
        ({"done": END}, {"trigger": {"type": "event", "event": "tag_added"}}, [("", "trigger_tag_missing")]),
        ({"done": END}, {"filter": {"tag": 1}}, [("", "condition_value")]),
        ({"done": END}, {"quiet_hours": {"start": "09:00", "end": "09:00"}}, [("", "window_empty")]),
        ({"done": END}, {"quiet_hours": {"start": "9", "end": "21:00"}}, [("", "time_malformed")]),
        ({"done": END}, {"reentry": {"mode": "after_exit", "cooldown": "soon"}}, [("", "duration_malformed")]),
        # A date beyond the calendar would break every later entry.
        ({"done": END}, {"reentry": {"mode": "after_exit", "cooldown": "P9999999D"}}, [("", "cooldown_too_long")]),
    ],
)  # fmt: skip
def test_the_linter_finds_it_with_the_node(nodes: dict[str, Any], more: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert problems(nodes, **more) == expected


def test_a_problem_in_a_condition_has_its_path() -> None:
    (found,) = lint(parse(graph({"a": branch("done", "done", when={"all": [{"tag": ""}]}), "done": END})))[:1]
    assert found == {"node": "a", "code": "condition_value", "path": "cases[0].when.all[0].tag"}


def test_two_hundred_nodes_are_the_most() -> None:
    def chain(count: int) -> dict[str, Any]:
        return {f"n{i}": send(f"n{i + 1}") for i in range(count - 1)} | {f"n{count - 1}": END}

    assert problems(chain(MOST_NODES)) == []
    assert problems(chain(MOST_NODES + 1)) == [("", "wrong_number_of_nodes")]


@pytest.mark.parametrize(
    ("data", "path", "word"),
    [
        ([], "$", "object"),
        (None, "$", "object"),
        ({}, "$", "missing required field"),
        (graph(WHOLE) | {"colour": 1}, "$", "colour"),
        (graph(WHOLE) | {"schema": "scenario/2"}, "$.schema", "Invalid enum value"),
        (graph(WHOLE) | {"trigger": {"type": "moon"}}, "$.trigger.type", "Invalid value"),
        (graph(WHOLE) | {"trigger": {"type": "event", "event": "moon"}}, "$.trigger.event", "Invalid enum value"),
        (graph(WHOLE) | {"exits": ["moon"]}, "$.exits[0]", "Invalid enum value"),
        (graph({"a": {"type": "send"}}), "$.nodes[...]", "missing required field"),
        (graph({"a": send() | {"channel": "fax"}}), "$.nodes[...].channel", "Invalid enum value"),
        (graph({"a": send() | {"nxet": "b"}}), "$.nodes[...]", "nxet"),
        (graph({"a": split((1, "b")) | {"shares": [{"weight": "1", "next": "b"}]}}), "$.nodes[...].shares[0].weight", "int"),
    ],
)
def test_a_malformed_scenario_names_the_path(data: Any, path: str, word: str) -> None:
    with pytest.raises(InvalidError) as caught:
        parse(data)
    assert caught.value.code == "scenario.malformed"
    assert caught.value.details["path"] == path and word in caught.value.details["problem"]


def test_the_schema_describes_the_grammar() -> None:
    import jsonschema

    document = schema()
    jsonschema.validate(graph(WHOLE), document)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(graph({"a": {"type": "teleport"}}), document)


# Walking --------------------------------------------------------------------------------------------------------------------


def test_the_main_way_is_where_most_stay() -> None:
    nodes = parse(
        graph(
            {"s": split((1, "a"), (3, "b")), "a": answer(responded="s", timed_out="b"), "b": branch("a", otherwise="c"), "c": END}
        )
    ).nodes
    assert [main_exit(nodes[node]) for node in "sabc"] == ["b", "b", "c", ""]
    assert all(main_exit(node) in exits_of(node) for node in nodes.values() if exits_of(node))


def test_a_split_sends_a_person_the_same_way_every_time_and_keeps_its_weights() -> None:
    node = parse(graph({"s": split((1, "a"), (3, "b")), "a": END, "b": END})).node("s")
    assert isinstance(node, SplitNode)
    ways = Counter(share_of(node, "welcome", "s", cid) for cid in range(4000))
    assert abs(ways["a"] - 1000) < 100 and ways["a"] + ways["b"] == 4000
    assert [share_of(node, "welcome", "s", cid) for cid in range(50)] == [share_of(node, "welcome", "s", cid) for cid in range(50)]
    assert [share_of(node, "welcome", "s", cid) for cid in range(50)] != [share_of(node, "welcome", "t", cid) for cid in range(50)]


def test_a_wait_ends_at_its_clock_time() -> None:
    nodes = parse(graph({"a": wait("b", "P7D", at="10:00"), "b": answer("a", timeout="PT90M")})).nodes
    begins = datetime(2026, 11, 22, 22, 30, tzinfo=JST)
    assert wait_ends(nodes["a"], begins) == datetime(2026, 11, 29, 10, 0, tzinfo=JST)  # type: ignore[arg-type]
    assert wait_ends(nodes["b"], begins) == datetime(2026, 11, 23, 0, 0, tzinfo=JST)  # type: ignore[arg-type]


# Names ----------------------------------------------------------------------------------------------------------------------

NODE_IDS = st.from_regex(r"[a-z][a-z0-9_]{0,19}", fullmatch=True)
SCENARIO_IDS = st.from_regex(r"[a-z][a-z0-9_]{0,23}", fullmatch=True).map(ScenarioId)
MINUTES = st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)).map(
    lambda at: at.replace(second=0, microsecond=0)
)


@given(SCENARIO_IDS, st.integers(1, 9999), NODE_IDS, MINUTES)
def test_a_cohort_is_named_so_that_it_can_be_read_back_and_started(
    scenario: ScenarioId, version: int, node: str, due: datetime
) -> None:
    name = cohort_id(scenario, version, node, due)
    assert parse_cohort_id(name) == (scenario, version, node, due)
    assert len(f"{name}-c2026112210") <= 80  # an execution's name, started again by the reconciler
    assert from_minute(minute(due)) == due


@given(NODE_IDS, MINUTES)
@example("a__b", datetime(2026, 11, 22, tzinfo=UTC))
@example("a_", datetime(2026, 11, 22, tzinfo=UTC))
def test_the_last_node_is_read_back_from_the_visit(node: str, due: datetime) -> None:
    def last_node(last: str) -> str:
        row = Row("p", "s", Cid(1), "c", "active", last, "")
        return Enrollment(row, ScenarioId("x"), 1, 1, "", due).last_node

    assert last_node(visit_of(node, due)) == node
    assert last_node("") == ""

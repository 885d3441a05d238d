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
from chalicelib.scenarios.graph import SplitNode, exits_of, main_exit, parse, share_of, structure_hash, to_json, to_plain, wait_ends
from chalicelib.scenarios.lint import lint
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


WHOLE: dict[str, Any] = {"hello": send("wait_a"), "wait_a": answer(), "done": END}


def test_a_whole_scenario_has_no_problems_and_comes_back_from_json() -> None:
    scenario = parse(graph(WHOLE, quiet_hours={"start": "21:00", "end": "09:00"}, goal={"event": "purchase"}, exits=["blocked"]))
    assert lint(scenario) == []
    assert parse(to_json(scenario)) == scenario


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


def test_a_wait_for_a_weekday_begins_that_day_unless_it_is_one() -> None:
    nodes = parse(graph({"a": wait("b", "", weekdays=["sat"]), "b": wait("a", "P1D", at="10:00", weekdays=["tue", "thu"])})).nodes
    begins = datetime(2026, 11, 22, 22, 30, tzinfo=JST)  # a Sunday
    assert wait_ends(nodes["a"], begins) == datetime(2026, 11, 28, 0, 0, tzinfo=JST)  # type: ignore[arg-type]
    assert wait_ends(nodes["a"], datetime(2026, 11, 28, 9, 30, tzinfo=JST)) == datetime(2026, 11, 28, 9, 30, tzinfo=JST)  # type: ignore[arg-type]
    assert wait_ends(nodes["b"], begins) == datetime(2026, 11, 24, 10, 0, tzinfo=JST)  # type: ignore[arg-type]


# What makes a version --------------------------------------------------------------------------------------------------------


def test_layout_description_and_labels_make_no_version_but_words_of_that_name_elsewhere_do() -> None:
    def of(**more: Any) -> str:
        return structure_hash(parse(graph(WHOLE | {"hello": send("wait_a", **more.pop("hello", {}))}, **more)))

    assert of() == of(description="メモ", layout={"hello": [1, 2]}, hello={"label": "あいさつ"})
    assert of() != of(hello={"template": "tpl_b"}) != of(account="main")

    def hook(**data: str) -> str:
        return structure_hash(
            parse(graph({"a": {"type": "action", "do": "webhook", "target": "w", "data": data, "next": "e"}, "e": END}))
        )

    assert hook(label="a") != hook(label="b")
    labelled = branch("done", when={"tag": "tag_a"})
    labelled["cases"][0]["label"] = "会員"
    assert structure_hash(parse(graph({"a": labelled, "done": END}))) == structure_hash(
        parse(graph({"a": branch("done", when={"tag": "tag_a"}), "done": END}))
    )


def test_plain_leaves_out_what_goes_without_saying() -> None:
    plain = to_plain(
        parse(
            graph(WHOLE, reentry={"mode": "never", "cooldown": "P1D"}, exits=["blocked"], goal={"event": "purchase", "exit": False})
        )
    )
    assert plain == graph(WHOLE, exits=["blocked"], goal={"event": "purchase", "exit": False})
    assert list(plain) == ["schema", "name", "trigger", "goal", "exits", "start", "nodes"]


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

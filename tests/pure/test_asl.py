"""From a graph to a state machine. `ENISHI_GOLDEN=write pytest tests/pure/test_asl.py` writes the golden files anew."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.scenarios.asl import MOST_SHARDS, compile_machine, machine_name, problems_of
from chalicelib.scenarios.cohorts import PAGE
from chalicelib.scenarios.graph import lint, main_exit, parse
from chalicelib.scenarios.model import SHARDS
from tests.pure.test_graph import END, answer, branch, graph, send, split, wait

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
DRAWN = sorted((ROOT / "local" / "scenarios").glob("*.json"))
FUNCTION = "arn:aws:lambda:ap-northeast-1:000000000000:function:steps"


def compiled(data: Any, scenario_id: str = "x", version: int = 1) -> dict[str, Any]:
    return compile_machine(parse(data), scenario_id, version, FUNCTION)


def test_there_are_scenarios_to_compare() -> None:
    assert {"welcome", "dormant90", "first_purchase"} <= {path.stem for path in DRAWN}


@pytest.mark.parametrize("path", DRAWN, ids=[path.stem for path in DRAWN])
def test_a_drawn_scenario_compiles_to_its_golden_machine(path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    assert lint(parse(data)) == []
    machine = compiled(data, path.stem)
    assert problems_of(machine) == []
    golden = GOLDEN / f"{path.stem}.asl.json"
    text = json.dumps(machine, ensure_ascii=False, indent=1) + "\n"
    if os.environ.get("ENISHI_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


def test_it_finds_every_loose_end() -> None:
    whole = compiled(graph({"hello": send("a"), "a": answer(), "done": END}))
    assert problems_of(whole) == []
    for change in (
        lambda m: m.update(StartAt="x"),
        lambda m: m["States"]["Due"].update(Next="x"),
        lambda m: m["States"]["At"].update(Default="x"),
        lambda m: m["States"]["At"]["Choices"][0].update(Next="x"),
        lambda m: m["States"]["hello"]["ItemProcessor"].update(StartAt="x"),
        lambda m: m["States"]["hello"]["ItemProcessor"]["States"]["hello.more"].update(Default="x"),
        lambda m: m["States"]["hello"].update(Catch=[{"ErrorEquals": ["States.ALL"], "Next": "x"}]),
        lambda m: m["States"].pop("done"),
    ):
        broken = copy.deepcopy(whole)
        change(broken)
        assert problems_of(broken)


# Any scenario ---------------------------------------------------------------------------------------------------------------


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, Any]:
    """A random graph of up to twelve nodes; edges go anywhere, so most have loops."""
    ids = [f"{'n' * 18}{i:02d}" for i in range(draw(st.integers(1, 12)))]
    to = st.sampled_from([*ids, "done"])
    nodes: dict[str, Any] = {}
    for node_id in ids:
        kind = draw(st.sampled_from(["send", "wait", "answer", "branch", "split", "action", "end"]))
        nodes[node_id] = {
            "send": lambda: send(draw(to), unreachable=draw(st.just("") | to)),
            "wait": lambda: wait(draw(to), at=draw(st.sampled_from(["", "10:00"]))),
            "answer": lambda: answer(draw(to), responded=draw(to), timed_out=draw(to)),
            "branch": lambda: branch(*draw(st.lists(to, min_size=1, max_size=3)), otherwise=draw(to)),
            "split": lambda: split(*draw(st.lists(st.tuples(st.integers(1, 9), to), min_size=2, max_size=3))),
            "action": lambda: {"type": "action", "do": "tag_add", "tag": "tag_a", "next": draw(to)},
            "end": lambda: END,
        }[kind]()
    return graph(nodes | {"done": END})


def all_states(machine: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from all_states(state["ItemProcessor"])


def ways(state: dict[str, Any]) -> list[str]:
    return [
        target for target in (state.get("Next"), state.get("Default"), *(c["Next"] for c in state.get("Choices", []))) if target
    ]


@given(scenarios())
def test_every_scenario_compiles_to_a_machine_without_loose_ends(data: dict[str, Any]) -> None:
    scenario = parse(data)
    machine = compile_machine(scenario, "x" * 24, 999, FUNCTION)
    assert problems_of(machine) == []
    states = list(all_states(machine))
    names = [name for name, _ in states]
    assert len(names) == len(set(names))
    assert all(len(name) <= 80 for name in names)
    json.dumps(machine)
    for name, state in states:
        assert state["Type"] in ("Wait", "Task", "Choice", "Map", "Succeed"), name
        assert (state["Type"] in ("Choice", "Succeed")) == ("Next" not in state), name
    # Where the cohort goes is where the machine can go, and every node can be taken up again after a pause.
    for node_id, node in scenario.nodes.items():
        assert node_id in ways(machine["States"]["At"])
        if main_exit(node):
            assert main_exit(node) in ways(machine["States"][f"{node_id}.go"])


@given(scenarios())
def test_the_linter_finishes_and_names_known_nodes(data: dict[str, Any]) -> None:
    scenario = parse(data)
    for problem in lint(scenario):
        assert problem["node"] in scenario.nodes


def test_a_machine_has_a_name_that_aws_takes() -> None:
    assert len(machine_name("p" * 20, "x" * 24, 9999)) <= 80


def test_every_call_is_limited_in_time_and_tried_again() -> None:
    for name, state in all_states(compiled(graph({"hello": send("a"), "a": answer(), "done": END}))):
        if state["Type"] == "Task":
            assert state["TimeoutSeconds"] < 300 and state["Retry"], name


# How long a history gets ----------------------------------------------------------------------------------------------------

MOST_EVENTS = 25_000  # AWS: quota of a Standard execution's history
_TASK, _OTHER, _ITERATION, _MAP = 5, 2, 4, 4  # entered scheduled started succeeded exited; entered exited; …


def events_of(data: Any, people: int, shards: int = SHARDS) -> int:
    """Estimate the history of one cohort in which everybody stays to the end, from the compiled machine."""
    scenario, machine = parse(data), compiled(data)
    events, node_id = 1 + _OTHER + _TASK + _OTHER, scenario.start  # ExecutionStarted, Due, Gate, At
    pages = ceil(people / shards / PAGE) * shards
    while True:
        for name in (node_id, f"{node_id}.answers", f"{node_id}.next", f"{node_id}.go"):
            state = machine["States"].get(name, {"Type": ""})
            events += {
                "": 0,
                "Wait": _OTHER,
                "Choice": _OTHER,
                "Task": _TASK,
                "Map": _MAP + shards * _ITERATION + pages * (_TASK + _OTHER),
            }[state["Type"]]
        if not main_exit(scenario.node(node_id)):
            return events + _OTHER + 1
        node_id = main_exit(scenario.node(node_id))


@pytest.mark.parametrize("path", DRAWN, ids=[path.stem for path in DRAWN])
def test_a_quarter_of_a_million_people_fit_into_one_execution(path: Path) -> None:
    data = json.loads(path.read_text(encoding="utf-8"))
    assert events_of(data, 250_000) < MOST_EVENTS
    assert events_of(data, 100) < 1000


def test_forty_shards_are_what_an_inline_map_takes() -> None:
    assert SHARDS <= MOST_SHARDS == 40

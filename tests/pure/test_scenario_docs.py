"""What docs/scenario-format.md shows is true: its examples have no problem, and it names every word of the grammar."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chalicelib.scenarios import graph as grammar
from chalicelib.scenarios.graph import exits_of, parse
from chalicelib.scenarios.lint import lint
from chalicelib.scenarios.lint_nodes import ACTIONS
from chalicelib.scenarios.lint_parts import _NARROWED
from chalicelib.scenarios.schema import schema
from chalicelib.scenarios.yaml_text import read
from tests.pure.test_graph import END, graph, send

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "scenario-format.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(json|yaml)\n(.*?)```", TEXT, re.DOTALL)


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 8


@pytest.mark.parametrize(("form", "text"), BLOCKS, ids=[str(index) for index in range(len(BLOCKS))])
def test_an_example_has_no_problem(form: str, text: str) -> None:
    data = json.loads(text) if form == "json" else read(text)
    assert lint(parse(completed(data))) == []


def completed(data: dict[str, Any]) -> dict[str, Any]:
    """Put what an example leaves out around it."""
    if "schema" in data:
        return data
    if not all(
        isinstance(part, dict) and "next" in part or "otherwise" in part or "shares" in part or "of" in part
        for part in data.values()
    ):
        return graph({"done": END}, **data)
    first = next(iter(data))
    nodes = {"send_a": send(first), **data} if first != "first_try" else dict(data)
    wanted = {target for node in parse(graph(nodes)).nodes.values() for target in exits_of(node)}
    return graph({**nodes, **{target: END for target in wanted if target not in nodes}})


def words_of(struct: type) -> set[str]:
    return {field.name for field in msgspec.structs.fields(struct)}


@pytest.mark.parametrize("name", sorted({"Scenario", *schema()["$defs"]} - {"Condition"}))
def test_every_word_of_the_grammar_is_explained(name: str) -> None:
    assert [word for word in words_of(getattr(grammar, name)) if not re.search(rf"[`.{{ ]{word}\b", TEXT)] == []


@pytest.mark.parametrize("event", grammar.Event.__args__)  # type: ignore[attr-defined]
def test_every_event_says_how_it_is_narrowed(event: str) -> None:
    section = TEXT.partition("## 出来事")[2].partition("\n## ")[0]
    (row,) = [line for line in section.splitlines() if line.startswith("| `") and f"`{event}`" in line.split("|")[1]]
    assert set(re.findall(r"`(\w+)`", row.split("|")[2])) == set(_NARROWED.get(event, ()))


@pytest.mark.parametrize("verb", ACTIONS)
def test_every_action_says_what_it_needs(verb: str) -> None:
    (row,) = [line for line in TEXT.splitlines() if line.startswith("| `") and f"`{verb}`" in line.split("|")[1]]
    needed, besides = ACTIONS[verb]
    assert set(re.findall(r"`(\w+)`", row.split("|")[2])) == {*needed, *besides}

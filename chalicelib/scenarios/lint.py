"""What keeps a drawn scenario from being published, by node; pure. The sentences for people are lint_words.py's.

A problem is {node: its id, empty for the whole scenario, code, path: where inside, and figures for its sentence}.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from chalicelib.kernel.errors import InvalidError
from chalicelib.scenarios import lint_nodes, lint_whole
from chalicelib.scenarios.graph import Node, Scenario, SendNode, WaitForResponseNode, WaitNode, exits_of
from chalicelib.scenarios.lint_parts import Found, Known, Problem, length_of

MOST_NODES = 200
NODE_ID = r"^[a-z][a-z0-9_]{0,19}$"
# A machine's definition holds a node's label twice and may have 1 MB.
LONGEST_NAME = 100


def lint(scenario: Scenario, knows: Known | None = None) -> list[Problem]:
    """Return every problem of a parsed scenario. knows: the house that it is published in; None checks the drawing alone."""
    problems = [*_names(scenario), *_dangling(scenario)]
    if problems:
        return problems
    problems += _unreachable(scenario)
    problems += _endless(scenario)
    problems += _never_answered(scenario)
    for node_id, node in scenario.nodes.items():
        found = Found(node_id)
        lint_nodes.check(scenario, node, found, knows)
        problems += found.problems
    whole = Found("")
    lint_whole.check(scenario, whole, knows)
    return problems + whole.problems


def _names(scenario: Scenario) -> list[Problem]:
    found: list[Problem] = []
    if not scenario.name.strip():
        found.append({"node": "", "code": "name_empty"})
    if len(scenario.name) > LONGEST_NAME:
        found.append({"node": "", "code": "name_too_long", "most": str(LONGEST_NAME)})
    if not 1 <= len(scenario.nodes) <= MOST_NODES:
        found.append({"node": "", "code": "wrong_number_of_nodes", "most": str(MOST_NODES)})
    for node_id, node in scenario.nodes.items():
        if not re.fullmatch(NODE_ID, node_id):
            found.append({"node": node_id, "code": "id_malformed"})
        if any(len(label) > LONGEST_NAME for label in _labels(node)):
            found.append({"node": node_id, "code": "label_too_long", "most": str(LONGEST_NAME)})
    return found


def _labels(node: Node) -> Iterator[str]:
    yield node.label
    for part in (*getattr(node, "cases", ()), *getattr(node, "shares", ())):
        yield part.label


def _dangling(scenario: Scenario) -> list[Problem]:
    found = []
    if scenario.start not in scenario.nodes:
        found.append({"node": "", "code": "start_unknown", "target": scenario.start})
    for node_id, node in scenario.nodes.items():
        lost = [target for target in exits_of(node) if target not in scenario.nodes]
        found += [{"node": node_id, "code": "dangling_edge", "target": target} for target in dict.fromkeys(lost)]
    return found


def _reachable(scenario: Scenario, start: str) -> set[str]:
    seen: set[str] = set()
    todo = [start]
    while todo:
        node_id = todo.pop()
        if node_id not in seen:
            seen.add(node_id)
            todo += exits_of(scenario.nodes[node_id])
    return seen


def _unreachable(scenario: Scenario) -> list[Problem]:
    seen = _reachable(scenario, scenario.start)
    return [{"node": node_id, "code": "unreachable"} for node_id in scenario.nodes if node_id not in seen]


def _endless(scenario: Scenario) -> list[Problem]:
    """Find loops that pass no wait: they would send without end at one instant."""
    instant = {node_id for node_id, node in scenario.nodes.items() if _may_take_no_time(node)}
    done: set[str] = set()
    found: list[str] = []

    def visit(node_id: str, trail: tuple[str, ...]) -> None:
        if node_id in trail:
            found.append(node_id)
            return
        if node_id in done or node_id not in instant:
            return
        for target in exits_of(scenario.nodes[node_id]):
            visit(target, (*trail, node_id))
        done.add(node_id)

    for node_id in sorted(instant):
        visit(node_id, ())
    return [{"node": node_id, "code": "loop_without_wait"} for node_id in dict.fromkeys(found)]


def _may_take_no_time(node: Node) -> bool:
    """Say whether a cohort may leave a node at the instant it came.

    `P0D` at 10:00 is over at once when it is 10:00, a weekday on that day, and a person's own date when it is past or now.
    """
    match node:
        case WaitNode():
            length = node.duration or "P0D"
        case WaitForResponseNode():
            length = node.timeout
        case _:
            return True
    try:
        return not length_of(length)
    except InvalidError:
        return False  # told by lint_nodes


def _never_answered(scenario: Scenario) -> list[Problem]:
    """Find waits for a reaction to something that nobody who comes there has been sent."""
    found: list[Problem] = []
    for node_id, node in scenario.nodes.items():
        if not isinstance(node, WaitForResponseNode):
            continue
        awaited = scenario.nodes.get(node.of)
        if not isinstance(awaited, SendNode):
            found.append({"node": node_id, "code": "of_is_no_send", "target": node.of})
        elif node_id not in _reachable(scenario, awaited.next):
            found.append({"node": node_id, "code": "of_never_before", "target": node.of})
    return found

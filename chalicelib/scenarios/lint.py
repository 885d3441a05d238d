"""What keeps a drawn scenario from being published, by node; pure. The sentences for people are lint_words.py's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.windows import parse_duration, parse_hhmm
from chalicelib.scenarios.graph import (
    BranchNode,
    EventTrigger,
    Node,
    Scenario,
    SegmentTrigger,
    SendNode,
    SplitNode,
    WaitForResponseNode,
    WaitNode,
    exits_of,
)
from chalicelib.segments.expression import parse as parse_condition

# Far waits are parked outside an execution (cohorts.py); three years is as far as a marketer may plan.
LONGEST_WAIT = timedelta(days=1100)
_LONGEST_COOLDOWN = timedelta(days=3650)
MOST_NODES = 200
NODE_ID = r"^[a-z][a-z0-9_]{0,19}$"


def lint(scenario: Scenario) -> list[dict[str, str]]:
    """Return every problem of a parsed scenario: node id (empty for the whole), code, details."""
    problems: list[dict[str, str]] = []
    if not scenario.name.strip():
        problems.append({"node": "", "code": "name_empty"})
    if not 1 <= len(scenario.nodes) <= MOST_NODES:
        problems.append({"node": "", "code": "wrong_number_of_nodes", "most": str(MOST_NODES)})
    problems += _dangling(scenario)
    if problems:
        return problems
    problems += _unreachable(scenario)
    problems += _endless(scenario)
    for node_id, node in scenario.nodes.items():
        problems += [{"node": node_id, **problem} for problem in _node_problems(scenario, node_id, node)]
    problems += _whole(scenario)
    return problems


def _dangling(scenario: Scenario) -> list[dict[str, str]]:
    found = []
    if scenario.start not in scenario.nodes:
        found.append({"node": "", "code": "start_unknown", "target": scenario.start})
    for node_id, node in scenario.nodes.items():
        lost = [target for target in exits_of(node) if target not in scenario.nodes]
        found += [{"node": node_id, "code": "dangling_edge", "target": target} for target in lost]
    return found


def _unreachable(scenario: Scenario) -> list[dict[str, str]]:
    seen: set[str] = set()
    todo = [scenario.start]
    while todo:
        node_id = todo.pop()
        if node_id not in seen:
            seen.add(node_id)
            todo += exits_of(scenario.nodes[node_id])
    return [{"node": node_id, "code": "unreachable"} for node_id in scenario.nodes if node_id not in seen]


def _endless(scenario: Scenario) -> list[dict[str, str]]:
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
    """Say whether a cohort may leave a node at the instant it came: `P0D` at 10:00 is over at once when it is 10:00."""
    match node:
        case WaitNode():
            length = node.duration
        case WaitForResponseNode():
            length = node.timeout
        case _:
            return True
    try:
        return parse_duration(length) <= timedelta(0)
    except InvalidError:
        return False  # told by _wait_problems


def _node_problems(scenario: Scenario, node_id: str, node: Node) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    if not _matches(NODE_ID, node_id):
        found.append({"code": "id_malformed"})
    match node:
        case WaitNode():
            found += _wait_problems(node.duration, node.at)
        case WaitForResponseNode():
            found += _wait_problems(node.timeout, node.at)
            if not isinstance(scenario.nodes.get(node.of), SendNode):
                found.append({"code": "of_is_no_send", "target": node.of})
        case BranchNode():
            for index, case in enumerate(node.cases):
                found += _condition_problems(case.when, f"cases[{index}].when")
            if not node.cases:
                found.append({"code": "no_cases"})
        case SplitNode():
            if len(node.shares) < 2 or any(share.weight <= 0 for share in node.shares):
                found.append({"code": "shares_malformed"})
        case _:
            pass
    return found


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text) is not None


def _wait_problems(duration: str, at: str) -> list[dict[str, str]]:
    try:
        length = parse_duration(duration)
        if at:
            parse_hhmm(at)
    except InvalidError as error:
        return [{"code": error.code.replace(".", "_"), "given": str(error.details.get("given"))}]
    if length > LONGEST_WAIT:
        return [{"code": "wait_too_long", "most_days": str(LONGEST_WAIT.days)}]
    if length <= timedelta(0) and not at:
        return [{"code": "wait_empty"}]
    return []


def _condition_problems(condition: Mapping[str, Any], where: str) -> list[dict[str, str]]:
    try:
        parse_condition(condition)
    except InvalidError as error:
        return [{"code": error.code.replace(".", "_"), "path": f"{where}{str(error.details.get('path', '$'))[1:]}"}]
    return []


def _whole(scenario: Scenario) -> list[dict[str, str]]:
    found = []
    if isinstance(scenario.trigger, SegmentTrigger):
        found += _condition_problems(scenario.trigger.condition, "trigger.condition")
        found += _wait_problems("P1D", scenario.trigger.schedule.at or "?")
    if isinstance(scenario.trigger, EventTrigger) and scenario.trigger.event == "tag_added" and not scenario.trigger.tag:
        found.append({"code": "trigger_tag_missing"})
    if scenario.filter is not None:
        found += _condition_problems(scenario.filter, "filter")
    try:
        scenario.window()
        if parse_duration(scenario.reentry.cooldown) > _LONGEST_COOLDOWN:
            found.append({"code": "cooldown_too_long", "most_days": str(_LONGEST_COOLDOWN.days)})
    except InvalidError as error:
        found.append({"code": error.code.replace(".", "_")})
    return [{"node": "", **problem} for problem in found]

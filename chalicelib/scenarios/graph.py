"""The graph that a marketer draws: parsed, checked and walked; pure.

Grammar `scenario/1`: docs/scenario-format.md. Nodes are a map by stable id; edges are ids.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.windows import DeliveryWindow, due_after, parse_duration, parse_hhmm
from chalicelib.segments.expression import parse as parse_condition

# A year is the hard limit of an execution; a wait must leave room for what follows it (engines.md 1.5).
LONGEST_WAIT = timedelta(days=300)
_LONGEST_COOLDOWN = timedelta(days=3650)
MOST_NODES = 200
NODE_ID = r"^[a-z][a-z0-9_]{0,19}$"


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class _Node(_Strict, frozen=True, kw_only=True):
    label: str = ""


class SendNode(_Node, tag="send", frozen=True, kw_only=True):
    """Send a template; `unreachable` is where those go who cannot be sent to, by default on with the others."""

    channel: Literal["line", "email", "sms", "postal"]
    template: str
    next: str
    unreachable: str = ""


class WaitNode(_Node, tag="wait", frozen=True, kw_only=True):
    """Wait for a time, until a clock time when `at` is given."""

    duration: str
    next: str
    at: str = ""


class WaitForResponseNode(_Node, tag="wait_for_response", frozen=True, kw_only=True):
    """Wait until the person reacts, at most `timeout`. evidence: the weakest reaction that counts (A, B or C)."""

    of: str
    timeout: str
    responded: str
    timed_out: str
    at: str = ""
    evidence: Literal["A", "B", "C"] = "B"


class Case(_Strict, frozen=True, kw_only=True):
    """One way out of a branch."""

    when: dict[str, Any]
    next: str


class BranchNode(_Node, tag="branch", frozen=True, kw_only=True):
    """The first case that holds decides; `otherwise` takes the rest."""

    cases: list[Case]
    otherwise: str


class Share(_Strict, frozen=True, kw_only=True):
    """One way out of a split."""

    weight: int
    next: str


class SplitNode(_Node, tag="split", frozen=True, kw_only=True):
    """Divide people at random, the same person always the same way."""

    shares: list[Share]


class ActionNode(_Node, tag="action", frozen=True, kw_only=True):
    """Do something else than send."""

    do: Literal["tag_add", "tag_remove"]
    tag: str
    next: str


class EndNode(_Node, tag="end", frozen=True, kw_only=True):
    """The scenario is over for the person."""

    outcome: str = ""


Node = SendNode | WaitNode | WaitForResponseNode | BranchNode | SplitNode | ActionNode | EndNode


class EventTrigger(_Strict, tag="event", frozen=True, kw_only=True):
    """Something happens to one person."""

    event: Literal["follow", "linked", "purchase", "first_purchase", "tag_added"]
    tag: str = ""


class SegmentTrigger(_Strict, tag="segment", frozen=True, kw_only=True):
    """Every day at a clock time, everybody who fulfils the condition then."""

    condition: dict[str, Any]
    daily_at: str


class ManualTrigger(_Strict, tag="manual", frozen=True, kw_only=True):
    """Somebody enters a person through the API."""


class Reentry(_Strict, frozen=True, kw_only=True):
    """Whether a person may enter again: never, after his last run ended and `cooldown` has passed, or for every occurrence."""

    mode: Literal["never", "after_exit", "always"] = "never"
    cooldown: str = "P1D"


class Goal(_Strict, frozen=True, kw_only=True):
    """What the scenario is for; who reaches it leaves."""

    event: Literal["purchase"]


class QuietHours(_Strict, frozen=True, kw_only=True):
    """The JST hours in which nothing leaves."""

    start: str
    end: str
    policy: Literal["delay", "skip"] = "delay"


class Scenario(_Strict, frozen=True, kw_only=True):
    """A whole scenario as it is drawn. account: the LINE account that sends; empty: any that reaches the person."""

    schema: Literal["scenario/1"]
    name: str
    trigger: EventTrigger | SegmentTrigger | ManualTrigger
    start: str
    nodes: dict[str, Node]
    account: str = ""
    filter: dict[str, Any] | None = None
    reentry: Reentry = Reentry()
    goal: Goal | None = None
    exits: list[Literal["blocked", "opted_out"]] = []
    quiet_hours: QuietHours | None = None
    layout: dict[str, Any] = {}

    def node(self, node_id: str) -> Node:
        """Return a node that the linter has seen."""
        return self.nodes[node_id]

    def window(self) -> DeliveryWindow | None:
        """Return the hours in which promotional messages may leave."""
        return DeliveryWindow.parse(self.quiet_hours.end, self.quiet_hours.start) if self.quiet_hours else None


def parse(data: object) -> Scenario:
    """Return the scenario in a JSON value. Raises InvalidError(`scenario.malformed`) with the path of the first mistake."""
    try:
        return msgspec.convert(data, Scenario)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at ")
        raise InvalidError("scenario.malformed", path=path.strip("`") or "$", problem=sentence) from error


def to_json(scenario: Scenario) -> dict[str, Any]:
    """Return the JSON value of a scenario."""
    data: dict[str, Any] = msgspec.to_builtins(scenario)
    return data


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the grammar."""
    return msgspec.json.schema(Scenario)


def exits_of(node: Node) -> list[str]:
    """Return the ids of the nodes that may follow."""
    match node:
        case SendNode():
            return [node.next, *([node.unreachable] if node.unreachable else [])]
        case WaitNode() | ActionNode():
            return [node.next]
        case WaitForResponseNode():
            return [node.responded, node.timed_out]
        case BranchNode():
            return [*(case.next for case in node.cases), node.otherwise]
        case SplitNode():
            return [share.next for share in node.shares]
        case EndNode():
            return []


def main_exit(node: Node) -> str:
    """Return where a cohort itself goes on; who leaves by another exit joins another cohort."""
    exits = exits_of(node)
    match node:
        case WaitForResponseNode():
            return node.timed_out
        case BranchNode():
            return node.otherwise
        case SplitNode():
            return max(node.shares, key=lambda share: share.weight).next
        case _:
            return exits[0] if exits else ""


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
        found += _wait_problems("P1D", scenario.trigger.daily_at or "?")
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


def wait_ends(node: WaitNode | WaitForResponseNode, begins_at: datetime) -> datetime:
    """Return when a wait that begins at an instant is over."""
    length = node.duration if isinstance(node, WaitNode) else node.timeout
    return due_after(begins_at, parse_duration(length), parse_hhmm(node.at) if node.at else None)


def share_of(node: SplitNode, scenario_id: str, node_id: str, cid: int) -> str:
    """Return where a split sends a person: by a hash of person and node, so the same in every version."""
    digest = hashlib.sha256(f"{cid}|{scenario_id}|{node_id}".encode()).digest()
    point = int.from_bytes(digest[:8]) % sum(share.weight for share in node.shares)
    for share in node.shares:
        point -= share.weight
        if point < 0:
            return share.next
    raise AssertionError("the shares of a split add up to less than their sum")

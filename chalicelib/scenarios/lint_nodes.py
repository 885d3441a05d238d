"""What is wrong inside one node; pure."""

from __future__ import annotations

from typing import assert_never

from chalicelib.messages.model import canonical
from chalicelib.scenarios.graph import (
    ActionNode,
    BranchNode,
    EndNode,
    Node,
    Scenario,
    SendNode,
    SplitNode,
    WaitForResponseNode,
    WaitNode,
)
from chalicelib.scenarios.lint_parts import (
    LONGEST_WAIT,
    OF_TRIGGER,
    Found,
    Known,
    check_date,
    check_length,
    check_named,
    check_names,
    check_occasion,
    check_time,
    holds_always,
    read_condition,
)

_MOST_OFFSET_DAYS = LONGEST_WAIT.days
_MOST_WEIGHT = 1_000_000
# By verb: what it needs, and what it may have besides.
ACTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "tag_add": (("tag",), ()),
    "tag_remove": (("tag",), ()),
    "attribute_set": (("attribute", "value"), ()),
    "attribute_add": (("attribute", "by"), ()),
    "score_add": (("by",), ()),
    "scenario_start": (("scenario",), ()),
    "scenario_stop": (("scenario",), ()),
    "notify_staff": (("text",), ()),
    "webhook": (("target",), ("data",)),
    "rich_menu": (("target",), ()),
    "coupon": (("target",), ()),
    "points": (("by",), ()),
}
_PARTS = ("tag", "attribute", "value", "by", "scenario", "target", "text", "data")
_LONGEST_ATTRIBUTE, _LONGEST_TEXT = 100, 500
_LARGEST = 10**12  # DynamoDB keeps 38 digits, and sums of many additions shall fit too


def check(scenario: Scenario, node: Node, found: Found, knows: Known | None) -> None:
    """Look at a node whose edges are whole."""
    match node:
        case SendNode():
            _send(node, found, knows)
        case WaitNode():
            _wait(node, found)
        case WaitForResponseNode():
            check_length(node.timeout, "timeout", LONGEST_WAIT, found, may_be_nothing=bool(node.at or node.weekdays))
            if node.at:
                check_time(node.at, "at", found)
            if node.on:
                check_occasion(node.on, "on", found, knows)
        case BranchNode():
            _branch(scenario, node, found, knows)
        case SplitNode():
            if len(node.shares) < 2 or any(not 1 <= share.weight <= _MOST_WEIGHT for share in node.shares):
                found.add("shares_malformed", most=_MOST_WEIGHT)
        case ActionNode():
            _action(node, found, knows)
        case EndNode():
            pass
        case _:
            assert_never(node)


def _send(node: SendNode, found: Found, knows: Known | None) -> None:
    if node.account and node.channel != "line":
        found.add("account_without_line", "account")
    check_named("account", node.account, "account", found, knows)
    if knows is None:
        return
    template = knows.template(node.template)
    if template is None:
        found.add("template_unknown", "template", name=node.template[:100])
        return
    if template.channel != node.channel:
        found.add("template_of_other_channel", "template", name=node.template, channel=template.channel.value)
    links = template.links | {template.content.get("link") or ""}  # the second is a letter's QR code
    for link in sorted(links - {""}):
        check_named("link", link, "template", found, knows)


def _wait(node: WaitNode, found: Found) -> None:
    if node.at:
        check_time(node.at, "at", found)
    if node.until is None:
        check_length(node.duration or "P0D", "duration", LONGEST_WAIT, found, may_be_nothing=bool(node.at or node.weekdays))
        for way in ("missing", "past"):
            if getattr(node, way):
                found.add("way_without_until", way)
        return
    if node.duration or node.weekdays:
        found.add("wait_two_ways", "until")
    until = node.until
    check_date(until.date, "until.date", found, may_be_of_trigger=True)
    if abs(until.offset_days) > _MOST_OFFSET_DAYS:
        found.add("offset_too_far", "until.offset_days", most_days=_MOST_OFFSET_DAYS)
    if until.before:
        check_length(until.before, "until.before", LONGEST_WAIT, found)
        if not until.date.startswith(OF_TRIGGER) or node.at or until.offset_days or until.yearly:
            found.add("before_without_instant", "until.before")


def _branch(scenario: Scenario, node: BranchNode, found: Found, knows: Known | None) -> None:
    if not node.cases:
        found.add("no_cases", "cases")
    seen: set[str] = set()
    is_decided = False
    for index, case in enumerate(node.cases):
        path = f"cases[{index}].when"
        expression = read_condition(case.when, path, found, knows, in_run=True)
        if expression is None:
            continue
        check_names(expression, path, scenario, found, knows)
        same = canonical(case.when)
        if is_decided or same in seen:
            found.add("case_never_reached", path)
        seen.add(same)
        is_decided = is_decided or holds_always(expression)


def _action(node: ActionNode, found: Found, knows: Known | None) -> None:
    needed, besides = ACTIONS[node.do]
    given = {part for part in _PARTS if _is_given(part, getattr(node, part))}
    for part in needed:
        if part not in given:
            found.add("action_incomplete", part, action=node.do)
    for part in _PARTS:
        if part in given and part not in (*needed, *besides):
            found.add("action_word", part, action=node.do)
    check_named("action", node.do, "do", found, knows)
    check_named("tag", node.tag, "tag", found, knows)
    if node.do == "webhook":
        check_named("webhook", node.target, "target", found, knows)
    if len(node.attribute) > _LONGEST_ATTRIBUTE or '"' in node.attribute:
        found.add("attribute_malformed", "attribute", most=_LONGEST_ATTRIBUTE)
    if len(node.text) > _LONGEST_TEXT or len(str(node.value)) > _LONGEST_TEXT:
        found.add("text_too_long", "text" if node.text else "value", most=_LONGEST_TEXT)
    for part, number in (("by", node.by), ("value", node.value)):
        if isinstance(number, int | float) and abs(number) > _LARGEST:
            found.add("number_too_large", part, most=_LARGEST)
    if node.do in ("scenario_start", "scenario_stop") and node.scenario and knows is not None:
        if node.scenario == knows.scenario_id:
            found.add("scenario_itself", "scenario")
        else:
            check_named("scenario", node.scenario, "scenario", found, knows)


def _is_given(part: str, value: object) -> bool:
    """Say whether a part of an action was written: an attribute may become False or 0, but 0 is nothing to add."""
    return value is not None if part == "value" else bool(value)

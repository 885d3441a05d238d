"""From a scenario's graph to an Amazon States Language machine: one version, one machine; pure.

An execution carries one cohort: {"cohort", "due", "run"}, then {"go", "shards"} besides. `Due` waits for the cohort's instant,
`Gate` closes it and says where it stands, `At` goes there. `run` tells an execution that another one has taken over. Behind
every node follow `<node>.next` (where does the cohort go) and `<node>.go` (a choice), so the picture in AWS looks like the
marketer's. Portable on purpose: JSONPath, no heartbeats, no batchers (local-aws.md section 3).
"""

from __future__ import annotations

from typing import Any

from chalicelib.scenarios.graph import Node, Scenario, WaitForResponseNode, exits_of, is_timed

MOST_SHARDS = 40  # inline Map's own limit
_TASK_SECONDS = 290
_RETRY = [
    {
        "ErrorEquals": ["States.TaskFailed", "States.Timeout"],
        "IntervalSeconds": 2,
        "BackoffRate": 2,
        "MaxDelaySeconds": 300,
        "MaxAttempts": 15,
        "JitterStrategy": "FULL",
    }
]
_LONGEST = 31_536_000 - 86_400  # an execution ends after a year; a day is left for what its last wait leads to
_PARK, _STOP = "Parked", "Stopped"
# What the function may answer beside a node's id; no node id can look like these.
GO_PARK, GO_STOP = "#park", "#stop"
State = dict[str, Any]


def machine_name(stage: str, scenario_id: str, version: int) -> str:
    """Return the name of a version's machine (AWS allows 80 characters)."""
    return f"enishi-{stage}-{scenario_id}-v{version}"


def compile_machine(scenario: Scenario, scenario_id: str, version: int, function_arn: str) -> dict[str, Any]:
    """Return the machine of a linted scenario. function_arn: the scenario_steps function."""
    states: dict[str, State] = {
        "Due": {"Type": "Wait", "TimestampPath": "$.due", "Next": "Gate"},
        "Gate": _task(function_arn, "gate", {}, "At"),
        "At": _choice(sorted(scenario.nodes)),
        _PARK: {"Type": "Succeed", "Comment": "一時停止中: 位置はDynamoDBにあり、再開で続きから始まります"},
        _STOP: {"Type": "Succeed"},
    }
    for node_id, node in scenario.nodes.items():
        states |= _states(node_id, node, function_arn)
    return {
        "Comment": f"{scenario.name} ({scenario_id} v{version})",
        "StartAt": "Due",
        "TimeoutSeconds": _LONGEST,
        "States": states,
    }


def _states(node_id: str, node: Node, function_arn: str) -> dict[str, State]:
    follow = f"{node_id}.next"
    constants = {"node": node_id, "due.$": "$.due"}
    pages = not is_timed(node) or isinstance(node, WaitForResponseNode)
    if pages:
        constants["shards.$"] = "$.stayed"
    tail = {follow: _task(function_arn, "advance", constants, f"{node_id}.go"), f"{node_id}.go": _choice(exits_of(node))}
    comment = node.label or type(node).__name__
    if not is_timed(node):
        return {node_id: _sharded(node_id, function_arn, follow, comment), **tail}
    wait = {"Type": "Wait", "TimestampPath": "$.due", "Comment": comment, "Next": f"{node_id}.answers" if pages else follow}
    answers = {f"{node_id}.answers": _sharded(node_id, function_arn, follow, comment)} if pages else {}
    return {node_id: wait, **answers, **tail}


def _task(function_arn: str, op: str, constants: dict[str, Any], following: str) -> State:
    payload = {"op": op, "cohort.$": "$.cohort", "run.$": "$.run", **constants}
    return {**_invoke(function_arn, payload), "Next": following}


def _invoke(function_arn: str, payload: dict[str, Any]) -> State:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "TimeoutSeconds": _TASK_SECONDS,
        "Parameters": {"FunctionName": function_arn, "Payload": payload},
        "ResultSelector": {"answer.$": "$.Payload"},
        "OutputPath": "$.answer",
        "Retry": _RETRY,
    }


def _sharded(node_id: str, function_arn: str, following: str, comment: str) -> State:
    """Every shard on its own, page after page, so that no call lives long."""
    work = f"{node_id}.page"
    payload = {
        "op": "page",
        "node": node_id,
        "cohort.$": "$.cohort",
        "run.$": "$.run",
        "due.$": "$.due",
        "shard.$": "$.shard",
        "cursor.$": "$.cursor",
        "stayed.$": "$.stayed",
        "calls.$": "$.calls",
    }
    more = {"Variable": "$.cursor", "StringEquals": "", "Next": f"{node_id}.done"}
    return {
        "Type": "Map",
        "Comment": comment,
        "ItemsPath": "$.shards",
        "MaxConcurrency": MOST_SHARDS,
        "ItemSelector": {
            "cohort.$": "$.cohort",
            "run.$": "$.run",
            "due.$": "$.due",
            "shard.$": "$$.Map.Item.Value",
            "cursor": "",
            "stayed": 0,
            "calls": 0,
        },
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "INLINE"},
            "StartAt": work,
            "States": {
                work: {**_invoke(function_arn, payload), "Next": f"{node_id}.more"},
                f"{node_id}.more": {"Type": "Choice", "Choices": [more], "Default": work},
                f"{node_id}.done": {"Type": "Succeed"},
            },
        },
        "ResultPath": "$.stayed",
        "Next": following,
    }


def _choice(targets: list[str]) -> State:
    ways = {GO_PARK: _PARK, GO_STOP: _STOP} | {target: target for target in targets}
    choices = [{"Variable": "$.go", "StringEquals": word, "Next": state} for word, state in ways.items()]
    return {"Type": "Choice", "Choices": choices, "Default": _STOP}


def problems_of(machine: dict[str, Any]) -> list[str]:
    """Return every Next, Default, Catch or StartAt that leads nowhere: MiniStack and cfn-lint do not look."""
    states = machine["States"]
    found = [] if machine["StartAt"] in states else [f"StartAt -> {machine['StartAt']}"]
    for name, state in states.items():
        targets = [state.get("Next"), state.get("Default")]
        targets += [choice["Next"] for choice in state.get("Choices", [])]
        targets += [catch["Next"] for catch in state.get("Catch", [])]
        found += [f"{name} -> {target}" for target in targets if target and target not in states]
        if "ItemProcessor" in state:
            found += problems_of(state["ItemProcessor"])
    return found

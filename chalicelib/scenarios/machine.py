"""A small interpreter of the Amazon States Language that our compiler writes; pure, and exact about what AWS would count.

What it does not know it refuses, so that the compiler cannot drift away from it. Sources of the counts: Step Functions
pricing (one transition each time a state is entered, also inside a Map), GetExecutionHistory (which events a state makes).
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import msgspec

from chalicelib.kernel.clock import from_text

MOST_EVENTS = 25_000  # quota of a Standard execution's history
MOST_BYTES = 256 * 1024  # quota of a state's input or output
Call = Callable[[dict[str, Any]], Mapping[str, Any]]
Walk = Generator[datetime, None, str]

# Entered, scheduled, started, succeeded, exited; entered, exited; a map besides its iterations; an iteration besides its states.
_TASK_EVENTS, _STATE_EVENTS, _MAP_EVENTS, _ITERATION_EVENTS = 5, 2, 4, 2
_PARTS = {
    "Task": {"Resource", "TimeoutSeconds", "Parameters", "ResultSelector", "OutputPath", "Retry", "Next"},
    "Choice": {"Choices", "Default"},
    "Wait": {"TimestampPath", "Next"},
    "Map": {"ItemsPath", "MaxConcurrency", "ItemSelector", "ItemProcessor", "ResultPath", "Next"},
    "Succeed": set(),
}


@dataclass(slots=True)
class Tally:
    """What executions came to. most_events, most_bytes: of the longest one, of the largest input or output of a state."""

    executions: int = 0
    transitions: int = 0
    events: int = 0
    calls: int = 0
    most_events: int = 0
    most_bytes: int = 0


def check(machine: Mapping[str, Any]) -> None:
    """Raise NotImplementedError when a machine has a state or a part of one that `walk` does not know."""
    for name, state in machine["States"].items():
        unknown = set(state) - _PARTS.get(state["Type"], set()) - {"Type", "Comment"}
        if state["Type"] not in _PARTS or unknown:
            raise NotImplementedError(f"{name}: {state['Type']} {sorted(unknown)}")
        if state["Type"] == "Map":
            inside = state["ItemProcessor"]
            if (
                any(inner["Type"] == "Wait" for inner in inside["States"].values())
                or not inside["ProcessorConfig"]["Mode"] == "INLINE"
            ):
                raise NotImplementedError(f"{name}: only inline maps without waits")
            check(inside)


def walk(machine: Mapping[str, Any], data: Mapping[str, Any], call: Call, tally: Tally) -> Walk:
    """Walk one execution of a checked machine from its start to its end; yield each instant that it waits for.

    Whoever drives it goes on when that instant has come. call: the function, given the payload of a task; what it raises
    comes out, for there are no retries here. Returns the name of the state in which it ended.
    """
    execution = _Execution(call, tally)
    tally.executions += 1
    execution.events = 1  # ExecutionStarted
    states = machine["States"]
    name: str = machine["StartAt"]
    state_data = dict(data)
    while True:
        state = states[name]
        if state["Type"] == "Wait":
            execution.enter(_STATE_EVENTS)
            yield from_text(_path(state["TimestampPath"], state_data))
            name = state["Next"]
            continue
        following, state_data = execution.do(state, state_data)
        if following is None:
            execution.events += 1  # ExecutionSucceeded
            tally.events += execution.events
            tally.most_events = max(tally.most_events, execution.events)
            return name
        name = following


class _Execution:
    def __init__(self, call: Call, tally: Tally) -> None:
        self._call = call
        self._tally = tally
        self.events = 0

    def enter(self, events: int) -> None:
        self._tally.transitions += 1
        self.events += events

    def do(self, state: Mapping[str, Any], data: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
        match state["Type"]:
            case "Task":
                self.enter(_TASK_EVENTS)
                return state["Next"], self._task(state, data)
            case "Choice":
                self.enter(_STATE_EVENTS)
                return _choose(state, data), data
            case "Succeed":
                self.enter(_STATE_EVENTS)
                return None, data
            case "Map":
                self.enter(_MAP_EVENTS)
                results = [self._item(state, data, value) for value in _path(state["ItemsPath"], data)]
                if state["ResultPath"] != "$.stayed":
                    raise NotImplementedError(state["ResultPath"])
                return state["Next"], self._weighed({**data, "stayed": results})
            case unknown:
                raise NotImplementedError(unknown)

    def _item(self, state: Mapping[str, Any], data: dict[str, Any], value: object) -> dict[str, Any]:
        self.events += _ITERATION_EVENTS
        inner = _fill(state["ItemSelector"], data, value)
        states = state["ItemProcessor"]["States"]
        name: str | None = state["ItemProcessor"]["StartAt"]
        while name is not None:
            name, inner = self.do(states[name], inner)
        return inner

    def _task(self, state: Mapping[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        self._tally.calls += 1
        answer = self._call(_fill(state["Parameters"], data)["Payload"])
        selected = _fill(state["ResultSelector"], {"Payload": answer})
        return self._weighed(cast("dict[str, Any]", _path(state["OutputPath"], selected)))

    def _weighed(self, data: dict[str, Any]) -> dict[str, Any]:
        size = len(msgspec.json.encode(data))
        self._tally.most_bytes = max(self._tally.most_bytes, size)
        return data


def _path(path: str, data: Any) -> Any:
    found = data
    for name in path.removeprefix("$").strip(".").split("."):
        found = found[name] if name else found
    return found


def _fill(template: Mapping[str, Any], data: Mapping[str, Any], item: object = None) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for name, value in template.items():
        if isinstance(value, Mapping):
            filled[name] = _fill(value, data, item)
        elif name.endswith(".$"):
            filled[name[:-2]] = item if value == "$$.Map.Item.Value" else _path(value, data)
        else:
            filled[name] = value
    return filled


def _choose(state: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    for choice in state["Choices"]:
        if _path(choice["Variable"], data) == choice["StringEquals"]:
            return str(choice["Next"])
    return str(state["Default"])

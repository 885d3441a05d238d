"""Step Functions, EventBridge Scheduler and the work queue on a virtual clock: thirty days in a second.

It interprets the machine that was really published, state by state, and calls the doors that AWS would call. What it does not
know it refuses, so that the compiler cannot drift away from it.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from chalicelib.entrypoints import scenario_steps, workers
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.clock import from_text
from tests.builders import Stage

_TASK = {"Type", "Resource", "TimeoutSeconds", "Parameters", "ResultSelector", "OutputPath", "Retry", "Next"}


class Runner:
    """Runs whatever a stage's world started. trips: every Lambda call that a machine made."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.trips: list[tuple[str, dict[str, Any]]] = []
        self.failed: list[str] = []
        self.before: Callable[[dict[str, Any]], None] = lambda payload: None
        self._seen: set[str] = set()
        self._heap: list[tuple[datetime, int, str, str, Any]] = []
        self._count = 0

    def until(self, moment: datetime) -> None:
        """Let time pass to a moment, and everything happen that falls due."""
        while True:
            self._take_up()
            fires = sorted((at, name) for name, (at, _) in self.stage.schedules.armed.items() if at <= moment)
            waits = self._heap[0][0] if self._heap and self._heap[0][0] <= moment else None
            if fires and (waits is None or fires[0][0] <= waits):
                self._at(fires[0][0])
                _, event = self.stage.schedules.armed.pop(fires[0][1])
                workers.tick(json.loads(json.dumps(event)), self.stage.world)
            elif waits is not None:
                _, _, execution, state, data = heapq.heappop(self._heap)
                self._at(waits)
                self._go(execution, state, data)
            else:
                self._at(moment)
                return

    def days(self, count: float) -> None:
        """Let days pass."""
        self.until(self.stage.clock.now() + timedelta(days=count))

    def _at(self, moment: datetime) -> None:
        if moment > self.stage.clock.now():
            self.stage.clock.set(moment)

    def _take_up(self) -> None:
        while self.stage.work.messages:
            body, _ = self.stage.work.messages.pop(0)
            enqueue(workers.do(json.loads(body), self.stage.world), self.stage.world)
        for execution, (machine, data) in list(self.stage.machines.started.items()):
            if execution not in self._seen:
                self._seen.add(execution)
                self._push(self.stage.clock.now(), execution, self._machine(machine)["StartAt"], json.loads(json.dumps(data)))

    def _machine(self, name: str) -> dict[str, Any]:
        return self.stage.machines.published[name]

    def _push(self, at: datetime, execution: str, state: str, data: Any) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, execution, state, data))

    # States -----------------------------------------------------------------------------------------------------------------

    def _go(self, execution: str, name: str | None, data: Any) -> None:
        states = self._machine(self.stage.machines.started[execution][0])["States"]
        while name is not None:
            state = states[name]
            if state["Type"] == "Wait":
                at = from_text(_path(state["TimestampPath"], data))
                if at > self.stage.clock.now():
                    self._push(at, execution, name, data)
                    return
                name = state["Next"]
                continue
            try:
                name, data = self._do(state, data)
            except Exception as error:  # noqa: BLE001 - an execution fails, the world goes on
                self.failed.append(f"{execution} at {name}: {error!r}")
                return

    def _do(self, state: Mapping[str, Any], data: Any) -> tuple[str | None, Any]:
        match state["Type"]:
            case "Task":
                return state.get("Next"), self._task(state, data)
            case "Choice":
                return _choose(state, data), data
            case "Map":
                results = [self._item(state, data, value) for value in _path(state["ItemsPath"], data)]
                assert state["ResultPath"] == "$.stayed"
                return state["Next"], {**data, "stayed": results}
            case "Succeed":
                return None, data
            case unknown:
                raise NotImplementedError(unknown)

    def _item(self, state: Mapping[str, Any], data: Any, value: Any) -> Any:
        inner = _fill(state["ItemSelector"], data, value)
        name: str | None = state["ItemProcessor"]["StartAt"]
        while name is not None:
            name, inner = self._do(state["ItemProcessor"]["States"][name], inner)
        return inner

    def _task(self, state: Mapping[str, Any], data: Any) -> Any:
        assert set(state) <= _TASK, f"an unknown part of a task: {set(state) - _TASK}"
        payload = json.loads(json.dumps(_fill(state["Parameters"], data)["Payload"]))
        (retry,) = state["Retry"]
        for attempt in range(retry["MaxAttempts"] + 1):
            self.trips.append((payload["op"], payload))
            try:
                self.before(payload)
                answer = json.loads(json.dumps(scenario_steps.handle(payload, self.stage.world)))
                return _path(state["OutputPath"], _fill(state["ResultSelector"], {"Payload": answer}))
            except Exception:
                if attempt == retry["MaxAttempts"]:
                    raise
                seconds = min(retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt, retry["MaxDelaySeconds"])
                self.stage.clock.advance(seconds=seconds)
        raise AssertionError("unreachable")


def _path(path: str, data: Any) -> Any:
    found = data
    for name in path.removeprefix("$").strip(".").split("."):
        found = found[name] if name else found
    return found


def _fill(template: Mapping[str, Any], data: Any, item: Any = None) -> dict[str, Any]:
    filled: dict[str, Any] = {}
    for name, value in template.items():
        if isinstance(value, Mapping):
            filled[name] = _fill(value, data, item)
        elif name.endswith(".$"):
            filled[name[:-2]] = item if value == "$$.Map.Item.Value" else _path(value, data)
        else:
            filled[name] = value
    return filled


def _choose(state: Mapping[str, Any], data: Any) -> str:
    for choice in state["Choices"]:
        if _path(choice["Variable"], data) == choice["StringEquals"]:
            return str(choice["Next"])
    return str(state["Default"])

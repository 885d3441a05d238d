"""Step Functions, EventBridge Scheduler and the work queue on a virtual clock: thirty days in a second.

The machine that was really published is walked by the rehearsal's interpreter, and the doors are called that AWS would call, with
its retries. What it does not know it refuses, so that the compiler cannot drift away from it.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from chalicelib.entrypoints import scenario_steps, workers
from chalicelib.entrypoints.steps import enqueue
from chalicelib.scenarios.machine import Tally, Walk, check, walk
from tests.builders import Stage


class Runner:
    """Runs whatever a stage's world started. trips: every Lambda call that a machine made."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.trips: list[tuple[str, dict[str, Any]]] = []
        self.failed: list[str] = []
        self.before: Callable[[dict[str, Any]], None] = lambda payload: None
        self._seen: set[str] = set()
        self._heap: list[tuple[datetime, int, str, Walk]] = []
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
                _, _, execution, way = heapq.heappop(self._heap)
                self._at(waits)
                self._go(execution, way)
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
                definition = self.stage.machines.published[machine]
                check(definition)
                (retry,) = definition["States"]["Gate"]["Retry"]
                way = walk(definition, json.loads(json.dumps(data)), partial(self._call, retry), Tally())
                self._push(self.stage.clock.now(), execution, way)

    def _push(self, at: datetime, execution: str, way: Walk) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, execution, way))

    def _go(self, execution: str, way: Walk) -> None:
        try:
            for at in way:
                if at > self.stage.clock.now():
                    self._push(at, execution, way)
                    return
        except Exception as error:  # noqa: BLE001 - an execution fails, the world goes on
            self.failed.append(f"{execution}: {error!r}")

    def _call(self, retry: Mapping[str, Any], given: dict[str, Any]) -> Mapping[str, Any]:
        """Call the function as AWS does: again, and later each time, when it fails."""
        payload = json.loads(json.dumps(given))
        for attempt in range(retry["MaxAttempts"] + 1):
            self.trips.append((payload["op"], payload))
            try:
                self.before(payload)
                answer: Mapping[str, Any] = json.loads(json.dumps(scenario_steps.handle(payload, self.stage.world)))
            except Exception:
                if attempt == retry["MaxAttempts"]:
                    raise
                seconds = min(retry["IntervalSeconds"] * retry["BackoffRate"] ** attempt, retry["MaxDelaySeconds"])
                self.stage.clock.advance(seconds=seconds)
            else:
                return answer
        raise AssertionError("unreachable")

"""Gives MiniStack 1.5.33 our virtual clock, and counts what it is doing, so that a time machine knows when all is quiet.

MiniStack sleeps for real: a Wait of seven days takes seven days. Its functions that sleep are replaced by ones that register
the virtual instant they wait for; one thread follows the clock file and wakes whoever is due. These are private names of
MiniStack, so `local.ministack` refuses any other version, and tests/house/test_local.py runs over them.
"""

from __future__ import annotations

import contextvars
import heapq
import itertools
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

from local.clock import FileClock

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOOK_SECONDS = 0.005
_SLOW_LOOKS = 40  # looks between two searches for what no clock setting announces: stopped executions, a fast clock
_NO_DEADLINE_SECONDS = 99999  # MiniStack's own number for "waits for ever" (stepfunctions._invoke_activity)
_FIXED_START_DELAY = 0.15  # stepfunctions._run_execution sleeps this long before every execution
_SCHEDULE_TICK_SECONDS = 0.2


class Overlay:
    """A module with a few names replaced, shown to one other module only."""

    def __init__(self, module: ModuleType, **replaced: Any) -> None:
        self.__dict__.update(replaced)
        self.__dict__["_module"] = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@dataclass(slots=True)
class _Execution:
    """A running execution and how many of its branches can make a step: it is busy while fewer than that many wait."""

    record: dict[str, Any]
    branches: int = 0


@dataclass(slots=True)
class _Wait:
    due: float | None
    execution: _Execution | None
    done: threading.Event = field(default_factory=threading.Event)
    timed_out: bool = False

    def wake(self) -> None:
        if not self.done.is_set():
            self.timed_out = True
            self.done.set()


class VirtualTime:
    """The waits of one MiniStack process and the thread that ends them."""

    def __init__(self, clock: FileClock) -> None:
        self.clock = clock
        self.applied_real = 0.0  # the `real` stamp of the clock setting whose waits and schedules have all been woken
        self.on_look: list[Callable[[float], None]] = []
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._due: list[tuple[float, int]] = []
        self._waits: dict[int, _Wait] = {}
        self._executions: dict[int, _Execution] = {}
        self._counts = {"seq": 0, "lambda_inflight": 0, "async_inflight": 0, "transitions": 0}
        self._current: contextvars.ContextVar[_Execution | None] = contextvars.ContextVar("execution", default=None)
        self._in_branch: contextvars.ContextVar[bool] = contextvars.ContextVar("in_branch", default=False)

    def start(self) -> None:
        """Begin to follow the clock."""
        threading.Thread(target=self._follow, daemon=True, name="virtual-time").start()

    def wait_until(self, due: float) -> None:
        """Sleep until the virtual instant `due` or until the execution was stopped."""
        if due > self.clock.seconds():
            wait = _Wait(due, self._current.get())
            with self._registered(wait):
                wait.done.wait()

    def wait_for(self, event: threading.Event, timeout_seconds: float | None) -> bool:
        """Wait for somebody's answer with a virtual time-out; say whether it came."""
        forever = timeout_seconds is None or timeout_seconds >= _NO_DEADLINE_SECONDS
        due = None if forever or timeout_seconds is None else self.clock.seconds() + timeout_seconds
        wait = _Wait(due, self._current.get(), done=event)
        with self._registered(wait):
            threading.Event.wait(event)
        return not wait.timed_out

    @contextmanager
    def counted(self, what: str) -> Iterator[None]:
        """Count something as in flight for the length of the block."""
        self.add(what, 1)
        try:
            yield
        finally:
            self.add(what, -1)

    def add(self, what: str, number: int) -> None:
        """Add to a count of things in flight."""
        with self._lock:
            self._counts[what] += number
            self._counts["seq"] += 1

    @contextmanager
    def running(self, record: dict[str, Any]) -> Iterator[None]:
        """Count an execution as running for the length of the block."""
        execution = _Execution(record)
        self._current.set(execution)
        with self._lock:
            self._executions[id(execution)] = execution
            self._counts["seq"] += 1
        try:
            yield
        finally:
            with self._lock:
                self._executions.pop(id(execution), None)
                self._counts["seq"] += 1

    @contextmanager
    def branch(self) -> Iterator[None]:
        """Count a Parallel branch or a Map item; nothing outside an execution."""
        execution = self._current.get()
        self._in_branch.set(True)
        with self._branches(execution, +1):
            yield

    @contextmanager
    def fanning_out(self) -> Iterator[None]:
        """A branch that fans out again makes no step of its own meanwhile."""
        with self._branches(self._current.get() if self._in_branch.get() else None, -1):
            yield

    def counts(self) -> dict[str, int]:
        """Return what is in flight, and `seq`, which moves with every change."""
        with self._lock:
            return dict(self._counts)

    def next_wait(self) -> float | None:
        """Return the virtual instant at which the next wait ends."""
        with self._lock:
            return min((wait.due for wait in self._waits.values() if wait.due is not None), default=None)

    def busy(self) -> tuple[list[str], set[str]]:
        """Return the ARNs of executions that can make a step now, and of all that run."""
        with self._lock:
            waits, executions = list(self._waits.values()), list(self._executions.values())
        waiting: dict[int, int] = {}
        for wait in waits:
            if wait.execution is not None and not wait.done.is_set():
                waiting[id(wait.execution)] = waiting.get(id(wait.execution), 0) + 1
        busy = [_arn(each) for each in executions if waiting.get(id(each), 0) < max(1, each.branches)]
        return busy, {_arn(each) for each in executions}

    @contextmanager
    def _branches(self, execution: _Execution | None, number: int) -> Iterator[None]:
        if execution is None:
            yield
            return
        self._add_branches(execution, number)
        try:
            yield
        finally:
            self._add_branches(execution, -number)

    def _add_branches(self, execution: _Execution, number: int) -> None:
        with self._lock:
            execution.branches += number
            self._counts["seq"] += 1

    @contextmanager
    def _registered(self, wait: _Wait) -> Iterator[None]:
        number = next(self._numbers)
        with self._lock:
            self._waits[number] = wait
            self._counts["seq"] += 1
            if wait.due is not None:
                heapq.heappush(self._due, (wait.due, number))
        try:
            yield
        finally:
            with self._lock:
                self._waits.pop(number, None)
                self._counts["seq"] += 1

    def _follow(self) -> None:
        for look in itertools.count():
            time.sleep(_LOOK_SECONDS)
            setting = self.clock.setting()
            for wait in self._ended(setting.seconds(time.time()), with_stopped=look % _SLOW_LOOKS == 0):
                wait.wake()
            if setting.real != self.applied_real or (setting.scale != 1 and look % _SLOW_LOOKS == 0):
                for act in self.on_look:
                    act(setting.seconds(time.time()))
                self.applied_real = setting.real

    def _ended(self, now: float, *, with_stopped: bool) -> list[_Wait]:
        ended = []
        with self._lock:
            while self._due and self._due[0][0] <= now:
                wait = self._waits.get(heapq.heappop(self._due)[1])
                if wait is not None:
                    ended.append(wait)
            if with_stopped:
                ended += [w for w in self._waits.values() if w.execution and w.execution.record.get("status") != "RUNNING"]
        return ended


def _arn(execution: _Execution) -> str:
    return str(execution.record.get("executionArn", ""))


def patch_step_functions(virtual: VirtualTime, module: Any) -> None:
    """Make Wait states, callbacks, retries and time stamps of Step Functions follow the virtual clock."""

    class VirtualEvent(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return self.is_set() or virtual.wait_for(self, timeout)

    def sleep_until(text: str) -> None:
        try:
            moment = datetime.fromisoformat(text)
        except (ValueError, TypeError):
            return  # as MiniStack does; AWS fails the execution, which the scenario compiler's own check covers
        virtual.wait_until(moment.timestamp())

    module._scaled_sleep = lambda seconds: virtual.wait_until(virtual.clock.seconds() + seconds)
    module._sleep_until = sleep_until
    module.time = Overlay(time, sleep=lambda seconds: None if seconds == _FIXED_START_DELAY else time.sleep(seconds))
    module.threading = Overlay(threading, Event=VirtualEvent)
    module.now_iso = lambda: _iso(virtual.clock.now())
    _count_executions(virtual, module)


def _count_executions(virtual: VirtualTime, module: Any) -> None:
    run, run_branch = module._run_execution, module._run_sub_machine

    def counted_run(arn: str) -> None:
        with virtual.running(module._executions.get(arn) or {}):
            run(arn)
        virtual.add("transitions", 1)  # into the state that ends it

    def counted_branch(*arguments: Any, **named: Any) -> Any:
        with virtual.branch():
            try:
                return run_branch(*arguments, **named)
            finally:
                virtual.add("transitions", 1)

    def parent(fan_out: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **named: Any) -> Any:
            with virtual.fanning_out():
                return fan_out(*arguments, **named)

        return counted

    module._run_execution = counted_run
    module._run_sub_machine = counted_branch
    module._run_map_items = parent(module._run_map_items)
    module._run_parallel_branches = parent(module._run_parallel_branches)
    for kind in ("task", "choice", "wait", "map"):
        setattr(module, f"_execute_{kind}", _counting(virtual, getattr(module, f"_execute_{kind}")))


def _counting(virtual: VirtualTime, enter: Callable[..., Any]) -> Callable[..., Any]:
    """Count state transitions, by which AWS bills; retries, which it bills too, are not seen here."""

    def counted(*arguments: Any, **named: Any) -> Any:
        virtual.add("transitions", 1)
        return enter(*arguments, **named)

    return counted


def patch_scheduler(virtual: VirtualTime, module: Any) -> None:
    """Make EventBridge Scheduler follow the virtual clock, and look at its schedules as soon as the clock is set."""
    tick, one_at_a_time = module._tick_schedules, threading.Lock()

    def guarded_tick() -> None:
        with one_at_a_time:  # the ticker and a clock jump must not both fire one at()
            tick()

    module.time = Overlay(time, time=virtual.clock.seconds)
    module._SCHEDULE_TICK_INTERVAL = _SCHEDULE_TICK_SECONDS
    module._tick_schedules = guarded_tick
    virtual.on_look.append(lambda _now: guarded_tick())


def patch_queues(virtual: VirtualTime, module: Any) -> None:
    """Let a jump of the clock shorten SQS delays. Visibility time-outs stay real: they guard work that takes real time."""
    shown = [virtual.clock.seconds() - time.time()]

    def hasten(now: float) -> None:
        lead = now - time.time()
        jump, shown[0] = lead - shown[0], lead
        if jump <= 0:
            return
        for queue in list(module._queues._data.values()):
            for message in list(queue.get("messages") or ()):
                if not message.get("receive_count") and message.get("visible_at", 0) > time.time():
                    message["visible_at"] -= jump

    virtual.on_look.append(hasten)


def count_invocations(virtual: VirtualTime, module: Any) -> None:
    """Count Lambda invocations in flight, the asynchronous ones from the moment they were accepted."""
    dispatch = module._execute_function_dispatch

    def counted_dispatch(*arguments: Any, **named: Any) -> Any:
        with virtual.counted("lambda_inflight"):
            return dispatch(*arguments, **named)

    class CountedThread(threading.Thread):
        """Counts only the threads that `invoke_async_with_retry` makes: the module starts many others."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            given: tuple[Any, ...] = named.get("args") or ()
            self._counts = bool(given) and "invoke_async_with_retry" in getattr(given[0], "__qualname__", "")

        def start(self) -> None:
            if self._counts:
                virtual.add("async_inflight", 1)
            super().start()

        def run(self) -> None:
            try:
                super().run()
            finally:
                if self._counts:
                    virtual.add("async_inflight", -1)

    module._execute_function_dispatch = counted_dispatch
    module.threading = Overlay(threading, Thread=CountedThread)


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"

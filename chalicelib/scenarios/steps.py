"""What one call of a state machine does: gate, page, advance; the same in Lambda and in a rehearsal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from chalicelib.kernel.clock import from_text
from chalicelib.kernel.errors import DomainError, SendingStoppedError
from chalicelib.kernel.facts import Fact
from chalicelib.scenarios.engine import Engine, Halt

# Every call costs an execution 7 of its 25,000 events, so one call does many pages (engines.md 1.5: at most 25,000 members).
_PAGES = 50


class Steps:
    """Answers the machines. Every answer goes back into the machine's state as it is.

    react: does what follows from facts. pause_for: parks a cohort's scenario for a reason. has_time: whether this call may
    begin another page.
    """

    def __init__(
        self,
        engine: Engine,
        react: Callable[[Sequence[Fact]], None],
        pause_for: Callable[[str, str], None],
        has_time: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._react = react
        self._pause_for = pause_for
        self._has_time = has_time

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Do one operation for a cohort."""
        match event["op"]:
            case "gate":
                return self._engine.gate(event["cohort"], event["run"])
            case "page":
                return self._pages(event)
            case "advance":
                return self._engine.advance(event["cohort"], event["run"], event["node"], _due(event), event.get("shards"))
            case unknown:
                raise DomainError("step.unknown", op=unknown)

    def _pages(self, event: Mapping[str, Any]) -> dict[str, Any]:
        cursor, stayed, halted = event["cursor"], event["stayed"], False
        for _ in range(_PAGES):
            try:
                cursor, count, facts = self._engine.page(
                    event["cohort"], event["run"], event["node"], _due(event), event["shard"], cursor
                )
            except Halt:
                cursor, halted = "", True
                break
            except SendingStoppedError as error:
                self._pause_for(event["cohort"], error.reason)
                cursor, halted = "", True
                break
            self._react(facts)
            stayed += count
            if not cursor or not self._has_time():
                break
        answer = {name: event[name] for name in ("cohort", "run", "due", "shard")}
        return {**answer, "cursor": cursor, "stayed": stayed, "calls": event["calls"] + 1, "halted": halted}


def _due(event: Mapping[str, Any]) -> datetime:
    return from_text(event["due"])

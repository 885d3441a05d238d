"""What one call of a state machine does: gate, page, advance; the same in Lambda and in a rehearsal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from chalicelib.kernel.clock import from_text
from chalicelib.kernel.errors import DomainError, SendingStoppedError, TemporaryError
from chalicelib.kernel.facts import Fact
from chalicelib.scenarios.engine import Engine, Halt

# Every call costs an execution 7 of its 25,000 events, so one call does many pages (engines.md 1.5: at most 25,000 members).
_PAGES = 50
# Where the other side asks for patience for hours, eight shards' calls have filled half of an execution's history by then: a
# fresh one begins the node again, and passes those who have got theirs without waiting.
_MOST_CALLS = 200
_LONGEST_PATIENCE = 15.0
_FIRST_AGAIN = "#first"  # an empty cursor says that a shard is through


class Steps:
    """Answers the machines. Every answer goes back into the machine's state as it is.

    react: does what follows from facts. pause_for: parks a cohort's scenario for a reason. has_time: whether this call may
    begin another page. patience: waits so many seconds.
    """

    def __init__(
        self,
        engine: Engine,
        react: Callable[[Sequence[Fact]], None],
        pause_for: Callable[[str, str], None],
        has_time: Callable[[], bool],
        patience: Callable[[float], None],
    ) -> None:
        self._engine = engine
        self._react = react
        self._pause_for = pause_for
        self._has_time = has_time
        self._patience = patience

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
        cursor = "" if event["cursor"] == _FIRST_AGAIN else event["cursor"]
        stayed, halted, is_through, has_waited = event["stayed"], False, False, False
        for _ in range(_PAGES):
            try:
                following, count, facts = self._engine.page(
                    event["cohort"], event["run"], event["node"], _due(event), event["shard"], cursor
                )
            except Halt:
                halted = True
            except SendingStoppedError as error:
                self._pause_for(event["cohort"], error.reason)
                halted = True
            except TemporaryError as error:
                if not error.retry_after_seconds:
                    raise  # the machine tries again
                # The other side asks for patience: this page goes on where it stopped, and no try of the machine's is used up.
                has_waited = True
                self._patience(min(error.retry_after_seconds, _LONGEST_PATIENCE))
                if self._has_time():
                    continue
                break
            else:
                self._react(facts)
                stayed += count
                cursor, is_through = following, not following
            if halted or is_through or not self._has_time():
                break
        cursor = "" if halted or is_through else cursor or _FIRST_AGAIN
        return self._answer(event, cursor, stayed, halted=halted, has_waited=has_waited)

    def _answer(self, event: Mapping[str, Any], cursor: str, stayed: int, *, halted: bool, has_waited: bool) -> dict[str, Any]:
        calls = event["calls"] + 1
        tired = bool(cursor) and has_waited and calls >= _MOST_CALLS
        answer = {name: event[name] for name in ("cohort", "run", "due", "shard")}
        ends = {"cursor": "" if tired else cursor, "halted": halted, "tired": tired}
        return {**answer, **ends, "stayed": stayed, "calls": calls}


def _due(event: Mapping[str, Any]) -> datetime:
    return from_text(event["due"])

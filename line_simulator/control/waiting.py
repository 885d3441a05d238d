"""Waiting for what happens, under /_sim/await, so that tests in any language need no polling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from line_simulator.control.values import Answer, seconds_of
from line_simulator.exchange import SimulatorError
from line_simulator.world.state import JsonObject

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator

_WAIT_SECONDS: Final = 10.0
_WAIT_MAX_SECONDS: Final = 120.0


class Waiting:
    """GET /_sim/await?event=message or ?operation=pushMessage, with channel, timeout and after if wanted."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line

    def routes(self) -> dict[tuple[str, str], Answer]:
        """Return the answers by method and path."""
        return {("GET", "/_sim/await"): self._await}

    def _await(self, _: JsonObject, query: dict[str, str]) -> Any:
        """The first webhook answered 2xx that carries the event, or the first answered call; 408 when none comes in time.

        `number` of the answer, given as `after` of the next question, finds the next one.
        """
        timeout = seconds_of(query, "timeout", _WAIT_SECONDS, _WAIT_MAX_SECONDS)
        after = query.get("after", "0")
        if not (after.isascii() and after.isdigit() and len(after) < 16):
            raise SimulatorError("after must be the number of an earlier answer.")
        operation = query.get("operation") or query.get("operationId")
        channel = query.get("channel")
        try:
            if "event" in query:
                delivery = self._line.await_event(query["event"], timeout, channel, int(after))
                return {"number": delivery.id, "webhook": delivery.describe()}
            if operation:
                number, call = self._line.await_call(operation, timeout, channel, int(after))
                return {"number": number, "request": call.describe()}
        except TimeoutError as error:
            raise SimulatorError(str(error), 408) from None
        raise SimulatorError("Say what to wait for: event=message (a webhook) or operation=pushMessage (a call).")

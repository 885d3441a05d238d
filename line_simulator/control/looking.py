"""What happened, under /_sim/: messages, calls, webhooks, invariants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from line_simulator.control.describe import describe_message
from line_simulator.control.values import Answer, need, need_text, number_of
from line_simulator.exchange import SimulatorError
from line_simulator.world.state import JsonObject

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator

_CALLS_DEFAULT: Final = 200
_MESSAGES_DEFAULT: Final = 10_000


class Looking:
    """Reading and replaying."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line

    def routes(self) -> dict[tuple[str, str], Answer]:
        """Return the answers by method and path."""
        return {
            ("GET", "/_sim/messages"): self._messages,
            ("GET", "/_sim/requests"): self._requests,
            ("GET", "/_sim/webhooks"): self._webhooks,
            ("POST", "/_sim/webhooks"): self._send_webhook,
            ("GET", "/_sim/invariants"): self._invariants,
            ("GET", "/_sim/coverage"): lambda _, __: {"operations": self._line.api.coverage()},
            ("GET", "/_sim/status"): lambda _, __: dict(self._line.status()),
        }

    def _messages(self, _: JsonObject, query: dict[str, str]) -> Any:
        """Messages received, of ?user= (user id, person id or name) and ?channel= if given; the newest ?limit= (10,000)."""
        world, limit = self._line.world, number_of(query, "limit", _MESSAGES_DEFAULT)
        only = world.channel(query["channel"]) if "channel" in query else None
        if "user" not in query:
            return {"messages": [describe_message(one) for one in self._line.latest_messages(limit, only)]}
        with world.lock:
            channels = [only] if only else list(world.state.channels.values())
            person = world.person(query["user"])
            found = [
                received for channel in channels for received in world.received(channel, person.user_ids.get(channel.provider, ""))
            ]
        return {"messages": [describe_message(one) for one in found[-limit:]]}

    def _requests(self, _: JsonObject, query: dict[str, str]) -> Any:
        calls = [
            call
            for call in self._line.requests
            if query.get("path", call.path) == call.path and query.get("status", str(call.status)) == str(call.status)
        ]
        limit = number_of(query, "limit", _CALLS_DEFAULT)
        return {"requests": [call.describe() for call in calls[-limit:]], "total": self._line.journal.total}

    def _webhooks(self, _: JsonObject, query: dict[str, str]) -> Any:
        log = [one for one in self._line.webhooks if query.get("channel", one.channel_id) == one.channel_id]
        return {"webhooks": [one.describe() for one in log[-number_of(query, "limit", _CALLS_DEFAULT) :]]}

    def _send_webhook(self, body: JsonObject, _: dict[str, str]) -> Any:
        events = need(body, "events")
        if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
            raise SimulatorError("events must be a list of objects.")
        return self._line.send_events(self._line.world.channel(need_text(body, "channel")), events).describe()

    def replay(self, delivery_id: int) -> Any:
        """Send a webhook of the log again. Raises SimulatorError."""
        try:
            return self._line.webhook_queue.replay(delivery_id).describe()
        except KeyError:
            raise SimulatorError(f"There is no webhook {delivery_id}.", 404) from None

    def _invariants(self, _: JsonObject, query: dict[str, str]) -> Any:
        verdict = self._line.invariants(unique_content=query.get("content") == "unique")
        return {
            "ok": verdict.ok,
            "broken": verdict.broken,
            "repeatedContent": verdict.repeated,
            "delivered": verdict.delivered,
        }

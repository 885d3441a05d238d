"""Crowds with habits under /_sim/actors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from line_simulator.control.values import Answer, need_text
from line_simulator.exchange import SimulatorError
from line_simulator.people.habits import Habits, read_habits
from line_simulator.world.clock import parse_duration
from line_simulator.world.state import JsonObject

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator

CROWD_MOST = 1_000_000


class Crowd:
    """Giving habits, taking them away, and seeing what came of them."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line

    def routes(self) -> dict[tuple[str, str], Answer]:
        """Return the answers by method and path."""
        return {
            ("GET", "/_sim/actors"): lambda _, __: {"actors": msgspec.to_builtins(self._line.actors.describe())},
            ("POST", "/_sim/actors"): self._add,
            ("DELETE", "/_sim/actors"): self._remove,
        }

    def _add(self, body: JsonObject, _: dict[str, str]) -> Any:
        """Take {"channel", "habits": {…}, "people": [keys] or "crowd": number, "arriveWithin": "7d"}."""
        unknown = set(body) - {"channel", "habits", "people", "crowd", "arriveWithin"}
        if unknown:
            raise SimulatorError(f"Actors have no {sorted(unknown)[0]!r}; they have channel, habits, people, crowd, arriveWithin.")
        channel = self._line.world.channel(need_text(body, "channel"))
        habits = read_habits(body["habits"]) if "habits" in body else Habits()
        people, crowd = body.get("people"), body.get("crowd", 0)
        if people is not None and not (isinstance(people, list) and all(isinstance(one, str) for one in people)):
            raise SimulatorError("people must be a list of names or ids.")
        if isinstance(crowd, bool) or not isinstance(crowd, int) or not 0 <= crowd <= CROWD_MOST:
            raise SimulatorError("crowd must be a number from 0 to 1,000,000.")
        within = parse_duration(body["arriveWithin"]) if "arriveWithin" in body else None
        group = self._line.act(habits, channel, people, crowd=crowd, arrive_seconds=within)
        return {"id": group.id, "people": None if group.user_ids is None else len(group.user_ids)}

    def _remove(self, _: JsonObject, query: dict[str, str]) -> Any:
        """Take the habits of ?id=, of all groups of ?channel=, or of everybody away."""
        channel = self._line.world.channel(query["channel"]) if "channel" in query else None
        return {"removed": self._line.actors.remove(query.get("id"), channel)}

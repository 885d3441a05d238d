"""Breaking things and moving time, under /_sim/."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from line_simulator.clock import parse_duration, parse_moment
from line_simulator.control.values import Answer
from line_simulator.exchange import SimulatorError
from line_simulator.fault_kinds import FAULTS
from line_simulator.state import JsonObject

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator


class Changing:
    """Faults, clock, reset."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line

    def routes(self) -> dict[tuple[str, str], Answer]:
        """Return the answers by method and path."""
        return {
            ("GET", "/_sim/faults"): lambda _, __: {"faults": self._line.faults.describe(), "kinds": FAULTS},
            ("POST", "/_sim/faults"): self._add_fault,
            ("DELETE", "/_sim/faults"): lambda _, __: self._line.faults.remove(),
            ("GET", "/_sim/clock"): lambda _, __: self._clock(),
            ("POST", "/_sim/clock"): self._move_clock,
            ("POST", "/_sim/reset"): lambda _, __: self._line.reset(),
        }

    def _add_fault(self, body: JsonObject, _: dict[str, str]) -> Any:
        conditions = dict(body)
        kind = conditions.pop("kind", None) or conditions.pop("fault", None)
        if not isinstance(kind, str):
            raise SimulatorError(f"Name the kind of fault; known are {', '.join(sorted(FAULTS))}.")
        rule = self._line.faults.add(kind, **conditions)
        return {"id": rule.id, "kind": rule.kind}

    def _clock(self) -> JsonObject:
        now = self._line.clock.now()
        return {"now": now.isoformat(), "epoch": now.timestamp(), "scale": self._line.clock.scale}

    def _move_clock(self, body: JsonObject, _: dict[str, str]) -> Any:
        if not self._line.world.settings.accept_sim_clock:
            raise SimulatorError("This simulator's clock is not moved from here.", 409)
        if not body or not set(body) <= {"advance", "set", "scale"}:
            raise SimulatorError('Say {"advance": "20m"}, {"set": "2026-11-22T09:00:00+09:00"} or {"scale": 60}.')
        if "set" in body:
            self._line.clock.set(parse_moment(body["set"]))
        if "advance" in body:
            self._line.clock.advance(parse_duration(body["advance"]))
        if "scale" in body:
            self._line.clock.set_scale(parse_duration(body["scale"]))
        return self._clock()

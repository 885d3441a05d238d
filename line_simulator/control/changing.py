"""Breaking things, moving time, rate limits and settings, under /_sim/."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any, Final

import msgspec

from line_simulator.api.limits import DEFAULT_RATE
from line_simulator.control.values import Answer, need_text, snake
from line_simulator.exchange import SimulatorError
from line_simulator.faults.fault_kinds import FAULTS
from line_simulator.world.clock import parse_duration, parse_moment, parse_scale
from line_simulator.world.settings import Settings
from line_simulator.world.state import JsonObject

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator

# Read when the simulator starts.
_FIXED_SETTINGS: Final = ("accept_sim_clock", "journal_size", "rich_menu_progress_limit")


class Changing:
    """Faults, clock, limits, settings, reset."""

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
            ("GET", "/_sim/limits"): lambda _, __: self._limits(),
            ("POST", "/_sim/limits"): self._set_limit,
            ("DELETE", "/_sim/limits"): lambda _, __: self._line.limits.restore(),
            ("GET", "/_sim/settings"): lambda _, __: self._settings(),
            ("POST", "/_sim/settings"): self._set_settings,
            ("POST", "/_sim/reset"): lambda _, __: self._line.reset(),
        }

    def _add_fault(self, body: JsonObject, _: dict[str, str]) -> Any:
        conditions = dict(body)
        kind = conditions.pop("kind", None) or conditions.pop("fault", None)
        if not isinstance(kind, str):
            raise SimulatorError(f"Name the kind of fault; known are {', '.join(sorted(FAULTS))}.")
        if "operationId" in conditions:
            conditions["operation"] = conditions.pop("operationId")
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
        # All is read before anything moves.
        moment = parse_moment(body["set"]) if "set" in body else None
        seconds = parse_duration(body["advance"]) if "advance" in body else None
        scale = parse_scale(body["scale"]) if "scale" in body else None
        if moment is not None:
            self._line.clock.set(moment)
        if seconds is not None:
            self._line.clock.advance(seconds)
        if scale is not None:
            self._line.clock.set_scale(scale)
        return self._clock()

    def _limits(self) -> JsonObject:
        limits = self._line.limits
        rates = {name: asdict(rate) for name, rate in sorted(limits.rates.items())}
        return {"unlimited": limits.unlimited, "default": asdict(DEFAULT_RATE), "operations": rates}

    def _set_limit(self, body: JsonObject, _: dict[str, str]) -> Any:
        """Take {"operation": "pushMessage", "calls": 5, "seconds": 1} or {"unlimited": true}."""
        if set(body) == {"unlimited"} and isinstance(body["unlimited"], bool):
            self._line.limits.unlimited = body["unlimited"]
            return self._limits()
        operation, calls, seconds = need_text(body, "operation"), body.get("calls"), body.get("seconds", 1)
        self._line.limits.set(operation, calls, seconds)
        return self._limits()

    def _settings(self) -> JsonObject:
        return {_camel(name): value for name, value in asdict(self._line.world.settings).items()}

    def _set_settings(self, body: JsonObject, _: dict[str, str]) -> Any:
        """Take settings by their names, as GET shows them."""
        world, given = self._line.world, {snake(name): value for name, value in body.items()}
        known = [field.name for field in fields(Settings) if field.name not in _FIXED_SETTINGS]
        for name in given:
            if name not in known:
                raise SimulatorError(f"There is no setting {name!r} to change; known are {', '.join(map(_camel, known))}.")
        try:
            world.settings = msgspec.convert({**asdict(world.settings), **given}, Settings)
        except UnicodeError:
            raise SimulatorError("A setting cannot be half a character.") from None
        except msgspec.ValidationError as error:
            raise SimulatorError(f"A setting cannot be that: {error}.") from None
        return self._settings()


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.title() for word in rest)

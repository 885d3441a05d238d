"""Rules that make the simulated LINE, or the way to it, fail on purpose. The kinds are in fault_kinds.py."""

from __future__ import annotations

import math
import random
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, Final

from line_simulator.exchange import SimulatorError
from line_simulator.faults.fault_kinds import API_FAULTS, FAULTS, KNOWN_OPERATIONS, SCOPES, WEBHOOK_FAULTS
from line_simulator.faults.fault_kinds import LOGIN_FAULTS as LOGIN_FAULTS

_SECONDS_MAX: Final = 86_400.0
_COUNT_MAX: Final = 10_000


@dataclass(slots=True)
class Fault:
    """One rule. Unset conditions match everything.

    method, path and operation choose calls: path is a shell pattern such as "/v2/bot/message/*", operation an operationId.
    event chooses webhooks by their type. channel: id or name. nth: only these matches, counted from 1.
    after: so many matches pass first. probability: of the rest. times: how often at most.
    seconds and count mean what the kind says. code: the errorCode of a kind that has one.
    """

    kind: str
    id: str = ""
    method: str | None = None
    path: str | None = None
    operation: str | None = None
    channel: str | None = None
    event: str | None = None
    nth: list[int] | None = None
    after: int = 0
    probability: float = 1.0
    times: int | None = None
    seconds: float = 3.0
    count: int | None = None
    code: int | None = None
    matched: int = 0
    applied: int = 0


_CONDITIONS: Final = tuple(field.name for field in fields(Fault) if field.name not in ("kind", "id", "matched", "applied"))
_TEXTS: Final = ("method", "path", "operation", "channel", "event")


class Faults:
    """The rules in force, in order; the first that applies wins."""

    def __init__(self, seed: int | None = None) -> None:
        self._rules: list[Fault] = []
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._count = 0

    def add(self, kind: str, /, **conditions: Any) -> Fault:
        """Add a rule. Raises SimulatorError naming what is not known."""
        rule = _checked(kind, conditions)
        with self._lock:
            self._count += 1
            rule.id = f"f{self._count}"
            # A new list, so that a glance without the lock sees the old or the new one.
            self._rules = [*self._rules, rule]
        return rule

    def remove(self, rule_id: str | None = None) -> None:
        """Remove one rule, or all. Raises SimulatorError 404 if there is no such rule."""
        with self._lock:
            left = [rule for rule in self._rules if rule_id is not None and rule.id != rule_id]
            if rule_id is not None and len(left) == len(self._rules):
                raise SimulatorError(f"There is no fault with id {rule_id!r}.", 404)
            self._rules = left

    def describe(self) -> list[dict[str, Any]]:
        """Return the rules with how often each matched and was applied."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def for_call(
        self, method: str, path: str, channel: tuple[str, str] | None, operation: str = "", *, paged: bool = False
    ) -> Fault | None:
        """Return the fault for a call, if any; `channel` is id and name, `paged` says that it carries a continuation token."""
        return self._first(
            lambda rule: (
                rule.kind in API_FAULTS
                and (paged or rule.kind != "next_token_expired")
                and _fits_call(rule, method, path, channel, operation)
            )
        )

    def for_webhook(self, event: str, channel: tuple[str, str]) -> Fault | None:
        """Return the fault for a webhook event, if any."""
        return self._first(
            lambda rule: (
                rule.kind in WEBHOOK_FAULTS and rule.event in (None, event) and (rule.channel is None or rule.channel in channel)
            )
        )

    def struck(self, kind: str, channel: tuple[str, str] | None = None) -> Fault | None:
        """Return the rule if a fault of this kind applies now; for kinds that an area knows how to act out."""
        return self._first(
            lambda rule: rule.kind == kind and (rule.channel is None or (channel is not None and rule.channel in channel))
        )

    def for_login(self, kinds: tuple[str, ...], channel: tuple[str, str]) -> str:
        """Return which of these kinds of LOGIN_FAULTS applies now, or nothing."""
        return next((kind for kind in kinds if self.struck(kind, channel) is not None), "")

    def _first(self, fits: Callable[[Fault], bool]) -> Fault | None:
        if not self._rules:
            return None
        with self._lock:
            for rule in self._rules:
                if fits(rule) and self._strikes(rule):
                    return rule
        return None

    def _strikes(self, rule: Fault) -> bool:
        rule.matched += 1
        if rule.matched <= rule.after or (rule.nth is not None and rule.matched not in rule.nth):
            return False
        if rule.times is not None and rule.applied >= rule.times:
            return False
        if rule.probability < 1.0 and self._random.random() >= rule.probability:
            return False
        rule.applied += 1
        return True


def asked_fault(header: str) -> Fault | None:
    """Return the fault a test asks for in the x-linesim-fault header, written as `kind` or `kind;seconds`.

    Raises SimulatorError 400 for a kind that is not one of calls, or seconds that are no number.
    """
    if not header:
        return None
    kind, _, seconds = (part.strip() for part in header.partition(";"))
    if kind not in API_FAULTS:
        raise SimulatorError(f"x-linesim-fault cannot be {kind!r}; known are {', '.join(sorted(API_FAULTS))}.", 400)
    seconds = seconds.removeprefix("seconds=")
    try:
        return _checked(kind, {"seconds": seconds} if seconds else {})
    except SimulatorError as error:
        raise SimulatorError(str(error), 400) from None


def _checked(kind: str, conditions: dict[str, Any]) -> Fault:
    if kind not in FAULTS:
        raise SimulatorError(f"There is no fault {kind!r}; known are {', '.join(sorted(FAULTS))}.")
    for name in conditions:
        if name not in _CONDITIONS:
            raise SimulatorError(f"A fault has no condition {name!r}; known are {', '.join(_CONDITIONS)}.")
    given = {name: value for name, value in conditions.items() if value is not None}
    foreign = ("event",) if kind in API_FAULTS else ("method", "path", "operation") if kind in WEBHOOK_FAULTS else ()
    for name in foreign:
        if name in given:
            raise SimulatorError(f"The fault {kind} has no condition {name!r}.")
    for name in _TEXTS:
        if not isinstance(given.get(name, ""), str):
            raise SimulatorError(f"{name} of a fault must be text.")
    operation = given.get("operation")
    if operation is not None and operation not in KNOWN_OPERATIONS:
        close = ", ".join(get_close_matches(operation, sorted(KNOWN_OPERATIONS))) or "those of GET /_sim/coverage"
        raise SimulatorError(f"There is no operation {operation!r}; known are {close}.")
    for name in ("times", "after", "count", "code"):
        if not _is_whole(given.get(name, 0)) or not 0 <= given.get(name, 0) <= _COUNT_MAX:
            raise SimulatorError(f"{name} of a fault must be a whole number from 0 to {_COUNT_MAX:,}.")
    if _is_whole(given.get("nth")):
        given["nth"] = [given["nth"]]
    if not isinstance(given.get("nth", []), list) or not all(_is_whole(one) for one in given.get("nth", [])):
        raise SimulatorError("nth of a fault must be a number or a list of numbers, counted from 1.")
    given["probability"] = _number(given, "probability", 1.0, 0.0, 1.0)
    given["seconds"] = _number(given, "seconds", 3.0, -_SECONDS_MAX, _SECONDS_MAX)
    if given["seconds"] < 0 and not kind.endswith("clock_skew"):
        raise SimulatorError("seconds of a fault must not be negative.")
    return Fault(kind, **given)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(given: dict[str, Any], name: str, default: float, lowest: float, highest: float) -> float:
    try:
        value = float(given.get(name, default))
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not lowest <= value <= highest:
        raise SimulatorError(f"probability and seconds of a fault must be numbers; {name} from {lowest:g} to {highest:g}.")
    return value


def _fits_call(rule: Fault, method: str, path: str, channel: tuple[str, str] | None, operation: str) -> bool:
    if rule.method is not None and rule.method.upper() != method:
        return False
    if rule.path is not None and not fnmatchcase(path, rule.path):
        return False
    if rule.operation is not None and rule.operation != operation:
        return False
    if rule.kind in SCOPES and operation not in SCOPES[rule.kind]:
        return False
    return rule.channel is None or (channel is not None and rule.channel in channel)

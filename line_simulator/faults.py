"""Rules that make the simulated LINE, or the way to it, fail on purpose."""

from __future__ import annotations

import random
import threading
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Final

from line_simulator.exchange import SimulatorError

API_FAULTS: Final[dict[str, str]] = {
    "rate_limited": "429, the rate limit is exceeded; nothing is accepted",
    "monthly_limit": "429, the monthly limit is reached; nothing is accepted",
    "unauthorized": "401, the token is refused; nothing is accepted",
    "forbidden": "403, not available for the account; nothing is accepted",
    "error_before_accept": "500; nothing is accepted",
    "error_after_accept": "500, although the call was accepted",
    "hang_before_accept": "no answer for `seconds`, then the connection closes; nothing is accepted",
    "hang_after_accept": "the call is accepted and answered after `seconds`",
    "drop_connection": "the call is accepted and the connection closes without an answer",
    "truncated_json": "the call is accepted and half of the JSON arrives",
}
WEBHOOK_FAULTS: Final[dict[str, str]] = {
    "webhook_duplicate": "delivered twice, without the redelivery flag",
    "webhook_reorder": "delivered after the next one",
    "webhook_delay": "delivered `seconds` later",
    "webhook_bad_signature": "the signature does not match",
    "webhook_unknown_event": "an event of an unknown type stands before it in the same body",
    "webhook_extra_fields": "unknown fields are added",
    "webhook_no_user_id": "the source carries no userId",
    "webhook_no_is_unblocked": "a follow event without its follow property",
    "webhook_wrong_destination": "the destination is another account",
    "webhook_standby": "mode standby and no reply token",
    "webhook_escaped": "non-ASCII characters are written as \\u escapes",
    "webhook_lost": "never delivered",
}
FAULTS: Final = {**API_FAULTS, **WEBHOOK_FAULTS}


@dataclass(slots=True)
class Fault:
    """One rule. Unset conditions match everything.

    path: shell pattern on the path, e.g. "/v2/bot/message/*". channel: id or name. event: webhook event type.
    nth: only these matches, counted from 1. probability: of the rest. times: how often at most.
    """

    kind: str
    id: str = ""
    method: str | None = None
    path: str | None = None
    channel: str | None = None
    event: str | None = None
    nth: list[int] | None = None
    probability: float = 1.0
    times: int | None = None
    seconds: float = 3.0
    matched: int = 0
    applied: int = 0


_NAMES: Final = {field.name for field in fields(Fault)}


class Faults:
    """The rules in force, in order; the first that applies wins."""

    def __init__(self, seed: int | None = None) -> None:
        self._rules: list[Fault] = []
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._count = 0

    def add(self, kind: str, **conditions: Any) -> Fault:
        """Add a rule. Raises SimulatorError naming what is not known."""
        if kind not in FAULTS:
            raise SimulatorError(f"There is no fault {kind!r}; known are {', '.join(sorted(FAULTS))}.")
        for name in conditions:
            if name not in _NAMES or name in ("id", "matched", "applied"):
                raise SimulatorError(f"A fault has no condition {name!r}.")
        if isinstance(conditions.get("nth"), int):
            conditions["nth"] = [conditions["nth"]]
        for name in ("method", "path", "channel", "event"):
            if not isinstance(conditions.get(name, ""), str):
                raise SimulatorError(f"{name} of a fault must be text.")
        if not isinstance(conditions.get("times", 0), int):
            raise SimulatorError("times of a fault must be a number.")
        try:
            rule = Fault(kind, **conditions)
            rule.probability, rule.seconds = float(rule.probability), float(rule.seconds)
        except (TypeError, ValueError):
            raise SimulatorError("probability and seconds of a fault must be numbers.") from None
        if not isinstance(rule.nth, list | None) or not all(isinstance(one, int) for one in rule.nth or ()):
            raise SimulatorError("nth of a fault must be a number or a list of numbers, counted from 1.")
        with self._lock:
            self._count += 1
            rule.id = f"f{self._count}"
            self._rules.append(rule)
        return rule

    def remove(self, rule_id: str | None = None) -> None:
        """Remove one rule, or all."""
        with self._lock:
            self._rules = [rule for rule in self._rules if rule_id is not None and rule.id != rule_id]

    def describe(self) -> list[dict[str, Any]]:
        """Return the rules with how often each matched and was applied."""
        with self._lock:
            return [asdict(rule) for rule in self._rules]

    def for_call(self, method: str, path: str, channel: tuple[str, str] | None) -> Fault | None:
        """Return the fault for a call, if any; `channel` is id and name."""
        if not self._rules:
            return None
        with self._lock:
            for rule in self._rules:
                if rule.kind in API_FAULTS and _fits_call(rule, method, path, channel) and self._strikes(rule):
                    return rule
        return None

    def for_webhook(self, event: str, channel: tuple[str, str]) -> Fault | None:
        """Return the fault for a webhook event, if any."""
        if not self._rules:
            return None
        with self._lock:
            for rule in self._rules:
                fits = rule.event in (None, event) and (rule.channel is None or rule.channel in channel)
                if rule.kind in WEBHOOK_FAULTS and fits and self._strikes(rule):
                    return rule
        return None

    def _strikes(self, rule: Fault) -> bool:
        rule.matched += 1
        if rule.nth is not None and rule.matched not in rule.nth:
            return False
        if rule.times is not None and rule.applied >= rule.times:
            return False
        if rule.probability < 1.0 and self._random.random() >= rule.probability:
            return False
        rule.applied += 1
        return True


def _fits_call(rule: Fault, method: str, path: str, channel: tuple[str, str] | None) -> bool:
    if rule.method is not None and rule.method.upper() != method:
        return False
    if rule.path is not None and not fnmatchcase(path, rule.path):
        return False
    return rule.channel is None or (channel is not None and rule.channel in channel)

"""LINE's rate limits: one bucket per channel, endpoint and method."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from line_simulator.api.operations import OPERATIONS
from line_simulator.exchange import SimulatorError
from line_simulator.faults.fault_kinds import KNOWN_OPERATIONS


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `calls` in `seconds`."""

    calls: int
    seconds: float


# Messaging API reference, Rate limits (as of 2026-08). Ids in the URL do not split a bucket.
DEFAULT_RATE: Final = Rate(2000, 1)
_HOURLY = Rate(60, 3600)
_MENU_CHANGES = Rate(100, 3600)
_AUDIENCES = Rate(60, 60)
_LISTS = Rate(200, 1)
RATES: Final[dict[str, Rate]] = {
    **dict.fromkeys(("narrowcast", "broadcast", "testWebhookEndpoint"), _HOURLY),
    **dict.fromkeys(("getFriendsDemographics", "getNumberOfMessageDeliveries", "getNumberOfFollowers"), _HOURLY),
    **dict.fromkeys(("getMessageEvent", "getStatisticsPerUnit"), _HOURLY),
    **dict.fromkeys(("getRichMenuInsightSummary", "getRichMenuInsightDaily"), _HOURLY),
    **{operation_id: _AUDIENCES for _, path, operation_id in OPERATIONS if path.startswith("/v2/bot/audienceGroup/")},
    **{operation_id: _LISTS for _, path, operation_id in OPERATIONS if path.startswith(("/v2/bot/membership/", "/v2/bot/coupon"))},
    "getWebhookEndpoint": Rate(1000, 60),
    "setWebhookEndpoint": Rate(1000, 60),
    # Some sections of the reference say 2,000 a second for batch progress and aliases; the stricter number is taken.
    **dict.fromkeys(("createRichMenu", "deleteRichMenu", "deleteRichMenuAlias", "getRichMenuBatchProgress"), _MENU_CHANGES),
    "richMenuBatch": Rate(3, 3600),
    "getRichMenuList": Rate(10, 1),
    "showLoadingAnimation": Rate(100, 1),
    "multicast": Rate(200, 1),
    "issueChannelToken": Rate(370, 1),
}


class Limits:
    """Token buckets, filled by virtual time. `unlimited` switches them off; `rates` overrides single operations."""

    def __init__(self) -> None:
        self.unlimited = False
        self.rates: dict[str, Rate] = dict(RATES)
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}
        self._lock = threading.Lock()

    def rate(self, operation_id: str) -> Rate:
        """Return the limit of an operation."""
        return self.rates.get(operation_id, DEFAULT_RATE)

    def take(self, channel_id: str, operation_id: str, now: float) -> bool:
        """Take one call from the bucket; False means the limit is exceeded."""
        if self.unlimited:
            return True
        rate = self.rates.get(operation_id, DEFAULT_RATE)
        key = (channel_id, operation_id)
        with self._lock:
            left, at = self._buckets.get(key, (float(rate.calls), now))
            left = min(float(rate.calls), left + max(0.0, now - at) * rate.calls / rate.seconds)
            allowed = left >= 1.0
            self._buckets[key] = (left - 1.0 if allowed else left, now)
            return allowed

    def set(self, operation_id: str, calls: Any, seconds: Any) -> None:
        """Override the limit of an operation, with a full bucket. Raises SimulatorError for what is no limit."""
        known = sorted(KNOWN_OPERATIONS)
        if operation_id not in known:
            close = ", ".join(get_close_matches(operation_id, known)) or "those of GET /_sim/coverage"
            raise SimulatorError(f"There is no operation {operation_id!r}; known are {close}.")
        numbers = isinstance(calls, int) and isinstance(seconds, (int, float)) and not isinstance(calls, bool)
        if not numbers or not 0 < calls <= 1_000_000 or not 0 < seconds <= 86_400:
            raise SimulatorError("calls must be a whole number from 1 to 1,000,000, seconds a number up to 86,400.")
        with self._lock:
            self.rates[operation_id] = Rate(calls, seconds)
            self._buckets = {key: value for key, value in self._buckets.items() if key[1] != operation_id}

    def restore(self) -> None:
        """Go back to LINE's limits, with full buckets."""
        with self._lock:
            self.unlimited, self.rates = False, dict(RATES)
            self._buckets.clear()

    def clear(self) -> None:
        """Refill all buckets."""
        self._buckets.clear()

"""Waiting, in real time, until a webhook was answered or a call was received."""

from __future__ import annotations

import time
from collections.abc import Callable
from difflib import get_close_matches
from typing import Final, TypeVar

from line_simulator.exchange import SimulatorError
from line_simulator.faults.fault_kinds import KNOWN_OPERATIONS
from line_simulator.journal import Call, Journal
from line_simulator.webhooks.webhooks import Delivery, Webhooks

T = TypeVar("T")
_LOOK_EVERY_SECONDS: Final = 0.01


def event(hooks: Webhooks, kind: str, timeout: float, channel_id: str | None, after: int) -> Delivery:
    """Return the first webhook later than number `after` that carries such an event and was answered 2xx.

    Raises TimeoutError after `timeout` real seconds.
    """

    def look() -> Delivery | None:
        for one in hooks.log():
            fits = one.id > after and kind in one.events and channel_id in (None, one.channel_id)
            if fits and one.state == "delivered":
                return one
        return None

    return _first(look, timeout, f"No webhook with a {kind} event was delivered")


def call(journal: Journal, operation: str, timeout: float, channel_id: str | None, after: int) -> tuple[int, Call]:
    """Return number and content of the first answered call of this operation later than number `after`.

    Calls are numbered from 1 in the order of their answers. Raises TimeoutError after `timeout` real seconds,
    SimulatorError for an operation that LINE does not have.
    """
    if operation not in KNOWN_OPERATIONS:
        close = ", ".join(get_close_matches(operation, sorted(KNOWN_OPERATIONS))) or "those of GET /_sim/coverage"
        raise SimulatorError(f"There is no operation {operation!r}; known are {close}.")

    def look() -> tuple[int, Call] | None:
        total, calls = journal.total, journal.calls()
        if journal.total != total:
            # One came in between, and its number is not certain; the next look will be.
            return None
        first = total - len(calls) + 1
        for number, one in enumerate(calls, first):
            if number > after and one.operation_id == operation and channel_id in (None, one.channel_id):
                return number, one
        return None

    return _first(look, timeout, f"No call of {operation} arrived")


def _first(look: Callable[[], T | None], timeout: float, complaint: str) -> T:
    deadline = time.monotonic() + timeout
    while True:
        found = look()
        if found is not None:
            return found
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{complaint} within {timeout:g} seconds.")
        time.sleep(_LOOK_EVERY_SECONDS)

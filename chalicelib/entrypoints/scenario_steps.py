"""What the state machines call: gate, page, advance."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from chalicelib.reactions import react
from chalicelib.scenarios.steps import Steps
from chalicelib.wiring import World

_SECONDS = 60.0  # no new page after this: the slowest must end before the machine's time-out of 290


def handle(event: Mapping[str, Any], here: World) -> dict[str, Any]:
    """Do one operation for a cohort; every answer goes back into the machine's state as it is."""
    begun = time.monotonic()
    steps = Steps(
        here.engine,
        react=lambda facts: react(facts, here),
        pause_for=here.upkeep.pause_for,
        has_time=lambda: time.monotonic() - begun <= _SECONDS,
        patience=time.sleep,
    )
    return steps.handle(event)

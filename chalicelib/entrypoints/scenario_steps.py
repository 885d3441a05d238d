"""What the state machines call: gate, page, advance."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chalicelib.kernel.clock import from_text
from chalicelib.kernel.errors import DomainError, SendingStoppedError
from chalicelib.reactions import react
from chalicelib.scenarios.engine import Halt
from chalicelib.wiring import World

# Every call costs an execution 7 of its 25,000 events, so one call does many pages (engines.md 1.5: at most 25,000 members).
_PAGES = 50
_SECONDS = 60.0  # no new page after this: the slowest must end before the machine's time-out of 290


def handle(event: Mapping[str, Any], here: World) -> dict[str, Any]:
    """Do one operation for a cohort; every answer goes back into the machine's state as it is."""
    engine = here.engine
    match event["op"]:
        case "gate":
            return engine.gate(event["cohort"], event["run"])
        case "page":
            return _page(event, here)
        case "advance":
            return engine.advance(event["cohort"], event["run"], event["node"], _due(event), event.get("shards"))
        case unknown:
            raise DomainError("step.unknown", op=unknown)


def _page(event: Mapping[str, Any], here: World) -> dict[str, Any]:
    cursor, stayed, halted = event["cursor"], event["stayed"], False
    begun = time.monotonic()
    for _ in range(_PAGES):
        try:
            cursor, count, facts = here.engine.page(
                event["cohort"], event["run"], event["node"], _due(event), event["shard"], cursor
            )
        except Halt:
            cursor, halted = "", True
            break
        except SendingStoppedError as error:
            here.upkeep.pause_for(event["cohort"], error.reason)
            cursor, halted = "", True
            break
        react(facts, here)
        stayed += count
        if not cursor or time.monotonic() - begun > _SECONDS:
            break
    answer = {name: event[name] for name in ("cohort", "run", "due", "shard")}
    return {**answer, "cursor": cursor, "stayed": stayed, "calls": event["calls"] + 1, "halted": halted}


def _due(event: Mapping[str, Any]) -> datetime:
    return from_text(event["due"])

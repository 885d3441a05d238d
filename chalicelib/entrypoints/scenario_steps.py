"""What the state machines call: gate, page, advance."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from chalicelib.kernel.clock import from_text
from chalicelib.kernel.errors import DomainError, QuotaExceededError
from chalicelib.wiring import World


def handle(event: Mapping[str, Any], here: World) -> dict[str, Any]:
    """Do one operation for a cohort; every answer goes back into the machine's state as it is."""
    engine = here.engine
    match event["op"]:
        case "gate":
            return engine.gate(event["cohort"])
        case "page":
            return _page(event, here)
        case "advance":
            shards = event.get("shards")
            stayed = None if shards is None else sum(shard["stayed"] for shard in shards)
            return engine.advance(event["cohort"], event["node"], _due(event), stayed)
        case unknown:
            raise DomainError("step.unknown", op=unknown)


def _page(event: Mapping[str, Any], here: World) -> dict[str, Any]:
    try:
        cursor, stayed = here.engine.page(event["cohort"], event["node"], _due(event), event["shard"], event["cursor"])
    except QuotaExceededError as error:
        here.scenarios.pause_for_quota(event["cohort"], error.reason)
        raise
    answer = {name: event[name] for name in ("cohort", "due", "shard")}
    return {**answer, "cursor": cursor, "stayed": event["stayed"] + stayed}


def _due(event: Mapping[str, Any]) -> datetime:
    return from_text(event["due"])

"""What a fault does to one call: refuse it before it is accepted, or spoil the answer after."""

from __future__ import annotations

import json
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Final

from line_simulator.exchange import ApiError, Response
from line_simulator.faults.fault_kinds import REFUSALS
from line_simulator.faults.faults import Fault

_NOTHING_ACCEPTED: Final = ("hang_before_accept", "drop_before_accept")


@lru_cache(maxsize=8)
def _http_date(second: int) -> str:
    return formatdate(second, usegmt=True)


def date_header(now: float, fault: Fault | None) -> str:
    """Return the Date header of an answer: the virtual time, ahead of it under the fault clock_skew."""
    skew = fault.seconds if fault is not None and fault.kind == "clock_skew" else 0.0
    return _http_date(int(now + skew))


def refusal(fault: Fault) -> ApiError | None:
    """Return the error of a fault that strikes before anything is accepted, None for the others."""
    if fault.kind in REFUSALS:
        return ApiError(*REFUSALS[fault.kind])
    if fault.kind in _NOTHING_ACCEPTED:
        return ApiError(500, "Internal Server Error")
    return None


def spoil(response: Response, fault: Fault) -> None:
    """Apply a fault that strikes after the call was decided."""
    match fault.kind:
        case "error_after_accept":
            response.status, response.body = 500, b'{"message":"Internal Server Error"}'
        case "hang_before_accept":
            response.delay, response.drop = fault.seconds, True
        case "hang_after_accept" | "token_slow":
            response.delay = fault.seconds
        case "drop_before_accept" | "drop_connection":
            response.drop = True
        case "truncated_json":
            response.body = response.body[: max(1, len(response.body) // 2)]
        case "insight_unready" if response.status == 200:
            unready = json.dumps(_unready(json.loads(response.body)), ensure_ascii=False, separators=(",", ":"))
            response.body = unready.encode("utf-8", "surrogatepass")


def _unready(content: dict[str, Any]) -> dict[str, Any]:
    """Return statistics as they look before LINE has counted: no figures (insight.yml, the nullable and optional fields)."""
    if "status" in content:
        return {"status": "unready"}
    if "available" in content:
        return {name: False if name == "available" else [] for name in content}
    overview = content.get("overview")
    if isinstance(overview, dict):
        kept = ("requestId", "timestamp")
        content["overview"] = {name: value if name in kept else None for name, value in overview.items()}
    return {name: [] if name in ("messages", "clicks") else value for name, value in content.items()}

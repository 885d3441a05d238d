"""Which operations of the official documents the simulator has, by its own account (GET /_sim/coverage)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from line_simulator import LineSimulator
from line_simulator.api.operations import OPERATIONS

OFFICIAL = frozenset(operation_id for _, _, operation_id in OPERATIONS)
# In LINE's reference and SDKs, but not yet in the OpenAPI documents.
BEYOND = frozenset({"pushTemplatedMessagesByPhone", "getPNPTemplatedMessageStatistics"})
# Operations the simulator has although no SDK drives them in the tests, each with the reason.
NOT_DRIVEN: dict[str, str] = {}


@cache
def levels() -> dict[str, str]:
    """Return how far each operation is simulated: full, partial or none."""
    with LineSimulator(seed=1) as line:
        return {one["operationId"]: one["level"] for one in line.api.coverage() if one["operationId"] in OFFICIAL}


def missing(operations: Iterable[str]) -> list[str]:
    """Return those of these operations that are not simulated."""
    return [one for one in operations if levels()[one] == "none"]


def simulated() -> set[str]:
    """Return the operations that are simulated, fully or partly."""
    return {name for name, level in levels().items() if level != "none"}

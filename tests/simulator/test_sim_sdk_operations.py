"""LINE's official Python SDK, unmodified, through every operation the simulator has."""

from __future__ import annotations

from functools import cache

import pytest

from line_simulator.api.operations import OPERATIONS
from tests.simulator.contract.python_sdk import SCENARIOS, Clients
from tests.simulator.contract.stage import staged

# Operations the simulator has and this SDK is not driven through, each with the reason.
NOT_DRIVEN: dict[str, str] = {}
OFFICIAL = {operation_id for _, _, operation_id in OPERATIONS}


@cache
def levels() -> dict[str, str]:
    """How far each operation of the official documents is simulated."""
    with staged() as stage:
        return {one["operationId"]: one["level"] for one in stage.line.api.coverage() if one["operationId"] in OFFICIAL}


@cache
def accepted(name: str) -> frozenset[str] | None:
    """Play a scenario and return the operations it got a 2xx from; None while the simulator lacks what it needs."""
    scenario, needs = SCENARIOS[name]
    if any(levels()[one] == "none" for one in needs):
        return None
    with staged() as stage:
        scenario(stage, Clients(stage))
        assert not stage.line.invariants().broken
        return frozenset(call.operation_id for call in stage.line.requests if 200 <= call.status < 300)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_python_sdk_is_at_home(name: str) -> None:
    if accepted(name) is None:
        pytest.skip(f"not simulated: {', '.join(one for one in SCENARIOS[name][1] if levels()[one] == 'none')}")


def test_every_simulated_operation_was_driven() -> None:
    driven = frozenset().union(*(accepted(name) or () for name in SCENARIOS))
    simulated = {name for name, level in levels().items() if level != "none"}
    assert simulated - driven == set(NOT_DRIVEN)
    assert driven <= OFFICIAL

"""LINE's official Python SDK, unmodified, through every operation the simulator has."""

from __future__ import annotations

from functools import cache

import pytest

from tests.simulator.contract.coverage import BEYOND, NOT_DRIVEN, OFFICIAL, missing, simulated
from tests.simulator.contract.python_sdk import SCENARIOS, Clients
from tests.simulator.contract.stage import staged


@cache
def accepted(name: str) -> frozenset[str]:
    """Play a scenario and return the operations it got a 2xx from."""
    with staged() as stage:
        SCENARIOS[name][0](stage, Clients(stage))
        assert not stage.line.invariants().broken
        return frozenset(call.operation_id for call in stage.line.requests if 200 <= call.status < 300)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_python_sdk_is_at_home(name: str) -> None:
    lacking = missing(SCENARIOS[name][1])
    if lacking:
        pytest.skip(f"not simulated: {', '.join(lacking)}")
    assert accepted(name)


def test_every_simulated_operation_was_driven() -> None:
    playable = [name for name, (_, needs) in SCENARIOS.items() if not missing(needs)]
    driven = frozenset().union(*(accepted(name) for name in playable))
    assert simulated() - driven == set(NOT_DRIVEN)
    assert driven <= OFFICIAL | BEYOND

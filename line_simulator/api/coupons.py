"""Coupons of an account."""

from __future__ import annotations

from line_simulator.api.calls import Operation
from line_simulator.state import World


class Coupons:
    """Coupons of an account."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {}

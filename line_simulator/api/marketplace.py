"""What only LINE's partners have: notification messages, modules, mission stickers."""

from __future__ import annotations

from line_simulator.api.calls import Operation
from line_simulator.state import World


class Marketplace:
    """What only LINE's partners have: notification messages, modules, mission stickers."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {}

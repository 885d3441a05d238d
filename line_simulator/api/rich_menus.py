"""Rich menus: create, image, alias, default, per person, bulk, batch."""

from __future__ import annotations

from line_simulator.api.calls import Operation
from line_simulator.state import World


class RichMenus:
    """Rich menus: create, image, alias, default, per person, bulk, batch."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {}

"""The API side of LINE Login v2.1: token, verify, userinfo, revoke, profile, friendship, deauthorize."""

from __future__ import annotations

from line_simulator.api.calls import Operation
from line_simulator.state import World


class Login:
    """The API side of LINE Login v2.1: token, verify, userinfo, revoke, profile, friendship, deauthorize."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {}

"""State machines: one per published scenario version, one execution per cohort."""

from __future__ import annotations

from typing import Any, Protocol


class Machines(Protocol):
    """Raises TemporaryError when the service throttles or cannot be reached."""

    def publish(self, name: str, definition: dict[str, Any]) -> None:
        """Create the state machine of this name; when it exists with the same definition, that is done already."""
        ...

    def start(self, name: str, execution: str, data: dict[str, Any]) -> None:
        """Start an execution under its own name; when one of that name exists or existed, that is done already.

        Raises NotFoundError(`machine.unknown`).
        """
        ...

    def delete(self, name: str) -> None:
        """Delete a machine; executions in flight end first."""
        ...

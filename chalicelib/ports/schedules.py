"""One-off schedules."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol


class Schedules(Protocol):
    """Raises TemporaryError when the service throttles or cannot be reached. Fires at least once, so targets are idempotent."""

    def at(self, name: str, moment: datetime, event: dict[str, Any]) -> None:
        """Call the ticks function with `event` at `moment`, then forget the schedule; replaces one of the same name."""
        ...

    def cancel(self, name: str) -> None:
        """Forget a schedule; harmless when there is none."""
        ...

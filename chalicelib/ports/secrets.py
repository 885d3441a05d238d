"""Secrets by reference."""

from __future__ import annotations

from typing import Any, Protocol


class Secrets(Protocol):
    """Raises TemporaryError when the store cannot be reached."""

    def get(self, name: str) -> dict[str, Any] | None:
        """Return the JSON object kept under a name, None when there is none; cached for up to a minute."""
        ...

    def refresh(self, name: str) -> dict[str, Any] | None:
        """Return it as it is now and not as it is remembered; asks the store at most every few seconds."""
        ...

    def put(self, name: str, value: dict[str, Any]) -> None:
        """Create or replace the JSON object under a name."""
        ...

    def delete(self, name: str) -> None:
        """Forget a name at once."""
        ...

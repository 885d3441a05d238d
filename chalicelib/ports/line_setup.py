"""What LINE's console has set up for an account, as far as the API tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from chalicelib.ports.line import LineCredentials


@dataclass(frozen=True, slots=True)
class LineSetup:
    """An account's settings at LINE. webhook_url: empty when none is set; quota: None when the plan has no limit."""

    display_name: str
    chat_mode: str
    webhook_url: str
    webhook_active: bool
    webhook_answers: bool
    webhook_reason: str
    quota: int | None
    used: int


class LineInspector(Protocol):
    """Raises TemporaryError and PermanentError."""

    def inspect(self, credentials: LineCredentials) -> LineSetup:
        """Return the settings; LINE knocks at the webhook address for this, which it allows sixty times an hour."""
        ...

"""E-mail out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Email:
    """One e-mail to one address. tags: name to value, returned in the provider's events."""

    to: str
    sender: str
    subject: str
    text: str
    html: str
    headers: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class EmailSender(Protocol):
    """Raises TemporaryError (maybe_done after a time-out), SendingStoppedError (the day's quota, paused) or PermanentError."""

    def send(self, email: Email) -> str:
        """Send and return the provider's message id."""
        ...

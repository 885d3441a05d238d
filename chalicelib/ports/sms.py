"""SMS out. Japan's carriers want a contracted sender; a domestic provider fits behind this port."""

from __future__ import annotations

from typing import Protocol


class SmsSender(Protocol):
    """Raises TemporaryError (maybe_done after a time-out) or PermanentError."""

    def send(self, to: str, text: str, reference: str) -> str:
        """Send `text` to a phone number in E.164 and return the provider's message id. reference: our delivery id."""
        ...

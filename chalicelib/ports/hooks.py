"""Webhooks out: other people's systems, told what happened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class HookCaller(Protocol):
    """Raises TemporaryError (408, 429, 5xx, no answer) with the other side's Retry-After, or PermanentError."""

    def post(self, url: str, content: bytes, headers: Mapping[str, str]) -> int:
        """Post to an address that the public can reach, follow no redirect, and return the status, 200 to 299."""
        ...

"""How many messages of the month an account has left, asked before many leave at once."""

from __future__ import annotations

import time
from collections.abc import Callable

from chalicelib.kernel.errors import QuotaExceededError
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.ports.line import Line, Quota

_REMEMBER_SECONDS = 60.0


class Quotas:
    """What LINE says about the month's messages, at most a minute old."""

    def __init__(self, line: Line, accounts: LineAccounts, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._line = line
        self._accounts = accounts
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, Quota]] = {}

    def of(self, account: str) -> Quota:
        """Return an account's quota. Raises what ports.line and LineAccounts.credentials raise."""
        known = self._known.get(account)
        if known and self._monotonic() < known[0]:
            return known[1]
        quota = self._line.quota(self._accounts.credentials(account))
        self._known[account] = (self._monotonic() + _REMEMBER_SECONDS, quota)
        return quota

    def check(self, account: str, count: int) -> None:
        """Raise QuotaExceededError when the month does not carry `count` more messages."""
        left = self.of(account).left
        if left is not None and left < count:
            self._known.pop(account)  # somebody may be buying more at this moment
            raise QuotaExceededError(f"the month has {left} messages left on this LINE account, and {count} are due")

"""Issue, check and revoke API keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import InvalidError, NotFoundError, UnauthenticatedError
from chalicelib.kernel.ids import new_id
from chalicelib.staff import table
from chalicelib.staff.model import SCOPES, ApiKey, Principal, bearer, hash_of, matches, new_secret

_REMEMBER_SECONDS = 30.0  # a revoked key may live this long in a warm container


class Staff:
    """The keys of the admin API."""

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, ApiKey, str]] = {}

    def issue(self, name: str, scopes: Iterable[str]) -> tuple[ApiKey, str]:
        """Make a key; return it and the token, which is shown this once and kept nowhere.

        Raises InvalidError(`key.scope_unknown`).
        """
        wanted = tuple(sorted(set(scopes)))
        unknown = [scope for scope in wanted if scope not in SCOPES and scope != "*"]
        if unknown or not wanted:
            raise InvalidError("key.scope_unknown", scopes=unknown, known=list(SCOPES))
        now = self._clock.now()
        key = ApiKey(new_id("enk", now), name, wanted, now)
        secret = new_secret()
        table.put(key, hash_of(secret))
        return key, f"{key.key_id}.{secret}"

    def authenticate(self, header: str) -> Principal:
        """Return who is calling. Raises UnauthenticatedError(`auth.missing` or `auth.refused`)."""
        proof = bearer(header)
        if proof is None:
            raise UnauthenticatedError("auth.missing")
        known = self._lookup(proof[0])
        if known is None or not matches(proof[1], known[1]) or known[0].is_revoked:
            raise UnauthenticatedError("auth.refused")
        return Principal(known[0].key_id, known[0].name, frozenset(known[0].scopes))

    def _lookup(self, key_id: str) -> tuple[ApiKey, str] | None:
        cached = self._known.get(key_id)
        if cached and self._monotonic() < cached[0]:
            return cached[1], cached[2]
        found = table.get(key_id)
        if found:
            self._known[key_id] = (self._monotonic() + _REMEMBER_SECONDS, *found)
        return found

    def revoke(self, key_id: str) -> None:
        """Close a key. Raises NotFoundError(`key.unknown`)."""
        if table.get(key_id) is None:
            raise NotFoundError("key.unknown", key_id=key_id)
        table.revoke(key_id)
        self._known.pop(key_id, None)

    def everyone(self) -> list[ApiKey]:
        """Return all keys, oldest first."""
        return table.everyone()

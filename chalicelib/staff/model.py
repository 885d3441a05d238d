"""API keys and what they may do."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

# area:verb; `*` may everything. Each route of the admin API names one of these.
SCOPES = (
    "accounts:read", "accounts:write",
    "archives:read", "archives:write",
    "campaigns:read", "campaigns:write",
    "customers:erase", "customers:read", "customers:write",
    "events:write",
    "friends:read",
    "imports:read", "imports:write",
    "keys:read", "keys:write",
    "letters:read",
    "links:write",
    "operations:read", "operations:write",
    "orders:read", "orders:write",
    "scenarios:read", "scenarios:write",
    "segments:read", "segments:write",
    "sources:read", "sources:write",
    "tags:read", "tags:write",
    "templates:read", "templates:write",
    "tracking:read", "tracking:write",
)  # fmt: skip


# Checked before the look-up: DynamoDB refuses keys that are too long, and that would be our fault and not the caller's.
_KEY_ID = re.compile(r"enk_[0-9A-Z]{26}\Z")


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller who has proven who he is."""

    key_id: str
    name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Say whether the caller holds a scope."""
        return scope in self.scopes or "*" in self.scopes


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as the house keeps it: without the secret."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    is_revoked: bool = False


def new_secret() -> str:
    """Return 256 random bits: no dictionary can guess them, so a plain SHA-256 protects them at rest."""
    return secrets.token_urlsafe(32)


def hash_of(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()


def matches(secret: str, kept: str) -> bool:
    """Say in constant time whether a secret is the one whose hash is kept."""
    return hmac.compare_digest(hash_of(secret), kept)


def bearer(header: str) -> tuple[str, str] | None:
    """Return (key id, secret) of an `Authorization: Bearer enk_….secret` header, None when it is not of that form."""
    scheme, _, token = header.partition(" ")
    key_id, _, secret = token.strip().partition(".")
    if scheme.lower() != "bearer" or not _KEY_ID.match(key_id) or not secret:
        return None
    return key_id, secret

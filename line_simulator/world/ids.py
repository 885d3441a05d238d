"""Identifiers in the shapes LINE uses, repeatable when a seed is given."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import threading
import uuid

USER_ID = re.compile(r"U[0-9a-f]{32}")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Ids:
    """Makes ids from one random source. A simulator's secrets protect nothing, so they may be seeded too."""

    def __init__(self, seed: int | None = None) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._message = 500_000_000_000_000_000 + self._random.randrange(10**15)

    def hex32(self) -> str:
        """Return 32 hexadecimal digits, as in channel secrets and reply tokens."""
        return f"{self._random.getrandbits(128):032x}"

    def user_id(self) -> str:
        """Return `U` and 32 hexadecimal digits (line-openapi webhook.yml, CallbackRequest.destination)."""
        return f"U{self._random.getrandbits(128):032x}"

    def channel_id(self) -> str:
        """Return ten digits beginning with 20, as the console shows today."""
        return f"20{self._random.randrange(10**8):08d}"

    def basic_id(self) -> str:
        """Return an at sign, three digits, five letters: the shape of a basic id."""
        letters = "".join(self._random.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(5))
        return f"@{self._random.randrange(1000):03d}{letters}"

    def request_id(self) -> str:
        """Return a UUID for x-line-request-id."""
        digits = f"{self._random.getrandbits(128):032x}"
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"

    def message_ids(self, count: int) -> int:
        """Reserve `count` consecutive numeric message ids and return the first."""
        with self._lock:
            first = self._message + self._random.randrange(1, 1000)
            self._message = first + count
        return first

    def token(self, size: int = 96) -> str:
        """Return an opaque token made of `size` random bytes."""
        return base64.b64encode(self._random.randbytes(size)).decode("ascii")

    def url_token(self, size: int = 24) -> str:
        """Return an opaque token that needs no percent-encoding."""
        return base64.urlsafe_b64encode(self._random.randbytes(size)).decode("ascii").rstrip("=")

    def ulid(self, epoch_seconds: float) -> str:
        """Return a ULID for the instant: 26 characters that sort by time, as in webhookEventId."""
        number = (int(epoch_seconds * 1000) << 80) | self._random.getrandbits(80)
        return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))

    def chance(self, percent: int) -> bool:
        """Return True in `percent` of a hundred draws."""
        return self._random.randrange(100) < percent

    def reseed(self, run: int) -> None:
        """Make other ids than earlier runs of the same kept world did; repeatable as before if there is a seed."""
        if self._seed is not None:
            self._random.seed(f"{self._seed}/{run}")

    @property
    def last_message(self) -> int:
        """The message id up to which all were handed out or skipped."""
        return self._message

    def skip_messages_past(self, highest: int) -> None:
        """Never again hand out a message id at or below `highest`; for a world loaded from disk."""
        with self._lock:
            self._message = max(self._message, highest)


def quote_token(message_id: str, edits: int = 0) -> str:
    """Return the quote token of a message that was edited so often; derived, so that it needs no memory."""
    source = f"{message_id}/{edits}" if edits else message_id
    return base64.urlsafe_b64encode(hashlib.blake2b(source.encode(), digest_size=48).digest()).decode("ascii")


def is_user_id(value: object) -> bool:
    """Tell whether `value` has the shape of a user id."""
    return isinstance(value, str) and USER_ID.fullmatch(value) is not None


def is_retry_key(value: str) -> bool:
    """Tell whether `value` is a UUID in its hexadecimal form with hyphens."""
    try:
        return str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False

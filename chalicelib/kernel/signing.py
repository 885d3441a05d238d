"""Proofs: LINE's webhook signature, and small signed tokens for links that leave the house."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Iterable
from typing import Any

from chalicelib.kernel.errors import InvalidError

_TAG_BYTES = 12  # 96 bits: a guess at 1,000 tries a second needs 10^18 years


def line_signature(secret: str, body: bytes) -> str:
    """Return Base64(HMAC-SHA256(secret, raw body)), LINE's x-line-signature (docs: verify-webhook-signature)."""
    return base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()


def is_signed_by(secrets: Iterable[str], body: bytes, signature: str) -> bool:
    """Say whether one of the secrets made the signature; every comparison takes constant time."""
    given = signature.encode("utf-8", "replace")
    matches = [hmac.compare_digest(line_signature(secret, body).encode(), given) for secret in secrets if secret]
    return any(matches)


def timed_signature(secret: str, stamp: str, body: bytes) -> str:
    """Return the proof of a body and its moment: `v1=` and hex(HMAC-SHA256(secret, stamp.body)); stamp: seconds since 1970."""
    return f"v1={hmac.new(secret.encode(), stamp.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


def sign_token(key: bytes, purpose: str, payload: list[Any]) -> str:
    """Return a URL-safe token that carries `payload` and proves that we made it for `purpose`."""
    body = _b64(json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode())
    return f"{body}.{_b64(_tag(key, purpose, body))}"


def read_token(key: bytes, purpose: str, token: str) -> list[Any]:
    """Return the payload of a token that we made for `purpose`. Raises InvalidError(`token.invalid`)."""
    body, _, tag = token.partition(".")
    try:
        # Compared as text: decoding would skip characters that are no Base64, so that one token had many spellings.
        if not hmac.compare_digest(tag.encode(), _b64(_tag(key, purpose, body)).encode()):
            raise InvalidError("token.invalid")
        payload = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (binascii.Error, ValueError) as error:
        raise InvalidError("token.invalid") from error
    if not isinstance(payload, list):
        raise InvalidError("token.invalid")
    return payload


def _tag(key: bytes, purpose: str, body: str) -> bytes:
    return hmac.digest(key, f"{purpose}|{body}".encode(), hashlib.sha256)[:_TAG_BYTES]


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def fingerprint(text: str) -> str:
    """Return the SHA-256 of a normalised address or key, in hexadecimal: to look up by, never to show."""
    return hashlib.sha256(text.strip().lower().encode()).hexdigest()

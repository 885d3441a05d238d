"""Where LINE knocks: secret by address, HMAC over the raw bytes, queue, 200. LINE waits two seconds, so nothing else.

This module and what it imports cost every cold start; keep PynamoDB, Jinja2 and linebot out (tests/house/test_door.py).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from chalice.app import Blueprint, Request, Response

from chalicelib import observability
from chalicelib.kernel.clock import to_text
from chalicelib.kernel.signing import is_signed_by
from chalicelib.line_accounts.model import is_key, secret_from_json, secret_name
from chalicelib.wiring import World, world

routes = Blueprint(__name__)
# SQS takes 1 MiB, but MiniStack and older queues 256 KiB; attributes count too. Larger bodies go by S3.
MOST_QUEUED_BYTES = 240_000
_UNSENDABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_JSON: dict[str, str | list[str]] = {"Content-Type": "application/json"}


# Any content type: the signature decides what comes from LINE, and a 415 would lose events for good.
@routes.route("/webhook/{account}", methods=["POST"], content_types=["*/*"])
def line_webhook(account: str) -> Response:
    """Receive events of one LINE account."""
    request = routes.current_request
    return receive(world(), account, raw_bytes(request), request.headers.get("x-line-signature") or "")


def receive(here: World, account: str, body: bytes, signature: str) -> Response:
    """Return 200 once the body is kept, 401 for a wrong or missing signature, 404 for an unknown account."""
    kept = here.secrets.get(secret_name(account)) if is_key(account) else None
    if kept is None:
        observability.count("WebhookUnknownAccount")
        return _refusal(404, "webhook.unknown_account")
    now = here.clock.now()
    if not _is_signed(here, account, kept, body, signature):
        observability.count("WebhookBadSignature", Account=account)
        return _refusal(401, "webhook.bad_signature")
    attributes = {"account": account, "received_at": to_text(now)}
    text = _as_text(body)
    if text is None or len(body) > MOST_QUEUED_BYTES:
        key = f"webhooks/{account}/{now:%Y-%m-%d}/{hashlib.sha256(body).hexdigest()}.json"
        here.files.put(key, body, "application/json")
        attributes["file"] = key
        text = "{}"
    here.events.put(text or "{}", attributes)
    return Response(body="{}", status_code=200, headers=_JSON)


def _is_signed(here: World, account: str, kept: Mapping[str, Any], body: bytes, signature: str) -> bool:
    """Say whether LINE signed this; a signature that does not fit may be made with a secret younger than our memory."""
    if not signature:
        return False
    now = here.clock.now()
    if is_signed_by(secret_from_json(kept).accepted(now), body, signature):
        return True
    fresh = here.secrets.refresh(secret_name(account))
    return fresh is not None and fresh != kept and is_signed_by(secret_from_json(fresh).accepted(now), body, signature)


def raw_bytes(request: Request) -> bytes:
    """Return the body exactly as it came."""
    body = request.raw_body
    return body.encode() if isinstance(body, str) else body


def _as_text(body: bytes) -> str | None:
    """Return the body as text when SQS can carry it: UTF-8 without the characters that XML 1.0 forbids (SendMessage)."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() or not _UNSENDABLE.search(text) else None


def _refusal(status: int, code: str) -> Response:
    return Response(body=f'{{"code":"{code}"}}', status_code=status, headers=_JSON)

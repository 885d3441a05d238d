"""Ids that sort by time and tell their kind in a log, and the dense number of a person."""

from __future__ import annotations

import re
import secrets
import uuid
from datetime import datetime
from typing import NewType, TypeGuard

from chalicelib.kernel.clock import to_millis

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

# A person's number: dense, so that an audience is a bitmap and a listing needs no index (architecture.md section 7).
Cid = NewType("Cid", int)
AccountKey = NewType("AccountKey", str)
LineUserId = NewType("LineUserId", str)
TagId = NewType("TagId", str)
TemplateId = NewType("TemplateId", str)
CampaignId = NewType("CampaignId", str)
ScenarioId = NewType("ScenarioId", str)
CohortId = NewType("CohortId", str)

_LINE_USER_ID = re.compile(r"U[0-9a-f]{32}\Z")
_NAMESPACE = uuid.UUID("5b1f4a52-9a3e-5a55-8a0e-0e2b6f0f3c11")


def new_id(prefix: str, now: datetime) -> str:
    """Return `{prefix}_{ULID}`: 48 bits of `now` in milliseconds and 80 random bits, in Crockford's base 32."""
    number = (to_millis(now) << 80) | secrets.randbits(80)
    return f"{prefix}_{_base32(number, 26)}"


def _base32(number: int, length: int) -> str:
    return "".join(_CROCKFORD[(number >> (5 * place)) & 31] for place in reversed(range(length)))


def customer_id(cid: Cid) -> str:
    """Return the public id of a person, `cus_` and ten digits of base 32."""
    return f"cus_{_base32(cid, 10)}"


def parse_customer_id(text: str) -> Cid | None:
    """Return the number behind a public id, None when `text` is not one."""
    body = text.removeprefix("cus_")
    if len(body) != 10 or body == text or any(char not in _CROCKFORD for char in body):
        return None
    number = 0
    for char in body:
        number = number * 32 + _CROCKFORD.index(char)
    return Cid(number)


def is_line_user_id(text: object) -> TypeGuard[str]:
    """Say whether `text` has the shape of a LINE user id (U and 32 hexadecimal digits)."""
    return isinstance(text, str) and bool(_LINE_USER_ID.match(text))


def derived_uuid(*parts: str) -> str:
    """Return the UUID that belongs to these parts, the same every time (LINE's retry key must be a UUID)."""
    return str(uuid.uuid5(_NAMESPACE, "\x1f".join(parts)))

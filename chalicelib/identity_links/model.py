"""Link requests and links."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.kernel.ids import AccountKey, Cid, LineUserId

# LINE's link token lives ten minutes; a nonce that outlives it could only be abused (line-platform.md 4.1).
NONCE_LIFE = timedelta(minutes=10)
_LINK_TOKEN = re.compile(r"[0-9A-Za-z_\-.=+/]{8,512}\Z")


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """A member has asked, signed in, to be linked; LINE will answer with the nonce and the friend."""

    nonce: str
    account: AccountKey
    cid: Cid
    expires_at: datetime


class LinkState(StrEnum):
    """A link takes several writes to make."""

    MAKING = "making"
    MADE = "made"


@dataclass(frozen=True, slots=True)
class IdentityLink:
    """A friend and a customer are one person. former_cid: the friend's own number, his again when the bond is undone.

    state: how far it has come.
    """

    account: AccountKey
    line_user_id: LineUserId
    cid: Cid
    former_cid: Cid
    linked_at: datetime
    state: LinkState


def new_nonce() -> str:
    """Return 256 unpredictable bits in 43 URL-safe characters (LINE: 10 to 255, at least 128 bits recommended)."""
    return secrets.token_urlsafe(32)


def is_link_token(text: str) -> bool:
    """Say whether a text can be a LINE link token: it goes into an address of LINE's, so it must bring nothing else along."""
    return bool(_LINK_TOKEN.match(text))


def redirect_payload(account: str, member_no: str, link_token: str, expires: int) -> str:
    """Return what a member site signs when it sends a signed-in member's browser to us."""
    return "\n".join((account, member_no, link_token, str(expires)))

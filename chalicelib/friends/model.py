"""Friendship of one person with one LINE account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chalicelib.kernel.clock import from_text
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.ports.database import Item


class FollowState(StrEnum):
    """UNKNOWN: seen by an event of his, but we never saw him follow; he can be sent to until LINE says otherwise."""

    FOLLOWING = "following"
    BLOCKED = "blocked"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Friend:
    """A person on one LINE account. state_at: time of the event that decided the state, None while unknown."""

    cid: Cid
    account: AccountKey
    line_user_id: LineUserId
    state: FollowState
    first_seen_at: datetime
    state_at: datetime | None = None
    display_name: str = ""
    picture_url: str = ""
    language: str = ""

    @property
    def is_reachable(self) -> bool:
        """Say whether a message to him would arrive, as far as we know."""
        return self.state is not FollowState.BLOCKED


def friend_sk(account: AccountKey) -> str:
    """Return the sort key of a person's friendship with an account."""
    return f"FR#{account}"


def from_item(cid: Cid, account: AccountKey, item: Item) -> Friend:
    """Return the friendship that a core item describes."""
    state_at = item.get("state_at") or ""
    return Friend(
        cid=cid,
        account=account,
        line_user_id=LineUserId(item["line_user_id"]),
        state=FollowState(item["state"]),
        first_seen_at=from_text(item["first_seen_at"]),
        state_at=from_text(state_at) if state_at else None,
        display_name=item.get("display_name") or "",
        picture_url=item.get("picture_url") or "",
        language=item.get("language") or "",
    )

"""Facts: what a room declares happened. A door hands them to `reactions.react`; rooms never call each other upward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from chalicelib.kernel.ids import AccountKey, Cid, LineUserId


class Evidence(StrEnum):
    """How much a reaction proves about the person (line-platform.md section 3)."""

    EXPLICIT = "A"
    PROBABLE = "B"
    WEAK = "C"

    def counts_as(self, least: str) -> bool:
        """Say whether this evidence is at least as strong as `least`, an evidence or its letter."""
        return self <= least


@dataclass(frozen=True, slots=True)
class ReplyToken:
    """LINE's free, single-use answer to one event; use it within a minute of `issued_at`, by the account that got it."""

    token: str
    issued_at: datetime
    account: AccountKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened to one person. fact_id: derived, the same when the same thing is told twice."""

    fact_id: str
    cid: Cid
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFact(Fact):
    """Something that a friend did on one LINE account."""

    account: AccountKey
    line_user_id: LineUserId
    reply: ReplyToken | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendFollowed(LineFact):
    """The person added the account as a friend, or took a block back."""

    is_unblocked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FriendBlocked(LineFact):
    """The person blocked the account (LINE: unfollow)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Responded(LineFact):
    """The person answered on LINE: a message, a postback, a video watched to its end."""

    kind: str
    evidence: Evidence = Evidence.EXPLICIT
    text: str = ""
    data: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkAnswered(LineFact):
    """LINE reported the end of an account link; `nonce` proves which member account asked for it."""

    nonce: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityLinked(LineFact):
    """A friend and a customer are now one person. former_cid: the number that the friend had before."""

    former_cid: Cid


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityUnlinked(LineFact):
    """The bond was taken back; `cid` is the friend's own number again."""

    customer_cid: Cid


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomersMerged(Fact):
    """Two customers are now one person, by hand. former_cid: the number of the one who has become part of him."""

    former_cid: Cid


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPlaced(Fact):
    """A purchase became known. is_first: the customer had none before."""

    order_no: str
    is_first: bool
    amount_yen: int
    products: tuple[str, ...] = field(default_factory=tuple)
    shop: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkClicked(Fact):
    """The person followed a tracked link. source: the delivery that carried it, e.g. `scn|dormant|send_a|…`."""

    link_id: str
    source: str
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailOpened(Fact):
    """A machine or a human loaded the picture in an e-mail."""

    source: str
    evidence: Evidence = Evidence.WEAK


@dataclass(frozen=True, slots=True, kw_only=True)
class OptedOut(Fact):
    """The person refused further mail on one delivery channel."""

    channel: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TagAdded(Fact):
    """A tag was put on the person."""

    tag_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRemoved(Fact):
    """A tag was taken off the person."""

    tag_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileChanged(Fact):
    """What is known of the person was written, perhaps the same as before. No scenario hears it; live segments look at him."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentEntered(Fact):
    """The person has come into a live segment."""

    segment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentLeft(Fact):
    """The person is no longer in a live segment."""

    segment_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurred(Fact):
    """Something that a room or an outside system reports: survey_answered, form_submitted, reservation_*, visited, custom.

    name: of the survey, form, booking menu, page or custom event. data: short texts, for the templates of what it starts.
    """

    event: str
    name: str = ""
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioAsked(Fact):
    """A scenario wants another one to begin or to end for the person. verb: start, stop."""

    scenario_id: str
    verb: str

"""Jobs, rows, frozen batches and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.facts import ReplyToken
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.kernel.windows import DeliveryWindow

ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class Send:
    """The message may leave now, to this LINE account's friend or by another channel."""

    account: AccountKey | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """The message waits."""

    until: datetime


@dataclass(frozen=True, slots=True)
class Skip:
    """The message does not leave. why: a stable word, shown in Japanese by the console."""

    why: str


Decision = Send | Hold | Skip


@dataclass(frozen=True, slots=True)
class Row:
    """A member's row in the engine table: an enrollment, or a place in a campaign. last: the visit acted on last."""

    pk: str
    sk: str
    cid: Cid
    cohort: str
    status: str
    last: str
    claim: str

    def is_open(self, cohort: str, visit: str) -> bool:
        """Say whether the row still waits for this visit in this cohort."""
        return self.cohort == cohort and self.status == ACTIVE and self.last != visit


def row_of(item: Mapping[str, Any]) -> Row:
    """Return the row that an item of the engine table describes."""
    return Row(item["pk"], item["sk"], Cid(item["cid"]), item["cohort"], item["status"], item["last"], item["claim"])


@dataclass(frozen=True, slots=True)
class Job:
    """One page of members who are to get one message.

    batch_id: derived from cohort, visit, shard and page, so that a retry finds its own batches. visit: node and instant.
    source: goes into tracking tokens, `kind|id|node`. due: the logical instant.
    """

    batch_id: str
    cohort: str
    visit: str
    channel: DeliveryChannel
    template_id: str
    source: str
    due: datetime
    account: AccountKey | None = None
    window: DeliveryWindow | None = None
    hold_outside_window: bool = True
    reply: ReplyToken | None = None


class BatchState(StrEnum):
    """FROZEN: to be sent with exactly these bodies and keys. UNKNOWN: nobody can tell any more; a person decides."""

    FROZEN = "frozen"
    SENT = "sent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the outside, frozen: who it is for, what it says, and the key that makes it repeatable."""

    members: tuple[Cid, ...]
    body: Mapping[str, Any]
    key: str


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls that were decided together. results: by call, `accepted <id>` or `failed <reason>`; "" while open."""

    batch_id: str
    number: int
    channel: DeliveryChannel
    verb: str
    account: AccountKey | None
    calls: tuple[Call, ...]
    results: tuple[str, ...]
    state: BatchState
    frozen_at: datetime
    attempted_at: datetime | None = None

    @property
    def members(self) -> frozenset[Cid]:
        """Everybody in the batch."""
        return frozenset(cid for call in self.calls for cid in call.members)


@dataclass(slots=True)
class Report:
    """What became of a page: who was claimed for it, who waits until when, who was left out and why, whom it failed to reach."""

    sent: list[Row] = field(default_factory=list)
    held: list[tuple[Row, datetime]] = field(default_factory=list)
    skipped: list[tuple[Row, str]] = field(default_factory=list)
    failed: frozenset[Cid] = frozenset()
    pending: int = 0

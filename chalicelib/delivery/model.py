"""Jobs, rows, frozen batches and what became of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.facts import ReplyToken
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.kernel.windows import DeliveryWindow, parse_duration

ACTIVE = "active"
# What is remembered of a person's messages for the sake of caps: beyond this a cap could not be kept.
LONGEST_PERIOD = timedelta(days=31)
MOST_SENDS = 100


class MachineChannel(StrEnum):
    """Ways out that end at a machine: nobody's consent, address or hour is asked."""

    WEBHOOK = "webhook"


Channel = DeliveryChannel | MachineChannel


def channel_of(text: str) -> Channel:
    """Return the channel of its word."""
    return MachineChannel.WEBHOOK if text == MachineChannel.WEBHOOK else DeliveryChannel(text)


@dataclass(frozen=True, slots=True)
class Cap:
    """A person gets at most so many messages in any such length of time.

    scope: what is counted, everything, the same scenario or campaign, or the same channel. channel: the cap binds messages
    of this channel only; "" every message. policy: whether a message beyond the cap waits or is left out.
    """

    scope: Literal["all", "source", "channel"]
    most: int
    per: timedelta
    policy: Literal["delay", "skip"]
    channel: str = ""


def parse_cap(scope: str, most: int, per: str, policy: str, channel: str = "") -> Cap:
    """Return the cap that staff wrote down; per: an ISO 8601 duration. Raises InvalidError(`cap.malformed`)."""
    length = parse_duration(per)
    if most < 1 or most > MOST_SENDS or not timedelta(0) < length <= LONGEST_PERIOD:
        raise InvalidError("cap.malformed", most=MOST_SENDS, days=LONGEST_PERIOD.days)
    if channel not in ("", *DeliveryChannel):
        raise InvalidError("cap.malformed", most=MOST_SENDS, days=LONGEST_PERIOD.days)
    match scope, policy:
        case ("all" | "source" | "channel") as what, ("delay" | "skip") as then:
            return Cap(what, most, length, then, channel)
    raise InvalidError("cap.malformed", most=MOST_SENDS, days=LONGEST_PERIOD.days)


def cap_words(cap: Cap) -> dict[str, Any]:
    """Return a cap as staff writes it: what `parse_cap` reads."""
    hours, minutes = divmod(cap.per.seconds // 60, 60)
    clock = (f"{hours}H" if hours else "") + (f"{minutes}M" if minutes else "")
    per = "P" + (f"{cap.per.days}D" if cap.per.days else "") + (f"T{clock}" if clock else "")
    return {"scope": cap.scope, "most": cap.most, "per": per, "policy": cap.policy, "channel": cap.channel}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the company allows itself whatever a scenario or campaign says. window: for those that name no hours of their own."""

    caps: tuple[Cap, ...] = ()
    window: DeliveryWindow | None = None


@dataclass(frozen=True, slots=True)
class PastSend:
    """A message that counts against caps. source: `kind|id` of the scenario or campaign."""

    at: datetime
    channel: str
    source: str


@dataclass(frozen=True, slots=True)
class Send:
    """The message may leave now, to this LINE account's friend or by another channel."""

    account: AccountKey | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """The message waits. why: `quiet_hours`, `cap` or `best_hour`."""

    until: datetime
    why: str


@dataclass(frozen=True, slots=True)
class Skip:
    """The message does not leave. why: a stable word, shown in Japanese by the console."""

    why: str


Decision = Send | Hold | Skip

# なぜ届かなかったか: why a message waited, was left out or failed, for the console: Japanese and English.
REASONS: Mapping[str, tuple[str, str]] = {
    "quiet_hours": ("配信時間外のため待っています", "waits for the delivery hours"),
    "cap": ("配信回数の上限に達したため", "the cap on messages was reached"),
    "best_hour": ("よく反応する時間帯まで待っています", "waits for the hour in which the person usually responds"),
    "opted_out": ("配信停止を希望しているため", "the person opted out of this channel"),
    "address_refused": ("宛先が使えない（不達・苦情）ため", "the address bounced or complained"),
    "no_address": ("宛先が登録されていないため", "no address is known"),
    "not_a_friend": ("友だちではないため", "not a friend of the LINE account"),
    "blocked": ("ブロックされているため", "the person has blocked the LINE account"),
    "outside_window": ("配信時間外のため送りませんでした", "outside the delivery hours"),
    "merged": ("同じ人の別の番号に送るため", "the same person gets it under another number of his"),
    "paused": ("配信が一時停止中のため", "sending was paused"),
}


def reason(word: str) -> tuple[str, str]:
    """Return the Japanese and the English sentence of a word; a word that nobody knows stands for itself."""
    return REASONS.get(word, (word, word))


@dataclass(frozen=True, slots=True)
class Row:
    """A member's row in the engine table: an enrollment, or a place in a campaign.

    last: the visit acted on last. data: what brought him here, for the placeholders `trigger.…`.
    """

    pk: str
    sk: str
    cid: Cid
    cohort: str
    status: str
    last: str
    claim: str
    data: Mapping[str, str] = field(default_factory=dict)

    def is_open(self, cohort: str, visit: str) -> bool:
        """Say whether the row still waits for this visit in this cohort."""
        return self.cohort == cohort and self.status == ACTIVE and self.last != visit


def row_of(item: Mapping[str, Any]) -> Row:
    """Return the row that an item of the engine table describes."""
    return Row(
        item["pk"],
        item["sk"],
        Cid(item["cid"]),
        item["cohort"],
        item["status"],
        item["last"],
        item["claim"],
        item.get("data") or {},
    )


@dataclass(frozen=True, slots=True)
class Job:
    """One page of members who are to get one message.

    batch_id: derived from cohort, visit, shard and page, so that a retry finds its own batches. visit: node and instant.
    source: goes into tracking tokens, `kind|id|node`. due: the logical instant. template_id: of a webhook, the webhook's id,
    and data is what it is told. caps: on top of the company's own. important: hours, caps and habits do not hold it back.
    skip: when not empty, everybody is left out for this reason. aside: the members have gone on from the cohort, and a machine
    is still to be told of them.
    """

    batch_id: str
    cohort: str
    visit: str
    channel: Channel
    template_id: str
    source: str
    due: datetime
    account: AccountKey | None = None
    window: DeliveryWindow | None = None
    hold_outside_window: bool = True
    reply: ReplyToken | None = None
    caps: tuple[Cap, ...] = ()
    important: bool = False
    best_hour: bool = False
    skip: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    aside: bool = False


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
    channel: Channel
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
    held: list[tuple[Row, Hold]] = field(default_factory=list)
    skipped: list[tuple[Row, str]] = field(default_factory=list)
    failed: frozenset[Cid] = frozenset()
    pending: int = 0

    def add(self, other: Report) -> None:
        """Take another part of the same page in."""
        self.sent += other.sent
        self.held += other.held
        self.skipped += other.skipped
        self.failed |= other.failed
        self.pending += other.pending

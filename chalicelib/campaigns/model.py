"""A campaign and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.ids import AccountKey, CampaignId

NODE = "campaign"


class CampaignState(StrEnum):
    """SCHEDULED waits for its time; FREEZING writes the audience down; SENDING goes through it; PARKED: out of messages."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    FREEZING = "freezing"
    SENDING = "sending"
    SENT = "sent"
    PARKED = "parked"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Campaign:
    """A message, whom it is for, and when."""

    campaign_id: CampaignId
    name: str
    channel: DeliveryChannel
    template_id: str
    condition: Mapping[str, Any]
    state: CampaignState
    revision: int
    created_at: datetime
    account: AccountKey | None = None
    send_at: datetime | None = None
    window_start: str = ""
    window_end: str = ""
    reason: str = ""

    @property
    def cohort(self) -> str:
        """The name under which its rows are claimed."""
        return f"cmp|{self.campaign_id}"


@dataclass(frozen=True, slots=True)
class CampaignReport:
    """How many were frozen, sent to, left out by reason, are still to come, and could not be reached."""

    audience: int
    sent: int
    skipped: Mapping[str, int]
    waiting: int
    failed: int = 0

"""Our own reader of LINE's webhook events: tolerant, because LINE adds types, fields and values without notice.

The official SDKs drop the payload of what they do not know and lose a whole batch over an unknown mode (line-platform.md 1.5).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.kernel.clock import from_millis
from chalicelib.kernel.facts import ReplyToken
from chalicelib.kernel.ids import LineUserId, is_line_user_id


@dataclass(frozen=True, slots=True)
class LineEvent:
    """One event. user_id: None in events without a person (groups, failed links, people who gave no consent)."""

    event_id: str
    type: str
    at: datetime
    user_id: LineUserId | None
    in_group: bool
    is_active: bool
    is_redelivery: bool
    reply_token: str
    raw: Mapping[str, Any]

    def part(self, name: str) -> Mapping[str, Any]:
        """Return an object inside the event, empty when it is missing or something else."""
        value = self.raw.get(name)
        return value if isinstance(value, Mapping) else {}

    @property
    def reply(self) -> ReplyToken | None:
        """The event's reply token; none for a redelivered event, whose token may have been used (delivery/senders.py)."""
        usable = self.reply_token and self.is_active and not self.is_redelivery
        return ReplyToken(self.reply_token, self.at) if usable else None


@dataclass(frozen=True, slots=True)
class Envelope:
    """What one POST brought. problems: events that could not be read at all."""

    destination: str
    events: tuple[LineEvent, ...]
    problems: int


def read_envelope(body: bytes | str) -> Envelope:
    """Return the events of a webhook body. Raises ValueError when it is not a JSON object with a list of events."""
    try:
        data = json.loads(body)
    except RecursionError as error:
        raise ValueError("a webhook body that is nested without end") from error
    if not isinstance(data, Mapping) or not isinstance(data.get("events"), list):
        raise ValueError("a webhook body is an object with a list of events")  # noqa: TRY004 - one kind for the caller
    read = [_event(raw) for raw in data["events"]]
    events = tuple(event for event in read if event is not None)
    return Envelope(str(data.get("destination") or ""), events, len(read) - len(events))


def _event(raw: object) -> LineEvent | None:
    if not isinstance(raw, Mapping):
        return None
    event_id, at = raw.get("webhookEventId"), _instant(raw.get("timestamp"))
    if not isinstance(event_id, str) or not event_id or at is None:
        return None
    source = raw.get("source")
    source = source if isinstance(source, Mapping) else {}
    user_id = source.get("userId")
    context = raw.get("deliveryContext")
    token = raw.get("replyToken")
    return LineEvent(
        event_id=event_id[:100],
        type=str(raw.get("type") or ""),
        at=at,
        user_id=LineUserId(user_id) if is_line_user_id(user_id) else None,
        in_group=source.get("type") not in (None, "user"),
        is_active=raw.get("mode") != "standby",
        is_redelivery=isinstance(context, Mapping) and context.get("isRedelivery") is True,
        reply_token=token if isinstance(token, str) else "",
        raw=raw,
    )


def _instant(timestamp: object) -> datetime | None:
    if isinstance(timestamp, bool) or not isinstance(timestamp, int | float):
        return None
    try:
        return from_millis(int(timestamp))
    except (ValueError, OverflowError, OSError):  # beyond what a calendar holds, or JSON's NaN
        return None

"""Time is a parameter or comes from a Clock; inside, every instant is an aware UTC datetime."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the current instant, aware UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Return the current instant, aware UTC."""
        return datetime.now(UTC)


def from_millis(millis: int) -> datetime:
    """Return the instant of LINE's event timestamp (milliseconds since 1970)."""
    return datetime.fromtimestamp(millis / 1000, tz=UTC)


def to_millis(moment: datetime) -> int:
    """Return milliseconds since 1970."""
    return round(aware(moment).timestamp() * 1000)


def aware(moment: datetime) -> datetime:
    """Return `moment` in UTC. Raises ValueError for a naive datetime: there is no time without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a datetime without a time zone is not an instant")
    return moment.astimezone(UTC)


def to_text(moment: datetime) -> str:
    """Return the sortable form `2026-11-22T01:02:03.456Z`, milliseconds always present."""
    return aware(moment).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def from_text(text: str) -> datetime:
    """Return the instant written by `to_text` or any ISO 8601 text with a zone. Raises ValueError otherwise."""
    return aware(datetime.fromisoformat(text))

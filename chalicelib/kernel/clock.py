"""Time is a parameter or comes from a Clock; inside, every instant is an aware UTC datetime."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

EVER = datetime(1, 1, 1, tzinfo=UTC)  # before everything that happened
NEVER = datetime(9999, 12, 31, tzinfo=UTC)  # after it


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
    """Return `moment` in UTC. Raises ValueError for a naive datetime (there is no time without a zone) or one out of range."""
    if moment.tzinfo is None:
        raise ValueError("a datetime without a time zone is not an instant")
    if moment.tzinfo is UTC:
        return moment  # as nearly all are
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:  # the first and the last hours of the calendar
        raise ValueError("a datetime before the year 1 or after 9999 in UTC") from error


def to_text(moment: datetime) -> str:
    """Return the sortable form `2026-11-22T01:02:03.456Z`, milliseconds always present."""
    # isoformat, because strftime leaves the year 999 at three digits, which neither sorts nor reads back.
    return aware(moment).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def from_text(text: str) -> datetime:
    """Return the instant written by `to_text` or any ISO 8601 text with a zone. Raises ValueError otherwise."""
    return aware(datetime.fromisoformat(text))

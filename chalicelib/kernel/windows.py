"""Japanese days and hours: delivery windows, durations and local due times. The only place that knows JST."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from chalicelib.kernel.clock import aware
from chalicelib.kernel.errors import InvalidError

JST = ZoneInfo("Asia/Tokyo")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A day as people write it, and a clock time if they like.
_DAY = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})(?:[T ](.+))?\Z")
_DURATION = re.compile(r"P(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?)?\Z")
_ISO = re.compile(r"\d{4}-\d\d-\d\d(T.+)?\Z")
_DAYS = "月火水木金土日"
_HHMM = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])\Z")


def local_date(moment: datetime) -> date:
    """Return the Japanese calendar day of an instant."""
    return aware(moment).astimezone(JST).date()


def day_of(value: object) -> date | None:
    """Return the JST day that a text names: `2026-11-22`, `2026/11/22`, with or without a time; None when it names none.

    A time without a zone is Japan's.
    """
    match = _DAY.match(value) if isinstance(value, str) else None
    if match is None:
        return None
    try:
        day = date(int(match[1]), int(match[2]), int(match[3]))
        if match[4] is None:
            return day
        moment = datetime.fromisoformat(f"{day.isoformat()}T{match[4]}")
        return day if moment.tzinfo is None else local_date(moment)
    except ValueError:
        return None


def parse_duration(text: str) -> timedelta:
    """Return the length of an ISO 8601 duration of weeks, days, hours and minutes, e.g. `P3D`, `PT30M`.

    Raises InvalidError(`duration.malformed`).
    """
    match = _DURATION.match(text)
    try:
        parts = {name: int(value) for name, value in match.groupdict().items() if value} if match else {}
        if parts:
            return timedelta(**parts)
    except (OverflowError, ValueError):  # more than a timedelta, or than int() takes
        pass
    raise InvalidError("duration.malformed", given=text[:100])


def parse_hhmm(text: str) -> time:
    """Return a clock time in JST written `HH:MM`. Raises InvalidError(`time.malformed`)."""
    match = _HHMM.match(text)
    if not match:
        raise InvalidError("time.malformed", given=text)
    return time(int(match[1]), int(match[2]))


def spoken(text: str) -> str:
    """Return an ISO 8601 day or instant as one says it in Japan, `12月1日（火）10:00`; any other text as it is."""
    match = _ISO.match(text)
    try:
        if match is None:
            return text
        if match[1] is None:
            day = date.fromisoformat(text)
            return f"{day.month}月{day.day}日（{_DAYS[day.weekday()]}）"
        local = aware(datetime.fromisoformat(text)).astimezone(JST)
    except ValueError:
        return text
    return f"{local.month}月{local.day}日（{_DAYS[local.weekday()]}）{local.hour}:{local.minute:02}"


def at_local(day: date, clock_time: time) -> datetime:
    """Return the instant of a Japanese day and clock time, aware UTC."""
    return datetime.combine(day, clock_time, tzinfo=JST).astimezone(UTC)


def start_of_local_day(day: date) -> datetime:
    """Return midnight in Japan at the start of `day`, aware UTC."""
    return at_local(day, time(0))


def due_after(moment: datetime, length: timedelta, at: time | None) -> datetime:
    """Return when a wait of `length` that begins at `moment` is over.

    at: when given, the wait ends at that JST clock time on the day that lies `length` later; a time that is already past
    moves to the next day. Without it the end is rounded up so that people who wait alike share a cohort: to the minute below
    an hour, to five minutes below a day, else to a quarter of an hour (engines.md 1.5).
    """
    end = aware(moment) + length
    if at is None:
        return _ceil(end, _grain(length))
    due = at_local(local_date(end), at)
    if due < end and (length < timedelta(days=1) or due <= moment):
        due = at_local(local_date(end) + timedelta(days=1), at)
    return due


def _grain(length: timedelta) -> timedelta:
    if length < timedelta(hours=1):
        return timedelta(minutes=1)
    return timedelta(minutes=5) if length < timedelta(days=1) else timedelta(minutes=15)


def _ceil(moment: datetime, grain: timedelta) -> datetime:
    steps = -((_EPOCH - moment) // grain)
    return _EPOCH + steps * grain


def next_grain(moment: datetime, grain: timedelta) -> datetime:
    """Return the first multiple of `grain` at or after `moment`."""
    return _ceil(aware(moment), grain)


@dataclass(frozen=True, slots=True)
class DeliveryWindow:
    """The JST hours [start, end) in which promotional messages may leave; it may cross midnight."""

    start: time
    end: time

    @classmethod
    def parse(cls, start: str, end: str) -> DeliveryWindow:
        """Return the window of two `HH:MM` texts. Raises InvalidError when they are malformed or equal."""
        window = cls(parse_hhmm(start), parse_hhmm(end))
        if window.start == window.end:
            raise InvalidError("window.empty", start=start, end=end)
        return window

    def is_open(self, moment: datetime) -> bool:
        """Say whether `moment` (aware, any zone) lies inside."""
        clock_time = aware(moment).astimezone(JST).time()
        if self.start < self.end:
            return self.start <= clock_time < self.end
        return clock_time >= self.start or clock_time < self.end

    def opens_at(self, moment: datetime) -> datetime:
        """Return the first instant at or after `moment` when sending is allowed, aware UTC."""
        if self.is_open(moment):
            return aware(moment)
        today = at_local(local_date(moment), self.start)
        return today if today >= moment else at_local(local_date(moment) + timedelta(days=1), self.start)

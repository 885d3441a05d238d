"""Japanese hours and days."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.kernel.clock import aware, from_millis, from_text, to_millis, to_text
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.windows import (
    JST,
    DeliveryWindow,
    at_local,
    due_after,
    local_date,
    next_grain,
    parse_duration,
    parse_hhmm,
    start_of_local_day,
)

MINUTES = st.integers(0, 24 * 60 - 1).map(lambda n: time(n // 60, n % 60))
WINDOWS = st.tuples(MINUTES, MINUTES).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: DeliveryWindow(*pair))
MOMENTS = st.datetimes(datetime(2000, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))


def jst(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=JST)


def minutes_of(clock_time: time) -> int:
    return clock_time.hour * 60 + clock_time.minute


def is_open_by_arithmetic(window: DeliveryWindow, moment: datetime) -> bool:
    """Written another way on purpose: minutes since the start, round the clock, against the length."""
    local = moment + timedelta(hours=9)
    since = (local.hour * 60 + local.minute - minutes_of(window.start)) % 1440
    return since < (minutes_of(window.end) - minutes_of(window.start)) % 1440


@given(WINDOWS, MOMENTS)
@example(DeliveryWindow(time(21), time(9)), datetime(2026, 11, 22, 15, 0, tzinfo=UTC))
@example(DeliveryWindow(time(9), time(21)), datetime(2026, 11, 22, 12, 0, tzinfo=UTC))
@example(DeliveryWindow(time(21), time(9)), datetime(2026, 11, 22, 0, 0, tzinfo=UTC))
def test_it_is_open_exactly_from_start_until_before_end_also_over_midnight(window: DeliveryWindow, moment: datetime) -> None:
    assert window.is_open(moment) == is_open_by_arithmetic(window, moment)


@given(WINDOWS, MOMENTS)
def test_it_opens_at_the_first_open_instant(window: DeliveryWindow, moment: datetime) -> None:
    opens = window.opens_at(moment)
    assert opens.tzinfo is UTC
    assert opens >= moment
    assert window.is_open(opens)
    if window.is_open(moment):
        assert opens == moment
        return
    assert opens - moment < timedelta(days=1)
    assert not window.is_open(opens - timedelta(microseconds=1))
    # Nothing before it is open: closed now, closed just before, and a window opens only at its start.
    starts = (opens - moment) // timedelta(minutes=1)
    assert not any(window.is_open(moment + timedelta(minutes=n)) for n in range(0, starts, 7))


@given(WINDOWS, MOMENTS)
def test_it_tells_the_same_instant_whatever_zone_the_moment_is_written_in(window: DeliveryWindow, moment: datetime) -> None:
    assert window.opens_at(moment.astimezone(JST)) == window.opens_at(moment)


def test_it_refuses_a_window_without_length_and_a_moment_without_a_zone() -> None:
    with pytest.raises(InvalidError, match="window.empty"):
        DeliveryWindow.parse("09:00", "09:00")
    with pytest.raises(ValueError):
        DeliveryWindow.parse("09:00", "21:00").is_open(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("P3D", timedelta(days=3)),
        ("PT30M", timedelta(minutes=30)),
        ("P1W", timedelta(weeks=1)),
        ("P1DT12H", timedelta(hours=36)),
        ("P0D", timedelta(0)),
    ],
)
def test_it_reads_durations(text: str, length: timedelta) -> None:
    assert parse_duration(text) == length


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "3D", "P3", "P-3D", "P3D ", "P1M", "PT5S", "P1.5D", "P3D\n", "P999999999999D", "P" + "9" * 5000 + "D"]
)
def test_it_refuses_what_is_no_duration(text: str) -> None:
    with pytest.raises(InvalidError, match="duration.malformed"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["24:00", "9:00", "09:60", "09:00\n", "", "09-00"])
def test_it_refuses_what_is_no_clock_time(text: str) -> None:
    with pytest.raises(InvalidError, match="time.malformed"):
        parse_hhmm(text)


@pytest.mark.parametrize(
    ("begins", "length", "at", "ends"),
    [
        # Day 7 at 10:00 counts from the local date, however late somebody came in (engines.md 1.7).
        ("2026-11-22 08:00", "P7D", "10:00", "2026-11-29 10:00"),
        ("2026-11-22 23:59", "P7D", "10:00", "2026-11-29 10:00"),
        ("2026-11-22 00:01", "P7D", "10:00", "2026-11-29 10:00"),
        ("2026-11-22 12:00", "P1D", "10:00", "2026-11-23 10:00"),
        # Below a day the clock time comes after the wait, next day if it is past.
        ("2026-11-22 12:00", "PT1H", "10:00", "2026-11-23 10:00"),
        ("2026-11-22 08:00", "PT1H", "10:00", "2026-11-22 10:00"),
        ("2026-11-22 23:30", "PT1H", "00:10", "2026-11-24 00:10"),
        ("2026-12-31 23:30", "P1D", "00:00", "2027-01-01 00:00"),
    ],
)
def test_it_counts_days_at_a_clock_time_from_the_japanese_date(begins: str, length: str, at: str, ends: str) -> None:
    assert due_after(jst(begins), parse_duration(length), parse_hhmm(at)) == jst(ends)


@given(MOMENTS, st.integers(0, 40 * 24 * 60), MINUTES)
def test_it_never_ends_a_wait_before_it_began_and_always_at_the_clock_time(moment: datetime, minutes: int, at: time) -> None:
    length = timedelta(minutes=minutes)
    due = due_after(moment, length, at)
    local = due.astimezone(JST)
    assert due >= moment
    assert (local.hour, local.minute, local.second, local.microsecond) == (at.hour, at.minute, 0, 0)
    days = (local.date() - local_date(moment + length)).days
    assert days in (0, 1)
    if length >= timedelta(days=1):
        assert days == 0
    else:
        assert due >= moment + length


@given(MOMENTS, st.integers(1, 40 * 24 * 60))
def test_it_rounds_a_plain_wait_up_by_less_than_its_grain(moment: datetime, minutes: int) -> None:
    length = timedelta(minutes=minutes)
    grain = timedelta(minutes=1 if minutes < 60 else 5 if minutes < 24 * 60 else 15)
    due = due_after(moment, length, None)
    assert timedelta(0) <= due - (moment + length) < grain
    assert (due - datetime(1970, 1, 1, tzinfo=UTC)) % grain == timedelta(0)
    assert next_grain(due, grain) == due


def test_it_puts_people_who_wait_alike_into_one_cohort() -> None:
    first, second = jst("2026-11-22 10:01"), jst("2026-11-22 10:14")
    assert due_after(first, timedelta(days=3), None) == due_after(second, timedelta(days=3), None) == jst("2026-11-25 10:15")


@given(st.dates(date(2000, 1, 1), date(2099, 12, 31)))
def test_a_japanese_day_has_24_hours_and_begins_at_15_utc(day: date) -> None:
    start = start_of_local_day(day)
    assert start_of_local_day(day + timedelta(days=1)) - start == timedelta(days=1)
    assert start.hour == 15 and local_date(start) == day
    assert local_date(start - timedelta(microseconds=1)) == day - timedelta(days=1)
    assert at_local(day, time(9)) == start + timedelta(hours=9)


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_an_instant_survives_its_sortable_text_to_the_millisecond(moment: datetime) -> None:
    text = to_text(moment)
    assert len(text) == 24
    assert from_text(text) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)


@given(MOMENTS, MOMENTS)
def test_texts_sort_as_instants_do(one: datetime, other: datetime) -> None:
    if to_text(one) < to_text(other):
        assert one < other


@given(st.integers(0, 4_102_444_800_000))
def test_an_instant_survives_millis(millis: int) -> None:
    assert to_millis(from_millis(millis)) == millis


@pytest.mark.parametrize("text", ["2026-11-22T10:00:00", "yesterday", "", "0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00"])
def test_it_refuses_a_text_that_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError):
        from_text(text)


def test_it_refuses_a_naive_datetime() -> None:
    with pytest.raises(ValueError):
        aware(datetime(2026, 1, 1))  # noqa: DTZ001

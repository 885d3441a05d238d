"""When a scenario looks for people, and whom it looks for."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.windows import JST, local_date
from chalicelib.scenarios.graph import WEEKDAYS, Schedule, parse
from chalicelib.scenarios.schedules import audience_of, next_at, schedule_of
from chalicelib.segments.reading import parse as parse_condition
from tests.pure.test_graph import END, graph


def jst(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=JST)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("schedule", "now", "expected"),
    [
        ({"at": "10:00"}, jst(2026, 12, 1, 9, 59), jst(2026, 12, 1, 10, 0)),
        ({"at": "10:00"}, jst(2026, 12, 1, 10, 0), jst(2026, 12, 2, 10, 0)),  # after `now`: a firing arms the next one
        ({"at": "00:00"}, jst(2026, 12, 31, 23, 59), jst(2027, 1, 1, 0, 0)),
        ({"at": "10:00", "every": "week", "weekdays": ["mon"]}, jst(2026, 12, 1, 9, 0), jst(2026, 12, 7, 10, 0)),
        ({"at": "10:00", "every": "week", "weekdays": ["tue"]}, jst(2026, 12, 1, 10, 0), jst(2026, 12, 8, 10, 0)),
        ({"at": "10:00", "every": "month", "day": 31}, jst(2027, 2, 1, 0, 0), jst(2027, 2, 28, 10, 0)),
        ({"at": "10:00", "every": "month", "day": 29}, jst(2028, 2, 1, 0, 0), jst(2028, 2, 29, 10, 0)),
        ({"at": "10:00", "every": "month", "day": 1}, jst(2026, 12, 1, 10, 0), jst(2027, 1, 1, 10, 0)),
        ({"at": "10:00", "every": "once", "on": "2026-12-24"}, jst(2026, 12, 1, 0, 0), jst(2026, 12, 24, 10, 0)),
        ({"at": "10:00", "every": "once", "on": "2026-12-24"}, jst(2026, 12, 24, 10, 0), None),
    ],
)
def test_the_next_time(schedule: dict[str, Any], now: datetime, expected: datetime | None) -> None:
    assert next_at(Schedule(**schedule), now.astimezone(UTC)) == expected


SCHEDULES = st.builds(
    lambda at, rest: Schedule(at=at, **rest),
    st.times().map(lambda at: f"{at:%H:%M}"),
    st.just({"every": "day"})
    | st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True).map(lambda days: {"every": "week", "weekdays": days})
    | st.integers(1, 31).map(lambda day: {"every": "month", "day": day}),
)


@given(SCHEDULES, st.datetimes(datetime(2026, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC)))
def test_no_time_is_left_out_and_none_comes_twice(schedule: Schedule, now: datetime) -> None:
    first = next_at(schedule, now)
    assert first is not None and first > now
    assert first.astimezone(JST).strftime("%H:%M") == schedule.at
    # From any moment before it the same time comes next: what is armed anew after a crash is not put off.
    assert next_at(schedule, first - timedelta(microseconds=1)) == first
    assert next_at(schedule, now + (first - now) / 2) == first
    day = local_date(first)
    match schedule.every:
        case "week":
            assert WEEKDAYS[day.weekday()] in schedule.weekdays and first - now <= timedelta(days=7)
        case "month":
            assert day.day == schedule.day or (day.day < schedule.day and (day + timedelta(days=1)).day == 1)
        case _:
            assert first - now <= timedelta(days=1)


FILTER = {"tag": "tag_a"}


@pytest.mark.parametrize(
    ("trigger", "schedule", "condition"),
    [
        ({"type": "event", "event": "follow"}, None, None),
        ({"type": "manual"}, None, None),
        ({"type": "dormant", "days": 90, "at": "10:00"}, Schedule(at="10:00"), {"date": "activity.last", "before_days": 90}),
        (
            {"type": "date", "date": "profile.birthday", "at": "09:00", "offset_days": -7, "yearly": True},
            Schedule(at="09:00"),
            {"date": "profile.birthday", "anniversary_in_days": 7},
        ),
        (
            {"type": "date", "date": "purchase.last", "at": "09:00", "offset_days": 30},
            Schedule(at="09:00"),
            {"date": "purchase.last", "in_days": -30},
        ),
        (
            {"type": "segment", "condition": {"segment": "seg_a"}, "schedule": {"at": "08:00", "every": "month", "day": 31}},
            Schedule(at="08:00", every="month", day=31),
            {"segment": "seg_a"},
        ),
    ],
)
def test_whom_a_scenario_looks_for_and_when(trigger: dict[str, Any], schedule: Schedule | None, condition: Any) -> None:
    assert schedule_of(parse(graph({"done": END}, trigger=trigger))) == schedule
    assert audience_of(parse(graph({"done": END}, trigger=trigger))) == (condition and {"all": [condition]})
    narrowed = audience_of(parse(graph({"done": END}, trigger=trigger, filter=FILTER)))
    assert narrowed == (condition and {"all": [condition, FILTER]})
    if narrowed:
        parse_condition(narrowed)


def test_a_schedule_of_days_is_a_calendar_of_japan() -> None:
    assert next_at(Schedule(at="00:30"), datetime(2026, 12, 1, 15, 31, tzinfo=UTC)) == datetime(2026, 12, 2, 15, 30, tzinfo=UTC)
    assert local_date(datetime(2026, 12, 2, 15, 30, tzinfo=UTC)) == date(2026, 12, 3)

"""When a scenario looks for people by itself, and whom it looks for; pure."""

from __future__ import annotations

import calendar
from datetime import date, datetime, timedelta
from typing import Any

from chalicelib.kernel.windows import at_local, local_date, parse_hhmm
from chalicelib.scenarios.graph import (
    WEEKDAYS,
    DateTrigger,
    DormantTrigger,
    Scenario,
    Schedule,
    SegmentTrigger,
)

_FURTHEST_DAYS = 366


def schedule_of(scenario: Scenario) -> Schedule | None:
    """Return when a scenario looks for people; None when it waits for events."""
    match scenario.trigger:
        case SegmentTrigger(schedule=schedule):
            return schedule
        case DateTrigger(at=at) | DormantTrigger(at=at):
            return Schedule(at=at)
        case _:
            return None


def audience_of(scenario: Scenario) -> dict[str, Any] | None:
    """Return the condition that those fulfil who enter at an instant of the schedule."""
    match scenario.trigger:
        case SegmentTrigger(condition=condition):
            found = condition
        case DateTrigger(date=name, offset_days=offset, yearly=yearly):
            # Seven days before the date is the day on which the date lies seven days ahead.
            found = {"date": name, "anniversary_in_days" if yearly else "in_days": -offset}
        case DormantTrigger(days=days):
            found = {"date": "activity.last", "before_days": days}
        case _:
            return None
    return {"all": [found, *([scenario.filter] if scenario.filter else [])]}


def next_at(schedule: Schedule, now: datetime) -> datetime | None:
    """Return the first instant of a schedule after `now`; None when there is none any more."""
    clock_time = parse_hhmm(schedule.at)
    if schedule.every == "once":
        at = at_local(date.fromisoformat(schedule.on), clock_time)
        return at if at > now else None
    today = local_date(now)
    for days in range(_FURTHEST_DAYS + 1):
        day = today + timedelta(days=days)
        at = at_local(day, clock_time)
        if at > now and _is_due(schedule, day):
            return at
    return None


def _is_due(schedule: Schedule, day: date) -> bool:
    match schedule.every:
        case "week":
            return WEEKDAYS[day.weekday()] in schedule.weekdays
        case "month":
            last = calendar.monthrange(day.year, day.month)[1]
            return day.day == min(schedule.day, last)
        case _:
            return True

"""What is wrong with a scenario besides its nodes: who comes in, who leaves, and how much he gets; pure."""

from __future__ import annotations

from datetime import date, timedelta
from typing import assert_never

from chalicelib.delivery.model import parse_cap
from chalicelib.kernel.errors import InvalidError
from chalicelib.scenarios.graph import (
    DateTrigger,
    DormantTrigger,
    EventTrigger,
    ManualTrigger,
    Occasion,
    QuietHours,
    Reentry,
    Scenario,
    Schedule,
    SegmentTrigger,
)
from chalicelib.scenarios.lint_parts import (
    Found,
    Known,
    check_date,
    check_length,
    check_named,
    check_names,
    check_occasion,
    check_time,
    read_condition,
)
from chalicelib.scenarios.schedules import next_at

_LONGEST_COOLDOWN = timedelta(days=3650)
_MOST_DAYS = 3650
_YEARS = range(2000, 2200)


def check(scenario: Scenario, found: Found, knows: Known | None) -> None:
    """Look at everything but the nodes."""
    check_named("account", scenario.account, "account", found, knows)
    _trigger(scenario, found, knows)
    for name, condition in (("filter", scenario.filter), ("stays_while", scenario.stays_while)):
        if condition is not None:
            _condition(condition, name, scenario, found, knows)
    _reentry(scenario.reentry, found)
    if scenario.goal:
        check_occasion(scenario.goal, "goal", found, knows)
        if scenario.goal.window:
            check_length(scenario.goal.window, "goal.window", _LONGEST_COOLDOWN, found)
    for index, way in enumerate(scenario.exits):
        if isinstance(way, Occasion):
            check_occasion(way, f"exits[{index}]", found, knows)
    if scenario.quiet_hours:
        _quiet_hours(scenario.quiet_hours, found)
    for index, cap in enumerate(scenario.caps):
        try:
            parse_cap("source" if cap.scope == "scenario" else cap.scope, cap.most, cap.per, cap.policy)
        except InvalidError as error:
            if error.code == "cap.malformed":
                found.add("cap_malformed", f"caps[{index}]", most=error.details["most"], days=error.details["days"])
            else:
                found.add("duration_malformed", f"caps[{index}].per", given=cap.per[:100])


def _condition(condition: dict[str, object], path: str, scenario: Scenario, found: Found, knows: Known | None) -> None:
    expression = read_condition(condition, path, found, knows, in_run=False)
    if expression is not None:
        check_names(expression, path, scenario, found, knows)


def _trigger(scenario: Scenario, found: Found, knows: Known | None) -> None:
    trigger = scenario.trigger
    match trigger:
        case EventTrigger():
            check_occasion(trigger, "trigger", found, knows)
            if trigger.event in ("tag_added", "tag_removed") and not trigger.tag:
                found.add("trigger_tag_missing", "trigger.tag")
        case SegmentTrigger():
            _condition(trigger.condition, "trigger.condition", scenario, found, knows)
            _schedule(trigger.schedule, found, knows)
        case DateTrigger():
            check_date(trigger.date, "trigger.date", found, may_be_of_trigger=False)
            check_time(trigger.at, "trigger.at", found)
            if abs(trigger.offset_days) > _MOST_DAYS:
                found.add("offset_too_far", "trigger.offset_days", most_days=_MOST_DAYS)
        case DormantTrigger():
            check_time(trigger.at, "trigger.at", found)
            if not 1 <= trigger.days <= _MOST_DAYS:
                found.add("days_out_of_range", "trigger.days", most_days=_MOST_DAYS)
        case ManualTrigger():
            pass
        case _:
            assert_never(trigger)


def _schedule(schedule: Schedule, found: Found, knows: Known | None) -> None:
    before = len(found.problems)
    check_time(schedule.at, "trigger.schedule.at", found)
    if bool(schedule.weekdays) != (schedule.every == "week"):
        found.add("schedule_weekdays", "trigger.schedule.weekdays")
    if (schedule.every == "month" and not 1 <= schedule.day <= 31) or (schedule.every != "month" and schedule.day):
        found.add("schedule_day", "trigger.schedule.day")
    if (schedule.every == "once" and not _is_day(schedule.on)) or (schedule.every != "once" and schedule.on):
        found.add("schedule_date", "trigger.schedule.on", given=schedule.on[:100])
    if len(found.problems) == before and knows is not None and next_at(schedule, knows.now) is None:
        found.add("schedule_past", "trigger.schedule.on", given=schedule.on)


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).year in _YEARS
    except ValueError:
        return False


def _reentry(reentry: Reentry, found: Found) -> None:
    check_length(reentry.cooldown, "reentry.cooldown", _LONGEST_COOLDOWN, found, may_be_nothing=True)
    if reentry.key and reentry.mode != "always":
        found.add("key_without_always", "reentry.key")


def _quiet_hours(hours: QuietHours, found: Found) -> None:
    check_time(hours.start, "quiet_hours.start", found)
    check_time(hours.end, "quiet_hours.end", found)
    if hours.start == hours.end:
        found.add("window_empty", "quiet_hours")

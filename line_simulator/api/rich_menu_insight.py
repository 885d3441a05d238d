"""Statistics of a rich menu, in sum and by day."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

from line_simulator.api.calls import Context, Operation
from line_simulator.api.rich_menu_taps import Days, MenuActivity, MenuCounts
from line_simulator.exchange import ApiError, Response, json_response
from line_simulator.world.rich_menu_book import menus_of
from line_simulator.world.state import JsonObject, World

SUMMARY_DAYS: Final = 396
DAILY_DAYS: Final = 99
PRIVACY_MIN: Final = 20
_YEARS: Final = 3
_DATE: Final = re.compile(r"[0-9]{8}")
Metrics = Callable[[Days, list[str]], object]


class RichMenuInsight:
    """Answers of the two insight operations. Data of a day is there on the next (the reference: usually)."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        # When LINE counts a menu as seen, and which days it reports, no document says.
        return {
            "getRichMenuInsightSummary": Operation(lambda call: self._answer(call, SUMMARY_DAYS, _sum)),
            "getRichMenuInsightDaily": Operation(lambda call: self._answer(call, DAILY_DAYS, _by_day)),
        }

    def _answer(self, call: Context, most_days: int, metrics: Metrics) -> Response:
        menu = menus_of(self._world, call.owner).find(call.parameters["richMenuId"])
        if menu is None:
            raise ApiError(404, "Not found")
        today = self._world.tokyo().date()
        start, end = _period(call.query, most_days, today)
        first = max(start, self._world.tokyo(menu.created_at).date())
        last = min(end, today - timedelta(days=1))
        counts = self._world.part(MenuActivity).of(menu)
        days = _days(counts, first, last)
        tapped = {user for clicks in counts.clicks.values() for day in days for user in clicks.get(day, ())}
        answer: JsonObject = {"richMenuId": menu.id}
        if len(tapped) < PRIVACY_MIN:
            return json_response(answer)
        answer |= {"metricsFrom": f"{first:%Y%m%d}", "metricsTo": f"{last:%Y%m%d}"}
        answer["impression"] = {"metrics": metrics(counts.impressions, days)}
        answer["clicks"] = [
            {"bounds": area["bounds"], "metrics": metrics(counts.clicks.get(index, {}), days)}
            for index, area in enumerate(menu.content["areas"])
        ]
        return json_response(answer)


def _sum(counted: Days, days: list[str]) -> JsonObject:
    users = {user for day in days for user in counted.get(day, ())}
    return {"count": sum(sum(counted.get(day, {}).values()) for day in days), "uniqueUsers": len(users)}


def _by_day(counted: Days, days: list[str]) -> list[JsonObject]:
    return [{"date": day, **_sum(counted, [day])} for day in days]


def _days(counts: MenuCounts, first: date, last: date) -> list[str]:
    """Return the days of the period on which anything happened."""
    active = set(counts.impressions).union(*counts.clicks.values())
    return sorted(day for day in active if f"{first:%Y%m%d}" <= day <= f"{last:%Y%m%d}")


def _period(query: dict[str, str], most_days: int, today: date) -> tuple[date, date]:
    """Return the period asked for. Raises ApiError 400 with the texts of the reference."""
    start, end = _date(query.get("from")), _date(query.get("to"))
    if end < start:
        raise ApiError(400, "Parameter to must be the same date as, or after parameter from.")
    if (end - start).days > most_days:
        raise ApiError(400, f"Date range exceeds. Max range is {most_days} days.")
    earliest = _years_before(today, _YEARS)
    if start < earliest:
        raise ApiError(400, f"Parameter from must be the same date as, or after {earliest}.")
    return start, end


def _date(text: str | None) -> date:
    if text is None or _DATE.fullmatch(text) is None:
        raise ApiError(400, "Bad Request")
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        raise ApiError(400, "Bad Request") from None


def _years_before(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        # 29 February.
        return day.replace(year=day.year - years, day=28)

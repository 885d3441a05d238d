"""Statistics computed from what people did: deliveries, followers, message events, units."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, time
from typing import Final

from line_simulator.api.asking import day_of
from line_simulator.api.calls import Context, Operation
from line_simulator.api.demographics import target_reach
from line_simulator.api.events import COLLECTED_SECONDS, Window, event_statistics
from line_simulator.api.sending import BY_PHONE
from line_simulator.api.units import Units, refuse_units
from line_simulator.exchange import ApiError, Response, json_response
from line_simulator.world import friendships, reports
from line_simulator.world.activity import Activity, SendingActivity
from line_simulator.world.clock import TOKYO
from line_simulator.world.state import DAY_SECONDS, JsonObject, Via, World

# The days on which LINE began to count (Messaging API reference, Insights).
_DELIVERIES_SINCE: Final = date(2017, 3, 1)
_FOLLOWERS_SINCE: Final = date(2016, 11, 1)
_UNIT_DAYS_MAX: Final = 30
_UNIT: Final = re.compile(r"[a-zA-Z0-9_]{1,30}")
_COLLECTED_DAYS: Final = round(COLLECTED_SECONDS / DAY_SECONDS)


class Insights:
    """Answers on statistics. Callers hold the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._units = Units(world)

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area.

        Guessed: kinds of which nothing was sent are left out; the reach; the answer for an unknown request id; how many
        days statistics take (Settings.statistics_delay_days).
        """
        return {
            **self._units.operations(),
            "getNumberOfMessageDeliveries": Operation(self.deliveries),
            "getNumberOfFollowers": Operation(self.followers),
            "getMessageEvent": Operation(self.message_event),
            "getStatisticsPerUnit": Operation(self.unit_statistics),
        }

    def deliveries(self, call: Context) -> Response:
        """Answer getNumberOfMessageDeliveries: people reached on one day in Japan, by kind of call."""
        day = _asked_day(call)
        status = self._status(day, _DELIVERIES_SINCE)
        content: JsonObject = {"status": status}
        if status == "ready":
            counts = {via: call.owner.sent.get(f"{day:%Y%m%d}/{via}", 0) for via in Via if via not in BY_PHONE}
            content |= {f"api{via.capitalize()}": count for via, count in counts.items() if count}
        return json_response(content)

    def followers(self, call: Context) -> Response:
        """Answer getNumberOfFollowers as of the end of one day in Japan; null unless ready.

        followers: people who ever became friends. targetedReaches: friends on that day of whom LINE has an estimate of
        gender, age or region. blocks: people blocking.
        """
        day = _asked_day(call)
        status = self._status(day, _FOLLOWERS_SINCE)
        content: JsonObject = {"status": status, "followers": None, "targetedReaches": None, "blocks": None}
        if status == "ready":
            found = friendships.until(self._world, call.owner, f"{day:%Y%m%d}")
            # Who could be reached is exact for people who changed their mind at most once since that day.
            reach = min(found.friends, target_reach(self._world, call.owner, _midnight(day) + DAY_SECONDS - 1))
            content |= {"followers": found.added, "targetedReaches": reach, "blocks": found.blocks}
        return json_response(content)

    def message_event(self, call: Context) -> Response:
        """Answer getMessageEvent for a broadcast or narrowcast of this account. Raises ApiError 400, 404."""
        request_id = call.query.get("requestId", "")
        if not request_id:
            raise ApiError(400, "The value for the 'requestId' parameter is invalid")
        report = self._world.part(reports.Reports).by_request.get(request_id)
        if report is None or report.channel_id != call.owner.id:
            raise ApiError(404, "Not found")
        found = self._statistics([report.sequence], Window(report.at, self._known_until()))
        overview = {"requestId": request_id, "timestamp": int(report.at), "delivered": report.delivered}
        found["overview"] = {**overview, **found["overview"]}
        for message in found["messages"]:
            # Only the statistics of units say how many people saw a bubble.
            del message["uniqueImpression"]
        return json_response(found)

    def unit_statistics(self, call: Context) -> Response:
        """Answer getStatisticsPerUnit: what people did between two days, at most 30 apart. Raises ApiError 400."""
        refuse_units(self._world)
        first, last = (day_of(call.query.get(name, "")) for name in ("from", "to"))
        name = call.query.get("customAggregationUnit", "")
        if first is None or last is None or not _UNIT.fullmatch(name) or not 0 <= (last - first).days <= _UNIT_DAYS_MAX:
            error = ApiError(400, "")
            # The reference shows this body for every reason.
            error.extra = {"message": None, "key": None, "stacktrace": None, "code": None}
            raise error
        sent_since = date.fromordinal(max(1, first.toordinal() - _COLLECTED_DAYS))
        sequences = reports.of_unit(self._world, call.owner, name, sent_since, last)
        end = min(_midnight(last) + DAY_SECONDS, self._known_until())
        return json_response(self._statistics(sequences, Window(_midnight(first), end)))

    def _status(self, day: date, since: date) -> str:
        if day < since:
            return "out_of_service"
        # "Calculation usually takes about a day": a day is ready when it is over.
        return "ready" if day < self._world.tokyo().date() else "unready"

    def _known_until(self) -> float:
        return self._world.clock.time() - self._world.settings.statistics_delay_days * DAY_SECONDS

    def _statistics(self, sequences: Iterable[int], window: Window) -> JsonObject:
        sendings = self._world.part(Activity).sendings
        found: list[SendingActivity] = [sendings[one] for one in sequences if one in sendings]
        return event_statistics(found, window, self._on_phone)

    def _on_phone(self, user_id: str) -> bool:
        """Tell whether the person uses LINE on a phone; others do not count (documentation, Measure impressions)."""
        owner = self._world.state.owners.get(user_id)
        return owner is None or owner[1].app != "pc"


def _asked_day(call: Context) -> date:
    text = call.query.get("date", "")
    if not text:
        raise ApiError(400, "date is required")
    day = day_of(text)
    if day is None:
        raise ApiError(400, "Bad Request")
    return day


def _midnight(day: date) -> float:
    return datetime.combine(day, time(), TOKYO).timestamp()

"""The names of aggregation units that were attached to messages this month."""

from __future__ import annotations

from typing import Final

from line_simulator.api.asking import limit_of, page_of
from line_simulator.api.calls import Context, Operation
from line_simulator.exchange import ApiError, Response, json_response
from line_simulator.world import reports
from line_simulator.world.state import JsonObject, World

_NAMES_MAX: Final = 100


class Units:
    """Answers on aggregation units. Callers hold the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations; whether they need an application is contradicted, see Settings.units_corporate_only."""
        return {
            "getAggregationUnitUsage": Operation(self.usage),
            "getAggregationUnitNameList": Operation(self.names),
        }

    def usage(self, call: Context) -> Response:
        """Answer getAggregationUnitUsage."""
        refuse_units(self._world)
        return json_response({"numOfCustomAggregationUnits": len(reports.names(self._world, call.owner))})

    def names(self, call: Context) -> Response:
        """Answer getAggregationUnitNameList: at most a hundred names a page. Raises ApiError 400."""
        refuse_units(self._world)
        limit = limit_of(call.query, _NAMES_MAX, _NAMES_MAX)
        found = reports.names(self._world, call.owner)
        page, following = page_of(self._world, "units", found, call.query.get("start"), limit)
        content: JsonObject = {"customAggregationUnits": page}
        if following is not None:
            content["next"] = following
        return json_response(content)


def refuse_units(world: World) -> None:
    """Raise ApiError 403 if units are for corporate accounts only, which the simulated ones then are not."""
    if world.settings.units_corporate_only:
        raise ApiError(403, "Access to this API is not available for your account")

"""What came of an account's messages, day by day, under /_sim/: for charts."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from line_simulator.control.values import Answer, need, number_of
from line_simulator.exchange import SimulatorError
from line_simulator.world import friendships
from line_simulator.world.activity import Activity, Deeds
from line_simulator.world.state import Channel, JsonObject

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator

_DAYS: Final = 14
_DAYS_MAX: Final = 366


class Statistics:
    """Answers about an account as a whole. Unlike LINE's own insight they hide nothing and come at once."""

    def __init__(self, line: LineSimulator) -> None:
        self._world = line.world

    def routes(self) -> dict[tuple[str, str], Answer]:
        """Return the answers by method and path."""
        return {("GET", "/_sim/statistics"): self._statistics}

    def _statistics(self, _: JsonObject, query: dict[str, str]) -> Any:
        """The last ?days= days (default 14) of ?channel= in Japan, oldest first.

        {"channel", "days": [{"date": yyyy-mm-dd, "sent", "looks", "taps", "plays", "friends", "blocked"}]}: deliveries to people,
        send calls seen for the first time, links tapped, videos and sounds played on that day; friends and blocks at its end.
        """
        count = number_of(query, "days", _DAYS)
        if count > _DAYS_MAX:
            raise SimulatorError(f"days must be a number from 1 to {_DAYS_MAX}.")
        with self._world.lock:
            channel = self._world.channel(need(query, "channel"))
            today = self._world.tokyo().date()
            dates = [today - timedelta(days=ago) for ago in range(count - 1, -1, -1)]
            return {"channel": channel.id, "days": [self._day(channel, f"{one:%Y%m%d}") for one in dates]}

    def _day(self, channel: Channel, date: str) -> JsonObject:
        deeds = self._world.part(Activity).days.get(f"{channel.id}/{date}", Deeds())
        total = friendships.until(self._world, channel, date)
        return {
            "date": f"{date[:4]}-{date[4:6]}-{date[6:]}",
            "sent": sum(number for key, number in channel.sent.items() if key.startswith(date + "/")),
            "looks": deeds.looks,
            "taps": deeds.taps,
            "plays": deeds.plays,
            "friends": total.friends,
            "blocked": total.blocks,
        }

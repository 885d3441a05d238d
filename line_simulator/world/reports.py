"""Which send calls statistics can be asked for: broadcasts and narrowcasts by request id, pushes and multicasts by unit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from line_simulator.world.state import Channel, Sending, Via, World, part

# Messaging API documentation, Get statistics of sent messages: the 1,001st name of a month is not attached.
UNIT_NAMES_MAX: Final = 1000


@dataclass(slots=True)
class Report:
    """One broadcast or narrowcast. delivered: to how many people; None while it is still being sent."""

    channel_id: str
    sequence: int
    at: float
    delivered: int | None


@part("reports")
@dataclass(slots=True)
class Reports:
    """by_request: by request id. names: {name: 1} by channel/yyyymm. units: sequence numbers by channel/yyyymmdd/name."""

    by_request: dict[str, Report] = field(default_factory=dict)
    names: dict[str, dict[str, int]] = field(default_factory=dict)
    units: dict[str, list[int]] = field(default_factory=dict)


def note(world: World, sending: Sending, units: Any, delivered: int | None) -> None:
    """Note an accepted send call; `units` is its customAggregationUnits, checked already."""
    if sending.via in (Via.BROADCAST, Via.NARROWCAST):
        report = Report(sending.channel_id, sending.sequence, sending.at, delivered)
        world.part(Reports).by_request[sending.request_id] = report
    elif units and sending.via in (Via.PUSH, Via.MULTICAST):
        _note_unit(world, sending, str(units[0]))


def _note_unit(world: World, sending: Sending, name: str) -> None:
    reports = world.part(Reports)
    names = reports.names.setdefault(f"{sending.channel_id}/{world.month(sending.at)}", {})
    if name not in names:
        if len(names) >= UNIT_NAMES_MAX:
            return
        names[name] = 1
    reports.units.setdefault(f"{sending.channel_id}/{world.tokyo(sending.at):%Y%m%d}/{name}", []).append(sending.sequence)


def names(world: World, channel: Channel) -> list[str]:
    """Return the names of units of this month in Japan, in the order of their first use."""
    return list(world.part(Reports).names.get(f"{channel.id}/{world.month()}", ()))


def of_unit(world: World, channel: Channel, name: str, first: date, last: date) -> Iterator[int]:
    """Yield the sequence numbers of the send calls with this unit between two days in Japan, both included."""
    units = world.part(Reports).units
    for day in range(first.toordinal(), last.toordinal() + 1):
        yield from units.get(f"{channel.id}/{date.fromordinal(day):%Y%m%d}/{name}", ())

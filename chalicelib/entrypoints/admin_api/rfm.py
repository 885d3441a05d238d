"""RFM: the company's own bounds, and everybody who has bought by recency and frequency."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from chalicelib.entrypoints.admin_api.framework import Body, Call, View, endpoint
from chalicelib.entrypoints.steps import enqueue
from chalicelib.segments.rfm import Bounds, Cell


class BoundsBody(Body, kw_only=True):
    """What is still a 5, a 4, a 3 and a 2. recency: days since the last purchase; frequency: orders; monetary: yen in all."""

    recency: list[int]
    frequency: list[int]
    monetary: list[int]


class BoundsView(View, kw_only=True):
    """The bounds."""

    recency: list[int]
    frequency: list[int]
    monetary: list[int]


class CellView(View, kw_only=True):
    """Those of one recency and one frequency. condition: names them, for counts, segments and sends."""

    recency: int
    frequency: int
    count: int
    yen: int
    condition: dict[str, Any]


class RfmTable(View, kw_only=True):
    """Everybody who has bought, in 25 cells, the best first. as_of: until when the lake was complete; null: told by the tables."""

    bounds: BoundsView
    count: int
    yen: int
    cells: list[CellView]
    as_of: datetime | None


def _bounds(bounds: Bounds) -> BoundsView:
    return BoundsView(recency=list(bounds.recency), frequency=list(bounds.frequency), monetary=list(bounds.monetary))


def _cell(cell: Cell) -> CellView:
    return CellView(
        recency=cell.recency, frequency=cell.frequency, count=cell.count, yen=cell.yen, condition=dict(cell.condition())
    )


@endpoint("GET", "/rfm", scope="segments:read", summary="RFM表（最近さ×頻度の25区分） / Customers by RFM", response=RfmTable)
def get_rfm(call: Call[None]) -> RfmTable:
    """Return the table."""
    cells, as_of = call.world.scores.table(call.world.clock.now())
    return RfmTable(
        bounds=_bounds(call.world.scores.bounds()),
        count=sum(cell.count for cell in cells),
        yen=sum(cell.yen for cell in cells),
        cells=[_cell(cell) for cell in cells],
        as_of=as_of,
    )


@endpoint("GET", "/rfm-bounds", scope="segments:read", summary="RFMの区切り / Bounds of RFM scores", response=BoundsView)
def get_bounds(call: Call[None]) -> BoundsView:
    """Return the bounds."""
    return _bounds(call.world.scores.bounds())


@endpoint(
    "PUT", "/rfm-bounds", scope="segments:write", request=BoundsBody, response=BoundsView,
    summary="RFMの区切りを決める（30秒以内に反映） / Set the bounds of RFM scores",
)  # fmt: skip
def set_bounds(call: Call[BoundsBody]) -> BoundsView:
    """Set the bounds."""
    given = call.body
    call.world.scores.set_bounds(Bounds(given.recency, given.frequency, given.monetary))
    enqueue(call.world.live_segments.overdue(), call.world)  # live ones that ask for scores mean something else now
    return _bounds(call.world.scores.bounds())

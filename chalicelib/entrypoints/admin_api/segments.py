"""Saved segments, and how many people a condition means."""

from __future__ import annotations

from typing import Any

from chalicelib.entrypoints.admin_api.framework import Body, Call, Name, View, endpoint
from chalicelib.kernel.ids import customer_id
from chalicelib.segments.model import SavedSegment


class SegmentBody(Body, kw_only=True):
    """A condition with a name (docs/segments.md)."""

    name: Name
    condition: dict[str, Any]


class SegmentView(View, kw_only=True):
    """A saved segment. revision: grows with every change."""

    segment_id: str
    name: str
    condition: dict[str, Any]
    revision: int


class SegmentList(View, kw_only=True):
    """All saved segments."""

    items: list[SegmentView]


class ConditionBody(Body, kw_only=True):
    """A condition to be tried."""

    condition: dict[str, Any]


class CountView(View, kw_only=True):
    """How many people fulfil a condition now; sample: a few of them, by customer id."""

    count: int
    sample: list[str]


def _view(segment: SavedSegment) -> SegmentView:
    return SegmentView(
        segment_id=segment.segment_id, name=segment.name, condition=dict(segment.condition), revision=segment.revision
    )


@endpoint("GET", "/segments", scope="segments:read", summary="セグメントの一覧 / List saved segments", response=SegmentList)
def list_segments(call: Call[None]) -> SegmentList:
    """List saved segments."""
    return SegmentList(items=[_view(segment) for segment in call.world.segments.all_saved()])


@endpoint("GET", "/segments/{segment_id}", scope="segments:read", summary="セグメント / One segment", response=SegmentView)
def get_segment(call: Call[None]) -> SegmentView:
    """Return a saved segment."""
    return _view(call.world.segments.saved(call.path["segment_id"]))


@endpoint(
    "PUT", "/segments/{segment_id}", scope="segments:write", summary="セグメントを保存 / Save a segment",
    request=SegmentBody, response=SegmentView,
)  # fmt: skip
def save_segment(call: Call[SegmentBody]) -> SegmentView:
    """Save a segment."""
    return _view(call.world.segments.save(call.path["segment_id"], call.body.name, call.body.condition))


@endpoint("DELETE", "/segments/{segment_id}", scope="segments:write", summary="セグメントを消す / Delete a segment", status=204)
def delete_segment(call: Call[None]) -> None:
    """Delete a saved segment."""
    call.world.segments.delete(call.path["segment_id"])


@endpoint(
    "POST", "/segments/count", scope="segments:write", request=ConditionBody, response=CountView,
    summary="条件に合う人数を数える / Count the people who fulfil a condition",
)  # fmt: skip
def count_segment(call: Call[ConditionBody]) -> CountView:
    """Count the people who fulfil a condition now; it reads everybody, so it takes more than the right to read."""
    number, sample = call.world.segments.count(call.body.condition, call.world.clock.now())
    return CountView(count=number, sample=[customer_id(cid) for cid in sample])

"""Saved segments."""

from __future__ import annotations

from typing import Any

from chalicelib.entrypoints.admin_api.framework import Body, Call, Name, View, endpoint
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

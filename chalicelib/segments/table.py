"""Saved segments (config `SEG` / id), what they were (`SEG#id` / revision), and the bounds of RFM scores (`RFM` / `#`)."""

from __future__ import annotations

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute

from chalicelib.segments.model import SavedSegment
from chalicelib.segments.rfm import DEFAULT, Bounds
from chalicelib.storage import ConfigItem, saved

_FORMER = "SEG#"


class SegmentItem(ConfigItem):
    """One saved segment."""

    name = UnicodeAttribute()
    condition = JSONAttribute()
    revision = NumberAttribute()


def put(segment: SavedSegment) -> bool:
    """Write a segment; return False when somebody else has written that revision."""
    item = SegmentItem("SEG", segment.segment_id, name=segment.name, condition=dict(segment.condition), revision=segment.revision)
    first = segment.revision == 1
    return saved(item, SegmentItem.pk.does_not_exist() if first else SegmentItem.revision == segment.revision - 1)


def _model(item: SegmentItem) -> SavedSegment:
    return SavedSegment(item.sk, item.name, item.condition, int(item.revision))


def get(segment_id: str) -> SavedSegment | None:
    """Return a segment."""
    try:
        return _model(SegmentItem.get("SEG", segment_id, consistent_read=True))
    except SegmentItem.DoesNotExist:
        return None


def everyone() -> list[SavedSegment]:
    """Return all segments by id."""
    return [_model(item) for item in SegmentItem.query("SEG", consistent_read=True)]


def keep(segment: SavedSegment) -> None:
    """Write down what a segment is before it changes; the same when repeated."""
    place = (f"{_FORMER}{segment.segment_id}", f"r{segment.revision:05d}")
    SegmentItem(*place, name=segment.name, condition=dict(segment.condition), revision=segment.revision).save()


def former(segment_id: str) -> list[SavedSegment]:
    """Return what a segment was before, the newest first."""
    items = SegmentItem.query(f"{_FORMER}{segment_id}", scan_index_forward=False, consistent_read=True)
    return [SavedSegment(segment_id, item.name, item.condition, int(item.revision)) for item in items]


def delete(segment_id: str) -> None:
    """Remove a segment and what it was before."""
    for item in SegmentItem.query(f"{_FORMER}{segment_id}", consistent_read=True):
        item.delete()
    SegmentItem("SEG", segment_id).delete()


class BoundsItem(ConfigItem):
    """The company's bounds."""

    bounds = JSONAttribute()


def put_bounds(bounds: Bounds) -> None:
    """Keep the bounds, in place of those before."""
    lists = {"recency": bounds.recency, "frequency": bounds.frequency, "monetary": bounds.monetary}
    BoundsItem("RFM", "#", bounds={name: list(steps) for name, steps in lists.items()}).save()


def bounds() -> Bounds:
    """Return the bounds; ours where the company has set none."""
    try:
        return Bounds(**BoundsItem.get("RFM", "#", consistent_read=True).bounds)
    except BoundsItem.DoesNotExist:
        return DEFAULT

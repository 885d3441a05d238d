"""Saved segments in the config table: `SEG` / id."""

from __future__ import annotations

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute

from chalicelib.segments.model import SavedSegment
from chalicelib.storage import ConfigItem, saved


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


def delete(segment_id: str) -> None:
    """Remove a segment."""
    SegmentItem("SEG", segment_id).delete()

"""Saved segments (config `SEG`), what they were (`SEG#id`), which are live (`SEGLIVE`), and the bounds of RFM (`RFM` / `#`)."""

from __future__ import annotations

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute

from chalicelib.kernel.clock import from_text, to_text
from chalicelib.segments.model import Live, LiveState, SavedSegment
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


class LiveItem(ConfigItem):
    """That people are looked at for one segment."""

    state = UnicodeAttribute()
    generation = NumberAttribute()
    meaning = UnicodeAttribute()
    at = UnicodeAttribute()


def lives() -> list[Live]:
    """Return all that is known of live segments, those that are off among them, by id."""
    return [_live(item) for item in LiveItem.query("SEGLIVE", consistent_read=True)]


def live(segment_id: str) -> Live | None:
    """Return what is known of a segment's being live, None when it never was."""
    try:
        return _live(LiveItem.get("SEGLIVE", segment_id, consistent_read=True))
    except LiveItem.DoesNotExist:
        return None


def put_live(new: Live, old: Live | None) -> bool:
    """Write in place of what was read; return False when somebody else was faster."""
    item = LiveItem("SEGLIVE", new.segment_id, state=new.state, generation=new.generation, meaning=new.meaning, at=to_text(new.at))
    if old is None:
        return saved(item, LiveItem.pk.does_not_exist())
    return saved(item, (LiveItem.generation == old.generation) & (LiveItem.state == old.state))


def _live(item: LiveItem) -> Live:
    return Live(item.sk, LiveState(item.state), int(item.generation), item.meaning, from_text(item.at))


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

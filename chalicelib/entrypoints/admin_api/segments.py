"""Saved segments with all that they were before, and any condition in a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any, Literal

from chalicelib.entrypoints.admin_api.framework import Body, Call, Name, View, endpoint
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.errors import NotFoundError
from chalicelib.segments.model import Live, SavedSegment
from chalicelib.segments.reading import parse
from chalicelib.segments.sentence import Names, describe
from chalicelib.wiring import World


class SegmentBody(Body, kw_only=True):
    """A condition with a name (docs/segments.md)."""

    name: Name
    condition: dict[str, Any]
    schema: Literal["segment/1"] = "segment/1"


class SentenceView(View, kw_only=True):
    """Whom a condition means, for reading."""

    ja: str
    en: str


class SegmentView(View, kw_only=True):
    """A saved segment. revision: grows with every change."""

    segment_id: str
    name: str
    condition: dict[str, Any]
    revision: int
    sentence: SentenceView
    schema: Literal["segment/1"] = "segment/1"


class SegmentList(View, kw_only=True):
    """Saved segments, or what one of them was."""

    items: list[SegmentView]


class LiveBody(Body, kw_only=True):
    """Whether people's coming and going is told."""

    live: bool


class LiveView(View, kw_only=True):
    """off, preparing or live; at: since when, None when it never was live."""

    segment_id: str
    state: Literal["off", "preparing", "live"]
    at: datetime | None = None


class SentenceBody(Body, kw_only=True):
    """A condition to be told."""

    condition: dict[str, Any]


def names_in(world: World) -> Names:
    """Return what tells the names of things by their ids; each kind is read once, and only when it is asked for."""

    @cache
    def known(kind: str) -> Mapping[str, str]:
        match kind:
            case "tag":
                return {tag.tag_id: tag.name for tag in world.tags.everyone()}
            case "link":
                return {link.link_id: link.name for link in world.tracking.links()}
            case "scenario":
                return {head.scenario_id: head.name for head in world.scenarios.everyone()}
            case _:
                return {segment.segment_id: segment.name for segment in world.segments.all_saved()}

    @cache
    def campaign(campaign_id: str) -> str:
        try:
            return world.campaigns.get(campaign_id).name
        except NotFoundError:
            return ""

    return lambda kind, name: campaign(name) if kind == "campaign" else known(kind).get(name, "")


def _told(condition: object, names: Names) -> SentenceView:
    said = describe(parse(condition), names)
    return SentenceView(ja=said.ja, en=said.en)


def _view(segment: SavedSegment, names: Names) -> SegmentView:
    return SegmentView(
        segment_id=segment.segment_id,
        name=segment.name,
        condition=dict(segment.condition),
        revision=segment.revision,
        sentence=_told(segment.condition, names),
    )


@endpoint("GET", "/segments", scope="segments:read", summary="セグメントの一覧 / List saved segments", response=SegmentList)
def list_segments(call: Call[None]) -> SegmentList:
    """List saved segments."""
    names = names_in(call.world)
    return SegmentList(items=[_view(segment, names) for segment in call.world.segments.all_saved()])


@endpoint("GET", "/segments/{segment_id}", scope="segments:read", summary="セグメント / One segment", response=SegmentView)
def get_segment(call: Call[None]) -> SegmentView:
    """Return a saved segment."""
    return _view(call.world.segments.saved(call.path["segment_id"]), names_in(call.world))


@endpoint(
    "GET", "/segments/{segment_id}/revisions", scope="segments:read", response=SegmentList,
    summary="セグメントの変更の記録 / What a segment was before",
)  # fmt: skip
def list_revisions(call: Call[None]) -> SegmentList:
    """Return a segment as it is and as it was before each change, the newest first."""
    names = names_in(call.world)
    return SegmentList(items=[_view(segment, names) for segment in call.world.segments.revisions(call.path["segment_id"])])


@endpoint(
    "PUT", "/segments/{segment_id}", scope="segments:write", summary="セグメントを保存 / Save a segment",
    request=SegmentBody, response=SegmentView,
)  # fmt: skip
def save_segment(call: Call[SegmentBody]) -> SegmentView:
    """Save a segment."""
    saved = call.world.segments.save(call.path["segment_id"], call.body.name, call.body.condition)
    enqueue(call.world.live_segments.overdue(), call.world)  # live ones that it is, or that name it, mean something else now
    return _view(saved, names_in(call.world))


@endpoint("DELETE", "/segments/{segment_id}", scope="segments:write", summary="セグメントを消す / Delete a segment", status=204)
def delete_segment(call: Call[None]) -> None:
    """Delete a saved segment."""
    call.world.segments.delete(call.path["segment_id"])
    call.world.live_segments.end(call.path["segment_id"])
    enqueue(call.world.live_segments.overdue(), call.world)  # what names it is live no more


def _live_view(segment_id: str, live: Live | None) -> LiveView:
    return (
        LiveView(segment_id=segment_id, state=live.state.value, at=live.at)
        if live
        else LiveView(segment_id=segment_id, state="off")
    )


@endpoint(
    "GET", "/segments/{segment_id}/live", scope="segments:read", response=LiveView,
    summary="出入りを見ているか / Whether coming and going is told",
)  # fmt: skip
def get_live(call: Call[None]) -> LiveView:
    """Return whether a segment is live."""
    segment_id = call.path["segment_id"]
    return _live_view(segment_id, call.world.live_segments.state(segment_id))


@endpoint(
    "PUT", "/segments/{segment_id}/live", scope="segments:write", request=LiveBody, response=LiveView,
    summary="出入りを見る・やめる / Tell scenarios of people who come and go, or no more",
)  # fmt: skip
def set_live(call: Call[LiveBody]) -> LiveView:
    """Make a segment live, or end it."""
    segment_id = call.world.segments.saved(call.path["segment_id"]).segment_id
    if call.body.live:
        live, steps = call.world.live_segments.start(segment_id)
        enqueue(steps, call.world)
        return _live_view(segment_id, live)
    call.world.live_segments.end(segment_id)
    return _live_view(segment_id, call.world.live_segments.state(segment_id))


@endpoint(
    "POST", "/segments/sentence", scope="segments:write", request=SentenceBody, response=SentenceView,
    summary="条件を文章にする / Tell a condition in a sentence",
)  # fmt: skip
def tell_condition(call: Call[SentenceBody]) -> SentenceView:
    """Tell whom a condition means; a condition of a scenario's branch too."""
    call.world.segments.check(call.body.condition)
    return _told(call.body.condition, names_in(call.world))


@endpoint(
    "GET", "/segment-schema", scope="segments:read", response=dict[str, Any],
    summary="セグメントの書き方（JSON Schema 2020-12） / The grammar as JSON Schema",
)  # fmt: skip
def get_segment_schema(_: Call[None]) -> dict[str, Any]:
    """Return the grammar for editors."""
    from chalicelib.segments.schema import schema

    return schema()

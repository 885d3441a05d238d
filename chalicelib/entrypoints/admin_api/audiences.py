"""How many people a condition means, who of them can be reached, what segments have in common, and their sizes day by day."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

import msgspec

from chalicelib.entrypoints.admin_api.customers import cid_in
from chalicelib.entrypoints.admin_api.framework import Body, Call, View, endpoint
from chalicelib.kernel.clock import to_text
from chalicelib.kernel.ids import customer_id
from chalicelib.kernel.windows import local_date

_DAYS = 90


class CountBody(Body, kw_only=True):
    """A condition to be tried (docs/segments.md).

    source: `lake` answers in a blink and is a minute behind, `tables` is exact, `auto` chooses by how many people there are.
    """

    condition: dict[str, Any]
    source: Literal["auto", "lake", "tables"] = "auto"


class CountView(View, kw_only=True):
    """How many people fulfil a condition.

    sample: a few of them, by customer id. as_of: until when the lake was complete, if it was asked.
    """

    count: int
    sample: list[str]
    as_of: str | None


class ConditionBody(Body, kw_only=True):
    """A condition."""

    condition: dict[str, Any]


class ReachView(View, kw_only=True):
    """How many people fulfil a condition; by channel: how many of them are `reachable`, and of the others why they are not."""

    count: int
    channels: dict[str, dict[str, int]]
    as_of: str


class OverlapBody(Body, kw_only=True):
    """Saved segments to be laid over each other."""

    segments: Annotated[list[str], msgspec.Meta(min_length=1)]


class SharedView(View, kw_only=True):
    """How many people are in both."""

    one: str
    other: str
    count: int


class OverlapView(View, kw_only=True):
    """How many people are in each segment, and in each two of them."""

    counts: dict[str, int]
    both: list[SharedView]
    as_of: str


class SizesView(View, kw_only=True):
    """How many people were in a segment, by JST day on which it was counted; who entered and left since the day before."""

    sizes: dict[str, int]
    entered: dict[str, int]
    left: dict[str, int]


class MemberView(View, kw_only=True):
    """A saved segment that a person is in."""

    segment_id: str
    name: str


class MembershipView(View, kw_only=True):
    """The saved segments that a person is in now."""

    items: list[MemberView]


@endpoint(
    "POST", "/segments/count", scope="segments:write", request=CountBody, response=CountView,
    summary="条件に合う人数を数える / Count the people who fulfil a condition",
)  # fmt: skip
def count_people(call: Call[CountBody]) -> CountView:
    """Count the people who fulfil a condition now; it reads everybody, so it takes more than the right to read."""
    found = call.world.asking.count(call.body.condition, call.world.clock.now(), source=call.body.source)
    as_of = to_text(found.as_of) if found.as_of else None
    return CountView(count=found.count, sample=[customer_id(cid) for cid in found.sample], as_of=as_of)


@endpoint(
    "POST", "/segments/reach", scope="segments:write", request=ConditionBody, response=ReachView,
    summary="条件に合う人に、どの配信チャネルで届くか / Who of those who fulfil a condition can be reached, and why others cannot",
)  # fmt: skip
def reach_people(call: Call[ConditionBody]) -> ReachView:
    """Tell by channel who can be reached."""
    found = call.world.asking.reach(call.body.condition, call.world.clock.now())
    channels = {channel: dict(reasons) for channel, reasons in found.channels.items()}
    return ReachView(count=found.count, channels=channels, as_of=to_text(found.as_of))


@endpoint(
    "POST", "/segments/overlaps", scope="segments:write", request=OverlapBody, response=OverlapView,
    summary="セグメントの重なり / What saved segments have in common",
)  # fmt: skip
def overlap_segments(call: Call[OverlapBody]) -> OverlapView:
    """Lay saved segments over each other."""
    found = call.world.asking.overlaps(call.body.segments, call.world.clock.now())
    both = [SharedView(one=one, other=other, count=number) for one, other, number in found.both]
    return OverlapView(counts=dict(found.counts), both=both, as_of=to_text(found.as_of))


@endpoint(
    "GET", "/segments/{segment_id}/sizes", scope="segments:read", response=SizesView, query=("from", "to"),
    summary="セグメントの人数の推移 / How a segment grew, day by day",
)  # fmt: skip
def segment_sizes(call: Call[None]) -> SizesView:
    """Return a segment's sizes, of the last ninety days unless days are given."""
    last = call.day("to") or local_date(call.world.clock.now())
    first = call.day("from") or last - timedelta(days=_DAYS)
    sizes = call.world.asking.sizes(call.path["segment_id"], first, last)
    return SizesView(
        sizes={day.isoformat(): size.count for day, size in sizes.items()},
        entered={day.isoformat(): size.entered for day, size in sizes.items() if size.entered is not None},
        left={day.isoformat(): size.left for day, size in sizes.items() if size.left is not None},
    )


@endpoint(
    "GET", "/customers/{customer_id}/segments", scope="customers:read", response=MembershipView,
    summary="顧客が入っているセグメント / The saved segments that a customer is in",
)  # fmt: skip
def segments_of_customer(call: Call[None]) -> MembershipView:
    """Return the saved segments that a customer is in, exactly."""
    found = call.world.asking.segments_of(cid_in(call), call.world.clock.now())
    return MembershipView(items=[MemberView(segment_id=segment.segment_id, name=segment.name) for segment in found])

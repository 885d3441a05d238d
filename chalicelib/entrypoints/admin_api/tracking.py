"""Tracked links."""

from __future__ import annotations

from datetime import datetime

from chalicelib.entrypoints.admin_api.framework import Body, Call, View, endpoint
from chalicelib.kernel.errors import InvalidError
from chalicelib.tracking.model import TrackedLink


class TrackedLinkBody(Body, kw_only=True):
    """A link; templates carry it as {{link.<link_id>}}."""

    link_id: str
    name: str
    url: str


class TrackedLinkView(View, kw_only=True):
    """A link."""

    link_id: str
    name: str
    url: str
    created_at: datetime


class TrackedLinkList(View, kw_only=True):
    """All links."""

    items: list[TrackedLinkView]


def _view(link: TrackedLink) -> TrackedLinkView:
    return TrackedLinkView(link_id=link.link_id, name=link.name, url=link.url, created_at=link.created_at)


@endpoint("GET", "/links", scope="tracking:read", summary="計測リンクの一覧 / List tracked links", response=TrackedLinkList)
def list_links(call: Call[None]) -> TrackedLinkList:
    """List links."""
    return TrackedLinkList(items=[_view(link) for link in call.world.tracking.links()])


@endpoint(
    "POST",
    "/links",
    scope="tracking:write",
    summary="計測リンクを作る / Make a tracked link",
    request=TrackedLinkBody,
    response=TrackedLinkView,
    status=201,
)
def create_link(call: Call[TrackedLinkBody]) -> TrackedLinkView:
    """Make a link."""
    if any(char <= " " or char == "\x7f" for char in call.body.url):  # urlsplit overlooks them; they would go into a header
        raise InvalidError("link.url_malformed")
    return _view(call.world.tracking.create_link(call.body.link_id, call.body.name, call.body.url))

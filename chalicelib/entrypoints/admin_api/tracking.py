"""Tracked links."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from chalicelib.entrypoints.admin_api.framework import Body, Call, View, endpoint
from chalicelib.kernel.errors import InvalidError
from chalicelib.tracking.model import TrackedLink


class TrackedLinkBody(Body, kw_only=True):
    """A link; templates carry it as {{link.<link_id>}}. identifies: its page learns who comes, for the site script."""

    link_id: str
    name: str
    url: str
    identifies: bool = False


class TrackedLinkView(View, kw_only=True):
    """A link."""

    link_id: str
    name: str
    url: str
    identifies: bool
    created_at: datetime


class TrackedLinkList(View, kw_only=True):
    """All links."""

    items: list[TrackedLinkView]


def _view(link: TrackedLink) -> TrackedLinkView:
    return TrackedLinkView(
        link_id=link.link_id, name=link.name, url=link.url, identifies=link.identifies, created_at=link.created_at
    )


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
    return _view(call.world.tracking.create_link(call.body.link_id, call.body.name, call.body.url, identifies=call.body.identifies))


class SiteBody(Body, kw_only=True):
    """The company's sites that carry the site script (docs/behaviour.md). origins: like `https://shop.example`."""

    origins: list[str]


class SiteView(View, kw_only=True):
    """The company's sites, and the script that their pages load."""

    origins: list[str]
    script_url: str


def _site(call: Call[Any]) -> SiteView:
    return SiteView(origins=sorted(call.world.tracking.sites()), script_url=f"{call.world.settings.public_url}/site.js")


@endpoint("GET", "/site", scope="tracking:read", summary="閲覧を記録するサイト / Sites whose visits are noted", response=SiteView)
def get_site(call: Call[None]) -> SiteView:
    """Return the company's sites."""
    return _site(call)


@endpoint(
    "PUT", "/site", scope="tracking:write", summary="閲覧を記録するサイトを決める / Say whose visits are noted",
    request=SiteBody, response=SiteView,
)  # fmt: skip
def set_site(call: Call[SiteBody]) -> SiteView:
    """Say which sites there are."""
    call.world.tracking.set_sites(call.body.origins)
    return _site(call)

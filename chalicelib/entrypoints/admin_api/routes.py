"""Hang every declared endpoint on Chalice's routes."""

from __future__ import annotations

from collections.abc import Callable

from chalice.app import Blueprint, Response

from chalicelib.entrypoints.admin_api import (
    accounts,
    archive,
    audiences,
    campaigns,
    customers,
    delivery,
    duplicates,
    erasures,
    events,
    imports,
    lake,
    operations,
    rehearsals,
    rfm,
    scenario_reports,
    scenarios,
    segments,
    sources,
    tags,
    templates,
    tracking,
)
from chalicelib.entrypoints.admin_api.framework import ENDPOINTS, Endpoint, Incoming, serve
from chalicelib.entrypoints.admin_api.openapi import document_text
from chalicelib.entrypoints.line_webhook import raw_bytes
from chalicelib.wiring import world

blueprint = Blueprint(__name__)
ROOMS = (
    accounts,
    archive,
    audiences,
    campaigns,
    customers,
    delivery,
    duplicates,
    erasures,
    events,
    imports,
    lake,
    operations,
    rehearsals,
    rfm,
    scenario_reports,
    scenarios,
    segments,
    sources,
    tags,
    templates,
    tracking,
)
_BODIES = ["application/json"]
# Answers hold personal data and, once, new keys: no proxy and no browser keeps them or takes them for a page.
_SAFE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


def _route(found: Endpoint) -> Callable[..., Response]:
    def answer(**path: str) -> Response:
        request = blueprint.current_request
        headers = {name.lower(): value for name, value in request.headers.items()}
        incoming = Incoming(headers, path, dict(request.query_params or {}), raw_bytes(request))
        out = serve(found, incoming, world())
        return Response(body=out.body.decode(), status_code=out.status, headers={**_SAFE, "Content-Type": out.content_type})

    return answer


for number, declared in enumerate(ENDPOINTS):
    blueprint.route(declared.path, methods=[declared.method], content_types=_BODIES, name=f"api_{number}")(_route(declared))


@blueprint.route("/v1/openapi.json", methods=["GET"])
def openapi_document() -> Response:
    """Give the OpenAPI document; it holds no secrets, so it needs no key."""
    return Response(body=document_text(), headers={"Content-Type": "application/json"})

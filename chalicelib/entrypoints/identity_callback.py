"""Where a member site sends a signed-in member's browser: with its signature, on to LINE's account-link dialog."""

from __future__ import annotations

from typing import Any

from chalice.app import Blueprint, Response

from chalicelib.entrypoints.public import page
from chalicelib.kernel.errors import DomainError
from chalicelib.observability import count
from chalicelib.wiring import world

routes = Blueprint(__name__)


@routes.route("/link/{account}", methods=["GET"])
def identity_callback(account: str) -> Response:
    """Send the browser on to LINE when the member site's signature says which member it belongs to."""
    query: Any = routes.current_request.query_params or {}
    given = [query.get(name) or "" for name in ("member", "linkToken", "expires", "signature")]
    try:
        url = world().identity_links.request_signed(account, *given)
    except DomainError as error:
        count("LinkRefused", Reason=error.code)
        text = "もう一度LINEの「会員連携」からお試しください。 / Please start again from the LINE chat."
        return page(403 if error.status == 403 else 400, "連携できませんでした", text)
    headers: dict[str, str | list[str]] = {"Location": url, "Referrer-Policy": "no-referrer", "Cache-Control": "no-store"}
    return Response(body="", status_code=302, headers=headers)

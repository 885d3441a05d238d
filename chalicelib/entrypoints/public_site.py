"""The script for the company's own sites, and what it tells: which pages somebody looks at who came by a link of ours."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
from chalice.app import Blueprint, Response

from chalicelib.entrypoints.line_webhook import raw_bytes
from chalicelib.kernel.clock import to_text
from chalicelib.kernel.errors import InvalidError, PortError
from chalicelib.observability import count, error
from chalicelib.tracking.model import SITE
from chalicelib.wiring import world

routes = Blueprint(__name__)
_MOST_BYTES = 2_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_SCRIPT: dict[str, str | list[str]] = {
    "Content-Type": "text/javascript; charset=utf-8",
    "Cache-Control": "public, max-age=3600",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}


class _Visit(msgspec.Struct, forbid_unknown_fields=True):
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


@cache
def _script() -> str:
    return Path(__file__).with_name("site.js").read_text(encoding="utf-8")


@routes.route("/site.js", methods=["GET"])
def site_script() -> Response:
    """Give the script that the company's pages load."""
    return Response(body=_script(), headers=_SCRIPT)


# Text, because browsers send that to another origin without asking first.
@routes.route("/site/events", methods=["POST"], content_types=["text/plain"])
def note_visit() -> Response:
    """Note that somebody looks at a page. Whoever holds no token of ours gets the same answer and leaves no trace."""
    here, request = world(), routes.current_request
    origin = request.headers.get("origin") or ""
    if origin not in here.tracking.sites():
        count("SiteRefused")
        return Response(body="", status_code=403, headers={"Cache-Control": "no-store"})
    headers: dict[str, str | list[str]] = {"Access-Control-Allow-Origin": origin, "Vary": "Origin", "Cache-Control": "no-store"}
    body = raw_bytes(request)
    try:
        visit = msgspec.json.decode(body[: _MOST_BYTES + 1], type=_Visit)
        if _CONTROL.search(visit.name):
            return Response(body="", status_code=400, headers=headers)
        here.tracking.origin(SITE, visit.token)
        note = {
            "purpose": SITE,
            "token": visit.token,
            "page": visit.name,
            "agent": (request.headers.get("user-agent") or "")[:300],
            "at": to_text(here.clock.now()),
        }
        here.events.put(json.dumps(note), {"kind": "visit"})
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Response(body="", status_code=400, headers=headers)
    except InvalidError:
        pass
    except PortError:
        error("a visit of a site could not be noted")
    return Response(body="", status_code=204, headers=headers)

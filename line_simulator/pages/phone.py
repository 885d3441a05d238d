"""The page with people's phones, for human eyes."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from line_simulator.exchange import Request, Response

_FILES: Final = {
    "/_phone": ("phone.html", "text/html; charset=utf-8"),
    "/_phone/phone.css": ("phone.css", "text/css; charset=utf-8"),
    "/_phone/phone.js": ("phone.js", "text/javascript; charset=utf-8"),
    "/_phone/bubbles.js": ("bubbles.js", "text/javascript; charset=utf-8"),
}


class Phone:
    """Serves the phone page; everything on it happens through /_sim/."""

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.path not in _FILES:
            return Response(404, "このページはありません。".encode(), "text/plain; charset=utf-8")
        if request.method not in ("GET", "HEAD"):
            return Response(405, "この操作はできません。".encode(), "text/plain; charset=utf-8", {"Allow": "GET, HEAD"})
        name, content_type = _FILES[request.path]
        body = (files("line_simulator.pages") / "static" / name).read_bytes()
        return Response(200, body, content_type, {"Cache-Control": "no-cache"})

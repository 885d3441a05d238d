"""The page with people's phones, for human eyes."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final
from urllib.parse import quote

from line_simulator.exchange import Request, Response
from line_simulator.pages.browser import PERSON_COOKIE
from line_simulator.pages.walking import at_home
from line_simulator.world.state import World

_FILE = re.compile(r"/_phone/([a-z_]+\.(?:js|css|svg))")
_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}
_CONTENT = re.compile(r"/_phone/content/(\d+)")
_SAFE_MEDIA = re.compile(r"image/(?:png|jpeg|gif|webp)|(?:video|audio)/[a-z0-9.+-]+")
# Bots' images and pages come from anywhere; scripts, styles and calls only from here.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src * data: blob:; media-src * data: blob:; frame-src *; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


class Phone:
    """Serves the phone page; everything on it happens through /_sim/."""

    def __init__(self, world: World) -> None:
        self._world = world

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        if request.method not in ("GET", "HEAD"):
            return Response(405, "この操作はできません。".encode(), "text/plain; charset=utf-8", {"Allow": "GET, HEAD"})
        if request.path in ("/_phone", "/_phone/"):
            return _static("phone.html")
        if request.path == "/_phone/coverage":
            return _static("coverage.html")
        if request.path == "/_phone/open":
            return self._open(request.parameters())
        content = _CONTENT.fullmatch(request.path)
        if content is not None:
            return self._content(content[1])
        name = _FILE.fullmatch(request.path)
        return _static(name[1]) if name else _missing()

    def _open(self, given: dict[str, str]) -> Response:
        """Send the in-app browser to a page, with the cookie that says whose phone it is on."""
        person = self._world.state.people.get(given.get("person", ""))
        url = at_home(self._world.origin, given.get("url", ""))
        if person is None or not re.match(r"https?://[^\s/]", url):
            return _missing()
        headers = {
            "Location": quote(url, safe="%/:=&?~#+!$,;'@()*[]-._"),
            "Set-Cookie": f"{PERSON_COOKIE}={quote(person.id, safe='')}; Path=/; SameSite=Lax",
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
        }
        return Response(302, b"", "text/plain; charset=utf-8", headers)

    def _content(self, message_id: str) -> Response:
        """Show what a person sent. Only media is shown; anything else is a download, as it would run in our origin."""
        content = self._world.state.contents.get(message_id)
        if content is None:
            return _missing()
        headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=3600"}
        if _SAFE_MEDIA.fullmatch(content.content_type):
            return Response(200, content.data, content.content_type, headers)
        headers["Content-Disposition"] = "attachment"
        return Response(200, content.data, "application/octet-stream", headers)


def _static(name: str) -> Response:
    source = files("line_simulator.pages") / "static" / name
    if not source.is_file():
        return _missing()
    headers = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
    if name.endswith(".html"):
        headers["Content-Security-Policy"] = _POLICY
    return Response(200, source.read_bytes(), _TYPES[name.rpartition(".")[2]], headers)


def _missing() -> Response:
    return Response(404, "このページはありません。".encode(), "text/plain; charset=utf-8")

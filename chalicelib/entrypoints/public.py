"""Addresses in messages: follow a link, load an e-mail's picture, refuse further mail. A token says who; nothing else does."""

from __future__ import annotations

import json
from html import escape
from urllib.parse import parse_qs, quote

from chalice.app import Blueprint, Response

from chalicelib.customers.model import DeliveryChannel
from chalicelib.entrypoints.line_webhook import raw_bytes
from chalicelib.kernel.clock import to_text
from chalicelib.kernel.errors import InvalidError, NotFoundError, PortError
from chalicelib.kernel.ids import new_id
from chalicelib.observability import error
from chalicelib.reactions import react
from chalicelib.tracking.model import CLICK, OPEN, OPT_OUT
from chalicelib.wiring import World, world

routes = Blueprint(__name__)
_SAFE: dict[str, str | list[str]] = {
    "Referrer-Policy": "no-referrer",  # the token must not travel on to other sites
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex",
}
_PAGE: dict[str, str | list[str]] = {
    **_SAFE,
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
}
_PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
_FORM = ["application/x-www-form-urlencoded", "multipart/form-data", "application/json"]


@routes.route("/health", methods=["GET"])
def health() -> Response:
    """Say that the API answers."""
    return Response(body='{"ok":true}', headers={"Content-Type": "application/json"})


@routes.route("/r/{token}", methods=["GET", "HEAD"])
def follow_link(token: str) -> Response:
    """Lead on to where a tracked link points; whoever comes by is noted later, from the queue."""
    here = world()
    try:
        origin = here.tracking.origin(CLICK, token)
        url = here.tracking.onward(here.tracking.link(origin.link_id), origin)
    except (InvalidError, NotFoundError):
        return page(404, "リンクが見つかりません", "このリンクは正しくないか、削除されています。 / This link is not valid.")
    _note_visit(here, CLICK, token)
    # A header takes ASCII without blanks and line ends; what is encoded already stays as it is.
    return Response(body="", status_code=302, headers={**_SAFE, "Location": quote(url, safe="!#$%&'()*+,/:;=?@[]~")})


@routes.route("/o/{token}", methods=["GET"])
def open_picture(token: str) -> Response:
    """Give an e-mail its picture of one pixel, as text: API Gateway sends bytes only to who asks for image/gif first."""
    here = world()
    try:
        here.tracking.origin(OPEN, token)
        _note_visit(here, OPEN, token)
    except InvalidError:
        pass  # a picture is a picture; who asks for it with a bad token learns nothing
    return Response(body=_PICTURE, headers={**_SAFE, "Content-Type": "image/svg+xml"})


def _note_visit(here: World, purpose: str, token: str) -> None:
    request = routes.current_request
    now = here.clock.now()
    visit = {
        "purpose": purpose,
        "token": token,
        "method": request.method,
        "agent": (request.headers.get("user-agent") or "")[:300],
        "at": to_text(now),
        "visit_id": new_id("vis", now),
    }
    try:
        here.events.put(json.dumps(visit), {"kind": "visit"})
    except PortError:
        # Whoever comes by wants to go on; a visit that is not counted harms him less than a page that does not open.
        error("a visit could not be noted", purpose=purpose)


@routes.route("/u/{token}", methods=["GET"])
def ask_opt_out(token: str) -> Response:
    """Ask whether further mail is refused. Looking changes nothing: mail scanners look at everything (RFC 8058)."""
    try:
        world().tracking.origin(OPT_OUT, token)
    except InvalidError:
        return page(404, "リンクが正しくありません", "メール内のリンクをもう一度お試しください。 / This link is not valid.")
    button = '<form method="post"><button name="confirm" value="yes">配信を停止する / Unsubscribe</button></form>'
    return page(200, "メール配信の停止", "今後、お知らせメールをお送りしないようにします。", button)


@routes.route("/u/{token}", methods=["POST"], content_types=_FORM)
def opt_out(token: str) -> Response:
    """Refuse further mail: by the button above, or by a mail program in one click (RFC 8058)."""
    here = world()
    try:
        origin = here.tracking.origin(OPT_OUT, token)
    except InvalidError:
        return page(404, "リンクが正しくありません", "メール内のリンクをもう一度お試しください。 / This link is not valid.")
    body = raw_bytes(routes.current_request).decode("utf-8", "replace")
    one_click = "List-Unsubscribe" in parse_qs(body) or "One-Click" in body
    source = f"{'one-click' if one_click else 'page'} {origin.source}"
    try:
        customer = here.customers.get(origin.cid)
    except NotFoundError:  # nobody is left who could be sent to
        return page(200, "配信を停止しました", "今後、お知らせメールはお送りしません。 / You are unsubscribed.")
    react(here.customers.set_consent(customer.cid, DeliveryChannel.EMAIL, opted_out=True, source=source), here)
    return page(200, "配信を停止しました", "今後、お知らせメールはお送りしません。 / You are unsubscribed.")


def page(status: int, title: str, text: str, body: str = "") -> Response:
    """Return a small page. title, text: plain; body: HTML of ours."""
    html = (
        f'<!doctype html><html lang="ja"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>body{{font-family:sans-serif;max-width:32em;margin:3em auto;padding:0 1em;"
        f"line-height:1.7}}button{{font-size:1em;padding:.7em 1.5em;border:0;border-radius:.4em;background:#06783c;color:#fff}}"
        f"</style><h1>{escape(title)}</h1><p>{escape(text)}</p>{body}</html>"
    )
    return Response(body=html, status_code=status, headers=_PAGE)

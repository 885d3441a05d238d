"""A sample member site: what a shop's own site does to link a member with LINE, with one API call after sign-in.

Threats of line-platform.md 4.1 that fall to the site: it shows what will be linked and that it can be undone, asks the API for
a nonce only after the member has signed in, protects its own form against login CSRF, and leaks no token in a Referer.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from local.api import Api, ApiError

_PASSWORD = "demo"  # noqa: S105 - everybody's, printed on the page
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self' http://127.0.0.1:*",
}


class Shop:
    """The site. port 0 takes a free one."""

    def __init__(self, port: int, api_url: str, token: str, account: str) -> None:
        self._api = Api(api_url, token)
        self.account = account
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # noqa: N802 - http.server's name
                shop.get(self)

            def do_POST(self) -> None:  # noqa: N802 - http.server's name
                shop.post(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self.login_url = self.url + "login"

    def start(self) -> None:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, args=(0.1,), name="shop", daemon=True).start()

    def stop(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()

    def get(self, request: BaseHTTPRequestHandler) -> None:
        """Show the sign-in page; it asks nothing of Enishi yet, because nobody has proven who he is."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
        csrf = secrets.token_urlsafe(24)
        if urlsplit(request.path).path != "/login" or not query.get("linkToken"):
            self._page(request, 200, "縁商店 会員サイト（見本）", "<p>LINEのトークから「会員連携する」を選んでください。</p>")
            return
        form = (
            "<p>このLINEと、これからログインする<b>縁商店の会員アカウント</b>を連携します。連携はいつでも解除できます。</p>"
            f'<form method="post" action="/login"><input type="hidden" name="csrf" value="{csrf}">'
            f'<input type="hidden" name="linkToken" value="{escape(query["linkToken"], quote=True)}">'
            '<label>会員番号 <input name="member" autocomplete="username" placeholder="M00001"></label>'
            '<label>パスワード <input name="password" type="password" autocomplete="current-password" placeholder="demo"></label>'
            "<button>ログインして連携する</button></form>"
        )
        cookie = f"csrf={csrf}; HttpOnly; SameSite=Lax; Path=/login"
        self._page(request, 200, "会員ログイン", form, {"Set-Cookie": cookie})

    def post(self, request: BaseHTTPRequestHandler) -> None:
        """Sign the member in, then ask Enishi for LINE's dialog and send the browser there."""
        length = min(int(request.headers.get("Content-Length") or 0), 10_000)
        form = {name: values[0] for name, values in parse_qs(request.rfile.read(length).decode()).items()}
        cookies = dict(part.strip().split("=", 1) for part in (request.headers.get("Cookie") or "").split(";") if "=" in part)
        if not form.get("csrf") or not hmac.compare_digest(form["csrf"], cookies.get("csrf", "")):
            self._page(request, 403, "もう一度お試しください", "<p>ページの有効期限が切れました。LINEから開き直してください。</p>")
            return
        if not hmac.compare_digest(form.get("password", "").encode(), _PASSWORD.encode()):
            self._page(request, 401, "ログインできませんでした", "<p>会員番号またはパスワードが違います。</p>")
            return
        body = {"account": self.account, "member_no": form.get("member", ""), "link_token": form.get("linkToken", "")}
        try:
            target = self._api.post("/identity-links", body)["redirect_url"]
        except ApiError:
            self._page(request, 400, "連携できませんでした", "<p>会員番号をご確認のうえ、LINEからやり直してください。</p>")
            return
        self._answer(request, 303, b"", {"Location": target})

    def _page(
        self, request: BaseHTTPRequestHandler, status: int, title: str, body: str, headers: dict[str, str] | None = None
    ) -> None:
        html = (
            f'<!doctype html><html lang="ja"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"<title>{escape(title)}</title><style>body{{font-family:sans-serif;max-width:26em;margin:2em auto;padding:0 1em;"
            "line-height:1.7}label{display:block;margin:.8em 0}input{font-size:1em;padding:.5em;width:100%;box-sizing:border-box}"
            "button{font-size:1em;padding:.8em 1.2em;border:0;border-radius:.4em;background:#06783c;color:#fff;width:100%}</style>"
            f"<h1>{escape(title)}</h1>{body}</html>"
        )
        self._answer(request, status, html.encode(), headers or {})

    def _answer(self, request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
        request.send_response(status)
        for name, value in {**_HEADERS, **headers, "Content-Length": str(len(body))}.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

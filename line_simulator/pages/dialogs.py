"""The account link dialog of access.line.me, where a person agrees on their phone."""

from __future__ import annotations

from html import escape
from typing import Final
from urllib.parse import parse_qsl

from line_simulator.pages.browser import PERSON_COOKIE
from line_simulator.exchange import Request, Response, SimulatorError, html_response
from line_simulator.people import People
from line_simulator.state import LinkToken, PersonRecord, World

PATH: Final = "/dialog/bot/accountLink"
# Messaging API, Link accounts: a nonce has 10 to 255 characters.
_NONCE_MIN, _NONCE_MAX = 10, 255


class Dialogs:
    """Three outcomes: the owner of the token agrees (ok), someone else does (failed), or the token is bad (no webhook)."""

    def __init__(self, world: World, people: People) -> None:
        self._world = world
        self._people = people

    def handle(self, request: Request) -> Response:
        """Answer a request for the dialog."""
        if request.method == "GET":
            return self._ask(request)
        if request.method == "POST":
            return self._decide(request)
        return _page("エラー", "<p>この操作はできません。</p>", 405)

    def _ask(self, request: Request) -> Response:
        given = request.parameters()
        with self._world.lock:
            token = self._token(given)
            if token is None:
                return _refused()
            person = self._signed_in(request, token)
            others = list(self._world.state.people.values())[:50]
        channel = self._world.state.channels[token.channel_id]
        options = "".join(
            f'<option value="{escape(one.id)}"{" selected" if one.id == person.id else ""}>{escape(one.name)}</option>'
            for one in ([person] if person not in others else []) + others
        )
        return _page(
            "アカウント連携",
            f"<p><strong>{escape(channel.name)}</strong> とLINEアカウントを連携しますか？</p>"
            f'<form method="post" action="{PATH}">'
            f'<input type="hidden" name="linkToken" value="{escape(given["linkToken"])}">'
            f'<input type="hidden" name="nonce" value="{escape(given["nonce"])}">'
            f'<label>LINEにログイン中の人 <select name="person">{options}</select></label>'
            '<p><button name="answer" value="allow">連携する</button>'
            '<button name="answer" value="cancel" class="plain">キャンセル</button></p></form>',
        )

    def _decide(self, request: Request) -> Response:
        given = request.form()
        if given.get("answer") == "cancel":
            return _page("アカウント連携", "<p>連携をやめました。</p>")
        with self._world.lock:
            token = self._token(given)
            if token is None:
                return _refused()
            try:
                person = self._world.person(given["person"]) if "person" in given else self._signed_in(request, token)
            except SimulatorError:
                return _refused()
            token.used = True
            channel = self._world.state.channels[token.channel_id]
            is_owner = self._world.user_id(person, channel.provider) == token.user_id
            self._people.account_linked(channel, token.user_id if is_owner else None, given["nonce"])
        if is_owner:
            return _page("アカウント連携", "<p>連携が完了しました。トーク画面に戻ってください。</p>")
        return _page("アカウント連携", "<p>連携できませんでした。別のLINEアカウントでログインしています。</p>")

    def _token(self, given: dict[str, str]) -> LinkToken | None:
        token = self._world.state.link_tokens.get(given.get("linkToken", ""))
        if token is None or token.used or token.expires_at <= self._world.clock.time():
            return None
        if not _NONCE_MIN <= len(given.get("nonce", "")) <= _NONCE_MAX:
            return None
        return token

    def _signed_in(self, request: Request, token: LinkToken) -> PersonRecord:
        """Return whose phone this is: the person in the cookie, else the owner of the token."""
        cookies = dict(parse_qsl(request.headers.get("cookie", "").replace("; ", "&")))
        person = self._world.state.people.get(cookies.get(PERSON_COOKIE, ""))
        return person or self._world.state.owners[token.user_id][1]


def _refused() -> Response:
    return _page("エラー", "<p>リンクの有効期限が切れているか、すでに使用されています。もう一度お試しください。</p>", 400)


def _page(title: str, content: str, status: int = 200) -> Response:
    return html_response(
        '<!doctype html><html lang="ja"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="referrer" content="no-referrer">'
        f"<title>{title}</title><style>body{{font-family:system-ui,sans-serif;margin:2rem auto;max-width:22rem;"
        "padding:0 1rem;color:#111}button{background:#06c755;color:#fff;border:0;border-radius:6px;padding:.8rem 1.2rem;"
        "font-size:1rem;margin-right:.5rem}button.plain{background:#eee;color:#111}select{font-size:1rem;padding:.3rem}"
        f".sim{{color:#888;font-size:.75rem}}</style></head><body><h1>{title}</h1>{content}"
        '<p class="sim">これはLINEの模擬環境です。</p></body></html>',
        status,
    )

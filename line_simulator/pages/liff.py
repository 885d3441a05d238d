"""What stands for https://liff.line.me: the way from a LIFF URL to the app, and a small LIFF SDK."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from importlib.resources import files
from typing import Final

from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.exchange import Response
from line_simulator.pages import look
from line_simulator.people.people import People
from line_simulator.world import login_book
from line_simulator.world.liff_book import LiffApp, LiffBook, added_to, first_url
from line_simulator.world.login_book import LoginBook, LoginChannel
from line_simulator.world.state import Friendship, JsonObject, PersonRecord, World

_TITLE: Final = "LIFF"
_PARTIAL: Final = "consent and friend option on one page; the SDK is a shim of the methods listed in its file"
_SCOPES: Final = {
    "profile": "メインプロフィール情報",
    "openid": "あなたの内部識別子",
    "email": "メールアドレス",
    "chat_message.write": "トークへのメッセージ送信",
}
Issue = Callable[[LoginChannel, PersonRecord, list[str]], JsonObject]


class LiffPages:
    """Opening LIFF apps. Callers hold the world's lock."""

    def __init__(self, world: World, people: People, issue: Issue) -> None:
        self._world = world
        self._people = people
        self._issue = issue

    def operations(self) -> dict[str, Operation]:
        """Return the pages as operations."""
        return {
            "openLiffApp": Operation(self.open, account=False, partial=_PARTIAL),
            "answerLiffApp": Operation(self.decide, Reads.FORM, account=False, partial=_PARTIAL),
            "getLiffSdk": Operation(_sdk, account=False, locked=False, partial=_PARTIAL),
        }

    def open(self, call: Context) -> Response:
        """Answer GET /liff/{liffId}/…: the app at once if the person on the phone has agreed, else the consent page."""
        app, added = self._asked(call)
        if app is None:
            return look.outcome("エラー", "このLIFFアプリはありません。", good=False, status=404)
        call.client_id = app.channel_id
        target = call.query.get("linesim.redirectUri")
        if target is not None:
            inside = added_to(app, target)
            if inside is None:
                return look.outcome("エラー", "redirectUri がエンドポイントURLの下にありません。", good=False, status=400)
            added = inside
        channel = self._world.part(LoginBook).channels[app.channel_id]
        person = look.owner_of_phone(self._world, call.request)
        if person is not None and not set(app.scopes) - set(self._agreed(channel, person)):
            return self._enter(app, channel, person, added)
        return self._page(app, channel, person, added)

    def decide(self, call: Context) -> Response:
        """Answer the consent page."""
        app, _ = self._asked(call)
        person = self._world.state.people.get(call.form.get("person", ""))
        if app is None or person is None:
            return look.outcome("エラー", "このLIFFアプリはありません。", good=False, status=404)
        if call.form.get("answer") == "cancel":
            return look.outcome(_TITLE, "LIFFアプリを開きませんでした。", good=False)
        call.client_id = app.channel_id
        channel = self._world.part(LoginBook).channels[app.channel_id]
        login_book.agree(self._world, channel.id, self._world.user_id(person, channel.provider), app.scopes)
        bot = login_book.linked_account(self._world, channel)
        if bot is not None and "add_friend" in call.form and app.settings.get("botPrompt", "none") != "none":
            self._people.follow(person, bot)
        return self._enter(app, channel, person, call.form.get("added", ""))

    def _asked(self, call: Context) -> tuple[LiffApp | None, str]:
        liff_id, _, path = call.parameters["liffUrl"].partition("/")
        query = "" if "linesim.redirectUri" in call.query else call.request.query
        return self._world.part(LiffBook).apps.get(liff_id), path + (f"?{query}" if query else "")

    def _agreed(self, channel: LoginChannel, person: PersonRecord) -> list[str]:
        return login_book.agreed(self._world, channel.id, self._world.user_id(person, channel.provider))

    def _enter(self, app: LiffApp, channel: LoginChannel, person: PersonRecord, added: str) -> Response:
        tokens = self._issue(channel, person, app.scopes)
        session = {"access_token": tokens["accessToken"], "liff_id": app.id, "view_type": app.settings["view"]["type"]}
        if "idToken" in tokens:
            session["id_token"] = tokens["idToken"]
        headers = {"Location": first_url(app, added, session), "Cache-Control": "no-store"}
        return Response(302, b"", "text/html; charset=utf-8", headers)

    def _page(self, app: LiffApp, channel: LoginChannel, person: PersonRecord | None, added: str) -> Response:
        rows = "".join(f"<li>{_SCOPES[scope]}</li>" for scope in app.scopes)
        own = {"step": "liff", "added": added}
        form = (
            f'<form method="post" action="/liff/{app.id}">{look.hidden(own)}'
            f'<p class="who">LINEにログイン中の人{look.people_choice(self._world, person)}</p>'
            f"<p>次の情報へのアクセスを許可しますか？</p><ul>{rows}</ul>{self._friend_box(app, channel, person)}"
            '<button name="answer" value="allow">許可する</button>'
            '<button name="answer" value="cancel" class="plain">キャンセル</button></form>'
        )
        return look.page(
            _TITLE, form, name=str(app.settings.get("description") or channel.name), note=f"提供者: {channel.provider}"
        )

    def _friend_box(self, app: LiffApp, channel: LoginChannel, person: PersonRecord | None) -> str:
        bot = login_book.linked_account(self._world, channel)
        if bot is None or app.settings.get("botPrompt", "none") == "none":
            return ""
        chat = bot.chats.get(self._world.user_id(person, channel.provider)) if person else None
        if chat is not None and chat.status is Friendship.FRIEND:
            return f"<p>{escape(bot.name)} は友だち追加済みです。</p>"
        return f'<label class="choice"><input type="checkbox" name="add_friend">{escape(bot.name)} を友だち追加する</label>'


def _sdk(_: Context) -> Response:
    body = (files("line_simulator.pages") / "liff_sdk.js").read_bytes()
    headers = {"Cache-Control": "no-cache", "Access-Control-Allow-Origin": "*"}
    return Response(200, body, "text/javascript; charset=utf-8", headers)

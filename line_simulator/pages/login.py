"""The pages of LINE Login on access.line.me: logging in, consenting, adding the account as a friend, and the way back."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import urlencode

import jwt

from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.api.id_tokens import ISSUER
from line_simulator.exchange import Response
from line_simulator.faults.faults import Faults
from line_simulator.pages import look
from line_simulator.people.people import People
from line_simulator.world import login_book
from line_simulator.world.login_book import Code, LoginBook, LoginChannel
from line_simulator.world.state import Channel, Friendship, PersonRecord, World

PATH: Final = "/oauth2/v2.1/authorize"
_TITLE: Final = "LINEログイン"
_SSO_COOKIE: Final = "linesim_sso"
_SCOPES: Final = {
    "profile": "メインプロフィール情報",
    "openid": "あなたの内部識別子",
    "email": "メールアドレス",
}
_MODES: Final = ("query", "form_post", "query.jwt", "form_post.jwt", "jwt")
_OWN: Final = frozenset({"step", "person", "amr", "answer", "add_friend", "grant_email", "scopes"})


@dataclass(frozen=True, slots=True)
class Ask:
    """An authorisation request whose client_id and redirect_uri are good."""

    channel: LoginChannel
    given: dict[str, str]

    @property
    def scopes(self) -> list[str]:
        """The scopes asked for, each once."""
        return list(dict.fromkeys(self.given.get("scope", "").split()))

    def is_set(self, name: str) -> bool:
        """Tell whether a boolean parameter is true."""
        return self.given.get(name) == "true"

    def logs_in(self, person: PersonRecord) -> bool:
        """Tell whether this person is logged in without doing anything (Integrating LINE Login, Auto login): never on a PC."""
        if person.app == "pc" or self.given.get("prompt") == "login" or self.is_set("disable_auto_login"):
            return False
        return not (person.app == "ios" and self.is_set("disable_ios_auto_login"))

    def problem(self) -> tuple[str, str] | None:
        """Return the error code and its description, if the request is wrong (Integrating LINE Login, Error codes)."""
        given = self.given
        if given.get("response_type") != "code":
            return "UNSUPPORTED_RESPONSE_TYPE", "response_type must be code."
        if not given.get("state"):
            return "INVALID_REQUEST", "state is required."
        scopes = set(self.scopes)
        if not scopes & {"profile", "openid"} or scopes - set(_SCOPES) or ("email" in scopes and "openid" not in scopes):
            return "INVALID_SCOPE", "The requested scope is invalid."
        if "email" in scopes and not self.channel.email:
            return "INVALID_SCOPE", "The channel has no permission to get email addresses."
        wrong = [name for name, values in _ALLOWED.items() if name in given and given[name] not in values]
        if "max_age" in given and not (given["max_age"].isascii() and given["max_age"].isdigit()):
            wrong.append("max_age")
        if ("code_challenge" in given) != ("code_challenge_method" in given):
            wrong.append("code_challenge")
        elif "code_challenge" in given and len(given["code_challenge"]) != 43:
            wrong.append("code_challenge")
        return ("INVALID_REQUEST", f"{wrong[0]} is invalid.") if wrong else None


_ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "prompt": ("consent", "none", "login"),
    "bot_prompt": ("normal", "aggressive"),
    "code_challenge_method": ("S256",),
    "response_mode": _MODES,
    "disable_auto_login": ("true", "false"),
    "disable_ios_auto_login": ("true", "false"),
    "switch_amr": ("true", "false"),
}


class LoginPages:
    """The authorisation endpoint. Callers hold the world's lock."""

    def __init__(self, world: World, people: People, faults: Faults) -> None:
        self._world = world
        self._people = people
        self._faults = faults

    def operations(self) -> dict[str, Operation]:
        """Return the two halves of the endpoint."""
        return {
            "authorizeLogin": Operation(self.open, account=False),
            "answerLogin": Operation(self.decide, Reads.FORM, account=False),
        }

    def _asked(self, call: Context, given: dict[str, str]) -> Ask | Response:
        """Return what is asked for, or the refusal of it."""
        ask = self._read(given)
        if isinstance(ask, Response):
            return ask
        problem = ask.problem()
        if problem is not None:
            return self._refuse(ask, *problem)
        call.client_id = ask.channel.id
        return ask

    def open(self, call: Context) -> Response:
        """Answer the authorisation request: a page, or the way back at once when nothing need be asked."""
        ask = self._asked(call, call.query)
        if isinstance(ask, Response):
            return ask
        person = look.owner_of_phone(self._world, call.request)
        automatic = person is not None and ask.logs_in(person)
        if ask.given.get("prompt") == "none":
            return self._silent(ask, person, automatic=automatic)
        if person is not None and automatic:
            return self._logged_in(ask, person, "lineautologin")
        known = self._world.state.people.get(look.cookies(call.request).get(_SSO_COOKIE, ""))
        return self._login_page(ask, person or known)

    def decide(self, call: Context) -> Response:
        """Answer a form of these pages."""
        ask = self._asked(call, call.form)
        if isinstance(ask, Response):
            return ask
        person = self._world.state.people.get(call.form.get("person", ""))
        step = call.form.get("step")
        if person is None or step not in ("login", "consent", "friend"):
            return self._login_page(ask, person)
        if step == "login":
            sso = look.cookies(call.request).get(_SSO_COOKIE) == person.id and ask.given.get("prompt") != "login"
            code = ask.given.get("initial_amr_display") == "lineqr"
            response = self._logged_in(ask, person, "lineqr" if code else "linesso" if sso else "pwd")
            response.headers["Set-Cookie"] = f"{_SSO_COOKIE}={person.id}; Path=/oauth2; HttpOnly; SameSite=Lax"
            return response
        if call.form.get("answer") == "cancel":
            return self._denied(ask)
        return self._consented(ask, person, call.form)

    # -- steps

    def _read(self, fields: dict[str, str]) -> Ask | Response:
        given = {name: value for name, value in fields.items() if name not in _OWN}
        channel = self._world.part(LoginBook).channels.get(given.get("client_id", ""))
        if channel is None:
            return _bad("client_id が正しくありません。", "Invalid client_id value.")
        if not login_book.is_registered(channel, given.get("redirect_uri", "")):
            return _bad(
                "redirect_uri が登録されていません。",
                "Invalid redirect_uri value. Check if it is registered in a LINE developers site.",
            )
        return Ask(channel, given)

    def _silent(self, ask: Ask, person: PersonRecord | None, *, automatic: bool) -> Response:
        """Answer prompt=none, which shows no page whatever happens."""
        if person is None:
            return self._refuse(ask, "LOGIN_REQUIRED", "The user is not logged in.")
        if not automatic or self._missing(ask, person):
            # The table of error codes has none for a missing consent; this one is a guess.
            return self._refuse(ask, "INTERACTION_REQUIRED", "The user has to act.")
        return self._grant(ask, person, "lineautologin", ask.scopes)

    def _logged_in(self, ask: Ask, person: PersonRecord, amr: str) -> Response:
        if ask.given.get("prompt") == "consent" or self._missing(ask, person):
            return self._consent_page(ask, person, amr)
        return self._grant(ask, person, amr, ask.scopes)

    def _consented(self, ask: Ask, person: PersonRecord, form: dict[str, str]) -> Response:
        first = form.get("step") == "consent"
        scopes = ask.scopes
        if "grant_email" not in form and first or not first and "email" not in form.get("scopes", "").split():
            scopes = [scope for scope in scopes if scope != "email"]
        amr = form.get("amr", "pwd")
        bot = self._offered(ask, person)
        if first and bot is not None and ask.given.get("bot_prompt") == "aggressive":
            return self._friend_page(ask, person, amr, scopes, bot)
        login_book.agree(self._world, ask.channel.id, self._user_id(ask, person), scopes)
        changed = bot is not None and "add_friend" in form
        if bot is not None and changed:
            self._people.follow(person, bot)
        shown = "bot_prompt" in ask.given and login_book.linked_account(self._world, ask.channel) is not None
        return self._grant(ask, person, amr, scopes, changed if shown else None)

    def _user_id(self, ask: Ask, person: PersonRecord) -> str:
        return self._world.user_id(person, ask.channel.provider)

    def _missing(self, ask: Ask, person: PersonRecord) -> list[str]:
        granted = login_book.agreed(self._world, ask.channel.id, self._user_id(ask, person))
        return [scope for scope in ask.scopes if scope not in granted]

    def _offered(self, ask: Ask, person: PersonRecord) -> Channel | None:
        """Return the account to offer as a friend: asked for, linked, and not one already."""
        bot = login_book.linked_account(self._world, ask.channel)
        if bot is None or "bot_prompt" not in ask.given:
            return None
        chat = bot.chats.get(self._user_id(ask, person))
        return None if chat is not None and chat.status is Friendship.FRIEND else bot

    # -- the way back

    def _grant(self, ask: Ask, person: PersonRecord, amr: str, scopes: list[str], changed: bool | None = None) -> Response:
        kinds = ("login_denied", "login_state_lost", "login_code_reused")
        fault = login_book.struck(self._faults, kinds, ask.channel)
        if fault == "login_denied":
            return self._denied(ask)
        code = Code(
            channel_id=ask.channel.id,
            user_id=self._user_id(ask, person),
            redirect_uri=ask.given["redirect_uri"],
            scopes=scopes,
            expires_at=self._world.clock.time() + login_book.CODE_SECONDS,
            amr=amr if amr in ("pwd", "lineautologin", "lineqr", "linesso") else "pwd",
            nonce=ask.given.get("nonce"),
            challenge=ask.given.get("code_challenge"),
            auth_time=int(self._world.clock.time()) if "max_age" in ask.given else None,
            # A failed automatic login comes back with an invalid code and another state (How to handle auto login failure).
            used=fault is not None,
        )
        state = self._world.ids.url_token(12) if fault == "login_state_lost" else ask.given["state"]
        values = {"code": login_book.issue_code(self._world, code), "state": state}
        if changed is not None:
            values["friendship_status_changed"] = "true" if changed else "false"
        return self._back(ask, values)

    def _denied(self, ask: Ask) -> Response:
        return self._refuse(ask, "ACCESS_DENIED", "The resource owner denied the request.")

    def _refuse(self, ask: Ask, error: str, description: str) -> Response:
        values = {"error": error, "error_description": description}
        return self._back(ask, {**values, **({"state": ask.given["state"]} if ask.given.get("state") else {})})

    def _back(self, ask: Ask, values: dict[str, str]) -> Response:
        """Return to the callback URL in the wished response_mode."""
        url, mode = ask.given["redirect_uri"], ask.given.get("response_mode", "query")
        if mode.endswith("jwt") and mode in _MODES:
            claims = {"iss": ISSUER, "aud": ask.channel.id, "exp": int(self._world.clock.time()) + 600, **values}
            values = {"response": jwt.encode(claims, ask.channel.secret, "HS256")}
        if mode.startswith("form_post") and mode in _MODES:
            return look.page(
                _TITLE,
                f'<form method="post" action="{escape(url)}">{look.hidden(values)}<button>続ける</button></form>'
                "<script>document.forms[0].submit()</script>",
            )
        location = url + ("&" if "?" in url else "?") + urlencode(values, errors="replace")
        return Response(302, b"", "text/html; charset=utf-8", {"Location": location, "Cache-Control": "no-store"})

    # -- pages

    def _form(self, ask: Ask, content: str, **own: str) -> str:
        return f'<form method="post" action="{PATH}">{look.hidden({**ask.given, **own})}{content}</form>'

    def _login_page(self, ask: Ask, person: PersonRecord | None) -> Response:
        label = "次のアカウントでログイン" if person else "ログインするアカウント"
        if ask.given.get("initial_amr_display") == "lineqr":
            label = "QRコードを読み取ったアカウント"
        content = f'<p class="who">{label}{look.people_choice(self._world, person)}</p><button>ログイン</button>'
        return look.page(_TITLE, self._form(ask, content, step="login"), name=ask.channel.name, note="LINEでログイン")

    def _consent_page(self, ask: Ask, person: PersonRecord, amr: str) -> Response:
        rows = "".join(
            f"<li>{_SCOPES[scope]}<small>（必須）</small></li>" for scope in ask.scopes if scope in ("profile", "openid")
        )
        if "email" in ask.scopes:
            rows += f'<li><label class="choice"><input type="checkbox" name="grant_email" checked>{_SCOPES["email"]}</label></li>'
        content = (
            f'<p class="who">{escape(person.name)} さんとしてログイン中</p><p>次の情報へのアクセスを許可しますか？</p><ul>{rows}</ul>'
            f"{self._friend_box(ask, person)}"
            '<button name="answer" value="allow">許可する</button>'
            '<button name="answer" value="cancel" class="plain">キャンセル</button>'
        )
        form = self._form(ask, content, step="consent", person=person.id, amr=amr)
        switch = self._form(ask, '<button class="quiet">別のアカウントでログイン</button>', step="switch")
        return look.page(_TITLE, form + switch, name=ask.channel.name, note=f"提供者: {ask.channel.provider}")

    def _friend_box(self, ask: Ask, person: PersonRecord) -> str:
        bot = login_book.linked_account(self._world, ask.channel)
        if bot is None or "bot_prompt" not in ask.given:
            return ""
        if self._offered(ask, person) is None:
            return f"<p>{escape(bot.name)} は友だち追加済みです。</p>"
        if ask.given["bot_prompt"] == "aggressive":
            return ""
        return (
            f'<label class="choice"><input type="checkbox" name="add_friend">{escape(bot.name)} を{self._verb(ask, person, bot)}'
            "</label>"
        )

    def _friend_page(self, ask: Ask, person: PersonRecord, amr: str, scopes: list[str], bot: Channel) -> Response:
        verb = self._verb(ask, person, bot)
        question = f'<p class="done">{escape(bot.name)} を{verb.replace("する", "しますか？")}</p>'
        own = {"step": "friend", "person": person.id, "amr": amr, "scopes": " ".join(scopes)}
        content = f'<button name="add_friend" value="on">{verb}</button><button class="plain">あとで</button>'
        return look.page(_TITLE, question + self._form(ask, content, **own), name=bot.name, note="LINE公式アカウント")

    def _verb(self, ask: Ask, person: PersonRecord, bot: Channel) -> str:
        chat = bot.chats.get(self._user_id(ask, person))
        return "ブロック解除する" if chat is not None and chat.status is Friendship.BLOCKED else "友だち追加する"


def matches_challenge(challenge: str, verifier: str) -> bool:
    """Tell whether a code_verifier hashes to the code_challenge (PKCE support for LINE Login, S256 only)."""
    digest = hashlib.sha256(verifier.encode("utf-8", "replace")).digest()
    return base64.urlsafe_b64encode(digest).decode("ascii").rstrip("=") == challenge


def _bad(sentence: str, reason: str) -> Response:
    """Return the page shown when there is no safe way back."""
    return look.page("エラー", f'<h1>400 Bad Request</h1><p>{sentence}</p><p lang="en">{reason}</p>', status=400)

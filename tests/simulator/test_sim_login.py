"""LINE Login: from the authorisation URL over the pages to tokens, and what each of them opens."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
import pytest

from line_simulator import Channel, LineSimulator, Person, Request
from line_simulator.world.login_book import LoginChannel

FORM = {"content-type": "application/x-www-form-urlencoded"}
DAY = 86_400
VERIFIER = "wJKN8qz5t8SSI9lMFhBB6qwNkQBkuPZoCxzRhwLRUo1"
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")


class App:
    """A web app with LINE Login: its callback page keeps what comes back."""

    def __init__(self, line: LineSimulator, callback: str, came: list[dict[str, str]]) -> None:
        self.line = line
        self.callback = callback
        self.came = came
        self.channel = LoginChannel("", "", "", "")

    def url(self, **parameters: str | None) -> str:
        given = {
            "response_type": "code",
            "client_id": self.channel.id,
            "redirect_uri": self.callback,
            "state": "s1",
            "scope": "profile openid email",
            "nonce": "n1",
            **parameters,
        }
        return f"{self.line.url}/oauth2/v2.1/authorize?" + urlencode({k: v for k, v in given.items() if v is not None})

    def call(self, method: str, path: str, token: str = "", body: Any = None, **fields: str) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        text = urlencode(fields)
        if method == "GET":
            request = Request("GET", path, text, headers)
        elif body is not None:
            request = Request(method, path, "", {**headers, "content-type": "application/json"}, json.dumps(body).encode())
        else:
            request = Request(method, path, "", {**headers, **FORM}, text.encode())
        answer = self.line.handle(request)
        return answer.status, json.loads(answer.body) if answer.body else None

    def redeem(self, **fields: str | None) -> tuple[int, Any]:
        given = {
            "grant_type": "authorization_code",
            "code": self.came[-1].get("code", ""),
            "redirect_uri": self.callback,
            "client_id": self.channel.id,
            "client_secret": self.channel.secret,
            **fields,
        }
        return self.call("POST", "/oauth2/v2.1/token", **{k: v for k, v in given.items() if v is not None})

    def tokens(self, person: Person, **parameters: str | None) -> dict[str, Any]:
        person.log_in(self.url(**parameters))
        status, body = self.redeem()
        assert status == 200, body
        return dict(body)

    def verify(self, token: str, **fields: str) -> tuple[int, Any]:
        return self.call("POST", "/oauth2/v2.1/verify", id_token=token, **{"client_id": self.channel.id, **fields})


@pytest.fixture
def app(line: LineSimulator, shop: Channel) -> Iterator[App]:
    came: list[dict[str, str]] = []

    class Callback(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._take(urlsplit(self.path).query)

        def do_POST(self) -> None:
            self._take(self.rfile.read(int(self.headers["content-length"])).decode() + "&by=POST")

        def _take(self, text: str) -> None:
            came.append(dict(parse_qsl(text)))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Callback)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    running = App(line, f"http://127.0.0.1:{server.server_port}/auth", came)
    running.channel = line.login_channel("会員証", callback_urls=[running.callback], bot=shop)
    yield running
    server.shutdown()
    server.server_close()
    thread.join()


def refused(description: str, error: str = "invalid_grant") -> tuple[int, dict[str, str]]:
    return 400, {"error": error, "error_description": description}


def test_a_person_logs_in(app: App, hanako: Person, shop: Channel, line: LineSimulator) -> None:
    line.people.add_person("花子", email="hanako@example.com", picture_url="https://example.com/h.png")
    page = hanako.open(app.url())
    assert page.status == 200
    for words in ("会員証", "花子 さんとしてログイン中", "メインプロフィール情報", "メールアドレス"):
        assert words in page.text
    assert hanako.log_in(page).text == "ok"
    assert set(app.came[0]) == {"code", "state"}
    assert app.came[0]["state"] == "s1"
    status, body = app.redeem()
    assert status == 200
    assert (body["expires_in"], body["scope"], body["token_type"]) == (30 * DAY, "profile openid", "Bearer")
    claims = jwt.decode(body["id_token"], app.channel.secret, ["HS256"], audience=app.channel.id, options={"verify_exp": False})
    now = line.clock.time()
    assert claims["exp"] - claims["iat"] == 3600
    assert abs(claims["iat"] - now) < 30
    expected = {
        "iss": "https://access.line.me",
        "sub": hanako.user_id(shop),
        "aud": app.channel.id,
        "nonce": "n1",
        "amr": ["lineautologin"],
        "name": "花子",
        "picture": "https://example.com/h.png",
        "email": "hanako@example.com",
    }
    assert {name: claims[name] for name in claims if name not in ("exp", "iat")} == expected
    assert app.verify(body["id_token"], nonce="n1", user_id=hanako.user_id(shop)) == (200, claims)


def test_who_agreed_before_sees_no_page(app: App, hanako: Person) -> None:
    hanako.log_in(app.url())
    assert hanako.open(app.url()).text == "ok"
    assert "許可する" in hanako.open(app.url(prompt="consent")).text
    assert "ログイン" in hanako.open(app.url(prompt="login")).text
    assert "次のアカウントでログイン" in hanako.open(app.url(disable_auto_login="true")).text


def test_how_one_logged_in_is_in_the_id_token(app: App, hanako: Person, line: LineSimulator) -> None:
    def amr(**parameters: str) -> tuple[Any, Any]:
        token = app.tokens(hanako, **parameters)["id_token"]
        claims = jwt.decode(token, options={"verify_signature": False})
        return claims["amr"][0], "auth_time" in claims

    assert amr() == ("lineautologin", False)
    assert amr(disable_auto_login="true") == ("pwd", False)
    assert amr(disable_auto_login="true", max_age="60") == ("linesso", True)
    assert amr(prompt="login") == ("pwd", False)
    assert amr(prompt="login", initial_amr_display="lineqr") == ("lineqr", False)


def test_without_a_phone_one_chooses_who_logs_in(app: App, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    from line_simulator.pages.browser import Browser

    browser = Browser()
    page = browser.get(app.url())
    assert "ログインするアカウント" in page.text
    page = browser.submit(page, person=hanako.id)
    page = browser.submit(page, answer="allow")
    assert page.text == "ok"
    claims = app.verify(app.redeem()[1]["id_token"])[1]
    assert claims["sub"] == hanako.user_id(shop)


def test_cancelling(app: App, hanako: Person) -> None:
    hanako.log_in(app.url(), agree=False)
    assert app.came == [{"error": "ACCESS_DENIED", "error_description": "The resource owner denied the request.", "state": "s1"}]


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"response_type": "token"}, "UNSUPPORTED_RESPONSE_TYPE"),
        ({"response_type": None}, "UNSUPPORTED_RESPONSE_TYPE"),
        ({"state": None}, "INVALID_REQUEST"),
        ({"scope": None}, "INVALID_SCOPE"),
        ({"scope": "email"}, "INVALID_SCOPE"),
        ({"scope": "profile email"}, "INVALID_SCOPE"),
        ({"scope": "profile fly"}, "INVALID_SCOPE"),
        ({"prompt": "maybe"}, "INVALID_REQUEST"),
        ({"bot_prompt": "gentle"}, "INVALID_REQUEST"),
        ({"max_age": "-1"}, "INVALID_REQUEST"),
        ({"max_age": "²"}, "INVALID_REQUEST"),
        ({"response_mode": "fragment"}, "INVALID_REQUEST"),
        ({"code_challenge": CHALLENGE}, "INVALID_REQUEST"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "plain"}, "INVALID_REQUEST"),
        ({"code_challenge": "x", "code_challenge_method": "S256"}, "INVALID_REQUEST"),
        ({"prompt": "none"}, "INTERACTION_REQUIRED"),
    ],
)
def test_a_wrong_request_comes_back_with_an_error(app: App, hanako: Person, parameters: dict[str, Any], error: str) -> None:
    hanako.open(app.url(**parameters))
    assert app.came[-1]["error"] == error
    assert app.came[-1].get("state") == (None if "state" in parameters else "s1")


@pytest.mark.parametrize(
    "parameters",
    [
        {"client_id": "1000000000"},
        {"client_id": None},
        {"redirect_uri": None},
        {"redirect_uri": "https://evil.example/auth"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": "http://[bad/auth"},
    ],
)
def test_no_way_back_is_a_page(app: App, hanako: Person, parameters: dict[str, Any]) -> None:
    page = hanako.open(app.url(**parameters))
    assert page.status == 400
    assert "400 Bad Request" in page.text
    assert app.came == []


@pytest.mark.parametrize(
    ("tail", "good"), [("?key=value", True), ("/more", False), ("#x", False), ("?a=\r\nx: y", False), ("x", False), ("?", True)]
)
def test_the_callback_may_carry_a_query(app: App, hanako: Person, tail: str, good: bool) -> None:
    page = hanako.log_in(app.url(redirect_uri=app.callback + tail))
    assert (page.status == 200) is good
    if good and tail == "?key=value":
        assert app.came[0]["key"] == "value"
        assert app.redeem()[1]["error_description"] == "redirect_uri does not match"


def test_prompt_none_is_silent_for_who_agreed(app: App, hanako: Person, line: LineSimulator) -> None:
    from line_simulator.pages.browser import Browser

    hanako.log_in(app.url())
    hanako.open(app.url(prompt="none", state="s2"))
    assert app.came[-1]["state"] == "s2"
    Browser().get(app.url(prompt="none"))
    assert app.came[-1]["error"] == "LOGIN_REQUIRED"


def test_a_code_is_used_once_even_if_the_call_fails(app: App, hanako: Person) -> None:
    hanako.log_in(app.url())
    assert app.redeem(client_secret="0" * 32) == refused("invalid client_secret", "invalid_client")
    assert app.redeem() == refused("invalid authorization code")


def test_a_code_lives_ten_minutes_and_belongs_to_its_channel(app: App, hanako: Person, line: LineSimulator) -> None:
    hanako.log_in(app.url())
    line.clock.advance(599)
    assert app.redeem()[0] == 200
    hanako.open(app.url())
    line.clock.advance(601)
    assert app.redeem() == refused("invalid authorization code")
    other = line.login_channel("別")
    hanako.open(app.url())
    assert app.redeem(client_id=other.id, client_secret=other.secret) == refused("invalid authorization code")


@pytest.mark.parametrize(("verifier", "status"), [(VERIFIER, 200), (None, 400), ("a" * 43, 400)])
def test_pkce(app: App, hanako: Person, verifier: str | None, status: int) -> None:
    hanako.log_in(app.url(code_challenge=CHALLENGE, code_challenge_method="S256"))
    assert app.redeem(code_verifier=verifier)[0] == status


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"client_id": None}, refused("some parameters missed or invalid", "invalid_request")),
        ({"client_id": "1"}, refused("invalid client_id", "invalid_client")),
        ({"code": "x"}, refused("invalid authorization code")),
        ({"grant_type": "refresh_token", "refresh_token": "x"}, refused("invalid refresh token")),
        ({"grant_type": "implicit"}, refused("unsupported grant_type", "unsupported_grant_type")),
    ],
)
def test_wrong_token_calls(app: App, hanako: Person, fields: dict[str, Any], answer: Any) -> None:
    hanako.log_in(app.url())
    assert app.redeem(**fields) == answer


def test_refreshing(app: App, hanako: Person, line: LineSimulator) -> None:
    first = app.tokens(hanako)
    refresh = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"], "code": None}
    line.clock.advance(40 * DAY)
    assert app.call("GET", "/v2/profile", first["access_token"])[0] == 401
    status, second = app.redeem(**refresh)
    assert (status, second["refresh_token"]) == (200, first["refresh_token"])
    assert "id_token" not in second
    assert app.call("GET", "/v2/profile", second["access_token"])[0] == 200
    # Refreshing does not lengthen the refresh token's ninety days.
    line.clock.advance(51 * DAY)
    assert app.redeem(**refresh) == refused("invalid refresh token")


def test_access_tokens_are_verified_and_revoked(app: App, hanako: Person, line: LineSimulator) -> None:
    token = app.tokens(hanako)["access_token"]
    path = "/oauth2/v2.1/verify"
    status, body = app.call("GET", path, access_token=token)
    assert (status, body["scope"], body["client_id"]) == (200, "profile openid", app.channel.id)
    other = line.login_channel("別")
    fields = {"access_token": token, "client_id": other.id, "client_secret": other.secret}
    assert app.call("POST", "/oauth2/v2.1/revoke", **fields)[0] == 400
    fields = {"access_token": token, "client_id": app.channel.id, "client_secret": app.channel.secret}
    assert app.call("POST", "/oauth2/v2.1/revoke", **fields) == (200, None)
    assert app.call("GET", path, access_token=token)[0] == 400
    assert app.call("GET", "/v2/profile", token)[0] == 401
    token = app.tokens(hanako)["access_token"]
    line.clock.advance(30 * DAY + 1)
    assert app.call("GET", path, access_token=token) == refused("access token expired", "invalid_request")


def test_a_users_token_is_no_channel_token(app: App, hanako: Person, shop: Channel) -> None:
    token = app.tokens(hanako)["access_token"]
    assert app.call("GET", "/v2/bot/info", token)[0] == 401
    assert app.call("GET", "/v2/profile", shop.access_token)[0] == 401


def test_profile_userinfo_and_their_scopes(app: App, hanako: Person, shop: Channel, line: LineSimulator) -> None:
    line.people.add_person("花子", status_message="元気です", picture_url="https://example.com/h.png")
    me = hanako.user_id(shop)
    both = app.tokens(hanako)["access_token"]
    profile = {"userId": me, "displayName": "花子", "pictureUrl": "https://example.com/h.png", "statusMessage": "元気です"}
    assert app.call("GET", "/v2/profile", both) == (200, profile)
    info = {"sub": me, "name": "花子", "picture": "https://example.com/h.png"}
    assert app.call("GET", "/oauth2/v2.1/userinfo", both) == (200, info)
    assert app.call("POST", "/oauth2/v2.1/userinfo", both) == (200, info)
    only_openid = app.tokens(hanako, scope="openid")["access_token"]
    assert app.call("GET", "/oauth2/v2.1/userinfo", only_openid) == (200, {"sub": me})
    assert app.call("GET", "/v2/profile", only_openid)[0] == 403
    assert app.call("GET", "/friendship/v1/status", only_openid)[0] == 403
    only_profile = app.tokens(hanako, scope="profile")
    assert "id_token" not in only_profile
    assert app.call("GET", "/oauth2/v2.1/userinfo", only_profile["access_token"])[0] == 403


def test_user_ids_are_the_providers(app: App, hanako: Person, line: LineSimulator, shop: Channel) -> None:
    app.channel = line.login_channel("他社", provider="other", callback_urls=[app.callback])
    claims = app.verify(app.tokens(hanako)["id_token"])[1]
    assert claims["sub"] != hanako.user_id(shop)
    assert claims["sub"] == hanako.record.user_ids["other"]


@pytest.mark.parametrize(
    ("before", "prompt", "add", "changed", "events"),
    [
        ("none", "normal", True, "true", ["follow"]),
        ("none", "normal", False, "false", []),
        ("none", "aggressive", True, "true", ["follow"]),
        ("none", "aggressive", False, "false", []),
        ("friend", "normal", True, "false", []),
        ("blocked", "aggressive", True, "true", ["follow"]),
        ("none", None, True, None, []),
    ],
)
def test_adding_the_friend(
    app: App, line: LineSimulator, shop: Channel, receiver: Any, before: str, prompt: str | None, add: bool, changed: str | None, events: list[str]
) -> None:  # fmt: skip
    jiro = line.person("次郎")
    if before != "none":
        jiro.follow(shop)
    if before == "blocked":
        jiro.block(shop)
    line.drain()
    receiver.received.clear()
    jiro.log_in(app.url(bot_prompt=prompt), add_friend=add)
    line.drain()
    assert app.came[-1].get("friendship_status_changed") == changed
    assert [event["type"] for event in receiver.events] == events
    if events:
        assert receiver.events[0]["follow"]["isUnblocked"] is (before == "blocked")
    friend = app.call("GET", "/friendship/v1/status", app.redeem()[1]["access_token"])
    assert friend == (200, {"friendFlag": bool(events) or before == "friend"})


def test_the_friend_option_names_what_it_does(app: App, line: LineSimulator, shop: Channel, taro: Person, hanako: Person) -> None:
    assert "花屋 をブロック解除する" in taro.open(app.url(bot_prompt="normal")).text
    assert "花屋 は友だち追加済みです" in hanako.open(app.url(bot_prompt="normal")).text
    assert "友だち追加" not in taro.open(app.url()).text
    jiro = line.person("次郎")
    consent = jiro.open(app.url(bot_prompt="aggressive"))
    assert "友だち追加" not in consent.text
    asked = jiro.browser.submit(consent, answer="allow")
    assert "花屋 を友だち追加しますか？" in asked.text
    assert app.came == []
    assert jiro.browser.submit(asked).text == "ok"


@pytest.mark.parametrize("mode", ["query", "form_post", "jwt", "query.jwt", "form_post.jwt"])
def test_response_modes(app: App, hanako: Person, mode: str) -> None:
    assert hanako.log_in(app.url(response_mode=mode)).text == "ok"
    came = app.came[-1]
    assert ("by" in came) is mode.startswith("form_post")
    if mode.endswith("jwt"):
        came = jwt.decode(came["response"], app.channel.secret, ["HS256"], audience=app.channel.id)
        assert came["iss"] == "https://access.line.me"
    assert (came["state"], bool(came["code"])) == ("s1", True)


def test_deauthorising_takes_everything_back(app: App, hanako: Person, line: LineSimulator, shop: Channel) -> None:
    tokens = app.tokens(hanako)
    granted = {"grant_type": "client_credentials", "client_id": app.channel.id, "client_secret": app.channel.secret}
    stateless = app.call("POST", "/oauth2/v3/token", **granted)[1]["access_token"]
    short = app.call("POST", "/v2/oauth/accessToken", **granted)[1]["access_token"]
    body, path = {"userAccessToken": tokens["access_token"]}, "/user/v1/deauthorize"
    assert app.call("POST", path, short, body)[0] == 403
    assert app.call("POST", path, shop.access_token, body)[0] == 403
    assert app.call("POST", path, "nothing", body)[0] == 401
    other = line.login_channel("別")
    foreign = {**granted, "client_id": other.id, "client_secret": other.secret}
    theirs = app.call("POST", "/oauth2/v3/token", **foreign)[1]["access_token"]
    assert app.call("POST", path, theirs, body) == (400, {"message": "invalid token"})
    assert app.call("POST", path, stateless, body) == (204, None)
    for nonsense in ({}, {"userAccessToken": 5}, {"userAccessToken": {}}, body):
        assert app.call("POST", path, stateless, nonsense) == (400, {"message": "invalid token"})
    assert app.call("GET", "/v2/profile", tokens["access_token"])[0] == 401
    assert app.redeem(grant_type="refresh_token", refresh_token=tokens["refresh_token"])[0] == 400
    # Next time, everything is asked again.
    assert "許可する" in hanako.open(app.url()).text


def test_discovery_lists_es256_only(app: App, line: LineSimulator) -> None:
    body = app.call("GET", "/.well-known/openid-configuration")[1]
    assert body["issuer"] == "https://access.line.me"
    assert body["id_token_signing_alg_values_supported"] == ["ES256"]
    (key,) = app.call("GET", "/oauth2/v2.1/certs")[1]["keys"]
    assert (key["kty"], key["crv"], key["alg"]) == ("EC", "P-256", "ES256")
    assert "d" not in key


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "." * 5, "e30.e30.", "bnVsbA.bnVsbA.x", "W10.W10.W10"])
def test_nonsense_is_no_id_token(app: App, token: str) -> None:
    assert app.verify(token) == refused("Invalid IdToken.", "invalid_request")


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("id_token_wrong_audience", "Invalid IdToken Audience."),
        ("id_token_wrong_issuer", "Invalid IdToken Issuer."),
        ("id_token_wrong_nonce", "Invalid IdToken Nonce."),
        ("id_token_wrong_algorithm", "Invalid IdToken."),
        ("id_token_bad_signature", "Invalid IdToken."),
        ("id_token_expired", "IdToken expired."),
    ],
)
def test_spoiled_id_tokens_are_found_out(app: App, hanako: Person, line: LineSimulator, kind: str, answer: str) -> None:
    line.fault(kind, channel=app.channel.id, times=1)
    assert app.verify(app.tokens(hanako)["id_token"], nonce="n1") == refused(answer, "invalid_request")
    assert app.verify(app.tokens(hanako)["id_token"], nonce="n1")[0] == 200


@pytest.mark.parametrize(
    ("kind", "state", "error", "status"),
    [
        ("login_denied", "s1", "ACCESS_DENIED", 400),
        ("login_state_lost", None, None, 400),
        ("login_code_reused", "s1", None, 400),
    ],
)
def test_logins_that_go_wrong(
    app: App, hanako: Person, line: LineSimulator, kind: str, state: str | None, error: str | None, status: int
) -> None:
    line.fault(kind)
    hanako.log_in(app.url())
    came = app.came[-1]
    assert came.get("error") == error
    assert came["state"] == state if state else came["state"] != "s1"
    assert app.redeem()[0] == status


def test_names_and_parameters_are_escaped(app: App, line: LineSimulator) -> None:
    app.channel.name = "<b>会員証"
    eve = line.person('"><script>alert(1)</script>\ud800')
    page = eve.open(app.url(state='"><script>', bot_prompt="normal", nonce="'\"><img src=x>"))
    for bad in ("<script>", "<b>会員証", "<img"):
        assert bad not in page.text
    assert eve.log_in(page).status == 200
    assert app.came[-1]["state"] == '"><script>'
    assert app.redeem()[0] == 200


def test_the_journal_tells_of_pages_without_secrets(app: App, hanako: Person, line: LineSimulator) -> None:
    tokens = app.tokens(hanako)
    calls = [(call.operation_id, call.channel_id) for call in line.requests]
    assert calls == [(one, app.channel.id) for one in ("authorizeLogin", "answerLogin", "issueLoginToken")]
    told = json.dumps([call.describe() for call in line.requests])
    for secret in (app.came[0]["code"], app.channel.secret, tokens["access_token"], tokens["id_token"], tokens["refresh_token"]):
        assert secret not in told
    line.handle(Request("GET", "/oauth2/v2.1/verify", urlencode({"access_token": tokens["access_token"]})))
    assert tokens["access_token"] not in json.dumps(line.requests[-1].describe())


def test_coverage_knows_the_login_operations(line: LineSimulator) -> None:
    levels = {one["operationId"]: one["level"] for one in line.api.coverage()}
    for operation in ("authorizeLogin", "issueLoginToken", "verifyIdToken", "deauthorizeUser", "openAccountLink"):
        assert levels[operation] == "full"
    assert levels["getLiffSdk"] == "partial"


def test_login_channels_over_the_control_interface(line: LineSimulator, shop: Channel) -> None:
    def sim(method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = line.handle(Request(method, path, "", {}, json.dumps(body).encode() if body is not None else b""))
        return answer.status, json.loads(answer.body)

    wanted = {"name": "会員証", "callbackUrls": ["https://example.com/cb"], "bot": "花屋", "id": "2000000001", "secret": "a" * 32}
    made = sim("POST", "/_sim/login_channels", wanted)[1]
    assert made == {**{k: v for k, v in wanted.items() if k != "bot"}, "provider": "main", "bot": shop.id, "email": True}
    assert sim("GET", "/_sim/login_channels")[1] == {"loginChannels": [made]}
    for body, sentence in [
        ({"name": "x", "callbackUrls": ["ftp://x"]}, "Callback URLs"),
        ({"name": "x", "callbackUrls": "x"}, "cannot be"),
        ({"name": "x", "id": "12"}, "ten digits"),
        ({"name": "x", "id": shop.id}, "Messaging API channel"),
        ({"name": "x", "secret": "s"}, "32 hexadecimal"),
        ({"name": "x", "provider": "other", "bot": "花屋"}, "another provider"),
        ({"name": "x", "shoe": 1}, "no attribute"),
    ]:
        status, answer = sim("POST", "/_sim/login_channels", body)
        assert status == 422
        assert sentence in answer["message"]
    url = f"{line.url}/oauth2/v2.1/authorize?" + urlencode({"client_id": "2000000001"})
    line.person("花子")
    page = sim("POST", "/_sim/people/花子/log_in".replace("花子", "%E8%8A%B1%E5%AD%90"), {"url": url})[1]["page"]
    assert page["status"] == 400


def test_logins_outlive_a_restart(tmp_path: Any) -> None:
    callback = "http://127.0.0.1:9/cb"
    with LineSimulator(seed=1, data=tmp_path) as line:
        channel = line.login_channel("会員証", callback_urls=[callback])
        hanako = line.person("花子")
        query = {"response_type": "code", "client_id": channel.id, "redirect_uri": callback, "state": "s", "scope": "openid"}
        page = hanako.open(f"{line.url}/oauth2/v2.1/authorize?{urlencode(query)}")
        form = page.forms()[0]
        answer = line.handle(
            Request("POST", "/oauth2/v2.1/authorize", "", FORM, urlencode({**form.fields, "answer": "allow"}).encode())
        )
        code = parse_qs(urlsplit(answer.headers["Location"]).query)["code"][0]
    with LineSimulator(seed=2, data=tmp_path) as line:
        fields = {"grant_type": "authorization_code", "code": code, "redirect_uri": callback}
        client = {"client_id": channel.id, "client_secret": channel.secret}
        request = Request("POST", "/oauth2/v2.1/token", "", FORM, urlencode({**fields, **client}).encode())
        assert line.handle(request).status == 200

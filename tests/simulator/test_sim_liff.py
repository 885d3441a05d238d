"""LIFF apps: the server API, and the way from a LIFF URL into an app that knows its user."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import pytest

from line_simulator import Channel, LineSimulator, Person, Request
from line_simulator.world.login_book import LoginChannel

ENDPOINT = "https://example.com/2020campaign/?key=value"
APP = {"view": {"type": "full", "url": ENDPOINT}}
FORM = {"content-type": "application/x-www-form-urlencoded"}


class Liff:
    """The LIFF server API, called as a login channel without a socket."""

    def __init__(self, line: LineSimulator, channel: LoginChannel) -> None:
        self.line = line
        self.channel = channel
        self.token = self._issue("/oauth2/v3/token")

    def _issue(self, path: str) -> str:
        fields = {"grant_type": "client_credentials", "client_id": self.channel.id, "client_secret": self.channel.secret}
        return str(json.loads(self.line.handle(Request("POST", path, "", FORM, urlencode(fields).encode())).body)["access_token"])

    def __call__(self, method: str, path: str = "", body: Any = None, token: str | None = None) -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {token or self.token}", "content-type": "application/json"}
        raw = b"" if body is None else json.dumps(body).encode()
        answer = self.line.handle(Request(method, f"/liff/v1/apps{path}", "", headers, raw))
        return answer.status, json.loads(answer.body) if answer.body else None

    def add(self, **settings: Any) -> str:
        status, body = self("POST", "", {**APP, **settings})
        assert status == 200, body
        return str(body["liffId"])

    def enter(self, person: Person, liff_id: str, tail: str = "", **fields: str) -> tuple[str, dict[str, str]]:
        """Open a LIFF URL on a phone, agree if asked; returns where it leads without the fragment, and the fragment."""
        path, _, query = f"/liff/{liff_id}{tail}".partition("?")
        answer = self.line.handle(Request("GET", path, query, {"cookie": f"linesim_person={person.id}"}))
        if answer.status == 200:
            form = {"person": person.id, "answer": "allow", "added": tail.lstrip("/"), **fields}
            answer = self.line.handle(Request("POST", path, "", FORM, urlencode(form).encode()))
        assert answer.status == 302, answer.body
        url, _, fragment = answer.headers["Location"].partition("#")
        return url, dict(parse_qsl(fragment))

    def ask(self, method: str, path: str, token: str, body: Any = None) -> tuple[int, Any, dict[str, str]]:
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        answer = self.line.handle(Request(method, path, "", headers, b"" if body is None else json.dumps(body).encode()))
        return answer.status, json.loads(answer.body) if answer.body else None, answer.headers


@pytest.fixture
def liff(line: LineSimulator, shop: Channel) -> Liff:
    return Liff(line, line.login_channel("会員証", callback_urls=["https://example.com/cb"], bot=shop))


def test_apps_are_added_listed_changed_and_deleted(liff: Liff) -> None:
    assert liff("GET") == (404, {"message": "not found"})
    liff_id = liff.add(description="会員証", features={"qrCode": True}, scope=["openid", "profile"], botPrompt="normal")
    assert liff_id.startswith(f"{liff.channel.id}-")
    assert len(liff_id) == 19
    app = {
        "liffId": liff_id,
        "view": APP["view"],
        "description": "会員証",
        "features": {"qrCode": True},
        "scope": ["openid", "profile"],
        "botPrompt": "normal",
        "permanentLinkPattern": "concat",
    }
    assert liff("GET") == (200, {"apps": [app]})
    assert liff("PUT", f"/{liff_id}", {"view": {"url": "https://new.example.com"}}) == (200, None)
    app["view"] = {"type": "full", "url": "https://new.example.com"}
    assert liff("GET")[1] == {"apps": [app]}
    assert liff("DELETE", f"/{liff_id}") == (200, None)
    assert liff("DELETE", f"/{liff_id}") == (404, {"message": "not found"})


def test_thirty_apps_a_channel(liff: Liff) -> None:
    for _ in range(30):
        liff.add()
    assert liff("POST", "", APP)[0] == 400


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"view": None}, "view"),
        ({"view": []}, "view"),
        ({"view": {"type": "full"}}, "view.url"),
        ({"view": {"type": "huge", "url": ENDPOINT}}, "view.type"),
        ({"view": {"type": "full", "url": "http://example.com"}}, "view.url"),
        ({"view": {"type": "full", "url": "https://example.com/#x"}}, "view.url"),
        ({"view": {"type": "full", "url": "https://[bad"}}, "view.url"),
        ({"view": {"type": "full", "url": 5}}, "view.url"),
        ({"view": {"type": ["full"], "url": ENDPOINT}}, "view.type"),
        ({"view": {"type": "full", "url": ENDPOINT, "moduleMode": "yes"}}, "view.moduleMode"),
        ({"description": "My LINE app"}, "description"),
        ({"description": 5}, "description"),
        ({"features": {"qrCode": 1}}, "features.qrCode"),
        ({"features": "all"}, "features"),
        ({"permanentLinkPattern": "replace"}, "permanentLinkPattern"),
        ({"scope": ["fly"]}, "scope[0]"),
        ({"scope": "profile"}, "scope"),
        ({"scope": [{}]}, "scope[0]"),
        ({"botPrompt": "loud"}, "botPrompt"),
        ({"botPrompt": {}}, "botPrompt"),
    ],
)
def test_wrong_settings(liff: Liff, settings: dict[str, Any], path: str) -> None:
    status, body = liff("POST", "", {**APP, **settings})
    assert status == 400
    assert [one["property"] for one in body["details"]] == [path]


def test_only_the_login_channel_itself_may(liff: Liff, line: LineSimulator, shop: Channel) -> None:
    liff_id = liff.add()
    other = Liff(line, line.login_channel("別"))
    assert other("PUT", f"/{liff_id}", {})[0] == other("DELETE", f"/{liff_id}")[0] == 404
    assert liff("POST", "", APP, shop.access_token)[0] == 400
    assert liff("GET", "", None, shop.access_token)[0] == 404
    assert liff("GET", "", None, "nothing")[0] == 401
    fields = {"grant_type": "client_credentials", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}
    fields["client_assertion"] = line.assertion(liff.channel)
    issued = line.handle(Request("POST", "/oauth2/v2.1/token", "", FORM, urlencode(fields).encode()))
    assert liff("GET", "", None, json.loads(issued.body)["access_token"])[0] == 403
    assert liff("GET", "", None, liff._issue("/v2/oauth/accessToken"))[0] == 200
    # A login channel's token opens nothing of the Messaging API.
    assert liff.ask("GET", "/v2/bot/info", liff.token)[0] == 403


def test_a_liff_url_leads_into_the_app(liff: Liff, hanako: Person, shop: Channel) -> None:
    liff_id = liff.add(scope=["profile", "openid", "chat_message.write"])
    url, session = liff.enter(hanako, liff_id)
    assert url == ENDPOINT
    assert (session["liff_id"], session["view_type"]) == (liff_id, "full")
    profile = {"userId": hanako.user_id(shop), "displayName": "花子"}
    status, body, headers = liff.ask("GET", "/v2/profile", session["access_token"])
    assert (status, body) == (200, profile)
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert liff.ask("GET", "/friendship/v1/status", session["access_token"])[1] == {"friendFlag": True}
    header = jwt.get_unverified_header(session["id_token"])
    (key,) = liff.ask("GET", "/oauth2/v2.1/certs", "x")[1]["keys"]
    assert (header["alg"], header["kid"]) == ("ES256", key["kid"])
    claims = jwt.decode(session["id_token"], jwt.PyJWK(key), ["ES256"], audience=liff.channel.id, options={"verify_exp": False})
    assert claims["sub"] == hanako.user_id(shop)
    form = urlencode({"id_token": session["id_token"], "client_id": liff.channel.id}).encode()
    verified = liff.line.handle(Request("POST", "/oauth2/v2.1/verify", "", FORM, form))
    assert json.loads(verified.body) == claims
    # Whoever agreed is not asked again.
    answer = liff.line.handle(Request("GET", f"/liff/{liff_id}", "", {"cookie": f"linesim_person={hanako.id}"}))
    assert answer.status == 302


def test_a_different_key_does_not_verify(liff: Liff, hanako: Person) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec

    _, session = liff.enter(hanako, liff.add(scope=["openid"]))
    claims = jwt.decode(session["id_token"], options={"verify_signature": False})
    forged = jwt.encode(claims, ec.generate_private_key(ec.SECP256R1()), "ES256")
    form = urlencode({"id_token": forged, "client_id": liff.channel.id}).encode()
    assert liff.line.handle(Request("POST", "/oauth2/v2.1/verify", "", FORM, form)).status == 400


@pytest.mark.parametrize(
    ("tail", "state"), [("/path_A/?key1=value1", "path_A/?key1=value1"), ("?a=1", "?a=1"), ("/%E8%8A%B1", "花"), ("", None)]
)
def test_what_a_liff_url_adds_is_in_liff_state(liff: Liff, hanako: Person, tail: str, state: str | None) -> None:
    liff_id = liff.add()
    liff.enter(hanako, liff_id)
    url, _ = liff.enter(hanako, liff_id, tail)
    query = dict(parse_qsl(urlsplit(url).query))
    assert query.pop("liff.state", None) == state
    assert query == {"key": "value"}


@pytest.mark.parametrize(
    ("target", "state"),
    [
        (ENDPOINT, None),
        ("https://example.com/2020campaign/shop?x=1", "shop?x=1"),
        ("https://example.com/other", 400),
        ("https://evil.example/2020campaign/", 400),
        ("https://example.com/2020campaignX", 400),
        ("https://[bad", 400),
    ],
)
def test_login_comes_back_to_pages_of_the_app_only(liff: Liff, hanako: Person, target: str, state: Any) -> None:
    liff_id = liff.add()
    liff.enter(hanako, liff_id)
    query = urlencode({"linesim.redirectUri": target})
    answer = liff.line.handle(Request("GET", f"/liff/{liff_id}", query, {"cookie": f"linesim_person={hanako.id}"}))
    if state == 400:
        assert answer.status == 400
    else:
        found = dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
        assert found.get("liff.state") == state


def test_the_consent_page_offers_the_friend(liff: Liff, line: LineSimulator, shop: Channel, receiver: Any) -> None:
    liff_id = liff.add(botPrompt="aggressive", description="<b>会員証")
    jiro = line.person("次郎")
    page = jiro.open(f"{line.url}/liff/{liff_id}")
    assert "花屋 を友だち追加する" in page.text
    assert "<b>会員証" not in page.text
    liff.enter(jiro, liff_id, add_friend="on")
    line.drain()
    assert [event["type"] for event in receiver.events] == ["follow"]
    assert "開きませんでした" in line.person("三郎").log_in(f"{line.url}/liff/{liff_id}", agree=False).text


def test_a_liff_url_of_line_opens_the_counterpart(liff: Liff, hanako: Person, shop: Channel) -> None:
    liff_id = liff.add(view={"type": "full", "url": f"{liff.line.url}/_phone"})
    action = {"type": "uri", "label": "会員証", "uri": f"https://liff.line.me/{liff_id}"}
    page = hanako.tap(shop, {}, action).page
    assert page is not None
    assert "許可する" in page.text
    assert urlsplit(hanako.log_in(page).url).path == "/_phone"
    answer = liff.line.handle(Request("GET", "/_phone/open", urlencode({"person": hanako.id, "url": action["uri"]})))
    assert answer.headers["Location"] == f"{liff.line.url}/liff/{liff_id}"


@pytest.mark.parametrize("path", ["/liff/1000000000-abcdefgh", "/liff/1000000000-abcdefgh/x", "/liff/nothing", "/liff/"])
def test_unknown_apps(line: LineSimulator, path: str) -> None:
    assert line.handle(Request("GET", path)).status == 404


def test_messages_of_the_user(liff: Liff, hanako: Person, shop: Channel, line: LineSimulator, receiver: Any) -> None:
    _, session = liff.enter(hanako, liff.add(scope=["chat_message.write"]))
    receiver.received.clear()
    flex = {"type": "flex", "altText": "a", "contents": {"type": "bubble"}}
    image = {"type": "image", "originalContentUrl": "https://example.com/a.png", "previewImageUrl": "https://example.com/p.png"}
    body = {"messages": [{"type": "text", "text": "予約します"}, flex, image]}
    assert liff.ask("POST", "/liff/messages", session["access_token"], body)[0] == 200
    line.drain()
    # Of templates and flex messages a LIFF app sends, no webhook tells.
    assert [event["message"]["type"] for event in receiver.events] == ["text", "image"]
    provider = receiver.events[1]["message"]["contentProvider"]
    assert provider == {"type": "external", **{name: image[name] for name in ("originalContentUrl", "previewImageUrl")}}
    for wrong in (
        [],
        [{}],
        ["x"],
        [{"type": "text"}],
        [{"type": "text", "text": 5}],
        [{"type": "fly"}],
        [body["messages"][0]] * 6,
        None,
    ):
        assert liff.ask("POST", "/liff/messages", session["access_token"], {"messages": wrong})[0] == 400
    wrong_place = {"type": "location", "title": 5, "latitude": "north"}
    assert liff.ask("POST", "/liff/messages", session["access_token"], {"messages": [wrong_place]})[0] == 400
    _, reader = liff.enter(hanako, liff.add(scope=["profile"]))
    assert liff.ask("POST", "/liff/messages", reader["access_token"], body)[0] == 403
    hanako.block(shop)
    assert 400 <= liff.ask("POST", "/liff/messages", session["access_token"], body)[0] < 500


def test_pages_of_other_origins_may_ask(line: LineSimulator) -> None:
    for path in ("/v2/profile", "/friendship/v1/status", "/oauth2/v2.1/userinfo", "/liff/messages"):
        answer = line.handle(Request("OPTIONS", path))
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, "*")
    assert line.handle(Request("GET", "/v2/profile")).headers["Access-Control-Allow-Origin"] == "*"
    assert line.handle(Request("OPTIONS", "/v2/bot/message/push")).status == 405


def test_apps_outlive_a_restart(tmp_path: Any) -> None:
    with LineSimulator(seed=1, data=tmp_path) as line:
        liff_id = Liff(line, line.login_channel("会員証")).add(description="会員証")
    with LineSimulator(seed=2, data=tmp_path) as line:
        assert Liff(line, line.login_channel("会員証"))("GET")[1]["apps"][0]["liffId"] == liff_id


def test_the_sdk_is_plain_javascript(line: LineSimulator, tmp_path: Any) -> None:
    answer = line.handle(Request("GET", "/liff/sdk.js"))
    assert (answer.status, answer.content_type) == (200, "text/javascript; charset=utf-8")
    node = shutil.which("node")
    if node is not None:
        file = tmp_path / "sdk.js"
        file.write_bytes(answer.body)
        subprocess.run([node, "--check", str(file)], check=True, timeout=30)

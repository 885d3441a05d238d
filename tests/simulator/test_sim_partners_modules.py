"""Module channels: attached with an account's consent, they hear what it hears, act for it, and lead chats."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from line_simulator import Channel, LineSimulator, Person, Request, SimulatorError
from line_simulator.world.module_book import SCOPES

REDIRECT = "https://example.com/back"
TEXT = {"type": "text", "text": "ご予約を承りました"}


@pytest.fixture
def ear() -> Iterator[Any]:
    from tests.simulator.conftest import Receiver

    running = Receiver()
    yield running
    running.stop()


@pytest.fixture
def module(line: LineSimulator, ear: Any) -> Channel:
    return line.channel("予約モジュール", webhook_url=ear.url, options=["module"], provider="partner")


@pytest.fixture
def act(caller: Any, line: LineSimulator, module: Channel, shop: Channel) -> Any:
    """Call as the module channel, for the shop."""
    plain = caller(line, module)
    return lambda method, target, body=None, bot=shop.bot_user_id: plain(method, target, body, {"x-line-bot-id": bot})


def _form(line: LineSimulator, fields: dict[str, str], authorization: str = "") -> tuple[int, Any]:
    headers = {"content-type": "application/x-www-form-urlencoded", "authorization": authorization}
    response = line.handle(Request("POST", "/module/auth/v1/token", "", headers, urlencode(fields).encode()))
    return response.status, json.loads(response.body)


def _modes(line: LineSimulator, receiver: Any) -> list[tuple[str, str, bool]]:
    """Return type, mode and whether there was a reply token of what came, and forget it."""
    line.drain()
    found = [(one["type"], one["mode"], "replyToken" in one) for one in receiver.events]
    receiver.received.clear()
    return found


def _control(person: Person, shop: Channel, verb: str) -> str:
    return f"/v2/bot/chat/{person.user_id(shop)}/control/{verb}"


def test_attaching_by_a_code(line: LineSimulator, module: Channel, shop: Channel, act: Any, ear: Any) -> None:
    code = line.module_code(module, shop, REDIRECT, ["message:receive"])
    given = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    basic = "Basic " + base64.b64encode(f"{module.id}:{module.secret}".encode()).decode()
    assert _form(line, given, basic) == (200, {"bot_id": shop.bot_user_id, "scopes": ["message:receive"]})
    assert _form(line, given, basic)[0] == 400
    line.drain()
    (body,) = [json.loads(body) for _, body in ear.received]
    assert body["destination"] == shop.bot_user_id
    assert body["events"][0]["module"] == {"type": "attached", "botId": shop.bot_user_id, "scopes": ["message:receive"]}
    bot = {"userId": shop.bot_user_id, "basicId": shop.basic_id, "displayName": shop.name}
    assert act("GET", "/v2/bot/list")[:2] == (200, {"bots": [bot]})
    assert act("POST", "/v2/bot/channel/detach", {"botId": shop.bot_user_id})[:2] == (200, {})
    assert act("GET", "/v2/bot/list")[1] == {"bots": []}
    line.drain()
    assert ear.events[-1]["module"] == {"type": "detached", "botId": shop.bot_user_id, "reason": "bot_deleted"}


@pytest.mark.parametrize(
    ("spoiled", "status"),
    [
        ({"grant_type": "client_credentials"}, 400),
        ({"code": "x"}, 400),
        ({"redirect_uri": REDIRECT + "/"}, 400),
        ({"region": "TW"}, 400),
        ({"code_verifier": "wrong"}, 400),
        ({"client_secret": "x"}, 403),
        ({"client_id": "x"}, 403),
    ],
)
def test_codes_are_not_taken_from_everybody(
    line: LineSimulator, module: Channel, shop: Channel, spoiled: dict[str, str], status: int
) -> None:
    # RFC 7636, appendix B.
    challenge, verifier = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    code = line.module_code(module, shop, REDIRECT, challenge=challenge, region="JP")
    given = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "region": "JP"}
    given |= {"client_id": module.id, "client_secret": module.secret, "code_verifier": verifier}
    assert _form(line, {**given, **spoiled})[0] == status
    again = line.module_code(module, shop, REDIRECT, challenge=challenge, region="JP")
    line.clock.advance(599)
    assert _form(line, {**given, "code": again})[0] == 200


def test_a_code_expires(line: LineSimulator, module: Channel, shop: Channel) -> None:
    code = line.module_code(module, shop, REDIRECT)
    line.clock.advance(601)
    given = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT}
    assert _form(line, {**given, "client_id": module.id, "client_secret": module.secret})[0] == 400


@pytest.mark.parametrize("agree", [True, False])
def test_the_administrator_is_asked_on_a_page(
    line: LineSimulator, module: Channel, shop: Channel, hanako: Person, agree: bool
) -> None:
    query = {"response_type": "code", "client_id": module.id, "redirect_uri": REDIRECT, "state": "s1"}
    query |= {"scope": "message:send message:receive", "basic_search_id": shop.basic_id}
    page = hanako.open(f"{line.url}/module/auth/v1/authorize?{urlencode(query)}")
    assert "メッセージの送信" in page.text
    (form,) = page.forms()
    sent = urlencode({**form.fields, "account": shop.id, "answer": "allow" if agree else "cancel"}).encode()
    answer = line.handle(
        Request("POST", "/module/auth/v1/authorize", "", {"content-type": "application/x-www-form-urlencoded"}, sent)
    )
    location = urlsplit(answer.headers["Location"])
    back = {name: one[0] for name, one in parse_qs(location.query).items()}
    assert (answer.status, location.netloc, back["state"]) == (302, "example.com", "s1")
    if not agree:
        assert back["error"] == "access_denied"
        return
    given = {"grant_type": "authorization_code", "code": back["code"], "redirect_uri": REDIRECT}
    given |= {"client_id": module.id, "client_secret": module.secret}
    assert _form(line, {**given, "scope": "message:send"})[0] == 400
    other = line.handle(
        Request("POST", "/module/auth/v1/authorize", "", {"content-type": "application/x-www-form-urlencoded"}, sent)
    )
    code = parse_qs(urlsplit(other.headers["Location"]).query)["code"][0]
    assert _form(line, {**given, "code": code, "scope": query["scope"], "basic_search_id": shop.basic_id})[0] == 200


@pytest.mark.parametrize(
    "change", [{"client_id": "1"}, {"redirect_uri": "x"}, {"scope": "x"}, {"basic_search_id": "@x"}, {"response_type": "x"}]
)
def test_pages_that_lead_nowhere(
    line: LineSimulator, module: Channel, shop: Channel, hanako: Person, change: dict[str, str]
) -> None:
    query = {"response_type": "code", "client_id": module.id, "redirect_uri": REDIRECT, "scope": "message:send", **change}
    assert hanako.open(f"{line.url}/module/auth/v1/authorize?{urlencode(query)}").status == 400


def test_a_module_acts_for_the_account_within_its_scopes(
    line: LineSimulator, module: Channel, shop: Channel, hanako: Person, act: Any, ear: Any
) -> None:
    line.attach_module(module, shop)
    hanako.say(shop, "こんにちは")
    line.drain()
    told = ear.events[-1]["source"]["userId"]
    assert len(told) == 68 and told == f"L{hanako.user_id(module)}-{shop.bot_user_id}"
    for to in (told, hanako.user_id(shop)):
        assert act("POST", "/v2/bot/message/push", {"to": to, "messages": [TEXT]})[0] == 200
    assert act("POST", "/v2/bot/message/multicast", {"to": [told], "messages": [TEXT]})[0] == 200
    assert [one.channel_id for one in hanako.inbox(shop)] == [shop.id] * 3
    assert act("GET", "/v2/bot/message/quota/consumption")[1] == {"totalUsage": 3}
    forbidden = (403, {"message": "Access to this API is not available for your account"})
    assert act("GET", f"/v2/bot/profile/{told}")[:2] == forbidden
    line.attach_module(module, shop, ["profile:read"])
    assert act("GET", f"/v2/bot/profile/{told}")[1]["userId"] == told
    assert act("GET", "/v2/bot/followers/ids")[:2] == forbidden
    for bot in ("", "U" + "0" * 32, module.bot_user_id):
        assert act("POST", "/v2/bot/message/push", {"to": told, "messages": [TEXT]}, bot)[:2] == forbidden
    assert line.invariants().ok


def test_control_of_a_chat(
    line: LineSimulator, module: Channel, shop: Channel, hanako: Person, act: Any, receiver: Any, ear: Any
) -> None:
    line.attach_module(module, shop)
    _modes(line, receiver), _modes(line, ear)
    hanako.say(shop, "一")
    assert _modes(line, receiver) == [("message", "active", True)]
    assert _modes(line, ear) == [("message", "standby", False)]
    assert act("POST", _control(hanako, shop, "acquire"), {"ttl": 60})[:2] == (200, {})
    line.drain()
    (activated,) = ear.events
    assert activated["chatControl"]["expireAt"] == pytest.approx((line.clock.time() + 60) * 1000, abs=2000)
    assert _modes(line, ear) == [("activated", "active", False)]
    hanako.say(shop, "二")
    line.drain()
    token = ear.events[-1]["replyToken"]
    assert act("POST", "/v2/bot/message/reply", {"replyToken": token, "messages": [TEXT]})[0] == 200
    assert _modes(line, ear) == [("message", "active", True)]
    assert _modes(line, receiver) == [("message", "standby", False)]
    # It goes back by itself, and nobody is told.
    line.clock.advance(61)
    hanako.say(shop, "三")
    assert (_modes(line, receiver), _modes(line, ear)) == ([("message", "active", True)], [("message", "standby", False)])
    assert act("POST", _control(hanako, shop, "acquire"), {"expired": False})[0] == 200
    line.clock.advance(400 * 86_400)
    hanako.say(shop, "四")
    assert _modes(line, ear) == [("activated", "active", False), ("message", "active", True)]
    for _ in range(2):
        assert act("POST", _control(hanako, shop, "release"))[:2] == (200, {})
    assert _modes(line, ear) == [("deactivated", "active", False)]
    assert line.invariants().ok


def test_two_modules_take_turns(
    line: LineSimulator, module: Channel, shop: Channel, hanako: Person, act: Any, ear: Any, caller: Any
) -> None:
    other = line.channel("会員モジュール", options=["module"])
    for one in (module, other):
        line.attach_module(one, shop)
    assert act("POST", _control(hanako, shop, "acquire"))[0] == 200
    rival = caller(line, other)
    take = ("POST", _control(hanako, shop, "acquire"), {}, {"x-line-bot-id": shop.bot_user_id})
    assert rival(*take)[0] == 423
    line.clock.advance(5)
    assert rival(*take)[0] == 200
    assert [kind for kind, _, _ in _modes(line, ear)] == ["module", "activated", "deactivated"]


def test_a_default_active_module_leads_from_the_start(
    line: LineSimulator, shop: Channel, hanako: Person, module: Channel, act: Any, receiver: Any, ear: Any
) -> None:
    line.channel(module.name, options=["module", "default_active"])
    line.attach_module(module, shop)
    with pytest.raises(SimulatorError):
        line.attach_module(line.channel("別", options=["module", "default_active"]), shop)
    _modes(line, ear), _modes(line, receiver)
    hanako.say(shop, "一")
    assert (_modes(line, receiver), _modes(line, ear)) == ([("message", "standby", False)], [("message", "active", True)])
    act("POST", _control(hanako, shop, "release"))
    hanako.say(shop, "二")
    assert _modes(line, receiver) == [("message", "active", True)]
    # Blocking and coming back forgets who led.
    hanako.block(shop)
    hanako.unblock(shop)
    _modes(line, ear)
    hanako.say(shop, "三")
    assert _modes(line, ear) == [("message", "active", True)]


def test_groups_are_led_too(line: LineSimulator, module: Channel, shop: Channel, hanako: Person, act: Any, ear: Any) -> None:
    group = line.group("花の会", [hanako], channel=shop)
    line.attach_module(module, shop)
    assert act("POST", f"/v2/bot/chat/{group.id}/control/acquire")[0] == 200
    line.drain()
    assert ear.events[-1]["source"] == {"type": "group", "groupId": group.id}


@pytest.mark.parametrize(
    ("chat", "body", "status"),
    [
        ("x", {}, 400),
        ("U" + "0" * 32, {}, 404),
        ("C" + "0" * 32, {}, 404),
        ("{taro}", {}, 404),
        ("{hanako}", {"ttl": 31_536_001}, 400),
        ("{hanako}", {"ttl": "60"}, 400),
        ("{hanako}", {"ttl": 0}, 400),
        ("{hanako}", {"expired": "no"}, 400),
        ("{hanako}", {"expired": False, "ttl": 1}, 200),
    ],
)
def test_chats_that_cannot_be_taken(
    line: LineSimulator, module: Channel, shop: Channel, hanako: Person, taro: Person, act: Any, chat: str, body: Any, status: int
) -> None:
    line.attach_module(module, shop)
    chat_id = chat.format(hanako=hanako.user_id(shop), taro=taro.user_id(shop))
    assert act("POST", f"/v2/bot/chat/{chat_id}/control/acquire", body)[0] == status


def test_accounts_are_no_modules(api: Any, line: LineSimulator, shop: Channel, hanako: Person, module: Channel) -> None:
    assert api("POST", _control(hanako, shop, "acquire"), {})[0] == 403
    assert api("GET", "/v2/bot/list")[0] == 403
    detach = api("POST", "/v2/bot/channel/detach", {"botId": shop.bot_user_id})
    assert detach[:2] == (400, {"message": "Specified channel is not detachable"})
    for pair in ((shop, shop), (module, module)):
        with pytest.raises(SimulatorError):
            line.attach_module(*pair)
    with pytest.raises(SimulatorError):
        line.attach_module(module, shop, ["everything"])


def test_the_list_of_bots_comes_in_pages(line: LineSimulator, module: Channel, act: Any) -> None:
    shops = [line.channel(f"店{number}") for number in range(3)]
    for one in shops:
        line.attach_module(module, one)
    first = act("GET", "/v2/bot/list?limit=2")[1]
    second = act("GET", f"/v2/bot/list?limit=2&start={first['next']}")[1]
    assert [one["displayName"] for one in first["bots"] + second["bots"]] == [one.name for one in shops]
    assert "next" not in second
    assert act("GET", "/v2/bot/list?start=x")[:2] == (400, {"message": "Invalid start param"})
    assert act("GET", "/v2/bot/list?limit=101")[0] == 400


def test_suspension_and_deliveries_reach_modules_by_their_scopes(
    line: LineSimulator, module: Channel, shop: Channel, receiver: Any, ear: Any
) -> None:
    line.attach_module(module, shop)
    _modes(line, ear)
    line.account_event(shop, "botSuspended")
    line.account_event(shop, "delivery", data="x" * 16)
    assert _modes(line, receiver) == [("delivery", "active", False)]
    assert _modes(line, ear) == [("botSuspended", "active", False)]
    line.attach_module(module, shop, SCOPES)
    _modes(line, ear)
    line.account_event(shop, "delivery", data="x" * 16)
    assert _modes(line, ear) == [("delivery", "active", False)]


def test_by_the_control_door(api: Any, line: LineSimulator, module: Channel, shop: Channel) -> None:
    both = {"module": module.name, "account": shop.name}
    assert api("POST", "/_sim/modules/codes", {**both, "redirectUri": REDIRECT})[1]["code"]
    assert api("POST", "/_sim/modules", {**both, "scopes": ["message:send"]})[1]["scopes"] == ["message:send"]
    assert api("POST", "/_sim/modules", {**both, "scopes": "message:send"})[0] == 422
    assert api("GET", "/_sim/modules")[1]["modules"] == [{"module": module.id, "account": shop.id, "scopes": ["message:send"]}]

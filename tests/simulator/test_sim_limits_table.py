"""The table of refusals: status, call, condition, message."""

from __future__ import annotations

from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person

TEXT = {"type": "text", "text": "花"}
EMPTY = "May not be empty"


@pytest.mark.parametrize(("messages", "complaint"), [([], EMPTY), ([TEXT] * 6, "Size must be between 1 and 5"), (None, EMPTY)])
def test_a_call_carries_one_to_five_messages(api: Any, messages: Any, complaint: str) -> None:
    status, body, _ = api("POST", "/v2/bot/message/validate/reply", {"messages": messages})
    assert (status, body["details"]) == (400, [{"message": complaint, "property": "messages"}])


PUSH = "/v2/bot/message/push"
INVALID = "is invalid (line: -, column: -)"
STRANGER = "U" + "0" * 32
REFUSALS: list[tuple[str, str, Any, dict[str, str], int, str]] = [
    ("POST", PUSH, {"to": STRANGER, "messages": [TEXT]}, {}, 400, "Failed to send messages"),
    ("POST", PUSH, {"to": "someone", "messages": [TEXT]}, {}, 400, f"The property, to, in the request body {INVALID}"),
    ("POST", PUSH, {"messages": [TEXT]}, {}, 400, "The request body has 1 error(s)"),
    ("POST", PUSH, b"{", {}, 400, "The request body could not be parsed as JSON (line: 1, column: 2)"),
    ("POST", PUSH, b"[]", {}, 400, "The request body could not be parsed as JSON (line: 1, column: 1)"),
    ("POST", PUSH, b"\xff", {}, 400, "The request body could not be parsed as JSON (line: 1, column: 1)"),
    (
        "POST",
        PUSH,
        {"to": STRANGER, "messages": [TEXT]},
        {"content-type": "text/plain"},
        415,
        "The content type, text/plain, is not supported",
    ),
    ("POST", PUSH, b" " * (2 * 1024 * 1024 + 1), {}, 413, "Request entity too large"),
    (
        "POST",
        PUSH,
        {"to": STRANGER, "messages": [TEXT]},
        {"x-line-retry-key": "abc"},
        400,
        "The X-Line-Retry-Key header is invalid",
    ),
    ("POST", "/v2/bot/message/multicast", {"to": [], "messages": [TEXT]}, {}, 400, "The request body has 1 error(s)"),
    (
        "POST",
        "/v2/bot/message/multicast",
        {"to": [STRANGER] * 501, "messages": [TEXT]},
        {},
        400,
        "The request body has 1 error(s)",
    ),
    (
        "POST",
        "/v2/bot/message/multicast",
        {"to": [STRANGER], "messages": [TEXT], "customAggregationUnits": ["a b"]},
        {},
        400,
        "The request body has 1 error(s)",
    ),
    (
        "POST",
        "/v2/bot/message/multicast",
        {"to": ["x"], "messages": [TEXT]},
        {},
        400,
        f"The property, to[0], in the request body {INVALID}",
    ),
    ("POST", "/v2/bot/message/reply", {"replyToken": "0" * 32, "messages": [TEXT]}, {}, 400, "Invalid reply token"),
    ("GET", "/v2/bot/profile/U123", None, {}, 400, "The value for the 'userId' parameter is invalid"),
    ("GET", f"/v2/bot/profile/{STRANGER}", None, {}, 404, "Not found"),
    ("POST", f"/v2/bot/user/{STRANGER}/linkToken", None, {}, 404, "Not found"),
    ("GET", "/v2/bot/message/1/content", None, {}, 404, "not found"),
    ("GET", "/v2/bot/followers/ids?limit=1001", None, {}, 400, "The value for the 'limit' parameter is invalid"),
    ("GET", "/v2/bot/message/delivery/push?date=today", None, {}, 400, "The value for the 'date' parameter is invalid"),
    ("PUT", "/v2/bot/channel/webhook/endpoint", {"endpoint": "ftp://e.com"}, {}, 400, "Invalid webhook endpoint URL"),
    (
        "PUT",
        "/v2/bot/channel/webhook/endpoint",
        {"endpoint": "https://e.com/" + "a" * 500},
        {},
        400,
        "The request body has 1 error(s)",
    ),
    (
        "POST",
        "/v2/bot/chat/loading/start",
        {"chatId": STRANGER, "loadingSeconds": 7},
        {},
        400,
        "The request body has 1 error(s)",
    ),
    (
        "POST",
        "/v2/bot/chat/loading/start",
        {"chatId": "C" + "0" * 32},
        {},
        400,
        "The request body has 1 error(s)",
    ),
    (
        "POST",
        "/v2/bot/chat/markAsRead",
        {"markAsReadToken": "x"},
        {},
        400,
        "Invalid markAsReadToken. Tokens must be used by the bot that received them via Webhook.",
    ),
    (
        "GET",
        "/v2/bot/info",
        None,
        {"authorization": ""},
        401,
        "Authentication failed due to the following reason: missing authorization header",
    ),
    (
        "GET",
        "/v2/bot/info",
        None,
        {"authorization": "Bearer x"},
        401,
        "Authentication failed due to the following reason: invalid token. Confirm that the access token in the authorization header is valid.",
    ),
    (
        "GET",
        "/v2/bot/info",
        None,
        {"authorization": "Basic x"},
        401,
        "Authentication failed due to the following reason: invalid authorization header",
    ),
]


@pytest.mark.parametrize(("method", "target", "body", "headers", "status", "message"), REFUSALS)
def test_refusals(api: Any, method: str, target: str, body: Any, headers: Any, status: int, message: str) -> None:
    answered, content, sent = api(method, target, body, headers)
    assert (answered, content["message"]) == (status, message)
    assert sent["x-line-request-id"]


def test_followers_are_for_verified_accounts(api: Any, line: LineSimulator, shop: Channel) -> None:
    friends = line.crowd(5, shop)
    status, page, _ = api("GET", "/v2/bot/followers/ids?limit=3")
    rest = api("GET", f"/v2/bot/followers/ids?limit=3&start={page['next']}")[1]
    assert (status, page["userIds"] + rest["userIds"], "next" in rest) == (200, friends, False)
    shop.verified = False
    assert api("GET", "/v2/bot/followers/ids")[:2] == (
        403,
        {"message": "Access to this API is not available for your account"},
    )


def test_a_token_sees_only_its_own_channel(api: Any, line: LineSimulator, hanako: Person, caller: Any) -> None:
    other = caller(line, line.channel("支店"))
    assert other("GET", f"/v2/bot/profile/{hanako.user_id(api.channel)}")[0] == 404
    message_id = hanako.send(api.channel, {"type": "image"}, b"png")
    assert other("GET", f"/v2/bot/message/{message_id}/content")[0] == 404
    assert api("GET", f"/v2/bot/message/{message_id}/content")[:2] == (200, b"png")


FORM = {"content-type": "application/x-www-form-urlencoded", "authorization": ""}


@pytest.mark.parametrize(
    ("path", "form", "error"),
    [
        ("/oauth2/v3/token", "grant_type=x", "invalid_request"),
        ("/oauth2/v3/token", "grant_type=client_credentials&client_id=1", "invalid_request"),
        ("/oauth2/v3/token", "grant_type=client_credentials&client_id=1&client_secret=2", "invalid_request"),
        ("/v2/oauth/accessToken", "grant_type=client_credentials&client_id=1&client_secret=2", "invalid_client"),
        ("/v2/oauth/verify", "access_token=x", "invalid_request"),
    ],
)
def test_token_endpoints_refuse_in_their_own_shape(api: Any, path: str, form: str, error: str) -> None:
    status, body, _ = api("POST", path, form.encode(), FORM)
    assert (status, body["error"]) == (400, error)


def test_the_thirty_first_short_lived_token_pushes_out_the_oldest(api: Any, shop: Channel) -> None:
    form = f"grant_type=client_credentials&client_id={shop.id}&client_secret={shop.secret}".encode()
    tokens = [api("POST", "/v2/oauth/accessToken", form, FORM)[1]["access_token"] for _ in range(31)]
    answers = [api("GET", "/v2/bot/info", None, {"authorization": f"Bearer {one}"})[0] for one in tokens]
    assert answers == [401] + [200] * 30
    from urllib.parse import quote

    verified = api("POST", "/v2/oauth/verify", f"access_token={quote(tokens[-1])}".encode(), FORM)[1]
    assert verified["client_id"] == shop.id
    assert 0 < verified["expires_in"] <= 2_592_000


def test_sent_counts_are_ready_the_next_day(api: Any, line: LineSimulator, shop: Channel) -> None:
    friends = line.crowd(25, shop)
    day = f"{line.world.tokyo():%Y%m%d}"
    api.multicast(friends)
    api.push(friends[0])
    target = "/v2/bot/message/delivery/{}?date=" + day
    assert api("GET", target.format("multicast"))[1] == {"status": "unready"}
    line.clock.advance(86_400)
    assert api("GET", target.format("multicast"))[1] == {"status": "ready", "success": 25}
    assert api("GET", target.format("push"))[1] == {"status": "ready", "success": 1}


@pytest.mark.parametrize("depth", [200, 400, 10_000])
def test_absurd_nesting_is_refused(api: Any, depth: int) -> None:
    box = '{"type":"box","layout":"vertical","contents":['
    body = f'{{"messages":[{{"type":"flex","altText":"a","contents":{{"type":"bubble","body":{box * depth}{"]}" * depth}}}}}]}}'
    status, content, headers = api("POST", "/v2/bot/message/validate/push", body.encode())
    assert status in (200, 400)
    assert headers["x-line-request-id"]
    assert depth < 1000 or content["message"].startswith("The request body could not be parsed as JSON")

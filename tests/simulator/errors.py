"""Every error LINE documents with its body: one row each, reproduced by test_sim_errors.py and published in docs/line-errors.md.

Source: Messaging API reference, LINE Login v2.1 reference (2026-08); for partners see errors_partners.py. `python -m tests.simulator.errors` prints the page.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PIL import Image

from line_simulator import LineSimulator, Request

Answer = tuple[int, Any]
STRANGER = "U" + "0" * 32
NO_MENU = "richmenu-" + "0" * 32
KEY = "11111111-2222-4333-8444-555555555555"
TEXT = {"type": "text", "text": "こんにちは"}
MENU = {
    "size": {"width": 2500, "height": 1686},
    "selected": False,
    "name": "メニュー",
    "chatBarText": "メニュー",
    "areas": [{"bounds": {"x": 0, "y": 0, "width": 2500, "height": 1686}, "action": {"type": "postback", "data": "a=1"}}],
}
COUPON = {
    "title": "100円引き",
    "reward": {"type": "discount", "priceInfo": {"type": "fixed", "fixedAmount": 100}},
    "acquisitionCondition": {"type": "normal"},
    "startTimestamp": 0,
    "endTimestamp": 4_000_000_000,
    "timezone": "ASIA_TOKYO",
    "visibility": "UNLISTED",
    "maxUseCountPerTicket": 1,
}
JWT = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Stage:
    """One account, a friend, and calls without a socket."""

    def __init__(self, line: LineSimulator) -> None:
        self.line = line
        self.shop = line.channel("花屋")
        self.other = line.channel("本屋", provider="other")
        self.hanako = line.person("花子")
        self.hanako.follow(self.shop)
        self.user = self.hanako.user_id(self.shop)

    def call(self, method: str, target: str, body: Any = None, **headers: str) -> Answer:
        """Call as the account; a dict or list goes as JSON, bytes as they are."""
        path, _, query = target.partition("?")
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {"authorization": f"Bearer {self.shop.access_token}", "content-type": "application/json"}
        given.update({name.replace("_", "-"): value for name, value in headers.items()})
        response = self.line.handle(Request(method, path, query, {k: v for k, v in given.items() if v}, raw))
        return response.status, json.loads(response.body) if response.body[:1] in (b"{", b"[") else response.body

    def form(self, target: str, method: str = "POST", **fields: str) -> Answer:
        """Call a token endpoint with form fields, or query parameters for GET."""
        from urllib.parse import urlencode

        text = urlencode(fields)
        if method == "GET":
            return self.call("GET", f"{target}?{text}", authorization="")
        return self.call("POST", target, text.encode(), content_type="application/x-www-form-urlencoded", authorization="")

    def send(self, kind: str, **body: Any) -> Answer:
        """Send one text by this call, with `body` laid over it."""
        return self.call("POST", f"/v2/bot/message/{kind}", {"messages": [TEXT], **body})

    def menu(self, *, image: bool = True) -> str:
        """Create a rich menu and return its id."""
        _, made = self.call("POST", "/v2/bot/richmenu", MENU)
        if image:
            assert self.upload(made["richMenuId"])[0] == 200
        return str(made["richMenuId"])

    def upload(self, menu: str, size: tuple[int, int] = (2500, 1686), content_type: str = "image/png") -> Answer:
        """Upload a white image of this size."""
        return self.call("POST", f"/v2/bot/richmenu/{menu}/content", white(size), content_type=content_type)

    def image(self, kind: str = "image") -> str:
        """Let the friend send a picture (or something else) and return the message id."""
        return self.hanako.send(self.shop, {"type": kind} | ({"duration": 1000} if kind in ("audio", "video") else {}), b"data")

    def assertion(self, **changes: Any) -> str:
        """Return a signed assertion of the account, with claims changed."""
        return self.line.assertion(self.shop, **changes)

    def jwt(self, target: str, assertion: str, method: str = "POST") -> Answer:
        """Call a token endpoint with an assertion."""
        fields = {"client_assertion_type": JWT, "client_assertion": assertion}
        return self.form(target, method, **({"grant_type": "client_credentials"} if method == "POST" else {}), **fields)

    def v21(self) -> dict[str, Any]:
        """Issue a token v2.1."""
        status, body = self.jwt("/oauth2/v2.1/token", self.assertion())
        assert status == 200, body
        return dict(body)

    def coupon(self, **changes: Any) -> Answer:
        """Create a coupon."""
        return self.call("POST", "/v2/bot/coupon", {**COUPON, **changes})

    def group(self) -> str:
        """Return the id of a group the account is not in."""
        return "C" + "0" * 32


def white(size: tuple[int, int]) -> bytes:
    """Return a PNG of this size."""
    data = io.BytesIO()
    Image.new("1", size).save(data, "PNG")
    return data.getvalue()


@dataclass(frozen=True)
class Case:
    """One documented error. `where` names the operation, `when` the condition; `body` must equal the answer."""

    where: str
    when: str
    status: int
    body: Any
    play: Callable[[Stage], Answer]


def message(text: str, **more: Any) -> dict[str, Any]:
    """Return a body with a message only."""
    return {"message": text, **more}


def wrong(*details: tuple[str, str]) -> dict[str, Any]:
    """Return the body for findings, each a property and its message."""
    return {
        "message": f"The request body has {len(details)} error(s)",
        "details": [{"message": text, "property": path} for path, text in details],
    }


def oauth(error: str, description: str | None = None) -> dict[str, str]:
    """Return the body of a token endpoint's error."""
    return {"error": error} if description is None else {"error": error, "error_description": description}


def _many_calls(stage: Stage) -> Answer:
    for _ in range(60):
        stage.send("broadcast")
    return stage.send("broadcast")


def _used_reply_token(stage: Stage) -> Answer:
    stage.hanako.say(stage.shop, "やあ")
    token = list(stage.line.world.state.reply_tokens)[-1]
    assert stage.send("reply", replyToken=token)[0] == 200
    return stage.send("reply", replyToken=token)


def _over_quota(stage: Stage) -> Answer:
    stage.line.channel("花屋", monthly_limit=0)
    return stage.send("push", to=stage.user)


def _unverified(stage: Stage) -> Answer:
    stage.line.channel("花屋", verified=False)
    return stage.call("GET", "/v2/bot/followers/ids")


def _without_webhook(stage: Stage) -> Answer:
    return stage.call("GET", "/v2/bot/channel/webhook/endpoint")


def _unsent(kind: str, tail: str) -> Callable[[Stage], Answer]:
    def play(stage: Stage) -> Answer:
        sent = stage.image(kind)
        stage.hanako.unsend(stage.shop, sent)
        return stage.call("GET", f"/v2/bot/message/{sent}/content{tail}")

    return play


def _content(kind: str | None, tail: str) -> Callable[[Stage], Answer]:
    def play(stage: Stage) -> Answer:
        sent = "1" if kind is None else stage.image(kind)
        return stage.call("GET", f"/v2/bot/message/{sent}/content{tail}")

    return play


def _thirty_one(stage: Stage) -> Answer:
    for _ in range(30):
        stage.v21()
    return stage.jwt("/oauth2/v2.1/token", stage.assertion())


def _expired_v21(stage: Stage) -> Answer:
    token = stage.v21()["access_token"]
    stage.line.clock.advance(31 * 86_400)
    return stage.form("/oauth2/v2.1/verify", "GET", access_token=token)


def _unknown_key(stage: Stage) -> str:
    return stage.assertion(kid="00000000-0000-0000-0000-000000000000")


def _repeated(stage: Stage) -> Answer:
    stage.call("POST", "/v2/bot/message/multicast", {"to": [stage.user], "messages": [TEXT]}, x_line_retry_key=KEY)
    return stage.call("POST", "/v2/bot/message/multicast", {"to": [stage.user], "messages": [TEXT]}, x_line_retry_key=KEY)


def _audience(method: str, target: str, body: Any = None) -> Callable[[Stage], Answer]:
    return lambda stage: stage.call(method, f"/v2/bot/audienceGroup{target}", body)


def _file_with_a_wrong_id(stage: Stage) -> Answer:
    _, made = stage.call("POST", "/v2/bot/audienceGroup/upload", {"description": "客"})
    parts = {"audienceGroupId": str(made["audienceGroupId"]), 'file"; filename="a.txt': "nobody"}
    body = "".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n'
        + ("Content-Type: text/plain\r\n" if "file" in name else "")
        + f"\r\n{value}\r\n"
        for name, value in parts.items()
    )
    return stage.call(
        "PUT", "/v2/bot/audienceGroup/upload/byFile", f"{body}--x--\r\n".encode(), content_type="multipart/form-data; boundary=x"
    )


def _wrong_id_in_json(stage: Stage) -> Answer:
    _, made = stage.call("POST", "/v2/bot/audienceGroup/upload", {"description": "客"})
    body = {"audienceGroupId": made["audienceGroupId"], "audiences": [{"id": "nobody"}]}
    return stage.call("PUT", "/v2/bot/audienceGroup/upload", body)


def _closed_coupon(stage: Stage) -> Answer:
    made = stage.coupon()[1]["couponId"]
    stage.call("PUT", f"/v2/bot/coupon/{made}/close")
    return stage.call("PUT", f"/v2/bot/coupon/{made}/close")


def _too_many_coupons(stage: Stage) -> Answer:
    stage.line.limits.unlimited = True
    for _ in range(5000):
        stage.coupon()
    return stage.coupon()


def _set_by_the_manager(stage: Stage) -> Answer:
    image = base64.b64encode(white((2500, 1686))).decode()
    stage.call("POST", "/_sim/richmenus", {"channel": stage.shop.id, "menu": MENU, "image": image})
    return stage.call("GET", "/v2/bot/user/all/richmenu")


def _imageless_target(stage: Stage) -> list[dict[str, str]]:
    stage.imageless = stage.menu(image=False)  # type: ignore[attr-defined]
    return [{"type": "link", "from": stage.menu(), "to": stage.imageless}]  # type: ignore[attr-defined]


def _alias_update(menu: Callable[[Stage], str]) -> Callable[[Stage], Answer]:
    def play(stage: Stage) -> Answer:
        stage.call("POST", "/v2/bot/richmenu/alias", {"richMenuAliasId": "tab-a", "richMenuId": stage.menu()})
        return stage.call("POST", "/v2/bot/richmenu/alias/tab-a", {"richMenuId": menu(stage)})

    return play


def _second_image(stage: Stage) -> Answer:
    return stage.upload(stage.menu())


def _alias(menu: Callable[[Stage], str], twice: bool = False) -> Callable[[Stage], Answer]:
    def play(stage: Stage) -> Answer:
        body = {"richMenuAliasId": "tab-a", "richMenuId": menu(stage)}
        if twice:
            stage.call("POST", "/v2/bot/richmenu/alias", body)
        return stage.call("POST", "/v2/bot/richmenu/alias", body)

    return play


def _batch(path: str, operations: Callable[[Stage], list[dict[str, str]]]) -> Callable[[Stage], Answer]:
    return lambda stage: stage.call("POST", f"/v2/bot/richmenu/{path}", {"operations": operations(stage)})


def _twice_from(stage: Stage) -> list[dict[str, str]]:
    menu = stage.menu()
    stage.twice = menu  # type: ignore[attr-defined]
    return [{"type": "unlink", "from": menu}, {"type": "unlink", "from": menu}]


def _id_token(**changes: Any) -> Callable[[Stage], Answer]:
    def play(stage: Stage) -> Answer:
        import jwt as pyjwt

        login = stage.line.login_channel(
            "会員", provider=stage.shop.provider, callback_urls=["https://example.com/cb"], bot=stage.shop
        )
        now = int(stage.line.clock.time())
        claims = {"iss": "https://access.line.me", "sub": stage.user, "aud": login.id, "exp": now + 3600, "iat": now, "nonce": "n"}
        key = changes.get("key", login.secret)
        token = pyjwt.encode({**claims, **changes.get("claims", {})}, key, "HS256")
        more = changes.get("fields", {})
        return stage.form("/oauth2/v2.1/verify", id_token=token, client_id=login.id, **more)

    return play


_WEBHOOK = "/v2/bot/channel/webhook/endpoint"
_ROOM_WRONG = message("The value for the 'roomId' parameter is invalid")
_GROUP_WRONG = message("The value for the 'groupId' parameter is invalid")
_USER_WRONG = message("The value for the 'userId' parameter is invalid")
_NOT_FOUND = message("Not found")
_START = message("Invalid start param")
_LOST_KEY = message("Cannot find channel key that satisfies the conditions")
_NO_AUDIENCE = message("audience group not found", details=[{"message": "AUDIENCE_GROUP_NOT_FOUND"}])
_LONG_NAME = message("size over audienceGroupName", details=[{"message": "AUDIENCE_GROUP_NAME_SIZE_OVER"}])
_NO_COUPON = wrong(("", "coupon not found"))
_MENU_ID = wrong(("richMenuId", "invalid richMenuId"))


def _calls(method: str, *targets: str, body: Any = None) -> list[Callable[[Stage], Answer]]:
    return [lambda stage, target=target: stage.call(method, target.replace("{user}", stage.user), body) for target in targets]


def cases() -> list[Case]:
    """Return all rows."""
    from tests.simulator.errors_partners import partners

    return [
        *_common(),
        *_content_and_webhooks(),
        *_tokens(),
        *_sending(),
        *_audiences(),
        *_insight(),
        *_coupons(),
        *_people(),
        *_menus(),
        *partners(),
    ]


def _common() -> list[Case]:
    return [
        Case("any", "no such path", 404, _NOT_FOUND, lambda s: s.call("GET", "/v2/bot/nothing")),
        Case("any", "trailing slash", 404, _NOT_FOUND, lambda s: s.call("GET", "/v2/bot/info/")),
        Case("any", "another method", 405, message("Method Not Allowed"), lambda s: s.call("DELETE", "/v2/bot/info")),
        Case(
            "any",
            "unknown token",
            401,
            message(
                "Authentication failed due to the following reason: invalid token. "
                "Confirm that the access token in the authorization header is valid."
            ),
            lambda s: s.call("GET", "/v2/bot/info", authorization="Bearer x"),
        ),
        Case(
            "any",
            "body not JSON",
            400,
            message("The request body could not be parsed as JSON (line: 1, column: 1)"),
            lambda s: s.call("POST", "/v2/bot/message/push", b"not json"),
        ),
        Case(
            "any",
            "content type not JSON",
            415,
            message("The content type, text/plain, is not supported"),
            lambda s: s.call("POST", "/v2/bot/message/push", b"{}", content_type="text/plain"),
        ),
        Case(
            "any",
            "body above 2 MB",
            413,
            message("Request entity too large"),
            lambda s: s.call("POST", "/v2/bot/message/push", b" " * (2 * 1024 * 1024 + 1)),
        ),
        Case(
            "broadcast",
            "61st call in an hour",
            429,
            message("The API rate limit has been exceeded. Try again later."),
            _many_calls,
        ),
    ]


def _content_and_webhooks() -> list[Case]:
    bad_url = message("Invalid webhook endpoint URL")
    none = message("Webhook endpoint not found")
    gone, lost = message("The content is gone"), message("not found")
    return [
        Case("setWebhookEndpoint", "no URL of the web", 400, bad_url, lambda s: s.call("PUT", _WEBHOOK, {"endpoint": "x"})),
        Case("getWebhookEndpoint", "not set", 404, none, _without_webhook),
        Case(
            "testWebhookEndpoint",
            "invalid URL",
            400,
            bad_url,
            lambda s: s.call("POST", "/v2/bot/channel/webhook/test", {"endpoint": "x"}),
        ),
        Case("testWebhookEndpoint", "not set", 404, none, lambda s: s.call("POST", "/v2/bot/channel/webhook/test", {})),
        Case("getMessageContent", "no such message", 404, lost, _content(None, "")),
        Case("getMessageContent", "unsent by the user", 410, gone, _unsent("image", "")),
        Case(
            "getMessageContentTranscoding",
            "neither video nor audio",
            400,
            message("Transcoding status doesn't support this type of content"),
            _content("image", "/transcoding"),
        ),
        Case("getMessageContentTranscoding", "no such message", 404, lost, _content(None, "/transcoding")),
        Case("getMessageContentTranscoding", "unsent by the user", 410, gone, _unsent("video", "/transcoding")),
        Case(
            "getMessageContentPreview",
            "neither image nor video",
            400,
            message("The content can not be previewed"),
            _content("audio", "/preview"),
        ),
        Case("getMessageContentPreview", "no such message", 404, lost, _content(None, "/preview")),
        Case("getMessageContentPreview", "unsent by the user", 410, gone, _unsent("image", "/preview")),
    ]


def _tokens() -> list[Case]:
    short = {"grant_type": "client_credentials"}
    no_jws = oauth("invalid_request", "The access token not JWS")
    return [
        Case(
            "issueChannelTokenByJWT",
            "thirty tokens live",
            400,
            message("The maximum number of access tokens has already been issued"),
            _thirty_one,
        ),
        Case(
            "issueChannelTokenByJWT",
            "issuer of another channel",
            400,
            oauth("invalid_client", "iss and clientId of key do not match"),
            lambda s: s.jwt("/oauth2/v2.1/token", s.assertion(iss="1000000000", sub="1000000000")),
        ),
        Case("issueChannelTokenByJWT", "unknown key", 404, _LOST_KEY, lambda s: s.jwt("/oauth2/v2.1/token", _unknown_key(s))),
        Case("verifyChannelTokenByJWT", "expired", 400, oauth("invalid_request", "The access token expired"), _expired_v21),
        Case(
            "verifyChannelTokenByJWT",
            "no JWS",
            400,
            no_jws,
            lambda s: s.form("/oauth2/v2.1/verify", "GET", access_token="x"),
        ),
        Case(
            "getsAllValidChannelAccessTokenKeyIds",
            "assertion expired",
            400,
            oauth("invalid_client", "Invalid exp"),
            lambda s: s.jwt("/oauth2/v2.1/tokens/kid", s.assertion(exp=1), "GET"),
        ),
        Case(
            "getsAllValidChannelAccessTokenKeyIds",
            "unknown key",
            404,
            _LOST_KEY,
            lambda s: s.jwt("/oauth2/v2.1/tokens/kid", _unknown_key(s), "GET"),
        ),
        Case(
            "revokeChannelTokenByJWT",
            "no JWS",
            400,
            no_jws,
            lambda s: s.form("/oauth2/v2.1/revoke", client_id=s.shop.id, client_secret=s.shop.secret, access_token="x"),
        ),
        Case(
            "issueStatelessChannelToken",
            "wrong secret",
            400,
            oauth("invalid_request", "Invalid 'client_credentials'."),
            lambda s: s.form("/oauth2/v3/token", client_id=s.shop.id, client_secret="x", **short),
        ),
        Case("issueStatelessChannelToken", "unknown key", 404, _LOST_KEY, lambda s: s.jwt("/oauth2/v3/token", _unknown_key(s))),
        Case(
            "issueChannelToken",
            "unknown channel",
            400,
            oauth("invalid_client", "invalid client_id"),
            lambda s: s.form("/v2/oauth/accessToken", client_id="1", client_secret="x", **short),
        ),
        Case(
            "issueChannelToken",
            "wrong secret",
            400,
            oauth("invalid_client", "invalid client_secret"),
            lambda s: s.form("/v2/oauth/accessToken", client_id=s.shop.id, client_secret="x", **short),
        ),
        Case(
            "verifyChannelToken",
            "unknown token",
            400,
            oauth("invalid_request", "access_token invalid"),
            lambda s: s.form("/v2/oauth/verify", access_token="a" * 172),
        ),
        Case("revokeChannelToken", "malformed token", 400, oauth("invalid_request"), lambda s: s.form("/v2/oauth/revoke")),
        Case(
            "login: token",
            "refresh token invalid",
            400,
            oauth("invalid_grant", "invalid refresh token"),
            _login_refresh,
        ),
        Case("login: verify id_token", "bad signature", 400, _id_wrong("Invalid IdToken."), _id_token(key="0" * 32)),
        Case(
            "login: verify id_token",
            "another issuer",
            400,
            _id_wrong("Invalid IdToken Issuer."),
            _id_token(claims={"iss": "https://example.com"}),
        ),
        Case("login: verify id_token", "expired", 400, _id_wrong("IdToken expired."), _id_token(claims={"exp": 1})),
        Case(
            "login: verify id_token",
            "another audience",
            400,
            _id_wrong("Invalid IdToken Audience."),
            _id_token(claims={"aud": "1"}),
        ),
        Case("login: verify id_token", "another nonce", 400, _id_wrong("Invalid IdToken Nonce."), _id_token(fields={"nonce": "x"})),
        Case(
            "login: verify id_token",
            "another user",
            400,
            _id_wrong("Invalid IdToken Subject Identifier."),
            _id_token(fields={"user_id": STRANGER}),
        ),
        Case("login: deauthorize", "user token invalid", 400, message("invalid token"), _deauthorize),
    ]


def _id_wrong(text: str) -> dict[str, str]:
    return oauth("invalid_request", text)


def _login_refresh(stage: Stage) -> Answer:
    login = stage.line.login_channel("会員", provider=stage.shop.provider, callback_urls=["https://example.com/cb"], bot=stage.shop)
    return stage.form(
        "/oauth2/v2.1/token", grant_type="refresh_token", refresh_token="x", client_id=login.id, client_secret=login.secret
    )


def _deauthorize(stage: Stage) -> Answer:
    login = stage.line.login_channel("会員", provider=stage.shop.provider, callback_urls=["https://example.com/cb"], bot=stage.shop)
    _, token = stage.form("/oauth2/v3/token", grant_type="client_credentials", client_id=login.id, client_secret=login.secret)
    return stage.call("POST", "/user/v1/deauthorize", {"userAccessToken": "x"}, authorization=f"Bearer {token['access_token']}")


def _sending() -> list[Case]:
    kinds = ("reply", "push", "multicast", "narrowcast", "broadcast")
    six = [TEXT] * 6
    audience = {"recipient": {"type": "audience", "audienceGroupId": 5614991017776}}
    redelivery = {"recipient": {"type": "redelivery", "requestId": KEY}}
    attribute = {"filter": {"demographic": {"type": "gender", "oneOf": ["female"]}}}
    dates = ("reply", "push", "multicast", "broadcast")
    invalid = "in the request body is invalid (line: -, column: -)"
    return [
        Case("replyMessage", "token used", 400, message("Invalid reply token"), _used_reply_token),
        Case(
            "pushMessage",
            "user of another provider",
            400,
            message("Failed to send messages"),
            lambda s: s.send("push", to=STRANGER),
        ),
        Case("pushMessage", "monthly limit", 429, message("You have reached your monthly limit."), _over_quota),
        Case(
            "multicast",
            "user of another provider",
            400,
            message(f"The property, to[1], {invalid}"),
            lambda s: s.send("multicast", to=[s.user, STRANGER]),
        ),
        Case("multicast", "retry key accepted before", 409, message("The retry key is already accepted"), _repeated),
        Case(
            "narrowcast",
            "unknown audience",
            400,
            message("Invalid audience group id: 5614991017776"),
            lambda s: s.send("narrowcast", **audience),
        ),
        Case(
            "narrowcast",
            "unknown request id",
            400,
            message(f"Invalid request id: {KEY}"),
            lambda s: s.send("narrowcast", **redelivery),
        ),
        Case(
            "narrowcast",
            "forbidPartialDelivery alone",
            400,
            message("The option forbidPartialDelivery must be used with upToRemainingQuota."),
            lambda s: s.send("narrowcast", limit={"forbidPartialDelivery": True}),
        ),
        Case(
            "narrowcast",
            "attributes with fewer than 100 friends",
            403,
            message("Your account does not have enough friends"),
            lambda s: s.send("narrowcast", **attribute),
        ),
        Case(
            "getNarrowcastProgress",
            "unknown request id",
            404,
            _NOT_FOUND,
            lambda s: s.call("GET", f"/v2/bot/message/progress/narrowcast?requestId={KEY}"),
        ),
        Case(
            "broadcast",
            "message without type",
            400,
            wrong(("messages[0].type", "May not be empty")),
            lambda s: s.send("broadcast", messages=[{"text": "a"}]),
        ),
        Case(
            "markMessagesAsReadByToken",
            "unknown token",
            400,
            message("Invalid markAsReadToken. Tokens must be used by the bot that received them via Webhook."),
            lambda s: s.call("POST", "/v2/bot/chat/markAsRead", {"markAsReadToken": "x"}),
        ),
        Case(
            "showLoadingAnimation",
            "3 seconds",
            400,
            wrong(("loadingSeconds", "Must be between 5 and 60"), ("loadingSeconds", "must be a multiple of five")),
            lambda s: s.call("POST", "/v2/bot/chat/loading/start", {"chatId": s.user, "loadingSeconds": 3}),
        ),
        Case(
            "showLoadingAnimation",
            "a group",
            400,
            wrong(("chatId", "Only user id is acceptable, please confirm if there are any group/room ids or illegal ids.")),
            lambda s: s.call("POST", "/v2/bot/chat/loading/start", {"chatId": s.group()}),
        ),
        *(
            Case(
                f"getNumberOfSent{kind.capitalize()}Messages",
                "malformed date",
                400,
                message("The value for the 'date' parameter is invalid"),
                lambda s, kind=kind: s.call("GET", f"/v2/bot/message/delivery/{kind}?date=2026-11-22"),
            )
            for kind in dates
        ),
        *(
            Case(
                f"validate{kind.capitalize()}",
                "six messages",
                400,
                wrong(("messages", "Size must be between 1 and 5")),
                lambda s, kind=kind: s.send(f"validate/{kind}", messages=six),
            )
            for kind in kinds
        ),
        *(
            Case(
                f"validate{kind.capitalize()}",
                "text of 5,001 units",
                400,
                wrong(("messages[0].text", "Length must be between 0 and 5000")),
                lambda s, kind=kind: s.send(f"validate/{kind}", messages=[{"type": "text", "text": "a" * 5001}]),
            )
            for kind in kinds
        ),
    ]


def _audiences() -> list[Case]:
    name = {"description": "あ" * 121}
    wrong_id = "UPLOAD_AUDIENCE_GROUP_INVALID_AUDIENCE_ID_FORMAT"
    return [
        Case("createAudienceGroup", "name of 121 characters", 400, _LONG_NAME, _audience("POST", "/upload", name)),
        Case(
            "addAudienceToAudienceGroup",
            "malformed user id",
            400,
            message("Invalid audience id format", details=[{"message": wrong_id, "property": "audiences"}]),
            _wrong_id_in_json,
        ),
        Case(
            "addUserIdsToAudience",
            "malformed user id",
            400,
            message(wrong_id, details=[{"message": wrong_id, "property": "file"}]),
            _file_with_a_wrong_id,
        ),
        Case(
            "createClickBasedAudienceGroup",
            "name of 121 characters",
            400,
            _LONG_NAME,
            _audience("POST", "/click", {**name, "requestId": KEY}),
        ),
        Case(
            "createImpBasedAudienceGroup",
            "name of 121 characters",
            400,
            _LONG_NAME,
            _audience("POST", "/imp", {**name, "requestId": KEY}),
        ),
        Case("deleteAudienceGroup", "no such audience", 400, _NO_AUDIENCE, _audience("DELETE", "/1")),
        Case("getAudienceData", "no such audience", 400, _NO_AUDIENCE, _audience("GET", "/1")),
        Case("getSharedAudienceData", "no such audience", 400, _NO_AUDIENCE, _audience("GET", "/shared/1")),
        Case(
            "getAudienceGroups",
            "size 41",
            400,
            message("size: must be less than or equal to 40", details=[{"message": "TOO_HIGH"}]),
            _audience("GET", "/list?page=1&size=41"),
        ),
    ]


def _insight() -> list[Case]:
    bad = message("Bad Request")
    nothing = {"message": None, "key": None, "stacktrace": None, "code": None}
    insight = "/v2/bot/insight"
    return [
        Case("getNumberOfMessageDeliveries", "malformed date", 400, bad, _calls("GET", f"{insight}/message/delivery?date=x")[0]),
        Case("getNumberOfFollowers", "no date", 400, message("date is required"), _calls("GET", f"{insight}/followers")[0]),
        Case("getNumberOfFollowers", "malformed date", 400, bad, _calls("GET", f"{insight}/followers?date=x")[0]),
        Case("getStatisticsPerUnit", "no unit", 400, nothing, _calls("GET", f"{insight}/message/event/aggregation")[0]),
        Case(
            "getAggregationUnitNameList",
            "unknown continuation token",
            400,
            _START,
            _calls("GET", "/v2/bot/message/aggregation/list?start=x")[0],
        ),
    ]


def _coupons() -> list[Case]:
    fixed = {"type": "discount", "priceInfo": {"type": "percentage", "percentage": 10, "fixedAmount": 100}}
    return [
        Case(
            "createCoupon",
            "title of 61 characters",
            400,
            wrong(("title", "Size must be between 1 and 60")),
            lambda s: s.coupon(title="あ" * 61),
        ),
        Case(
            "createCoupon",
            "unknown kind of reward",
            400,
            wrong(("reward.type", "Must be one of the following values: [discount,free,gift,cashBack,others]")),
            lambda s: s.coupon(reward={"type": "x"}),
        ),
        Case(
            "createCoupon",
            "fixedAmount with percentage",
            400,
            wrong(("reward.priceInfo.fixedAmount", "Must not be specified")),
            lambda s: s.coupon(reward=fixed),
        ),
        Case(
            "createCoupon",
            "5,000 are valid",
            400,
            wrong(("", "You have too many coupons created.")),
            _too_many_coupons,
        ),
        Case("closeCoupon", "already closed", 410, wrong(("", "The coupon has already been closed.")), _closed_coupon),
        Case("closeCoupon", "no such coupon", 404, _NO_COUPON, lambda s: s.call("PUT", "/v2/bot/coupon/x/close")),
        Case("getCouponDetail", "no such coupon", 404, _NO_COUPON, lambda s: s.call("GET", "/v2/bot/coupon/x")),
        Case(
            "listCoupon",
            "unknown status",
            400,
            wrong(("status", "Must be one of the following values: [DRAFT,RUNNING,CLOSED]")),
            lambda s: s.call("GET", "/v2/bot/coupon?status=X"),
        ),
        Case(
            "listCoupon",
            "limit 101",
            400,
            wrong(("limit", "Must be less than or equal to 100")),
            lambda s: s.call("GET", "/v2/bot/coupon?limit=101"),
        ),
    ]


def _people() -> list[Case]:
    bot = "/v2/bot"
    group, room, user = "C" + "0" * 32, "R" + "0" * 32, STRANGER
    rows = [
        Case("getProfile", "malformed user id", 400, _USER_WRONG, _calls("GET", f"{bot}/profile/x")[0]),
        Case("getProfile", "no friend", 404, _NOT_FOUND, _calls("GET", f"{bot}/profile/{user}")[0]),
        Case("getFollowers", "unknown continuation token", 400, _START, _calls("GET", f"{bot}/followers/ids?start=x")[0]),
        Case("getFollowers", "not verified", 403, message("Access to this API is not available for your account"), _unverified),
        Case(
            "getMembershipSubscription", "malformed user id", 400, _USER_WRONG, _calls("GET", f"{bot}/membership/subscription/x")[0]
        ),
        Case("getMembershipSubscription", "no member", 404, _NOT_FOUND, _calls("GET", bot + "/membership/subscription/{user}")[0]),
        Case(
            "getJoinedMembershipUsers",
            "no such membership",
            404,
            message("Membership ID is not found"),
            _calls("GET", f"{bot}/membership/1/users/ids")[0],
        ),
        Case(
            "getMembershipList",
            "none offered",
            404,
            message("Membership plan not found"),
            _calls("GET", f"{bot}/membership/list")[0],
        ),
    ]
    for kind, chat, bad in (("group", group, _GROUP_WRONG), ("room", room, _ROOM_WRONG)):
        title = kind.capitalize()
        named = {f"get{title}MemberCount": "members/count", f"get{title}MembersIds": "members/ids"}
        named[f"get{title}MemberProfile"] = f"member/{user}"
        if kind == "group":
            named["getGroupSummary"] = "summary"
        for operation, tail in named.items():
            rows.append(Case(operation, f"malformed {kind} id", 400, bad, _calls("GET", f"{bot}/{kind}/x/{tail}")[0]))
            rows.append(Case(operation, f"no such {kind}", 404, _NOT_FOUND, _calls("GET", f"{bot}/{kind}/{chat}/{tail}")[0]))
        rows.append(Case(f"leave{title}", f"malformed {kind} id", 400, bad, _calls("POST", f"{bot}/{kind}/x/leave")[0]))
        rows.append(Case(f"leave{title}", f"no such {kind}", 404, _NOT_FOUND, _calls("POST", f"{bot}/{kind}/{chat}/leave")[0]))
    return rows


def _menus() -> list[Case]:
    menus = "/v2/bot/richmenu"
    nameless = {key: value for key, value in MENU.items() if key != "name"}
    bad_uri = {**MENU, "areas": [{**MENU["areas"][0], "action": {"type": "uri", "label": "a", "uri": "ftp://example.com"}}]}
    no_name, invalid_uri = wrong(("name", "must be specified")), wrong(("areas[0].action.uri", "invalid uri"))
    applied = message("must upload richmenu image before applying it to user", details=[])
    gone, no_alias = message("richmenu not found", details=[]), message("richmenu alias not found", details=[])
    user_ids = message("The property, 'userIds[0]', in the request body is invalid (line: -, column: -)")
    all_and_more = [{"type": "unlinkAll"}, {"type": "unlink", "from": NO_MENU}]
    unlink_all = wrong(("operations[].type", "'unlinkAll' type can't be combined with other type"))
    rows = []
    for operation, path in (("createRichMenu", menus), ("validateRichMenuObject", f"{menus}/validate")):
        rows.append(Case(operation, "no name", 400, no_name, lambda s, p=path: s.call("POST", p, nameless)))
        rows.append(Case(operation, "scheme of a URI", 400, invalid_uri, lambda s, p=path: s.call("POST", p, bad_uri)))
    return [
        *rows,
        Case(
            "setRichMenuImage",
            "799 pixels wide",
            400,
            message("The image size is not allowed for richmenu"),
            lambda s: s.upload(s.menu(image=False), (799, 300)),
        ),
        Case(
            "setRichMenuImage", "a second image", 400, message("An image has already been uploaded to the richmenu"), _second_image
        ),
        Case("setRichMenuImage", "no such menu", 404, _NOT_FOUND, lambda s: s.upload(NO_MENU)),
        Case("getRichMenuImage", "no such menu", 404, _NOT_FOUND, lambda s: s.call("GET", f"{menus}/{NO_MENU}/content")),
        Case("getRichMenu", "no such menu", 404, _NOT_FOUND, lambda s: s.call("GET", f"{menus}/{NO_MENU}")),
        Case("deleteRichMenu", "no such menu", 404, _NOT_FOUND, lambda s: s.call("DELETE", f"{menus}/{NO_MENU}")),
        Case(
            "setDefaultRichMenu",
            "no image",
            400,
            applied,
            lambda s: s.call("POST", f"/v2/bot/user/all/richmenu/{s.menu(image=False)}"),
        ),
        Case(
            "setDefaultRichMenu", "no such menu", 404, _NOT_FOUND, lambda s: s.call("POST", f"/v2/bot/user/all/richmenu/{NO_MENU}")
        ),
        Case(
            "getDefaultRichMenuId",
            "none set",
            404,
            message("no default richmenu", details=[]),
            lambda s: s.call("GET", "/v2/bot/user/all/richmenu"),
        ),
        Case(
            "linkRichMenuIdToUser",
            "malformed user id",
            400,
            _USER_WRONG,
            lambda s: s.call("POST", f"/v2/bot/user/x/richmenu/{s.menu()}"),
        ),
        Case(
            "linkRichMenuIdToUser",
            "no such menu",
            404,
            _NOT_FOUND,
            lambda s: s.call("POST", f"/v2/bot/user/{s.user}/richmenu/{NO_MENU}"),
        ),
        Case(
            "linkRichMenuIdToUsers",
            "malformed user id",
            400,
            user_ids,
            lambda s: s.call("POST", f"{menus}/bulk/link", {"richMenuId": s.menu(), "userIds": ["x"]}),
        ),
        Case(
            "linkRichMenuIdToUsers",
            "malformed menu id",
            400,
            _MENU_ID,
            lambda s: s.call("POST", f"{menus}/bulk/link", {"richMenuId": "x", "userIds": [s.user]}),
        ),
        Case(
            "linkRichMenuIdToUsers",
            "no such menu",
            404,
            gone,
            lambda s: s.call("POST", f"{menus}/bulk/link", {"richMenuId": NO_MENU, "userIds": [s.user]}),
        ),
        Case("getRichMenuIdOfUser", "malformed user id", 400, _USER_WRONG, lambda s: s.call("GET", "/v2/bot/user/x/richmenu")),
        Case(
            "getRichMenuIdOfUser",
            "none linked",
            404,
            message("the user has no richmenu", details=[]),
            lambda s: s.call("GET", f"/v2/bot/user/{s.user}/richmenu"),
        ),
        Case(
            "unlinkRichMenuIdFromUser", "malformed user id", 400, _USER_WRONG, lambda s: s.call("DELETE", "/v2/bot/user/x/richmenu")
        ),
        Case(
            "unlinkRichMenuIdFromUsers",
            "malformed user id",
            400,
            user_ids,
            lambda s: s.call("POST", f"{menus}/bulk/unlink", {"userIds": ["x"]}),
        ),
        Case(
            "richMenuBatch",
            "malformed menu id",
            400,
            wrong(("operations[0].from", "invalid richMenuId")),
            _batch("batch", lambda _: [{"type": "unlink", "from": "x"}]),
        ),
        Case("richMenuBatch", "unlinkAll and another", 400, unlink_all, _batch("batch", lambda _: all_and_more)),
        Case(
            "richMenuBatch",
            "the same menu twice",
            400,
            lambda stage: wrong(("operations[].from", f"from richmenu ({stage.twice}) is duplicated")),
            _batch("batch", _twice_from),
        ),
        Case(
            "getRichMenuBatchProgress",
            "unknown request id",
            404,
            _NOT_FOUND,
            lambda s: s.call("GET", f"{menus}/progress/batch?requestId={KEY}"),
        ),
        Case(
            "validateRichMenuBatchRequest",
            "no such menu",
            404,
            wrong(("operations[0].from", f"Richmenu ({NO_MENU}) is not found")),
            _batch("validate/batch", lambda _: [{"type": "unlink", "from": NO_MENU}]),
        ),
        Case("createRichMenuAlias", "menu without image", 400, gone, _alias(lambda s: s.menu(image=False))),
        Case("createRichMenuAlias", "malformed menu id", 400, _MENU_ID, _alias(lambda _: "x")),
        Case(
            "createRichMenuAlias",
            "alias exists",
            400,
            message("conflict richmenu alias id", details=[]),
            _alias(lambda s: s.menu(), twice=True),
        ),
        Case(
            "getDefaultRichMenuId",
            "set in LINE Official Account Manager",
            403,
            message("the richmenu is owned by another channel", details=[]),
            _set_by_the_manager,
        ),
        Case(
            "validateRichMenuBatchRequest",
            "target without image",
            400,
            lambda stage: wrong(("operations[0].to", f"'to' richmenu ({stage.imageless}) must have image but it doesn't")),
            _batch("validate/batch", _imageless_target),
        ),
        Case("updateRichMenuAlias", "menu without image", 400, gone, _alias_update(lambda s: s.menu(image=False))),
        Case("updateRichMenuAlias", "malformed menu id", 400, _MENU_ID, _alias_update(lambda _: "x")),
        Case("deleteRichMenuAlias", "no such alias", 404, no_alias, lambda s: s.call("DELETE", f"{menus}/alias/none")),
        Case("getRichMenuAlias", "no such alias", 404, no_alias, lambda s: s.call("GET", f"{menus}/alias/none")),
    ]


def page() -> str:
    """Return docs/line-errors.md."""
    lines = [
        "# Errors of the simulated LINE",
        "",
        "Every error whose body LINE documents (references of the Messaging API, LINE Login v2.1, LINE notification messages and",
        "options for corporate users, state of 2026-08), as this simulator answers it. Each row is one test of",
        "`tests/simulator/test_sim_errors.py`; `python -m tests.simulator.errors` prints this page.",
        "",
        "| operation | when | status | body |",
        "|---|---|---|---|",
    ]
    for case in cases():
        body = "as LINE names the menu" if callable(case.body) else f"`{json.dumps(case.body, ensure_ascii=False)}`"
        lines.append(f"| {case.where} | {case.when} | {case.status} | {body.replace('|', chr(92) + '|')} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(page(), end="")

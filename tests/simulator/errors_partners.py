"""The errors that LINE documents for its partners: notification messages, modules, mission stickers, the older read mark.

Source: LINE notification messages API reference, reference of options for corporate users (2026-08). See errors.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.simulator.errors import STRANGER, TEXT, Answer, Case, Stage, message, wrong

Play = Callable[[Stage], Answer]
PHONE = "+818000001234"
DIGEST = "d41e0ad70dddfeb68f149ad6fc61574b9c5780ab7bcb2fba5517771ffbb2409c"
OPTIONS = ["pnp", "pnp_templated", "mark_as_read", "mission_stickers"]
FORBIDDEN = message("Access to this API is not available for your account")
UNDELIVERED = message("Failed to send messages")
DIGEST_WRONG = wrong(("to", "The value must be a valid SHA-256 digest."))
CHAT_WRONG = message("The value for the 'chatId' parameter is invalid")


def partners() -> list[Case]:
    """Return all rows."""
    return [*_notifications(), *_others(), *_modules(), *_stickers()]


def _granted(play: Play, *, phone: str = PHONE) -> Play:
    def prepared(stage: Stage) -> Answer:
        stage.line.channel(stage.shop.name, options=OPTIONS)
        stage.line.person("花子", phone=phone)
        return play(stage)

    return prepared


def _flexible(to: str) -> Play:
    return lambda stage: stage.call("POST", "/bot/pnp/push", {"to": to, "messages": [TEXT]})


def _template(to: str = DIGEST, key: str = "shipment_completed_ja", **body: Any) -> Play:
    content = {"to": to, "templateKey": key, "body": body}
    return lambda stage: stage.call("POST", "/v2/bot/message/pnp/templated/push", content)


def _get(target: str) -> Play:
    return lambda stage: stage.call("GET", target)


def _notifications() -> list[Case]:
    push, templated = "pushMessagesByPhone", "pushTemplatedMessagesByPhone"
    template = message(
        "Invalid templateKey: reserve_004",
        details=[{"message": "The specified template doesn't exist, or you don't have the permission", "property": "templateKey"}],
    )
    item = message(
        "The request body has 1 invalid key(s).",
        details=[{"message": "The specified item key does not exist: datetime_000", "property": "body.items[0].itemKey"}],
    )
    twice = "Duplicate itemKey in items or between emphasizedItem and items are not allowed: date_002_ja"
    date = {"itemKey": "date_002_ja", "content": "8/10"}
    unknown = {"itemKey": "datetime_000", "content": "8/10"}
    day = message("The value for the 'date' parameter is invalid")
    counts = "/v2/bot/message/delivery/pnp"
    return [
        Case(push, "no hashed number", 400, DIGEST_WRONG, _granted(_flexible(PHONE))),
        Case(push, "nobody to take it", 422, UNDELIVERED, _granted(_flexible(DIGEST), phone="+818000009999")),
        Case("getPNPMessageStatistics", "invalid date", 400, day, _granted(_get(f"{counts}?date=20261301"))),
        Case("getPNPTemplatedMessageStatistics", "invalid date", 400, day, _granted(_get(f"{counts}/templated?date=x"))),
        Case(templated, "not granted", 403, FORBIDDEN, _template()),
        Case(templated, "no hashed number", 400, DIGEST_WRONG, _granted(_template(PHONE))),
        Case(templated, "unknown template", 400, template, _granted(_template(key="reserve_004"))),
        Case(templated, "unknown item", 400, item, _granted(_template(items=[unknown]))),
        Case(
            templated,
            "an item twice",
            400,
            wrong(("body.emphasizedItem.itemKey", twice)),
            _granted(_template(emphasizedItem=date, items=[date])),
        ),
        Case(templated, "nobody to take it", 422, UNDELIVERED, _granted(_template(), phone="")),
    ]


def _others() -> list[Case]:
    nobody = message("The property, 'chat.chatId', in the request body is invalid (line: -, column: -)")
    body = {"chat": {"userId": STRANGER}}
    mark = _granted(lambda stage: stage.call("POST", "/v2/bot/message/markAsRead", body))
    return [Case("markMessagesAsRead", "unknown user", 400, nobody, mark)]


def _module(verb: str, target: str, body: Any = None, *, attached: bool = True) -> Play:
    def play(stage: Stage) -> Answer:
        module = stage.line.channel("予約モジュール", options=["module"])
        if attached:
            stage.line.attach_module(module, stage.shop)
        content = {"botId": stage.shop.bot_user_id} if body == "shop" else body
        given = {"authorization": f"Bearer {module.access_token}", "x_line_bot_id": stage.shop.bot_user_id}
        return stage.call(verb, target, content, **given)

    return play


def _modules() -> list[Case]:
    detach, control = "/v2/bot/channel/detach", "/v2/bot/chat/x/control"
    no_bot = message("user/group/room Id is not available.")
    loose = message("Specified channel is not detachable")
    start = message("Invalid start param")
    return [
        Case("detachModule", "unknown bot", 400, no_bot, _module("POST", detach, {"botId": STRANGER})),
        Case("detachModule", "not attached", 400, loose, _module("POST", detach, "shop", attached=False)),
        Case("acquireChatControl", "malformed chat id", 400, CHAT_WRONG, _module("POST", f"{control}/acquire", {})),
        Case("releaseChatControl", "malformed chat id", 400, CHAT_WRONG, _module("POST", f"{control}/release")),
        Case("getModules", "invalid continuation token", 400, start, _module("GET", "/v2/bot/list?start=x")),
    ]


def _sticker(to: str = "", *, theirs: bool = True, **attributes: Any) -> Play:
    def play(stage: Stage) -> Answer:
        if attributes.pop("known", True):
            stage.line.mission_sticker("100", *[stage.shop] * theirs, **attributes)
        body = {"to": to or stage.user, "productId": "100", "productType": "STICKER", "sendPresentMessage": False}
        return stage.call("POST", "/shop/v3/mission", body)

    return _granted(play)


def _stickers() -> list[Case]:
    name = "missionStickerV3"
    refused = {"to": STRANGER, "productId": "100", "productType": "STICKER", "sendPresentMessage": False}
    return [
        Case(name, "unknown user", 400, message("invalid request"), _sticker(STRANGER)),
        Case(name, "no mission stickers", 400, message("illegal argument"), _sticker(is_mission=False)),
        Case(name, "out of their time", 400, message("not in sales period"), _sticker(ends=1.0)),
        Case(name, "of another account", 400, message("sticker set not available for channel"), _sticker(theirs=False)),
        Case(name, "not for this phone", 400, message("not available"), _sticker(apps=["android"])),
        Case(
            name,
            "not granted",
            403,
            message("not allowed to use the API"),
            lambda stage: stage.call("POST", "/shop/v3/mission", refused),
        ),
        Case(name, "no such stickers", 404, message("not found"), _sticker(known=False)),
    ]

"""What LINE grants on application: messages by phone number, templates, the older read mark, mission stickers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, SimulatorError
from line_simulator.people.person import find_action

PHONE = "+818000001234"
DIGEST = "d41e0ad70dddfeb68f149ad6fc61574b9c5780ab7bcb2fba5517771ffbb2409c"
TAG = "order-0000000001"
TEXT = {"type": "text", "text": "ご予約の前日です"}
DAY = 86_400.0
NOTICE = {
    "to": DIGEST,
    "templateKey": "shipment_completed_ja",
    "body": {
        "emphasizedItem": {"itemKey": "date_002_ja", "content": "8月10日(土)"},
        "items": [{"itemKey": "number_001_ja", "content": "1234567"}],
        "buttons": [{"buttonKey": "contact_ja", "url": "https://example.com/"}],
    },
}


@pytest.fixture
def granted(line: LineSimulator, shop: Channel) -> Channel:
    return line.channel(shop.name, options=["pnp", "pnp_templated", "mark_as_read", "mission_stickers"])


def _notify(api: Any, to: str = DIGEST, tag: str | None = None, **more: Any) -> tuple[int, Any]:
    headers = {} if tag is None else {"x-line-delivery-tag": tag}
    status, body, _ = api("POST", "/bot/pnp/push", {"to": to, "messages": [TEXT], **more}, headers)
    return status, body


def _told(line: LineSimulator, receiver: Any) -> list[str]:
    """Return the data of the delivery events that came."""
    line.drain()
    return [one["delivery"]["data"] for one in receiver.events if one["type"] == "delivery"]


def test_without_the_option_nothing_of_it_works(api: Any, hanako: Person, shop: Channel) -> None:
    told = {"message": "Access to this API is not available for your account"}
    read = {"chat": {"userId": hanako.user_id(shop)}}
    assert _notify(api) == (403, told)
    assert api("POST", "/v2/bot/message/pnp/templated/push", NOTICE)[:2] == (403, told)
    assert api("POST", "/v2/bot/message/markAsRead", read)[:2] == (403, told)
    assert api("POST", "/shop/v3/mission", {})[:2] == (403, {"message": "not allowed to use the API"})


def test_a_stranger_is_reached_by_phone_number_and_the_account_is_told(
    api: Any, line: LineSimulator, granted: Channel, receiver: Any
) -> None:
    jiro = line.person("次郎", phone=PHONE)
    assert _notify(api) == (200, {})
    assert _notify(api, tag=TAG) == (200, {})
    assert [(one.via, one.message) for one in jiro.inbox(granted)] == [("pnp", TEXT)] * 2
    assert _told(line, receiver) == [DIGEST, TAG]
    assert all("source" not in one and "replyToken" not in one for one in receiver.events)
    assert jiro.status(granted) == "none"
    # Billed apart: nothing of the monthly limit, and a day later it is counted.
    assert api("GET", "/v2/bot/message/quota/consumption")[1] == {"totalUsage": 0}
    date = f"{line.world.tokyo():%Y%m%d}"
    line.clock.advance(DAY)
    assert api("GET", f"/v2/bot/message/delivery/pnp?date={date}")[1] == {"status": "ready", "success": 2}
    assert api("GET", f"/v2/bot/message/delivery/pnp/templated?date={date}")[1] == {"status": "ready", "success": 0}
    assert line.invariants().ok
    # They may write, and block what they never added.
    jiro.say(granted, "はい")
    jiro.block(granted)
    line.drain()
    assert [one["type"] for one in receiver.events[-2:]] == ["message", "unfollow"]


def test_a_block_keeps_messages_out_for_good_and_nobody_is_told(
    api: Any, line: LineSimulator, granted: Channel, taro: Person, receiver: Any
) -> None:
    line.person("太郎", phone=PHONE)
    assert _notify(api) == (200, {})
    taro.unblock(granted)
    assert taro.inbox(granted) == []
    assert _told(line, receiver) == []


@pytest.mark.parametrize(
    ("given", "agree", "hours", "arrives"),
    [
        ({"phone_consent": "unset"}, True, 23, True),
        ({"phone_consent": "unset"}, False, 1, False),
        ({"phone_consent": "unset"}, True, 25, False),
        ({"phone_verified": False}, True, 1, True),
    ],
)
def test_a_message_waits_a_day_for_consent(
    api: Any, line: LineSimulator, granted: Channel, receiver: Any, given: dict[str, Any], agree: bool, hours: int, arrives: bool
) -> None:
    jiro = line.person("次郎", phone=PHONE, **given)
    assert _notify(api) == (200, {})
    assert jiro.inbox(granted) == []
    line.clock.advance(hours * 3600)
    jiro.answer_notifications(agree=agree)
    assert len(jiro.inbox(granted)) == len(_told(line, receiver)) == arrives
    # From now on the answer holds for all accounts.
    assert _notify(api)[0] == (200 if agree else 422)
    assert line.invariants().ok


@pytest.mark.parametrize(
    "person",
    [None, {"phone": "+12025550123"}, {"phone": PHONE, "phone_consent": "off"}],
    ids=["nobody", "another country", "refused"],
)
def test_whom_no_notification_can_reach(api: Any, line: LineSimulator, granted: Channel, person: dict[str, str] | None) -> None:
    phone = PHONE if person is None else person["phone"]
    if person is not None:
        line.person("次郎", **person)
    digest = hashlib.sha256(phone.encode()).hexdigest()
    assert _notify(api, digest) == (422, {"message": "Failed to send messages"})


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"to": "U" + "0" * 32}, "to"),
        ({"to": None}, "to"),
        ({"to": [DIGEST]}, "to"),
        ({"to": PHONE}, "to"),
        ({"messages": []}, "messages"),
        ({"messages": [{"type": "text"}]}, "messages[0].text"),
        ({"notificationDisabled": "no"}, "notificationDisabled"),
    ],
)
def test_malformed_notifications(api: Any, granted: Channel, body: dict[str, Any], told: str) -> None:
    status, answer, _ = api("POST", "/bot/pnp/push", {"to": DIGEST, "messages": [TEXT], **body})
    assert (status, answer["details"][0]["property"]) == (400, told)


def test_headers_of_notifications(api: Any, line: LineSimulator, granted: Channel) -> None:
    line.person("次郎", phone=PHONE)
    assert [_notify(api, tag="x" * size)[0] for size in (15, 16, 100, 101)] == [400, 200, 200, 400]
    key = {"x-line-retry-key": "11111111-2222-4333-8444-555555555555"}
    assert api("POST", "/bot/pnp/push", {"to": DIGEST, "messages": [TEXT]}, key)[0] == 400


def test_a_template_becomes_a_message(api: Any, line: LineSimulator, granted: Channel, receiver: Any) -> None:
    jiro = line.person("次郎", phone=PHONE)
    assert api("POST", "/v2/bot/message/pnp/templated/push", NOTICE, {"x-line-delivery-tag": TAG})[:2] == (202, {})
    (received,) = jiro.inbox(granted)
    assert (received.via, received.message["altText"]) == ("pnp_templated", "発送完了のお知らせ")
    assert all(text in json.dumps(received.message, ensure_ascii=False) for text in ("8月10日(土)", "1234567", "お問い合わせ"))
    assert find_action(received.message, "お問い合わせ")["uri"] == "https://example.com/"
    # It would be taken as an ordinary message too.
    assert api("POST", "/v2/bot/message/validate/push", {"messages": [received.message]})[0] == 200
    assert _told(line, receiver) == [TAG]
    with pytest.raises(SimulatorError):
        line.notice_keys(colours={"a": "赤"})
    unknown = {**NOTICE, "templateKey": "reserve_004_ja"}
    assert api("POST", "/v2/bot/message/pnp/templated/push", unknown)[0] == 400
    line.notice_keys(templates={"reserve_004_ja": "ご予約の確認"})
    assert api("POST", "/v2/bot/message/pnp/templated/push", unknown)[0] == 202


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("emphasizedItem", {"itemKey": "date_002_ja", "content": "あ" * 16}, "body.emphasizedItem.content"),
        ("emphasizedItem", [], "body.emphasizedItem"),
        ("items", [{"itemKey": "number_001_ja", "content": "a" * 301}], "body.items[0].content"),
        ("items", [{"itemKey": "number_001_ja", "content": "a"}] * 16, "body.items"),
        ("items", [{"itemKey": "number_001_ja", "content": "a"}] * 2, "body.items[1].itemKey"),
        ("items", [7], "body.items[0]"),
        ("buttons", [{"buttonKey": "contact_ja", "url": "https://example.com/"}] * 3, "body.buttons"),
        ("buttons", [{"buttonKey": "contact_ja", "url": "https://example.com/"}] * 2, "body.buttons[1].buttonKey"),
        ("buttons", [{"buttonKey": "nothing_ja", "url": "https://example.com/"}], "body.buttons[0].buttonKey"),
        ("buttons", [{"buttonKey": "contact_ja", "url": "javascript:x"}], "body.buttons[0].url"),
    ],
)
def test_malformed_templates(api: Any, granted: Channel, place: str, value: Any, told: str) -> None:
    body = {**NOTICE, "body": {**NOTICE["body"], place: value}}  # type: ignore[dict-item]
    status, answer, _ = api("POST", "/v2/bot/message/pnp/templated/push", body)
    assert (status, answer["details"][0]["property"]) == (400, told)


@pytest.mark.parametrize(
    "attributes",
    [{"phone": "080-0000-1234"}, {"phone": 8}, {"phone": "+81" + "8" * 20}, {"phone_consent": "maybe"}, {"phone_verified": "yes"}],
)
def test_phones_that_nobody_has(line: LineSimulator, attributes: dict[str, Any]) -> None:
    with pytest.raises(SimulatorError):
        line.person("次郎", **attributes)


def test_a_number_is_one_persons_and_can_be_changed(api: Any, line: LineSimulator, granted: Channel) -> None:
    jiro = line.person("次郎", phone=PHONE, phone_consent="unset")
    with pytest.raises(SimulatorError):
        line.person("三郎", phone=PHONE)
    _notify(api)
    line.person("次郎", phone="+818000009999")
    jiro.answer_notifications()
    assert jiro.inbox(granted) == []
    assert _notify(api)[0] == 422


def test_read_marks_wait_for_the_older_call(api: Any, line: LineSimulator, hanako: Person, granted: Channel) -> None:
    def read() -> list[bool]:
        lines = api("GET", f"/_sim/chats?channel={granted.id}&person={hanako.id}")[1]["lines"]
        return [one["read"] for one in lines]

    hanako.say(granted, "もしもし")
    assert read() == [False]
    assert api("GET", "/v2/bot/info")[1]["markAsReadMode"] == "manual"
    assert api("POST", "/v2/bot/message/markAsRead", {"chat": {"userId": hanako.user_id(granted)}})[:2] == (200, {})
    hanako.say(granted, "まだですか")
    assert read() == [True, False]


@pytest.mark.parametrize("chat", [None, [], {}, {"userId": 7}, {"userId": ""}, {"userId": "x"}, {"userId": "U" + "0" * 32}])
def test_nobody_is_marked_as_read(api: Any, granted: Channel, chat: Any) -> None:
    assert api("POST", "/v2/bot/message/markAsRead", {"chat": chat})[0] == 400


STICKER = {"productId": "100", "productType": "STICKER", "sendPresentMessage": False}


@pytest.mark.parametrize(
    ("attributes", "status", "told"),
    [
        ({}, 200, ""),
        ({"is_mission": False}, 400, "illegal argument"),
        ({"ends": 1.0}, 400, "not in sales period"),
        ({"starts": 9e9}, 400, "not in sales period"),
        ({"apps": ["android"]}, 400, "not available"),
    ],
)
def test_mission_stickers(
    api: Any, line: LineSimulator, hanako: Person, granted: Channel, attributes: dict[str, Any], status: int, told: str
) -> None:
    line.mission_sticker("100", granted, **attributes)
    line.mission_sticker("200")
    to = hanako.user_id(granted)
    answer = api("POST", "/shop/v3/mission", {**STICKER, "to": to})
    assert answer[:2] == (status, {"message": told} if told else b"")
    assert hanako.stickers() == ([] if told else ["100"])
    other = {**STICKER, "to": to, "productId": "200"}
    assert api("POST", "/shop/v3/mission", other)[1] == {"message": "sticker set not available for channel"}
    assert api("POST", "/shop/v3/mission", {**other, "productId": "300"})[:2] == (404, {"message": "not found"})


@pytest.mark.parametrize(
    "spoiled", [{"to": "x"}, {"to": None}, {"productType": "THEME"}, {"productId": 1}, {"sendPresentMessage": 0}]
)
def test_malformed_mission_stickers(
    api: Any, line: LineSimulator, hanako: Person, granted: Channel, spoiled: dict[str, Any]
) -> None:
    line.mission_sticker("100", granted)
    body = {**STICKER, "to": hanako.user_id(granted), **spoiled}
    assert api("POST", "/shop/v3/mission", body)[:2] == (400, {"message": "invalid request"})


@pytest.mark.parametrize("options", ["pnp", ["sms"], [1], {"pnp": True}, 7])
def test_options_are_known_ones(line: LineSimulator, options: Any) -> None:
    with pytest.raises(SimulatorError):
        line.channel("花屋", options=options)


def test_everything_by_the_control_door_and_kept_between_runs(caller: Any, tmp_path: Path) -> None:
    with LineSimulator(seed=1, data=tmp_path) as line:
        shop = line.channel("花屋")
        api = caller(line, shop)
        assert api("POST", "/_sim/channels", {"name": "花屋", "options": ["pnp", "mission_stickers"]})[1]["options"]
        given = {"name": "次郎", "phone": PHONE, "phoneConsent": "unset"}
        assert api("POST", "/_sim/people", given)[1]["phoneConsent"] == "unset"
        assert api("POST", "/_sim/people", {"name": "三郎", "phone": PHONE})[0] == 409
        sticker = {"productId": "100", "channels": ["花屋"], "apps": ["ios"]}
        assert api("POST", "/_sim/mission_stickers", sticker)[1]["channels"] == [shop.id]
        assert api("POST", "/_sim/mission_stickers", {**sticker, "apps": 1})[0] == 422
        assert "x_ja" in api("POST", "/_sim/notice_keys", {"items": {"x_ja": "品"}})[1]["items"]
        assert _notify(api) == (200, {})
    with LineSimulator(seed=2, data=tmp_path) as line:
        shop = line.channel("花屋")
        api = caller(line, shop)
        assert api("POST", "/_sim/people/次郎/answer_notifications", {})[1]["phoneConsent"] == "on"
        jiro = line.person("次郎")
        assert [one.message for one in jiro.inbox(shop)] == [TEXT]
        body = {**STICKER, "to": jiro.user_id(shop)}
        assert api("POST", "/shop/v3/mission", body)[0] == 200
        assert api("POST", "/_sim/people/次郎/stickers", {})[1]["stickers"] == ["100"]

"""Delivery of webhooks: bytes, signature, order, time limit, redelivery."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, Settings, sign


def test_the_published_signature_vector() -> None:
    # Messaging API documentation, Verify webhook signature.
    body = b'{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}'
    assert sign("8c570fa6dd201bb328f1c1eac23a96d8", body) == "GhRKmvmHys4Pi8DxkF4+EayaH0OqtJtaZxgTD9fMDLs="


def test_events_have_the_shapes_of_line(hanako: Person, shop: Channel, receiver: Any) -> None:
    headers, body = receiver.received[0]
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["x-line-signature"] == sign(shop.secret, body)
    content = json.loads(body)
    (event,) = content["events"]
    assert content["destination"] == shop.bot_user_id
    assert (event["type"], event["follow"], event["mode"]) == ("follow", {"isUnblocked": False}, "active")
    assert event["source"] == {"type": "user", "userId": hanako.user_id(shop)}
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{26}", event["webhookEventId"])
    assert re.fullmatch(r"[0-9a-f]{32}", event["replyToken"])
    assert event["deliveryContext"] == {"isRedelivery": False}


def test_block_and_unblock(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    hanako.block(shop)
    hanako.block(shop)
    hanako.unblock(shop)
    line.drain()
    _, unfollow, follow = receiver.events
    assert (unfollow["type"], "replyToken" in unfollow) == ("unfollow", False)
    assert (follow["type"], follow["follow"]) == ("follow", {"isUnblocked": True})


@pytest.mark.parametrize(
    ("message", "keys"),
    [
        ({"type": "sticker", "packageId": "446", "stickerId": "1988"}, {"stickerResourceType", "quoteToken"}),
        ({"type": "image"}, {"contentProvider", "quoteToken"}),
        ({"type": "location", "title": "店", "address": "東京", "latitude": 1.0, "longitude": 2.0}, {"address"}),
        ({"type": "file", "fileName": "a.pdf"}, {"fileSize", "fileName"}),
        ({"type": "audio", "duration": 100}, {"contentProvider"}),
    ],
)
def test_kinds_of_messages(
    line: LineSimulator, hanako: Person, shop: Channel, receiver: Any, message: dict[str, Any], keys: set[str]
) -> None:
    message_id = hanako.send(shop, message, b"data")
    line.drain()
    event = receiver.events[-1]
    assert event["message"]["id"] == message_id
    assert keys | {"markAsReadToken"} <= set(event["message"])


def test_other_events(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    hanako.finish_video(shop, "v-1")
    hanako.raw_event(shop, {"type": "beacon", "beacon": {"hwid": "d41d8cd98f", "type": "enter"}})
    line.send_events(shop, [{"type": "a"}, {"type": "b"}])
    line.drain()
    assert receiver.events[1]["videoPlayComplete"] == {"trackingId": "v-1"}
    assert receiver.events[2]["beacon"]["type"] == "enter"
    assert len(json.loads(receiver.received[-1][1])["events"]) == 2


def test_order_is_kept(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    receiver.delay = 0.01
    for number in range(20):
        hanako.say(shop, str(number))
    line.drain()
    assert [event["message"]["text"] for event in receiver.events[1:]] == [str(number) for number in range(20)]


def test_without_redelivery_a_failure_is_final(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    receiver.answers = [500]
    hanako.say(shop, "a")
    line.drain()
    last = line.webhooks[-1]
    assert (last.state, last.attempts[0].status, last.attempts[0].reason) == ("failed", 500, "ERROR_STATUS_CODE")
    assert len(receiver.received) == 2


def test_redelivery_repeats_the_event_with_its_flag(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    shop.redelivery = True
    receiver.received.clear()
    receiver.answers = [500, 503]
    hanako.say(shop, "a")
    line.drain()
    first, second, third = receiver.events
    assert [one["deliveryContext"]["isRedelivery"] for one in (first, second, third)] == [False, True, True]
    for one in (second, third):
        assert {**one, "deliveryContext": None} == {**first, "deliveryContext": None}
    assert all(headers["x-line-signature"] == sign(shop.secret, body) for headers, body in receiver.received)
    assert (line.webhooks[-1].state, len(line.webhooks[-1].attempts)) == ("delivered", 3)


def test_redelivery_gives_up(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    shop.redelivery = True
    receiver.answers = [500] * 10
    hanako.say(shop, "a")
    line.drain()
    assert (line.webhooks[-1].state, len(line.webhooks[-1].attempts)) == ("failed", 3)


def test_a_redelivered_reply_token_gets_a_new_minute(
    api: Any, line: LineSimulator, hanako: Person, shop: Channel, receiver: Any
) -> None:
    hanako.say(shop, "a")
    line.drain()
    token = receiver.events[-1]["replyToken"]
    line.clock.advance(90)
    line.webhook_queue.replay(line.webhooks[-1].id)
    line.drain()
    assert api.reply(token)[0] == 200


def test_a_bot_that_fails_in_the_middle_is_told_from_one_that_is_absent(receiver: Any, line: LineSimulator) -> None:
    shop = line.channel("花屋", webhook_url=receiver.url)
    receiver.answers = ["no status"]
    line.person("花子").follow(shop)
    line.drain()
    shop.webhook_url = "http://127.0.0.1:9/hook"
    line.person("太郎").follow(shop)
    line.drain()
    told = [(one.describe()["reason"], one.describe()["detail"]) for one in line.webhooks]
    assert told == [
        ("COULD_NOT_CONNECT", "Connection closed without a response"),
        ("COULD_NOT_CONNECT", "Failure to connect"),
    ]


def test_slow_and_absent_receivers(receiver: Any) -> None:
    with LineSimulator(settings=Settings(webhook_timeout_seconds=0.1)) as line:
        shop = line.channel("花屋", webhook_url=receiver.url)
        receiver.delay = 0.3
        line.person("花子").follow(shop)
        line.drain()
        shop.webhook_url = "http://127.0.0.1:9/hook"
        line.person("太郎").follow(shop)
        line.drain()
        shop.webhook_url = ""
        line.person("次郎").follow(shop)
        line.drain()
        outcomes = [(one.state, one.attempts[-1].reason if one.attempts else None) for one in line.webhooks]
    assert outcomes == [("failed", "REQUEST_TIMEOUT"), ("failed", "COULD_NOT_CONNECT"), ("not_sent", None)]


def test_drain_does_not_wait_for_ever(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    receiver.delay = 0.5
    hanako.say(shop, "a")
    with pytest.raises(TimeoutError):
        line.drain(timeout=0.05)
    line.drain()


def test_lanes_keep_the_order_of_each_person(receiver: Any) -> None:
    with LineSimulator(settings=Settings(webhook_lanes=4)) as line:
        shop = line.channel("花屋", webhook_url=receiver.url)
        people = [line.person(name) for name in "一二三"]
        for number in range(10):
            for person in people:
                person.say(shop, str(number))
        line.drain()
        for person in people:
            mine = [one for one in receiver.events if one["source"]["userId"] == person.user_id(shop)]
            assert [one["message"]["text"] for one in mine] == [str(number) for number in range(10)]

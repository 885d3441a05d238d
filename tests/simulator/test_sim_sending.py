"""Who receives what, once: retry keys, blocking, reply tokens, quota."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, Settings, SimulatorError

KEY = str(uuid.UUID(int=1))
STRANGER = "U" + "0" * 32


def test_a_retry_key_is_accepted_once_and_names_the_first_request(api: Any, hanako: Person, shop: Channel) -> None:
    _, first, headers = api.push(hanako.user_id(shop), key=KEY)
    status, body, again = api.push(hanako.user_id(shop), key=KEY)
    assert status == 409
    assert body == {"message": "The retry key is already accepted", "sentMessages": first["sentMessages"]}
    assert again["x-line-accepted-request-id"] == headers["x-line-request-id"] != again["x-line-request-id"]
    assert len(hanako.inbox(shop)) == 1


def test_another_body_under_the_same_key_is_still_409_and_noted(
    api: Any, line: LineSimulator, hanako: Person, shop: Channel
) -> None:
    api.push(hanako.user_id(shop), "一", KEY)
    assert api.push(hanako.user_id(shop), "二", KEY)[0] == 409
    assert line.requests[-1].note == "retry key used again with a different body"


def test_after_24_hours_the_key_is_new(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    api.push(hanako.user_id(shop), key=KEY)
    line.clock.advance(86_400)
    assert api.push(hanako.user_id(shop), key=KEY)[0] == 200


def test_a_refused_call_does_not_use_up_its_key(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    assert api.push(hanako.user_id(shop), "a" * 5001, KEY)[0] == 400
    line.fault("error_before_accept", times=1)
    assert api.push(hanako.user_id(shop), key=KEY)[0] == 500
    assert api.push(hanako.user_id(shop), key=KEY)[0] == 200


@pytest.mark.parametrize(("path", "body"), [("/v2/bot/message/reply", {}), ("/v2/bot/message/validate/push", {})])
def test_other_calls_refuse_the_retry_key(api: Any, path: str, body: Any) -> None:
    assert api("POST", path, body, {"x-line-retry-key": KEY})[0] == 400


def test_a_blocked_person_gives_200_and_gets_nothing(api: Any, taro: Person, shop: Channel) -> None:
    status, body, _ = api.push(taro.user_id(shop))
    assert status == 200
    assert body["sentMessages"][0]["id"]
    assert taro.inbox(shop) == []
    assert api("GET", "/v2/bot/message/quota/consumption")[1] == {"totalUsage": 0}


def test_a_stranger_can_be_pushed_to_for_seven_days_after_writing(api: Any, line: LineSimulator, shop: Channel) -> None:
    jiro = line.person("次郎")
    jiro.say(shop, "すみません")
    api.push(jiro.user_id(shop))
    line.clock.advance(7 * 86_400 + 1)
    assert api.push(jiro.user_id(shop))[0] == 200
    assert len(jiro.inbox(shop)) == 1
    assert line.invariants().ok


def test_user_ids_belong_to_a_provider(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    other = line.channel("別会社", provider="other")
    sister = line.channel("支店")
    assert hanako.user_id(sister) == hanako.user_id(shop) != hanako.user_id(other)
    assert api.push(hanako.user_id(other))[1] == {"message": "Failed to send messages"}
    assert api.multicast([hanako.user_id(shop), hanako.user_id(other)])[1] == {
        "message": "The property, to[1], in the request body is invalid (line: -, column: -)"
    }
    assert hanako.inbox(shop) == []


def test_foreign_ids_in_a_multicast_can_be_ignored_instead(caller: Any) -> None:
    with LineSimulator(seed=1, settings=Settings(multicast_foreign_id=200)) as line:
        shop = line.channel("花屋")
        hanako = line.person("花子")
        hanako.follow(shop)
        assert caller(line, shop).multicast([STRANGER, hanako.user_id(shop)])[0] == 200
        assert len(hanako.inbox(shop)) == 1


def test_a_multicast_reaches_each_person_once(api: Any, hanako: Person, shop: Channel) -> None:
    assert api.multicast([hanako.user_id(shop)] * 3)[0] == 200
    assert len(hanako.inbox(shop)) == 1


def _token(line: LineSimulator, receiver: Any) -> str:
    line.drain()
    return str(receiver.events[-1]["replyToken"])


def test_a_reply_token_works_once(api: Any, line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    hanako.say(shop, "こんにちは")
    token = _token(line, receiver)
    assert api.reply(token)[0] == 200
    assert api.reply(token)[:2] == (400, {"message": "Invalid reply token"})
    assert len(hanako.inbox(shop)) == 1


def test_a_reply_token_lasts_a_minute(api: Any, line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    hanako.say(shop, "こんにちは")
    token = _token(line, receiver)
    line.clock.advance(61)
    assert api.reply(token)[0] == 400


def test_a_lenient_simulator_takes_replies_for_twenty_minutes(caller: Any, receiver: Any) -> None:
    with LineSimulator(seed=1, settings=Settings(strict_reply_tokens=False)) as line:
        shop = line.channel("花屋", webhook_url=receiver.url)
        hanako = line.person("花子")
        hanako.follow(shop)
        token = _token(line, receiver)
        line.clock.advance(600)
        assert caller(line, shop).reply(token)[0] == 200
        hanako.say(shop, "まだ？")
        token = _token(line, receiver)
        line.clock.advance(1201)
        assert caller(line, shop).reply(token)[0] == 400


def test_a_reply_token_belongs_to_its_channel(api: Any, line: LineSimulator, hanako: Person, receiver: Any) -> None:
    other = line.channel("支店", webhook_url=receiver.url)
    hanako.say(other, "こんにちは")
    assert api.reply(_token(line, receiver))[0] == 400


def test_the_monthly_limit_refuses_the_whole_call(api: Any, line: LineSimulator, shop: Channel) -> None:
    friends = line.crowd(3, shop)
    shop.monthly_limit = 4
    assert api.multicast(friends)[0] == 200
    assert api.multicast(friends[:2])[:2] == (429, {"message": "You have reached your monthly limit."})
    assert api.push(friends[0])[0] == 200
    assert api("GET", "/v2/bot/message/quota")[1] == {"type": "limited", "value": 4}
    assert api("GET", "/v2/bot/message/quota/consumption")[1] == {"totalUsage": 4}


def test_replies_are_free(api: Any, line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    shop.monthly_limit = 0
    hanako.say(shop, "こんにちは")
    assert api.reply(_token(line, receiver))[0] == 200
    assert api.push(hanako.user_id(shop))[0] == 429


def test_multicast_is_limited_to_200_a_second(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    line.clock.set_scale(0.000001)
    answers = [api.multicast([hanako.user_id(shop)])[0] for _ in range(201)]
    assert answers.count(200) == 200
    status, body, _ = api.multicast([hanako.user_id(shop)])
    assert (status, body) == (429, {"message": "The API rate limit has been exceeded. Try again later."})
    assert api.push(hanako.user_id(shop))[0] == 200, "each endpoint has its own bucket"
    line.clock.advance(1)
    assert api.multicast([hanako.user_id(shop)])[0] == 200


def test_nothing_is_sent_when_one_of_the_messages_is_wrong(api: Any, hanako: Person, shop: Channel) -> None:
    body = {"to": hanako.user_id(shop), "messages": [{"type": "text", "text": "良い"}, {"type": "text", "text": ""}]}
    status, answer, _ = api("POST", "/v2/bot/message/push", body)
    assert (status, answer) == (
        400,
        {
            "message": "The request body has 1 error(s)",
            "details": [{"message": "May not be empty", "property": "messages[1].text"}],
        },
    )
    assert hanako.inbox(shop) == []


def test_a_blocked_account_cannot_be_written_to(taro: Person, shop: Channel) -> None:
    with pytest.raises(SimulatorError, match="has blocked"):
        taro.say(shop, "おーい")


def test_a_driver_can_react_to_each_message(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    line.on_delivery(lambda channel, person, message: person.say(channel, f"受け取り {message.message['text']}"))
    api.push(hanako.user_id(shop), "1")
    line.drain()
    assert [json.loads(one.body)["events"][0]["message"]["text"] for one in line.webhooks[1:]] == ["受け取り 1"]


def test_an_error_in_a_reaction_is_raised_by_drain(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("driver")

    line.on_delivery(fail)
    api.push(hanako.user_id(shop))
    with pytest.raises(RuntimeError, match="driver"):
        line.drain()


def test_taps_do_what_the_actions_say(api: Any, line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    actions = [
        {"type": "postback", "label": "予約", "data": "go=1", "displayText": "予約します"},
        {"type": "message", "label": "質問", "text": "質問です"},
        {"type": "datetimepicker", "label": "日時", "data": "when", "mode": "date"},
        {"type": "uri", "label": "店", "uri": f"{line.url}/_phone"},
    ]
    template = {"type": "buttons", "text": "どうしますか", "actions": actions}
    body = {
        "to": hanako.user_id(shop),
        "messages": [{"type": "template", "altText": "選択", "template": template}],
    }
    assert api("POST", "/v2/bot/message/push", body)[0] == 200
    (message,) = hanako.inbox(shop)
    hanako.tap(shop, message, "予約")
    hanako.tap(shop, message, 1)
    hanako.tap(shop, message, "日時", {"date": "2026-12-24"})
    page = hanako.tap(shop, message, "店").page
    line.drain()
    assert page is not None
    assert page.status == 200
    postback, said, picked = receiver.events[-3:]
    assert postback["postback"] == {"data": "go=1"}
    assert said["message"]["text"] == "質問です"
    assert picked["postback"] == {"data": "when", "params": {"date": "2026-12-24"}}
    with pytest.raises(SimulatorError, match="no action 'ない'"):
        hanako.tap(shop, message, "ない")

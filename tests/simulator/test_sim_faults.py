"""Every fault does what its description says, and no more."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest

from line_simulator import Channel, LineSimulator, Person, SimulatorError
from line_simulator.faults.fault_kinds import FAULTS

KEY = str(uuid.UUID(int=3))


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("rate_limited", 429),
        ("monthly_limit", 429),
        ("unauthorized", 401),
        ("forbidden", 403),
        ("error_before_accept", 500),
    ],
)
def test_before_acceptance_nothing_happens(
    api: Any, line: LineSimulator, hanako: Person, shop: Channel, kind: str, status: int
) -> None:
    line.fault(kind, path="/v2/bot/message/*", times=1)
    assert api.push(hanako.user_id(shop), key=KEY)[0] == status
    assert hanako.inbox(shop) == []
    assert api.push(hanako.user_id(shop), key=KEY)[0] == 200


def test_500_after_acceptance_delivers_once(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    line.fault("error_after_accept", times=1)
    assert api.push(hanako.user_id(shop), key=KEY)[0] == 500
    assert len(hanako.inbox(shop)) == 1
    assert api.push(hanako.user_id(shop), key=KEY)[0] == 409
    assert len(hanako.inbox(shop)) == 1


def _post(line: LineSimulator, shop: Channel, hanako: Person, timeout: float) -> tuple[int, bytes]:
    parts = urlsplit(line.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=timeout)
    body = json.dumps({"to": hanako.user_id(shop), "messages": [{"type": "text", "text": "a"}]})
    headers = {"Authorization": f"Bearer {shop.access_token}", "Content-Type": "application/json"}
    try:
        connection.request("POST", "/v2/bot/message/push", body, headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_a_dropped_connection_was_accepted(line: LineSimulator, hanako: Person, shop: Channel) -> None:
    line.fault("drop_connection", times=1)
    with pytest.raises(http.client.RemoteDisconnected):
        _post(line, shop, hanako, 2)
    assert len(hanako.inbox(shop)) == 1


def test_truncated_json_cannot_be_read(line: LineSimulator, hanako: Person, shop: Channel) -> None:
    line.fault("truncated_json", times=1)
    status, body = _post(line, shop, hanako, 2)
    assert status == 200
    with pytest.raises(ValueError, match="."):
        json.loads(body)


def test_hanging_before_and_after_acceptance(line: LineSimulator, hanako: Person, shop: Channel) -> None:
    line.fault("hang_before_accept", times=1, seconds=0.3)
    with pytest.raises(TimeoutError):
        _post(line, shop, hanako, 0.1)
    assert hanako.inbox(shop) == []
    line.faults.remove()
    line.fault("hang_after_accept", times=1, seconds=0.3)
    with pytest.raises(TimeoutError):
        _post(line, shop, hanako, 0.1)
    assert len(hanako.inbox(shop)) == 1


def test_conditions_choose_the_calls(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    line.channel("支店")
    line.fault("error_before_accept", method="GET")
    line.fault("error_before_accept", channel="支店")
    line.fault("error_before_accept", path="/v2/bot/message/push", nth=[2, 3])
    assert [api.push(hanako.user_id(shop))[0] for _ in range(4)] == [200, 500, 500, 200]


def test_probability_is_repeatable(hanako: Person, api: Any, line: LineSimulator, shop: Channel) -> None:
    line.fault("error_before_accept", probability=0.5)
    answers = [api.push(hanako.user_id(shop))[0] for _ in range(40)]
    assert 5 < answers.count(500) < 35


def test_a_header_asks_for_a_fault(api: Any) -> None:
    assert api("GET", "/v2/bot/info", None, {"x-linesim-fault": "error_after_accept"})[0] == 500
    assert api("GET", "/v2/bot/info")[0] == 200


@pytest.mark.parametrize(
    ("kind", "conditions", "sentence"),
    [
        ("earthquake", {}, "There is no fault 'earthquake'"),
        ("rate_limited", {"colour": "red"}, "A fault has no condition 'colour'"),
        ("rate_limited", {"probability": "often"}, "must be numbers"),
        ("rate_limited", {"nth": "2"}, "nth of a fault must be"),
    ],
)
def test_unknown_faults_are_refused_in_one_sentence(line: LineSimulator, kind: str, conditions: Any, sentence: str) -> None:
    with pytest.raises(SimulatorError, match=sentence):
        line.fault(kind, **conditions)


def _say(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any, kind: str) -> list[Any]:
    receiver.received.clear()
    line.fault(kind, event="message", times=1, seconds=0.1)
    hanako.say(shop, "春")
    line.drain()
    return list(receiver.events)


def test_a_duplicate_carries_no_flag(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    first, second = _say(line, hanako, shop, receiver, "webhook_duplicate")
    assert first == second
    assert first["deliveryContext"] == {"isRedelivery": False}


def test_reordered_webhooks_come_after_the_next(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    receiver.received.clear()
    line.fault("webhook_reorder", times=1)
    for text in "一二":
        hanako.say(shop, text)
    line.drain()
    assert [event["message"]["text"] for event in receiver.events] == ["二", "一"]


def test_a_bad_signature_does_not_verify(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    from line_simulator import sign

    _say(line, hanako, shop, receiver, "webhook_bad_signature")
    headers, body = receiver.received[0]
    assert headers["x-line-signature"] != sign(shop.secret, body)


def test_disturbed_events(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    unknown, known = _say(line, hanako, shop, receiver, "webhook_unknown_event")
    assert (unknown["type"], known["type"]) == ("linesimUnknown", "message")
    assert len(unknown["webhookEventId"]) == 26
    assert unknown["webhookEventId"] != known["webhookEventId"]
    assert "linesimExtra" in _say(line, hanako, shop, receiver, "webhook_extra_fields")[0]
    assert _say(line, hanako, shop, receiver, "webhook_no_user_id")[0]["source"] == {"type": "user"}
    standby = _say(line, hanako, shop, receiver, "webhook_standby")[0]
    assert (standby["mode"], "replyToken" in standby) == ("standby", False)
    _say(line, hanako, shop, receiver, "webhook_wrong_destination")
    assert json.loads(receiver.received[0][1])["destination"] == "U" + "f" * 32
    _say(line, hanako, shop, receiver, "webhook_escaped")
    assert b"\\u6625" in receiver.received[0][1]
    assert _say(line, hanako, shop, receiver, "webhook_lost") == []


def test_a_delayed_webhook_still_comes(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    started = time.monotonic()
    assert len(_say(line, hanako, shop, receiver, "webhook_delay")) == 1
    assert time.monotonic() - started >= 0.1


def test_a_follow_without_its_flag(line: LineSimulator, shop: Channel, receiver: Any) -> None:
    line.fault("webhook_no_is_unblocked")
    line.person("次郎").follow(shop)
    line.drain()
    assert "follow" not in receiver.events[0]


def test_every_fault_is_described() -> None:
    assert all(FAULTS.values())


def test_a_hanging_call_is_in_flight_but_a_question_about_it_is_not(line: LineSimulator, hanako: Person, shop: Channel) -> None:
    assert json.loads(hanako.open(line.url + "/_sim/status").text)["in_flight_requests"] == 0
    line.fault("hang_after_accept", times=1, seconds=0.5)
    with pytest.raises(TimeoutError):
        _post(line, shop, hanako, 0.1)
    assert json.loads(hanako.open(line.url + "/_sim/status").text)["in_flight_requests"] == 1

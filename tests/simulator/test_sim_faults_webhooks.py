"""Every way in which webhooks and further calls can go wrong."""

from __future__ import annotations

import json
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, SimulatorError, sign


def _say(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any, kind: str, **conditions: Any) -> list[Any]:
    """Return headers and body of the webhooks of one text message under a fault."""
    receiver.received.clear()
    line.fault(kind, event="message", times=1, **conditions)
    hanako.say(shop, "春")
    line.drain()
    return list(receiver.received)


def _event(received: list[Any]) -> Any:
    ((_, body),) = received
    (event,) = json.loads(body)["events"]
    return event


def test_signatures(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    ((headers, body),) = _say(line, hanako, shop, receiver, "webhook_bad_signature")
    assert headers["x-line-signature"] != sign(shop.secret, body)
    ((headers, _),) = _say(line, hanako, shop, receiver, "webhook_no_signature")
    assert "x-line-signature" not in headers
    ((headers, body),) = _say(line, hanako, shop, receiver, "webhook_malformed")
    assert headers["x-line-signature"] == sign(shop.secret, body)
    with pytest.raises(ValueError, match="."):
        json.loads(body)
    ((headers, body),) = _say(line, hanako, shop, receiver, "webhook_split", seconds=0.05)
    assert headers["x-line-signature"] == sign(shop.secret, body)
    ((_, body),) = _say(line, hanako, shop, receiver, "webhook_empty")
    assert json.loads(body)["events"] == []


def test_contents(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    def event(kind: str, **conditions: Any) -> Any:
        return _event(_say(line, hanako, shop, receiver, kind, **conditions))

    assert event("webhook_unknown_mode")["mode"] == "linesimUnknown"
    unknown = event("webhook_unknown_value")
    assert (unknown["type"], unknown["message"]["type"], unknown["source"]["type"]) == ("message", *["linesimUnknown"] * 2)
    assert event("webhook_redelivery")["deliveryContext"] == {"isRedelivery": True}
    assert len(event("webhook_oversized_text")["message"]["text"]) == 100_000
    ahead = event("webhook_clock_skew", seconds=600)["timestamp"] / 1000 - line.clock.time()
    assert 590 < ahead < 601
    assert event("webhook_clock_skew", seconds=-600)["timestamp"] / 1000 < line.clock.time() - 590


def test_a_burst_is_thirty_events_of_their_own(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    bodies = [json.loads(body)["events"][0] for _, body in _say(line, hanako, shop, receiver, "webhook_burst")]
    assert len(bodies) == len({one["webhookEventId"] for one in bodies}) == 30
    assert len({one["replyToken"] for one in bodies}) == 1
    assert len(_say(line, hanako, shop, receiver, "webhook_burst", count=3)) == 3


@pytest.mark.parametrize(("spoken", "sizes"), [(3, [3]), (4, [3, 1])])
def test_a_batch_goes_when_it_is_full_or_late(
    line: LineSimulator, hanako: Person, shop: Channel, receiver: Any, spoken: int, sizes: list[int]
) -> None:
    receiver.received.clear()
    line.fault("webhook_batch", event="message", count=3, seconds=0.2)
    for number in range(spoken):
        hanako.say(shop, str(number))
    line.drain()
    assert [len(json.loads(body)["events"]) for _, body in receiver.received] == sizes
    assert [event["message"]["text"] for event in receiver.events] == [str(number) for number in range(spoken)]


def test_stopped_webhooks_stay_away_until_the_rule_goes(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    receiver.received.clear()
    rule = line.fault("webhook_stopped")
    hanako.say(shop, "一")
    line.faults.remove(rule.id)
    hanako.say(shop, "二")
    line.drain()
    assert [event["message"]["text"] for event in receiver.events] == ["二"]
    assert [one.state for one in line.webhooks][-2:] == ["stopped", "delivered"]


def test_a_malformed_body_is_redelivered_as_it_is(line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    shop.redelivery = True
    receiver.answers = [500]
    first, second = _say(line, hanako, shop, receiver, "webhook_malformed")
    assert first[1] == second[1]


@pytest.mark.parametrize(
    ("kind", "status", "message"),
    [
        ("not_found", 404, "Not found"),
        ("conflict", 409, "The retry key is already accepted"),
        ("too_large", 413, "Request entity too large"),
        ("unsupported_media", 415, "The content type is not supported"),
    ],
)
def test_more_refusals(api: Any, line: LineSimulator, hanako: Person, shop: Channel, kind: str, status: int, message: str) -> None:
    line.fault(kind, operation="pushMessage", times=1)
    answered, body, headers = api.push(hanako.user_id(shop))
    assert (answered, body, "x-line-accepted-request-id" in headers) == (status, {"message": message}, kind == "conflict")
    assert hanako.inbox(shop) == []


def test_a_token_expires_in_the_middle_of_a_run(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    line.fault("unauthorized", after=2)
    assert [api.push(hanako.user_id(shop))[0] for _ in range(4)] == [200, 200, 401, 401]


def test_issuing_tokens_fails_alone(api: Any, line: LineSimulator, shop: Channel) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    body = f"grant_type=client_credentials&client_id={shop.id}&client_secret={shop.secret}".encode()
    line.fault("token_failing", times=1)
    assert api("GET", "/v2/bot/info")[0] == 200
    assert [api("POST", "/oauth2/v3/token", body, form)[0] for _ in range(2)] == [500, 200]
    line.fault("token_slow", seconds=7)
    from line_simulator import Request

    assert line.handle(Request("POST", "/oauth2/v3/token", "", form, body)).delay == 7


def test_nothing_is_accepted_before_the_connection_drops(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    line.fault("drop_before_accept")
    assert api.push(hanako.user_id(shop))[0] == 500
    assert hanako.inbox(shop) == []


def test_tokens_of_pages_expire(line: LineSimulator, api: Any, shop: Channel, hanako: Person) -> None:
    line.person("次郎").follow(shop)
    line.fault("next_token_expired", path="/v2/bot/followers/ids")
    first = api("GET", "/v2/bot/followers/ids?limit=1")[1]
    assert api("GET", f"/v2/bot/followers/ids?start={first['next']}")[:2] == (400, {"message": "Invalid start param"})


def test_statistics_are_not_ready(line: LineSimulator, api: Any, shop: Channel) -> None:
    line.clock.advance(86_400 * 2)
    line.fault("insight_unready")
    date = f"{line.world.tokyo(line.clock.time() - 86_400 * 2):%Y%m%d}"
    for path in ("/v2/bot/message/delivery/push", "/v2/bot/insight/followers", "/v2/bot/insight/message/delivery"):
        assert api("GET", f"{path}?date={date}")[:2] == (200, {"status": "unready"})
    assert api("GET", "/v2/bot/insight/demographic")[1]["available"] is False


def test_the_clock_of_line_may_be_wrong(line: LineSimulator, api: Any) -> None:
    from email.utils import parsedate_to_datetime

    def ahead() -> float:
        return parsedate_to_datetime(api("GET", "/v2/bot/info")[2]["Date"]).timestamp() - line.clock.time()

    assert abs(ahead()) < 2
    line.fault("clock_skew", seconds=3600)
    assert 3598 < ahead() < 3602


@pytest.mark.parametrize(
    ("kind", "conditions", "sentence"),
    [
        ("rate_limited", {"operation": "pushMesage"}, "There is no operation 'pushMesage'; known are pushMessage"),
        ("rate_limited", {"event": "follow"}, "has no condition 'event'"),
        ("webhook_lost", {"path": "/x"}, "has no condition 'path'"),
        ("rate_limited", {"times": -1}, "times of a fault must be"),
        ("rate_limited", {"times": True}, "times of a fault must be"),
        ("rate_limited", {"seconds": float("nan")}, "must be numbers"),
        ("rate_limited", {"seconds": -1}, "must not be negative"),
        ("rate_limited", {"probability": 2}, "must be numbers"),
        ("rate_limited", {"seconds": 10**400}, "must be numbers"),
        ("rate_limited", {"nth": [1, "x"]}, "nth of a fault must be"),
        ("rate_limited", {"path": 5}, "path of a fault must be text"),
        ("rate_limited", {"matched": 5}, "no condition 'matched'; known are method"),
    ],
)
def test_conditions_that_are_none(line: LineSimulator, kind: str, conditions: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SimulatorError, match=sentence):
        line.fault(kind, **conditions)


@pytest.mark.parametrize(("header", "status"), [("earthquake", 400), ("rate_limited;x", 400), ("rate_limited;seconds=1", 429)])
def test_the_header_is_read_strictly(api: Any, header: str, status: int) -> None:
    answered, body, _ = api("GET", "/v2/bot/info", None, {"x-linesim-fault": header})
    assert answered == status
    assert "known are" in body["message"] or header != "earthquake"


def test_a_rule_that_is_not_there(line: LineSimulator) -> None:
    with pytest.raises(SimulatorError, match="no fault with id"):
        line.faults.remove("f99")

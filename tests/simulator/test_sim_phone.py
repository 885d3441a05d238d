"""What the phone page asks the simulator for, without a browser."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, Request


@pytest.fixture
def sim(line: LineSimulator) -> Any:
    def call(method: str, target: str, body: Any = None) -> tuple[int, Any]:
        path, _, query = target.partition("?")
        response = line.handle(Request(method, path, query, {}, b"" if body is None else json.dumps(body).encode()))
        return response.status, json.loads(response.body)

    return call


def chat(sim: Any, shop: Channel, person: Person) -> Any:
    return sim("GET", f"/_sim/chats?channel={shop.id}&person={person.id}")[1]


def test_loading_dots_end_with_time_or_the_next_message(
    sim: Any, api: Any, line: LineSimulator, hanako: Person, shop: Channel
) -> None:
    user = hanako.user_id(shop)
    assert chat(sim, shop, hanako)["loading"] == 0
    assert api("POST", "/v2/bot/chat/loading/start", {"chatId": user, "loadingSeconds": 10})[0] == 202
    assert 9 < chat(sim, shop, hanako)["loading"] <= 10
    line.clock.advance(11)
    assert chat(sim, shop, hanako)["loading"] == 0
    api("POST", "/v2/bot/chat/loading/start", {"chatId": user})
    assert chat(sim, shop, hanako)["loading"] > 15
    api.push(user)
    assert chat(sim, shop, hanako)["loading"] == 0
    assert api("POST", "/v2/bot/chat/loading/start", {"chatId": "U" + "0" * 32})[0] == 202


def test_read_marks_follow_the_token_of_the_message(
    sim: Any, api: Any, line: LineSimulator, hanako: Person, shop: Channel, receiver: Any
) -> None:
    hanako.say(shop, "一")
    assert [one["read"] for one in chat(sim, shop, hanako)["lines"]] == [True]
    line.channel("花屋", chat_mode="chat")
    hanako.say(shop, "二")
    hanako.say(shop, "三")
    line.drain()
    tokens = {e["message"]["text"]: e["message"]["markAsReadToken"] for e in receiver.events if e["type"] == "message"}
    assert [one["read"] for one in chat(sim, shop, hanako)["lines"]] == [False, False, False]
    assert api("POST", "/v2/bot/chat/markAsRead", {"markAsReadToken": tokens["二"]})[0] == 200
    assert [one["read"] for one in chat(sim, shop, hanako)["lines"]] == [True, True, False]
    api("POST", "/v2/bot/chat/markAsRead", {"markAsReadToken": tokens["一"]})
    assert [one["read"] for one in chat(sim, shop, hanako)["lines"]] == [True, True, False]


def test_talks_count_what_was_not_looked_at(sim: Any, api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    other = line.channel("別の店")
    api.push(hanako.user_id(shop), "一")
    api.push(hanako.user_id(shop), "二")
    first, second = sim("GET", f"/_sim/talks?person={hanako.id}")[1]["talks"]
    assert (first["channel"], first["unread"], first["last"]["text"], first["status"]) == (shop.id, 2, "二", "friend")
    assert (second["channel"], second["unread"], second["last"], second["status"]) == (other.id, 0, None, "none")
    assert sim("POST", f"/_sim/people/{hanako.id}/look", {"channel": shop.id})[1]["looked"] == 2
    api.push(hanako.user_id(shop), "四")
    assert sim("POST", f"/_sim/people/{hanako.id}/read", {"channel": shop.id})[1]["looked"] == 1
    assert sim("POST", f"/_sim/people/{hanako.id}/read", {"channel": other.id})[1]["looked"] == 0
    hanako.say(shop, "三")
    first = sim("GET", f"/_sim/talks?person={hanako.id}")[1]["talks"][0]
    assert (first["unread"], first["last"]["text"]) == (0, "三")


def test_a_tap_on_a_link_is_counted_and_opens_nothing(
    sim: Any, api: Any, line: LineSimulator, hanako: Person, shop: Channel
) -> None:
    from line_simulator.world.activity import Activity

    message_id = api.push(hanako.user_id(shop))[1]["sentMessages"][0]["id"]
    action = {"type": "uri", "uri": "https://shop.example/sale"}
    tapped = sim("POST", f"/_sim/people/{hanako.id}/tap", {"action": action, "messageId": message_id})[1]
    assert tapped["page"] is None
    assert sim("POST", f"/_sim/people/{hanako.id}/play", {"messageId": message_id, "percent": 50})[0] == 200
    (activity,) = line.world.part(Activity).sendings.values()
    assert [one.url for one in activity.clicks] == ["https://shop.example/sale"]
    assert [one.percent for one in activity.plays] == [50]


@pytest.mark.parametrize(
    ("verb", "body"),
    [
        ("tap", {"action": {"type": "message"}}),
        ("tap", {"action": {"type": "message", "text": 5}}),
        ("tap", {"action": {"type": "postback", "data": ["x"]}}),
        ("tap", {"action": {"type": "uri"}, "messageId": "1"}),
        ("tap", {"action": {"type": "datetimepicker", "data": "x", "mode": "year"}}),
        ("play", {}),
        ("play", {"messageId": "1", "percent": 101}),
        ("play", {"messageId": "1", "percent": True}),
    ],
)
def test_impossible_taps_get_one_sentence(sim: Any, hanako: Person, verb: str, body: Any) -> None:
    status, content = sim("POST", f"/_sim/people/{hanako.id}/{verb}", body)
    assert status == 422
    assert content["message"].endswith(".")


def test_news_are_waited_for(sim: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    seen = sim("GET", "/_sim/version")[1]["version"]
    started = time.monotonic()
    assert sim("GET", f"/_sim/version?since={seen}&wait=0.2")[1]["version"] == seen
    assert time.monotonic() - started >= 0.2
    hanako.say(shop, "はい")
    assert sim("GET", f"/_sim/version?since={seen}&wait=20")[1]["version"] != seen
    assert sim("GET", "/_sim/version?since=x&wait=soon")[0] == 422


def test_the_connection_check(sim: Any, shop: Channel, receiver: Any, line: LineSimulator) -> None:
    outcome = sim("POST", "/_sim/webhooks/test", {"channel": shop.id})[1]
    assert (outcome["status"], outcome["reason"]) == (200, "OK")
    assert receiver.received[-1][1] == b'{"destination":"%s","events":[]}' % shop.bot_user_id.encode()
    line.channel("別の店")
    assert sim("POST", "/_sim/webhooks/test", {"channel": "別の店"})[0] == 422


def test_a_browser_at_the_origin_is_shown_the_phones(line: LineSimulator) -> None:
    at_root = line.handle(Request("GET", "/", headers={"accept": "text/html,*/*"}))
    assert (at_root.status, at_root.headers["Location"]) == (302, "/_phone")
    assert line.handle(Request("GET", "/", headers={"accept": "*/*"})).status == 404
    assert line.handle(Request("GET", "/_phone/")).body == line.handle(Request("GET", "/_phone")).body


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/_phone/open?person=p1&url=https://shop.example/a%3Fb%3D%E8%8A%B1", 302),
        ("/_phone/open?person=nobody&url=https://shop.example/", 404),
        ("/_phone/open?person=p1&url=javascript:alert(1)", 404),
        ("/_phone/open?person=p1&url=https://", 404),
        ("/_phone/open?person=p1", 404),
        ("/_phone/content/99", 404),
        ("/_phone/phone.html.js", 404),
        ("/_phone/%2e%2e/phone.py", 404),
        ("/_phone/nothing.js", 404),
    ],
)
def test_addresses_of_the_page(line: LineSimulator, hanako: Person, target: str, status: int) -> None:
    path, _, query = target.partition("?")
    response = line.handle(Request("GET", path, query))
    assert response.status == status
    if status == 302:
        assert response.headers["Location"] == "https://shop.example/a?b=%E8%8A%B1"
        assert response.headers["Set-Cookie"].startswith("linesim_person=p1;")


@pytest.mark.parametrize(
    ("content_type", "shown"),
    [("image/png", "image/png"), ("text/html", "application/octet-stream"), ("image/svg+xml", "application/octet-stream"),
     ("image/png\r\nX: y", "application/octet-stream")],
)  # fmt: skip
def test_what_people_sent_cannot_run_in_the_page(
    line: LineSimulator, hanako: Person, shop: Channel, content_type: str, shown: str
) -> None:
    message_id = hanako.send(shop, {"type": "image", "contentType": content_type}, b"<script>")
    response = line.handle(Request("GET", f"/_phone/content/{message_id}"))
    assert (response.status, response.content_type, response.headers["X-Content-Type-Options"]) == (200, shown, "nosniff")


def test_the_page_allows_no_foreign_script(line: LineSimulator) -> None:
    policy = line.handle(Request("GET", "/_phone")).headers["Content-Security-Policy"]
    assert "script-src 'self'" in policy
    assert "unsafe" not in policy

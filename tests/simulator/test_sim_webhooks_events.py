"""Events that accounts get besides messages, their settings of delivery, and waiting for them."""

from __future__ import annotations

import http.server
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, SimulatorError


def _sim(line: LineSimulator, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    request = urllib.request.Request(line.url + path, json.dumps(body).encode() if body is not None else None, method=method)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


@pytest.mark.parametrize(
    ("kind", "details", "wanted"),
    [
        ("module", {}, {"type": "attached", "scopes": ["message:send", "message:receive"]}),
        ("module", {"type": "detached"}, {"type": "detached", "reason": "bot_deleted"}),
        ("activated", {"expireAt": 5}, {"expireAt": 5}),
        ("deactivated", {}, None),
        ("botSuspended", {}, None),
        ("botResumed", {}, None),
        ("delivery", {"data": "tag"}, {"data": "tag"}),
    ],
)
def test_events_of_accounts(
    line: LineSimulator, hanako: Person, shop: Channel, receiver: Any, kind: str, details: dict[str, Any], wanted: Any
) -> None:
    line.account_event(shop, kind, **details)
    assert _sim(line, "POST", "/_sim/events", {"channel": "花屋", "event": kind, **details})[0] == 200
    line.drain()
    for event in receiver.events[1:]:
        content = event.get({"activated": "chatControl"}.get(kind, kind))
        assert event["type"] == kind
        assert wanted is None or wanted.items() <= content.items()
        assert not {"source", "replyToken"} & set(event)


@pytest.mark.parametrize(
    ("kind", "details"),
    [("earthquake", {}), ("module", {"type": "x"}), ("activated", {"expireAt": "x"}), ("delivery", {})],
)
def test_unknown_events_of_accounts(line: LineSimulator, shop: Channel, kind: str, details: dict[str, Any]) -> None:
    with pytest.raises(SimulatorError):
        line.account_event(shop, kind, **details)


def test_beacons(line: LineSimulator, hanako: Person, taro: Person, shop: Channel, receiver: Any) -> None:
    hanako.beacon(shop, "d41d8cd98f", "stay", dm="01")
    _sim(line, "POST", f"/_sim/people/{hanako.id}/beacon", {"hwid": "d41d8cd98f"})
    line.drain()
    stay, enter = receiver.events[-2:]
    assert stay["beacon"] == {"hwid": "d41d8cd98f", "type": "stay", "dm": "01"}
    assert (enter["beacon"]["type"], "replyToken" in enter) == ("enter", True)
    for person, kind in ((taro, "enter"), (hanako, "leave")):
        with pytest.raises(SimulatorError):
            person.beacon(shop, "d41d8cd98f", kind)


def test_waiting_for_an_event_and_for_a_call(line: LineSimulator, api: Any, hanako: Person, shop: Channel, receiver: Any) -> None:
    assert line.await_event("follow", 2, shop).events == ("follow",)
    hanako.say(shop, "あ")
    found = _sim(line, "GET", "/_sim/await?event=message&timeout=2&channel=" + shop.id)[1]
    assert json.loads(found["webhook"]["body"])["events"][0]["message"]["text"] == "あ"
    threading.Timer(0.05, lambda: api.push(hanako.user_id(shop), "い")).start()
    first = _sim(line, "GET", "/_sim/await?operation=pushMessage&timeout=2")[1]
    assert first["request"]["status"] == 200
    late = _sim(line, "GET", f"/_sim/await?operationId=pushMessage&timeout=0.05&after={first['number']}")
    assert late == (408, {"message": "No call of pushMessage arrived within 0.05 seconds."})
    with pytest.raises(TimeoutError, match="No webhook with a beacon event"):
        line.await_event("beacon", 0.01)


@pytest.mark.parametrize("query", ["", "?event=a&timeout=x", "?event=a&timeout=nan", "?event=a&after=-1", "?event=a&channel=x"])
def test_waiting_for_nonsense(line: LineSimulator, query: str) -> None:
    assert _sim(line, "GET", "/_sim/await" + query)[0] in (404, 422)


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """A server that redirects, or answers without end."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/redirect":
                self.send_response(302)
                self.send_header("Location", "/found")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 1_000_000)

        def log_message(self, *_: Any) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_redirects_are_not_followed_and_long_answers_not_read(line: LineSimulator, elsewhere: str) -> None:
    shop, hanako = line.channel("花屋", elsewhere + "/redirect"), line.person("花子")
    hanako.follow(shop)
    line.drain()
    shop.webhook_url = elsewhere + "/endless"
    hanako.say(shop, "あ")
    line.drain()
    outcomes = [(one.attempts[0].status, one.attempts[0].reason) for one in line.webhooks]
    assert outcomes == [(302, "ERROR_STATUS_CODE"), (200, "OK")]


def test_a_certificate_that_is_none(line: LineSimulator, api: Any, shop: Channel, receiver: Any) -> None:
    url = receiver.url.replace("http:", "https:")
    answer = api("POST", "/v2/bot/channel/webhook/test", {"endpoint": url})[1]
    assert (answer["success"], answer["reason"]) == (False, "COULD_NOT_CONNECT")
    assert answer["detail"] == f"TLS handshake failure: {url}"


def test_servers_that_fail_for_long_lose_their_webhooks(
    line: LineSimulator, api: Any, hanako: Person, shop: Channel, receiver: Any
) -> None:
    line.world.settings = replace(line.world.settings, webhook_suspend_seconds=3600.0)
    receiver.answers = [500, 200, 500, 500]
    for seconds in (0, 3000, 3000, 3601):
        line.clock.advance(seconds)
        hanako.say(shop, "あ")
        line.drain()
    assert api("GET", "/v2/bot/channel/webhook/endpoint")[1]["active"] is False
    hanako.say(shop, "い")
    assert line.webhooks[-1].state == "not_sent"


def test_settings_and_limits_over_http(line: LineSimulator, api: Any, hanako: Person, shop: Channel) -> None:
    assert _sim(line, "POST", "/_sim/settings", {"redeliveryDelays": [0.1], "contentSeconds": 5})[0] == 200
    assert (line.world.settings.redelivery_delays, line.world.settings.content_seconds) == ((0.1,), 5.0)
    for wrong in ({"colour": 1}, {"webhookLanes": "x"}, {"journalSize": 1}):
        status, answer = _sim(line, "POST", "/_sim/settings", wrong)
        assert (status, answer["message"].count("\n")) == (422, 0)
    _sim(line, "POST", "/_sim/limits", {"operation": "pushMessage", "calls": 2, "seconds": 60})
    assert [api.push(hanako.user_id(shop))[0] for _ in range(3)] == [200, 200, 429]
    _sim(line, "DELETE", "/_sim/limits")
    assert api.push(hanako.user_id(shop))[0] == 200
    for wrong in ({"operation": "pushMesage", "calls": 1}, {"operation": "pushMessage", "calls": 0}, {}):
        assert _sim(line, "POST", "/_sim/limits", wrong)[0] == 422
    assert "pushMessage" in _sim(line, "POST", "/_sim/limits", {"operation": "pushMesage", "calls": 1})[1]["message"]

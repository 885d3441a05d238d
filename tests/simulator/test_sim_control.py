"""The control interface over HTTP, and the phone page."""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, SimulatorError

Sim = Callable[..., tuple[int, Any]]


@pytest.fixture
def sim(line: LineSimulator) -> Sim:
    def call(method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(line.url + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    return call


def test_channels_and_people_are_created_once(sim: Sim, receiver: Any) -> None:
    wanted = {"name": "花屋", "id": "2001234567", "secret": "a" * 32, "webhookUrl": receiver.url, "monthlyLimit": 5}
    first = sim("POST", "/_sim/channels", wanted)[1]
    assert first == sim("POST", "/_sim/channels", wanted)[1]
    assert (first["id"], first["secret"], first["monthlyLimit"]) == ("2001234567", "a" * 32, 5)
    hanako = sim("POST", "/_sim/people", {"name": "花子", "follow": "花屋"})[1]
    again = sim("POST", "/_sim/people", {"name": "花子"})[1]
    assert hanako["id"] == again["id"]
    assert again["channels"]["2001234567"]["status"] == "friend"
    assert sim("POST", "/_sim/channels", {"name": "花屋", "monthlyLimit": "none"})[1]["monthlyLimit"] is None
    assert len(sim("GET", "/_sim/channels")[1]["channels"]) == 1
    assert sim("GET", "/_sim/people")[1]["total"] == 1


def test_a_person_acts(sim: Sim, api: Any, line: LineSimulator, hanako: Person, shop: Channel, receiver: Any) -> None:
    path = "/_sim/people/" + hanako.id
    sim("POST", path + "/say", {"text": "こんにちは"})
    sim("POST", path + "/say", {"message": {"type": "image"}, "data": base64.b64encode(b"png").decode()})
    sim("POST", path + "/postback", {"data": "a=1"})
    sim("POST", path + "/event", {"event": {"type": "beacon", "beacon": {"type": "enter"}}})
    api("POST", "/v2/bot/message/push", {"to": hanako.user_id(shop), "messages": [
        {"type": "text", "text": "a", "quickReply": {"items": [{"action": {"type": "message", "label": "はい", "text": "はい"}}]}}
    ]})  # fmt: skip
    assert sim("POST", path + "/tap", {"action": "はい"})[1]["action"]["text"] == "はい"
    opened = sim("POST", path + "/open", {"url": line.url + "/_phone"})[1]
    assert opened["page"]["status"] == 200
    sim("POST", path + "/block")
    sim("POST", path + "/unblock")
    line.drain()
    kinds = [event["type"] for event in receiver.events]
    assert kinds == ["follow", "message", "message", "postback", "beacon", "message", "unfollow", "follow"]
    lines = sim("GET", f"/_sim/chats?channel={shop.id}&person={hanako.id}")[1]["lines"]
    assert [one["from"] for one in lines] == ["person", "person", "account", "person"]


def test_the_person_can_be_named_by_user_id_or_name(sim: Sim, hanako: Person, shop: Channel) -> None:
    assert sim("POST", f"/_sim/people/{hanako.user_id(shop)}/say", {"text": "a"})[0] == 200
    assert sim("POST", "/_sim/people/%E8%8A%B1%E5%AD%90/say", {"text": "a", "channel": "花屋"})[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "sentence"),
    [
        ("POST", "/_sim/faults", {"kind": "earthquake"}, 422, "There is no fault 'earthquake'"),
        ("POST", "/_sim/faults", {}, 422, "Name the kind of fault"),
        ("POST", "/_sim/clock", {"set": 0}, 422, "The clock cannot go backwards."),
        ("POST", "/_sim/clock", {"advance": "soon"}, 422, "is not a duration"),
        ("POST", "/_sim/clock", {}, 422, "Say "),
        ("POST", "/_sim/people", {}, 422, "name is missing."),
        ("POST", "/_sim/people", {"name": "a", "shoeSize": 40}, 422, "no attribute 'shoe_size'; known are person_id, lang"),
        ("POST", "/_sim/people", b"{", 400, "The body is not JSON."),
        ("POST", "/_sim/people", [], 400, "must be a JSON object"),
        ("POST", "/_sim/channels", {"name": "a", "id": "12"}, 422, "A channel id has ten digits"),
        ("POST", "/_sim/channels", {"name": "a", "secret": "x"}, 422, "32 hexadecimal digits"),
        ("POST", "/_sim/channels", {"name": "a", "webhookUrl": 5}, 422, "cannot be 5"),
        ("POST", "/_sim/people/nobody/say", {"text": "a"}, 404, "There is no person 'nobody'"),
        ("POST", "/_sim/people/nobody/fly", {}, 404, "A person cannot 'fly'"),
        ("POST", "/_sim/webhooks/99/replay", {}, 404, "There is no webhook 99"),
        ("GET", "/_sim/requests?limit=x", None, 422, "limit must be a number"),
        ("GET", "/_sim/nothing", None, 404, "There is no GET /_sim/nothing; known under /_sim/ are actors, "),
        ("DELETE", "/_sim/people", None, 404, "There is no DELETE /_sim/people; it takes GET and POST."),
        ("POST", "/_sim/channels", {"name": "a", "shoe": 1}, 422, "no attribute 'shoe'; known are secret, "),
        ("POST", "/_sim/channels", {"name": "a", "webhookUrl": "127.0.0.1:3000"}, 422, "begins with http:// or https://"),
        ("GET", "/_sim/await?operationId=pushMesage", None, 422, "There is no operation 'pushMesage'; known are pushMessage"),
    ],
)
def test_mistakes_get_one_sentence(sim: Sim, hanako: Person, method: str, path: str, body: Any, status: int, sentence: str) -> None:
    answered, content = sim(method, path, body)
    assert answered == status
    assert sentence in content["message"]


def test_secrets_are_masked_in_the_journal(sim: Sim, api: Any, shop: Channel, hanako: Person) -> None:
    form = f"grant_type=client_credentials&client_id={shop.id}&client_secret={shop.secret}".encode()
    token = api("POST", "/oauth2/v3/token", form, {"content-type": "application/x-www-form-urlencoded"})[1]["access_token"]
    link = api("POST", f"/v2/bot/user/{hanako.user_id(shop)}/linkToken")[1]["linkToken"]
    text = json.dumps(sim("GET", "/_sim/requests")[1])
    assert shop.id in text
    for secret in (shop.secret, token, link, shop.access_token):
        assert secret not in text


def test_messages_status_invariants_and_coverage(sim: Sim, api: Any, hanako: Person, shop: Channel) -> None:
    api.push(hanako.user_id(shop), "見える")
    (message,) = sim("GET", f"/_sim/messages?user={hanako.user_id(shop)}")[1]["messages"]
    assert message["message"]["text"] == "見える"
    assert sim("GET", "/_sim/messages")[1]["messages"] == [message]
    assert sim("GET", "/_sim/status")[1]["pending_webhooks"] == 0
    assert sim("GET", "/_sim/invariants")[1]["ok"] is True
    levels = {one["operationId"]: one["level"] for one in sim("GET", "/_sim/coverage")[1]["operations"]}
    assert (levels["multicast"], levels["getMessageContentPreview"]) == ("full", "partial")


def test_faults_clock_and_reset(sim: Sim, api: Any, hanako: Person, shop: Channel) -> None:
    rule = sim("POST", "/_sim/faults", {"kind": "unauthorized", "nth": 1})[1]
    assert api("GET", "/v2/bot/info")[0] == 401
    assert sim("GET", "/_sim/faults")[1]["faults"][0]["applied"] == 1
    sim("DELETE", "/_sim/faults/" + rule["id"])
    assert sim("GET", "/_sim/faults")[1]["faults"] == []
    before = sim("GET", "/_sim/clock")[1]["epoch"]
    assert sim("POST", "/_sim/clock", {"advance": "20m"})[1]["epoch"] >= before + 1200
    sim("POST", "/_sim/reset")
    assert sim("GET", "/_sim/people")[1]["total"] == 0


def test_the_clock_can_be_closed() -> None:
    with LineSimulator(accept_sim_clock=False) as line:
        request = urllib.request.Request(line.url + "/_sim/clock", b'{"advance":"1m"}', method="POST")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=5)
        with refused.value as error:
            assert error.code == 409


def test_pages_of_other_sites_cannot_drive_it(sim: Sim) -> None:
    assert sim("POST", "/_sim/reset", None, Origin="https://evil.example")[0] == 403


def test_the_phone_page_has_no_foreign_script(line: LineSimulator, hanako: Person) -> None:
    page = hanako.open(line.url + "/_phone")
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    assert all(source.startswith(("/_phone/", "data:")) for source in sources)
    for source in sources:
        if source.startswith("/_phone/"):
            loaded = hanako.open(line.url + source)
            assert loaded.status == 200
            assert "innerHTML" not in loaded.text
    assert hanako.open(line.url + "/_phone/../state.py").status == 404


def test_names_are_text_and_times_are_written_one_way(
    sim: Sim, api: Any, line: LineSimulator, hanako: Person, shop: Channel
) -> None:
    assert sim("POST", "/_sim/people", {"name": 1}) == (422, {"message": "name must be text."})
    hanako.say(shop, "やあ")
    api("POST", "/v2/bot/message/push", {"to": hanako.user_id(shop), "messages": [{"type": "text", "text": "a"}]})
    lines = sim("GET", f"/_sim/chats?channel={shop.id}&person={hanako.id}")[1]["lines"]
    assert [datetime.fromisoformat(one["at"]).utcoffset() for one in lines] == [timedelta(0)] * 2


def test_the_handle_takes_durations_as_the_interface_does(line: LineSimulator, shop: Channel) -> None:
    before = line.clock.time()
    line.clock.advance("1d")
    assert 86_400 <= line.clock.time() - before < 86_460
    with pytest.raises(SimulatorError, match="one person or more"):
        line.crowd(-1, shop)

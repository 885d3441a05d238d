"""The simulator used wrongly: it answers in a sentence, and its world stays whole."""

from __future__ import annotations

import json
import random
import threading
import time
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, Request, Settings, SimulatorError

ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    10**30,
    1e300,
    "",
    "x",
    "²",
    "\ud800",
    "9" * 5000,
    [],
    [1],
    ["x"],
    [[]],
    {},
    {"type": 1},
    "http://[",
]
SHOP: dict[str, Any] = {"channel": "花屋"}
GOOD: list[tuple[str, dict[str, Any]]] = [
    ("notice_keys", {"self": {}, "world": {}}),
    ("mission_stickers", {**SHOP, "productId": "1", "self": 1, "world": 1, "channels": ["花屋"]}),
    ("channels", {"name": "本屋", "monthlyLimit": 5, "webhookUrl": "http://127.0.0.1:9/", "accessToken": "t", "self": 1}),
    ("people", {"name": "次郎", "follow": ["花屋"], "userIds": {"main": "U" + "2" * 32}, "age": 30, "self": 1}),
    ("login_channels", {"name": "L", "callbackUrls": ["http://x/"], "bot": "花屋", "world": 1}),
    ("memberships", {**SHOP, "title": "t", "price": 100, "benefits": ["x"], "world": 1}),
    ("events", {**SHOP, "event": "delivery", "data": "x", "world": 1, "kind": 1}),
    ("faults", {"kind": "webhook_delay", "nth": [1], "seconds": 0.01, "times": 1, "self": 1}),
    ("groups", {"name": "g", "members": ["花子"], "room": False, "channel": "花屋"}),
    ("crowd", {"count": 2, **SHOP, "prefix": "x"}),
    ("audiences", {**SHOP, "name": "a", "userIds": ["U" + "0" * 32]}),
    ("clock", {"advance": "1m"}),
    ("limits", {"operation": "pushMessage", "calls": 5, "seconds": 1}),
    ("settings", {"redeliveryDelays": [0.01], "webhookTimeoutSeconds": 1, "webhookLanes": 2, "audienceSeconds": 1}),
    ("webhooks", {**SHOP, "events": [{"type": "follow", "replyToken": "x", "source": {"type": "user", "userId": "U"}}]}),
    ("richmenus", {**SHOP, "menu": {"size": {"width": 2500, "height": 843}}, "image": "aGk="}),
    ("people/p1/say", {**SHOP, "message": {"type": "text", "text": "x", "emojis": [{}]}, "data": "aGk="}),
    ("people/p1/tap", {**SHOP, "action": {"type": "datetimepicker", "mode": "date", "data": "x"}, "params": {"date": "x"}}),
    ("people/p1/event", {**SHOP, "event": {"type": "follow", "replyToken": "x", "source": {}, "timestamp": 5}}),
    ("people/p1/open", {**SHOP, "url": "http://127.0.0.1:9/"}),
    ("people/p1/link", {**SHOP, "url": "file:///etc/passwd"}),
    ("people/p1/log_in", {**SHOP, "url": "ftp://127.0.0.1/"}),
    ("people/p1/play", {**SHOP, "messageId": "1", "percent": 5}),
    ("groups/g/say", {"person": "p1", "text": "@花子", "mention": ["花子"]}),
]


def spoilt(luck: random.Random, content: dict[str, Any]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(content))
    places: list[tuple[Any, Any]] = []

    def walk(value: Any) -> None:
        for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            places.append((value, key))
            walk(value[key])

    walk(copy)
    holder, key = luck.choice(places)
    holder[key] = luck.choice(ODD)
    return copy


@pytest.mark.off_contract
def test_spoilt_requests_get_sentences_and_break_nothing(line: LineSimulator, api: Any, hanako: Person, shop: Channel) -> None:
    luck = random.Random(6)
    for path, content in GOOD * 30:
        body = json.dumps(spoilt(luck, content)).encode()
        answer = line.handle(Request("POST", f"/_sim/{path}", "", {}, body))
        assert answer.status < 500 or answer.status == 502, (path, body, answer.body)
        if answer.status >= 400:
            assert list(json.loads(answer.body)) == ["message"]
    line.faults.remove()
    line.world.settings = Settings()
    line.people.add_channel("花屋", webhook_url="", monthly_limit="none")
    line.drain()
    if hanako.status(shop) != "friend":
        hanako.follow(shop)
    status, answer, _ = api.push(hanako.user_id(shop))
    assert status == 200
    assert hanako.inbox(shop)[-1].id == answer["sentMessages"][0]["id"]
    assert line.invariants().ok


@pytest.mark.parametrize(
    ("method", "path", "query"),
    [
        ("GET", "/_sim/people", "limit=²"),
        ("GET", "/_sim/people", f"limit={'9' * 5000}"),
        ("GET", "/_sim/messages", "limit=0"),
        ("POST", f"/_sim/webhooks/{'9' * 5000}/replay", ""),
        ("POST", "/_sim/webhooks/٣/replay", ""),
        ("DELETE", "/_sim/faults/²", ""),
    ],
)
def test_odd_numbers_are_refused(line: LineSimulator, method: str, path: str, query: str) -> None:
    assert line.handle(Request(method, path, query)).status in (404, 422)


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook_timeout_seconds": 1e300},
        {"webhook_timeout_seconds": 0},
        {"redelivery_delays": (1e300,)},
        {"redelivery_delays": (-1,)},
        {"audience_seconds": float("nan")},
        {"webhook_lanes": 0},
        {"journal_size": 0},
        {"multicast_foreign_id": 300},
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SimulatorError):
        Settings(**wrong)


def test_nobody_gets_what_is_another_s(line: LineSimulator, shop: Channel) -> None:
    hanako, other = line.person("花子", person_id="p2"), line.person("次郎")
    assert hanako.record.id != other.record.id
    with pytest.raises(SimulatorError, match="another person"):
        line.person("三郎", person_id="p2")
    with pytest.raises(SimulatorError, match="taken"):
        line.person("三郎", user_ids={"main": hanako.user_id(shop)})
    with pytest.raises(SimulatorError, match="another channel"):
        line.channel("本屋", access_token=shop.access_token)
    for wrong in ({"access_token": ""}, {"monthly_limit": -1}, {"monthly_limit": True}):
        with pytest.raises(SimulatorError):
            line.channel("花屋", **wrong)
    assert {one.name for one in line.world.state.people.values()} == {"花子", "次郎"}


def test_a_simulator_lives_once() -> None:
    line = LineSimulator()
    line.stop()
    with pytest.raises(RuntimeError, match="starts once"):
        line.start()
    with LineSimulator() as line:
        with pytest.raises(RuntimeError, match="starts once"), line:
            pytest.fail("entered twice")
        url = line.url
        with pytest.raises(OSError, match="in use"):
            LineSimulator(int(url.rpartition(":")[2])).start()
        assert line.url == url
    line.stop()


def test_what_is_done_after_the_end_waits_for_nobody(receiver: Any) -> None:
    with LineSimulator() as line:
        shop, hanako = line.channel("花屋", receiver.url), line.person("花子")
        line.on_delivery(lambda *_: None)
    hanako.follow(shop)
    line.aside(lambda: None)
    line.drain(1)
    assert receiver.received == []


def test_a_reaction_that_fails_by_pytest_is_told_and_the_next_one_runs(
    line: LineSimulator, hanako: Person, shop: Channel, api: Any
) -> None:
    seen: list[str] = []

    def react(_channel: Channel, _person: Person, message: Any) -> None:
        seen.append(message.message["text"])
        if seen == ["一"]:
            pytest.fail("the first")

    line.on_delivery(react)
    api.push(hanako.user_id(shop), "一")
    with pytest.raises(pytest.fail.Exception, match="the first"):
        line.drain()
    api.push(hanako.user_id(shop), "二")
    line.drain()
    assert seen == ["一", "二"]


def test_a_stop_from_within_a_reaction_ends(hanako: Person, shop: Channel, line: LineSimulator, api: Any) -> None:
    line.on_delivery(lambda *_: line.stop())
    api.push(hanako.user_id(shop))
    line.drain(3)


def test_a_reset_calls_back_what_has_not_left_yet(line: LineSimulator, receiver: Any) -> None:
    def begin() -> Person:
        shop = line.channel("花屋", receiver.url, channel_id="2000000001")
        person = line.person("花子")
        person.follow(shop)
        return person

    receiver.delay = 0.1
    begin().say(line.channel("花屋", channel_id="2000000001"), "古い")
    line.fault("webhook_delay", seconds=3600, event="postback")
    line.fault("webhook_reorder", event="unfollow")
    old = line.person("花子")
    old.postback(line.world.channel("花屋"), "遅い")
    old.block(line.world.channel("花屋"))
    line.reset()
    receiver.delay = 0.0
    begin()
    line.drain(5)
    time.sleep(0.05)
    kinds = [event["type"] for event in receiver.events]
    assert kinds in (["follow"], ["follow", "follow"])
    assert [one.state for one in line.webhooks] == ["delivered"]


def test_one_webhook_that_breaks_does_not_hold_up_the_others(
    line: LineSimulator, shop: Channel, receiver: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = line.send_events(shop, [{"type": "follow"}])
    broken.parcel.reply_tokens = ([],)  # type: ignore[assignment]
    hanako = line.person("花子")
    hanako.follow(shop)
    line.drain(3)
    assert receiver.events[-1]["type"] == "follow"
    assert capsys.readouterr().err.count("Traceback") <= 1


def test_advances_at_once_add_up(line: LineSimulator) -> None:
    before = line.clock.time()
    threads = [threading.Thread(target=lambda: [line.clock.advance(10) for _ in range(50)]) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert line.clock.time() - before == pytest.approx(4000, abs=5)


def test_habits_taken_away_in_the_middle_leave_no_error(line: LineSimulator, shop: Channel, api: Any) -> None:
    from line_simulator import Habits

    group = line.act(Habits(), shop, crowd=50)
    api.multicast(sorted(group.user_ids or ()))
    line.live(600)
    line.actors.remove()
    line.live(3 * 86_400)


def test_the_newest_messages_by_default_and_by_wish(line: LineSimulator, shop: Channel, hanako: Person, api: Any) -> None:
    for text in "一二三":
        api.push(hanako.user_id(shop), text)
    answer = json.loads(line.handle(Request("GET", "/_sim/messages", "limit=2")).body)
    assert [one["message"]["text"] for one in answer["messages"]] == ["二", "三"]

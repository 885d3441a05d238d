"""What the phone page is told about groups, notes and statistics."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, Request
from line_simulator.people.group import GroupChat


@pytest.fixture
def sim(line: LineSimulator) -> Any:
    def call(method: str, target: str, body: Any = None) -> tuple[int, Any]:
        path, _, query = target.partition("?")
        response = line.handle(Request(method, path, query, {}, b"" if body is None else json.dumps(body).encode()))
        return response.status, json.loads(response.body)

    return call


@pytest.fixture
def team(line: LineSimulator, shop: Channel, hanako: Person, taro: Person) -> GroupChat:
    return line.group("町内会", [hanako, taro], shop)


def screen(sim: Any, team: GroupChat, person: Person) -> Any:
    status, content = sim("GET", f"/_sim/chats?group={team.id}&person={person.id}")
    assert status == 200
    return content


def row(sim: Any, person: Person) -> Any:
    (found,) = sim("GET", f"/_sim/talks?person={person.id}")[1]["groups"]
    return found


def test_a_member_sees_both_sides_in_order(
    sim: Any, api: Any, shop: Channel, hanako: Person, taro: Person, team: GroupChat
) -> None:
    first = team.say(hanako, "一")
    api.push(team.id, "二")
    team.say(taro, "三")
    team.edit(hanako, first, "一（訂正）")
    content = screen(sim, team, hanako)
    assert [(one["from"], one.get("name", ""), one.get("message", {}).get("text", "")) for one in content["lines"]] == [
        ("note", "", ""), ("note", "", ""), ("person", "花子", "一（訂正）"), ("account", "花屋", "二"), ("person", "太郎", "三"),
    ]  # fmt: skip
    assert [one["names"] for one in content["lines"][:2]] == [["花子", "太郎"], ["花屋"]]
    assert [one.get("groupId") for one in content["lines"]] == [None, None, None, team.id, None]
    assert [one["name"] for one in content["members"]] == ["花子", "太郎"]
    assert (content["account"]["id"], content["count"], content["unread"]) == (shop.id, 3, 2)


def test_newcomers_do_not_see_what_was_before_them(
    line: LineSimulator, sim: Any, api: Any, hanako: Person, team: GroupChat
) -> None:
    team.say(hanako, "内緒")
    api.push(team.id, "お知らせ")
    shiro = line.person("四郎")
    team.join(shiro)
    assert [one["from"] for one in screen(sim, team, shiro)["lines"]] == ["note"]
    assert (row(sim, shiro)["last"], row(sim, shiro)["unread"]) == (None, 0)
    team.say(hanako, "ようこそ")
    assert [one["from"] for one in screen(sim, team, shiro)["lines"]] == ["note", "person"]
    assert (row(sim, shiro)["last"]["text"], row(sim, shiro)["by"], row(sim, shiro)["unread"]) == ("ようこそ", "花子", 1)
    # Whoever was there sees both.
    assert len([one for one in screen(sim, team, hanako)["lines"] if one["from"] != "note"]) == 3


def test_reading_counts_readers_and_ends_unread(sim: Any, api: Any, hanako: Person, taro: Person, team: GroupChat) -> None:
    team.say(hanako, "一")
    api.push(team.id, "二")
    assert (row(sim, taro)["unread"], row(sim, hanako)["unread"]) == (2, 1)
    version = sim("GET", "/_sim/version")[1]
    path = f"/_sim/groups/{team.id}/read"
    assert sim("POST", path, {"person": taro.id})[0] == 200
    assert sim("GET", "/_sim/version")[1] != version
    assert row(sim, taro)["unread"] == 0
    assert [one["readers"] for one in screen(sim, team, hanako)["lines"] if one["from"] == "person"] == [1]
    # The second look is no news, so that pages do not read in circles.
    version = sim("GET", "/_sim/version")[1]
    sim("POST", path, {"person": taro.id})
    assert sim("GET", "/_sim/version")[1] == version


def test_strangers_see_nothing(line: LineSimulator, sim: Any, team: GroupChat, hanako: Person) -> None:
    shiro = line.person("四郎")
    assert sim("GET", f"/_sim/chats?group={team.id}&person={shiro.id}")[0] == 409
    assert sim("POST", f"/_sim/groups/{team.id}/read", {"person": shiro.id})[0] == 409
    assert sim("GET", f"/_sim/chats?group=nothing&person={shiro.id}")[0] == 404
    assert sim("GET", f"/_sim/talks?person={shiro.id}")[1]["groups"] == []
    team.leave(hanako)
    assert sim("GET", f"/_sim/talks?person={hanako.id}")[1]["groups"] == []


def test_a_room_is_named_after_the_others(line: LineSimulator, sim: Any, shop: Channel, hanako: Person, taro: Person) -> None:
    line.room("相談", [hanako, taro], shop)
    assert (row(sim, hanako)["name"], row(sim, taro)["name"], row(sim, taro)["room"]) == ("太郎", "花子", True)


@pytest.mark.parametrize(
    ("action", "params", "kinds"),
    [
        ({"type": "message", "label": "a", "text": "はい"}, None, ["message"]),
        ({"type": "postback", "label": "a", "data": "d", "displayText": "見える"}, None, ["postback"]),
        ({"type": "postback", "label": "a", "data": "d", "text": "言う"}, None, ["message", "postback"]),
        ({"type": "datetimepicker", "label": "a", "data": "d", "mode": "date"}, {"date": "2026-12-24"}, ["postback"]),
        ({"type": "uri", "label": "a", "uri": "https://shop.example/"}, None, []),
    ],
)
def test_taps_in_a_group(
    line: LineSimulator, sim: Any, hanako: Person, team: GroupChat, receiver: Any, action: Any, params: Any, kinds: list[str]
) -> None:
    line.drain()
    receiver.received.clear()
    body = {"person": hanako.id, "action": action, "params": params}
    assert sim("POST", f"/_sim/groups/{team.id}/tap", body)[0] == 200
    line.drain()
    assert [one["type"] for one in receiver.events] == kinds
    assert all(one["source"]["groupId"] == team.id for one in receiver.events)
    shown = [one["message"]["text"] for one in screen(sim, team, hanako)["lines"] if one["from"] == "person"]
    assert shown == [text for text in (action.get("text"), action.get("displayText")) if text]


def test_the_text_of_a_postback_is_no_message(
    line: LineSimulator, sim: Any, shop: Channel, hanako: Person, team: GroupChat, receiver: Any
) -> None:
    action = {"type": "postback", "label": "a", "data": "d", "displayText": "見える"}
    sim("POST", f"/_sim/people/{hanako.id}/tap", {"action": action})
    hanako.say(shop, "言った")
    sim("POST", f"/_sim/groups/{team.id}/tap", {"person": hanako.id, "action": action})
    note, said = sim("GET", f"/_sim/chats?channel={shop.id}&person={hanako.id}")[1]["lines"]
    assert (note["note"], said["note"]) == (True, False)
    (noted,) = [one for one in screen(sim, team, hanako)["lines"] if one["from"] == "person"]
    line.drain()
    receiver.received.clear()
    assert sim("POST", f"/_sim/people/{hanako.id}/unsend", {"messageId": note["id"]})[0] == 404
    assert sim("POST", f"/_sim/groups/{team.id}/unsend", {"person": hanako.id, "messageId": noted["id"]})[0] == 404
    assert sim("POST", f"/_sim/people/{hanako.id}/unsend", {"messageId": said["id"]})[0] == 200
    line.drain()
    assert [one["unsend"]["messageId"] for one in receiver.events] == [said["id"]]


def test_notes_and_looks_are_kept_between_runs(tmp_path: Path) -> None:
    with LineSimulator(data=tmp_path) as line:
        shop, hanako = line.channel("花屋"), line.person("花子")
        team = line.group("町内会", [hanako], shop)
        line.people.postback(hanako.record, shop, "d", display_text="見える")
        team.say(hanako, "はい")
        line.group_chats.read(team.record, hanako.record)
    with LineSimulator(data=tmp_path) as line:
        again = line.group("町内会").record
        assert ([one.kind for one in again.notes], again.seen) == (["joined", "joined"], team.record.seen)
        said = line.channel("花屋").chats[hanako.user_id(shop)].said or []
        assert [one.note for one in said] == [True]


def test_statistics_by_day(line: LineSimulator, sim: Any, api: Any, shop: Channel, hanako: Person) -> None:
    def days(count: int = 3) -> list[list[int]]:
        told = sim("GET", f"/_sim/statistics?channel={shop.id}&days={count}")[1]
        return [[one[name] for name in ("sent", "looks", "taps", "plays", "friends", "blocked")] for one in told["days"]]

    before = days()[-1]
    user = hanako.user_id(shop)
    message_id = api.push(user, "見て")[1]["sentMessages"][0]["id"]
    api.push(user, "もう一つ")
    hanako.open_chat(shop)
    hanako.open_chat(shop)
    line.people.click(hanako.record, shop, message_id, "https://shop.example/")
    line.people.play(hanako.record, shop, message_id, 50)
    assert days()[-1] == [before[0] + 2, 2, 1, 1, *before[4:]]
    line.clock.advance(86_400)
    api.push(user, "翌日")
    hanako.open_chat(shop)
    hanako.block(shop)
    assert days() == [[0] * 6, [2, 2, 1, 1, before[4], before[5]], [1, 1, 0, 0, before[4] - 1, before[5] + 1]]
    date = sim("GET", f"/_sim/statistics?channel={shop.id}&days=1")[1]["days"][0]["date"]
    assert date == f"{line.world.tokyo():%Y-%m-%d}"


@pytest.mark.parametrize(("query", "status"), [("", 422), ("channel=x", 404), ("channel=花屋&days=0", 422), ("channel=花屋&days=999", 422),
                                               ("channel=花屋&days=x", 422)])  # fmt: skip
def test_statistics_of_nothing(sim: Any, shop: Channel, query: str, status: int) -> None:
    answer = sim("GET", f"/_sim/statistics?{query}")
    assert answer[0] == status
    assert answer[1]["message"].endswith(".")


@pytest.mark.parametrize("body", [{}, {"person": "花子"}, {"person": "花子", "action": "x"}, {"person": "花子", "action": {"type": "message"}},
                                  {"person": "花子", "action": {"type": "postback", "data": 5}}])  # fmt: skip
def test_impossible_taps_in_groups(sim: Any, team: GroupChat, body: Any) -> None:
    status, content = sim("POST", f"/_sim/groups/{team.id}/tap", body)
    assert (status, content["message"][-1]) == (422, ".")


def test_the_page_of_coverage(line: LineSimulator) -> None:
    response = line.handle(Request("GET", "/_phone/coverage"))
    assert (response.status, response.content_type) == (200, "text/html; charset=utf-8")
    assert "script-src 'self'" in response.headers["Content-Security-Policy"]

"""Group chats and rooms: who is told what, and what an account may ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, SimulatorError
from line_simulator.people.group import GroupChat

NOBODY = "U" + "0" * 32
NOWHERE = "C" + "0" * 32


@pytest.fixture
def shiro(line: LineSimulator) -> Person:
    return line.person("四郎", consent=False)


@pytest.fixture
def team(line: LineSimulator, shop: Channel, hanako: Person, shiro: Person, receiver: Any) -> GroupChat:
    group = line.group("町内会", [hanako, shiro], shop, picture_url="https://example.com/g.png")
    line.drain()
    receiver.received.clear()
    return group


def _events(line: LineSimulator, receiver: Any) -> list[Any]:
    line.drain()
    found = list(receiver.events)
    receiver.received.clear()
    return found


def test_the_life_of_a_group(
    line: LineSimulator, shop: Channel, hanako: Person, shiro: Person, taro: Person, receiver: Any
) -> None:
    receiver.received.clear()
    group = line.group("町内会", [hanako])
    group.say(hanako, "まだ誰もいない")
    group.invite(shop)
    group.join(shiro, taro)
    group.leave(taro)
    group.remove()
    group.say(hanako, "もういない")
    join, joined, left, leave = _events(line, receiver)
    assert [one["type"] for one in (join, joined, left, leave)] == ["join", "memberJoined", "memberLeft", "leave"]
    assert all(one["source"] == {"type": "group", "groupId": group.id} for one in (join, joined, left, leave))
    assert joined["joined"]["members"] == [{"type": "user"}, {"type": "user", "userId": taro.user_id(shop)}]
    assert ["replyToken" in one for one in (join, joined, left, leave)] == [True, True, False, False]


def test_a_room_announces_itself_with_the_first_event(line: LineSimulator, shop: Channel, hanako: Person, receiver: Any) -> None:
    receiver.received.clear()
    room = line.room("相談", [hanako], shop)
    assert _events(line, receiver) == []
    room.say(hanako, "はい")
    room.say(hanako, "いいえ")
    events = _events(line, receiver)
    assert [one["type"] for one in events] == ["join", "message", "message"]
    assert events[1]["source"] == {"type": "room", "roomId": room.id, "userId": hanako.user_id(shop)}
    assert room.id.startswith("R")


def test_only_one_account_at_a_time(line: LineSimulator, team: GroupChat) -> None:
    with pytest.raises(SimulatorError, match="one at a time"):
        team.invite(line.channel("支店"))


def test_what_is_said_there(
    line: LineSimulator, shop: Channel, hanako: Person, shiro: Person, team: GroupChat, receiver: Any
) -> None:
    first = team.say(hanako, "😀@花屋 @花子 @All おはよう", mention=[shop, hanako, "all"])
    team.say(shiro, "同意なし", quote=first)
    team.edit(hanako, first, "直しました")
    team.unsend(hanako, first)
    team.postback(shiro, "a=1", {"date": "2026-11-22"})
    said, silent, edited, unsent, postback = _events(line, receiver)
    mentionees = said["message"]["mention"]["mentionees"]
    assert mentionees[0] == {"index": 2, "length": 3, "type": "user", "userId": shop.bot_user_id, "isSelf": True}
    assert mentionees[1]["userId"] == hanako.user_id(shop)
    assert mentionees[2] == {"index": 10, "length": 4, "type": "all"}
    assert "userId" not in silent["source"]
    assert silent["message"]["quotedMessageId"] == first
    assert (edited["type"], edited["message"]["id"], edited["message"]["text"]) == ("messageEdited", first, "直しました")
    assert "markAsReadToken" not in edited["message"]
    assert edited["message"]["quoteToken"] != said["message"]["quoteToken"]
    assert unsent["unsend"] == {"messageId": first}
    assert postback["postback"] == {"data": "a=1", "params": {"date": "2026-11-22"}}


@pytest.mark.parametrize("act", ["say", "unsend", "edit", "leave", "mention"])
def test_what_nobody_can_do(line: LineSimulator, taro: Person, hanako: Person, team: GroupChat, act: str) -> None:
    image = team.send(hanako, {"type": "image"})
    acts: dict[str, Any] = {
        "say": lambda: team.say(taro, "a"),
        "unsend": lambda: team.unsend(taro, image),
        "edit": lambda: team.edit(hanako, image, "a"),
        "leave": lambda: team.leave(taro),
        "mention": lambda: team.say(hanako, "a", mention=[taro]),
    }
    with pytest.raises(SimulatorError):
        acts[act]()


def test_push_and_reply_reach_all_members_and_count_them(
    line: LineSimulator, api: Any, shop: Channel, hanako: Person, shiro: Person, team: GroupChat, receiver: Any
) -> None:
    seen: list[Any] = []
    line.on_delivery(lambda _channel, person, message: seen.append((person.name, message.group_id)))
    assert api.push(team.id, "みなさん")[0] == 200
    assert api("GET", "/v2/bot/message/quota/consumption")[1] == {"totalUsage": 2}
    team.say(hanako, "はい")
    assert api.reply(_events(line, receiver)[-1]["replyToken"], "どうも")[0] == 200
    assert api("GET", "/v2/bot/message/quota/consumption")[1] == {"totalUsage": 2}
    for person in (hanako, shiro):
        assert [(one.message["text"], one.group_id) for one in person.inbox(shop)] == [("みなさん", team.id), ("どうも", team.id)]
    assert len(line.messages) == 4
    line.drain()
    assert sorted(seen) == sorted([(one.name, team.id) for one in (hanako, shiro)] * 2)
    assert line.invariants().broken == ()


def test_the_quota_counts_members_before_it_accepts(api: Any, shop: Channel, team: GroupChat) -> None:
    shop.monthly_limit = 1
    assert api.push(team.id)[:2] == (429, {"message": "You have reached your monthly limit."})


def test_a_retried_push_to_a_group_arrives_once(api: Any, shop: Channel, hanako: Person, team: GroupChat) -> None:
    key = "00000000-0000-4000-8000-000000000001"
    assert [api.push(team.id, key=key)[0] for _ in range(2)] == [200, 409]
    assert len(hanako.inbox(shop)) == 1


def test_only_members_are_answered(line: LineSimulator, api: Any, hanako: Person, team: GroupChat, receiver: Any) -> None:
    other = line.group("よその会", [hanako])
    for group_id in (other.id, NOWHERE, "R" + "0" * 32):
        assert api.push(group_id)[:2] == (400, {"message": "Failed to send messages"})
    team.say(hanako, "はい")
    token = _events(line, receiver)[-1]["replyToken"]
    team.remove()
    assert api.reply(token)[0] == 400
    assert api.push(team.id)[0] == 400
    assert api("GET", f"/v2/bot/group/{team.id}/summary")[:2] == (404, {"message": "Not found"})


def test_what_an_account_may_ask(
    line: LineSimulator, api: Any, shop: Channel, hanako: Person, shiro: Person, taro: Person, team: GroupChat, receiver: Any
) -> None:
    path = f"/v2/bot/group/{team.id}"
    team.join(taro)
    assert api("GET", path + "/summary")[1] == {
        "groupId": team.id,
        "groupName": "町内会",
        "pictureUrl": "https://example.com/g.png",
    }
    assert api("GET", path + "/members/count")[1] == {"count": 3}
    assert api("GET", path + "/members/ids")[1] == {"memberIds": [hanako.user_id(shop), taro.user_id(shop)]}
    # Whoever blocked the account is still seen in the group.
    assert api("GET", f"{path}/member/{taro.user_id(shop)}")[1] == {"displayName": "太郎", "userId": taro.user_id(shop)}
    assert api("POST", path + "/leave")[:2] == (200, {})
    assert _events(line, receiver)[-1]["type"] == "leave"
    assert api("POST", path + "/leave")[0] == 404


def test_a_room_may_be_asked_too(line: LineSimulator, api: Any, shop: Channel, hanako: Person) -> None:
    room = line.room("相談", [hanako], shop)
    path = f"/v2/bot/room/{room.id}"
    assert api("GET", path + "/members/count")[1] == {"count": 1}
    assert api("GET", path + "/members/ids")[1] == {"memberIds": [hanako.user_id(shop)]}
    assert api("GET", f"{path}/member/{hanako.user_id(shop)}")[1]["displayName"] == "花子"
    assert api("POST", path + "/leave")[0] == 200


def test_long_lists_come_in_pages_of_a_hundred(line: LineSimulator, api: Any, shop: Channel, team: GroupChat) -> None:
    team.join(*[line.person(f"人{number}") for number in range(150)])
    path = f"/v2/bot/group/{team.id}/members/ids"
    first = api("GET", path)[1]
    assert len(first["memberIds"]) == 100
    second = api("GET", f"{path}?start={first['next']}")[1]
    assert len({*first["memberIds"], *second["memberIds"]}) == 151
    assert "next" not in second
    line.clock.advance(86_402)
    assert api("GET", f"{path}?start={first['next']}")[:2] == (400, {"message": "Invalid start param"})


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/v2/bot/group/x/summary", 400, "The value for the 'groupId' parameter is invalid"),
        ("/v2/bot/group/{room}/summary", 400, "The value for the 'groupId' parameter is invalid"),
        ("/v2/bot/room/x/members/count", 400, "The value for the 'roomId' parameter is invalid"),
        ("/v2/bot/group/{nowhere}/members/count", 404, "Not found"),
        ("/v2/bot/group/{group}/member/x", 400, "The value for the 'userId' parameter is invalid"),
        ("/v2/bot/group/{group}/member/{nobody}", 404, "Not found"),
        ("/v2/bot/group/{group}/member/{silent}", 404, "Not found"),
        ("/v2/bot/group/{group}/members/ids?start=x", 400, "Invalid start param"),
    ],
)
def test_documented_refusals(api: Any, shop: Channel, shiro: Person, team: GroupChat, path: str, status: int, message: str) -> None:
    silent = shiro.user_id(shop)
    target = path.format(group=team.id, nowhere=NOWHERE, room="R" + "0" * 32, nobody=NOBODY, silent=silent)
    assert api("GET", target)[:2] == (status, {"message": message})


def test_member_lists_are_for_verified_accounts(api: Any, shop: Channel, team: GroupChat) -> None:
    shop.verified = False
    assert api("GET", f"/v2/bot/group/{team.id}/members/ids")[0] == 403


def test_groups_are_kept_between_runs(tmp_path: Path) -> None:
    with LineSimulator(data=tmp_path) as line:
        shop, hanako = line.channel("花屋"), line.person("花子")
        group = line.group("町内会", [hanako], shop)
        said = group.say(hanako, "はい")
    with LineSimulator(data=tmp_path) as line:
        again = line.group("町内会")
        assert (again.id, again.record.members, again.said[0].id) == (group.id, [hanako.id], said)
        assert int(again.say(line.person("花子"), "二")) > int(said)


def test_groups_over_http(line: LineSimulator, shop: Channel, hanako: Person, receiver: Any) -> None:
    import json
    import urllib.request

    def sim(method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(line.url + path, json.dumps(body).encode() if body else None, method=method)
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read())

    receiver.received.clear()
    group = sim("POST", "/_sim/groups", {"name": "町内会", "members": ["花子"], "channel": "花屋"})
    path = f"/_sim/groups/{group['id']}"
    message_id = sim("POST", path + "/say", {"person": "花子", "text": "@花屋 はい", "mention": ["花屋"]})["messageId"]
    sim("POST", path + "/edit", {"person": "花子", "messageId": message_id, "text": "いいえ"})
    sim("POST", path + "/unsend", {"person": "花子", "messageId": message_id})
    sim("POST", path + "/postback", {"person": "花子", "data": "x"})
    sim("POST", path + "/leave", {"people": ["花子"]})
    sim("POST", path + "/join", {"people": ["花子"]})
    assert sim("POST", path + "/remove")["channel"] is None
    kinds = ["join", "message", "messageEdited", "unsend", "postback", "memberLeft", "memberJoined", "leave"]
    assert [one["type"] for one in _events(line, receiver)] == kinds
    assert [one["name"] for one in sim("GET", "/_sim/groups")["groups"]] == ["町内会"]

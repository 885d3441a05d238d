"""What LINE says of every furnished message object and of each limit overstepped, and where some messages cannot go."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person
from tests.simulator.message_vectors import (
    EMOJI,
    EMPTY,
    FURNISHED,
    GONE,
    INVALID,
    MENTION,
    MISSING,
    OVER,
    SMALL,
    URI,
    flex,
    item,
    quick,
)

VALIDATE = "/v2/bot/message/validate/push"


def changed(message: Any, path: str, value: Any) -> Any:
    """Return a copy with one place set, or left out."""
    # Not deepcopy: it would keep shared parts shared.
    copied = json.loads(json.dumps(message))
    steps: list[Any] = [int(one) if one.isdigit() else one for one in re.findall(r"[^.\[\]]+", path)]
    parent = copied
    for step in steps[:-1]:
        parent = parent[step]
    if value is GONE:
        del parent[steps[-1]]
    elif isinstance(parent, list) and steps[-1] == len(parent):
        parent.append(value)
    else:
        parent[steps[-1]] = value
    return copied


def place_of(path: str, complaint: str) -> str:
    """Return how LINE names a place: the list for its size, the container for its blocks, and pointers inside messages."""
    if re.match(r"(Size must|must not be (more|less))", complaint) or (complaint == INVALID and path.endswith("contents[12]")):
        path = re.sub(r"\[\d+\]$", "", path)
    if complaint.startswith("At least"):
        path = path.rpartition(".")[0]
    pointer = re.sub(r"[.\[]", "/", path.replace("]", ""))
    if path.startswith("template."):
        return pointer
    return pointer.removeprefix("contents") if path.startswith("contents.") else f"messages[0].{path}"


@pytest.mark.parametrize("name", FURNISHED)
def test_furnished_messages_are_accepted_and_arrive(api: Any, hanako: Person, shop: Channel, name: str) -> None:
    message = FURNISHED[name]
    assert api("POST", VALIDATE, {"messages": [message]})[:2] == (200, {})
    if name != "textV2":
        assert api("POST", "/v2/bot/message/push", {"to": hanako.user_id(shop), "messages": [message]})[0] == 200
        assert hanako.inbox(shop)[-1].message == message


@pytest.mark.parametrize(("name", "path", "value", "complaint"), OVER, ids=[f"{n} {one[0]} {one[1]}" for n, one in enumerate(OVER)])
def test_what_oversteps_is_refused_and_named(api: Any, name: str, path: str, value: Any, complaint: str) -> None:
    message = changed(FURNISHED[name], path, value)
    status, body, _ = api("POST", VALIDATE, {"messages": [message]})
    place = place_of(path, complaint)
    body_itself = place.startswith("messages[0]")
    assert status == 400
    assert body["message"] == (
        f"The request body has {len(body['details'])} error(s)"
        if body_itself
        else "A message (messages[0]) in the request body is invalid"
    )
    assert any(one["property"] == place and one["message"].startswith(complaint) for one in body["details"]), (place, body)


@pytest.mark.parametrize(
    ("message", "place", "complaint"),
    [
        ("text", "messages[0]", "Must be an object"),
        (flex({"type": "bubble"}), "/", "At least one block must be specified"),
        (flex([]), "messages[0].contents", None),
        (changed(FURNISHED["bubble"], "contents.size", "hecto"), "/hero", INVALID),
        (changed(FURNISHED["animated"], "contents.body.contents[10].animated", True), "/", "must not have more than 10"),
        (
            changed(FURNISHED["carousel"], "template.columns[0].actions", [URI]),
            "template/columns",
            "title, image and the number of actions must be consistent",
        ),
        (changed(FURNISHED["carousel"], "template.columns[0].title", GONE), "template/columns", "title, image"),
        (
            changed(FURNISHED["buttons"], "template.actions[0].inputOption", "openVoice"),
            "template/actions/0/fillInText",
            "fillInText needs inputOption openKeyboard",
        ),
        (
            changed(FURNISHED["buttons"], "template.actions[0].text", "a"),
            "template/actions/0/displayText",
            "displayText and text cannot be specified at the same time",
        ),
        (quick(item({"type": "location"})), "messages[0].quickReply.items[0].action", "`label` must be specified"),
        (quick(), "messages[0].quickReply.items", EMPTY),
    ],
)
def test_what_concerns_more_than_one_property(api: Any, message: Any, place: str, complaint: str | None) -> None:
    status, body, _ = api("POST", VALIDATE, {"messages": [message]})
    if complaint is None:
        place, complaint = "/" if "property" not in str(body) else body["details"][0]["property"], ""
    assert status == 400
    assert any(one["property"] == place and one["message"].startswith(complaint) for one in body["details"]), body


@pytest.mark.parametrize(("kilobytes", "status"), [(30, 200), (30.001, 400)])
def test_a_bubble_has_at_most_30_kilobytes(api: Any, kilobytes: float, status: int) -> None:
    bubble = copy.deepcopy(SMALL)
    bare = len(str(bubble).replace(" ", "").encode())
    bubble["body"]["contents"][0]["text"] += "a" * (int(kilobytes * 1024) + (kilobytes > 30) - bare)  # type: ignore[index]
    answer = api("POST", VALIDATE, {"messages": [flex(bubble)]})
    assert answer[0] == status
    if status == 400:
        text = "Too large flex message. The maximum size of JSON data that defines a bubble is 30 KB."
        assert answer[1]["details"] == [{"message": text, "property": "/"}]
        carousel = {"type": "carousel", "contents": [{**SMALL, "body": {**bubble["body"], "contents": [
            {"type": "text", "text": "a" * 25_000}]}}] * 3}  # type: ignore[dict-item]  # fmt: skip
        assert "50 KB" in api("POST", VALIDATE, {"messages": [flex(carousel)]})[1]["details"][0]["message"]


@pytest.mark.parametrize(
    ("text", "substitution", "place", "complaint"),
    [
        ("{!owe}", {}, "text", "The key '!owe' enclosed in '{}' does not match the pattern '^[a-zA-Z0-9_]{1,20}$'."),
        ("{" + "k" * 21 + "}", {}, "text", "The key 'kkkkkkkkkkkkkkkkkkkkk' enclosed in '{}' does not match the pattern"),
        ("{}", {}, "text", "The key '' enclosed in '{}' does not match"),
        ("{a", {}, "text", "'{' and '}' must be used in pairs."),
        ("{{a}", {}, "text", "'{' and '}' must be used in pairs."),
        ("{a}", None, "text", "The key 'a' enclosed in '{}' is not specified in substitution."),
        ("a", {"花": {"type": "emoji", **EMOJI}}, "substitution", "The key '花' does not match the pattern"),
        ("a", {"k": {"type": "sticker"}}, "substitution/k/type", INVALID),
        ("a", {"k": {"type": "mention"}}, "substitution/k/mentionee", MISSING),
        ("a", {"k": {"type": "mention", "mentionee": {"type": "user"}}}, "substitution/k/mentionee/userId", MISSING),
        ("a", {"k": {"type": "mention", "mentionee": {"type": "user", "userId": "x"}}}, "substitution/k/mentionee/userId", INVALID),
        ("a", {f"k{n}": MENTION for n in range(101)}, "substitution", "must not be more than 100 items"),
        ("{m}" * 21, {"m": MENTION}, "substitution", "must not be more than 20 mention objects"),
        ("{e}" * 21, {"e": {"type": "emoji", **EMOJI}}, "substitution", "must not be more than 20 emoji objects"),
    ],
)
def test_placeholders(api: Any, text: str, substitution: Any, place: str, complaint: str) -> None:
    message = {"type": "textV2", "text": text, "substitution": substitution}
    status, body, _ = api("POST", VALIDATE, {"messages": [message]})
    assert (status, body["message"]) == (400, "A message (messages[0]) in the request body is invalid")
    assert body["details"][0]["property"] == place and body["details"][0]["message"].startswith(complaint), body


def test_the_body_goes_first_and_then_the_first_message_alone(api: Any) -> None:
    inside = changed(FURNISHED["plain buttons"], "template.text", "")
    outside = {"type": "text", "text": ""}
    status, body, _ = api("POST", VALIDATE, {"messages": [inside, outside]})
    assert (status, body["details"]) == (400, [{"message": EMPTY, "property": "messages[1].text"}])
    status, body, _ = api("POST", VALIDATE, {"messages": [{"type": "text", "text": "a"}, inside, inside]})
    assert (status, body) == (
        400,
        {
            "message": "A message (messages[1]) in the request body is invalid",
            "details": [{"message": MISSING, "property": "template/text"}],
        },
    )


def mention(user_id: str) -> dict[str, Any]:
    target = {"type": "user", "userId": user_id} if user_id != "all" else {"type": "all"}
    return {"type": "textV2", "text": "{who}", "substitution": {"who": {"type": "mention", "mentionee": target}}}


def test_mentions_are_for_members_of_groups(line: LineSimulator, api: Any, hanako: Person, taro: Person, shop: Channel) -> None:
    group = line.group("町内会", [hanako], shop)
    user, stranger = hanako.user_id(shop), taro.user_id(shop)

    def push(to: str, whom: str) -> int:
        return int(api("POST", "/v2/bot/message/push", {"to": to, "messages": [mention(whom)]})[0])

    assert [push(group.id, user), push(group.id, "all"), push(group.id, stranger), push(user, user)] == [200, 200, 400, 400]
    calls = {"multicast": {"to": [user]}, "broadcast": {}, "narrowcast": {}}
    refused = {f"/v2/bot/message/{path}": more for call, more in calls.items() for path in (call, f"validate/{call}")}
    for path, more in refused.items():
        assert api("POST", path, {**more, "messages": [mention(user)]})[0] == 400, path
    assert api("POST", "/v2/bot/message/validate/reply", {"messages": [mention(user)]})[0] == 200


def test_quotes_stay_in_their_chat(line: LineSimulator, api: Any, hanako: Person, shop: Channel, receiver: Any) -> None:
    group = line.group("町内会", [hanako], shop)
    user = hanako.user_id(shop)

    def quote(to: str, token: str) -> Any:
        return api("POST", "/v2/bot/message/push", {"to": to, "messages": [{"type": "text", "text": "a", "quoteToken": token}]})

    own = api.push(user)[1]["sentMessages"][0]["quoteToken"]
    posted = api.push(group.id)[1]["sentMessages"][0]["quoteToken"]
    hanako.say(shop, "はい")
    group.edit(hanako, group.say(hanako, "はい"), "いいえ")
    line.drain()
    said, first, edited = [one["message"]["quoteToken"] for one in receiver.events[-3:]]
    for to, tokens in ((user, [own, said]), (group.id, [posted, first, edited])):
        assert [quote(to, token)[0] for token in [*tokens, *tokens]] == [200] * 2 * len(tokens)
    for to, token in ((user, posted), (group.id, own), (user, "x"), (user, edited)):
        assert quote(to, token)[1]["details"] == [{"message": "Invalid quote token", "property": "messages[0].quoteToken"}]


def test_groups_get_no_tracking_id(line: LineSimulator, api: Any, hanako: Person, shop: Channel) -> None:
    group = line.group("町内会", [hanako], shop)
    body = {"to": group.id, "messages": [FURNISHED["video"]]}
    assert api("POST", "/v2/bot/message/push", body)[1]["details"][0]["property"] == "messages[0].trackingId"
    hanako.send(shop, {"type": "text", "text": "a"})
    assert api("POST", "/v2/bot/message/push", {**body, "to": hanako.user_id(shop)})[0] == 200

"""What LINE's guides say that a client can notice (docs/ja/docs of line-developers-docs-source, each named below)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from line_simulator import Channel, LineSimulator, Person, screens
from line_simulator.api.evidence import CONTRADICTED, DIFFERENT, GUESSED


@pytest.fixture
def nobody(line: LineSimulator) -> Person:
    return line.person("無名", consent=False)


# -- user-consent, getting-user-ids


def test_one_to_one_events_name_only_people_who_consented(
    line: LineSimulator, shop: Channel, receiver: Any, nobody: Person
) -> None:
    nobody.follow(shop)
    nobody.postback(shop, "menu")
    message_id = nobody.say(shop, "こんにちは")
    nobody.unsend(shop, message_id)
    nobody.block(shop)
    line.drain()
    assert [one["type"] for one in receiver.events] == ["follow", "postback", "message", "unsend", "unfollow"]
    assert [one["source"] for one in receiver.events] == [{"type": "user"}] * 5
    anna = line.person("アンナ")
    anna.follow(shop)
    line.drain()
    assert receiver.events[-1]["source"] == {"type": "user", "userId": anna.user_id(shop)}


def test_people_without_consent_can_be_answered(
    line: LineSimulator, shop: Channel, receiver: Any, api: Any, nobody: Person
) -> None:
    nobody.say(shop, "こんにちは")
    line.drain()
    assert api.reply(receiver.events[-1]["replyToken"], "はい")[0] == 200
    assert [one.message["text"] for one in nobody.inbox(shop)] == ["はい"]


def test_lists_and_profiles_leave_out_people_without_consent(
    line: LineSimulator, shop: Channel, receiver: Any, api: Any, hanako: Person, nobody: Person
) -> None:
    nobody.follow(shop)
    assert api("GET", f"/v2/bot/profile/{nobody.user_id(shop)}")[:2] == (404, {"message": "Not found"})
    assert api("GET", "/v2/bot/followers/ids")[1]["userIds"] == [hanako.user_id(shop)]
    plan = line.membership(shop, "会員")
    for person in (hanako, nobody):
        person.join_membership(shop, plan)
        person.renew_membership(shop, plan)
    line.drain()
    told = [one["source"] for one in receiver.events if one["type"] == "membership"]
    assert told == [{"type": "user", "userId": hanako.user_id(shop)}] * 2
    assert api("GET", f"/v2/bot/membership/{plan.id}/users/ids")[1]["userIds"] == [hanako.user_id(shop)]


# -- use-loading-indicator


def test_loading_dots_are_for_friends_only(line: LineSimulator, shop: Channel, api: Any, hanako: Person, taro: Person) -> None:
    caller, desk = line.person("通りすがり"), line.person("机", app="pc")
    caller.say(shop, "こんにちは")
    desk.follow(shop)
    for person in (hanako, taro, caller, desk):
        assert api("POST", "/v2/bot/chat/loading/start", {"chatId": person.user_id(shop)})[:2] == (202, {})
    seconds = [screens.loading_seconds(line.world, shop, one.user_id(shop)) for one in (hanako, taro, caller, desk)]
    assert [one > 0 for one in seconds] == [True, False, False, False]


# -- verify-webhook-url (and the reference, Test webhook endpoint)


@pytest.mark.parametrize("url", ["https://nothing.invalid/hook", "https://" + "a" * 70 + ".example/hook"])
def test_a_webhook_url_whose_name_does_not_resolve_is_invalid(api: Any, url: str) -> None:
    answer = api("POST", "/v2/bot/channel/webhook/test", {"endpoint": url})
    assert answer[:2] == (400, {"message": "Invalid webhook endpoint URL"})


# -- integrate-line-login, Auto login


@pytest.mark.parametrize(
    ("kind", "parameters", "automatic"),
    [
        ("ios", {}, True),
        ("android", {}, True),
        ("pc", {}, False),
        ("ios", {"disable_ios_auto_login": "true"}, False),
        ("android", {"disable_ios_auto_login": "true"}, True),
        ("android", {"disable_auto_login": "true"}, False),
    ],
)
def test_auto_login_is_for_phones(line: LineSimulator, kind: str, parameters: dict[str, str], automatic: bool) -> None:
    callback = "https://shop.example/auth"
    channel = line.login_channel("会員証", callback_urls=[callback])
    person = line.person(f"{kind}の人", app=kind)
    asked = {"response_type": "code", "client_id": channel.id, "redirect_uri": callback, "state": "s", "scope": "profile"}
    page = person.open(f"{line.url}/oauth2/v2.1/authorize?{urlencode({**asked, **parameters})}")
    assert ("許可する" in page.text) == automatic


# -- what rests on guesses


def test_coverage_says_what_is_guessed(line: LineSimulator) -> None:
    table = {one["operationId"]: one for one in line.api.coverage()}
    assert not {*GUESSED} & {*CONTRADICTED}
    assert {*GUESSED, *CONTRADICTED, *DIFFERENT} <= set(table)
    for names, evidence in ((GUESSED, "guessed"), (CONTRADICTED, "contradicted")):
        for name in names:
            assert table[name]["evidence"] == evidence
            assert names[name] in table[name]["note"]
    assert table["multicast"]["evidence"] == "contradicted"
    assert (table["getLoginProfile"]["evidence"], table["getBotInfo"]["evidence"]) == ("guessed", "documented")
    assert table["getMessageContentPreview"]["note"].startswith("the preview of a video is a plain picture; the answer")

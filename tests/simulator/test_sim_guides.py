"""What LINE's guides say that a client can notice (docs/ja/docs of line-developers-docs-source, each named below)."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest

from line_simulator import Channel, LineSimulator, Person, Request
from line_simulator.api.evidence import CONTRADICTED, DIFFERENT, GUESSED
from line_simulator.pages.browser import PERSON_COOKIE
from line_simulator.world import screens
from line_simulator.world.login_book import agree


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


# -- integrate-line-login, When the consent screen is shown again


def test_a_changed_address_is_asked_for_again(line: LineSimulator) -> None:
    callback = "https://shop.example/auth"
    channel = line.login_channel("会員証", callback_urls=[callback])
    person = line.person("恵子", email="keiko@example.com")
    asked = {"response_type": "code", "client_id": channel.id, "redirect_uri": callback, "state": "s"}
    user_id = line.world.user_id(person.record, channel.provider)
    agree(line.world, channel.id, user_id, ["profile", "openid", "email"])

    def is_asked(scope: str) -> bool:
        request = Request("GET", "/oauth2/v2.1/authorize", urlencode({**asked, "scope": scope}), {"cookie": _cookie(person)})
        return "許可する" in line.handle(request).body.decode()

    assert not is_asked("openid email")
    person.record.email = "keiko@example.org"
    assert is_asked("openid email")
    assert not is_asked("openid profile")
    agree(line.world, channel.id, user_id, ["openid", "email"])
    assert not is_asked("openid email")


def _cookie(person: Person) -> str:
    return f"{PERSON_COOKIE}={person.id}"


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


# -- sending-messages, limits of narrowcasts: 100 friends, 80 of them wanted


@pytest.mark.parametrize(
    ("quota", "limit", "phase", "reached"),
    [
        (90, None, "failed", 0),
        (50, None, "failed", 0),
        (90, {"upToRemainingQuota": True, "forbidPartialDelivery": False}, "succeeded", 80),
        (50, {"upToRemainingQuota": True, "forbidPartialDelivery": False}, "succeeded", 50),
        (90, {"upToRemainingQuota": True, "forbidPartialDelivery": True}, "succeeded", 80),
        (50, {"upToRemainingQuota": True, "forbidPartialDelivery": True}, "failed", 0),
        (90, {"max": 30, "upToRemainingQuota": True, "forbidPartialDelivery": False}, "succeeded", 30),
        (50, {"max": 30, "upToRemainingQuota": True, "forbidPartialDelivery": False}, "succeeded", 30),
        (90, {"max": 30, "upToRemainingQuota": True, "forbidPartialDelivery": True}, "failed", 0),
        (50, {"max": 30, "upToRemainingQuota": True, "forbidPartialDelivery": True}, "failed", 0),
    ],
)
def test_limits_of_narrowcasts(
    line: LineSimulator, shop: Channel, api: Any, quota: int, limit: dict[str, Any] | None, phase: str, reached: int
) -> None:
    friends = line.crowd(100, shop)
    wanted = line.audience(shop, "会員", friends[:80])
    line.clock.advance(60)
    line.channel("花屋", monthly_limit=quota)
    body = {"messages": [{"type": "text", "text": "春の花"}], "recipient": {"type": "audience", "audienceGroupId": wanted.id}}
    status, _, headers = api("POST", "/v2/bot/message/narrowcast", {**body, **({"limit": limit} if limit else {})})
    assert status == 202
    line.clock.advance(60)
    progress = api("GET", f"/v2/bot/message/progress/narrowcast?requestId={headers['x-line-request-id']}")[1]
    assert (progress["phase"], progress["successCount"]) == (phase, reached)
    assert api("GET", "/v2/bot/message/quota/consumption")[1] == {"totalUsage": reached}


# -- switch-rich-menus, using-rich-menus: areas of the guides' own examples, which reach one or two pixels beyond the picture


@pytest.mark.parametrize("bounds", [(1251, 0, 1250, 1686), (1667, 0, 834, 843), (1667, 844, 834, 843)])
def test_rich_menus_of_the_guides_are_taken(api: Any, bounds: tuple[int, int, int, int]) -> None:
    area = {
        "bounds": dict(zip(("x", "y", "width", "height"), bounds, strict=True)),
        "action": {"type": "richmenuswitch", "richMenuAliasId": "richmenu-alias-b", "data": "richmenu-changed-to-b"},
    }
    menu = {"size": {"width": 2500, "height": 1686}, "selected": False, "name": "a", "chatBarText": "Tap to open", "areas": [area]}
    assert api("POST", "/v2/bot/richmenu", menu)[0] == 200


# -- unit-based-statistics-aggregation


def test_names_of_units_take_no_hyphens_though_an_example_has_them(api: Any, hanako: Person, shop: Channel) -> None:
    body = {"to": [hanako.user_id(shop)], "messages": [{"type": "text", "text": "新商品"}]}
    target = "/v2/bot/message/multicast"
    assert api("POST", target, {**body, "customAggregationUnits": ["new-item-message-yyyymmdd"]})[0] == 400
    assert api("POST", target, {**body, "customAggregationUnits": ["new_item_message_yyyymmdd"]})[0] == 200

"""Memberships: plans an account offers, who joined them, and what the bot hears of it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, SimulatorError
from line_simulator.world.clock import TOKYO

BOT = "/v2/bot/membership"


def subscription(api: Any, person: Person) -> Any:
    return api("GET", f"{BOT}/subscription/{person.user_id(api.channel)}")[1]["subscriptions"][0]["user"]


def test_plans_are_listed(api: Any, line: LineSimulator, shop: Channel, hanako: Person) -> None:
    basic = line.membership(shop, "ベーシック", description="毎週土曜日", benefits=["写真"], price=500)
    line.membership(shop, "プレミアム", price=1500.0, member_limit=10, in_app_purchase=False, published=False)
    hanako.join_membership(shop, basic)
    status, found, _ = api("GET", f"{BOT}/list")
    assert status == 200
    assert found["memberships"][0] == {
        "membershipId": basic.id,
        "title": "ベーシック",
        "description": "毎週土曜日",
        "benefits": ["写真"],
        "price": 500.0,
        "currency": "JPY",
        "memberCount": 1,
        "memberLimit": None,
        "isInAppPurchase": True,
        "isPublished": True,
    }
    second = found["memberships"][1]
    assert (second["memberLimit"], second["isInAppPurchase"], second["isPublished"]) == (10, False, False)


def test_what_is_not_there(api: Any, line: LineSimulator, shop: Channel, hanako: Person) -> None:
    foreign = line.membership(line.channel("果物屋"), "果物")
    user_id = hanako.user_id(shop)
    assert api("GET", f"{BOT}/list")[:2] == (404, {"message": "Membership plan not found"})
    assert api("GET", f"{BOT}/subscription/{user_id}")[:2] == (404, {"message": "Not found"})
    wrong = {"message": "The value for the 'userId' parameter is invalid"}
    assert api("GET", f"{BOT}/subscription/x")[:2] == (400, wrong)
    for plan_id in (foreign.id, 1, "x", "-1", "9" * 5000, "%C2%B2"):
        assert api("GET", f"{BOT}/{plan_id}/users/ids")[:2] == (404, {"message": "Membership ID is not found"})


def test_joining_renewing_and_leaving_reach_the_bot(
    api: Any, line: LineSimulator, shop: Channel, hanako: Person, receiver: Any
) -> None:
    plan = line.membership(shop, "ベーシック")
    hanako.join_membership(shop, plan)
    hanako.renew_membership(shop, plan.id)
    hanako.leave_membership(shop, plan)
    line.drain()
    events = [event for event in receiver.events if event["type"] == "membership"]
    assert [event["membership"] for event in events] == [
        {"type": kind, "membershipId": plan.id} for kind in ("joined", "renewed", "left")
    ]
    assert all(event["source"] == {"type": "user", "userId": hanako.user_id(shop)} for event in events)
    assert api.reply(events[0]["replyToken"])[0] == 200


def test_the_subscription_of_a_member(api: Any, line: LineSimulator, shop: Channel, hanako: Person, taro: Person) -> None:
    plan = line.membership(shop, "ベーシック")
    line.clock.set(datetime(2031, 1, 31, 23, 30, tzinfo=TOKYO).timestamp())
    joined = int(line.clock.time())
    hanako.join_membership(shop, plan)
    taro.join_membership(shop, plan)
    first = {"membershipNo": 1, "joinedTime": joined, "nextBillingDate": "2031-02-28", "totalSubscriptionMonths": 1}
    assert subscription(api, hanako) == first
    assert subscription(api, taro)["membershipNo"] == 2
    hanako.renew_membership(shop, plan)
    assert subscription(api, hanako) == {**first, "nextBillingDate": "2031-03-31", "totalSubscriptionMonths": 2}
    for _ in range(11):
        hanako.renew_membership(shop, plan)
    assert subscription(api, hanako)["nextBillingDate"] == "2032-02-29"
    hanako.leave_membership(shop, plan)
    hanako.join_membership(shop, plan)
    again = subscription(api, hanako)
    assert (again["membershipNo"], again["totalSubscriptionMonths"]) == (3, 1)


def test_members_come_in_pages_without_those_lost(api: Any, line: LineSimulator, shop: Channel) -> None:
    plan = line.membership(shop, "ベーシック")
    people = [line.handle_of(line.world.person(user_id)) for user_id in line.crowd(5, shop)]
    stranger = line.person("他人")
    for person in (*people[:2], stranger, *people[2:]):
        person.join_membership(shop, plan)
    people[1].block(shop)
    people[3].record.consent = False
    ids = [person.user_id(shop) for person in people]
    target = f"{BOT}/{plan.id}/users/ids"
    assert api("GET", target)[1] == {"userIds": [ids[0], ids[2], ids[4]]}
    first = api("GET", target + "?limit=4")[1]
    assert first["userIds"] == [ids[0], ids[2]]
    following = f"{target}?limit=4&start={first['next']}"
    assert api("GET", following)[1] == {"userIds": [ids[4]]}
    line.clock.advance(86_500)
    assert api("GET", following)[:2] == (400, {"message": "Invalid start param"})
    for limit in ("0", "1001", "x"):
        assert api("GET", f"{target}?limit={limit}")[0] == 400


def test_what_people_cannot_do(line: LineSimulator, shop: Channel, hanako: Person, taro: Person) -> None:
    plan = line.membership(shop, "ベーシック", member_limit=1)
    with pytest.raises(SimulatorError, match="not a member"):
        hanako.renew_membership(shop, plan)
    with pytest.raises(SimulatorError, match="not a member"):
        hanako.leave_membership(shop, plan)
    hanako.join_membership(shop, plan)
    with pytest.raises(SimulatorError, match="already"):
        hanako.join_membership(shop, plan)
    with pytest.raises(SimulatorError, match="no new members"):
        taro.join_membership(shop, plan)
    line.membership(shop, "ベーシック", member_limit=None, published=False)
    with pytest.raises(SimulatorError, match="no new members"):
        taro.join_membership(shop, plan)
    with pytest.raises(SimulatorError, match="no membership plan"):
        taro.join_membership(shop, 1)


@pytest.mark.parametrize(
    ("title", "attributes"),
    [
        ("", {}),
        ("a", {"colour": "red"}),
        ("a", {"price": "500"}),
        ("a", {"price": True}),
        ("a", {"benefits": []}),
        ("a", {"benefits": ["x"] * 6}),
        ("a", {"currency": "USD"}),
        ("a", {"member_limit": 0}),
        ("a", {"published": 1}),
        ("a", {"members": {}}),
    ],
)
def test_what_no_plan_can_be(line: LineSimulator, shop: Channel, title: str, attributes: dict[str, Any]) -> None:
    with pytest.raises(SimulatorError):
        line.membership(shop, title, **attributes)


def test_five_plans_are_enough(line: LineSimulator, shop: Channel) -> None:
    plans = {line.membership(shop, f"プラン{number % 5}").id for number in range(10)}
    assert len(plans) == 5
    with pytest.raises(SimulatorError, match="at most 5"):
        line.membership(shop, "もう一つ")


def test_memberships_survive_a_restart(tmp_path: Path, caller: Any) -> None:
    with LineSimulator(seed=1, data=tmp_path) as line:
        shop = line.channel("花屋")
        plan = line.membership(shop, "ベーシック")
        line.person("花子").join_membership(shop, plan)
        before = [caller(line, shop)("GET", f"{BOT}/list")[1], subscription(caller(line, shop), line.person("花子"))]
    with LineSimulator(seed=2, data=tmp_path) as line:
        shop = line.channel("花屋")
        after = [caller(line, shop)("GET", f"{BOT}/list")[1], subscription(caller(line, shop), line.person("花子"))]
        assert after == before
        assert line.membership(shop, "別").id == plan.id + 1


def test_memberships_by_http(api: Any, line: LineSimulator, shop: Channel, hanako: Person) -> None:
    body = {"channel": shop.id, "title": "ベーシック", "memberLimit": 5, "inAppPurchase": False}
    made = api("POST", "/_sim/memberships", body)[1]
    assert (made["memberLimit"], made["isInAppPurchase"]) == (5, False)
    verb = f"/_sim/people/{hanako.id}/{{}}_membership"
    plan = {"membershipId": made["membershipId"]}
    assert [api("POST", verb.format(one), plan)[0] for one in ("join", "renew", "join", "leave")] == [200, 200, 409, 200]
    assert api("POST", verb.format("join"), {"membershipId": "x"})[0] == 422
    assert api("POST", "/_sim/memberships", {"channel": shop.id, "title": ["a"]})[0] == 422
    assert api("GET", f"/_sim/memberships?channel={shop.id}")[1]["memberships"] == [{**made, "members": {}}]

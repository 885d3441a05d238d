"""Coupons: made as LINE allows, sent while they run, taken and used by people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from line_simulator import Channel, LineSimulator, Person, SimulatorError
from line_simulator.api.coupons import CouponBook
from line_simulator.objects.coupon import check_coupon
from line_simulator.objects.findings import Findings

URL = "/v2/bot/coupon"
NOW = 1_800_000_000
WRONG = "The request body has 1 error(s)"
COUPON: dict[str, Any] = {
    "title": "友だち限定クーポン",
    "description": "一回だけ\n使えます",
    "reward": {"type": "discount", "priceInfo": {"type": "fixed", "fixedAmount": 100}},
    "acquisitionCondition": {"type": "normal"},
    "startTimestamp": 0,
    "endTimestamp": 4_000_000_000,
    "imageUrl": "https://example.com/coupon.jpg",
    "timezone": "ASIA_TOKYO",
    "visibility": "UNLISTED",
    "maxUseCountPerTicket": 1,
}


def lottery(percent: int, most: int = -1) -> dict[str, Any]:
    return {"acquisitionCondition": {"type": "lottery", "lotteryProbability": percent, "maxAcquireCount": most}}


def price(reward: str, kind: str, **numbers: Any) -> dict[str, Any]:
    return {"reward": {"type": reward, "priceInfo": {"type": kind, **numbers}}}


def make(api: Any, **changes: Any) -> str:
    status, content, _ = api("POST", URL, {**COUPON, **changes})
    assert status == 200, content
    return str(content["couponId"])


def send(api: Any, person: Person, coupon_id: Any, **more: Any) -> tuple[int, Any]:
    message = {"type": "coupon", "couponId": coupon_id, **more}
    body = {"to": person.user_id(api.channel), "messages": [{"type": "text", "text": "どうぞ"}, message]}
    found = api("POST", "/v2/bot/message/push", body)
    return found[0], found[1]


def test_a_coupon_is_shown_as_it_was_made(api: Any, line: LineSimulator) -> None:
    made = make(api, couponCode="A" * 16, usageCondition="千円以上", **lottery(50))
    detail = api("GET", f"{URL}/{made}")[1]
    assert len(made) == 26
    assert detail == {
        **COUPON,
        **lottery(50),
        "couponId": made,
        "couponCode": "A" * 16,
        "usageCondition": "千円以上",
        "reward": {"type": "discount", "priceInfo": {"type": "fixed", "fixedAmount": 100, "currency": "JPY"}},
        "maxTicketPerUser": 1,
        "status": "RUNNING",
        "createdTimestamp": int(line.clock.time()),
    }


@pytest.mark.parametrize(
    ("reward", "shown"),
    [
        (price("discount", "percentage", percentage=25), {"percentage": 25}),
        (
            price("discount", "explicit", originalPrice=12_000, priceAfterDiscount=9_500),
            {"originalPrice": 12_000, "priceAfterDiscount": 9_500, "currency": "JPY"},
        ),
        (price("cashBack", "fixed", fixedAmount=1), {"fixedAmount": 1, "currency": "JPY"}),
        (price("cashBack", "percentage", percentage=99), {"percentage": 99}),
        *(({"reward": {"type": kind}}, None) for kind in ("free", "gift", "others")),
    ],
)
def test_every_kind_of_reward(api: Any, reward: dict[str, Any], shown: Any) -> None:
    found = api("GET", f"{URL}/{make(api, **reward)}")[1]["reward"]
    expected = {"type": reward["reward"]["type"]}
    if shown is not None:
        expected["priceInfo"] = {"type": reward["reward"]["priceInfo"]["type"], **shown}
    assert found == expected


EMPTY = "May not be empty"
NUMBER = "Must be a number"
NOT_SPECIFIED = "Must not be specified"
BAD: list[tuple[dict[str, Any], str, str]] = [
    *(({name: None}, name, EMPTY) for name in ("title", "startTimestamp", "endTimestamp", "timezone", "visibility", "reward")),
    *(({name: None}, name, EMPTY) for name in ("acquisitionCondition", "maxUseCountPerTicket")),
    ({"title": ""}, "title", "Size must be between 1 and 60"),
    ({"title": "😀" * 31}, "title", "Size must be between 1 and 60"),
    ({"title": 5}, "title", "Must be a string"),
    ({"description": "a" * 1001}, "description", "Size must be between 0 and 1000"),
    ({"couponCode": "a" * 17}, "couponCode", "Size must be between 0 and 16"),
    ({"usageCondition": "a" * 101}, "usageCondition", "Size must be between 0 and 100"),
    ({"imageUrl": "http://example.com/a.jpg"}, "imageUrl", "invalid uri scheme"),
    ({"barcodeImageUrl": "https://例え.jp/a.jpg"}, "barcodeImageUrl", "invalid uri"),
    ({"barcodeImageUrl": "https://example.com/" + "a" * 1981}, "barcodeImageUrl", "Length must be between 0 and 2000"),
    ({"visibility": "PRIVATE"}, "visibility", "Must be one of the following values: [UNLISTED,PUBLIC]"),
    ({"maxUseCountPerTicket": 0}, "maxUseCountPerTicket", "Must be between 1 and 1"),
    ({"maxUseCountPerTicket": True}, "maxUseCountPerTicket", NUMBER),
    ({"startTimestamp": "0"}, "startTimestamp", NUMBER),
    ({"startTimestamp": 1.5}, "startTimestamp", NUMBER),
    ({"endTimestamp": 1}, "endTimestamp", "Must be after the current time and startTimestamp"),
    ({"startTimestamp": 4_000_000_001}, "endTimestamp", "Must be after the current time and startTimestamp"),
    ({"acquisitionCondition": []}, "acquisitionCondition", "Must be an object"),
    (
        {"acquisitionCondition": {"type": "referral"}},
        "acquisitionCondition.type",
        "Must be one of the following values: [normal,lottery]",
    ),
    (lottery(0), "acquisitionCondition.lotteryProbability", "Must be between 1 and 99"),
    (lottery(100), "acquisitionCondition.lotteryProbability", "Must be between 1 and 99"),
    (lottery(50, 0), "acquisitionCondition.maxAcquireCount", "Must be between 1 and 999999"),
    (lottery(50, 10**6), "acquisitionCondition.maxAcquireCount", "Must be between 1 and 999999"),
    ({"reward": {"type": ["free"]}}, "reward.type", "Must be one of the following values: [discount,free,gift,cashBack,others]"),
    ({"reward": {"type": "discount"}}, "reward.priceInfo", EMPTY),
    ({"reward": {"type": "free", "priceInfo": {}}}, "reward.priceInfo", NOT_SPECIFIED),
    (price("cashBack", "explicit"), "reward.priceInfo.type", "Must be one of the following values: [fixed,percentage]"),
    (price("discount", "fixed"), "reward.priceInfo.fixedAmount", EMPTY),
    (price("discount", "fixed", fixedAmount=0), "reward.priceInfo.fixedAmount", f"Must be between 1 and {2**63 - 1}"),
    (price("discount", "percentage", percentage=100), "reward.priceInfo.percentage", "Must be between 1 and 99"),
    (price("discount", "percentage", percentage=9, fixedAmount=1), "reward.priceInfo.fixedAmount", NOT_SPECIFIED),
    (price("discount", "explicit", originalPrice=5), "reward.priceInfo.priceAfterDiscount", EMPTY),
]


@pytest.mark.parametrize(("changes", "path", "message"), BAD)
def test_what_no_coupon_can_be(api: Any, changes: dict[str, Any], path: str, message: str) -> None:
    wrong = {"message": WRONG, "details": [{"message": message, "property": path}]}
    assert api("POST", URL, {**COUPON, **changes})[:2] == (400, wrong)
    assert api("GET", URL)[1] == {"items": []}


def test_the_timezone_is_one_of_thirty_four(api: Any) -> None:
    detail = api("POST", URL, {**COUPON, "timezone": "Asia/Tokyo"})[1]["details"][0]
    assert detail["property"] == "timezone"
    assert detail["message"].count(",") == 33


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "priceInfo"]), inner, max_size=2),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(COUPON)), ANYTHING))
def test_no_body_breaks_the_checks(changes: dict[str, Any]) -> None:
    found = Findings()
    check_coupon(found, {**COUPON, **changes}, NOW)
    assert all(set(one) == {"message", "property"} for one in found.details)


def test_closing_is_final(api: Any) -> None:
    made = make(api)
    assert api("PUT", f"{URL}/{made}/close")[:2] == (200, {})
    gone = {"message": WRONG, "details": [{"message": "The coupon has already been closed.", "property": ""}]}
    assert api("PUT", f"{URL}/{made}/close")[:2] == (410, gone)
    assert api("GET", f"{URL}/{made}")[1]["status"] == "CLOSED"


def test_other_accounts_coupons_do_not_exist(api: Any, line: LineSimulator, caller: Any) -> None:
    made = make(api)
    other = caller(line, line.channel("果物屋"))
    missing = {"message": WRONG, "details": [{"message": "coupon not found", "property": ""}]}
    assert other("GET", f"{URL}/{made}")[:2] == (404, missing)
    assert other("PUT", f"{URL}/{made}/close")[:2] == (404, missing)
    assert other("GET", URL)[1] == {"items": []}


def test_lists_are_newest_first_by_status_and_page(api: Any, line: LineSimulator) -> None:
    soon = int(line.clock.time()) + 100
    ids = [make(api, title=str(number), **({"endTimestamp": soon} if number == 1 else {})) for number in range(5)]
    api("PUT", f"{URL}/{ids[3]}/close")
    line.clock.advance(200)

    def titles(query: str) -> str:
        return "".join(item["title"] for item in api("GET", f"{URL}?{query}")[1]["items"])

    queries = ("", "status=RUNNING", "status=CLOSED", "status=DRAFT", "status=RUNNING,CLOSED", "status=DRAFT&status=CLOSED")
    assert [titles(query) for query in queries] == ["43210", "420", "31", "", "43210", "31"]
    first = api("GET", f"{URL}?limit=3")[1]
    assert api("GET", f"{URL}?limit=3&start={first['next']}")[1] == {
        "items": [{"couponId": ids[1], "title": "1"}, {"couponId": ids[0], "title": "0"}]
    }


@pytest.mark.parametrize(
    ("query", "path", "message"),
    [
        ("status=X", "status", "Must be one of the following values: [DRAFT,RUNNING,CLOSED]"),
        ("status=RUNNING,", "status", "Must be one of the following values: [DRAFT,RUNNING,CLOSED]"),
        ("limit=101", "limit", "Must be less than or equal to 100"),
        ("limit=" + "9" * 5000, "limit", "Must be less than or equal to 100"),
        ("limit=0", "limit", "Must be greater than or equal to 1"),
        ("limit=²", "limit", "Must be a number"),
    ],
)
def test_wrong_lists(api: Any, query: str, path: str, message: str) -> None:
    wrong = {"message": WRONG, "details": [{"message": message, "property": path}]}
    assert api("GET", f"{URL}?{query}")[:2] == (400, wrong)


def test_five_thousand_are_enough(api: Any, line: LineSimulator, shop: Channel) -> None:
    made = make(api)
    coupons = line.world.part(CouponBook).of(shop)
    for number in range(4999):
        coupons[str(number)] = coupons[made]
    many = {"message": WRONG, "details": [{"message": "You have too many coupons created.", "property": ""}]}
    assert api("POST", URL, COUPON)[:2] == (400, many)
    del coupons["0"]
    make(api)


def test_only_running_coupons_of_the_account_are_sent(api: Any, line: LineSimulator, hanako: Person, caller: Any) -> None:
    other = caller(line, line.channel("果物屋"))
    running, closed, foreign = make(api), make(api), make(other)
    api("PUT", f"{URL}/{closed}/close")
    upcoming = make(api, startTimestamp=3_999_999_999)
    assert [send(api, hanako, one)[0] for one in (running, upcoming, closed, foreign, "x", None, {"a": 1})] == [200, 200] + [
        400
    ] * 5
    detail = {"message": "coupon not found", "property": "messages[1].couponId"}
    assert send(api, hanako, foreign)[1] == {"message": WRONG, "details": [detail]}
    assert send(api, hanako, running, deliveryTag="2025_winter")[0] == 200
    assert [send(api, hanako, running, deliveryTag=tag)[0] for tag in ("冬", "a" * 31, 5)] == [400] * 3
    for kind in ("push", "broadcast", "reply", "multicast", "narrowcast"):
        body = {"messages": [{"type": "coupon", "couponId": closed}]}
        assert api("POST", f"/v2/bot/message/validate/{kind}", body)[0] == 400
    for kind in ("broadcast", "narrowcast"):
        refused = api("POST", f"/v2/bot/message/{kind}", {"messages": [{"type": "coupon", "couponId": closed}]})
        assert refused[1]["details"][0]["property"] == "messages[0].couponId"


def test_taking_and_using(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    once, often = make(api), make(api, maxUseCountPerTicket=-1, visibility="PUBLIC")
    with pytest.raises(SimulatorError, match="not sent"):
        hanako.take_coupon(shop, once)
    with pytest.raises(SimulatorError, match="not taken"):
        hanako.use_coupon(shop, often)
    send(api, hanako, once)
    assert hanako.take_coupon(shop, once)
    assert hanako.take_coupon(shop, once)
    assert hanako.use_coupon(shop, once) == 1
    with pytest.raises(SimulatorError, match="used already"):
        hanako.use_coupon(shop, once)
    assert hanako.take_coupon(shop, often)
    assert [hanako.use_coupon(shop, often) for _ in range(3)] == [1, 2, 3]
    api("PUT", f"{URL}/{often}/close")
    with pytest.raises(SimulatorError, match="closed"):
        hanako.use_coupon(shop, often)
    with pytest.raises(SimulatorError, match="no coupon"):
        hanako.take_coupon(shop, "x")


def test_a_coupon_is_used_in_its_period(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    now = int(line.clock.time())
    made = make(api, visibility="PUBLIC", startTimestamp=now + 100, endTimestamp=now + 200)
    assert hanako.take_coupon(shop, made)
    with pytest.raises(SimulatorError, match="not valid yet"):
        hanako.use_coupon(shop, made)
    line.clock.advance(150)
    assert hanako.use_coupon(shop, made) == 1
    line.clock.advance(100)
    with pytest.raises(SimulatorError, match="closed"):
        hanako.take_coupon(shop, made)


def test_a_lottery_is_drawn_once_and_has_a_last_winner(api: Any, line: LineSimulator, shop: Channel) -> None:
    made, scarce = make(api, visibility="PUBLIC", **lottery(50)), make(api, visibility="PUBLIC", **lottery(99, 3))
    people = [line.person(f"客{number}") for number in range(100)]
    drawn = [person.take_coupon(shop, made) for person in people]
    assert 30 < sum(drawn) < 70
    assert [person.take_coupon(shop, made) for person in people] == drawn
    assert sum(person.take_coupon(shop, scarce) for person in people) == 3


def test_coupons_survive_a_restart(tmp_path: Path, caller: Any) -> None:
    with LineSimulator(seed=1, data=tmp_path) as line:
        shop = line.channel("花屋")
        made = make(caller(line, shop), visibility="PUBLIC", **lottery(50))
        drawn = [line.person(f"客{number}").take_coupon(shop, made) for number in range(20)]
        detail = caller(line, shop)("GET", f"{URL}/{made}")[1]
    with LineSimulator(seed=2, data=tmp_path) as line:
        shop = line.channel("花屋")
        assert caller(line, shop)("GET", f"{URL}/{made}")[1] == detail
        assert [line.person(f"客{number}").take_coupon(shop, made) for number in range(20)] == drawn


def test_coupons_by_http(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    made = make(api, visibility="PUBLIC")
    assert api("POST", f"/_sim/people/{hanako.id}/take_coupon", {"couponId": made})[1]["taken"] is True
    assert api("POST", f"/_sim/people/{hanako.id}/use_coupon", {"couponId": made})[1]["uses"] == 1
    assert api("POST", f"/_sim/people/{hanako.id}/use_coupon", {"couponId": made})[0] == 409
    assert api("POST", f"/_sim/people/{hanako.id}/take_coupon", {})[0] == 422
    found = api("GET", f"/_sim/coupons?channel={shop.id}")[1]["coupons"]
    assert [(one["couponId"], one["tickets"]) for one in found] == [(made, {hanako.user_id(shop): 1})]
    assert json.dumps(found)

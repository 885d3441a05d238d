"""Narrowcasts: whom they reach, what LINE refuses, how they go on by themselves, what they hold back from the quota."""

from __future__ import annotations

import threading
import uuid
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator

KEY = str(uuid.UUID(int=3))
DAY = 86_400
TEXT = {"type": "text", "text": "お知らせ"}
PATH = "/v2/bot/message/narrowcast"
PROGRESS = "/v2/bot/message/progress/narrowcast?requestId="


class Cast:
    """Sends narrowcasts of one channel and looks who got them."""

    def __init__(self, line: LineSimulator, shop: Channel, api: Any) -> None:
        self.line, self.shop, self.api = line, shop, api

    def __call__(
        self, recipient: Any = None, demographic: Any = None, limit: Any = None, key: str | None = None, **more: Any
    ) -> Any:
        body: dict[str, Any] = {"messages": [TEXT], **more}
        body |= {"recipient": recipient} if recipient is not None else {}
        body |= {"filter": {"demographic": demographic}} if demographic is not None else {}
        body |= {"limit": limit} if limit is not None else {}
        return self.api("POST", PATH, body, {"x-line-retry-key": key} if key else {})

    def audience(self, user_ids: list[str], name: str = "a") -> int:
        body = {"description": name, "audiences": [{"id": one} for one in user_ids]}
        made = self.api("POST", "/v2/bot/audienceGroup/upload", body)[1]["audienceGroupId"]
        self.line.clock.advance(3)
        return int(made)

    def done(self, answer: Any) -> Any:
        """Let it finish, and return its progress."""
        assert answer[0] == 202, answer
        self.line.clock.advance(10)
        return self.progress(answer)

    def progress(self, answer: Any) -> Any:
        return self.api("GET", PROGRESS + answer[2]["x-line-request-id"])[1]

    def reached(self) -> set[str]:
        return {one.user_id for one in self.line.messages if one.via == "narrowcast"}


@pytest.fixture
def cast(line: LineSimulator, shop: Channel, api: Any) -> Cast:
    return Cast(line, shop, api)


def _audience(number: int) -> dict[str, Any]:
    return {"type": "audience", "audienceGroupId": number}


def _operator(name: str, content: Any) -> dict[str, Any]:
    return {"type": "operator", name: content}


def test_it_waits_sends_and_succeeds_by_the_clock(cast: Cast, line: LineSimulator, shop: Channel, hanako: Any, taro: Any) -> None:
    line.clock.set_scale(0.000001)
    answer = cast()
    assert answer[:2] == (202, {})
    waiting = cast.progress(answer)
    assert set(waiting) == {"phase", "acceptedTime"}
    assert waiting["phase"] == "waiting"
    assert waiting["acceptedTime"].endswith("Z")
    line.clock.advance(2)
    sending = cast.progress(answer)
    assert {name: sending[name] for name in ("phase", "successCount", "failureCount", "targetCount")} == {
        "phase": "sending",
        "successCount": 0,
        "failureCount": 0,
        "targetCount": 1,
    }
    assert hanako.inbox(shop) == []
    line.clock.advance(3)
    (message,) = hanako.inbox(shop)
    assert (message.message, message.via, message.request_id) == (TEXT, "narrowcast", answer[2]["x-line-request-id"])
    done = cast.progress(answer)
    assert (done["phase"], done["successCount"], done["targetCount"]) == ("succeeded", 1, 1)
    assert done["completedTime"] > done["acceptedTime"]
    assert taro.inbox(shop) == [], "taro has blocked the account"
    assert cast.api("GET", "/v2/bot/message/quota/consumption")[1] == {"totalUsage": 1}
    assert line.invariants().ok


def test_it_goes_on_by_itself_as_real_time_passes(cast: Cast, line: LineSimulator, hanako: Any) -> None:
    heard = threading.Event()
    line.on_delivery(lambda *_: heard.set())
    line.clock.set_scale(1000)
    cast()
    assert heard.wait(5)


def test_somebody_who_blocks_meanwhile_counts_as_a_failure(cast: Cast, line: LineSimulator, shop: Channel, hanako: Any) -> None:
    line.crowd(2, shop)
    answer = cast()
    line.clock.advance(2.5)
    hanako.block(shop)
    done = cast.done(answer)
    assert (done["successCount"], done["failureCount"], done["targetCount"]) == (2, 1, 3)
    assert cast.api("GET", "/v2/bot/message/quota/consumption")[1] == {"totalUsage": 2}
    assert line.invariants().ok


def test_audiences_and_redelivery_are_combined(cast: Cast, line: LineSimulator, shop: Channel) -> None:
    people = line.crowd(10, shop)
    one, two = cast.audience(people[:6]), cast.audience(people[4:8], "b")
    first = cast(_audience(one))
    assert cast.done(first)["successCount"] == 6
    redelivery = {"type": "redelivery", "requestId": first[2]["x-line-request-id"]}
    both = _operator("and", [_audience(one), _audience(two)])
    either = _operator("or", [_audience(one), _audience(two)])
    for recipient, wanted in (
        (both, people[4:6]),
        (either, people[:8]),
        (_operator("and", [either, _operator("not", redelivery)]), people[6:8]),
        (_operator("not", _audience(two)), [*people[:4], *people[8:]]),
        (redelivery, people[:6]),
    ):
        before = {one.id for one in line.messages}
        cast.done(cast(recipient))
        assert sorted(one.user_id for one in line.messages if one.id not in before) == sorted(wanted), recipient
    assert line.invariants().ok


def test_a_click_audience_gets_the_next_narrowcast(cast: Cast, line: LineSimulator, shop: Channel) -> None:
    people = line.crowd(60, shop)
    first = cast.done(answer := cast())
    assert first["successCount"] == 60
    for user_id in people[:52]:
        line.handle_of(line.world.person(user_id)).open_chat(shop)
    request_id = answer[2]["x-line-request-id"]
    made = cast.api("POST", "/v2/bot/audienceGroup/imp", {"description": "見た", "requestId": request_id})[1]
    assert cast(_audience(made["audienceGroupId"]))[1] == {"message": f"Invalid audience group id: {made['audienceGroupId']}"}
    line.clock.advance(3)
    assert cast.done(cast(_audience(made["audienceGroupId"])))["successCount"] == 52


@pytest.fixture
def known(line: LineSimulator, shop: Channel) -> dict[str, str]:
    """120 people: 60 women of 30 in Tokyo with iPhones, friends for 40 days; 55 men of 60 in Osaka; five of whom nothing is known."""
    names = {}
    for number in range(60):
        names[f"w{number}"] = line.person(f"w{number}", gender="female", age=30, area="tokyo", app="ios")
        names[f"w{number}"].follow(shop)
    line.clock.advance(40 * DAY)
    for number in range(60):
        attributes = {"gender": "male", "age": 60, "area": "大阪", "app": "android"} if number < 55 else {"app": "pc"}
        names[f"m{number}"] = line.person(f"m{number}", **attributes)
        names[f"m{number}"].follow(shop)
    return {person.user_id(shop): name for name, person in names.items()}


def _range(kind: str, **bounds: str) -> dict[str, Any]:
    return {"type": kind, **bounds}


def _of(kind: str, *values: str) -> dict[str, Any]:
    return {"type": kind, "oneOf": list(values)}


@pytest.mark.parametrize(
    ("demographic", "women", "men", "unknown"),
    [
        (_of("gender", "female"), 60, 0, 0),
        (_of("gender", "male", "female"), 60, 55, 0),
        (_of("appType", "android"), 0, 55, 0),
        (_of("area", "jp_13", "th_01"), 60, 0, 0),
        (_range("age", gte="age_30", lt="age_35"), 60, 0, 0),
        (_range("age", gte="age_35"), 0, 55, 0),
        (_range("age", lt="age_60"), 60, 0, 0),
        (_range("subscriptionPeriod", gte="day_30"), 60, 0, 0),
        (_range("subscriptionPeriod", lt="day_7"), 0, 55, 5),
        (_operator("and", [_of("gender", "female"), _range("age", lt="age_40")]), 60, 0, 0),
        (_operator("or", [_of("gender", "female"), _of("area", "jp_27")]), 60, 55, 0),
        (_operator("not", _of("gender", "female")), 0, 55, 5),
    ],
)
def test_attributes_choose_friends(cast: Cast, known: dict[str, str], demographic: Any, women: int, men: int, unknown: int) -> None:
    assert cast.done(cast(demographic=demographic))["successCount"] == women + men + unknown
    names = [known[user_id] for user_id in cast.reached()]
    strangers = sum(name in {f"m{number}" for number in range(55, 60)} for name in names)
    assert (sum(name.startswith("w") for name in names), len(names) - strangers - women, strangers) == (women, men, unknown)


def test_attributes_need_a_reach_of_a_hundred_and_fifty_recipients(cast: Cast, line: LineSimulator, shop: Channel) -> None:
    for number in range(99):
        line.person(f"p{number}", gender="male" if number < 49 else "female").follow(shop)
    line.person("不明").follow(shop)
    men = _of("gender", "male")
    assert cast(demographic=men)[:2] == (403, {"message": "Your account does not have enough friends"})
    line.person("百人目", gender="female").follow(shop)
    failed = cast.done(cast(demographic=men))
    assert (failed["phase"], failed["errorCode"], failed["successCount"]) == ("failed", 2, 0)
    assert failed["failedDescription"]
    line.person("五十人目", gender="male").follow(shop)
    assert cast.done(cast(demographic=men))["successCount"] == 50
    few = cast.audience([line.person("不明").user_id(shop)])
    assert cast.done(cast(_audience(few)))["successCount"] == 1, "uploaded ids know no minimum"


def test_a_small_audience_of_others_stops_a_combination(cast: Cast, line: LineSimulator, shop: Channel) -> None:
    people = line.crowd(80, shop)
    lent = line.audience(shop, "借りた", people[:49], kind="UPLOAD", route="BUSINESS_MANAGER", shared=True)
    own = cast.audience(people)
    failed = cast.done(cast(_operator("or", [_audience(lent.id), _audience(own)])))
    assert (failed["phase"], failed["errorCode"]) == ("failed", 4)
    alone = cast.done(cast(_audience(lent.id)))
    assert (alone["phase"], alone["errorCode"]) == ("failed", 2)


def test_a_running_narrowcast_holds_back_the_quota(cast: Cast, line: LineSimulator, shop: Channel) -> None:
    people = line.crowd(10, shop)
    one = cast.audience(people[:2])
    shop.monthly_limit = 11
    answer = cast(_audience(one))
    assert cast.api.push(people[0])[0] == 200, "one is left"
    assert cast.api.push(people[0])[:2] == (429, {"message": "You have reached your monthly limit."})
    assert cast(_audience(one))[:2] == (429, {"message": "You have reached your monthly limit."})
    line.clock.advance(2.5)
    assert cast.api.multicast(people[:8])[0] == 200, "once it is known to be two, the other eight are free again"
    assert cast.api.push(people[0])[0] == 429
    assert cast.done(answer)["successCount"] == 2
    assert shop.reserved == {}
    assert cast.api("GET", "/v2/bot/message/quota/consumption")[1] == {"totalUsage": 11}
    assert line.invariants().ok


def test_limits_bound_reservation_and_recipients(cast: Cast, line: LineSimulator, shop: Channel) -> None:
    line.crowd(10, shop)
    shop.monthly_limit = 100
    assert cast.done(cast(limit={"max": 4}))["successCount"] == 4
    shop.monthly_limit = 4 + 6
    failed = cast.done(cast())
    assert (failed["phase"], failed["errorCode"], failed["failedDescription"]) == (
        "failed",
        1,
        "You have reached your monthly limit.",
    )
    assert cast.done(cast(limit={"upToRemainingQuota": True, "forbidPartialDelivery": True}))["errorCode"] == 5
    assert cast.done(cast(limit={"upToRemainingQuota": True, "max": 2}))["successCount"] == 2
    assert cast.done(cast(limit={"upToRemainingQuota": True}))["targetCount"] == 4
    assert cast(limit={"upToRemainingQuota": True})[0] == 429
    assert shop.reserved == {}
    assert line.invariants().ok


def test_a_retry_key_is_accepted_once(cast: Cast, line: LineSimulator, shop: Channel, hanako: Any) -> None:
    first = cast(key=KEY)
    for _ in range(2):
        status, body, headers = cast(key=KEY)
        assert (status, body) == (409, {"message": "The retry key is already accepted"})
        assert headers["x-line-accepted-request-id"] == first[2]["x-line-request-id"]
        line.clock.advance(10)
    assert cast.api.push(hanako.user_id(shop), key=KEY)[0] == 200, "each endpoint has keys of its own"
    line.clock.advance(DAY)
    assert cast(key=KEY)[0] == 202
    assert cast(key="x")[0] == 400


def test_its_status_is_known_for_fourteen_days_to_its_channel(cast: Cast, caller: Any, line: LineSimulator, hanako: Any) -> None:
    answer = cast()
    request_id = answer[2]["x-line-request-id"]
    assert caller(line, line.channel("支店"))("GET", PROGRESS + request_id)[:2] == (404, {"message": "Not found"})
    pushed = cast.api.push(hanako.user_id(cast.shop))[2]["x-line-request-id"]
    assert cast.api("GET", PROGRESS + pushed)[0] == 404
    assert cast.api("GET", PROGRESS)[0] == 400
    assert cast.api("GET", PROGRESS.partition("?")[0])[0] == 400
    line.clock.advance(14 * DAY - 60)
    again = {"type": "redelivery", "requestId": request_id}
    assert cast.progress(answer)["phase"] == "succeeded"
    assert cast(again)[0] == 202
    line.clock.advance(61)
    assert cast.api("GET", PROGRESS + request_id)[0] == 404
    assert cast(again)[:2] == (400, {"message": f"Invalid request id: {request_id}"})


def test_what_it_refers_to_must_be_ready(cast: Cast, line: LineSimulator, shop: Channel, hanako: Any) -> None:
    running = cast()[2]["x-line-request-id"]
    empty = cast.api("POST", "/v2/bot/audienceGroup/upload", {"description": "空"})[1]["audienceGroupId"]
    for recipient, message in (
        (_audience(1), "Invalid audience group id: 1"),
        (_audience(empty), f"Invalid audience group id: {empty}"),
        ({"type": "redelivery", "requestId": "x"}, "Invalid request id: x"),
        (_operator("or", [{"type": "redelivery", "requestId": running}]), f"Invalid request id: {running}"),
    ):
        assert cast(recipient)[:2] == (400, {"message": message})


MUST_TYPE = "Must be one of the following values: [audience, redelivery, operator]"
EITHER = "Must have exactly one of the following properties: [and, or, not]"
REQUEST = {"type": "redelivery", "requestId": "r"}
DEEP: Any = REQUEST
for _ in range(51):
    DEEP = _operator("not", DEEP)


@pytest.mark.parametrize(
    ("recipient", "place", "message"),
    [
        ([], "recipient", "Must be an object"),
        ({}, "recipient.type", "May not be empty"),
        ({"type": "group"}, "recipient.type", MUST_TYPE),
        ({"type": {"a": 1}}, "recipient.type", MUST_TYPE),
        ({"type": "audience"}, "recipient.audienceGroupId", "May not be empty"),
        ({"type": "audience", "audienceGroupId": True}, "recipient.audienceGroupId", "Must be a number"),
        ({"type": "audience", "audienceGroupId": 1.5}, "recipient.audienceGroupId", "Must be a number"),
        ({"type": "audience", "audienceGroupId": "1"}, "recipient.audienceGroupId", "Must be a number"),
        ({"type": "redelivery"}, "recipient.requestId", "May not be empty"),
        ({"type": "redelivery", "requestId": 4}, "recipient.requestId", "Must be a string"),
        ({"type": "operator"}, "recipient", EITHER),
        ({"type": "operator", "and": [REQUEST], "not": REQUEST}, "recipient", EITHER),
        (_operator("and", []), "recipient.and", "May not be empty"),
        (_operator("or", {}), "recipient.or", "Must be an array"),
        (_operator("not", [REQUEST]), "recipient.not", "Must be an object"),
        (_operator("and", [REQUEST, None]), "recipient.and[1]", "May not be empty"),
        (_operator("and", [_operator("or", [{"type": "x"}])]), "recipient.and[0].or[0].type", MUST_TYPE),
        (_operator("or", [REQUEST] * 11), "recipient", "Size must be between 1 and 10"),
        (DEEP, "recipient" + ".not" * 50, "Must not be nested that deeply"),
    ],
)
def test_recipients_are_checked(cast: Cast, recipient: Any, place: str, message: str) -> None:
    status, body, _ = cast(recipient)
    assert (status, body["details"]) == (400, [{"message": message, "property": place}])


ROOT = "filter.demographic"


@pytest.mark.parametrize(
    ("demographic", "place", "message"),
    [
        ("x", ROOT, "Must be an object"),
        (
            {"type": "audience"},
            f"{ROOT}.type",
            "Must be one of the following values: [gender, appType, area, age, subscriptionPeriod, operator]",
        ),
        ({"type": "gender"}, f"{ROOT}.oneOf", "May not be empty"),
        (_of("gender"), f"{ROOT}.oneOf", "May not be empty"),
        (_of("gender", "male", "unknown"), f"{ROOT}.oneOf[1]", "Must be one of the following values: [male, female]"),
        ({"type": "appType", "oneOf": [["ios"]]}, f"{ROOT}.oneOf[0]", "Must be one of the following values: [ios, android]"),
        (_range("age"), ROOT, "Must have at least one of the following properties: [gte, lt]"),
        (_range("age", gte="age_30", lt="age_30"), f"{ROOT}.gte", "Must be smaller than lt"),
        (_range("subscriptionPeriod", lt="day_365", gte="day_365"), f"{ROOT}.gte", "Must be smaller than lt"),
        (_operator("or", [_of("gender", "male")] * 11), ROOT, "Size must be between 1 and 10"),
        (
            _operator("and", [_range("subscriptionPeriod", gte="day_8")]),
            f"{ROOT}.and[0].gte",
            "Must be one of the following values: [day_7, day_30, day_90, day_180, day_365]",
        ),
    ],
)
def test_filters_are_checked(cast: Cast, demographic: Any, place: str, message: str) -> None:
    status, body, _ = cast(demographic=demographic)
    assert (status, body["details"]) == (400, [{"message": message, "property": place}])


@pytest.mark.parametrize(
    ("limit", "place"),
    [
        ([], "limit"),
        ({"max": 0}, "limit.max"),
        ({"max": True}, "limit.max"),
        ({"max": 2**31}, "limit.max"),
        ({"max": "5"}, "limit.max"),
        ({"upToRemainingQuota": 1}, "limit.upToRemainingQuota"),
    ],
)
def test_limits_are_checked(cast: Cast, limit: Any, place: str) -> None:
    status, body, _ = cast(limit=limit)
    assert (status, [one["property"] for one in body["details"]]) == (400, [place])


def test_other_parts_are_checked(cast: Cast) -> None:
    text = "The option forbidPartialDelivery must be used with upToRemainingQuota."
    assert cast(limit={"forbidPartialDelivery": True})[:2] == (400, {"message": text})
    for more, place in (
        ({"messages": []}, "messages"),
        ({"filter": 5}, "filter"),
        ({"notificationDisabled": "no"}, "notificationDisabled"),
    ):
        assert cast(**more)[1]["details"][0]["property"] == place
    assert cast.api("POST", "/v2/bot/message/validate/narrowcast", {"messages": [TEXT], "recipient": 5})[0] == 200


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
def test_it_can_fail_on_purpose(cast: Cast, line: LineSimulator, hanako: Any, code: int) -> None:
    line.fault("narrowcast_failed", code=code, times=1)
    failed = cast.done(cast())
    assert (failed["phase"], failed["errorCode"]) == ("failed", code)
    assert failed["completedTime"]
    assert cast.reached() == set()
    assert cast.done(cast())["phase"] == "succeeded"


def test_it_can_be_slow_on_purpose(cast: Cast, line: LineSimulator, hanako: Any) -> None:
    line.fault("narrowcast_slow", seconds=3600)
    answer = cast()
    line.clock.advance(3600)
    assert cast.progress(answer)["phase"] == "waiting"
    assert cast.done(answer)["phase"] == "succeeded"


def test_it_goes_on_after_a_restart(tmp_path: Any, caller: Any) -> None:
    clock = tmp_path / "clock.json"
    with LineSimulator(seed=1, data=tmp_path, clock_file=clock) as line:
        shop = line.channel("花屋", monthly_limit=100)
        line.crowd(5, shop)
        waiting = caller(line, shop)("POST", PATH, {"messages": [TEXT]}, {"x-line-retry-key": KEY})[2]["x-line-request-id"]
    with LineSimulator(seed=2, data=tmp_path, clock_file=clock) as line:
        shop = line.channel("花屋")
        api = caller(line, shop)
        assert shop.reserved != {}
        line.clock.advance(10)
        assert api("GET", PROGRESS + waiting)[1]["successCount"] == 5
        assert api("POST", PATH, {"messages": [TEXT]}, {"x-line-retry-key": KEY})[0] == 409
        assert shop.reserved == {}
        assert line.invariants().ok

"""Statistics say what simulated people really did, as late and as vaguely as LINE says it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, Settings

DAY = 86_400
BROADCAST = "/v2/bot/message/broadcast"
EVENT = "/v2/bot/insight/message/event?requestId="
UNIT = "/v2/bot/insight/message/event/aggregation?customAggregationUnit={}&from={}&to={}"
LINK = "https://example.com/a"


def day(line: LineSimulator, days: int = 0) -> str:
    return f"{line.world.tokyo() + timedelta(days):%Y%m%d}"


def friends(line: LineSimulator, shop: Channel, count: int) -> list[Person]:
    found = [line.handle_of(line.world.person(user_id)) for user_id in line.crowd(count, shop)]
    for person in found:
        person.record.app = "android"
    return found


def button(url: str = LINK) -> dict[str, Any]:
    action = {"type": "uri", "label": "見る", "uri": url}
    return {"type": "template", "altText": "a", "template": {"type": "buttons", "text": "花", "actions": [action]}}


VIDEO = {"type": "video", "originalContentUrl": "https://example.com/v.mp4", "previewImageUrl": "https://example.com/v.jpg"}


def send(api: Any, *messages: Any) -> str:
    status, _, headers = api("POST", BROADCAST, {"messages": list(messages)})
    assert status == 200
    return str(headers["x-line-request-id"])


def tap(line: LineSimulator, shop: Channel, person: Person, index: int, url: str = LINK) -> None:
    line.people.click(person.record, shop, person.inbox(shop)[index].id, url)


def test_what_people_did_with_a_broadcast(api: Any, line: LineSimulator, shop: Channel) -> None:
    people = friends(line, shop, 30)
    request_id = send(api, button(), {"type": "text", "text": "b"}, VIDEO)
    sent_at = line.clock.time()
    for person in people[:25]:
        person.open_chat(shop)
    for person in people[:22]:
        tap(line, shop, person, 0)
        tap(line, shop, person, 0)
        line.people.play(person.record, shop, person.inbox(shop)[2].id, 60)
    for person in people[:19]:
        tap(line, shop, person, 0, "https://example.com/few")
    line.clock.advance(3 * DAY + 60)
    status, found, _ = api("GET", EVENT + request_id)
    assert status == 200
    assert found["overview"] == {
        "requestId": request_id,
        "timestamp": int(sent_at),
        "delivered": 30,
        "uniqueImpression": 25,
        "uniqueClick": 22,
        "uniqueMediaPlayed": 22,
        "uniqueMediaPlayed100Percent": None,
    }
    assert [one["seq"] for one in found["messages"]] == [1, 2, 3]
    assert found["messages"][2] == {
        "seq": 3,
        "impression": 25,
        "mediaPlayed": 22,
        "mediaPlayed25Percent": 22,
        "mediaPlayed50Percent": 22,
        "mediaPlayed75Percent": None,
        "mediaPlayed100Percent": None,
        "uniqueMediaPlayed": 22,
        "uniqueMediaPlayed25Percent": 22,
        "uniqueMediaPlayed50Percent": 22,
        "uniqueMediaPlayed75Percent": None,
        "uniqueMediaPlayed100Percent": None,
    }
    assert found["messages"][0]["mediaPlayed"] is None
    assert found["clicks"] == [{"seq": 1, "url": LINK, "click": 44, "uniqueClick": 22, "uniqueClickOfRequest": 22}]


@pytest.mark.parametrize(("lookers", "shown"), [(19, None), (20, 20)])
def test_fewer_than_twenty_people_are_hidden(api: Any, line: LineSimulator, shop: Channel, lookers: int, shown: int | None) -> None:
    people = friends(line, shop, 25)
    request_id = send(api, button())
    for person in people[:lookers]:
        # Coming back counts as another impression of the newest message, and does not make more people of them.
        person.open_chat(shop)
        person.open_chat(shop)
    line.clock.advance(4 * DAY)
    found = api("GET", EVENT + request_id)[1]
    assert found["overview"]["uniqueImpression"] == shown
    assert found["overview"]["delivered"] == 25
    assert [one["impression"] for one in found["messages"]] == ([40] if shown else [])
    assert found["clicks"] == []


def test_statistics_take_days_and_end_after_fourteen(api: Any, line: LineSimulator, shop: Channel) -> None:
    people = friends(line, shop, 60)
    request_id = send(api, button())

    def seen() -> Any:
        return api("GET", EVENT + request_id)[1]["overview"]["uniqueImpression"]

    for person in people[:20]:
        person.open_chat(shop)
    assert seen() is None
    line.clock.advance(2.9 * DAY)
    assert seen() is None
    line.clock.advance(0.2 * DAY)
    assert seen() == 20
    line.clock.advance(10.8 * DAY)
    for person in people[20:40]:
        person.open_chat(shop)
    line.clock.advance(0.2 * DAY)
    for person in people[40:]:
        person.open_chat(shop)
    line.clock.advance(30 * DAY)
    assert seen() == 40


def test_people_at_a_computer_do_not_count(api: Any, line: LineSimulator, shop: Channel) -> None:
    people = friends(line, shop, 25)
    request_id = send(api, button())
    for person in people[:4]:
        person.record.app = "pc"
    for person in people:
        person.open_chat(shop)
    line.clock.advance(4 * DAY)
    assert api("GET", EVENT + request_id)[1]["overview"]["uniqueImpression"] == 21


def test_only_own_broadcasts_are_known(api: Any, line: LineSimulator, shop: Channel, hanako: Person, caller: Any) -> None:
    request_id = send(api, button())
    pushed = api.push(hanako.user_id(shop))[2]["x-line-request-id"]
    other = caller(line, line.channel("果物屋"))
    assert other("GET", EVENT + request_id)[0] == 404
    assert api("GET", EVENT + pushed)[0] == 404
    assert api("GET", EVENT)[0] == 400
    assert api("GET", EVENT.partition("?")[0])[0] == 400


def unit_push(api: Any, to: list[str], unit: str = "sale", *messages: Any) -> None:
    body = {"to": to, "messages": list(messages) or [button()], "customAggregationUnits": [unit]}
    assert api("POST", "/v2/bot/message/multicast", body)[0] == 200


def test_units_add_up_several_calls_and_count_people_once(api: Any, line: LineSimulator, shop: Channel) -> None:
    people = friends(line, shop, 24)
    ids = [one.user_id(shop) for one in people]
    unit_push(api, ids[:12])
    unit_push(api, ids)
    unit_push(api, ids, "other")
    for person in people:
        person.open_chat(shop)
        tap(line, shop, person, 0)
    line.clock.advance(4 * DAY)
    status, found, _ = api("GET", UNIT.format("sale", day(line, -4), day(line)))
    assert status == 200
    assert found["overview"] == {
        "uniqueImpression": 24,
        "uniqueClick": 24,
        "uniqueMediaPlayed": None,
        "uniqueMediaPlayed100Percent": None,
    }
    assert (found["messages"][0]["impression"], found["messages"][0]["uniqueImpression"]) == (36, 24)
    assert found["clicks"] == [{"seq": 1, "url": LINK, "click": 24, "uniqueClick": 24, "uniqueClickOfRequest": 24}]
    nothing = {"overview": dict.fromkeys(found["overview"]), "messages": [], "clicks": []}
    assert api("GET", UNIT.format("SALE", day(line, -4), day(line)))[1] == nothing
    assert api("GET", UNIT.format("sale", day(line, -9), day(line, -5)))[1] == nothing


def test_the_period_of_a_unit_is_that_of_the_actions(api: Any, line: LineSimulator, shop: Channel) -> None:
    people = friends(line, shop, 40)
    unit_push(api, [one.user_id(shop) for one in people])
    sent = day(line)
    for person in people[:20]:
        person.open_chat(shop)
    line.clock.advance(10 * DAY)
    later = day(line)
    for person in people[20:]:
        person.open_chat(shop)
    line.clock.advance(4 * DAY)

    def seen(first: str, last: str) -> Any:
        return api("GET", UNIT.format("sale", first, last))[1]["overview"]["uniqueImpression"]

    assert (seen(sent, later), seen(sent, sent), seen(later, later)) == (40, 20, 20)


@pytest.mark.parametrize(
    "query",
    [
        "customAggregationUnit=a&from=20210301",
        "customAggregationUnit=a&to=20210301",
        "from=20210301&to=20210301",
        "customAggregationUnit=&from=20210301&to=20210301",
        "customAggregationUnit=a&from=20210301&to=20210401",
        "customAggregationUnit=a&from=20210302&to=20210301",
        "customAggregationUnit=a&from=20210230&to=20210301",
        "customAggregationUnit=a&from=2021-03-01&to=20210301",
        "customAggregationUnit=a&from=٢٠٢١٠٣٠١&to=20210301",
    ],
)
def test_wrong_periods_are_refused_with_lines_empty_error(api: Any, query: str) -> None:
    nothing = {"message": None, "key": None, "stacktrace": None, "code": None}
    assert api("GET", "/v2/bot/insight/message/event/aggregation?" + query)[:2] == (400, nothing)


@pytest.mark.parametrize("period", [("20210301", "20210331"), ("00010101", "00010102"), ("99991230", "99991231")])
def test_extreme_periods_are_empty(api: Any, period: tuple[str, str]) -> None:
    assert api("GET", UNIT.format("a", *period))[0] == 200


def test_deliveries_by_day_and_kind(api: Any, line: LineSimulator, shop: Channel, hanako: Person) -> None:
    user_id = hanako.user_id(shop)
    api.push(user_id)
    api.push(user_id)
    api.multicast([user_id])
    send(api, button())
    target = "/v2/bot/insight/message/delivery?date="
    assert api("GET", target + day(line))[1] == {"status": "unready"}
    line.clock.advance(DAY)
    expected = {"status": "ready", "apiPush": 2, "apiMulticast": 1, "apiBroadcast": 1}
    assert api("GET", target + day(line, -1))[1] == expected
    assert api("GET", target + day(line, -2))[1] == {"status": "ready"}
    assert api("GET", target + "20170228")[1] == {"status": "out_of_service"}
    assert api("GET", target + "20261301")[:2] == (400, {"message": "Bad Request"})


def test_followers_as_of_each_day(api: Any, line: LineSimulator, shop: Channel) -> None:
    hanako, taro, jiro = (line.person(name) for name in ("花子", "太郎", "次郎"))
    mariko = line.person("真理子", gender="female")
    hanako.follow(shop)
    mariko.follow(shop)
    taro.follow(shop)
    line.clock.advance(DAY)
    taro.block(shop)
    jiro.block(shop)
    line.clock.advance(DAY)
    mariko.block(shop)
    taro.unblock(shop)
    jiro.unblock(shop)
    line.clock.advance(DAY)

    def counts(days: int) -> tuple[Any, ...]:
        found = api("GET", f"/v2/bot/insight/followers?date={day(line, days)}")[1]
        return tuple(found[name] for name in ("status", "followers", "targetedReaches", "blocks"))

    assert counts(-4) == ("ready", 0, 0, 0)
    assert counts(-3) == ("ready", 3, 1, 0)
    assert counts(-2) == ("ready", 3, 1, 2)
    assert counts(-1) == ("ready", 3, 0, 1)
    assert counts(0) == ("unready", None, None, None)
    assert api("GET", "/v2/bot/insight/followers?date=20161031")[1]["status"] == "out_of_service"
    assert api("GET", "/v2/bot/insight/followers")[:2] == (400, {"message": "date is required"})
    assert api("GET", "/v2/bot/insight/followers?date=1")[:2] == (400, {"message": "Bad Request"})


def test_statistics_survive_a_restart(tmp_path: Path, caller: Any) -> None:
    with LineSimulator(seed=1, data=tmp_path) as line:
        shop = line.channel("花屋")
        people = friends(line, shop, 20)
        request_id = send(caller(line, shop), button())
        for person in people:
            person.open_chat(shop)
            person.open_chat(shop)
    with LineSimulator(seed=2, data=tmp_path, settings=Settings(statistics_delay_days=0)) as line:
        api = caller(line, line.channel("花屋"))
        found = api("GET", EVENT + request_id)[1]
        assert (found["overview"]["delivered"], found["messages"][0]["impression"]) == (20, 40)
        line.clock.advance(DAY)
        assert api("GET", f"/v2/bot/insight/followers?date={day(line, -1)}")[1]["followers"] == 20


def test_small_delivery_counts_can_be_hidden(caller: Any) -> None:
    with LineSimulator(settings=Settings(small_delivery_counts_hidden=True)) as line:
        shop = line.channel("花屋")
        hanako = line.person("花子")
        hanako.follow(shop)
        api = caller(line, shop)
        api.push(hanako.user_id(shop))
        line.clock.advance(DAY)
        found = api("GET", f"/v2/bot/message/delivery/push?date={day(line, -1)}")[1]
        assert found == {"status": "unavailable_for_privacy"}

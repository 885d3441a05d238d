"""Rich menus in people's hands: taps, tabs, what screens ask for, and the statistics."""

from __future__ import annotations

import base64
import io
import json
from datetime import datetime
from typing import Any

import pytest
from PIL import Image

from line_simulator import Channel, LineSimulator, Person, Request, SimulatorError
from line_simulator.api.rich_menu_taps import MenuActivity
from line_simulator.world.clock import TOKYO

URL = "/v2/bot/richmenu"
ACTIONS: list[dict[str, Any]] = [
    {"type": "message", "label": "予約", "text": "予約したい"},
    {"type": "postback", "data": "buy", "displayText": "買います", "inputOption": "closeRichMenu"},
    {"type": "postback", "data": "more", "inputOption": "openRichMenu"},
    {"type": "datetimepicker", "data": "day", "mode": "date"},
    {"type": "datetimepicker", "data": "at", "mode": "time", "initial": "09:30"},
    {"type": "clipboard", "clipboardText": "SPRING10"},
    {"type": "uri", "uri": "tel:0312345678"},
    {"type": "richmenuswitch", "richMenuAliasId": "tab-b", "data": "to b"},
]


def picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (800, 540), "white").save(file, "PNG")
    return file.getvalue()


def menu_of(actions: list[dict[str, Any]], *, selected: bool = True) -> dict[str, Any]:
    areas = [{"bounds": {"x": x, "y": 0, "width": 100, "height": 250}, "action": one} for x, one in enumerate(actions)]
    return {"size": {"width": 800, "height": 540}, "selected": selected, "name": "m", "chatBarText": "開く", "areas": areas}


def make(api: Any, actions: list[dict[str, Any]] = ACTIONS, *, selected: bool = True) -> str:
    menu_id: str = api("POST", URL, menu_of(actions, selected=selected))[1]["richMenuId"]
    assert api("POST", f"{URL}/{menu_id}/content", picture(), {"content-type": "image/png"})[0] == 200
    return menu_id


@pytest.fixture
def menu(api: Any) -> str:
    menu_id = make(api)
    api("POST", f"/v2/bot/user/all/richmenu/{menu_id}")
    return menu_id


def control(line: LineSimulator, method: str, target: str, body: Any = None) -> tuple[int, Any]:
    path, _, query = target.partition("?")
    response = line.handle(Request(method, path, query, {}, b"" if body is None else json.dumps(body).encode()))
    if response.content_type != "application/json":
        return response.status, (response.content_type, response.body)
    return response.status, json.loads(response.body)


def last(line: LineSimulator, receiver: Any) -> dict[str, Any]:
    line.drain()
    event: dict[str, Any] = receiver.events[-1]
    return event


def test_taps_do_what_line_does(line: LineSimulator, hanako: Person, shop: Channel, menu: str, receiver: Any, api: Any) -> None:
    assert hanako.tap_menu(shop, "予約").open_menu is None
    assert last(line, receiver)["message"]["text"] == "予約したい"
    assert hanako.tap_menu(shop, "buy").open_menu is False
    assert last(line, receiver)["postback"] == {"data": "buy"}
    assert hanako.tap_menu(shop, 2).open_menu is True
    hanako.tap_menu(shop, 3)
    assert last(line, receiver)["postback"] == {"data": "day", "params": {"date": f"{line.world.tokyo():%Y-%m-%d}"}}
    hanako.tap_menu(shop, 4)
    assert last(line, receiver)["postback"]["params"] == {"time": "09:30"}
    hanako.tap_menu(shop, 4, {"time": "18:00"})
    assert last(line, receiver)["postback"]["params"] == {"time": "18:00"}
    count = len(receiver.events)
    assert hanako.tap_menu(shop, 5).action["clipboardText"] == "SPRING10"
    assert hanako.tap_menu(shop, -2).page is None
    line.drain()
    assert len(receiver.events) == count
    assert api.reply(last(line, receiver)["replyToken"])[0] == 200


def test_a_link_opens_a_page(line: LineSimulator, api: Any, hanako: Person, shop: Channel) -> None:
    menu_id = make(api, [{"type": "uri", "uri": f"{line.url}/_phone/nothing"}])
    api("POST", f"/v2/bot/user/{hanako.user_id(shop)}/richmenu/{menu_id}")
    page = hanako.tap_menu(shop).page
    assert page is not None
    assert page.status == 404


def test_tabs(api: Any, line: LineSimulator, hanako: Person, shop: Channel, menu: str, receiver: Any) -> None:
    def switch(person: Person = hanako) -> dict[str, Any]:
        assert person.tap_menu(shop, "tab-b").open_menu
        event = last(line, receiver)
        assert event["type"] == "postback"
        assert event["postback"]["data"] == "to b"
        params: dict[str, Any] = event["postback"]["params"]
        return params

    assert switch() == {"status": "RICHMENU_ALIAS_ID_NOTFOUND"}
    other = make(api)
    api("POST", f"{URL}/alias", {"richMenuAliasId": "tab-b", "richMenuId": other})
    assert switch() == {"newRichMenuAliasId": "tab-b", "status": "SUCCESS"}
    assert api("GET", f"/v2/bot/user/{hanako.user_id(shop)}/richmenu")[1] == {"richMenuId": other}
    (users,) = line.world.part(MenuActivity).menus[other].impressions.values()
    assert users == {hanako.user_id(shop): 1}
    assert switch(line.person("まだ友だちではない人")) == {"status": "FAILED"}
    api("DELETE", f"{URL}/{other}")
    assert switch() == {"status": "RICHMENU_NOTFOUND"}
    assert (hanako.menu(shop) or {})["richMenuId"] == menu


def test_taps_that_cannot_be(line: LineSimulator, hanako: Person, taro: Person, shop: Channel, menu: str) -> None:
    with pytest.raises(SimulatorError, match="has no area 'なし'; it has '予約'"):
        hanako.tap_menu(shop, "なし")
    for area in (8, -9, True):
        with pytest.raises(SimulatorError, match="has no area"):
            hanako.tap_menu(shop, area)
    with pytest.raises(SimulatorError, match="has blocked"):
        taro.tap_menu(shop)
    with pytest.raises(SimulatorError, match="no rich menu"):
        hanako.tap_menu(line.channel("支店"))


def test_what_screens_ask_for(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    target = f"/_sim/menu?channel={shop.id}&person={hanako.id}"
    assert control(line, "GET", target) == (200, {"menu": None})
    menu_id = make(api)
    api("POST", f"/v2/bot/user/{hanako.user_id(shop)}/richmenu/{menu_id}")
    found = control(line, "GET", target)[1]["menu"]
    assert found == {"richMenuId": menu_id, **menu_of(ACTIONS), "imageUrl": f"/_sim/richmenus/{menu_id}/image"}
    assert control(line, "GET", found["imageUrl"]) == (200, ("image/png", picture()))
    assert control(line, "GET", "/_sim/richmenus/richmenu-1/image")[0] == 404
    verb = f"/_sim/people/{hanako.id}/tap_menu"
    answer = control(line, "POST", verb, {"channel": shop.id, "area": 1})[1]
    assert (answer["action"], answer["page"], answer["openMenu"]) == (ACTIONS[1], None, False)
    assert "openMenu" not in control(line, "POST", verb, {"channel": shop.id, "area": 0})[1]
    for bad in ({"area": 99}, {"area": True}, {"area": [1]}, {"area": 3, "params": "x"}):
        assert control(line, "POST", verb, {"channel": shop.id, **bad})[0] == 422
    (listed,) = control(line, "GET", f"/_sim/richmenus?channel={shop.id}")[1]["richmenus"]
    assert (listed["linked"], listed["default"], listed["aliases"], listed["hasImage"]) == (1, False, [], True)


def test_the_default_of_the_manager_comes_last_and_is_hidden_from_the_api(
    api: Any, line: LineSimulator, hanako: Person, shop: Channel
) -> None:
    body = {"channel": shop.id, "menu": menu_of(ACTIONS), "image": base64.b64encode(picture()).decode()}
    status, managed = control(line, "POST", "/_sim/richmenus", body)
    assert status == 200
    assert (hanako.menu(shop) or {})["richMenuId"] == managed["richMenuId"]
    assert api("GET", f"{URL}/list")[1] == {"richmenus": []}
    assert api("GET", f"{URL}/{managed['richMenuId']}")[0] == 404
    refusal = {"message": "the richmenu is owned by another channel", "details": []}
    assert api("GET", "/v2/bot/user/all/richmenu")[:2] == (403, refusal)
    menu_id = make(api)
    api("POST", f"/v2/bot/user/all/richmenu/{menu_id}")
    assert api("GET", "/v2/bot/user/all/richmenu")[1] == {"richMenuId": menu_id}
    assert (hanako.menu(shop) or {})["richMenuId"] == menu_id
    api("DELETE", "/v2/bot/user/all/richmenu")
    assert control(line, "POST", "/_sim/richmenus", {"channel": shop.id, "menu": None})[0] == 200
    assert (hanako.menu(shop), api("GET", "/v2/bot/user/all/richmenu")[0]) == (None, 404)
    for bad in ({"menu": {}}, {"image": "%"}, {"image": "AAAA"}, {"menu": [1]}, {"channel": "?"}):
        assert control(line, "POST", "/_sim/richmenus", {**body, **bad})[0] in (404, 422)


# -- statistics


@pytest.fixture
def busy(api: Any, line: LineSimulator, shop: Channel, menu: str) -> str:
    """Twenty people on the first day, of whom one taps another area too; three of them on the second; a third day today."""
    line.clock.set(line.world.tokyo().replace(hour=12, minute=0, second=0, microsecond=0).timestamp() + 86_400)
    people = [line.handle_of(line.world.person(user_id)) for user_id in line.crowd(20, shop)]
    for person in people:
        person.open_chat(shop)
        person.tap_menu(shop, 5)
    people[0].open_chat(shop)
    people[0].tap_menu(shop, 6)
    line.clock.advance(86_400)
    for person in people[:3]:
        person.tap_menu(shop, 5)
        person.tap_menu(shop, 5)
    line.clock.advance(86_400)
    people[0].tap_menu(shop, 5)
    return menu


def day(line: LineSimulator, back: float) -> str:
    return f"{line.world.tokyo(line.clock.time() - back * 86_400):%Y%m%d}"


def insight(api: Any, menu_id: str, kind: str, start: str, end: str) -> tuple[int, Any]:
    status, body, _ = api("GET", f"/v2/bot/insight/richmenu/{menu_id}/{kind}?from={start}&to={end}")
    return status, body


def test_the_summary(api: Any, line: LineSimulator, busy: str) -> None:
    status, body = insight(api, busy, "summary", day(line, 30), day(line, 0))
    assert status == 200
    assert (body["metricsFrom"], body["metricsTo"]) == (day(line, 3), day(line, 1))
    assert body["impression"]["metrics"] == {"count": 24, "uniqueUsers": 20}
    assert [one["metrics"] for one in body["clicks"]] == [
        *[{"count": 0, "uniqueUsers": 0}] * 5,
        {"count": 26, "uniqueUsers": 20},
        {"count": 1, "uniqueUsers": 1},
        {"count": 0, "uniqueUsers": 0},
    ]
    assert body["clicks"][5]["bounds"] == {"x": 5, "y": 0, "width": 100, "height": 250}


def test_by_day(api: Any, line: LineSimulator, busy: str) -> None:
    body = insight(api, busy, "daily", day(line, 2), day(line, 1))[1]
    days = [day(line, 2), day(line, 1)]
    assert body["impression"]["metrics"] == [
        {"date": days[0], "count": 21, "uniqueUsers": 20},
        {"date": days[1], "count": 3, "uniqueUsers": 3},
    ]
    assert body["clicks"][5]["metrics"][1] == {"date": days[1], "count": 6, "uniqueUsers": 3}
    assert body["clicks"][6]["metrics"] == [
        {"date": days[0], "count": 1, "uniqueUsers": 1},
        {"date": days[1], "count": 0, "uniqueUsers": 0},
    ]


@pytest.mark.parametrize("kind", ["summary", "daily"])
def test_fewer_than_twenty_are_hidden(api: Any, line: LineSimulator, busy: str, kind: str) -> None:
    for start, end in ((day(line, 1), day(line, 1)), (day(line, 0), day(line, 0)), (day(line, 50), day(line, 10))):
        assert insight(api, busy, kind, start, end) == (200, {"richMenuId": busy})


def test_twenty_who_tapped_are_enough(api: Any, line: LineSimulator, shop: Channel, menu: str) -> None:
    people = [line.handle_of(line.world.person(user_id)) for user_id in line.crowd(20, shop)]
    for person in people[:19]:
        person.tap_menu(shop, 5)
    people[19].open_chat(shop)
    today = day(line, 0)
    line.clock.advance(86_400)
    assert insight(api, menu, "summary", today, today) == (200, {"richMenuId": menu})
    people[19].tap_menu(shop, 5)
    tomorrow = day(line, 0)
    line.clock.advance(86_400)
    assert insight(api, menu, "summary", today, tomorrow)[1]["impression"]["metrics"] == {"count": 21, "uniqueUsers": 20}


def test_a_closed_menu_is_seen_when_opened(api: Any, line: LineSimulator, hanako: Person, shop: Channel) -> None:
    menu_id = make(api, selected=False)
    api("POST", f"/v2/bot/user/all/richmenu/{menu_id}")
    hanako.open_chat(shop)
    assert menu_id not in line.world.part(MenuActivity).menus
    assert control(line, "POST", f"/_sim/people/{hanako.id}/open_menu", {"channel": shop.id})[0] == 200
    hanako.tap_menu(shop, 5)
    (users,) = line.world.part(MenuActivity).menus[menu_id].impressions.values()
    assert users == {hanako.user_id(shop): 1}


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        ("", "20311120", "Bad Request"),
        ("20311120", "", "Bad Request"),
        ("20311320", "20311120", "Bad Request"),
        ("２０３１１１２０", "20311120", "Bad Request"),
        ("20311120", "20311119", "Parameter to must be the same date as, or after parameter from."),
        ("20310101", "20320202", "Date range exceeds. Max range is 396 days."),
        ("20281119", "20281120", "Parameter from must be the same date as, or after 2028-11-20."),
    ],
)
def test_bad_periods(api: Any, line: LineSimulator, menu: str, start: str, end: str, message: str) -> None:
    line.clock.set(datetime(2031, 11, 20, tzinfo=TOKYO).timestamp())
    assert insight(api, menu, "summary", start, end) == (400, {"message": message})
    assert insight(api, menu, "summary", "20310101", "20320201")[0] == 200
    assert insight(api, menu, "daily", "20310101", "20310410")[0] == 200
    assert insight(api, menu, "daily", "20310101", "20310411")[1] == {"message": "Date range exceeds. Max range is 99 days."}
    assert insight(api, "richmenu-1", "daily", start, end) == (404, {"message": "Not found"})

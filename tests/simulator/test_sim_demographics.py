"""What LINE believes of friends: attributes of people, and the insight into all of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, SimulatorError

DAY = 86_400
PATH = "/v2/bot/insight/demographic"
NOTHING = {"available": False, "genders": [], "ages": [], "areas": [], "appTypes": [], "subscriptionPeriods": []}


def _percent(tiles: list[dict[str, Any]]) -> dict[str, float]:
    return {str(next(value for name, value in tile.items() if name != "percentage")): tile["percentage"] for tile in tiles}


def test_it_shows_percentages_of_three_days_ago(api: Any, line: LineSimulator, shop: Channel) -> None:
    for number in range(20):
        attributes = {"gender": "female", "age": 14 + number // 10, "area": "徳島県", "app": "android"}
        line.person(f"f{number}", **attributes).follow(shop)
    line.clock.advance(10 * DAY)
    for number in range(15):
        line.person(f"m{number}", gender="male", age=72, area="jp_13").follow(shop)
    for number in range(5):
        line.person(f"u{number}", app="pc").follow(shop)
    line.clock.advance(3 * DAY + 60)
    line.person("f0").block(shop)
    line.crowd(100, shop)
    found = api("GET", PATH)[1]
    assert found["available"] is True
    assert found["genders"] == [
        {"gender": "female", "percentage": 50.0},
        {"gender": "male", "percentage": 37.5},
        {"gender": "unknown", "percentage": 12.5},
    ]
    ages = _percent(found["ages"])
    assert {name: value for name, value in ages.items() if value} == {
        "from0to14": 25.0,
        "from15to19": 25.0,
        "from70": 37.5,
        "from50": 37.5,
        "unknown": 12.5,
    }
    assert len(ages) == 15
    assert _percent(found["areas"]) == {"徳島": 50.0, "東京": 37.5, "unknown": 12.5}
    assert _percent(found["appTypes"]) == {"android": 50.0, "ios": 37.5, "others": 12.5}
    periods = {name: value for name, value in _percent(found["subscriptionPeriods"]).items() if value}
    # The one who has blocked since is still counted; only the day they became a friend is not known any more.
    assert periods == {"within30days": 47.5, "within7days": 50.0, "unknown": 2.5}


def test_below_twenty_known_friends_there_is_nothing(api: Any, line: LineSimulator, shop: Channel) -> None:
    for number in range(19):
        line.person(f"f{number}", gender="female").follow(shop)
    line.person("不明").follow(shop)
    line.clock.advance(4 * DAY)
    assert api("GET", PATH)[:2] == (200, NOTHING)
    line.person("不明", age=40)
    assert api("GET", PATH)[1]["available"] is True


def test_new_friends_are_not_counted_yet(api: Any, line: LineSimulator, shop: Channel) -> None:
    line.crowd(200, shop)
    line.clock.advance(3 * DAY - 60)
    assert api("GET", PATH)[1] == NOTHING
    line.clock.advance(61)
    assert api("GET", PATH)[1]["available"] is True


@pytest.mark.parametrize("area", ["jp_13", "tokyo", "Tokyo", "東京", "東京都"])
def test_regions_have_many_names(line: LineSimulator, area: str) -> None:
    assert line.person("花子", area=area).record.area == "jp_13"


@pytest.mark.parametrize(
    "attributes",
    [
        {"gender": "x"},
        {"age": -1},
        {"age": True},
        {"age": "32"},
        {"area": "Atlantis"},
        {"area": 13},
        {"app": "windows"},
        {"ifa": 5},
    ],
)
def test_nonsense_is_refused(line: LineSimulator, attributes: dict[str, Any]) -> None:
    with pytest.raises(SimulatorError):
        line.person("花子", **attributes)


def test_a_crowd_looks_like_japan_and_is_repeatable(line: LineSimulator) -> None:
    def crowd(running: LineSimulator) -> list[tuple[str, int | None, str, str]]:
        running.crowd(2000)
        people = list(running.world.state.people.values())[-2000:]
        return [(one.gender, one.age, one.area, one.app) for one in people]

    people = crowd(line)
    with LineSimulator(seed=1) as again:
        assert crowd(again) == people
    areas = Counter(area for _, _, area, _ in people)
    assert areas["jp_13"] > areas["jp_31"] > 0
    assert 100 < areas[""] < 400
    assert {gender for gender, _, _, _ in people} == {"male", "female", ""}
    assert all(age is None or 10 <= age < 75 for _, age, _, _ in people)


def test_attributes_are_set_and_shown_under_sim(api: Any, line: LineSimulator) -> None:
    body = {"name": "花子", "gender": "female", "age": 32, "area": "大阪", "app": "android"}
    found = api("POST", "/_sim/people", body)[1]
    assert {name: found[name] for name in ("gender", "age", "area", "app")} == {
        "gender": "female",
        "age": 32,
        "area": "jp_27",
        "app": "android",
    }
    assert api("POST", "/_sim/people", {"name": "花子", "area": "火星"})[0] == 422

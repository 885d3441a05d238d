"""The names of aggregation units: counted per month in Japan, a thousand at most, in pages."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, Settings
from line_simulator.world.clock import TOKYO

INFO = "/v2/bot/message/aggregation/info"
NAMES = "/v2/bot/message/aggregation/list"


def push(api: Any, person: Person, unit: str, key: str | None = None) -> int:
    headers = {"x-line-retry-key": key} if key else {}
    body = {"to": person.user_id(api.channel), "messages": [{"type": "text", "text": "a"}], "customAggregationUnits": [unit]}
    return int(api("POST", "/v2/bot/message/push", body, headers)[0])


def used(api: Any) -> int:
    return int(api("GET", INFO)[1]["numOfCustomAggregationUnits"])


def test_names_are_counted_once_by_case(api: Any, hanako: Person) -> None:
    assert used(api) == 0
    for unit in ("a", "b", "a", "A"):
        assert push(api, hanako, unit) == 200
    assert used(api) == 3
    assert api("GET", NAMES)[1] == {"customAggregationUnits": ["a", "b", "A"]}


def test_what_was_refused_counts_not(api: Any, hanako: Person) -> None:
    key = "00000000-0000-0000-0000-000000000001"
    assert (push(api, hanako, "a", key), push(api, hanako, "b", key), push(api, hanako, "花")) == (200, 409, 400)
    assert used(api) == 1


def test_the_month_is_that_of_japan(api: Any, line: LineSimulator, hanako: Person) -> None:
    line.clock.set(datetime(2031, 1, 31, 23, 59, tzinfo=TOKYO).timestamp())
    push(api, hanako, "a")
    assert used(api) == 1
    line.clock.advance(120)
    assert used(api) == 0
    assert api("GET", NAMES)[1] == {"customAggregationUnits": []}


def test_the_1001st_name_is_silently_ignored(api: Any, line: LineSimulator, hanako: Person) -> None:
    for number in range(1001):
        assert push(api, hanako, f"u{number}") == 200
    assert used(api) == 1000
    page = api("GET", NAMES)[1]
    names = list(page["customAggregationUnits"])
    assert len(names) == 100
    while "next" in page:
        page = api("GET", f"{NAMES}?start={page['next']}")[1]
        names += page["customAggregationUnits"]
    assert names == [f"u{number}" for number in range(1000)]


def test_pages_and_their_tokens(api: Any, line: LineSimulator, hanako: Person) -> None:
    for unit in "abc":
        push(api, hanako, unit)
    first = api("GET", NAMES + "?limit=2")[1]
    assert first["customAggregationUnits"] == ["a", "b"]
    target = f"{NAMES}?limit=2&start={first['next']}"
    assert api("GET", target)[1] == {"customAggregationUnits": ["c"]}
    assert api("GET", f"/v2/bot/followers/ids?start={first['next']}")[0] == 400
    line.clock.advance(86_300)
    assert api("GET", target)[0] == 200
    line.clock.advance(200)
    assert api("GET", target)[:2] == (400, {"message": "Invalid start param"})


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "limit=", "limit=-1", "limit=²", "limit=" + "9" * 6000])
def test_wrong_limits(api: Any, query: str) -> None:
    assert api("GET", f"{NAMES}?{query}")[0] == 400


@pytest.mark.parametrize("token", ["", "x", "bmV4dA==", "dW5pdHM6LTU6MA==", "é", "=", "dW5pdHM6wrI6MA=="])
def test_wrong_tokens(api: Any, token: str) -> None:
    assert api("GET", f"{NAMES}?start={token}")[:2] == (400, {"message": "Invalid start param"})


def test_names_belong_to_one_account(api: Any, line: LineSimulator, hanako: Person, caller: Any) -> None:
    push(api, hanako, "a")
    assert used(caller(line, line.channel("果物屋"))) == 0


def test_units_may_need_an_application(caller: Any) -> None:
    with LineSimulator(settings=Settings(units_corporate_only=True)) as line:
        shop: Channel = line.channel("花屋")
        hanako = line.person("花子")
        hanako.follow(shop)
        api = caller(line, shop)
        assert (api("GET", INFO)[0], api("GET", NAMES)[0], push(api, hanako, "a")) == (403, 403, 403)
        assert api.push(hanako.user_id(shop))[0] == 200

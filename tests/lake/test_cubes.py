"""What happened day by day is what the tables of the lake hold, counted by hand."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chalicelib.entrypoints import workers
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.windows import local_date
from chalicelib.lake.audiences import Audiences
from chalicelib.lake.cubes import CUBES, Cubes
from chalicelib.lake.questions import Questions
from chalicelib.lake.reader import Reader
from tests.builders import make_stage
from tests.fakes.outside import FakeFiles
from tests.lake.base_files import put_lake

TODAY = date(2026, 11, 22)
Row = dict[str, Any]
Ask = Callable[..., list[Row]]


@pytest.fixture
def files() -> FakeFiles:
    return FakeFiles()


@pytest.fixture
def made(files: FakeFiles, tmp_path: Path) -> Ask:
    """Put tables into the lake, make a cube of them, and return its rows."""
    cubes = Cubes(files)
    questions = Questions(Reader(files, tmp_path / "lake"), Audiences(files), cubes)

    def ask(cube: str, until: date = TODAY, **tables: list[Row]) -> list[Row]:
        put_lake(files, {"customer": [{"cid": 1}], **tables})
        questions._reader.forget()
        month = (until - timedelta(days=1)).isoformat()
        while month:
            month = questions.ask({"op": "cube", "cube": cube, "month": month, "until": until.isoformat()})["next"]
        return cubes.of(cube, TODAY - timedelta(days=400), TODAY)

    return ask


def some_days(seed: int) -> list[date]:
    rng = random.Random(seed)
    return [TODAY - timedelta(days=rng.choice((0, 1, 2, 30, 31, 365))) for _ in range(200)]


def test_acts_and_people_are_counted_by_day_kind_link_and_evidence(made: Ask) -> None:
    rng = random.Random(1)
    events = [
        {
            "cid": rng.randint(1, 5), "id": f"e{number}", "day": day, "kind": rng.choice(("clicked", "custom", "visited")),
            "name": rng.choice(("a", "b")), "link": rng.choice((None, "l")), "evidence": rng.choice(("A", "C")), "account": "main",
        }
        for number, day in enumerate(some_days(1))
    ]  # fmt: skip
    expected: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for event in events:
        if event["day"] < TODAY:
            name = event["name"] if event["kind"] == "custom" else None
            expected[event["day"].isoformat(), event["kind"], name, event["link"], event["evidence"]].append(event["cid"])
    found = {
        (row["day"], row["kind"], row["name"], row["link"], row["evidence"]): (row["acts"], row["people"])
        for row in made("act", event=events)
    }
    assert found == {key: (len(cids), len(set(cids))) for key, cids in expected.items()}


def orders() -> list[Row]:
    rng = random.Random(2)
    rows = []
    for number, day in enumerate(some_days(2)):
        cid, shop, amount = rng.randint(1, 5), rng.choice((None, "渋谷店")), rng.randint(100, 9000)
        for line in range(rng.randint(1, 3)):
            rows.append({
                "cid": cid, "order_no": f"n{number}", "line": line, "day": day, "shop": shop, "amount_yen": amount,
                "product": rng.choice(("ピアス", "指輪")), "quantity": rng.randint(1, 3), "yen": 10, "is_first": number < 5,
            })  # fmt: skip
    return rows


def test_an_order_is_a_sale_once_however_many_lines_it_has(made: Ask) -> None:
    rows = orders()
    past = [row for row in rows if row["day"] < TODAY and row["line"] == 0]
    found = made("sale", purchase=rows)
    assert sum(row["yen"] for row in found) == sum(row["amount_yen"] for row in past)
    assert sum(row["orders"] for row in found) == len(past)
    assert sum(row["first_orders"] for row in found) == sum(row["is_first"] for row in past)
    assert {(row["day"], row["shop"]) for row in found} == {(row["day"].isoformat(), row["shop"]) for row in past}


def test_products_are_counted_by_their_lines(made: Ask) -> None:
    rows = orders()
    found = made("product", purchase=[*rows, {"cid": 9, "order_no": "x", "line": 0, "day": TODAY - timedelta(days=1)}])
    expected: Counter[tuple[str, str]] = Counter()
    numbers = defaultdict(set)
    for row in rows:
        if row["day"] < TODAY:
            expected[row["day"].isoformat(), row["product"]] += row["quantity"]
            numbers[row["day"].isoformat(), row["product"]].add(row["order_no"])
    told: Counter[tuple[str, str]] = Counter()
    for row in found:
        told[row["day"], row["product"]] += row["quantity"]
    assert told == expected
    assert {(row["day"], row["product"]): row["orders"] for row in found} == {key: len(each) for key, each in numbers.items()}


def test_messages_responses_and_ways_stand_under_their_japanese_day(made: Ask) -> None:
    late = datetime(2026, 11, 20, 15, 0)  # noqa: DTZ001 - the lake's instants have no zone: midnight of the 21st in Japan
    sent = [{"kind": "cmp", "id": "cmp_1", "node": "", "cid": cid, "at": late} for cid in (1, 2)]
    assert made("message", received=sent) == [{"day": "2026-11-21", "kind": "cmp", "id": "cmp_1", "node": "", "people": 2}]
    reacted = [{**sent[0], "link": "l", "evidence": "B"}]
    assert [(row["day"], row["evidence"], row["people"]) for row in made("response", reaction=reacted)] == [("2026-11-21", "B", 1)]
    runs = [
        {"cid": 1, "id": "a", "scenario": "s", "version": 1, "status": "active", "entered_at": late},
        {"cid": 2, "id": "b", "scenario": "s", "version": 1, "status": "done", "reason": "bought", "entered_at": late,
         "ended_at": late + timedelta(hours=10)},
        {"cid": 3, "id": "c", "scenario": "s", "version": 1, "status": "done", "reason": "bought", "entered_at": late,
         "ended_at": late + timedelta(days=1)},
    ]  # fmt: skip
    found = {(row["day"], row["step"], row["outcome"]): row["runs"] for row in made("way", enrollment=runs)}
    assert found == {("2026-11-21", "entered", None): 3, ("2026-11-21", "done", "bought"): 1}


def test_how_many_there_are_is_kept_for_every_day_on_which_it_was_counted(made: Ask) -> None:
    people = [{"cid": cid, "known": cid < 3, "line_reachable": cid == 1} for cid in range(1, 5)]
    friends = [
        {"account": "main", "cid": 1, "state": "following", "reachable": True},
        {"account": "main", "cid": 2, "state": "blocked"},
    ]
    made("standing", TODAY - timedelta(days=1), customer=people[:1], friend=[])
    found = made("standing", customer=people, friend=friends)
    assert [(row["day"], row["account"], row["people"], row["known"], row["line"], row["blocked"]) for row in found] == [
        ("2026-11-20", None, 1, 1, 1, None),
        ("2026-11-21", None, 4, 2, 1, None),
        ("2026-11-21", "main", 2, 2, 1, 1),
    ]


def test_what_is_no_longer_so_is_gone_and_what_stays_is_not_written_again(made: Ask, files: FakeFiles) -> None:
    event = {"cid": 1, "id": "e", "day": date(2026, 9, 1), "kind": "clicked"}
    assert len(made("act", event=[event, {**event, "day": date(2026, 10, 1)}])) == 2
    written = dict(files.kept)
    assert [row["day"] for row in made("act", event=[event])] == ["2026-09-01"]
    assert files.kept["lake/cube/act/2026-09.json"] is written["lake/cube/act/2026-09.json"]
    assert files.kept["lake/cube/act/2026-10.json"] == b""


def test_a_day_that_cannot_be_right_makes_no_steps(made: Ask, files: FakeFiles) -> None:
    event = {"cid": 1, "id": "e", "day": date(202, 9, 1), "kind": "clicked"}
    assert len(made("act", event=[event, {**event, "day": date(2026, 10, 1)}])) == 1
    assert "lake/cube/act/1989-12.json" not in files.kept


def test_every_night_every_cube_is_ordered_and_made(tables: str) -> None:
    stage = make_stage()
    workers.tick({"kind": "plan"}, stage.world)
    steps = [step for step in (json.loads(body) for body, _ in stage.work.messages) if step["op"] == "cube"]
    assert {step["cube"] for step in steps} == set(CUBES)
    today = local_date(stage.clock.now())
    days = [today - timedelta(days=number) for number in (0, 1, 70)]
    put_lake(stage.files, {
        "customer": [{"cid": 1}], "event": [{"cid": 1, "id": str(day), "day": day, "kind": "message"} for day in days],
    })  # fmt: skip
    for step in steps:
        while step:
            step, *_ = [*workers.do(step, stage.world), None]  # noqa: PLW2901 - each step names the one after it
    told = stage.world.cubes.of("act", days[-1], today)
    assert [row["day"] for row in told] == [days[2].isoformat(), days[1].isoformat()]
    assert stage.world.cubes.of("standing", days[1], days[1])[0]["people"] == 1


def test_three_years_at_once_are_too_many(files: FakeFiles) -> None:
    with pytest.raises(InvalidError, match=r"lake\.too_many_days"):
        Cubes(files).of("act", date(2024, 1, 1), date(2026, 1, 1))

"""A stage whose people and enrollments live in memory, so that a crash can come at every single step, and how to tell of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import count
from typing import Any

from chalicelib.settings import settings
from tests.builders import Stage, make_stage
from tests.fakes.database import FakeDatabase
from tests.rooms.journey import NOON


class Crash(Exception):
    """The process is gone."""


def make_memory_stage() -> Stage:
    made = make_stage()
    made.world.__dict__["database"] = FakeDatabase()
    made.clock.set(NOON)
    return made


def database(stage: Stage) -> FakeDatabase:
    found = stage.world.database
    assert isinstance(found, FakeDatabase)
    return found


def people(stage: Stage, *numbers: int, **profile: Any) -> None:
    items = [
        {"pk": f"C#{n}", "sk": "P", "member_no": f"M{n}", "created_at": "2026-01-01T00:00:00.000Z", **profile} for n in numbers
    ]
    stage.world.database.put_many(settings().core_table, items)


def inside(stage: Stage, scenario_id: str) -> set[int]:
    """Return who has entered a scenario, after a look whether the cohort that he waits for would find him."""
    kept = database(stage).items(settings().engine_table)
    rows = [item for (_, sk), item in kept.items() if sk.startswith(f"ENR#{scenario_id}#")]
    hints = {(pk.rpartition("#")[0], item["row_pk"], item["row_sk"]) for (pk, _), item in kept.items() if "row_pk" in item}
    assert {(f"COH#{item['cohort']}", item["pk"], item["sk"]) for item in rows} <= hints
    return {int(item["cid"]) for item in rows}


def look(stage: Stage, scenario_id: str, at: datetime) -> None:
    """Let a scenario look for people at an instant, all parts of it."""
    stage.clock.set(max(at, stage.clock.now()))
    part: int | None = 0
    while part is not None:
        part = stage.world.entries.by_schedule(scenario_id, at, part)


def crashes(stage: Stage, act: Callable[[], object]) -> Iterator[int]:
    """Yield after each death of an act at one more of its steps, every time from the same beginning."""
    start, files, started = database(stage).clone(), dict(stage.files.kept), dict(stage.machines.started)
    for number in count():
        database(stage).tables = start.clone().tables
        stage.files.kept, stage.machines.started = dict(files), dict(started)
        steps = count()

        def step(_: str, steps: Iterator[int] = steps, number: int = number) -> None:
            if next(steps) == number:
                raise Crash

        database(stage).step = step
        try:
            act()
        except Crash:
            database(stage).step = None
            yield number
        else:
            database(stage).step = None
            assert number > 20
            return

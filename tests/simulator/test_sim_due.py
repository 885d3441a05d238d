"""What falls due happens in order, each at its own virtual instant, however the clock is moved."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from line_simulator import LineSimulator, Person
from line_simulator.exchange import Request


def test_a_jump_lives_through_all_that_is_due_in_order(line: LineSimulator, hanako: Person, shop: Any) -> None:
    start, due, seen = line.clock.time(), line.world.due, []

    def note(name: str) -> None:
        seen.append((name, round(line.clock.time() - start)))
        if name == "b":
            due.at(start + 150, lambda: note("caused by b"))
            due.at(start, lambda: note("cannot be before b"))

    for name, seconds in (("c", 300), ("b", 100), ("a", 50), ("never", 9000)):
        due.at(start + seconds, lambda name=name: note(name))  # type: ignore[misc]
    due.at(start + 200, lambda: line.people.postback(hanako.record, shop, "x"))
    line.clock.advance(1000)
    assert seen == [("a", 50), ("b", 100), ("cannot be before b", 100), ("caused by b", 150), ("c", 300)]
    event = json.loads(line.webhooks[-1].body)["events"][0]
    assert event["timestamp"] == int((start + 200) * 1000)
    assert line.clock.time() - start >= 1000
    assert line.status()["next_due"] == start + 9000


def test_a_request_finds_the_world_as_it_should_be_by_then(line: LineSimulator) -> None:
    seen: list[int] = []
    line.world.due.at(line.clock.time() - 1, lambda: seen.append(1))
    line.handle(Request("GET", "/_sim/status"))
    assert seen == [1]


def test_time_that_goes_by_needs_nobody_to_ask(line: LineSimulator) -> None:
    happened = threading.Event()
    line.clock.set_scale(1000)
    line.world.due.at(line.clock.time() + 60, happened.set)
    assert happened.wait(5)


def test_a_clock_that_another_process_moves_is_noticed(tmp_path: Path) -> None:
    file, happened = tmp_path / "clock.json", threading.Event()
    with LineSimulator(seed=1, clock_file=file) as line:
        line.world.due.at(line.clock.time() + 3600, happened.set)
        assert not happened.wait(0.02)
        moved = tmp_path / "new"
        moved.write_text(json.dumps({"virtual": line.clock.time() + 4000, "real": time.time(), "scale": 1.0}))
        moved.rename(file)
        assert happened.wait(5)


def test_a_failing_act_is_told_by_drain_and_stops_nothing(line: LineSimulator) -> None:
    seen: list[int] = []
    line.world.due.at(line.clock.time(), lambda: 1 / 0)  # type: ignore[arg-type, return-value]
    line.world.due.at(line.clock.time(), lambda: seen.append(1))
    with pytest.raises(ZeroDivisionError):
        line.drain()
    assert seen == [1]
    line.drain()


def test_a_reset_forgets_what_was_due(line: LineSimulator) -> None:
    line.world.due.at(line.clock.time() + 5, lambda: None)
    line.reset()
    assert line.status()["next_due"] is None


def test_who_runs_what_is_due_waits_for_another_who_does(line: LineSimulator) -> None:
    begun, done = threading.Event(), threading.Event()

    def slow() -> None:
        begun.set()
        time.sleep(0.05)
        done.set()

    line.world.due.at(line.clock.time(), slow)
    assert begun.wait(5)
    line.world.due.run()
    assert done.is_set()

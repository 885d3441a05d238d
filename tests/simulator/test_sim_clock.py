"""Virtual time: forwards only, shared through a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from line_simulator import Clock, ClockError, LineSimulator, Request
from line_simulator.world.clock import LATEST, parse_duration, parse_moment


@pytest.mark.parametrize(("text", "seconds"), [("20m", 1200), ("1h30m", 5400), ("2d", 172_800), (15, 15), ("0.5s", 0.5)])
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "20", "m20", True, None])
def test_what_is_no_duration(text: object) -> None:
    with pytest.raises(ClockError, match="is not a duration"):
        parse_duration(text)


def test_a_moment_needs_an_offset() -> None:
    assert parse_moment("2026-11-22T09:00:00+09:00") == 1795305600
    with pytest.raises(ClockError, match="has no UTC offset"):
        parse_moment("2026-11-22T09:00:00")


def test_time_never_goes_back() -> None:
    clock = Clock()
    before = clock.time()
    clock.advance(3600)
    assert clock.time() >= before + 3600
    with pytest.raises(ClockError, match="backwards"):
        clock.set(before)
    with pytest.raises(ClockError, match="backwards"):
        clock.advance(-1)
    with pytest.raises(ClockError, match="greater than zero"):
        clock.set_scale(0)


def test_time_can_run_faster() -> None:
    clock = Clock()
    clock.set_scale(1_000_000)
    first = clock.time()
    while clock.time() - first < 1000:
        pass


def test_two_clocks_share_a_file(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    one, two = Clock(file), Clock(file)
    one.advance(86_400)
    assert abs(one.time() - two.time()) < 1
    assert set(json.loads(file.read_text())) == {"virtual", "real", "scale"}
    assert [path.name for path in tmp_path.iterdir()] == ["clock.json"]


def test_a_broken_file_keeps_the_last_known_time(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    clock = Clock(file)
    clock.advance(86_400)
    before = clock.time()
    file.write_text("{")
    assert 0 <= clock.time() - before < 5


def test_the_simulator_writes_the_file_it_was_given(tmp_path: Path) -> None:
    file = tmp_path / "clock.json"
    with LineSimulator(clock_file=file) as line:
        line.clock.advance(1000)
        assert Clock(file).time() == pytest.approx(line.clock.time(), abs=1)


@pytest.mark.parametrize(
    ("move", "sentence"),
    [
        ({"advance": float("nan")}, "not endless"),
        ({"advance": float("inf")}, "not endless"),
        ({"advance": 10**400}, "not endless"),
        ({"advance": "9999999w"}, "beyond the year 2100"),
        ({"advance": "-5m"}, "is not a duration"),
        ({"advance": -5}, "backwards"),
        ({"set": "2026-01-01T00:00:00Z"}, "backwards"),
        ({"set": "9999-12-31T23:59:59+00:00"}, "beyond the year 2100"),
        ({"set": "tomorrow"}, "is not a time"),
        ({"scale": 0}, "greater than zero"),
        ({"scale": "60"}, "cannot be"),
        ({"scale": 1e300}, "at most"),
        ({"advance": "1h", "scale": "x"}, "cannot be"),
        ({}, "Say"),
        ({"jump": 1}, "Say"),
    ],
)
def test_impossible_moves_get_one_sentence_and_move_nothing(line: LineSimulator, move: dict[str, object], sentence: str) -> None:
    line.clock.set(1_798_761_600)
    response = line.handle(Request("POST", "/_sim/clock", "", {}, json.dumps(move).encode()))
    message = json.loads(response.body)["message"]
    assert (response.status, message.count("\n")) == (422, 0)
    assert sentence in message
    assert line.clock.time() < 1_798_761_700


def test_a_fast_clock_stops_at_its_end() -> None:
    clock = Clock()
    clock.set(LATEST - 1)
    clock.set_scale(10_000_000)
    for _ in range(1000):
        clock.now()
    assert clock.time() <= LATEST

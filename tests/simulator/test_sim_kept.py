"""What a data folder keeps, whatever it holds and however the simulator ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import typing
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import msgspec
import pytest

from line_simulator import LineSimulator, SimulatorError
from line_simulator.__main__ import main
from line_simulator.world.state import PARTS, State

ROOT = Path(__file__).parents[2]
PLAIN = {str: "あ\u2028😀", int: 7, float: 1.5, bool: True, bytes: b"\x00\xff", object: {"a": [1]}, Any: {"a": [1]}}


def sample(kind: Any) -> Any:
    """Return a value of this type in which nothing is empty."""
    if kind in PLAIN:
        return PLAIN[kind]
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return sample(next(one for one in inner if one is not NoneType))
    if origin is Literal:
        return inner[0]
    if origin is dict:
        return {sample(inner[0]): sample(inner[1])}
    if origin is tuple:
        return tuple(sample(one) for one in inner if one is not ...)
    if origin in (list, set, frozenset):
        return origin([sample(inner[0])])
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    if kind in (None, NoneType):
        return None
    if issubclass(kind, msgspec.Struct):
        return kind()
    assert is_dataclass(kind), kind
    hints = typing.get_type_hints(kind)
    return kind(**{one.name: sample(hints[one.name]) for one in fields(kind) if one.init})


def restarted(folder: Path, **options: Any) -> LineSimulator:
    return LineSimulator(data=folder, **options)


@pytest.mark.parametrize("name", sorted(PARTS))
def test_every_field_of_every_area_is_kept(tmp_path: Path, name: str) -> None:
    kind = PARTS[name]
    filled = sample(kind)
    assert all(getattr(filled, one.name) not in (one.default, MISSING) for one in fields(kind))
    line = LineSimulator(seed=1, data=tmp_path)
    line._snapshot.load()
    line.world.state.parts[kind] = filled
    line.stop()
    again = LineSimulator(seed=1, data=tmp_path)
    again._snapshot.load()
    assert again.world.part(kind) == filled
    again.stop()


def test_the_whole_state_is_kept(tmp_path: Path, caller: Any) -> None:
    with LineSimulator(seed=1, data=tmp_path) as line:
        shop, hanako, half = line.channel("花屋"), line.person("花子", age=30), line.person("\ud83d")
        for person in (hanako, half):
            person.follow(shop)
        group = line.group("家族", [hanako, half], shop)
        hanako.send(shop, {"type": "image"}, b"\x89PNG")
        half.say(shop, "半\udc00")
        caller(line, shop)("POST", f"/v2/bot/user/{hanako.user_id(shop)}/linkToken")
        caller(line, shop).push(hanako.user_id(shop), "a", "00000000-0000-4000-8000-000000000001")
        caller(line, shop).push(group.record.id, "b", "00000000-0000-4000-8000-000000000002")
        before = line.world.state
    with restarted(tmp_path) as line:
        after = line.world.state
        for one in fields(State):
            if one.name != "parts":
                assert getattr(after, one.name), f"{one.name} is not in this test"
                assert getattr(after, one.name) == getattr(before, one.name), one.name
        assert {kind: one for kind, one in after.parts.items() if kind in before.parts} == before.parts
        assert caller(line, line.channel("花屋")).push(group.record.id, "b", "00000000-0000-4000-8000-000000000002")[0] == 409


def test_a_reply_token_and_a_webhook_on_its_way_outlive_a_restart(tmp_path: Path, caller: Any, receiver: Any) -> None:
    with LineSimulator(seed=1, data=tmp_path) as line:
        shop, hanako = line.channel("花屋", "http://127.0.0.1:9/"), line.person("花子")
        line.fault("webhook_delay", seconds=3600)
        hanako.follow(shop)
        shop.webhook_url = receiver.url
    with restarted(tmp_path) as line:
        line.drain()
        (event,) = receiver.events
        assert event["deliveryContext"] == {"isRedelivery": False}
        assert caller(line, line.channel("花屋")).reply(event["replyToken"])[0] == 200
    with restarted(tmp_path) as line:
        line.drain()
        assert len(receiver.events) == 1


def test_a_failed_webhook_is_sent_again_as_a_redelivery(tmp_path: Path, receiver: Any) -> None:
    from line_simulator import Settings

    with LineSimulator(seed=1, data=tmp_path, settings=Settings(redelivery_delays=(3600.0,))) as line:
        shop = line.channel("花屋", "http://127.0.0.1:9/", redelivery=True)
        line.person("花子").follow(shop)
        while not line.webhooks[0].attempts:
            time.sleep(0.005)
        shop.webhook_url = receiver.url
    with restarted(tmp_path) as line:
        line.drain()
        assert [one["deliveryContext"] for one in receiver.events] == [{"isRedelivery": True}]


def test_the_same_seed_makes_no_id_twice(tmp_path: Path) -> None:
    made: list[str] = []
    for run in range(3):
        with LineSimulator(seed=1, data=tmp_path) as line:
            shop = line.channel(f"店{run}")
            made += [shop.id, shop.access_token, line.person(f"人{run}").user_id(shop)]
            assert len(line.world.state.channels) == len(line.world.state.people) == run + 1
    assert len(set(made)) == 9


def test_time_goes_on_from_where_it_was(tmp_path: Path) -> None:
    with LineSimulator(data=tmp_path) as line:
        line.clock.advance(1_000_000)
        line.clock.set_scale(1000)
        before = line.clock.time()
    with restarted(tmp_path) as line:
        assert before <= line.clock.time() < before + 60_000
        assert line.clock.scale == 1


def test_a_save_killed_in_the_middle_leaves_the_last_whole_file(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from line_simulator import LineSimulator
from line_simulator.world import snapshot
line = LineSimulator(seed=1, data=sys.argv[1]).start()
line.channel("花屋"); line._snapshot.save(); line.channel("本屋")
whole = snapshot._text
def half(*given):
    yield next(whole(*given)); os.kill(os.getpid(), signal.SIGKILL)
snapshot._text = half
line._snapshot.save()
"""
    killed = subprocess.run([sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, timeout=20)
    assert killed.returncode == -signal.SIGKILL
    with restarted(tmp_path) as line:
        assert [one.name for one in line.world.state.channels.values()] == ["花屋"]


BROKEN = [
    b"",
    b"{",
    b"[]",
    b"1",
    b"\xff\xfe",
    b'{"format": 1}',
    b'{"format": 2}',
    b'{"format": 2, "sequence": 0, "person_count": 0, "last_message": "x", "people": [{}]}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("content", BROKEN)
def test_a_file_that_cannot_be_understood_gets_one_sentence_and_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    file = tmp_path / "linesim.json"
    file.write_bytes(content)
    line = LineSimulator(data=tmp_path)
    with pytest.raises(ValueError, match="delete it to start anew"):
        line.start()
    line.stop()
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}
    assert main(["--port", "0", "--data", str(tmp_path)]) == 1
    for kind, handler in before.items():
        signal.signal(kind, handler)
    assert capsys.readouterr().err.count("\n") == 1
    assert file.read_bytes() == content


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with LineSimulator(data=tmp_path) as line:
        line.channel("花屋")
        with pytest.raises(SimulatorError, match="another simulator"):
            restarted(tmp_path).start()
    with restarted(tmp_path) as line:
        assert line.world.channel("花屋")


def unloaded(line: LineSimulator) -> None:
    line.stop()


def forked(line: LineSimulator) -> None:
    line.start()
    line.reset()
    child = os.fork()
    if child == 0:
        line.channel("子")
        line.stop()
        os._exit(0)
    deadline = time.monotonic() + 10
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        assert time.monotonic() < deadline, "stop() waits for ever in a forked process"
        time.sleep(0.01)
    line.channel("花屋")
    line.stop()


@pytest.mark.parametrize("misuse", [unloaded, forked])
def test_what_is_kept_is_not_overwritten_by_who_never_read_it(tmp_path: Path, misuse: Callable[[LineSimulator], None]) -> None:
    with LineSimulator(data=tmp_path) as line:
        line.channel("花屋")
    misuse(LineSimulator(data=tmp_path))
    assert [one["name"] for one in json.loads((tmp_path / "linesim.json").read_bytes())["channels"]] == ["花屋"]


def test_a_folder_that_cannot_be_written_any_more_gets_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = restarted(tmp_path).start()
    (tmp_path / "linesim.tmp").mkdir()
    line.channel("花屋")
    line.stop()
    assert capsys.readouterr().err.count("cannot be written") == 1


def test_make_up_names_the_way_out_of_old_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from local import up
    from local.child import LocalError
    from local.stack import free_ports

    monkeypatch.setattr(up, "DATA", tmp_path)
    monkeypatch.setenv("ENISHI_LINE_PORT", str(free_ports(1)[0]))
    (tmp_path / "line").mkdir()
    (tmp_path / "line" / "linesim.json").write_text('{"format": 1}')
    run = up.Run()
    try:
        with pytest.raises(LocalError, match="run make reset"):
            run._start_line()
    finally:
        run.stop()

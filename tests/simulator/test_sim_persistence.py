"""What a simulator remembers between runs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from line_simulator import LineSimulator

KEY = str(uuid.UUID(int=5))


def test_people_channels_chats_and_keys_survive(tmp_path: Path, caller: Any) -> None:
    with LineSimulator(seed=1, data=tmp_path) as line:
        shop = line.channel("花屋", redelivery=True, monthly_limit=100)
        hanako, taro = line.person("花子"), line.person("太郎")
        for person in (hanako, taro):
            person.follow(shop)
        taro.block(shop)
        hanako.say(shop, "こんにちは")
        caller(line, shop).push(hanako.user_id(shop), "😀", KEY)
        caller(line, shop).multicast([hanako.user_id(shop)])
        before = (shop, hanako.user_id(shop), hanako.inbox(shop))
    with LineSimulator(seed=2, data=tmp_path) as line:
        shop = line.channel("花屋")
        hanako, taro = line.person("花子"), line.person("太郎")
        assert (shop, hanako.user_id(shop), hanako.inbox(shop)) == before
        assert (hanako.status(shop), taro.status(shop)) == ("friend", "blocked")
        assert caller(line, shop).push(hanako.user_id(shop), "😀", KEY)[0] == 409
        assert caller(line, shop)("GET", "/v2/bot/message/quota/consumption")[1] == {"totalUsage": 2}
        assert int(caller(line, shop).push(hanako.user_id(shop))[1]["sentMessages"][0]["id"]) > int(before[2][-1].id)
        assert line.invariants().ok


def test_a_turned_clock_stays_ahead(tmp_path: Path) -> None:
    with LineSimulator(seed=1, data=tmp_path) as line:
        line.clock.advance(86_400)
        turned = line.clock.time()
    with LineSimulator(seed=1, data=tmp_path) as line:
        assert turned <= line.clock.time() < turned + 60


def test_a_file_of_another_version_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "linesim.json"
    file.write_text('{"format": 99}')
    with pytest.raises(ValueError, match="another version"):
        LineSimulator(data=tmp_path).start()
    assert json.loads(file.read_text()) == {"format": 99}


def test_the_command_keeps_its_data_when_terminated(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "line_simulator", "--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]) as process:
        assert process.stdout is not None
        assert "LINE simulator on http://127.0.0.1:" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert (tmp_path / "linesim.json").exists()

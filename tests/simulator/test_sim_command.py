"""The simulator from the command line: what it prints, and what it says when it cannot start."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from line_simulator.__main__ import main

ROOT = Path(__file__).parents[2]
Run = Callable[..., tuple[int, str]]
COMMAND = [sys.executable, "-m", "line_simulator"]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Call the command in this process, where it must end by itself: its exit status and what it says of the reason."""
    before = {kind: signal.getsignal(kind) for kind in (signal.SIGINT, signal.SIGTERM)}

    def call(*arguments: str) -> tuple[int, str]:
        try:
            status: object = main(list(arguments))
        except SystemExit as ended:
            status = ended.code
        assert isinstance(status, int)
        return status, capsys.readouterr().err

    yield call
    for kind, handler in before.items():
        signal.signal(kind, handler)


def test_a_bot_in_one_command() -> None:
    arguments = ["--port", "0", "--channel", "花屋", "--webhook", "http://127.0.0.1:9/callback", "--person", "花子"]
    with subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        text = ""
        while "friend 花子" not in text:
            row = running.stdout.readline().decode()
            assert row, running.stderr.read().decode()
            text += row
        found = re.search(r"LINE simulator on (http://127\.0\.0\.1:\d+)", text)
        assert found is not None
        token = re.search(r"access token +(\S+)", text)
        assert token is not None
        assert text.count(token[1]) == 4
        assert f"export LINE_API={found[1]} LINE_CHANNEL_SECRET=" in text
        headers = {"Authorization": f"Bearer {token[1]}"}
        with urllib.request.urlopen(urllib.request.Request(found[1] + "/v2/bot/info", headers=headers), timeout=5) as answer:
            assert json.loads(answer.read())["displayName"] == "花屋"
        with urllib.request.urlopen(
            urllib.request.Request(found[1] + "/v2/bot/followers/ids", headers=headers), timeout=5
        ) as answer:
            assert json.loads(answer.read())["userIds"][0] in text
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == 0
        assert running.stderr.read() == b""


def test_a_taken_port(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, text = run("--port", str(taken.getsockname()[1]))
    assert status == 1
    assert "ポート" in text
    assert "cannot be used" in text


def test_a_folder_serves_one_simulator(run: Run, tmp_path: Path) -> None:
    arguments = ["--port", "0", "--data", str(tmp_path)]
    with subprocess.Popen([*COMMAND, *arguments], cwd=ROOT, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        running.stdout.readline()
        status, text = run(*arguments)
        assert (status, text.count("\n")) == (1, 1)
        assert "another simulator uses the folder" in text
        running.send_signal(signal.SIGINT)
        assert running.wait(10) == 0


def test_more_webhooks_than_accounts(run: Run) -> None:
    status, text = run("--port", "0", "--channel", "花屋", "--webhook", "http://127.0.0.1:9/a", "--webhook", "http://127.0.0.1:9/b")
    assert (status, text.count("\n")) == (1, 1)
    assert "more --webhook than --channel" in text


@pytest.mark.parametrize("url", ["localhost:3000/callback", "ftp://127.0.0.1/a", "http://"])
def test_an_address_that_is_none(run: Run, url: str) -> None:
    status, text = run("--port", "0", "--webhook", url)
    assert status == 1
    assert "begins with http:// or https://" in text


@pytest.mark.parametrize(
    ("kept", "sentence"), [('{"format": 1}', "cannot be read"), ("[]", "cannot be read"), ("{", "cannot be read")]
)
def test_a_folder_of_another_format_stays_as_it_is(run: Run, tmp_path: Path, kept: str, sentence: str) -> None:
    (tmp_path / "linesim.json").write_text(kept)
    status, text = run("--port", "0", "--data", str(tmp_path))
    assert (status, text.count("\n")) == (1, 1)
    assert sentence in text
    assert (tmp_path / "linesim.json").read_text() == kept


def test_places_that_cannot_be_used(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("no clock")
    for arguments, sentence in (
        (["--data", str(file)], "cannot be written"),
        (["--clock-file", str(file)], "in JSON; delete it"),
        (["--clock-file", "/proc/nowhere/clock"], "cannot be written"),
    ):
        status, text = run("--port", "0", *arguments)
        assert (status, text.count("\n")) == (1, 1)
        assert sentence in text


@pytest.mark.parametrize(
    "arguments", [["--colour"], ["--port", "99999"], ["--port", "x"], ["--channel", ""], ["--multicast-foreign-id", "5"]]
)
def test_wrong_arguments(run: Run, arguments: list[str]) -> None:
    status, text = run(*arguments)
    assert (status, text.count("\n")) == (2, 1)
    assert "引数が正しくありません" in text

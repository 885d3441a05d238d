"""`make up`: the whole product on this machine in one command, with a phone to hold and data to look at; Ctrl-C ends it.

Ports come from ENISHI_AWS_PORT, ENISHI_HOST_PORT, ENISHI_LINE_PORT and ENISHI_VIEWER_PORT; data is kept in .local/.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

from local.child import ROOT, Child, LocalError, wait_until_alive
from local.stack import LocalStack, Ports, answers, require_free
from local.time_machine import TimeMachine
from local.viewer import Link, Outbox, Viewer

DATA = ROOT / ".local"
_PORTS = {"ENISHI_AWS_PORT": 4700, "ENISHI_HOST_PORT": 4701, "ENISHI_LINE_PORT": 4702, "ENISHI_VIEWER_PORT": 4703}


def port(variable: str) -> int:
    """Return the port that a variable sets, or its default. Raises LocalError when it is not one."""
    text = os.environ.get(variable, "") or str(_PORTS[variable])
    if not text.isdigit() or not 1024 <= int(text) <= 65535:
        raise LocalError(f"{variable} は 1024〜65535 の数字にしてください / must be a port number, not {text!r}.")
    return int(text)


def started_at(pid: int) -> str:
    """Return when a process started, in the system's own ticks; nothing when it does not run (or /proc is not there)."""
    try:
        # The second field is the command in brackets and may hold blanks (man 5 proc): count from behind it.
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


class PidFile:
    """Says who runs here. A process that took over the number of a dead one has another start time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def claim(self) -> None:
        """Write ourselves down. Raises LocalError when an earlier run still lives."""
        other = self.running()
        if other:
            raise LocalError(
                f"既に動いています（PID {other}）。その端末で Ctrl-C を押すか、kill {other} を実行してください / "
                f"already running: press Ctrl-C there or run kill {other}."
            )
        self._path.parent.mkdir(parents=True, exist_ok=True)
        pid = os.getpid()
        self._path.write_text(json.dumps({"pid": pid, "started": started_at(pid)}), encoding="utf-8")

    def running(self) -> int:
        """Return the number of an earlier run that still lives, or 0."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            pid, started = int(data["pid"]), str(data["started"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        return pid if started and started == started_at(pid) else 0

    def release(self) -> None:
        """Forget who ran."""
        self._path.unlink(missing_ok=True)


class Run:
    """One run of `make up`, from the first process to the last."""

    def __init__(self) -> None:
        self.line_url = f"http://127.0.0.1:{port('ENISHI_LINE_PORT')}"
        ports = Ports(port("ENISHI_AWS_PORT"), port("ENISHI_HOST_PORT"))
        self.stack = LocalStack(DATA / "stack", ports, persist=True, quiet=False, line_url=self.line_url)
        self._line: Child | None = None
        self._viewer: Viewer | None = None

    def start(self) -> None:
        """Start everything and print where it is."""
        require_free(port("ENISHI_LINE_PORT"), "LINE simulator", "ENISHI_LINE_PORT")
        require_free(port("ENISHI_VIEWER_PORT"), "viewer", "ENISHI_VIEWER_PORT")
        kept = (DATA / "stack" / "deployed").exists()
        try:
            self.stack.start()
        except LocalError as error:
            if not kept:
                raise
            # A run that was killed may have left the emulator's own files half written.
            raise LocalError(
                f"{error}\n保存データが壊れているかもしれません。make reset で消去してから起動してください / "
                "the data kept here may be damaged: forget it with make reset and start again."
            ) from error
        self._start_line()
        seeded = self._seed()
        self._start_viewer(seeded)
        print(self._table(seeded), flush=True)

    def stop(self) -> None:
        """Stop everything in the reverse order."""
        if self._viewer:
            self._viewer.stop()
        if self._line:
            self._line.stop(patience_seconds=2.0)
        self.stack.stop()

    def dead_part(self) -> str:
        """Return the name of a part that died by itself, or nothing."""
        if not self.stack.is_alive():
            return "AWS"
        return "LINE simulator" if self._line and not self._line.is_alive() else ""

    def _start_line(self) -> None:
        arguments = ["--port", str(port("ENISHI_LINE_PORT")), "--clock-file", str(self.stack.clock_path)]
        arguments += ["--data", str(DATA / "line")]
        self._line = Child(
            "LINE simulator", "line_simulator", arguments, dict(os.environ), self.stack.data_dir / "logs" / "line.log"
        )
        self._line.start()
        try:
            wait_until_alive(self._line, lambda: answers(self.line_url + "/_sim/status"), 30.0)
        except LocalError as error:
            if "linesim.json" not in str(error):
                raise
            raise LocalError(
                "LINEの保存データを読めません（別の版の形式です）。make reset で消去してから起動してください / "
                "the LINE data kept here is of another version: run make reset, which forgets it, and start again."
            ) from None

    def _seed(self) -> dict[str, Any]:
        """Give a fresh installation something to look at; local/seed.py knows what is there already."""
        if importlib.util.find_spec("local.seed") is None:
            return {}
        seed: Any = importlib.import_module("local.seed")
        started = time.monotonic()
        found = seed.seed(self.stack, self.line_url) or {}
        print(f"  {time.monotonic() - started:5.1f} s  デモデータ / demo data", flush=True)
        return dict(found)

    def _start_viewer(self, seeded: dict[str, Any]) -> None:
        machine = TimeMachine(self.stack.endpoint, self.stack.clock_path, self.line_url)
        outbox = Outbox(self.stack.endpoint, self.stack.client("s3"), self.stack.outputs["FilesBucket"])
        links = [Link(title, url) for title, url in self._addresses(seeded)]
        self._viewer = Viewer(port("ENISHI_VIEWER_PORT"), outbox, machine, self.stack.clock_path, links)
        self._viewer.start()

    def _addresses(self, seeded: dict[str, Any]) -> list[tuple[str, str]]:
        named = [
            ("LINEの画面 / phone", self.line_url + "/_phone"),
            ("API仕様 / API description", self.stack.api_url + "/v1/openapi.json"),
        ]
        return named + [(str(title), str(url)) for title, url in seeded.get("addresses", [])]

    def _table(self, seeded: dict[str, Any]) -> str:
        rows = [
            *self._addresses(seeded),
            ("メール・SMS・時計 / mail, SMS, clock", self._viewer.url + "/" if self._viewer else ""),
        ]
        rows += [(str(title), str(text)) for title, text in seeded.get("notes", [])]
        wide = max(_columns(title) for title, _ in rows)
        lines = [f"  {title}{' ' * (wide - _columns(title))}  {text}" for title, text in rows]
        return "\n".join(
            ["", *lines, "", "  終了は Ctrl-C（データは残ります） / Ctrl-C stops, data is kept. make reset で消去 / forgets.", ""]
        )


def _columns(text: str) -> int:
    """Return the width in a terminal: Japanese characters take two columns."""
    return sum(2 if ord(character) > 0x2E80 else 1 for character in text)


def reset() -> None:
    """Forget all local data. Raises LocalError while a run lives."""
    other = PidFile(DATA / "up.pid").running()
    if other:
        raise LocalError(f"動作中です。先に Ctrl-C で止めてください（PID {other}）/ running: stop it first (kill {other}).")
    for name in ("stack", "line", "up.pid"):
        path = DATA / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    print("  ローカルのデータを消しました / local data is gone")


def up() -> None:
    """Run until Ctrl-C or SIGTERM. Raises LocalError when a part cannot start or dies."""
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        if ended.is_set():
            raise SystemExit(1)  # a second Ctrl-C: the children notice that we are gone and stop by themselves
        ended.set()
        if not running:
            raise KeyboardInterrupt

    running: list[bool] = []
    signal.signal(signal.SIGINT, end)
    signal.signal(signal.SIGTERM, end)
    pid_file = PidFile(DATA / "up.pid")
    run = Run()
    pid_file.claim()
    try:
        started = time.monotonic()
        print("  縁 Enishi を起動しています / starting", flush=True)
        run.start()
        print(f"  {time.monotonic() - started:.1f} s で起動しました / up", flush=True)
        running.append(True)
        while not ended.wait(1.0):
            dead = run.dead_part()
            if dead:
                raise LocalError(f"{dead} が終了しました。ログ: {run.stack.data_dir / 'logs'} / stopped by itself: see its log.")
    finally:
        print("\n  終了しています / stopping", flush=True)
        run.stop()
        pid_file.release()


def main() -> None:
    """Start, or with --reset forget."""
    parser = argparse.ArgumentParser(description="Run Enishi on this machine.")
    parser.add_argument("--reset", action="store_true", help="forget the data kept here")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # nobody's real account is touched from here
    try:
        if options.reset:
            reset()
        else:
            up()
    except LocalError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()

"""Child processes that never outlive their parent: `python -m local.child MODULE ARGUMENTS…` runs a module under that promise."""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

ROOT = Path(__file__).resolve().parent.parent


class ReadyTest(Protocol):
    """A question that is cheap to ask often."""

    def __call__(self) -> bool:
        """Say whether it is so."""
        ...


class LocalError(Exception):
    """Something on this machine is in the way; the text is one sentence that says what to do."""


class Child:
    """One child process with its log file; when this process dies, however it dies, the child gets SIGTERM."""

    def __init__(self, name: str, module: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        self._command = [sys.executable, "-m", "local.child", module, *arguments]
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; its output goes to the log file."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                self._command,
                env=self._environment,
                cwd=ROOT,
                stdin=subprocess.PIPE,  # never written: its end of file tells the child that we are gone
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is for us; we stop the children in order
            )

    def is_alive(self) -> bool:
        """Say whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def ask_to_stop(self) -> None:
        """Send SIGTERM without waiting."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def stop(self, patience_seconds: float = 5.0) -> None:
        """Stop the process: SIGTERM, then SIGKILL when it is not gone in time."""
        if self._process is None:
            return
        self.ask_to_stop()
        try:
            self._process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._close()

    def kill(self) -> None:
        """Kill the process without warning (tests of crashes do this)."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._close()

    def last_words(self, lines: int = 3) -> str:
        """Return the end of the log on one line, for an error message."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return " / ".join(line.strip() for line in text.strip().splitlines()[-lines:])

    def _close(self) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()


def wait_until_alive(child: Child, is_ready: ReadyTest, timeout_seconds: float) -> None:
    """Wait until `is_ready()`. Raises LocalError with the child's last words when it dies or the time is over."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        if not child.is_alive():  # asked first: whoever else answers there is not our child
            raise LocalError(f"{child.name} が起動できませんでした / did not start: {child.last_words()} ({child.log})")
        if time.monotonic() > deadline:
            raise LocalError(
                f"{child.name} が {timeout_seconds:.0f} 秒以内に応答しません / did not answer in time: see {child.log}"
            )
        if is_ready():
            return
        time.sleep(0.03)


def die_with_parent(pipe: IO[bytes]) -> None:
    """Send this process SIGTERM as soon as the parent's end of `pipe` closes."""

    def watch() -> None:
        while pipe.read(1024):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True, name="parent-watch").start()


def main() -> None:
    """Run the module named on the command line as `python -m` would."""
    die_with_parent(os.fdopen(os.dup(0), "rb", buffering=0))
    module = sys.argv[1]
    sys.argv = sys.argv[1:]
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

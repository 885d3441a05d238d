"""Moves the virtual clock: waits until all is quiet, jumps to the next thing that is due, and so on to the instant asked for.

Jumping straight to the end would be wrong: what happens on day three schedules what happens on day five.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.child import LocalError
from local.clock import FileClock, set_clock

_BETWEEN_READS_SECONDS = 0.03
_LONGEST_PAUSE_SECONDS = 0.2
_PAST_DUE_SECONDS = 0.001  # just past the due instant, so that rounding cannot leave it a microsecond ahead
Fetch = Callable[[str], Mapping[str, Any]]


class TimeMachine:
    """Knows MiniStack's and the LINE simulator's status pages and the clock file.

    endpoint: of MiniStack. line_url: of the simulator, or nothing when none runs. scale: how fast the clock runs between
    jumps; next to nothing makes a run repeatable, however long the machine takes.
    """

    def __init__(
        self, endpoint: str, clock_path: Path | str, line_url: str = "", fetch: Fetch | None = None, scale: float = 1.0
    ) -> None:
        self._status_url = endpoint + "/_enishi/status"
        self._line_status_url = line_url + "/_sim/status" if line_url else ""
        self._clock_path = Path(clock_path)
        self._clock = FileClock(clock_path)
        self._fetch = fetch or _fetch
        self._scale = scale

    def now(self) -> datetime:
        """Return the virtual instant."""
        return self._clock.now()

    def status(self) -> Mapping[str, Any]:
        """Return MiniStack's status page."""
        return self._fetch(self._status_url)

    def settle(self, timeout_seconds: float = 60.0) -> None:
        """Wait until nothing is in flight and nothing is due. Raises LocalError that says what would not come to rest."""
        deadline = time.monotonic() + timeout_seconds
        pause = _BETWEEN_READS_SECONDS
        previous: tuple[int, str] | None = None
        while True:
            status, line = self._read()
            reason = restlessness(status, line, self._clock.setting().real)
            if not reason and previous == (status["seq"], ""):
                return
            previous = (status["seq"], reason)
            if time.monotonic() > deadline:
                raise LocalError(
                    f"{timeout_seconds:.0f} 秒待っても落ち着きません / not at rest after {timeout_seconds:.0f} s: "
                    f"{reason or 'work keeps coming'}."
                )
            time.sleep(pause)
            pause = min(pause * 1.2, _LONGEST_PAUSE_SECONDS) if reason else _BETWEEN_READS_SECONDS

    def next_due(self) -> datetime | None:
        """Return the virtual instant at which something happens by itself; None when nothing waits."""
        status, line = self._read()
        moments = [status["next_wait"], status["next_schedule"], line.get("next_due")]
        moments += [status["virtual_now"] + queue["next_in_seconds"] for queue in status["queues"].values() if queue.get("delayed")]
        known = [float(moment) for moment in moments if moment is not None]
        return datetime.fromtimestamp(min(known), tz=UTC) if known else None

    def advance_to(self, instant: datetime, timeout_seconds: float = 120.0) -> None:
        """Live through everything until `instant`; each step may take `timeout_seconds` of real time to come to rest."""
        while True:
            self.settle(timeout_seconds)
            due = self.next_due()
            if due is None or due > instant:
                break
            self._jump(due + timedelta(seconds=_PAST_DUE_SECONDS))
        self._jump(instant)
        self.settle(timeout_seconds)

    def advance(self, duration: timedelta, timeout_seconds: float = 120.0) -> None:
        """Live through the next `duration`."""
        self.advance_to(self.now() + duration, timeout_seconds)

    def run(self, scale: float) -> None:
        """Let the clock run `scale` times as fast from now on."""
        set_clock(self._clock_path, self.now(), scale)

    def _jump(self, instant: datetime) -> None:
        set_clock(self._clock_path, max(instant, self.now()), self._scale)

    def _read(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        line = self._fetch(self._line_status_url) if self._line_status_url else {}
        return self._fetch(self._status_url), line


def restlessness(status: Mapping[str, Any], line: Mapping[str, Any], clock_real: float) -> str:
    """Return what is still going on, or nothing when all waits for time to pass. Dead letters rest."""
    return next(_reasons(status, line, clock_real), "")


def _reasons(status: Mapping[str, Any], line: Mapping[str, Any], clock_real: float) -> Iterator[str]:
    if status["applied_real"] < clock_real:
        yield "the clock was set and not every wait has been woken"
    if status["busy_executions"]:
        yield f"{len(status['busy_executions'])} executions are making steps"
    for name, what in (("lambda_inflight", "functions"), ("async_inflight", "asynchronous calls"), ("esm_inflight", "batches")):
        if status[name]:
            yield f"{status[name]} {what} are running"
    for name, queue in status["queues"].items():
        if not name.endswith("-dead") and (queue["visible"] or queue["taken"]):
            yield f"queue {name} holds {queue['visible']} messages, {queue['taken']} more are taken"
    for name in ("next_wait", "next_schedule"):
        if status[name] is not None and status[name] <= status["virtual_now"]:
            yield f"a {name.removeprefix('next_')} is due"
    # Our own question is one of the simulator's requests in flight.
    if line.get("pending_webhooks") or line.get("pending_reactions") or line.get("in_flight_requests", 0) > 1:
        yield "the LINE simulator is delivering webhooks"


def _fetch(url: str) -> Mapping[str, Any]:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own address
            found: Mapping[str, Any] = json.load(answer)
    except (urllib.error.URLError, OSError, ValueError) as error:
        raise LocalError(f"{url} が応答しません。make up は動いていますか / no answer: is make up running?") from error
    return found

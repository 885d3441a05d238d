"""The time of the simulated world, which may run ahead of, or faster than, the time of this machine."""

from __future__ import annotations

import json
import math
import os
import re
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

TOKYO = ZoneInfo("Asia/Tokyo")

_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
# Beyond the year 2100 nothing of this is of use, and some calendars end.
LATEST = 4_102_444_800.0
_SCALE_MAX = 10_000_000.0
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


class ClockError(ValueError):
    """The clock was asked for something time does not do; the text is one sentence for the caller."""


def parse_duration(value: object) -> float:
    """Return the seconds meant by `value`: a number of seconds, or text such as "20m" or "1h30m".

    Raises ClockError if it is neither.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _finite(value)
    text = str(value)[:100].strip()
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ClockError(f"{text!r} is not a duration; write for example 20m, 1h30m or a number of seconds.")
    return _finite(sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts))


def parse_moment(value: object) -> float:
    """Return the epoch seconds meant by `value`: a number, or ISO 8601 text with an offset.

    Raises ClockError if it is neither.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _finite(value)
    text = str(value)[:100]
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ClockError(f"{text!r} is not a time; write for example 2026-11-22T09:00:00+09:00.") from None
    if moment.tzinfo is None:
        raise ClockError(f"{text!r} has no UTC offset; write for example 2026-11-22T09:00:00+09:00.")
    try:
        return moment.timestamp()
    except (OverflowError, ValueError):
        raise ClockError("The clock cannot go beyond the year 2100.") from None


def parse_scale(value: object) -> float:
    """Return how many virtual seconds pass in a real one. Raises ClockError unless it is a number greater than zero."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ClockError(f"The scale of the clock cannot be {str(value)[:100]!r}; write a number, for example 60.")
    return _finite(value)


def _finite(value: float) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ClockError("A time, a duration or a scale must be a number that is not endless.")
    return number


def read_anchor(content: object) -> tuple[float, float, float]:
    """Return virtual, real and scale as a clock file has them. Raises ValueError for any other content."""
    if not isinstance(content, dict):
        raise ValueError("not an object")
    found = (content.get("virtual"), content.get("real"), content.get("scale", 1.0))
    if not all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in found):
        raise ValueError("virtual, real and scale must be numbers")
    virtual, real, scale = (_finite(one) for one in found if one is not None)
    return virtual, real, scale


class _Pretence(threading.local):
    moment: float | None = None


def _nothing() -> None:
    return None


class Clock:
    """Virtual time: `virtual + (real now - real) * scale`.

    With a file the three numbers are shared with other processes as JSON {"virtual", "real", "scale"}; the file is read
    again whenever its modification time or inode changes, and replaced atomically when this clock is moved.
    `moved` is called after every move made through this object.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._pretence = _Pretence()
        self.moved: Callable[[], None] = _nothing
        real = time.time()
        self._anchor = (real, real, 1.0)
        if file is not None and not file.exists():
            self._write()
        self._reload()

    def time(self) -> float:
        """Return the virtual epoch seconds."""
        if self._pretence.moment is not None:
            return self._pretence.moment
        self._reload()
        virtual, real, scale = self._anchor
        return min(virtual + (time.time() - real) * scale, LATEST)

    @property
    def pretended(self) -> float | None:
        """The instant this thread takes for now, while it does what fell due earlier; else None."""
        return self._pretence.moment

    @pretended.setter
    def pretended(self, moment: float | None) -> None:
        self._pretence.moment = moment

    def now(self) -> datetime:
        """Return the virtual instant as aware UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    @property
    def scale(self) -> float:
        """How many virtual seconds pass in one real second."""
        self._reload()
        return self._anchor[2]

    @property
    def shared(self) -> bool:
        """Whether the time lives in a file."""
        return self._file is not None

    @property
    def anchor(self) -> tuple[float, float, float]:
        """Virtual and real seconds of the last move, and the scale: what stays the same while time only passes."""
        return self._anchor

    def advance(self, duration: float | str) -> None:
        """Move forward by seconds, or by text such as "1d" or "1h30m". Raises ClockError when negative, or too far."""
        seconds = parse_duration(duration)
        if not seconds >= 0:
            raise ClockError("The clock cannot go backwards.")
        with self._lock:
            # Several may do so at once; each adds to the others.
            self._move(self.time() + seconds)
        self.moved()

    def set(self, moment: float) -> None:
        """Move to `moment` (epoch seconds). Raises ClockError when it lies in the past, or beyond the year 2100."""
        with self._lock:
            # Half a second of grace: a caller that read the time and posts it back is not going backwards.
            if moment < self.time() - 0.5:
                raise ClockError("The clock cannot go backwards.")
            self._move(moment)
        self.moved()

    def set_scale(self, scale: float) -> None:
        """Let `scale` virtual seconds pass per real second from now on. Raises ClockError unless positive."""
        if not 0 < scale <= _SCALE_MAX:
            raise ClockError("The scale of the clock must be greater than zero, and at most 10,000,000.")
        with self._lock:
            self._anchor = (self.time(), time.time(), scale)
            self._write()

    def _move(self, moment: float) -> None:
        if not moment <= LATEST:
            raise ClockError("The clock cannot go beyond the year 2100.")
        self._anchor = (moment, time.time(), self._anchor[2])
        self._write()

    def _reload(self) -> None:
        if self._file is None:
            return
        try:
            stat = os.stat(self._file)
            key = (stat.st_mtime_ns, stat.st_ino)
            if key == self._seen:
                return
            content = json.loads(self._file.read_bytes())
            self._anchor = read_anchor(content)
            self._seen = key
        except (FileNotFoundError, ValueError):
            # Another process may be between writing and renaming; the last known time stays valid.
            return

    def _write(self) -> None:
        if self._file is None:
            return
        virtual, real, scale = self._anchor
        draft = self._file.with_name(f"{self._file.name}.{os.getpid()}.{threading.get_ident()}.tmp")
        self._file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps({"virtual": virtual, "real": real, "scale": scale}), encoding="utf-8")
        os.replace(draft, self._file)

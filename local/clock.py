"""One virtual clock for product, simulator and waits: a small file that says what time it was, when, and how fast it runs."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Setting:
    """At the real instant `real` the clock showed `virtual`; since then it runs `scale` times as fast (Unix seconds)."""

    virtual: float
    real: float
    scale: float

    def seconds(self, real_now: float) -> float:
        """Return what the clock shows at a real instant."""
        return self.virtual + (real_now - self.real) * self.scale


class FileClock:
    """Reads the clock file whenever it was replaced. Without a readable file it is the machine's own clock."""

    def __init__(self, path: Path | str) -> None:
        self._path = os.fspath(path)
        self._lock = threading.Lock()
        self._signature: tuple[int, int, int] | None = None
        self._setting = Setting(0.0, 0.0, 1.0)

    def setting(self) -> Setting:
        """Return the setting in force. One stat call (about 2 µs) when nothing changed."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - the hot path of every `now()`
            signature = (found.st_mtime_ns, found.st_ino, found.st_size)
            with self._lock:
                if signature != self._signature:
                    self._setting = _read(self._path)
                    self._signature = signature
        except (OSError, ValueError, KeyError, TypeError):
            pass  # half a second of an unreadable file must not stop time: the last good setting stays in force
        return self._setting

    def seconds(self) -> float:
        """Return the virtual instant in Unix seconds."""
        return self.setting().seconds(time.time())

    def now(self) -> datetime:
        """Return the virtual instant, aware UTC."""
        return datetime.fromtimestamp(self.seconds(), tz=UTC)


def set_clock(path: Path | str, virtual: datetime | float, scale: float = 1.0) -> Setting:
    """Set the clock and return the new setting. Readers see the old file or the new one, never half of one."""
    if scale <= 0:
        raise ValueError("the clock cannot stand still or run backwards: scale must be greater than 0")
    seconds = virtual.timestamp() if isinstance(virtual, datetime) else float(virtual)
    if isinstance(virtual, datetime) and virtual.tzinfo is None:
        raise ValueError("a datetime without a time zone is not an instant")
    setting = Setting(seconds, time.time(), scale)
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=target.name + ".")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"virtual": setting.virtual, "real": setting.real, "scale": setting.scale}, file)
    os.replace(temporary, target)  # noqa: PTH105 - the atomic rename is the point
    return setting


def _read(path: str) -> Setting:
    with open(path, encoding="utf-8") as file:  # noqa: PTH123 - the hot path of every `now()`
        data = json.load(file)
    return Setting(float(data["virtual"]), float(data["real"]), float(data["scale"]))

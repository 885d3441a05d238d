"""How many people fulfilled each saved segment, day by day: one file a month, `lake/size/2026-11.json`.

{day: {segment: [count, entered, left]}}; the last two are null when the day before was not counted. A number alone is a count.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import date, timedelta

from chalicelib.kernel.errors import TemporaryError
from chalicelib.lake.model import LAKE
from chalicelib.ports.files import Files

_TRIES = 5
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Size:
    """How many are in a segment; how many entered and left since the day before, None when nobody knows."""

    count: int
    entered: int | None = None
    left: int | None = None


class Sizes:
    """Keeps sizes of segments."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def note(self, day: date, sizes: Mapping[str, Size]) -> None:
        """Keep the sizes of a JST day; noted again, the last stand."""
        for _ in range(_TRIES):
            content, tag = self._files.get_tagged(_key(day)) or (b"{}", "")
            month = json.loads(content) | {day.isoformat(): {name: astuple(size) for name, size in sizes.items()}}
            if self._files.put_if(_key(day), json.dumps(month, sort_keys=True).encode(), _JSON, tag) is not None:
                return
        raise TemporaryError("sizes of segments are being written by others")

    def of(self, segment_id: str, first: date, last: date) -> dict[date, Size]:
        """Return the sizes of a segment on the days from `first` to `last` on which it was counted."""
        found: dict[date, Size] = {}
        month = first.replace(day=1)
        while month <= last:
            days = json.loads(self._files.get(_key(month)) or b"{}")
            for text, counts in days.items():
                day = date.fromisoformat(text)
                if first <= day <= last and segment_id in counts:
                    kept = counts[segment_id]
                    found[day] = Size(kept) if isinstance(kept, int) else Size(*kept)
            month = (month + timedelta(days=31)).replace(day=1)
        return dict(sorted(found.items()))


def _key(day: date) -> str:
    return f"{LAKE}size/{day:%Y-%m}.json"

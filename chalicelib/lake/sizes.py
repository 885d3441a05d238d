"""How many people fulfilled each saved segment, day by day: one file a month, `lake/size/2026-11.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, timedelta

from chalicelib.kernel.errors import TemporaryError
from chalicelib.lake.model import LAKE
from chalicelib.ports.files import Files

_TRIES = 5
_JSON = "application/json"


class Sizes:
    """Keeps sizes of segments."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def note(self, day: date, counts: Mapping[str, int]) -> None:
        """Keep the sizes of a JST day; noted again, the last stand."""
        for _ in range(_TRIES):
            content, tag = self._files.get_tagged(_key(day)) or (b"{}", "")
            month = json.loads(content) | {day.isoformat(): dict(counts)}
            if self._files.put_if(_key(day), json.dumps(month, sort_keys=True).encode(), _JSON, tag) is not None:
                return
        raise TemporaryError("sizes of segments are being written by others")

    def of(self, segment_id: str, first: date, last: date) -> dict[date, int]:
        """Return the sizes of a segment on the days from `first` to `last` on which it was counted."""
        found: dict[date, int] = {}
        month = first.replace(day=1)
        while month <= last:
            days = json.loads(self._files.get(_key(month)) or b"{}")
            for text, counts in days.items():
                day = date.fromisoformat(text)
                if first <= day <= last and segment_id in counts:
                    found[day] = counts[segment_id]
            month = (month + timedelta(days=31)).replace(day=1)
        return dict(sorted(found.items()))


def _key(day: date) -> str:
    return f"{LAKE}size/{day:%Y-%m}.json"

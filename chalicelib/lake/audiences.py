"""Audiences: who fulfilled a condition in one generation of the lake, kept as a bitmap; the same for ever, whoever asks again.

Files: `lake/audience/{id}-{generation}.roar`, whose content follows from its name and the query, and `lake/audience/{id}.json`,
which is written once and says which bitmap stands, with what was asked. `lake/audience/day/{segment}-{day}.roar`: who was in a
saved segment on a day, for a week.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import date, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any

from chalicelib.kernel.clock import to_text
from chalicelib.kernel.errors import NotFoundError, TemporaryError
from chalicelib.lake.model import LAKE
from chalicelib.lake.reader import Lake
from chalicelib.lake.sizes import Size
from chalicelib.ports.files import Files

if TYPE_CHECKING:
    from pyroaring import BitMap

AUDIENCES = f"{LAKE}audience/"
_JSON = "application/json"
_BITMAP = "application/octet-stream"
_KEPT = 4  # audiences of one process: those that campaigns are just writing down


class Audiences:
    """Makes audiences and reads them page by page."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._read: dict[str, BitMap] = {}

    def make(self, lake: Lake, audience_id: str, text: str, parameters: Sequence[Any], about: Mapping[str, Any]) -> int:
        """Return how many are in the audience of this id; it is made by the first who asks, from the lake that he sees.

        about: what a person wants to know of it later: who asked, for what, at which instant.
        """
        known = self._note(audience_id)
        if known is not None:
            return int(known["count"])
        found = members_of(lake, text, parameters)
        manifest = lake.manifest
        key = f"{AUDIENCES}{audience_id}-{manifest.generation}.roar"
        self._files.put(key, found.serialize(), _BITMAP)
        note = {
            "about": dict(about),
            "bitmap": key,
            "count": len(found),
            "generation": manifest.generation,
            "as_of": to_text(manifest.folded_at) if manifest.folded_at else None,
        }
        if self._files.put_if(_key(audience_id), json.dumps(note, ensure_ascii=False, sort_keys=True).encode(), _JSON, "") is None:
            return self.make(lake, audience_id, text, parameters, about)  # somebody else was first: his stands
        return len(found)

    def day(self, lake: Lake, segment_id: str, day: date, text: str, parameters: Sequence[Any]) -> Size:
        """Return how many are in a segment on a JST day; it is kept who, for the next day to tell who entered and who left."""
        from pyroaring import BitMap

        found = members_of(lake, text, parameters)
        self._files.put(_day_key(segment_id, day), found.serialize(), _BITMAP)
        content = self._files.get(_day_key(segment_id, day - timedelta(days=1)))
        if content is None:
            return Size(len(found))
        former = BitMap.deserialize(content) - BitMap(lake.manifest.erased)
        return Size(len(found), found.difference_cardinality(former), former.difference_cardinality(found))

    def members(
        self, audience_id: str, after: int, most: int, *, part: int = 0, parts: int = 1, erased: Collection[int] = ()
    ) -> list[int]:
        """Return up to `most` numbers of one of so many parts of an audience after a number, in order.

        Those who have been erased since are left out. Raises NotFoundError(`audience.unknown`).
        """
        gone = set(erased)
        rest = self._bitmap(audience_id).iter_equal_or_larger(after + 1)
        return list(islice((cid for cid in rest if cid % parts == part and cid not in gone), most))

    def _bitmap(self, audience_id: str) -> BitMap:
        if audience_id not in self._read:
            from pyroaring import BitMap

            note = self._note(audience_id)
            if note is None:
                raise NotFoundError("audience.unknown", audience_id=audience_id)
            content = self._files.get(note["bitmap"])
            if content is None:
                raise TemporaryError("the bitmap of an audience is not there")
            while len(self._read) >= _KEPT:
                self._read.pop(next(iter(self._read)))
            self._read[audience_id] = BitMap.deserialize(content)
        return self._read[audience_id]

    def _note(self, audience_id: str) -> dict[str, Any] | None:
        content = self._files.get(_key(audience_id))
        note: dict[str, Any] | None = json.loads(content) if content else None
        return note


def members_of(lake: Lake, text: str, parameters: Sequence[Any]) -> BitMap:
    """Return the numbers that a query selects."""
    from pyroaring import BitMap

    # Lists of a million numbers' range each: half the time of as many rows (measured), and memory stays bounded.
    found = BitMap()
    rows = lake.connection.execute(f"SELECT list(cid) FROM ({text}) GROUP BY cid // 262144", list(parameters))
    while batch := rows.fetchmany(1):
        found.update(batch[0][0])
    return found


def _day_key(segment_id: str, day: date) -> str:
    return f"{AUDIENCES}day/{segment_id}-{day}.roar"


def _key(audience_id: str) -> str:
    return f"{AUDIENCES}{audience_id}.json"

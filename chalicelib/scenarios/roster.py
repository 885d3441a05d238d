"""Who fulfilled a condition at each look at everybody, so that the next look finds those who have come to fulfil it.

One file a look and part, never changed by a later look: numbers are dense, so a bitmap holds a million people in 125 KB. A look
is compared with the whole of the latest complete one before it, for nobody promises that a person always falls into the same
part of a scan.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from datetime import datetime

from chalicelib.kernel.ids import Cid
from chalicelib.ports.files import Files
from chalicelib.scenarios.model import minute


class Roster:
    """One part of a look at an instant. The first look of all only remembers: who was in before had not come in by then."""

    def __init__(self, files: Files, scenario_id: str, at: datetime, part: int, parts: int) -> None:
        self._files = files
        folder = f"rosters/{scenario_id}/"
        self._key = f"{folder}{minute(at)}/{part}-{parts}"
        # The parts follow each other, so the last one tells that a look came to its end; nor does a look see itself.
        before, of = _latest(files.list(folder), minute(at))
        bits = [_read(files, f"{folder}{before}/{number}-{of}") for number in range(of)]
        length = max(map(len, bits), default=0)
        union = 0
        for one in bits:
            union |= int.from_bytes(one, "little")
        self._is_first = not before
        self._before = union.to_bytes(length, "little")
        self._here = bytearray()

    def saw(self, cid: Cid, aliases: Iterable[Cid] = ()) -> bool:
        """Note that a person fulfils the condition; return whether he did not at the look before, if there was one.

        aliases: numbers that he had before a link or a merge; whoever fulfilled it under one of them has not come in now.
        """
        place, bit = cid >> 3, 1 << (cid & 7)
        if place >= len(self._here):
            self._here.extend(bytes(max(place + 1 - len(self._here), len(self._here))))
        self._here[place] |= bit
        return not self._is_first and not any(self._was_there(number) for number in (cid, *aliases))

    def _was_there(self, cid: Cid) -> bool:
        place = cid >> 3
        return place < len(self._before) and bool(self._before[place] & 1 << (cid & 7))

    def keep(self) -> None:
        """Keep who was seen; the same when repeated."""
        self._files.put(self._key, zlib.compress(self._here), "application/octet-stream")


def _latest(keys: Iterable[str], here: str) -> tuple[str, int]:
    """Return the latest complete look before this one, and of how many parts it was; "" and 0 when there was none."""
    found: dict[tuple[str, int], set[int]] = {}
    for key in keys:
        _, _, look, name = key.split("/")
        part, _, parts = name.partition("-")
        if look < here:
            found.setdefault((look, int(parts)), set()).add(int(part))
    return max((each for each, parts in found.items() if len(parts) == each[1]), default=("", 0))


def _read(files: Files, key: str) -> bytes:
    content = files.get(key)
    return zlib.decompress(content) if content else b""

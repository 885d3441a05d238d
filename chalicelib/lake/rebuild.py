"""The lake anew out of the tables: from nothing, or to heal what the streams have lost.

1. Begin: the instant is written down. 2. Every part of every table is read and written as rows; what dies is done again. 3. The
rows take the place of the mirror, except where a change is younger than the beginning, and the tables are derived from them.
A row that is read after the beginning shows all changes before it, so those are dropped when they come late; a change after it is
folded over the row, and whoever was read in between ends with his last change like everybody else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from chalicelib.kernel.each import Mapper, in_turn
from chalicelib.kernel.errors import ConflictError
from chalicelib.lake import manifest as manifests
from chalicelib.lake.changes import UNREADABLE, change_of_item
from chalicelib.lake.deltas import write_rows
from chalicelib.lake.folding import Folding
from chalicelib.lake.model import LAKE
from chalicelib.lake.parts import Parts
from chalicelib.ports.database import Database
from chalicelib.ports.files import Files
from chalicelib.settings import settings

PARTS = 32  # of each table; at a million people one is read within a minute
TABLES = ("core", "timeline", "engine")
_STATE = f"{LAKE}rebuild.json"
_ROWS = f"{LAKE}rebuild/"
_MOST_ROWS = 50_000  # in memory at once, of all kinds


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild has come: parts of tables that were read, of `parts`; unread: items that no room of ours has written."""

    began_at: datetime
    done: int = 0
    parts: int = 0
    unread: int = 0


class Rebuild:
    """Orders a rebuild, says how far it is, and does it, a part at a time."""

    def __init__(self, database: Database, files: Files, folder: Path, each: Mapper = in_turn) -> None:
        self._database = database
        self._files = files
        self._folder = folder
        self._each = each

    def order(self, now: datetime) -> Progress:
        """Begin a rebuild. Raises ConflictError(`lake.rebuild_runs`) while one is on its way."""
        progress = Progress(now.replace(microsecond=0), parts=PARTS * len(TABLES))
        if self._files.put_if(_STATE, msgspec.json.encode(progress), "application/json", "") is None:
            raise ConflictError("lake.rebuild_runs")
        return progress

    def progress(self) -> Progress | None:
        """Return how far the rebuild is that is on its way; None when there is none."""
        found = self._files.get(_STATE)
        return msgspec.json.decode(found, type=Progress) if found else None

    def work(self, now: datetime, in_time: Callable[[], bool]) -> bool:
        """Go on with a rebuild as long as there is time; return whether more is left. Nothing when none was ordered."""
        while (found := self._files.get_tagged(_STATE)) is not None:
            if not in_time():
                return True
            progress = msgspec.json.decode(found[0], type=Progress)
            if progress.done == progress.parts:
                if not self._plant(progress, now):
                    return True
                continue
            unread = self._read(progress)
            further = replace(progress, done=progress.done + 1, unread=progress.unread + unread)
            # Of two who have read the same part one counts; their files are the same to whoever folds.
            self._files.put_if(_STATE, msgspec.json.encode(further), "application/json", found[1])
        return False

    def _read(self, progress: Progress) -> int:
        name, segment = TABLES[progress.done // PARTS], progress.done % PARTS
        tables = {"core": settings().core_table, "timeline": settings().timeline_table, "engine": settings().engine_table}
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        held = sheet = unread = 0
        for item in self._database.scan(tables[name], segment=segment, segments=PARTS):
            try:
                change = change_of_item(name, dict(item), progress.began_at)
            except UNREADABLE:
                unread += 1
                continue
            if change is None or change[0] == "mark":
                continue
            rows[change[0]].append(change[1])
            held += 1
            if held == _MOST_ROWS:
                self._keep(progress, f"{name}-{segment}-{sheet}", rows)
                rows, held, sheet = defaultdict(list), 0, sheet + 1
        self._keep(progress, f"{name}-{segment}-{sheet}", rows)
        return unread

    def _keep(self, progress: Progress, name: str, rows: dict[str, list[dict[str, Any]]]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "rebuild.rows"
        for kind, of in rows.items():
            write_rows(kind, of, path)
            self._files.send(path, f"{self._below(progress)}{kind}/{name}.parquet", "application/vnd.apache.parquet")
        path.unlink(missing_ok=True)

    def _below(self, progress: Progress) -> str:
        return f"{_ROWS}{progress.began_at:%Y%m%dT%H%M%S}/"

    def _plant(self, progress: Progress, now: datetime) -> bool:
        below = self._below(progress)
        keys = self._files.list(below)
        scanned: dict[str, list[str]] = defaultdict(list)
        for key in keys:
            scanned[key.removeprefix(below).partition("/")[0]].append(key)
        manifest, tag = manifests.load(self._files)
        if manifest.rebuilt_at is None or manifest.rebuilt_at < progress.began_at:
            folding = Folding(Parts(self._files, self._folder, now, each=self._each), manifest, now)
            try:
                folding.parts.keep_only(manifest.files())
                folding.parts.fetch([*manifest.files(), *keys])
                folding.replant(scanned, progress.began_at)
                if not folding.publish(self._files, tag):
                    return False  # a folding was faster; the next call begins at this step again
            finally:
                folding.parts.forget(keys)
                folding.parts.close()
        self._files.delete([*keys, _STATE])
        return True

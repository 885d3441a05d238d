"""Put everything into one file, and take it out again into an empty installation; by the work queue, part by part.

`archives/{id}/order`, what is wanted; an archive: `…/part/{n}.jsonl.gz` and `.json`, in the end `archives/{id}.zip`; an import:
`…/upload.zip`, `…/manifest`, `…/good/{n}`, `…/begun`, `…/in/{n}`; both: `…/end`. How far it has come is which of these are there,
so every step may come twice. They are deleted after a week.
"""

from __future__ import annotations

import gzip
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from chalicelib.archive.model import (
    FORMAT,
    MANIFEST,
    TABLES,
    ArchiveState,
    Entry,
    Manifest,
    Order,
    Outcome,
    Standing,
    is_left_out,
    lost_word,
)
from chalicelib.archive.reading import is_whole, items_of, manifest_of, opened, sha256_of
from chalicelib.kernel.clock import Clock, to_text
from chalicelib.kernel.errors import ConflictError, DomainError, InvalidError, NotFoundError, TemporaryError
from chalicelib.kernel.ids import new_id
from chalicelib.kernel.wire import to_wire
from chalicelib.observability import info
from chalicelib.ports.database import Database
from chalicelib.ports.files import Files
from chalicelib.ports.schedules import Schedules
from chalicelib.settings import settings

PARTS = 32  # of a table that grows; a part of a hundred million items is read within one call
_LANES = 4  # parts under way at once: other work of the queue goes on
_ITEMS_A_STEP = 50_000  # taken in by one call, far within its five minutes
_AT_ONCE = 500
_LONGEST = timedelta(hours=12)
_UPLOAD_SECONDS, _DOWNLOAD_SECONDS = 6 * 3600, 3600
_ID = re.compile(r"arc_[0-9A-Z]{26}\Z")
_LOCK = "archives/import.lock"
_JSON, _GZIP, _ZIP = "application/json", "application/gzip", "application/zip"
Step = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Lock:
    """Whose import holds the house, and of which archive. goes_on: where another one stopped half-way."""

    archive_id: str
    made_at: str
    goes_on: bool = False


class Archives:
    """Archives and their imports. parts: how many files a growing table becomes."""

    def __init__(self, database: Database, files: Files, schedules: Schedules, clock: Clock, parts: int = PARTS) -> None:
        self._database = database
        self._files = files
        self._schedules = schedules
        self._clock = clock
        own = settings()
        names = (own.config_table, own.core_table, own.timeline_table, own.engine_table)
        self._tables = dict(zip(TABLES, names, strict=True))
        self._plan = [("config", 0, 1), *((table, part, parts) for table in TABLES[1:] for part in range(parts))]

    def order(self, by: str) -> tuple[str, list[Step]]:
        """Order an archive of everything; return its id, and the steps that make it."""
        archive_id = self._ordered(by, is_import=False)
        return archive_id, [_step(archive_id, part) for part in range(min(_LANES, len(self._plan)))]

    def order_import(self, by: str) -> tuple[str, str]:
        """Prepare to take an archive in; return the import's id and the address that takes the file by one PUT."""
        archive_id = self._ordered(by, is_import=True)
        return archive_id, self._files.upload_url(f"archives/{archive_id}/upload.zip", _ZIP, _UPLOAD_SECONDS)

    def start_import(self, archive_id: str) -> list[Step]:
        """Take in the archive that was uploaded; return the steps. Raises InvalidError(`archive.no_file`)."""
        if not self._order(archive_id).is_import:
            raise InvalidError("archive.no_file")
        if self._files.size(f"archives/{archive_id}/upload.zip") is None:
            raise InvalidError("archive.no_file")
        return [_step(archive_id, None)]

    def _ordered(self, by: str, *, is_import: bool) -> str:
        now = self._clock.now()
        archive_id = new_id("arc", now)
        self._files.put(f"archives/{archive_id}/order", msgspec.json.encode(Order(is_import, by, now)), _JSON)
        info("an archive was ordered", archive_id=archive_id, key_id=by, is_import=is_import)
        return archive_id

    def _order(self, archive_id: str) -> Order:
        found = self._files.get(f"archives/{archive_id}/order") if _ID.match(archive_id) else None
        if found is None:
            raise NotFoundError("archive.unknown", archive_id=archive_id)
        return msgspec.json.decode(found, type=Order)

    def everyone(self) -> list[Standing]:
        """Return all archives and imports of the past week, oldest first."""
        found = re.compile(r"archives/(arc_[0-9A-Z]{26})/order\Z")
        return [self.get(match[1]) for key in self._files.list("archives/") if (match := found.match(key))]

    def get(self, archive_id: str) -> Standing:
        """Return how an archive stands. Raises NotFoundError(`archive.unknown`)."""
        order = self._order(archive_id)
        ended = self._files.get(f"archives/{archive_id}/end")
        if ended is not None:
            outcome = msgspec.json.decode(ended, type=Outcome)
            return Standing(archive_id, order, ArchiveState.FAILED if outcome.problem else ArchiveState.DONE, 1.0, outcome)
        if order.is_import:
            manifest = self._files.get(f"archives/{archive_id}/manifest")
            of = 2 * len(msgspec.json.decode(manifest, type=Manifest).entries) if manifest else 0
            done = sum(len(self._files.list(f"archives/{archive_id}/{phase}/")) for phase in ("good", "in"))
        else:
            of, done = len(self._plan), len(self._made(archive_id))
        if self._clock.now() - order.ordered_at > _LONGEST:
            return Standing(archive_id, order, ArchiveState.FAILED, 0.0, Outcome("archive.gave_up"))
        waits = order.is_import and not of
        return Standing(
            archive_id, order, ArchiveState.CREATED if waits else ArchiveState.RUNNING, round(done / ((of or 1) + 1), 2)
        )

    def download_url(self, archive_id: str) -> str:
        """Return an address that gives a finished archive for an hour."""
        return self._files.download_url(f"archives/{archive_id}.zip", _DOWNLOAD_SECONDS)

    def do(self, step: Mapping[str, Any]) -> list[Step]:
        """Do one step; return those that follow. Harmless when repeated."""
        archive_id, part = step["archive_id"], step["part"]
        if self._files.get(f"archives/{archive_id}/end") is not None:
            return []
        try:
            if self._order(archive_id).is_import:
                if part is None:
                    return self._begin(archive_id)
                do = self._check if step["phase"] == "check" else self._take_in
                return do(archive_id, part, step.get("line", 0))
            return self._assemble(archive_id) if part is None else self._read(archive_id, part)
        except DomainError as refused:
            # The file was another one when it was checked: what has come in of it stays.
            is_inside = self._files.get(f"archives/{archive_id}/begun") is not None
            details = {name: str(value) for name, value in refused.details.items()}
            self._end(archive_id, Outcome("archive.half_filled") if is_inside else Outcome(refused.code, details=details))
            return []

    def _end(self, archive_id: str, outcome: Outcome) -> None:
        self._files.put(f"archives/{archive_id}/end", msgspec.json.encode(outcome), _JSON)
        info("an archive came to its end", archive_id=archive_id, problem=outcome.problem, **outcome.counts)

    # Out --------------------------------------------------------------------------------------------------------------------

    def _made(self, archive_id: str) -> list[str]:
        return [key for key in self._files.list(f"archives/{archive_id}/part/") if key.endswith(".json")]

    def _read(self, archive_id: str, part: int) -> list[Step]:
        table, segment, segments = self._plan[part]
        name, lost = f"{table}/{segment:03d}.jsonl.gz", []
        with TemporaryDirectory() as folder:
            path, count = Path(folder) / "part", 0
            with gzip.GzipFile(path, "wb", compresslevel=6, mtime=0) as lines:
                for item in self._database.scan(self._tables[table], segment=segment, segments=segments):
                    if is_left_out(table, item["pk"]):
                        lost += [word] if (word := lost_word(table, item["pk"], item["sk"])) else []
                        continue
                    lines.write(msgspec.json.encode({"Item": {key: to_wire(value) for key, value in item.items()}}) + b"\n")
                    count += 1
            with path.open("rb") as content:
                entry = Entry(name, table, count, sha256_of(content))
            self._files.send(path, f"archives/{archive_id}/part/{part:03d}.jsonl.gz", _GZIP)
        kept = msgspec.json.encode((entry, lost))
        self._files.put(f"archives/{archive_id}/part/{part:03d}.json", kept, _JSON)
        if part + _LANES < len(self._plan):
            return [_step(archive_id, part + _LANES)]
        # Whoever writes the last part sees all of them; two who do put them together twice, to the same end.
        return [_step(archive_id, None)] if len(self._made(archive_id)) == len(self._plan) else []

    def _assemble(self, archive_id: str) -> list[Step]:
        entries, lost, keys = [], list[str](), self._made(archive_id)
        if len(keys) != len(self._plan):
            return []  # somebody else has put it together meanwhile, and taken the parts away
        with TemporaryDirectory() as folder:
            path, piece = Path(folder) / "archive.zip", Path(folder) / "part"
            # Stored, for its parts are packed already: so a reader may take any of them by its place in the file.
            with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
                for key in keys:
                    entry, without = msgspec.json.decode(self._files.get(key) or b"", type=tuple[Entry, list[str]])
                    self._files.fetch(key.removesuffix(".json") + ".jsonl.gz", piece)
                    archive.write(piece, entry.name)
                    entries.append(entry)
                    lost += without
                manifest = Manifest(FORMAT, self._clock.now(), entries, sorted(lost))
                archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)))
            self._files.send(path, f"archives/{archive_id}.zip", _ZIP)
        self._end(archive_id, Outcome("", manifest.counts(), manifest.lost))
        self._files.delete(self._files.list(f"archives/{archive_id}/part/"))
        return []

    # In ---------------------------------------------------------------------------------------------------------------------

    def _begin(self, archive_id: str) -> list[Step]:
        """Look at the archive's manifest; then all of its lines, before the first item is written."""
        if self._files.get(f"archives/{archive_id}/manifest") is None:
            with self._open(archive_id) as archive:
                manifest = manifest_of(archive)
            self._files.put(f"archives/{archive_id}/manifest", msgspec.json.encode(manifest), _JSON)
        return self._lanes(archive_id, "check")

    def _lanes(self, archive_id: str, phase: str) -> list[Step]:
        count = len(self._manifest(archive_id).entries)
        return [_step(archive_id, part, phase=phase) for part in range(min(_LANES, count))]

    def _manifest(self, archive_id: str) -> Manifest:
        return msgspec.json.decode(self._files.get(f"archives/{archive_id}/manifest") or b"", type=Manifest)

    def _check(self, archive_id: str, part: int, line: int) -> list[Step]:
        manifest = self._manifest(archive_id)
        entry = manifest.entries[part]
        with self._open(archive_id) as archive:
            if line == 0 and not is_whole(archive, entry):
                raise InvalidError("archive.malformed")
            seen = sum(1 for _ in islice(items_of(archive, entry, line), _ITEMS_A_STEP))
        if seen == _ITEMS_A_STEP:
            return [_step(archive_id, part, phase="check", line=line + seen)]
        if line + seen != entry.count:
            raise InvalidError("archive.malformed")
        self._files.put(f"archives/{archive_id}/good/{part:03d}", b"{}", _JSON)
        if part + _LANES < len(manifest.entries):
            return [_step(archive_id, part + _LANES, phase="check")]
        if len(self._files.list(f"archives/{archive_id}/good/")) < len(manifest.entries):
            return []
        self._enter(archive_id, to_text(manifest.made_at))
        return self._lanes(archive_id, "in")

    def _enter(self, archive_id: str, made_at: str) -> None:
        """Take the house: an empty one, or one in which an import of this very archive stopped half-way."""
        mine, begun = _Lock(archive_id, made_at), f"archives/{archive_id}/begun"
        if self._files.get(begun) is None:
            if self._files.put_if(_LOCK, msgspec.json.encode(mine), _JSON, "") is None:
                mine = self._taken_over(mine)
            if not mine.goes_on and not self._is_all_empty() and self._files.get(begun) is None:
                self._files.delete([_LOCK])
                raise ConflictError("archive.not_fresh")
            self._files.put(begun, b"{}", _JSON)

    def _taken_over(self, mine: _Lock) -> _Lock:
        found = self._files.get_tagged(_LOCK)
        if found is None:
            raise TemporaryError("the lock of imports was given back at this moment")
        try:
            other = msgspec.json.decode(found[0], type=_Lock)
        except msgspec.DecodeError as former:  # its id alone: nobody knows of which archive that import was
            raise ConflictError("archive.not_fresh") from former
        if other.archive_id == mine.archive_id:
            return other
        if not self._has_failed(other.archive_id):
            raise ConflictError("archive.not_fresh")
        mine = replace(mine, goes_on=other.made_at == mine.made_at)
        if not mine.goes_on and not self._is_all_empty():  # an installation made anew may keep its files on S3
            raise ConflictError("archive.half_filled")
        if self._files.put_if(_LOCK, msgspec.json.encode(mine), _JSON, found[1]) is None:
            raise ConflictError("archive.not_fresh")
        return mine

    def _has_failed(self, archive_id: str) -> bool:
        try:
            return self.get(archive_id).state is ArchiveState.FAILED
        except NotFoundError:
            return False

    def _is_all_empty(self) -> bool:
        return all(self._is_empty(table) for table in TABLES)

    def _is_empty(self, table: str) -> bool:
        items = self._database.scan(self._tables[table], segment=0, segments=1)
        return next((False for item in items if not is_left_out(table, item["pk"])), True)

    def _take_in(self, archive_id: str, part: int, line: int) -> list[Step]:
        manifest = self._manifest(archive_id)
        entry = manifest.entries[part]
        taken = 0
        with self._open(archive_id) as archive:
            items = islice(items_of(archive, entry, line), _ITEMS_A_STEP)
            while batch := list(islice(items, _AT_ONCE)):
                taken += len(batch)
                allowed = {(item["pk"], item["sk"]): item for item in batch if not is_left_out(entry.table, item["pk"])}
                self._database.put_many(self._tables[entry.table], allowed.values())
        if taken == _ITEMS_A_STEP:
            return [_step(archive_id, part, phase="in", line=line + taken)]
        self._files.put(f"archives/{archive_id}/in/{part:03d}", b"{}", _JSON)
        if part + _LANES < len(manifest.entries):
            return [_step(archive_id, part + _LANES, phase="in")]
        if len(self._files.list(f"archives/{archive_id}/in/")) == len(manifest.entries):
            # Scenarios are brought back by who may make machines; first, for it may come twice and the end may not be lost.
            self._schedules.at(f"{settings().stage}-restored", self._clock.now() + timedelta(minutes=1), {"kind": "restored"})
            self._end(archive_id, Outcome("", manifest.counts(), manifest.lost))
        return []

    def _open(self, archive_id: str) -> zipfile.ZipFile:
        return opened(self._files, f"archives/{archive_id}/upload.zip")


def _step(archive_id: str, part: int | None, **more: Any) -> Step:
    return {"op": "archive", "archive_id": archive_id, "part": part, **more}

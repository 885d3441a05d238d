"""From records of the tables' streams to delta files: the same records always come to the same files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chalicelib import observability
from chalicelib.lake.changes import UNREADABLE, VERSION_DIGITS, Change, change_of, latest
from chalicelib.lake.deltas import delta_key, write_rows
from chalicelib.ports.files import Files
from chalicelib.ports.queues import Queue

_PARQUET = "application/vnd.apache.parquet"
Record = Mapping[str, Any]


class Feeder:
    """Writes what happened in the tables into the lake's delta files; whoever folds them asks for their versions.

    tables: the tables' names to the words of lake.changes. dead: who is told of records that cannot be read.
    """

    def __init__(self, files: Files, dead: Queue, tables: Mapping[str, str]) -> None:
        self._files = files
        self._dead = dead
        self._tables = tables

    def feed(self, records: Iterable[Record]) -> int:
        """Keep what these records change; return how many files were written. Harmless when repeated, or in any order.

        A record that cannot be read is noted by its keys, and the others do not wait for it. Raises TemporaryError when the
        files or the queue cannot be reached.
        """
        by_table: dict[str, list[Record]] = {}
        for record in records:
            by_table.setdefault(self._table(record), []).append(record)
        return sum(self._feed(table, ones) for table, ones in by_table.items())

    def _feed(self, table: str, records: Sequence[Record]) -> int:
        versions = [record["dynamodb"]["SequenceNumber"].zfill(VERSION_DIGITS) for record in records]
        changes = [change for record in records if (change := self._read(table, record))]
        by_kind = latest(changes)
        with tempfile.TemporaryDirectory() as folder:
            # Marks last: whoever finds one may rely on everything that was told before it.
            for kind, rows in sorted(by_kind.items(), key=lambda of: of[0] == "mark"):
                path = Path(folder) / f"{kind}.parquet"
                write_rows(kind, rows, path)
                self._files.put(delta_key(kind, table, versions), path.read_bytes(), _PARQUET)
        return len(by_kind)

    def _read(self, table: str, record: Record) -> Change | None:
        try:
            return change_of(table, record)
        except UNREADABLE as error:
            keys = {name: next(iter(value.values())) for name, value in record["dynamodb"]["Keys"].items()}
            letter = {**keys, "table": table, "number": record["dynamodb"]["SequenceNumber"], "error": type(error).__name__}
            self._dead.put(json.dumps(letter, ensure_ascii=False), {"kind": "lake"})
            observability.count("LakeUnreadable", Table=table)
            return None

    def _table(self, record: Record) -> str:
        # arn:aws:dynamodb:region:account:table/NAME/stream/LABEL
        return self._tables[record["eventSourceARN"].split("/")[1]]

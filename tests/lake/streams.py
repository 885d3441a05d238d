"""What the tables' streams would hand to the feeder, and what then lies in the delta files."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import duckdb

from chalicelib.kernel.wire import to_wire
from chalicelib.lake.manifest import DELTA_FILES
from chalicelib.lake.feed import Feeder
from chalicelib.lake.model import CHANGE_COLUMNS, CHANGES
from tests.fakes.outside import FakeFiles, FakeQueue

Item = Mapping[str, Any]
TABLES = {f"enishi-test-{name}": name for name in ("core", "timeline", "engine")}
SECOND = 1_796_000_000  # 2026-11-30T00:53:20Z


def feeder() -> tuple[Feeder, FakeFiles, FakeQueue]:
    files, dead = FakeFiles(), FakeQueue()
    return Feeder(files, dead, TABLES), files, dead


def record(table: str, number: int, new: Item | None, old: Item | None = None, *, at: int = SECOND, by: str = "") -> dict[str, Any]:
    """Return a record of a table's stream as Lambda hands it over. by: who deleted the item, if not we."""
    item = new or old or {}
    images = {
        name: {key: to_wire(value) for key, value in image.items()}
        for name, image in (("NewImage", new), ("OldImage", old))
        if image
    }
    return {
        "eventName": "INSERT" if old is None else "MODIFY" if new else "REMOVE",
        "eventSourceARN": f"arn:aws:dynamodb:ap-northeast-1:123456789012:table/enishi-test-{table}/stream/2026",
        **({"userIdentity": {"type": "Service", "principalId": by}} if by else {}),
        "dynamodb": {
            "ApproximateCreationDateTime": at,
            "Keys": {name: {"S": item[name]} for name in ("pk", "sk")},
            "SequenceNumber": str(number),
            **images,
        },
    }


def deltas(files: FakeFiles) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of all delta files by kind, as DuckDB reads them."""
    found: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as database:
        for number, key in enumerate(files.list(DELTA_FILES)):
            path = Path(folder) / f"{number}.parquet"
            path.write_bytes(files.kept[key])
            cursor = database.execute("SELECT * FROM read_parquet(?)", [str(path)])
            names = [column[0] for column in cursor.description or ()]
            rows = found.setdefault(key.removeprefix(DELTA_FILES).split("/")[0], [])
            rows += [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    return found


def standing(files: FakeFiles) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return what stands when all delta files are folded: by kind and key, without what is about the change itself."""
    latest: dict[tuple[Any, ...], dict[str, Any]] = {}
    for kind, rows in deltas(files).items():
        for row in rows:
            key = (kind, *(row[name] for name in CHANGES[kind].key))
            if key not in latest or row["v"] >= latest[key]["v"]:
                latest[key] = row
    return {
        key: {name: value for name, value in row.items() if name not in CHANGE_COLUMNS}
        for key, row in latest.items()
        if not row["gone"]
    }

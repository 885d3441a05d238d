"""A lake made by hand: rows of BASE tables written as Parquet into a store of files, with the manifest that names them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from chalicelib.lake import manifest as manifests
from chalicelib.lake.manifest import MANIFEST, new_name, to_json
from chalicelib.lake.model import BASE
from chalicelib.ports.files import Files

FOLDED = datetime(2026, 11, 22, 3, tzinfo=UTC)
Row = Mapping[str, Any]


def put_table(files: Files, table: str, rows: Sequence[Row], generation: int = 1) -> str:
    """Write a file of a table and return its key; what a row does not name is NULL."""
    key = new_name(f"lake/base/{table}", generation, FOLDED)
    columns = BASE[table].columns
    with TemporaryDirectory() as folder, duckdb.connect() as connection:
        connection.execute(f'CREATE TABLE t ({", ".join(f""""{name}" {kind}""" for name, kind in columns.items())})')
        for row in rows:
            connection.execute(f"INSERT INTO t VALUES ({', '.join('?' for _ in columns)})", [row.get(name) for name in columns])
        path = Path(folder) / "t.parquet"
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
        files.send(path, key, "application/octet-stream")
    return key


def put_lake(files: Files, tables: Mapping[str, Sequence[Row]], *, erased: Sequence[int] = (), at: datetime = FOLDED) -> None:
    """Put these tables in the place of the former ones of their names; the others stay."""
    before, _ = manifests.load(files)
    base = {**before.base, **{name: (put_table(files, name, rows, before.generation + 1),) for name, rows in tables.items()}}
    manifest = replace(before, base=base, generation=before.generation + 1, folded_at=at, erased=tuple(erased))
    files.put(MANIFEST, to_json(manifest), "application/json")

"""Rows as Parquet, by DuckDB, and the names of delta files: the same records always make the same files."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from chalicelib.lake.changes import Row
from chalicelib.lake.manifest import DELTA_FILES
from chalicelib.lake.model import CHANGE_COLUMNS, CHANGES, Columns

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def columns_of(kind: str) -> Columns:
    """Return all columns of a delta of a kind."""
    return {**CHANGES[kind].columns, **CHANGE_COLUMNS}


def delta_key(kind: str, table: str, versions: Sequence[str]) -> str:
    """Return the name of the file that keeps the changes of a kind out of these records of a table's stream.

    versions: of all records that were handed over together, whatever came of them. Names sort about by time.
    """
    digest = hashlib.sha256("\n".join(sorted(versions)).encode()).hexdigest()[:16]
    return f"{DELTA_FILES}{kind}/{min(versions)}-{table}-{digest}.parquet"


def write_rows(kind: str, rows: Iterable[Row], path: Path) -> None:
    """Write rows of CHANGES[kind] as a Parquet file; a column that a row leaves out is NULL.

    Raises duckdb.Error for a value that is not of its column's type.
    """
    columns = columns_of(kind)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, _database().cursor() as database:
        lines = Path(folder) / "rows.ndjson"
        with lines.open("wb") as file:
            file.writelines(msgspec.json.encode(row) + b"\n" for row in rows)
        given = ", ".join(f"'{name}': '{type_}'" for name, type_ in columns.items())
        names = ", ".join(f'"{name}"' for name in columns)
        database.execute(
            f"COPY (SELECT {names} FROM read_json($rows, format = 'newline_delimited', columns = {{{given}}})) "
            "TO $path (FORMAT parquet, COMPRESSION zstd)",
            {"rows": str(lines), "path": str(path)},
        )


@lru_cache(maxsize=1)
def _database() -> DuckDBPyConnection:
    """Return the process's own database, which holds nothing: to make one takes ten times as long as a small file does."""
    import duckdb

    return duckdb.connect(config={"threads": 1})

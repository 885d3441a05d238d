"""Tables kept as Parquet files that never change: a large one in front, and one small one behind that takes what is new.

A file is begun under a name of its own, here first and then in the store; it belongs to the lake when a manifest names it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.kernel.each import Mapper, in_turn
from chalicelib.kernel.errors import TemporaryError
from chalicelib.lake import manifest as manifests
from chalicelib.lake.model import Columns
from chalicelib.ports.files import Files

if TYPE_CHECKING:
    import duckdb

Without = Callable[[str], str]  # from something to select from to a query
# How much of a table may lie in its small file. Below, a change writes little anew; above, reading would begin to feel it.
_SHARE = 0.25
_PARQUET = "application/vnd.apache.parquet"
# Zstandard's first level: a third less work than its third, and files of the same size (measured).
_FORMAT = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
_SETTINGS = ("SET enable_progress_bar = false", "SET TimeZone = 'UTC'", "SET autoinstall_known_extensions = false")


def listed(paths: Iterable[Path | str]) -> str:
    """Return files as DuckDB's functions take them."""
    return "[" + ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths) + "]"


class Parts:
    """The files that one folding reads and writes. Close it, whatever happens."""

    def __init__(self, files: Files, folder: Path, now: datetime, memory: str = "420MB", each: Mapper = in_turn) -> None:
        import duckdb

        self._files = files
        self._folder = folder
        self._now = now
        self._each = each
        self.rows: dict[str, int] = {}
        self.generation = 0
        self.written: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)
        self.database: duckdb.DuckDBPyConnection = duckdb.connect(
            ":memory:", config={"temp_directory": str(folder / "spill"), "memory_limit": memory, "threads": 2}
        )
        for setting in _SETTINGS:
            self.database.execute(setting)

    def close(self) -> None:
        """Let go of DuckDB."""
        self.database.close()

    def run(self, sql: str) -> list[tuple[object, ...]]:
        """Return the rows that a statement gives."""
        rows: list[tuple[object, ...]] = self.database.execute(sql).fetchall()
        return rows

    def count(self, sql: str) -> int:
        """Return how many rows a query has."""
        return int(str(self.run(f"SELECT count(*) FROM ({sql})")[0][0]))

    def path(self, key: str) -> Path:
        """Return where a file of the store lies on this machine."""
        return self._folder / key.replace("/", "_")

    def fetch(self, keys: Iterable[str]) -> None:
        """Copy files here that are not here yet. Raises TemporaryError when one is gone: somebody else has folded meanwhile."""
        missing = [key for key in keys if not self.path(key).exists()]
        if not all(self._each(lambda key: self._files.fetch(key, self.path(key)), missing)):
            raise TemporaryError("a file of the lake is gone, somebody else has folded meanwhile")

    def forget(self, keys: Iterable[str]) -> None:
        """Remove the copies of files."""
        for key in keys:
            self.path(key).unlink(missing_ok=True)

    def keep_only(self, keys: Iterable[str]) -> None:
        """Remove the copies of all other files."""
        wanted = {self.path(key).name for key in keys}
        for path in self._folder.glob("*.parquet"):
            if path.name not in wanted:
                path.unlink(missing_ok=True)

    def source(self, keys: Iterable[str], columns: Columns) -> str:
        """Return files as something to select from; a column that a file was written without is NULL there."""
        return f"read_parquet({listed([self._nothing(columns), *map(self.path, keys)])}, union_by_name = true)"

    def _nothing(self, columns: Columns) -> Path:
        """Return a file without rows that has these columns."""
        typed = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in columns.items())
        path = self._folder / f"nothing-{hashlib.sha256(typed.encode()).hexdigest()[:16]}"
        if not path.exists():
            self.run(f"COPY (SELECT {typed} WHERE false) TO '{path}' (FORMAT parquet)")
        return path

    def write(self, query: str, folder: str) -> list[str]:
        """Write the rows of a query as a file below a folder of the store; return its key, nothing when there are no rows."""
        key = manifests.new_name(folder, self.generation, self._now)
        path = self.path(key)
        rows = int(str(self.run(f"COPY ({query}) TO '{path}' ({_FORMAT})")[0][0]))
        if not rows:
            path.unlink()
            return []
        self.rows[key] = rows
        self.written.append(key)
        return [key]

    def send(self) -> None:
        """Copy what was written into the store."""
        self._each(lambda key: self._files.send(self.path(key), key, _PARQUET), self.written)

    def renew(
        self, keys: Sequence[str], losing: set[str], folder: str, fresh: str, order: str, without: Without, columns: Columns
    ) -> list[str]:
        """Return a table's files after its leaving rows are gone and fresh ones have come.

        losing: the files that hold leaving rows, the others stay as they are. fresh: a query of the fresh rows. order: how rows lie
        in a file. without: makes of something to select from a query without the leaving rows.
        """
        come = self.count(fresh)
        large, small = list(keys[:1]), list(keys[1:])
        if large and come + sum(self.rows[key] for key in small) > _SHARE * self.rows[large[0]]:
            large, small = [], list(keys)
        kept = large if not losing & set(large) else self.write(without(self.source(large, columns)), folder)
        if not come and not losing & set(small):
            return kept + small
        rows = f"{fresh} UNION ALL BY NAME {without(self.source(small, columns))}"
        return kept + self.write(f"SELECT * FROM ({rows}) ORDER BY {order}", folder)

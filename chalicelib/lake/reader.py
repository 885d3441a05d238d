"""The lake as tables that can be asked: the base files that the manifest names, copied to this machine, below DuckDB views.

A table is copied when it is asked for: what people did is ten times as much as what they are, and seldom asked. Names of base
files are never used again, so a copy is right as long as its name is in the manifest. A copy that is cut short or damaged is
fetched again.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from chalicelib.kernel.errors import TemporaryError
from chalicelib.lake import manifest as manifests
from chalicelib.lake.manifest import Manifest
from chalicelib.lake.model import BASE
from chalicelib.ports.files import Files

if TYPE_CHECKING:
    import duckdb

_AT_ONCE = 8  # 75 MB/s each from S3; eight fill the network of a function with 3 GB (measured for the design: 26 MB in 0.4 s)
_FRESH_SECONDS = 2.0
_TRIES = 3
_MAGIC = b"PAR1"
_SETTINGS = (
    "SET memory_limit = '1600MB'",  # of the function's 3,008: Python, pyroaring and the page cache of /tmp need the rest
    "SET max_temp_directory_size = '2GB'",
    "SET preserve_insertion_order = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET enable_progress_bar = false",
    "SET parquet_metadata_cache = true",
    "SET TimeZone = 'UTC'",
)


@dataclass(frozen=True, slots=True)
class Lake:
    """The lake at one generation: a connection whose views are named as the tables of BASE. tables: those that are there."""

    manifest: Manifest
    connection: duckdb.DuckDBPyConnection
    tables: set[str] = field(default_factory=set)


class Reader:
    """Keeps the newest lake open. One question at a time: a container of Lambda has no more."""

    def __init__(self, files: Files, folder: Path) -> None:
        self._files = files
        self._folder = folder
        self._monotonic: Callable[[], float] = time.monotonic
        self._lock = threading.RLock()
        self._tag = ""
        self._looked_at = float("-inf")
        self._lake: Lake | None = None

    @contextmanager
    def lake(self, tables: Iterable[str] = BASE, *, newest: bool = False) -> Iterator[Lake | None]:
        """Give the lake with these tables, None while there is none. Raises TemporaryError when files cannot be had.

        newest: not even one that was looked at two seconds ago will do.
        """
        wanted = list(tables)
        with self._lock:
            if newest:
                self._looked_at = float("-inf")
            for _ in range(_TRIES):
                if self._monotonic() - self._looked_at >= _FRESH_SECONDS:
                    self._refresh()
                if self._lake is None or self._open(self._lake, wanted):
                    break
                self._looked_at = float("-inf")  # folded meanwhile: the next manifest names other files
            else:
                raise TemporaryError("the files of the lake are not there")
            yield self._lake

    def forget(self) -> None:
        """Let go of everything that was copied: something in it cannot be read."""
        with self._lock:
            self._close()
            for path in self._copies():
                path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._lake is not None:
            self._lake.connection.close()
        self._lake, self._tag, self._looked_at = None, "", float("-inf")

    def _refresh(self) -> None:
        manifest, tag = manifests.load(self._files)
        if not tag:
            self._close()
            return
        if tag != self._tag:
            former, self._lake = self._lake, Lake(manifest, _connection(manifest, self._folder))
            if former is not None:
                former.connection.close()
            self._tag = tag
            self._tidy(manifest)
        self._looked_at = self._monotonic()

    def _open(self, lake: Lake, tables: Iterable[str]) -> bool:
        """Let these tables be asked; return whether their files could be had."""
        new = [table for table in tables if table not in lake.tables]
        if not self._copy([key for table in new for key in lake.manifest.base.get(table, ())]):
            return False
        for table in new:
            paths = [str(self._folder / _name(key)) for key in lake.manifest.base.get(table, ())]
            lake.connection.execute(_view(table, paths, hides=bool(lake.manifest.erased)))
            lake.tables.add(table)
        return True

    def _copy(self, keys: Iterable[str]) -> bool:
        """Fetch what is not here; return whether all of it could be had."""
        missing = [key for key in keys if not _is_whole(self._folder / _name(key))]

        def fetch(key: str) -> bool:
            path = self._folder / _name(key)
            return self._files.fetch(key, path) and _is_whole(path)

        with ThreadPoolExecutor(_AT_ONCE) as threads:
            return all(list(threads.map(fetch, missing)))

    def _copies(self) -> list[Path]:
        return [path for path in self._folder.glob("*") if path.is_file()] if self._folder.exists() else []

    def _tidy(self, manifest: Manifest) -> None:
        wanted = {_name(key) for key in _keys(manifest)}
        for path in self._copies():
            if path.name not in wanted:
                path.unlink(missing_ok=True)


def _keys(manifest: Manifest) -> list[str]:
    return [key for keys in manifest.base.values() for key in keys]


def _name(key: str) -> str:
    return key.replace("/", "_")


def _is_whole(path: Path) -> bool:
    """Say whether a Parquet file begins and ends as one (format: four bytes of magic at both ends)."""
    try:
        with path.open("rb") as file:
            if file.read(4) != _MAGIC:
                return False
            file.seek(-4, 2)
            return file.read(4) == _MAGIC
    except OSError:
        return False


def _connection(manifest: Manifest, folder: Path) -> duckdb.DuckDBPyConnection:
    import duckdb

    # Else DuckDB looks for pandas twice for every parameter of every query, and where there is none looks through all paths.
    sys.modules.setdefault("pandas", None)  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    connection = duckdb.connect(":memory:", config={"temp_directory": str(folder / "spill")})
    for setting in _SETTINGS:
        connection.execute(setting)
    connection.execute("CREATE TABLE erased (cid BIGINT)")
    if manifest.erased:
        connection.execute("INSERT INTO erased SELECT unnest(?)", [list(manifest.erased)])
    # From here on a query sees the copies and nothing else of this machine, whatever its text says.
    connection.execute(f"SET allowed_directories = [{_literal(str(folder))}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")
    return connection


def _view(name: str, paths: Iterable[str], *, hides: bool) -> str:
    columns = BASE[name].columns
    files = ", ".join(_literal(path) for path in paths)
    if not files:
        return f'CREATE TABLE "{name}" ({", ".join(f"{_quoted(column)} {kind}" for column, kind in columns.items())})'
    wanted = ", ".join(_quoted(column) for column in columns)
    # Who is erased is in no answer from this moment on, though the files hold him until the next folding.
    hidden = ' WHERE "cid" NOT IN (SELECT cid FROM erased)' if hides else ""
    return f'CREATE VIEW "{name}" AS SELECT {wanted} FROM read_parquet([{files}]){hidden}'


def _quoted(name: str) -> str:
    return f'"{name}"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"

"""The lake opened on a machine: what is copied, kept, thrown away and fetched again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from chalicelib.kernel.errors import TemporaryError
from chalicelib.lake.manifest import load
from chalicelib.lake.model import BASE
from chalicelib.lake.reader import Lake, Reader
from tests.fakes.outside import FakeFiles
from tests.lake.base_files import put_lake

PEOPLE = [{"cid": 1, "gender": "female"}, {"cid": 2, "gender": "male"}, {"cid": 3, "gender": "female"}]


@dataclass
class WatchedFiles(FakeFiles):
    fetched: Counter[str] = field(default_factory=Counter)
    torn: int = 0

    def fetch(self, key: str, path: Path) -> bool:
        self.fetched[key.split("/")[2]] += 1
        found = super().fetch(key, path)
        if found and self.torn:
            self.torn -= 1
            path.write_bytes(path.read_bytes()[:-20])
        return found


@pytest.fixture
def files() -> WatchedFiles:
    return WatchedFiles()


@pytest.fixture
def reader(files: WatchedFiles, tmp_path: Path) -> Reader:
    reader = Reader(files, tmp_path / "lake")
    ticks = iter(range(0, 10_000, 10))
    reader._monotonic = lambda: next(ticks)  # every call comes later than the manifest is trusted
    return reader


def cids(lake: Lake | None, where: str = "TRUE") -> list[int]:
    assert lake is not None
    return [cid for (cid,) in lake.connection.execute(f'SELECT cid FROM "customer" WHERE {where} ORDER BY cid').fetchall()]


def test_without_a_manifest_there_is_no_lake(reader: Reader) -> None:
    with reader.lake() as lake:
        assert lake is None


def test_every_table_can_be_asked_and_those_without_files_are_empty(files: WatchedFiles, reader: Reader) -> None:
    put_lake(files, {"customer": PEOPLE})
    with reader.lake() as lake:
        assert cids(lake, "gender = 'female'") == [1, 3]
        for name, table in BASE.items():
            found = lake.connection.execute(f'SELECT * FROM "{name}"')
            assert [each[0] for each in found.description] == list(table.columns)
            assert len(found.fetchall()) == (3 if name == "customer" else 0)


def test_files_are_copied_once_and_only_those_that_changed(files: WatchedFiles, reader: Reader) -> None:
    put_lake(files, {"customer": PEOPLE, "tag": [{"tag": "tag_a", "cid": 1}]})
    for _ in range(3):
        with reader.lake():
            pass
    assert files.fetched == {"customer": 1, "tag": 1}
    put_lake(files, {"customer": PEOPLE[:2]})
    with reader.lake() as lake:
        assert cids(lake) == [1, 2]
        assert lake.manifest.generation == 2
    assert files.fetched == {"customer": 2, "tag": 1}


def test_a_table_is_copied_when_it_is_asked_for(files: WatchedFiles, reader: Reader) -> None:
    put_lake(files, {"customer": PEOPLE, "tag": [{"tag": "tag_a", "cid": 1}]})
    with reader.lake(["customer"]) as lake:
        assert cids(lake) == [1, 2, 3]
    assert files.fetched == {"customer": 1}
    with reader.lake(["customer", "tag"]) as lake:
        assert cids(lake, 'cid IN (SELECT cid FROM "tag")') == [1]
    assert files.fetched == {"customer": 1, "tag": 1}


def test_copies_of_a_former_lake_are_removed(files: WatchedFiles, reader: Reader, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        put_lake(files, {"customer": PEOPLE[:number]})
        with reader.lake():
            pass
    assert [path.name for path in (tmp_path / "lake").glob("*.parquet")] == [load(files)[0].base["customer"][0].replace("/", "_")]


def test_who_is_erased_is_in_no_table_at_once(files: WatchedFiles, reader: Reader) -> None:
    put_lake(files, {"customer": PEOPLE, "tag": [{"tag": "tag_a", "cid": 1}, {"tag": "tag_a", "cid": 2}]})
    put_lake(files, {}, erased=[1])
    with reader.lake() as lake:
        assert cids(lake) == [2, 3]
        assert lake.connection.execute('SELECT cid FROM "tag"').fetchall() == [(2,)]
    assert files.fetched == {"customer": 1, "tag": 1}


def test_a_copy_that_was_cut_short_is_fetched_again(files: WatchedFiles, reader: Reader) -> None:
    put_lake(files, {"customer": PEOPLE})
    files.torn = 1
    with reader.lake() as lake:
        assert cids(lake) == [1, 2, 3]
    assert files.fetched["customer"] == 2


def test_a_copy_that_somebody_cut_short_meanwhile_is_fetched_again_by_the_next_reader(
    files: WatchedFiles, reader: Reader, tmp_path: Path
) -> None:
    put_lake(files, {"customer": PEOPLE})
    with reader.lake():
        pass
    (copy,) = (tmp_path / "lake").glob("*.parquet")
    copy.write_bytes(copy.read_bytes()[:-20])
    with Reader(files, tmp_path / "lake").lake() as lake:
        assert cids(lake) == [1, 2, 3]


def test_when_its_files_have_been_folded_away_the_next_manifest_counts(files: WatchedFiles, reader: Reader) -> None:
    put_lake(files, {"customer": PEOPLE})
    (old,) = load(files)[0].base["customer"]
    real_fetch = files.fetch

    def fetch(key: str, path: Path) -> bool:
        if key == old:
            files.delete([old])
            put_lake(files, {"customer": PEOPLE[:1]})
        return real_fetch(key, path)

    files.fetch = fetch  # type: ignore[method-assign]
    with reader.lake() as lake:
        assert cids(lake) == [1]


def test_when_the_files_stay_away_the_caller_may_try_later(files: WatchedFiles, reader: Reader) -> None:
    put_lake(files, {"customer": PEOPLE})
    files.delete(load(files)[0].base["customer"])
    with pytest.raises(TemporaryError), reader.lake():
        pass


@pytest.mark.parametrize(
    "text",
    ["SELECT * FROM read_text('/etc/hostname')", "COPY customer TO '/tmp/out.csv'", "SET memory_limit = '100GB'", "INSTALL httpfs"],
)
def test_a_query_sees_the_copies_and_nothing_else_of_the_machine(files: WatchedFiles, reader: Reader, text: str) -> None:
    put_lake(files, {"customer": PEOPLE})
    with reader.lake() as lake, pytest.raises(duckdb.Error):
        lake.connection.execute(text)

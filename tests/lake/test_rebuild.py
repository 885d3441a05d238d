"""A lake that has lost records, or everything, is made anew out of the tables while they go on changing."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib.kernel.errors import ConflictError
from chalicelib.lake import rebuild as rebuilds
from chalicelib.lake.deltas import write_rows
from chalicelib.lake.folding import EXPIRING, fold
from chalicelib.lake.rebuild import Rebuild
from tests.builders import make_stage
from tests.fakes.outside import FakeFiles
from tests.lake.lives import Life, put_deltas, read_lake
from tests.lake.naive_lake import tables_of


class Scanned(Rebuild):
    """A rebuild whose tables are a life's items, read a part at a time; between two parts life goes on."""

    def __init__(self, files: FakeFiles, folder: Path, life: Life) -> None:
        super().__init__(None, files, folder)  # type: ignore[arg-type]
        self._life, self._store = life, files

    def _read(self, progress: rebuilds.Progress) -> int:
        for kind in {kind for kind, _ in self._life.items}:
            rows = [
                {**row, "v": "", "at": progress.began_at.replace(tzinfo=None), "gone": False}
                for (of, key), row in self._life.items.items()
                if of == kind and hash(key) % progress.parts == progress.done
            ]
            path = self._folder / "rows"
            write_rows(kind, rows, path)
            self._store.send(path, f"{self._below(progress)}{kind}/{progress.done}.parquet", "")
        for _ in range(self._life.random.randint(0, 6)):
            self._life.step()
        return 0


@pytest.mark.parametrize("seed", range(3))
def test_what_streams_have_lost_is_healed_while_everything_goes_on(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilds, "PARTS", 1)
    # A deletion that the stream has lost is taken for an expiry, where items expire.
    life, store, dice = Life(seed, keeps=EXPIRING), FakeFiles(), random.Random(seed)
    for _ in range(50):
        life.step()
    reached = [record for record in life.records if dice.random() < 0.6]
    late = [record for record in life.records if dice.random() < 0.2]
    put_deltas(store, tmp_path, reached)
    fold(store, tmp_path / "work", life.now)
    assert read_lake(store, tmp_path / "read") != tables_of(life.items)

    life.now += timedelta(minutes=5)
    begun = len(life.records)
    rebuild = Scanned(store, tmp_path / "work", life)
    rebuild.order(life.now)
    with pytest.raises(ConflictError):
        rebuild.order(life.now)
    while rebuild.work(life.now, iter([True, False]).__next__):
        # Records of now and of long ago come in any order, and are folded while the tables are read.
        young = life.records[begun:]
        put_deltas(store, tmp_path, dice.sample(young, len(young) // 2) + dice.sample(late, min(3, len(late))))
        fold(store, tmp_path / "work", life.now)

    put_deltas(store, tmp_path, life.records[begun:] + late)
    fold(store, tmp_path / "work", life.now)
    assert read_lake(store, tmp_path / "read") == tables_of(life.items)
    assert rebuild.progress() is None
    assert not store.list("lake/rebuild")


def test_from_nothing_out_of_the_real_tables(tables: str, tmp_path: Path) -> None:
    stage = make_stage()
    cid = stage.customer("m1", name="花子", prefecture="北海道", city="札幌市", gender="female")
    friend = stage.friend()
    rebuild = Rebuild(stage.world.database, stage.files, tmp_path)
    rebuild.order(stage.clock.now())
    assert not rebuild.work(stage.clock.now(), lambda: True)
    lake = read_lake(stage.files, tmp_path / "read")
    assert {row[0] for row in lake["customer"]} == {cid, friend}
    assert {row[2] for row in lake["identity"] if row[0] == cid} == {"花子"}
    assert [row[1] for row in lake["friend"]] == [friend]

"""A lake that has lost records, or everything, is made anew out of the tables while they go on changing."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from chalicelib.kernel.errors import ConflictError
from chalicelib.lake import rebuild as rebuilds
from chalicelib.lake.deltas import write_rows
from chalicelib.lake.folding import fold
from chalicelib.lake.model import CHANGES
from chalicelib.lake.rebuild import Rebuild
from tests.builders import make_stage
from tests.fakes.outside import FakeFiles
from tests.lake.lives import START, Life, put_deltas, read_lake
from tests.lake.naive_lake import Items, tables_of


class Scanned(Rebuild):
    """A rebuild whose tables are a life's items, read a part at a time; between two parts life goes on."""

    def __init__(self, files: FakeFiles, folder: Path, life: Life, steps: int = 6) -> None:
        super().__init__(None, files, folder)  # type: ignore[arg-type]
        self._life, self._store, self._steps = life, files, steps

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
        for _ in range(self._life.random.randint(0, self._steps)):
            self._life.step()
        return 0


def expired(seed: int) -> Items:
    """Return items that were due to expire before the life began."""
    life, found = Life(seed + 100), {}
    for _ in range(60):
        life.step()
    for (kind, _), row in life.items.items():
        if "expires_at" in CHANGES[kind].columns:
            name = next(name for name in ("order_no", "id", "campaign") if name in row)
            old = {**row, name: f"{row[name]}-old", "expires_at": START.replace(tzinfo=None) - timedelta(days=1)}
            found[kind, tuple(old[name] for name in CHANGES[kind].key)] = old
    assert {kind for kind, _ in found} == {"purchase", "event", "enrollment", "recipient"}
    return found


@pytest.mark.parametrize("seed", range(3))
def test_what_streams_have_lost_is_healed_while_everything_goes_on(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rebuilds, "PARTS", 1)
    life, store, dice = Life(seed), FakeFiles(), random.Random(seed)
    # What has expired stands in no table any more, and stays in the lake.
    old = expired(seed)
    told = {"v": f"{1:040}", "at": START.replace(tzinfo=None) - timedelta(days=400), "gone": False}
    put_deltas(store, tmp_path, [(kind, {**row, **told}) for (kind, _), row in old.items()])
    for _ in range(50):
        life.step()
    reached = [record for record in life.records if dice.random() < 0.6]
    late = [record for record in life.records if dice.random() < 0.2]
    put_deltas(store, tmp_path, reached)
    fold(store, tmp_path / "work", life.now)
    assert read_lake(store, tmp_path / "read") != tables_of(life.items | old)

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
    assert read_lake(store, tmp_path / "read") == tables_of(life.items | old)
    assert rebuild.progress() is None
    assert not store.list("lake/rebuild")


@pytest.mark.parametrize("kind", ["purchase", "event", "enrollment", "recipient"])
def test_a_deletion_that_its_stream_has_lost_is_healed(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the last item of a kind too: then the tables have none to show."""
    monkeypatch.setattr(rebuilds, "PARTS", 1)
    life, store = Life(1), FakeFiles()
    while not any(of == kind for of, _ in life.items):
        life.step()
    put_deltas(store, tmp_path, life.records)
    fold(store, tmp_path / "work", life.now)
    for key in [key for key in life.items if key[0] == kind]:
        del life.items[key]
    life.now += timedelta(minutes=5)
    rebuild = Scanned(store, tmp_path / "work", life, steps=0)
    rebuild.order(life.now)
    rebuild.work(life.now, lambda: True)
    assert read_lake(store, tmp_path / "read") == tables_of(life.items)


def test_what_was_deleted_before_it_expired_does_not_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its former version stands in the large file of the mirror as long as the deletion in the small one."""
    monkeypatch.setattr(rebuilds, "PARTS", 1)
    life, store = Life(1), FakeFiles()
    day = START.replace(tzinfo=None)
    bought = [
        {"cid": 1, "order_no": f"n{number}", "at_instant": day, "amount_yen": 10, "expires_at": day - timedelta(days=number)}
        for number in range(8)
    ]
    told = {"v": f"{1:040}", "at": day - timedelta(days=400), "gone": False}
    put_deltas(store, tmp_path, [("purchase", {**row, **told}) for row in bought])
    fold(store, tmp_path / "work", life.now)
    deleted = {"v": f"{2:040}", "at": day - timedelta(days=300), "gone": True}
    put_deltas(store, tmp_path, [("purchase", {"cid": 1, "order_no": "n3", **deleted})])
    fold(store, tmp_path / "work", life.now)
    left = {("purchase", (1, row["order_no"])): row for row in bought if row["order_no"] != "n3"}
    assert read_lake(store, tmp_path / "read") == tables_of(left)
    rebuild = Scanned(store, tmp_path / "work", life, steps=0)
    rebuild.order(life.now)
    rebuild.work(life.now, lambda: True)
    assert read_lake(store, tmp_path / "read") == tables_of(left)


def test_when_a_campaign_reached_somebody_stays_as_its_stream_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tables do not say: what is read from them counts as sent when the reading began, where nothing else is known."""
    monkeypatch.setattr(rebuilds, "PARTS", 1)
    life, store = Life(1), FakeFiles()
    sent = START.replace(tzinfo=None) - timedelta(days=30)
    rows = [{"campaign": "c", "cid": cid, "at_instant": sent} for cid in (1, 2)]
    put_deltas(store, tmp_path, [("recipient", {**rows[0], "v": f"{1:040}", "at": sent, "gone": False})])
    fold(store, tmp_path / "work", life.now)
    read = START.replace(tzinfo=None)
    life.items = {("recipient", ("c", row["cid"])): {**row, "at_instant": read} for row in rows}
    rebuild = Scanned(store, tmp_path / "work", life, steps=0)
    for _ in range(2):
        life.now += timedelta(minutes=5)
        rebuild.order(life.now)
        rebuild.work(life.now, lambda: True)
    assert {row[3:] for row in read_lake(store, tmp_path / "read")["received"]} == {(1, sent), (2, read)}


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

"""Whoever is erased does not come back into the lake by what comes late."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.kernel.ids import Cid
from chalicelib.lake.erasure import hide, purge
from chalicelib.lake.folding import fold
from tests.fakes.outside import FakeFiles
from tests.lake.lives import Life, put_deltas, read_lake
from tests.lake.naive_lake import tables_of


@pytest.mark.parametrize("seed", range(3))
def test_what_comes_late_about_him_does_not_bring_him_back(seed: int, tmp_path: Path) -> None:
    life, store = Life(seed), FakeFiles()
    for _ in range(60):
        life.step()
    put_deltas(store, tmp_path, life.records)
    fold(store, tmp_path / "work", life.now)
    profiles = {row["cid"]: row.get("merged_into") for (kind, _), row in life.items.items() if kind == "profile"}
    cids = [5]
    while more := [cid for cid, into in profiles.items() if into in cids and cid not in cids]:
        cids += more
    for cid in cids:
        life.erase(cid)
    hide(store, [Cid(cid) for cid in cids])
    assert purge(store, tmp_path / "work", life.now) == len(cids)
    assert purge(store, tmp_path / "work", life.now) == 0
    put_deltas(store, tmp_path, life.records)
    fold(store, tmp_path / "work", life.now)
    assert read_lake(store, tmp_path / "read") == tables_of(life.items)

"""The function that keeps the lake."""

from __future__ import annotations

from pathlib import Path

import pytest

from chalicelib.entrypoints import lake_keeper
from chalicelib.kernel.errors import ConflictError
from chalicelib.lake.manifest import load
from chalicelib.lake.model import CHANGES
from chalicelib.lake.service import Lake
from tests.builders import make_stage
from tests.lake.lives import Life, put_deltas, read_lake
from tests.lake.naive_lake import tables_of


def test_it_folds_what_has_come_and_makes_the_lake_anew_when_told(tables: str, tmp_path: Path) -> None:
    stage, life = make_stage(), Life(1)
    stage.world.__dict__["lake"] = Lake(stage.world.database, stage.files, stage.clock, tmp_path / "work")
    for _ in range(30):
        life.step()
    put_deltas(stage.files, tmp_path, life.records)
    assert lake_keeper.handle({"kind": "fold"}, stage.world) == {"changes": changed(life)}
    assert read_lake(stage.files, tmp_path / "read") == tables_of(life.items)
    assert b"/lake/base/customer/" in stage.files.kept["lake/athena/customer/symlink.txt"]
    assert lake_keeper.handle({"kind": "fold"}, stage.world) == {"changes": 0}

    cid = stage.customer("m1")
    lake_keeper.handle({"kind": "rebuild"}, stage.world)
    assert cid in {row[0] for row in read_lake(stage.files, tmp_path / "read")["customer"]}
    assert load(stage.files)[0].rebuilt_at == stage.clock.now().replace(microsecond=0)
    assert stage.world.lake.rebuild.progress() is None
    stage.world.lake.rebuild.order(stage.clock.now())
    with pytest.raises(ConflictError):
        lake_keeper.handle({"kind": "rebuild"}, stage.world)


def changed(life: Life) -> int:
    """Return how many items have changed: of each the last change counts."""
    return len({(kind, *(row[name] for name in CHANGES[kind].key)) for kind, row in life.records})

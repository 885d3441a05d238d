"""Who is erased leaves no trace, and is known when somebody brings him back."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from datetime import timedelta
from pathlib import Path

import pytest
from pyroaring import BitMap

from chalicelib.entrypoints import lake_keeper
from chalicelib.kernel.errors import InvalidError, NotFoundError
from chalicelib.kernel.ids import Cid
from chalicelib.lake.erasure import hide, purge
from chalicelib.lake.folding import fold
from chalicelib.lake.manifest import GRACE, load
from chalicelib.lake.service import Lake
from chalicelib.orders.model import Order
from chalicelib.people.model import line_identity, member_identity
from chalicelib.settings import settings
from tests.builders import HANAKO, MAIN, TARO, make_stage
from tests.fakes.outside import FakeFiles
from tests.lake.lives import Life, put_deltas, read_lake
from tests.lake.naive_lake import tables_of

TRACES = ("花子", "hanako@example.jp", "+819011112222", "m-hanako", HANAKO, "order-hanako")


def everything(stage, tmp_path: Path) -> Iterator[str]:  # type: ignore[no-untyped-def]
    """Yield all that is kept anywhere, as text."""
    import duckdb

    config = settings()
    for table in (config.core_table, config.timeline_table, config.engine_table, config.config_table):
        yield from (repr(item) for item in stage.world.database.scan(table, segment=0, segments=1))
    for key, content in stage.files.kept.items():
        yield key
        if key.endswith(".parquet"):
            path = tmp_path / "look.parquet"
            path.write_bytes(content)
            yield repr(duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall())
        else:
            yield repr(content)


def test_no_trace_in_tables_files_bitmaps_and_logs(tables: str, tmp_path: Path) -> None:
    stage, logs = make_stage(), io.StringIO()
    stage.world.__dict__["lake"] = Lake(stage.world.database, stage.files, stage.clock, tmp_path / "work")
    with redirect_stdout(logs):
        cid = stage.customer("m-hanako", name="花子", email="hanako@example.jp", phone="+819011112222")
        former = stage.friend(HANAKO)
        stage.world.friends.move(stage.world.friends.get(MAIN, HANAKO), cid)
        stage.world.people.mark_merged(former, cid)
        stage.friend(TARO)
        other = stage.customer("m-jiro", name="次郎")
        order = Order("order-hanako", cid, stage.clock.now(), 1_000, ("ピアスA",))
        stage.world.orders.take([order])
        stage.files.put("lake/audience/a-1.roar", BitMap([int(cid), int(other)]).serialize(), "")
        lake_keeper.handle({"kind": "rebuild"}, stage.world)
        found = "".join(everything(stage, tmp_path))
        assert all(trace in found for trace in TRACES)

        receipt = stage.world.erasures.erase(former, "本人の申し出", "key_1")
        assert stage.world.erasures.erase(former, "again", "key_2") == receipt == stage.world.erasures.receipt(receipt.receipt_id)
        assert set(receipt.cids) == {cid, former} == set(load(stage.files)[0].erased)
        lake_keeper.handle({"kind": "fold"}, stage.world)
        stage.clock.set(stage.clock.now() + GRACE)
        lake_keeper.handle({"kind": "fold"}, stage.world)
    left = "".join(everything(stage, tmp_path))
    assert not [trace for trace in TRACES if trace in left]
    assert not [trace for trace in TRACES if trace in logs.getvalue()]
    assert {row[0] for row in read_lake(stage.files, tmp_path / "read")["customer"]}.isdisjoint({cid, former})
    assert BitMap.deserialize(stage.files.kept["lake/audience/a-1.roar"]) == BitMap([int(other)])
    assert "次郎" in left

    known = [member_identity("m-hanako"), line_identity(MAIN, HANAKO), "email#hanako@example.jp", "phone#+819011112222"]
    assert stage.world.erasures.is_erased([*known, member_identity("m-jiro")]) == set(known)
    # A new follow by himself makes a new person.
    assert stage.friend(HANAKO, stage.clock.now() + timedelta(days=1)) not in (cid, former)


def test_it_needs_a_reason_and_a_person(tables: str) -> None:
    stage = make_stage()
    with pytest.raises(InvalidError):
        stage.world.erasures.erase(stage.customer("m1"), " ", "key_1")
    with pytest.raises(NotFoundError):
        stage.world.erasures.erase(987_654_321, "because", "key_1")  # type: ignore[arg-type]
    with pytest.raises(NotFoundError):
        stage.world.erasures.receipt("era_1")


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

"""The made-up lake that speed is measured on: the same for the same seed, whole, and not unlike a company's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from chalicelib.lake.derive import columns_of_table
from chalicelib.lake.model import BASE
from chalicelib.lake.folding import fold
from chalicelib.lake.manifest import load
from chalicelib.segments.reading import parse
from chalicelib.segments.sql import compile_sql
from local import lake_data
from local.lake_data import NOW, Size, write_lake
from local.lake_store import FolderFiles

SIZE = Size(customers=4000)


def opened(folder: Path, size: Size) -> Any:
    manifest = write_lake(size, folder)
    database = duckdb.connect()
    for table, keys in manifest.base.items():
        database.execute(f'CREATE VIEW "{table}" AS FROM read_parquet({[str(folder / key) for key in keys]!r})')
    return database


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with opened(tmp_path_factory.mktemp("lake"), SIZE) as database:
        yield database


def one(lake: Any, sql: str) -> Any:
    return lake.execute(sql).fetchone()[0]


def fingerprint(lake: Any, table: str) -> Any:
    return one(lake, f'SELECT bit_xor(hash(t)) FROM "{table}" AS t')


def test_the_same_seed_makes_the_same_lake_and_another_seed_another(lake: Any, tmp_path: Path) -> None:
    for seed, same in ((SIZE.seed, True), (SIZE.seed + 1, False)):
        folder = tmp_path / str(seed)
        folder.mkdir()
        with opened(folder, Size(SIZE.customers, seed=seed)) as other:
            assert {table: fingerprint(other, table) == fingerprint(lake, table) for table in BASE} == dict.fromkeys(BASE, same)


def test_items_are_the_same_however_few_people_are_made_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {}
    for block in (1000, 300):
        monkeypatch.setattr(lake_data, "_BLOCK", block)
        folder = tmp_path / str(block)
        folder.mkdir()
        manifest = write_lake(Size(customers=1000), folder)
        made[block] = {
            kind: duckdb.execute(f"SELECT count(*), bit_xor(hash(t)) FROM read_parquet('{folder / key}') AS t").fetchone()
            for kind, (key,) in manifest.mirror.items()
        }
        assert {kind: manifest.rows[key] for kind, (key,) in manifest.mirror.items()} == {
            kind: rows for kind, (rows, _) in made[block].items()
        }
        assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".parquet", ".json"}
    assert made[1000] == made[300] and len(made[300]) == 8


@pytest.mark.parametrize("table", BASE)
def test_a_table_has_the_columns_of_the_lake_and_no_row_twice(lake: Any, table: str) -> None:
    columns = {name: kind for name, kind, *_ in lake.execute(f'DESCRIBE "{table}"').fetchall()}
    assert columns == dict(columns_of_table(table))
    key = ", ".join(f'"{name}"' for name in BASE[table].key)
    assert one(lake, f'SELECT count(*) FROM "{table}"') == one(lake, f'SELECT count(*) FROM (SELECT DISTINCT {key} FROM "{table}")')
    assert one(lake, f'SELECT count(*) FROM "{table}" WHERE {" OR ".join(f"{name} IS NULL" for name in key.split(", "))}') == 0


def test_what_two_tables_tell_agrees(lake: Any) -> None:
    same = """SELECT count(*) FROM customer LEFT JOIN ({}) AS other USING (cid) WHERE ({}) IS DISTINCT FROM ({})"""
    orders = (
        "SELECT cid, count(DISTINCT order_no) AS n, sum(yen) AS yen, min(day) AS first, max(day) AS last FROM purchase GROUP BY cid"
    )
    mine = "count, total_yen, first_day, last_day"
    assert one(lake, same.format(orders, mine, "coalesce(n, 0), coalesce(yen, 0), first, last")) == 0
    friends = "SELECT cid, bool_or(reachable) AS reachable FROM friend GROUP BY cid"
    assert one(lake, same.format(friends, "line_reachable", "coalesce(reachable, false)")) == 0
    assert one(lake, "SELECT count(*) FROM purchase WHERE is_first AND is_last AND line = 0") == one(
        lake, "SELECT count(*) FROM customer WHERE count = 1"
    )
    assert one(lake, "SELECT count(*) FROM customer WHERE count > 0") == one(
        lake, "SELECT count(DISTINCT order_no) FROM purchase JOIN customer USING (cid) WHERE is_first AND purchase.day = first_day"
    )
    assert one(lake, "SELECT count(*) FROM (SELECT order_no FROM purchase GROUP BY ALL HAVING max(amount_yen) <> sum(yen))") == 0
    assert one(lake, "SELECT count(*) FROM customer WHERE activity_day > DATE '2026-11-22' OR birthday > DATE '2026-11-22'") == 0


def test_it_is_as_large_as_asked(lake: Any) -> None:
    people = one(lake, "SELECT count(*) FROM customer")
    assert people == SIZE.customers
    assert one(lake, "SELECT count(DISTINCT order_no) FROM purchase") / people == pytest.approx(SIZE.orders_each, rel=0.1)
    assert one(lake, "SELECT count(*) FROM event") / people == pytest.approx(SIZE.events_each, rel=0.1)


@pytest.mark.parametrize(
    ("tree", "least", "most"),
    [
        ({"all": [{"field": "profile.gender", "is": "female"}, {"field": "profile.age", "from": 30, "to": 39}]}, 0.05, 0.2),
        ({"field": "profile.city", "is": "札幌市"}, 0.005, 0.03),
        ({"purchase": {"product": "P007", "shop": "shop_03"}}, 0.002, 0.02),
        ({"all": [{"date": "activity.last", "before_days": 90}, {"field": "line.reachable", "is": True}]}, 0.1, 0.4),
        ({"reacted": {"campaign": "cmp_12"}}, 0.02, 0.2),
        ({"all": [{"tag": "tag_001"}, {"not": {"tag": "tag_002"}}]}, 0.1, 0.5),
        ({"event": {"kind": "survey_answered", "name": "survey_1", "data": {"q1": "yes"}}}, 0.005, 0.1),
        ({"scenario": {"id": "dormant90", "state": "in"}}, 0.01, 0.1),
    ],
)
def test_the_usual_questions_find_a_plausible_part(lake: Any, tree: Any, least: float, most: float) -> None:
    query = compile_sql(parse(tree), NOW)
    (found,) = lake.execute(f"SELECT count(*) FROM ({query.text})", query.parameters).fetchone()
    assert least < found / SIZE.customers < most


def test_its_items_fold_into_the_same_tables(tmp_path: Path) -> None:
    manifest = write_lake(Size(customers=300), tmp_path)
    files = FolderFiles(tmp_path)
    database = duckdb.connect()
    for kind in ("profile", "stats", "tags", "purchase", "enrollment", "recipient"):  # everybody's tables are made anew of these
        (key,) = manifest.mirror[kind]
        delta = tmp_path / f"lake/delta/{kind}/again.parquet"
        delta.parent.mkdir(parents=True)
        database.execute(f"COPY (SELECT * REPLACE ('1' AS v) FROM '{tmp_path / key}') TO '{delta}' (FORMAT parquet)")
    tables = [table for table in BASE if table not in ("event", "reaction")]

    def contents() -> dict[str, Any]:
        now, _ = load(files)
        sources = {table: [str(tmp_path / key) for key in now.base[table]] for table in tables}
        return {table: database.execute(f"SELECT bit_xor(hash(t)), count(*) FROM read_parquet({source!r}) AS t").fetchone()
                for table, source in sources.items()}  # fmt: skip

    before = contents()
    assert fold(files, tmp_path / "work", NOW).changes
    assert contents() == before

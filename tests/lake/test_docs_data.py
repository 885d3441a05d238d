"""docs/data.md says what lies in the lake, and its examples are questions that can be asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from chalicelib.lake.cubes import CUBES
from chalicelib.lake.model import BASE
from local.lake_data import Size, write_lake

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```sql\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("lake")
    manifest = write_lake(Size(customers=3000), folder)
    with duckdb.connect() as database:
        for table, keys in manifest.base.items():
            names = ", ".join(f'"{name}"' for name in BASE[table].columns)
            database.execute(f'CREATE VIEW "{table}" AS SELECT {names} FROM read_parquet({[str(folder / key) for key in keys]!r})')
        yield database


def sections() -> dict[str, str]:
    _, *parts = re.split(r"^### (.+)\n", GUIDE.partition("\n## 問い合わせ")[0], flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def test_it_names_every_table_and_no_other() -> None:
    assert list(sections()) == [*BASE, *CUBES]


@pytest.mark.parametrize("table", [*BASE, *CUBES])
def test_it_tells_every_column_with_its_type_and_its_meaning(table: str) -> None:
    rows = re.findall(r"^\| (\w+) \| (\w+(?:\(.+?\))?) \| (.+) \|$", sections()[table], re.MULTILINE)
    told = {name: kind for name, kind, _ in rows if name != "column"}
    columns = (BASE.get(table) or CUBES[table]).columns
    assert told == dict(columns)
    assert list(told) == list(columns)
    assert all(meaning.strip() for _, _, meaning in rows)


@pytest.mark.parametrize("sql", EXAMPLES, ids=[sql.split("\n")[0][:40] for sql in EXAMPLES])
def test_its_examples_find_something(lake: Any, sql: str, tmp_path: Path) -> None:
    target = tmp_path / "prefectures.csv"
    rows = lake.execute(sql.replace("prefectures.csv", str(target))).fetchall()
    assert rows and all(value is not None for value in rows[0])
    if "COPY" in sql:
        first, *others = target.read_text(encoding="utf-8").splitlines()
        assert first == "prefecture,people,yen" and len(others) == 47


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 5

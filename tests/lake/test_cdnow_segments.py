"""Real people: counts over the purchase history of 23,570 CDNOW customers equal what the raw file says, by other means.

The file lies outside the repository (../shared/data/cdnow_master.txt.gz; Fader & Hardie 2001); without it this test says so and is
skipped. Amounts are cents here where the product says yen.
"""

from __future__ import annotations

import gzip
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from chalicelib.kernel.windows import JST
from chalicelib.lake.model import BASE
from chalicelib.segments.reading import parse
from chalicelib.segments.sql import compile_sql

DATA = Path(__file__).parents[3] / "shared" / "data" / "cdnow_master.txt.gz"
TODAY = date(1998, 6, 30)
NOW = datetime.combine(TODAY, time(23, 59), tzinfo=JST).astimezone(UTC)

pytestmark = pytest.mark.skipif(not DATA.exists(), reason=f"the CDNOW purchase history is not there ({DATA.name})")


@dataclass(frozen=True)
class Bought:
    """One line of the file."""

    day: date
    cents: int


History = dict[int, list[Bought]]  # by customer, in the order of the file, which is that of the days


def read() -> History:
    found: History = defaultdict(list)
    with gzip.open(DATA, "rt") as lines:
        next(lines)
        for line in lines:
            customer, day, _, dollars = line.split()
            found[int(customer)].append(Bought(date(int(day[:4]), int(day[4:6]), int(day[6:])), round(float(dollars) * 100)))
    return found


def lake_of(history: History, folder: Path) -> duckdb.DuckDBPyConnection:
    """The two tables that the questions need, by the raw file; an order is a line of it, and lines of a day follow each other."""
    customers, purchases = [], []
    for cid, bought in history.items():
        total = sum(one.cents for one in bought)
        customers.append((cid, len(bought), total, bought[0].day, bought[-1].day))
        for number, one in enumerate(bought):
            row = (cid, f"{number:06d}", 0, one.day, one.cents, number == 0, number == len(bought) - 1)
            purchases.append(row)
    connection = duckdb.connect()
    connection.execute("SET threads = 2")
    columns = {
        "customer": ("cid", "count", "total_yen", "first_day", "last_day"),
        "purchase": ("cid", "order_no", "line", "day", "amount_yen", "is_first", "is_last"),
    }
    for name, rows in (("customer", customers), ("purchase", purchases)):
        path = folder / f"{name}.csv"
        path.write_text("\n".join(",".join(map(str, row)) for row in rows))
        types = ", ".join(f'"{column}" {kind}' for column, kind in BASE[name].columns.items())
        connection.execute(f'CREATE TABLE "{name}" ({types})')
        given = ", ".join(f'"{column}"' for column in columns[name])
        connection.execute(f"COPY \"{name}\" ({given}) FROM '{path}' (FORMAT csv, HEADER false)")
    return connection


@pytest.fixture(scope="module")
def history() -> History:
    return read()


@pytest.fixture(scope="module")
def lake(history: History, tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    return lake_of(history, tmp_path_factory.mktemp("cdnow"))


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def best_tenth(history: History) -> int:
    """What the poorest of the best tenth have spent."""
    return sorted(sum(one.cents for one in bought) for bought in history.values())[-len(history) // 10]


FEBRUARY = {"date": "purchase.first", "from": "1997-02-01", "to": "1997-02-28"}
Fits = Callable[[list[Bought]], bool]
QUESTIONS: dict[str, tuple[Any, Fits]] = {
    "dormant for 90 days": ({"date": "purchase.last", "before_days": 90}, lambda b: max(o.day for o in b) <= ago(90)),
    "dormant for 180 days": ({"date": "purchase.last", "before_days": 180}, lambda b: max(o.day for o in b) <= ago(180)),
    "dormant for 365 days": ({"date": "purchase.last", "before_days": 365}, lambda b: max(o.day for o in b) <= ago(365)),
    "bought within 30 days": ({"date": "purchase.last", "within_days": 30}, lambda b: any(o.day >= ago(30) for o in b)),
    "first bought in February": (FEBRUARY, lambda b: (b[0].day.year, b[0].day.month) == (1997, 2)),
    "three orders and a hundred dollars": (
        {"purchase": {"count_from": 3, "total_from": 10_000}},
        lambda b: len(b) >= 3 and sum(o.cents for o in b) >= 10_000,
    ),
    "the same, within a year": (
        {"purchase": {"count_from": 3, "total_from": 10_000, "within_days": 365}},
        lambda b: len(w := [o.cents for o in b if o.day >= ago(365)]) >= 3 and sum(w) >= 10_000,
    ),
    "a first order of fifty dollars": ({"purchase": {"which": "first", "amount_from": 5_000}}, lambda b: b[0].cents >= 5_000),
    "a last order within half a year, of at most ten": (
        {"purchase": {"which": "last", "within_days": 182, "amount_to": 1_000}},
        lambda b: b[-1].day >= ago(182) and b[-1].cents <= 1_000,
    ),
    "a first order more than 500 days ago": (
        {"purchase": {"which": "first", "before_days": 500}},
        lambda b: (TODAY - b[0].day).days >= 500,
    ),
    "never ten dollars at once": (
        {"purchase": {"amount_from": 1_000, "count_to": 0}},
        lambda b: not [o for o in b if o.cents >= 1_000],
    ),
    "at most two orders in the last year": (
        {"purchase": {"within_days": 365, "count_from": 0, "count_to": 2}},
        lambda b: sum(o.day >= ago(365) for o in b) <= 2,
    ),
    "something between 100 and 200 days ago": (
        {"purchase": {"before_days": 100, "within_days": 200}},
        lambda b: any(100 <= (TODAY - o.day).days <= 200 for o in b),
    ),
    "between twenty and fifty dollars in all, in one order": (
        {"all": [{"field": "purchase.count", "is": 1}, {"field": "purchase.total_yen", "from": 2_000, "to": 5_000}]},
        lambda b: len(b) == 1 and 2_000 <= b[0].cents <= 5_000,
    ),
    "often and lately, as scores": (
        {"all": [{"field": "rfm.frequency", "from": 4}, {"field": "rfm.recency", "in": [4, 5]}]},
        lambda b: len(b) >= 5 and (TODAY - max(o.day for o in b)).days <= 90,
    ),
    "good customers who sleep": (
        {
            "all": [
                {"not": {"purchase": {"within_days": 180}}},
                {"any": [{"field": "rfm.monetary", "from": 2}, {"field": "purchase.count", "from": 5}]},
            ]
        },
        lambda b: not any(o.day >= ago(180) for o in b) and (sum(o.cents for o in b) >= 10_000 or len(b) >= 5),
    ),
}


def found(lake: duckdb.DuckDBPyConnection, tree: Any) -> set[int]:
    query = compile_sql(parse(tree), NOW)
    return {row[0] for row in lake.execute(query.text, list(query.parameters)).fetchall()}


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_segment_holds_exactly_whom_the_raw_file_says(name: str, history: History, lake: duckdb.DuckDBPyConnection) -> None:
    assert (len(history), sum(map(len, history.values()))) == (23_570, 69_659)
    tree, fits = QUESTIONS[name]
    expected = {cid for cid, bought in history.items() if fits(bought)}
    assert 0 < len(expected) < len(history)
    assert found(lake, tree) == expected


def test_the_best_tenth_by_amount(history: History, lake: duckdb.DuckDBPyConnection) -> None:
    least = best_tenth(history)
    best = found(lake, {"purchase": {"total_from": least}})
    assert best == {cid for cid, bought in history.items() if sum(one.cents for one in bought) >= least}
    assert 2_357 <= len(best) < 2_400


@pytest.mark.parametrize("month", [1, 2, 3])
def test_who_of_a_months_newcomers_came_back_in_each_month_after(
    month: int, history: History, lake: duckdb.DuckDBPyConnection
) -> None:
    """Retention by cohort: newcomers of January, February and March 1997, and the months until June 1998."""
    first, end = date(1997, month, 1), date(1997, month + 1, 1) - timedelta(days=1)
    newcomers = {cid: bought for cid, bought in history.items() if first <= bought[0].day <= end}
    cohort = {"date": "purchase.first", "from": first.isoformat(), "to": end.isoformat()}
    assert found(lake, cohort) == set(newcomers)
    for later in range(month, 18):
        start, stop = date(1997 + later // 12, later % 12 + 1, 1), date(1997 + (later + 1) // 12, (later + 1) % 12 + 1, 1)
        window = {"before_days": (TODAY - stop).days + 1, "within_days": (TODAY - start).days}
        returned = {cid for cid, bought in newcomers.items() if any(start <= one.day < stop for one in bought)}
        assert found(lake, {"all": [cohort, {"purchase": window}]}) == returned
        assert 0 < len(returned) < len(newcomers) / 2

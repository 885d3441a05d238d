"""What happened day by day, added up: what dashboards and reports read, so that nobody counts twenty million acts for a chart.

Files: `lake/cube/{cube}/{yyyy-mm}.json`, one JSON object a line, so that a report reads a few kilobytes without DuckDB and Athena
reads the folder. Every night all months are made anew out of the whole lake, one at a time: an order that is told late, a merge and
an erasure change days that are long past.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from chalicelib.kernel.errors import InvalidError, NotFoundError
from chalicelib.lake.derive import day
from chalicelib.lake.model import LAKE, Columns
from chalicelib.ports.files import Files

if TYPE_CHECKING:
    from chalicelib.lake.reader import Lake

CUBE_FILES = f"{LAKE}cube/"
_TYPE = "application/x-ndjson"
_AT_ONCE = 8
_MOST_DAYS = 731
_EARLIEST = date(1990, 1, 1)  # what is said to be older is a slip of the pen, and would cost a step for every year since
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cube:
    """Rows by day.

    of: what is added up, of the tables of BASE, with the JST `day` of each; `$until` is the day before which everything is told.
    sql: adds up what `told` holds, which is as much of it as falls into so many `months`: as many as fit into memory at once.
    stays: tells of one moment, so that what was told of other days stays.
    """

    columns: Columns
    of: str
    sql: str
    months: int = 12
    stays: bool = False


# Names of pages and of what customers typed are too many for a chart.
_NAMED = "('survey_answered', 'form_submitted', 'reservation_made', 'reservation_visited', 'reservation_cancelled', 'custom')"
_AT = day('"at"')

CUBES: Mapping[str, Cube] = {
    "act": Cube(
        {
            "day": "DATE", "account": "VARCHAR", "kind": "VARCHAR", "name": "VARCHAR", "link": "VARCHAR", "evidence": "VARCHAR",
            "acts": "BIGINT", "people": "BIGINT",
        },
        "event",
        f"""SELECT day, nullif(account, '') AS account, kind, CASE WHEN kind IN {_NAMED} THEN nullif(name, '') END AS name,
            nullif(link, '') AS link, nullif(evidence, '') AS evidence, count(*), count(DISTINCT cid)
        FROM told GROUP BY ALL""",
        months=1,
    ),
    "sale": Cube(
        {"day": "DATE", "shop": "VARCHAR", "orders": "BIGINT", "first_orders": "BIGINT", "people": "BIGINT", "yen": "BIGINT"},
        "(FROM purchase WHERE line = 0)",
        """SELECT day, shop, count(*), count_if(is_first), count(DISTINCT cid), sum(amount_yen) FROM told GROUP BY ALL""",
    ),
    "product": Cube(
        {
            "day": "DATE", "product": "VARCHAR", "category": "VARCHAR", "orders": "BIGINT", "people": "BIGINT",
            "quantity": "BIGINT", "yen": "BIGINT",
        },
        "(FROM purchase WHERE product IS NOT NULL OR category IS NOT NULL)",
        """SELECT day, product, category, count(DISTINCT order_no), count(DISTINCT cid), sum(quantity), sum(yen)
        FROM told GROUP BY ALL""",
    ),
    "message": Cube(
        {"day": "DATE", "kind": "VARCHAR", "id": "VARCHAR", "node": "VARCHAR", "people": "BIGINT"},
        f"(SELECT *, {_AT} AS day FROM received)",
        "SELECT day, kind, id, node, count(*) FROM told GROUP BY ALL",
    ),
    "response": Cube(
        {
            "day": "DATE", "kind": "VARCHAR", "id": "VARCHAR", "node": "VARCHAR", "link": "VARCHAR", "evidence": "VARCHAR",
            "people": "BIGINT",
        },
        f"(SELECT *, {_AT} AS day FROM reaction)",
        "SELECT day, kind, id, node, link, evidence, count(*) FROM told GROUP BY ALL",
    ),
    "way": Cube(
        {"day": "DATE", "scenario": "VARCHAR", "version": "INTEGER", "step": "VARCHAR", "outcome": "VARCHAR", "runs": "BIGINT"},
        f"""(SELECT {day("entered_at")} AS day, scenario, version, 'entered' AS step, NULL AS outcome FROM enrollment
            UNION ALL SELECT {day("ended_at")}, scenario, version, status, reason FROM enrollment)""",
        "SELECT day, scenario, version, step, outcome, count(*) FROM told GROUP BY ALL",
    ),
    "standing": Cube(
        {
            "day": "DATE", "account": "VARCHAR", "people": "BIGINT", "known": "BIGINT", "linked": "BIGINT", "blocked": "BIGINT",
            "line": "BIGINT", "email": "BIGINT", "sms": "BIGINT", "postal": "BIGINT",
        },
        "(SELECT CAST($until AS DATE) - 1 AS day)",
        """SELECT day, NULL AS account, count(*), count_if(known), count_if(linked), NULL, count_if(line_reachable),
            count_if(email_reachable), count_if(sms_reachable), count_if(postal_reachable)
        FROM told, customer GROUP BY day
        UNION ALL
        SELECT told.day, account, count(*), count_if(known), count_if(linked), count_if(state = 'blocked'), count_if(reachable),
            NULL, NULL, NULL
        FROM told, friend JOIN customer USING (cid) GROUP BY told.day, account""",
        months=1,
        stays=True,
    ),
}  # fmt: skip


class Cubes:
    """Makes and reads what happened day by day."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def make(self, lake: Lake, cube: str, month: date, until: date) -> tuple[int, date | None]:
        """Make some months of a cube up to this one, of the days before a JST day; return how many rows, and where to go on.

        That is a day of the month before them, None when there is nothing before. A month that is as it was stays untouched.
        """
        of, stays = CUBES[cube].of, CUBES[cube].stays
        months = [_months_before(month, number) for number in range(CUBES[cube].months)]
        given = {"first": months[-1], "after": _months_before(month, -1), "until": until}
        sql = f"WITH told AS (SELECT * FROM {of} WHERE day >= $first AND day < least($after, $until)) {CUBES[cube].sql}"
        found = lake.connection.execute(f"SELECT * FROM ({sql}) ORDER BY ALL NULLS FIRST", _used(sql, given)).fetchall()
        rows: dict[date, list[Row]] = {each: [] for each in months}
        for row in found:
            rows[row[0].replace(day=1)].append(dict(zip(CUBES[cube].columns, row, strict=True)))
        for each in months:
            self._put(cube, each, self._with(cube, each, rows[each]) if stays else rows[each])
        return len(found), None if stays else self._before(lake, cube, months[-1])

    def _before(self, lake: Lake, cube: str, first: date) -> date | None:
        """Return the day before this one when the lake or a file knows of anything before it."""
        row = lake.connection.execute(f"SELECT min(day) FROM {CUBES[cube].of} WHERE day >= ?", [_EARLIEST]).fetchone()
        known = self._files.list(f"{CUBE_FILES}{cube}/")  # in order, so the oldest first
        days = [row[0] if row else None, _month_of(known[0]) if known else None]
        return first - timedelta(days=1) if any(day and day < first for day in days) else None

    def of(self, cube: str, first: date, last: date) -> list[dict[str, Any]]:
        """Return the rows of these days, oldest first.

        Raises NotFoundError(`resource.unknown`) for an unknown cube and InvalidError(`lake.too_many_days`).
        """
        if cube not in CUBES:
            raise NotFoundError("resource.unknown")
        if (last - first).days >= _MOST_DAYS:
            raise InvalidError("lake.too_many_days", most=_MOST_DAYS)
        keys: list[str] = []
        month = first.replace(day=1)
        while month <= last:
            keys.append(_key(cube, month))
            month = _months_before(month, -1)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            rows = [row for content in threads.map(self._files.get, keys) for row in _rows(content)]
        return [row for row in rows if first.isoformat() <= row["day"] <= last.isoformat()]

    def _with(self, cube: str, month: date, rows: list[Row]) -> list[Row]:
        """Return a month's rows with those of other days that were told before."""
        days = {row["day"].isoformat() for row in rows}
        kept: list[Row] = [row for row in _rows(self._files.get(_key(cube, month))) if row["day"] not in days]
        return sorted([*kept, *rows], key=lambda row: str(row["day"]))

    def _put(self, cube: str, month: date, rows: Iterable[Row]) -> None:
        content = "".join(json.dumps(row, ensure_ascii=False, default=date.isoformat) + "\n" for row in rows).encode()
        if (self._files.get(_key(cube, month)) or b"") != content:
            self._files.put(_key(cube, month), content, _TYPE)


def _months_before(day: date, number: int) -> date:
    """Return the first day of the month that lies so many months before a day's; after it, when the number is less than 0."""
    years, month = divmod(day.year * 12 + day.month - 1 - number, 12)
    return date(years, month + 1, 1)


def _used(sql: str, given: Mapping[str, date]) -> dict[str, date]:
    """Return the parameters that a query names: DuckDB refuses the others."""
    return {name: value for name, value in given.items() if f"${name}" in sql}


def _key(cube: str, month: date) -> str:
    return f"{CUBE_FILES}{cube}/{month:%Y-%m}.json"


def _month_of(key: str) -> date:
    return date.fromisoformat(f"{key.rpartition('/')[2].removesuffix('.json')}-01")


def _rows(content: bytes | None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (content or b"").splitlines()]

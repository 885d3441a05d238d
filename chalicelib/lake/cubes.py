"""What happened day by day, added up: what dashboards and reports read, so that nobody counts twenty million acts for a chart.

Files: `lake/cube/{cube}/{yyyy-mm}.json`, one JSON object a line, so that a report reads a few kilobytes without DuckDB and Athena
reads the folder. They are made anew out of the whole lake, once a day for all days before it: an order that is told late, a merge
and an erasure change days that are long past.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
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
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Cube:
    """Rows by day. sql: asks the tables of BASE, with one parameter, the JST day before which everything is told.

    stays: tells of one moment, so that the days that were told before stay.
    """

    columns: Columns
    sql: str
    stays: bool = False


# Names of pages and of what customers typed are too many for a chart.
_NAMED = "('survey_answered', 'form_submitted', 'reservation_made', 'reservation_visited', 'reservation_cancelled', 'custom')"

CUBES: Mapping[str, Cube] = {
    "act": Cube(
        {
            "day": "DATE", "account": "VARCHAR", "kind": "VARCHAR", "name": "VARCHAR", "link": "VARCHAR", "evidence": "VARCHAR",
            "acts": "BIGINT", "people": "BIGINT",
        },
        f"""SELECT day, nullif(account, '') AS account, kind, CASE WHEN kind IN {_NAMED} THEN nullif(name, '') END AS name,
            nullif(link, '') AS link, nullif(evidence, '') AS evidence, count(*) AS acts, count(DISTINCT cid) AS people
        FROM event WHERE day < ? GROUP BY ALL""",
    ),
    "sale": Cube(
        {"day": "DATE", "shop": "VARCHAR", "orders": "BIGINT", "first_orders": "BIGINT", "people": "BIGINT", "yen": "BIGINT"},
        """SELECT day, shop, count(*) AS orders, count_if(is_first) AS first_orders, count(DISTINCT cid) AS people,
            sum(amount_yen) AS yen
        FROM purchase WHERE line = 0 AND day < ? GROUP BY ALL""",
    ),
    "product": Cube(
        {
            "day": "DATE", "shop": "VARCHAR", "product": "VARCHAR", "category": "VARCHAR", "orders": "BIGINT", "people": "BIGINT",
            "quantity": "BIGINT", "yen": "BIGINT",
        },
        """SELECT day, shop, product, category, count(DISTINCT (cid, order_no)) AS orders, count(DISTINCT cid) AS people,
            sum(quantity) AS quantity, sum(yen) AS yen
        FROM purchase WHERE (product IS NOT NULL OR category IS NOT NULL) AND day < ? GROUP BY ALL""",
    ),
    "message": Cube(
        {"day": "DATE", "kind": "VARCHAR", "id": "VARCHAR", "node": "VARCHAR", "people": "BIGINT"},
        f"""SELECT {day('"at"')} AS day, kind, id, node, count(*) AS people FROM received WHERE day < ? GROUP BY ALL""",
    ),
    "response": Cube(
        {
            "day": "DATE", "kind": "VARCHAR", "id": "VARCHAR", "node": "VARCHAR", "link": "VARCHAR", "evidence": "VARCHAR",
            "people": "BIGINT",
        },
        f"""SELECT {day('"at"')} AS day, kind, id, node, link, evidence, count(*) AS people
        FROM reaction WHERE day < ? GROUP BY ALL""",
    ),
    "way": Cube(
        {"day": "DATE", "scenario": "VARCHAR", "version": "INTEGER", "step": "VARCHAR", "outcome": "VARCHAR", "runs": "BIGINT"},
        f"""SELECT day, scenario, version, step, outcome, count(*) AS runs FROM (
            SELECT {day("entered_at")} AS day, scenario, version, 'entered' AS step, NULL AS outcome FROM enrollment
            UNION ALL
            SELECT {day("ended_at")}, scenario, version, status, reason FROM enrollment WHERE ended_at IS NOT NULL
        ) WHERE day < ? GROUP BY ALL""",
    ),
    "standing": Cube(
        {
            "day": "DATE", "account": "VARCHAR", "people": "BIGINT", "known": "BIGINT", "linked": "BIGINT", "blocked": "BIGINT",
            "line": "BIGINT", "email": "BIGINT", "sms": "BIGINT", "postal": "BIGINT",
        },
        """SELECT CAST(? AS DATE) - 1 AS day, NULL AS account, count(*) AS people, count_if(known) AS known,
            count_if(linked) AS linked, NULL AS blocked, count_if(line_reachable) AS line, count_if(email_reachable) AS email,
            count_if(sms_reachable) AS sms, count_if(postal_reachable) AS postal
        FROM customer
        UNION ALL
        SELECT CAST($1 AS DATE) - 1, account, count(*), count_if(known), count_if(linked), count_if(state = 'blocked'),
            count_if(reachable), NULL, NULL, NULL
        FROM friend JOIN customer USING (cid) GROUP BY account""".replace("?", "$1"),
        stays=True,
    ),
}  # fmt: skip


class Cubes:
    """Makes and reads what happened day by day."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def make(self, lake: Lake, cube: str, until: date) -> int:
        """Make a cube of everything before a JST day; return how many rows it has. Months that are as they were stay untouched."""
        columns = list(CUBES[cube].columns)
        rows = [dict(zip(columns, row, strict=True)) for row in lake.connection.execute(CUBES[cube].sql, [until]).fetchall()]
        rows.sort(key=lambda row: [str(value or "") for value in row.values()])
        months: dict[str, list[Row]] = {month: list(each) for month, each in groupby(rows, key=lambda row: f"{row['day']:%Y-%m}")}
        if CUBES[cube].stays:
            months = {month: self._with(cube, month, each) for month, each in months.items()}
        else:
            known = {key.rpartition("/")[2].removesuffix(".json") for key in self._files.list(f"{CUBE_FILES}{cube}/")}
            months = {month: months.get(month, []) for month in known | set(months)}
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(lambda month: self._put(cube, month, months[month]), months))
        return len(rows)

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
            keys.append(_key(cube, f"{month:%Y-%m}"))
            month = (month + timedelta(days=31)).replace(day=1)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            rows = [row for content in threads.map(self._files.get, keys) for row in _rows(content)]
        return [row for row in rows if first.isoformat() <= row["day"] <= last.isoformat()]

    def _with(self, cube: str, month: str, rows: Sequence[Row]) -> list[Row]:
        """Return a month's rows with those of other days that were told before."""
        days = {row["day"].isoformat() for row in rows}
        kept: list[Row] = [row for row in _rows(self._files.get(_key(cube, month))) if row["day"] not in days]
        return sorted([*kept, *rows], key=lambda row: str(row["day"]))

    def _put(self, cube: str, month: str, rows: Iterable[Row]) -> None:
        content = "".join(json.dumps(row, ensure_ascii=False, default=_text) + "\n" for row in rows).encode()
        if self._files.get(_key(cube, month)) != content:
            self._files.put(_key(cube, month), content, _TYPE)


def _key(cube: str, month: str) -> str:
    return f"{CUBE_FILES}{cube}/{month}.json"


def _rows(content: bytes | None) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (content or b"").splitlines()]


def _text(value: date | datetime) -> str:
    return value.isoformat()

"""Items that are written at random, and what their tables' streams tell about it."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from chalicelib.lake.deltas import delta_key, write_rows
from chalicelib.lake.manifest import load
from chalicelib.lake.model import BASE, CHANGES
from tests.fakes.outside import FakeFiles
from tests.lake.naive_lake import Items, Row, Tables

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
PEOPLE = 5
_TIMES = (datetime(2026, 9, 1, 14, 59, 59), datetime(2026, 9, 1, 15))  # so few that orders fall together
_TABLES = {"purchase": "timeline", "event": "timeline", "enrollment": "engine", "recipient": "engine"}


class Life:
    """A few people whose items change; `items` is what stands in the tables, `records` what the streams have told."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.items: Items = {}
        self.records: list[tuple[str, Row]] = []
        self.now = START
        self._version = 10**20

    def step(self) -> None:
        """Write or delete one item."""
        self.now += timedelta(seconds=self.random.randint(1, 90))
        kind = self.random.choice(sorted(set(CHANGES) - {"mark"}))
        row = self._row(kind)
        if "expires_at" in CHANGES[kind].columns and self.random.random() < 0.5:
            row["expires_at"] = START.replace(tzinfo=None) + timedelta(days=400)
        key = (kind, tuple(row[name] for name in CHANGES[kind].key))
        if key in self.items and self.random.random() < 0.25:
            del self.items[key]
            self._tell(kind, dict(zip(CHANGES[kind].key, key[1], strict=True)), gone=True)
        else:
            self.items[key] = row
            self._tell(kind, row, gone=False)

    def erase(self, cid: int) -> None:
        """Delete all items of a person."""
        for kind, key in [one for one, row in self.items.items() if row.get("cid") == cid]:
            del self.items[kind, key]
            self._tell(kind, dict(zip(CHANGES[kind].key, key, strict=True)), gone=True)

    def _tell(self, kind: str, row: Row, *, gone: bool) -> None:
        self._version += self.random.randint(1, 10**6)
        self.records.append((kind, {**row, "v": f"{self._version:040}", "at": self.now.replace(tzinfo=None), "gone": gone}))

    def _instant(self) -> datetime:
        # Near midnight in Japan now and then.
        base = datetime(2026, self.random.choice((9, 10, 11)), self.random.randint(1, 3), self.random.choice((14, 15, 23)))
        return base + timedelta(milliseconds=self.random.choice((0, 1, 3_599_999)))

    def _row(self, kind: str) -> Row:
        pick, cid = self.random.choice, self.random.randint(1, PEOPLE)
        match kind:
            case "profile":
                # Only into a greater number: people are not merged in circles.
                into = self.random.randint(cid + 1, PEOPLE) if cid < PEOPLE and self.random.random() < 0.3 else None
                return _clean({
                    "cid": cid, "member_no": pick((None, "m1")), "name": pick((None, "花子")), "email": pick((None, "a@x.jp")),
                    "email_print": pick(("p1", "p2")), "phone": "+8190", "phone_print": pick(("p1", "p2")), "city": pick((None, "札幌市")),
                    "birthday": pick((None, date(2000, 2, 29))), "has_mobile": pick((True, False)), "has_address": pick((True, False)),
                    "out_line": pick((True, False)), "out_email": pick((True, False)), "out_sms": pick((True, False)),
                    "out_postal": pick((True, False)), "merged_into": into,
                    "attributes": [{"name": "rank", "text": pick(("金", "銀"))}] if pick((True, False)) else None,
                })  # fmt: skip
            case "stats":
                return {
                    "cid": cid,
                    "count": pick((1, 2)),
                    "total_yen": pick((5, 70)),
                    "first_at": self._instant(),
                    "last_at": self._instant(),
                }
            case "activity":
                return {"cid": cid, "last_at": self._instant()}
            case "tags":
                return {"cid": cid, "tags": sorted({pick(("t1", "t2", "t3")) for _ in range(2)})}
            case "friend":
                return {
                    "account": pick(("main", "other")), "cid": cid, "line_user_id": "U1", "since_at": self._instant(),
                    "state": pick(("following", "blocked", "unknown")), "display_name": pick(("花", "太")),
                }  # fmt: skip
            case "suppressed":
                return {"channel": pick(("email", "sms")), "print": pick(("p1", "p2"))}
            case "purchase":
                lines = [
                    {"product": pick(("ピアスA", "B")), "category": "c", "quantity": 1, "yen": 10} for _ in range(pick((0, 1, 2)))
                ]
                return _clean({
                    "cid": cid, "order_no": f"{cid}-{pick('123')}", "at_instant": pick(_TIMES), "shop": pick((None, "店舗A")),
                    "amount_yen": pick((10, 20)), "lines": lines or None,
                })  # fmt: skip
            case "event":
                at = self._instant()
                return _clean({
                    "cid": cid, "id": f"EV#{at.isoformat()}#{pick('ab')}", "kind": pick(("clicked", "visited")), "at_instant": at,
                    "source": pick((None, "cmp|c1|", "scn|s1|n1")), "link": pick((None, "l1")), "evidence": pick((None, "A", "B")),
                    "data": pick((None, {"page": "top"})),
                })  # fmt: skip
            case "enrollment":
                stamp = self._instant()
                return _clean({
                    "cid": cid, "id": f"ENR#s1#{pick('12')}", "scenario": "s1", "version": 1, "status": pick(("active", "done")),
                    "reason": pick((None, "bought")), "entered_at": stamp,
                    "sent": pick((None, [{"node": "n1", "at": stamp}])),
                    "reactions": pick((None, [{"node": "n1", "link": "l1", "evidence": "B", "at": stamp}])),
                })  # fmt: skip
        # A message leaves once; only the stream's first word says when.
        campaign = pick((9, 10))
        return {"campaign": f"c{campaign}", "cid": cid, "at_instant": datetime(2026, campaign, cid, 14, 59, 59)}


def _clean(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}


def put_deltas(files: FakeFiles, folder: Path, records: list[tuple[str, Row]]) -> None:
    """Do what the feeder does with a batch of records."""
    by_kind: dict[str, list[Row]] = {}
    for kind, row in records:
        by_kind.setdefault(kind, []).append(row)
    for kind, rows in by_kind.items():
        path = folder / "delta.parquet"
        write_rows(kind, rows, path)
        files.send(path, delta_key(kind, _TABLES.get(kind, "core"), [row["v"] for _, row in records]), "")


def read_lake(files: FakeFiles, folder: Path) -> Tables:
    """Return the rows of every table that the manifest names."""
    import duckdb

    manifest, _ = load(files)
    tables: Tables = {}
    folder.mkdir(exist_ok=True)
    with duckdb.connect() as database:
        for name, table in BASE.items():
            paths = []
            for number, key in enumerate(manifest.base.get(name, ())):
                path = folder / f"{name}{number}.parquet"
                assert files.fetch(key, path), f"{key} is named and not there"
                paths.append(str(path))
            names = ", ".join(f'"{column}"' for column in table.columns)
            rows: list[Any] = database.execute(f"SELECT {names} FROM read_parquet(?)", [paths]).fetchall() if paths else []
            tables[name] = {tuple(_plain(value) for value in row) for row in rows}
            assert len(tables[name]) == len(rows), f"a row of {name} stands twice"
            if name == "event":
                tables[name] = {row[:-1] + (row[-1] or (),) for row in tables[name]}
    return tables


def _plain(value: Any) -> Any:
    return tuple(sorted(value.items())) if isinstance(value, dict) else value

"""What can be asked of the lake (ports/analyst.py); implements Analyst in the process that has DuckDB."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import astuple
from datetime import date
from typing import Any

from chalicelib.kernel.clock import to_text
from chalicelib.kernel.errors import InvalidError, TemporaryError
from chalicelib.lake.audiences import Audiences, members_of
from chalicelib.lake.cubes import CUBES, Cubes
from chalicelib.lake.model import BASE
from chalicelib.lake.reader import Lake, Reader
from chalicelib.ports.analyst import from_wire

PATIENCE_SECONDS = 25.0  # a door of the API answers within 29
_LONG, _LONG_PATIENCE = ("audience", "cube", "sizes"), 2  # times as long: a worker waits for it, and the function has a minute
_WORD = re.compile("[a-z_]+")
# Of those on whom a channel is lost, why; the first that fits. BASE keeps no more than this.
_LOST: Mapping[str, str] = {
    "line": """CASE WHEN NOT EXISTS (SELECT 1 FROM "friend" f WHERE f."cid" = c."cid") THEN 'no_address'
        WHEN NOT EXISTS (SELECT 1 FROM "friend" f WHERE f."cid" = c."cid" AND f."state" <> 'blocked') THEN 'blocked'
        ELSE 'refused' END""",
    "email": """CASE WHEN i."email" IS NULL THEN 'no_address' ELSE 'refused' END""",
    "sms": """CASE WHEN i."phone" IS NULL THEN 'no_address' ELSE 'refused' END""",
    "postal": """CASE WHEN i."address" IS NULL THEN 'no_address' ELSE 'refused' END""",
}


class Questions:
    """Answers questions. What is broken on this machine is fetched again once before anybody hears of it."""

    def __init__(self, reader: Reader, audiences: Audiences, cubes: Cubes, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._reader = reader
        self._patience_seconds = patience_seconds
        self._audiences = audiences
        self._cubes = cubes
        self._answers: Mapping[str, Callable[[Lake, Mapping[str, Any]], dict[str, Any]]] = {
            "count": _count,
            "counts": _counts,
            "sizes": self._sizes,
            "totals": _totals,
            "groups": _groups,
            "overlaps": _overlaps,
            "channels": _channels,
            "audience": self._audience,
            "members": self._members,
            "cube": self._cube,
        }

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a question; see the port.

        {"op": "count", "query", "sample": 5}          count, sample: so many of them, the same ones in the same lake
        {"op": "counts", "queries": {name: query}}     counts: by name
        {"op": "sizes", "queries": {segment: query}, "day": "2026-11-22"}  sizes: by segment, as lake.sizes.Size
        {"op": "totals", "queries": {name: query}}     totals: by name, how many, and what they have spent in yen
        {"op": "groups", "query"}                      groups: [word, cids], as a query of ours selects them
        {"op": "overlaps", "queries": {name: query}}   counts: by name; both: [name, name, how many fulfil both]
        {"op": "channels", "query"}                    count; channels: by channel, `reachable` and those who are not by the reason
        {"op": "audience", "audience_id", "query", "about": {…}}  count; kept under its id, the same for ever
        {"op": "members", "audience_id", "after": 0, "most": 5000, "part": 0, "parts": 1}  cids: in order; empty at the end
        {"op": "cube", "cube", "month": "2026-11-01", "until": "2026-11-22"}  rows: how many were written; next: month, or None
        """
        import duckdb

        try:
            return self._ask(question)
        except duckdb.InterruptException as error:
            raise InvalidError("condition.too_slow") from error
        except (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.OutOfMemoryException):
            raise  # not the files' fault
        except duckdb.Error:  # a damaged file shows in as many ways as it has parts
            self._reader.forget()
        try:
            return self._ask(question)
        except duckdb.IOException as error:
            raise TemporaryError("the files of the lake cannot be read") from error

    def _ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        # Marks have vouched for the manifest of this moment, not for one of two seconds ago; what is kept is of it too.
        with self._reader.lake(_tables(question), newest=question["op"] in _LONG) as lake:
            if lake is None:
                return {"as_of": None, "generation": None}
            # Conditions of thousands of parts can be written that no machine answers (segments/expression.py takes two thousand).
            patience = self._patience_seconds * (_LONG_PATIENCE if question["op"] in _LONG else 1)
            timer = threading.Timer(patience, lake.connection.interrupt)
            timer.start()
            try:
                answer = self._answers[question["op"]](lake, question)
            finally:
                timer.cancel()
            at = lake.manifest.folded_at
            return {**answer, "as_of": to_text(at) if at else None, "generation": lake.manifest.generation}

    def _audience(self, lake: Lake, question: Mapping[str, Any]) -> dict[str, Any]:
        text, parameters = from_wire(question["query"])
        return {"count": self._audiences.make(lake, question["audience_id"], text, parameters, question["about"])}

    def _sizes(self, lake: Lake, question: Mapping[str, Any]) -> dict[str, Any]:
        day = date.fromisoformat(question["day"])
        queries = {name: from_wire(query) for name, query in question["queries"].items()}
        return {"sizes": {name: astuple(self._audiences.day(lake, name, day, *query)) for name, query in queries.items()}}

    def _cube(self, lake: Lake, question: Mapping[str, Any]) -> dict[str, Any]:
        month, until = date.fromisoformat(question["month"]), date.fromisoformat(question["until"])
        rows, following = self._cubes.make(lake, question["cube"], month, until)
        return {"rows": rows, "next": following.isoformat() if following else None}

    def _members(self, lake: Lake, question: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "cids": self._audiences.members(
                question["audience_id"],
                question["after"],
                question["most"],
                part=question.get("part", 0),
                parts=question.get("parts", 1),
                erased=lake.manifest.erased,
            )
        }


def _tables(question: Mapping[str, Any]) -> set[str]:
    """Return the tables that a question reads, by the words of its queries; values are no part of them."""
    queries = [*question.get("queries", {}).values(), *([question["query"]] if "query" in question else [])]
    texts = [query["text"] for query in queries] + (_adding_up(question["cube"]) if "cube" in question else [])
    words = {word for text in texts for word in _WORD.findall(text)}
    return (words | {"customer", "friend", "identity"} if question["op"] == "channels" else words) & set(BASE)


def _adding_up(cube: str) -> list[str]:
    return [CUBES[cube].of, CUBES[cube].sql]


def _count(lake: Lake, question: Mapping[str, Any]) -> dict[str, Any]:
    text, parameters = from_wire(question["query"])
    size = int(question.get("sample", 0))
    few = f", min_by(cid, hash(cid), {size})" if size else ""
    row = lake.connection.execute(f"SELECT count(*){few} FROM ({text})", parameters).fetchone()
    count, sample = (row[0], row[1] if size else None) if row else (0, None)
    return {"count": count, "sample": sample or []}


def _counts(lake: Lake, question: Mapping[str, Any]) -> dict[str, Any]:
    return {"counts": {name: _count(lake, {"query": query})["count"] for name, query in question["queries"].items()}}


def _totals(lake: Lake, question: Mapping[str, Any]) -> dict[str, Any]:
    totals = {}
    for name, query in question["queries"].items():
        text, parameters = from_wire(query)
        sums = f'SELECT count(*), coalesce(sum("total_yen"), 0) FROM "customer" WHERE "cid" IN ({text})'
        row = lake.connection.execute(sums, parameters).fetchone()
        totals[name] = [int(row[0]), int(row[1])] if row else [0, 0]
    return {"totals": totals}


def _groups(lake: Lake, question: Mapping[str, Any]) -> dict[str, Any]:
    text, parameters = from_wire(question["query"])
    return {"groups": [[word, list(cids)] for word, cids in lake.connection.execute(text, parameters).fetchall()]}


def _overlaps(lake: Lake, question: Mapping[str, Any]) -> dict[str, Any]:
    sets = {name: members_of(lake, *from_wire(query)) for name, query in question["queries"].items()}
    names = list(sets)
    both = [
        [one, other, sets[one].intersection_cardinality(sets[other])]
        for place, one in enumerate(names)
        for other in names[place + 1 :]
    ]
    return {"counts": {name: len(found) for name, found in sets.items()}, "both": both}


def _channels(lake: Lake, question: Mapping[str, Any]) -> dict[str, Any]:
    text, parameters = from_wire(question["query"])
    execute = lake.connection.execute
    execute(f"CREATE OR REPLACE TEMP TABLE meant AS {text}", parameters)
    try:
        row = execute("SELECT count(*) FROM meant").fetchone()
        found = {
            channel: dict(
                execute(
                    f"""SELECT CASE WHEN c."{channel}_reachable" THEN 'reachable' ELSE {lost} END AS why, count(*)
                    FROM meant JOIN "customer" c USING (cid) LEFT JOIN "identity" i USING (cid) GROUP BY why ORDER BY why"""
                ).fetchall()
            )
            for channel, lost in _LOST.items()
        }
    finally:
        execute("DROP TABLE meant")
    return {"count": row[0] if row else 0, "channels": found}

"""Fold changes into the lake: the current state of the items, and from it the tables that are asked.

1. List the deltas; 2. write files of a next generation; 3. name them in the manifest, if nobody else has named others; 4. delete
the deltas. Whoever loses at 3 throws his files away, and the deltas are still there. Whoever dies before 4 leaves deltas that
are folded again, which changes nothing: of two changes of one item the greater version stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from chalicelib.kernel.each import Mapper, in_turn
from chalicelib.kernel.ids import Cid
from chalicelib.lake import manifest as manifests
from chalicelib.lake.deltas import columns_of
from chalicelib.lake.derive import DERIVED, EVENT_ROW, LIVING, MERGED, columns_of_table
from chalicelib.lake.manifest import BASE_FILES, DELTA_FILES, MIRROR_FILES, Manifest
from chalicelib.lake.model import BASE, CHANGES
from chalicelib.lake.parts import Parts, Without
from chalicelib.ports.files import Files

# Longer than a change can be under way: streams keep a day, and what the feeder could not do is tried for another.
LATEST = timedelta(days=3)
# Two clocks of AWS may differ, and the stream tells seconds only.
SKEW = timedelta(minutes=2)
MOST_DELTAS = 1_000  # in one folding
_PERSONAL = frozenset(kind for kind, table in CHANGES.items() if "cid" in table.columns)
_MARK = "mark"
_MERGED = "merged"
_SKEW = f"INTERVAL {int(SKEW.total_seconds())} SECOND"


@dataclass(frozen=True, slots=True)
class Folded:
    """What a folding did. is_lost: somebody else was faster, and everything is to be done again. rest: there are more deltas."""

    changes: int = 0
    is_lost: bool = False
    rest: bool = False


def fold(files: Files, folder: Path, now: datetime, each: Mapper = in_turn) -> Folded:
    """Fold what there is. folder: kept between calls, files need not be fetched twice. Raises TemporaryError."""
    # Marks are listed first: whatever lies before one of them is in its delta before the mark is in one.
    marks = files.list(f"{DELTA_FILES}{_MARK}/")
    deltas = [key for key in files.list(DELTA_FILES) if not key.startswith(f"{DELTA_FILES}{_MARK}/")]
    rest = len(deltas) > MOST_DELTAS
    taken = deltas[:MOST_DELTAS] if rest else deltas + marks
    if not taken:
        return Folded()
    manifest, tag = manifests.load(files)
    folding = Folding(Parts(files, folder, now, each=each), manifest, now)
    try:
        folding.parts.keep_only(manifest.files())
        folding.parts.fetch([*manifest.files(), *taken])
        changes = folding.take(taken)
        folding.derive()
        if not folding.publish(files, tag):
            return Folded(is_lost=True, rest=True)
    finally:
        folding.parts.forget(taken)
        folding.parts.close()
    files.delete(taken)
    return Folded(changes, rest=rest)


class Folding:
    """One folding: from a manifest and what has come to the next manifest."""

    def __init__(self, parts: Parts, manifest: Manifest, now: datetime) -> None:
        self.parts = parts
        self.base = {table: list(keys) for table, keys in manifest.base.items()}
        self.mirror = {kind: list(keys) for kind, keys in manifest.mirror.items()}
        self.marks = dict(manifest.marks)
        self.manifest = manifest
        self._now = now
        self._came: set[str] = set()  # kinds of which there is a table `new_<kind>` with rows
        parts.rows = dict(manifest.rows)
        parts.generation = manifest.generation + 1

    def take(self, deltas: Sequence[str]) -> int:
        """Bring changes in: into the mirror, into the marks, into the events. Return how many there were."""
        by_kind: dict[str, list[str]] = defaultdict(list)
        for key in deltas:
            by_kind[key.removeprefix(DELTA_FILES).partition("/")[0]].append(key)
        changes = sum(self._read(kind, keys) for kind, keys in by_kind.items() if kind in CHANGES)
        for kind in sorted(self._came - {_MARK, "event"}):
            self._append(kind, f"SELECT * FROM new_{kind}")
        if _MARK in self._came:
            self._take_marks()
        self._merge()
        self._take_events()
        return changes

    def _read(self, kind: str, keys: Sequence[str]) -> int:
        run, columns = self.parts.run, columns_of(kind)
        wanted = ["TRUE"]
        if self.manifest.rebuilt_at:
            wanted.append(f'"at" >= {_instant(self.manifest.rebuilt_at - SKEW)}')
        if kind in _PERSONAL and self.manifest.erased:
            wanted.append(f"cid NOT IN ({_numbers(self.manifest.erased)})")
        names = ", ".join(f'"{name}"' for name in columns)
        run(
            f"CREATE TEMP TABLE new_{kind} AS SELECT {names} FROM {self.parts.source(keys, columns)} "
            f"WHERE {' AND '.join(wanted)} {_latest(kind)}"
        )
        count = self.parts.count(f"FROM new_{kind}")
        if count:
            self._came.add(kind)
        return count

    def _append(self, kind: str, fresh: str) -> None:
        """Put changes into the small file of a kind's mirror; several versions of a row may stand in both."""
        parts, columns, folder = self.parts, columns_of(kind), f"{MIRROR_FILES}{kind}"
        large, small = self.mirror.get(kind, [])[:1], self.mirror.get(kind, [])[1:]
        before = f" UNION ALL BY NAME SELECT * FROM {parts.source(small, columns)}" if small else ""
        parts.run(f"CREATE OR REPLACE TEMP TABLE behind AS SELECT * FROM ({fresh}{before}) {_latest(kind)}")
        if large and parts.count("FROM behind") <= 0.25 * parts.rows[large[0]]:
            self.mirror[kind] = large + parts.write("FROM behind", folder)
            return
        key = ", ".join(CHANGES[kind].key)
        whole = parts.source(large, columns)
        parts.run(
            f"DELETE FROM behind USING (SELECT {key}, v FROM {whole}) AS l "
            f"WHERE {' AND '.join(f'l.{name} = behind.{name}' for name in CHANGES[kind].key)} AND l.v >= behind.v"
        )
        self.mirror[kind] = parts.write(
            f"SELECT * FROM (SELECT * FROM {whole} ANTI JOIN behind USING ({key}) UNION ALL BY NAME FROM behind) "
            f'WHERE NOT (gone AND "at" < {_instant(self._now - LATEST)})',
            folder,
        )

    def _take_marks(self) -> None:
        for table, number, asked_at in self.parts.run('SELECT "table", number, asked_at FROM new_mark WHERE NOT gone'):
            name = f"{table}#{number}"
            asked = cast("datetime", asked_at).replace(tzinfo=UTC)
            self.marks[name] = max(asked, self.marks.get(name, asked))

    def _merge(self, *, everybody: bool = False) -> None:
        """Make the tables `merged` and `moved` (cid, once, living): who is who now, and for whom that has changed."""
        parts, run = self.parts, self.parts.run
        run(f"CREATE TEMP TABLE was AS SELECT * FROM {parts.source(self.mirror.get(_MERGED, []), MERGED)}")
        run("CREATE TEMP TABLE moved (cid BIGINT, once BIGINT, living BIGINT)")
        run("CREATE TEMP TABLE merged AS FROM was")
        if everybody:
            asked = (
                f"SELECT cid FROM {parts.source(self.mirror.get('profile', []), columns_of('profile'))} UNION SELECT cid FROM was"
            )
        elif "profile" in self._came:
            asked = 'SELECT cid FROM new_profile LEFT JOIN was USING (cid) WHERE merged_into IS DISTINCT FROM "into"'
        else:
            return
        run(f"CREATE TEMP TABLE asked AS {asked}")
        if not parts.count("FROM asked"):
            return
        run(
            f'CREATE TEMP TABLE marked AS SELECT cid, "into" FROM was ANTI JOIN asked USING (cid) UNION ALL '
            f"SELECT cid, merged_into FROM ({self._now_of('profile', 'asked')}) WHERE merged_into IS NOT NULL"
        )
        run(f"CREATE OR REPLACE TEMP TABLE merged AS {LIVING}")
        run(
            "INSERT INTO moved SELECT cid, coalesce(w.living, cid), coalesce(m.living, cid) FROM was AS w "
            "FULL JOIN merged AS m USING (cid) WHERE w.living IS DISTINCT FROM m.living"
        )
        self.mirror[_MERGED] = parts.write("FROM merged ORDER BY cid", f"{MIRROR_FILES}{_MERGED}")

    def _now_of(self, kind: str, people: str) -> str:
        """Return the query of the current rows of a kind, of those whose numbers are in a table."""
        columns = columns_of(kind)
        mine = f"WHERE cid IN (SELECT cid FROM {people})" if kind in _PERSONAL else ""
        return (
            f"SELECT * FROM (SELECT * FROM {self.parts.source(self.mirror.get(kind, []), columns)} {mine} {_latest(kind)}) "
            "WHERE NOT gone"
        )

    def _take_events(self, read_since: datetime | None = None) -> None:
        """Make the tables `come` (rows of `event`) and `leave` (own, id, file), and renew their months.

        read_since: when all tables began to be read, if what came is what they hold.
        """
        run = self.parts.run
        run(f"CREATE TEMP TABLE come ({_typed(columns_of_table('event'))})")
        run("CREATE TEMP TABLE leave (own BIGINT, id VARCHAR, file VARCHAR)")
        if "event" in self._came:
            self._sort_events()
        if read_since is not None:
            self._lose_events(read_since)
        if self.parts.count("FROM moved"):
            self._move_events()
        self._renew("event", "SELECT * FROM come", "leave", self._staying)

    def _staying(self, source: str) -> str:
        # What no late change can concern any more is forgotten: it would be a tenth of the file.
        late = f"seen_at < {_instant(self._now - LATEST)}"
        besides = f"CASE WHEN {late} THEN '' ELSE v END AS v, CASE WHEN {late} THEN NULL ELSE seen_at END AS seen_at"
        leaving = "ANTI JOIN leave AS l ON l.own = coalesce(e.own, e.cid) AND l.id = e.id"
        return f"SELECT e.* REPLACE ({besides}) FROM {source} AS e {leaving}"

    def _renew(self, table: str, fresh: str, leaving: str, without: Without) -> None:
        """Renew the files of a table that have to do with fresh rows, or with rows that a table `leaving` tells, by `file`."""
        run, part = self.parts.run, BASE[table].part
        files = self._files_of(table)
        losing = {str(row[0]) for row in run(f"SELECT DISTINCT file FROM {leaving}")}
        into = {str(row[0]) for row in run(f"SELECT DISTINCT {part} FROM ({fresh})")}
        for name in sorted(into | {name for name, keys in files.items() if losing & set(keys)}):
            files[name] = self.parts.renew(
                files.get(name, []),
                losing,
                f"{BASE_FILES}{table}/{name}".rstrip("/"),
                f"SELECT * FROM ({fresh}) WHERE {part} = '{name}'",
                ", ".join(f'"{column}"' for column in BASE[table].order),
                without,
                columns_of_table(table),
            )
        self.base[table] = [key for name in sorted(files) for key in files[name]]

    def _files_of(self, table: str) -> dict[str, list[str]]:
        """Return the files of a table by their part of it."""
        parts: dict[str, list[str]] = defaultdict(list)
        for key in self.base.get(table, []):
            parts[key.removeprefix(f"{BASE_FILES}{table}/").rpartition("/")[0]].append(key)
        return parts

    def _sort_events(self) -> None:
        """Let in what is new, and out what has another version by now; what was deleted is remembered, for it may come late."""
        run = self.parts.run
        self._append("event", "SELECT * FROM new_event WHERE gone")
        run(f'CREATE TEMP TABLE buried AS SELECT cid, id, v, "at" AS seen_at FROM ({self._all_of("event")})')
        asked = {str(row[0]) for row in run("SELECT DISTINCT strftime(at_instant, '%Y-%m') FROM new_event WHERE NOT gone")}
        months = self._files_of("event")
        if self.parts.count("FROM new_event WHERE gone"):
            asked |= set(months)  # of a deleted one only the key is known
        run("CREATE TEMP TABLE stands (own BIGINT, id VARCHAR, v VARCHAR, seen_at TIMESTAMP, file VARCHAR)")
        for key in [key for month in sorted(asked & set(months)) for key in months[month]]:
            source = self.parts.source([key], columns_of_table("event"))
            run(
                f"INSERT INTO stands SELECT e.* FROM "
                f"(SELECT coalesce(own, cid) AS own, id, v, seen_at, '{key}' FROM {source}) AS e "
                "SEMI JOIN new_event AS n ON n.cid = e.own AND n.id = e.id"
            )
        run(
            "INSERT INTO leave SELECT own, s.id, file FROM stands AS s "
            f"JOIN new_event AS n ON n.cid = own AND n.id = s.id WHERE {_newer('s.v', 's.seen_at')}"
        )
        run(
            "CREATE TEMP TABLE refused AS SELECT n.cid, n.id FROM new_event AS n JOIN stands AS s ON s.own = n.cid AND s.id = n.id "
            f"WHERE NOT {_newer('s.v', 's.seen_at')} UNION SELECT n.cid, n.id FROM new_event AS n "
            f"JOIN buried AS b ON b.cid = n.cid AND b.id = n.id WHERE NOT {_newer('b.v', 'b.seen_at')}"
        )
        run("CREATE TEMP TABLE entering AS SELECT * FROM new_event ANTI JOIN refused USING (cid, id) WHERE NOT gone")
        run(f"INSERT INTO come BY NAME SELECT {EVENT_ROW} FROM entering AS e LEFT JOIN merged ON merged.cid = e.cid")

    def _lose_events(self, read_since: datetime) -> None:
        """Let out what no table holds any more, unless it is younger than their reading or has expired."""
        for month, keys in self._files_of("event").items():
            for key in keys:
                self.parts.run(
                    f"INSERT INTO leave SELECT own, id, '{key}' FROM (SELECT coalesce(own, cid) AS own, id FROM "
                    f"{self.parts.source([key], columns_of_table('event'))} "
                    f"WHERE coalesce(seen_at < {_instant(read_since - SKEW)}, true) AND NOT {_expired(read_since)}) AS e "
                    f"ANTI JOIN (SELECT cid, id FROM new_event WHERE strftime(at_instant, '%Y-%m') = '{month}') AS n "
                    "ON n.cid = e.own AND n.id = e.id"
                )

    def _move_events(self) -> None:
        """Bring what somebody did under another number to whom he is now."""
        run, parts = self.parts.run, self.parts
        names = ", ".join(f'"{name}"' for name in columns_of_table("event") if name not in ("cid", "own"))
        for key in self.base.get("event", []):
            source = parts.source([key], columns_of_table("event"))
            run(
                "CREATE OR REPLACE TEMP TABLE moving AS SELECT e.*, m.cid AS mine, m.living AS now FROM "
                f"{source} AS e JOIN moved AS m ON m.cid = coalesce(e.own, e.cid) "
                "ANTI JOIN leave AS l ON l.own = m.cid AND l.id = e.id"
            )
            run(f"INSERT INTO come BY NAME SELECT {names}, now AS cid, CASE WHEN now <> mine THEN mine END AS own FROM moving")
            run(f"INSERT INTO leave SELECT mine, id, '{key}' FROM moving")

    def _all_of(self, kind: str) -> str:
        return f"SELECT * FROM {self.parts.source(self.mirror.get(kind, []), columns_of(kind))} {_latest(kind)}"

    def derive(self) -> None:
        """Renew every table in which somebody's rows may have changed."""
        for table in DERIVED:
            if self._touch(table):
                self._derive(table)

    def _touch(self, table: str) -> bool:
        """Make the tables `touched` and `own`: whose rows are made anew, and under which numbers they stand."""
        run, kinds = self.parts.run, DERIVED[table].of
        asked = [f"SELECT cid FROM new_{kind}" for kind in kinds if kind in self._came and kind not in ("event", "suppressed")]
        if "event" in kinds and "event" in self._came:
            asked.append("SELECT cid FROM new_event WHERE source <> '' OR gone")
        if "suppressed" in kinds and "suppressed" in self._came:
            source = self.parts.source(self.mirror.get("profile", []), columns_of("profile"))
            prints = "(SELECT print FROM new_suppressed)"
            asked.append(f"SELECT cid FROM {source} WHERE email_print IN {prints} OR phone_print IN {prints}")
        asked.append("SELECT cid FROM moved UNION SELECT once FROM moved UNION SELECT living FROM moved")
        run(
            f"CREATE OR REPLACE TEMP TABLE touched AS WITH asked AS ({' UNION '.join(asked)}) SELECT cid FROM asked "
            "UNION SELECT living FROM merged SEMI JOIN asked USING (cid)"
        )
        run(
            "CREATE OR REPLACE TEMP TABLE own AS SELECT cid, coalesce(living, cid) AS living FROM "
            "(SELECT cid FROM touched UNION SELECT cid FROM merged WHERE living IN (SELECT cid FROM touched)) "
            "LEFT JOIN merged USING (cid)"
        )
        return self.parts.count("FROM touched") > 0

    def _derive(self, table: str) -> None:
        run, parts = self.parts.run, self.parts
        for kind in DERIVED[table].of:
            if kind == "event":
                source = parts.source(self.base.get("event", []), columns_of_table("event"))
                query = f"SELECT * FROM {source} WHERE cid IN (SELECT cid FROM touched)"
            else:
                query = self._now_of(kind, "own")
            run(f"CREATE OR REPLACE TEMP VIEW now_{kind} AS {query}")
        run(f"CREATE OR REPLACE TEMP TABLE fresh ({_typed(BASE[table].columns)})")
        run(f"INSERT INTO fresh BY NAME SELECT * FROM ({DERIVED[table].sql}) WHERE cid IN (SELECT cid FROM touched)")
        # Most of what is made anew is as it was: only files with a row that is not are written.
        columns, key = ", ".join(f'"{name}"' for name in BASE[table].columns), ", ".join(f'"{name}"' for name in BASE[table].key)
        run(f"CREATE OR REPLACE TEMP TABLE before ({_typed(BASE[table].columns)}, file VARCHAR)")
        for file in self.base.get(table, []):
            source = parts.source([file], BASE[table].columns)
            run(f"INSERT INTO before SELECT {columns}, '{file}' FROM {source} SEMI JOIN touched USING (cid)")
        was = "SELECT * EXCLUDE file FROM before"
        run(f"CREATE OR REPLACE TEMP TABLE coming AS FROM fresh EXCEPT {was}")
        other = f"({was} EXCEPT FROM fresh)"
        run(f"CREATE OR REPLACE TEMP TABLE leaving AS SELECT {key}, file FROM before SEMI JOIN {other} USING ({key})")
        self._renew(table, "FROM coming", "leaving", lambda source: f"SELECT * FROM {source} ANTI JOIN leaving USING ({key})")

    def replant(self, scanned: Mapping[str, list[str]], since: datetime) -> None:
        """Make the lake anew from what was read from the tables, and from changes that are younger than the reading.

        scanned: files of rows by kind. since: when the reading began. What is in none of these rows was deleted, whether its
        stream has told it or not; but what was due to expire by then stays: history is never taken from the lake.
        """
        run, parts = self.parts.run, self.parts
        young = f'"at" >= {_instant(since - SKEW)}'
        for kind in sorted(set(CHANGES) - {_MARK, "event"}):
            columns, keys = columns_of(kind), self.mirror.get(kind, [])
            stays = f"{young} OR (NOT gone AND {_expired(since)})" if "expires_at" in columns else young
            before = (
                f"SELECT * REPLACE (CASE WHEN {young} THEN v ELSE '' END AS v) FROM "
                f"(SELECT * FROM {parts.source(keys, columns)} {_latest(kind)}) WHERE {stays}"
            )
            read = parts.source(scanned.get(kind, []), columns)
            if kind == "recipient":  # its item does not say when the message left; what the stream told of it stands
                read = (
                    f"(SELECT s.* REPLACE (coalesce(m.at_instant, s.at_instant) AS at_instant) FROM {read} AS s "
                    f"LEFT JOIN ({self._all_of(kind)}) AS m USING (campaign, cid))"
                )
            rows = f"SELECT * FROM {read} UNION ALL BY NAME {before}"
            self.mirror[kind] = parts.write(f"SELECT * FROM ({rows}) {self._known(kind)} {_latest(kind)}", f"{MIRROR_FILES}{kind}")
        self._read("event", scanned.get("event", []))
        self._merge(everybody=True)
        self._take_events(since)
        self.base = {"event": self.base["event"]}
        kinds = sorted(_PERSONAL & set(self.mirror))
        everybody = [f"SELECT cid FROM {parts.source(self.mirror[kind], columns_of(kind))}" for kind in kinds]
        everybody += [f"SELECT cid FROM {parts.source(self.base['event'], columns_of_table('event'))}", "SELECT living FROM merged"]
        run(f"CREATE OR REPLACE TEMP TABLE touched AS {' UNION '.join(everybody)}")
        living = "SELECT cid, coalesce(living, cid) AS living FROM touched LEFT JOIN merged USING (cid)"
        run(f"CREATE OR REPLACE TEMP TABLE own AS {living}")
        for table in DERIVED:
            self._derive(table)
        self.manifest = replace(self.manifest, rebuilt_at=since)

    def _known(self, kind: str) -> str:
        erased = self.manifest.erased
        return f"WHERE cid NOT IN ({_numbers(erased)})" if erased and kind in _PERSONAL else ""

    def next(self) -> Manifest:
        """Return the manifest of what this folding has made."""
        files = {key for part in (self.base, self.mirror) for keys in part.values() for key in keys}
        before = self.manifest
        forgotten = {**before.forgotten, **dict.fromkeys(before.files() - files, self._now)}
        return replace(
            before,
            base={table: tuple(keys) for table, keys in self.base.items() if keys},
            mirror={kind: tuple(keys) for kind, keys in self.mirror.items() if keys},
            rows={key: self.parts.rows[key] for key in sorted(files)},
            generation=before.generation + 1,
            folded_at=self._now,
            marks=self.marks,
            forgotten=forgotten,
        )

    def publish(self, files: Files, tag: str) -> bool:
        """Put the next manifest in the place of the one with this tag, or throw everything away that was made for it."""
        manifest = self.next()
        named = manifest.files()
        self.parts.forget(key for key in self.parts.written if key not in named)
        self.parts.written = [key for key in self.parts.written if key in named]
        self.parts.send()
        if manifests.replace(files, manifest, tag):
            return True
        # It may have been replaced by this very call, if the answer got lost and the call was repeated below us.
        latest, _ = manifests.load(files)
        if not latest.files().union(latest.forgotten).isdisjoint(self.parts.written):
            return True
        files.delete(self.parts.written)
        return False


def tidy(files: Files, now: datetime) -> int:
    """Delete files that no manifest has named for a while: former ones, and those of a folding that died. Return how many."""
    manifest, tag = manifests.load(files)
    if not tag:
        return 0
    named = manifest.files()
    due = [key for key, since in manifest.forgotten.items() if now - since >= manifests.GRACE and key not in named]
    dead = [
        key
        for prefix in (BASE_FILES, MIRROR_FILES)
        for key in files.list(prefix)
        if key not in named
        and key not in manifest.forgotten
        and (at := manifests.written_at(key))
        and now - at >= 2 * manifests.GRACE
    ]
    if due:
        # The files first: whoever dies in between finds them here again.
        files.delete(due)
        rest = {key: since for key, since in manifest.forgotten.items() if key not in due}
        manifests.replace(files, replace(manifest, forgotten=rest), tag)
    files.delete(dead)
    return len(due) + len(dead)


def _newer(version: str, at: str) -> str:
    """Return whether the change `n` is newer; what was read from a table (rebuild) is newer than what its stream told before."""
    return f"(n.v > {version} OR (n.v = '' AND coalesce({at} < n.\"at\" - {_SKEW}, true)))"


def _expired(moment: datetime) -> str:
    return f"coalesce(expires_at <= {_instant(moment)}, false)"


def _latest(kind: str) -> str:
    key = ", ".join(f'"{name}"' for name in CHANGES[kind].key)
    return f'QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY v DESC, "at" DESC) = 1'


def _typed(columns: Mapping[str, str]) -> str:
    return ", ".join(f'"{name}" {kind}' for name, kind in columns.items())


def _numbers(cids: Iterable[Cid]) -> str:
    return ", ".join(str(int(cid)) for cid in cids)


def _instant(moment: datetime) -> str:
    return f"TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S}'"

"""Enrollments and cohorts: what the engine asks of them, and how the engine table keeps them.

`C#cid` / `ENR#scenario#…` an enrollment, `HIS#…` a former run; `COH#cohort` / `#` a header; `COH#cohort#shard` / member a hint;
`LIVE#scenario` / cohort what has not ended. Hints hold no personal data and decide nothing: the enrollment does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from chalicelib.delivery.model import row_of
from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.ids import Cid, CohortId, ScenarioId
from chalicelib.people.model import person_key
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.scenarios import table
from chalicelib.scenarios.model import (
    Cohort,
    CohortState,
    Enrollment,
    EnrollmentStatus,
    Move,
    ScenarioHead,
    Version,
    parse_cohort_id,
)
from chalicelib.settings import settings

_HINT_DAYS = 400  # hints hold numbers only and outlive the longest wait
Key = tuple[str, str]


class Records(Protocol):
    """What the engine keeps. Every write is conditional or the same when repeated; reads are strongly consistent.

    page: how many members one call of the engine handles at once.
    """

    page: int

    def head(self, scenario_id: str) -> ScenarioHead | None:
        """Return a scenario's head."""
        ...

    def version(self, scenario_id: str, number: int) -> Version | None:
        """Return a published version."""
        ...

    def cohort(self, name: str) -> Cohort | None:
        """Return a cohort's header."""
        ...

    def ensure_cohort(self, name: CohortId, shards: int) -> None:
        """Write the header of a cohort and its place among the live ones unless they are there."""
        ...

    def close_cohort(self, name: str, at: datetime) -> None:
        """Let nobody join any more; nothing when it is closed already."""
        ...

    def set_cohort(self, header: Cohort, **values: Any) -> bool:
        """Write where a cohort stands, unless another run has taken over; say whether it was written."""
        ...

    def lead_on(self, header: Cohort, *, at_node: str, at_due: datetime, events: int, progress_at: datetime) -> bool:
        """Write where a cohort goes from where it was read, unless somebody else has led it on or taken over."""
        ...

    def end_cohort(self, header: Cohort) -> None:
        """Note that a cohort is through."""
        ...

    def put_hints(self, header: Cohort, ones: Iterable[Enrollment]) -> None:
        """Note that these enrollments may be members of a cohort."""
        ...

    def shards_in_use(self, header: Cohort) -> list[int]:
        """Return the shards of a cohort that have any hints."""
        ...

    def members(self, name: str, shard: int, cursor: str, most: int) -> tuple[list[Enrollment], str]:
        """Return the enrollments that a page of hints names, and the next page's cursor, "" after the last."""
        ...

    def read_again(self, one: Enrollment) -> Enrollment:
        """Return an enrollment as it stands now."""
        ...

    def move_pointers(self, moves: Sequence[Move], target: CohortId, *, version: int, at: datetime) -> list[bool]:
        """Point enrollments to a cohort, each unless it has moved, acted, been counted or ended since it was read."""
        ...

    def count_in(self, ones: Sequence[Enrollment], name: str) -> list[bool]:
        """Note that a cohort counts these among its members; False for those who have moved on or ended."""
        ...

    def set_inline_node(self, one: Enrollment, node: str, visit: str, note: str) -> None:
        """Note how far an inline walk has come, and why when it left the main path."""
        ...

    def note_response(self, one: Enrollment, key: str, text: str) -> None:
        """Note a reaction, unless another one has been noted since the enrollment was read."""
        ...

    def note_events(self, one: Enrollment, keys: Iterable[str], at: datetime) -> None:
        """Note that something happened to a person on the way."""
        ...

    def end_enrollments(
        self, ones: Sequence[Enrollment], status: EnrollmentStatus, reason: str, at: datetime, *, in_cohort: bool
    ) -> list[bool]:
        """End active enrollments; with `in_cohort` only those that have not moved since they were read."""
        ...


def enrollment_key(cid: Cid, scenario_id: str, occurrence_key: str = "") -> Key:
    """Return where a person's enrollment stands; with an occurrence key there is one for each."""
    return person_key(cid), f"ENR#{scenario_id}#{occurrence_key}"


def new_enrollment(
    key: Key, cid: Cid, version: Version, run: int, occurrence: str, cohort: str, at: datetime, data: Mapping[str, str]
) -> Item:
    """Return the item of a new enrollment."""
    return {
        "pk": key[0],
        "sk": key[1],
        "cid": int(cid),
        "scenario": version.scenario_id,
        "version": version.version,
        "run": run,
        "occurrence": occurrence,
        "cohort": cohort,
        "at_node": version.graph.start,
        "status": str(EnrollmentStatus.ACTIVE),
        "last": "",
        "claim": "",
        "seen_by": "",
        "came_at": "",
        "path": {},
        "responses": {},
        "events": {},
        "data": dict(data),
        "entered_at": to_text(at),
        "ended_at": "",
        "reason": "",
    }


def enrollment_of(item: Item) -> Enrollment:
    """Return the enrollment that an engine item describes."""
    ended = item["ended_at"]
    return Enrollment(
        row=row_of(item),
        scenario_id=ScenarioId(item["scenario"]),
        version=item["version"],
        run=item["run"],
        occurrence=item["occurrence"],
        entered_at=from_text(item["entered_at"]),
        at_node=item["at_node"],
        ended_at=from_text(ended) if ended else None,
        reason=item["reason"],
        path=item["path"],
        responses=item["responses"],
        events=item["events"],
        data=item["data"],
        seen_by=item["seen_by"],
        came_at=_instant(item, "came_at"),
    )


class TableRecords:
    """The records in DynamoDB. Implements Records, and what the doors ask besides."""

    page = 500

    def __init__(self, database: Database) -> None:
        self._database = database
        self._versions: dict[tuple[str, int], Version] = {}

    # Scenarios ---------------------------------------------------------------------------------------------------------------

    def head(self, scenario_id: str) -> ScenarioHead | None:
        """Return a scenario's head; see Records."""
        return table.head(scenario_id)

    def version(self, scenario_id: str, number: int) -> Version | None:
        """Return a published version; versions never change, so each is read once."""
        key = (scenario_id, number)
        if key not in self._versions:
            found = table.version(scenario_id, number)
            if found is None:
                return None
            self._versions[key] = found
        return self._versions[key]

    # Enrollments -------------------------------------------------------------------------------------------------------------

    def insert(self, items: Sequence[Item]) -> list[bool]:
        """Write enrollments that are not there yet; True for those that are ours."""
        statements = [Statement.insert(settings().engine_table, item) for item in items]
        return [outcome is None for outcome in self._database.execute(statements)]

    def replace(self, old: Enrollment, item: Item) -> bool:
        """Put a new run in the place of an ended one, which is kept as history; False when somebody was faster."""
        key = (old.row.pk, old.row.sk)
        former = self._database.get_many(settings().engine_table, [key]).get(key)
        if former is None or former["run"] != old.run:
            return False
        self._database.put_many(settings().engine_table, [{**former, "sk": f"HIS#{old.row.sk}#{old.run:05d}"}])
        values = {name: value for name, value in item.items() if name not in ("pk", "sk")}
        sets = " ".join(f'SET "{name}"=?' for name in values)
        text = f'UPDATE "{settings().engine_table}" {sets} WHERE pk=? AND sk=? AND "run"=? AND "status"<>?'
        statement = Statement(text, (*values.values(), item["pk"], item["sk"], old.run, str(EnrollmentStatus.ACTIVE)))
        return self._database.execute([statement]) == [None]

    def get(self, keys: Iterable[Key]) -> dict[Key, Enrollment]:
        """Return enrollments by key."""
        found = self._database.get_many(settings().engine_table, keys)
        return {key: enrollment_of(item) for key, item in found.items()}

    def read_again(self, one: Enrollment) -> Enrollment:
        """Return an enrollment as it stands now."""
        return self.get([(one.row.pk, one.row.sk)])[one.row.pk, one.row.sk]

    def of(self, cid: Cid) -> list[Enrollment]:
        """Return a person's current enrollments in all scenarios."""
        return [enrollment_of(item) for item in self._database.query(settings().engine_table, person_key(cid), prefix="ENR#")]

    def history_of(self, cid: Cid) -> list[Enrollment]:
        """Return a person's former runs."""
        return [enrollment_of(item) for item in self._database.query(settings().engine_table, person_key(cid), prefix="HIS#")]

    def move_pointers(self, moves: Sequence[Move], target: CohortId, *, version: int, at: datetime) -> list[bool]:
        """Point enrollments to a cohort; see Records."""
        # Not `responses`: they are noted beside. Nor the path: a claim that got through changes `last`.
        guard = 'WHERE pk=? AND sk=? AND "cohort"=? AND "status"=? AND "last"=?'
        statements = []
        for move in moves:
            row = move.one.row
            sets = 'SET "cohort"=? SET "at_node"=? SET "version"=? SET "came_at"=?' + (
                f' SET "path"."{move.visit}"=?' if move.note else ""
            )
            given = (target, "", version, to_text(at), *([move.noted(target)] if move.note else []))
            guards = (row.pk, row.sk, row.cohort, str(EnrollmentStatus.ACTIVE), row.last, *([row.cohort] if move.is_late else []))
            text = f'UPDATE "{settings().engine_table}" {sets} {guard}' + (' AND "seen_by"<>?' if move.is_late else "")
            statements.append(Statement(text, (*given, *guards)))
        return [outcome is None for outcome in self._database.execute(statements)]

    def count_in(self, ones: Sequence[Enrollment], name: str) -> list[bool]:
        """Note that a cohort counts these among its members; see Records."""
        text = f'UPDATE "{settings().engine_table}" SET "seen_by"=? WHERE pk=? AND sk=? AND "cohort"=? AND "status"=?'
        keys = [(one.row.pk, one.row.sk) for one in ones]
        statements = [Statement(text, (name, *key, name, str(EnrollmentStatus.ACTIVE))) for key in keys]
        return [outcome is None for outcome in self._database.execute(statements)]

    def set_inline_node(self, one: Enrollment, node: str, visit: str, note: str) -> None:
        """Note how far an inline walk has come; see Records."""
        sets = 'SET "at_node"=?' + (f' SET "path"."{visit}"=?' if note else "")
        text = f'UPDATE "{settings().engine_table}" {sets} WHERE pk=? AND sk=? AND "cohort"=? AND "run"=?'
        given = (node, *([note] if note else []))
        self._database.execute([Statement(text, (*given, one.row.pk, one.row.sk, one.row.cohort, one.run))])

    def forget_ways(self, ones: Sequence[Enrollment]) -> None:
        """Empty what enrollments tell of a person: his path, what he reacted to, what the trigger brought."""
        text = (
            f'UPDATE "{settings().engine_table}" SET "path"=? SET "responses"=? SET "events"=? SET "data"=? '
            'WHERE pk=? AND sk=? AND "status"<>?'
        )
        active = str(EnrollmentStatus.ACTIVE)
        self._database.execute([Statement(text, ({}, {}, {}, {}, one.row.pk, one.row.sk, active)) for one in ones])

    def note_response(self, one: Enrollment, key: str, text: str) -> None:
        """Note a reaction; see Records."""
        path = f'"responses"."{key}"'
        known = one.responses.get(key)
        guard = f"{path}=?" if known else f"{path} IS MISSING"
        sql = f'UPDATE "{settings().engine_table}" SET {path}=? WHERE pk=? AND sk=? AND "status"=? AND "run"=? AND {guard}'
        values = (text, one.row.pk, one.row.sk, str(EnrollmentStatus.ACTIVE), one.run, *([known] if known else []))
        self._database.execute([Statement(sql, values)])

    def note_events(self, one: Enrollment, keys: Iterable[str], at: datetime) -> None:
        """Note that something happened to a person on the way; see Records."""
        sets = " ".join(f'SET "events"."{key}"=?' for key in keys)
        if not sets:
            return
        text = f'UPDATE "{settings().engine_table}" {sets} WHERE pk=? AND sk=? AND "status"=? AND "run"=?'
        values = (*[to_text(at)] * sets.count("SET "), one.row.pk, one.row.sk, str(EnrollmentStatus.ACTIVE), one.run)
        self._database.execute([Statement(text, values)])

    def end_enrollments(
        self, ones: Sequence[Enrollment], status: EnrollmentStatus, reason: str, at: datetime, *, in_cohort: bool
    ) -> list[bool]:
        """End active enrollments; see Records."""
        guard = ' AND "cohort"=?' if in_cohort else ""
        text = (
            f'UPDATE "{settings().engine_table}" SET "status"=? SET "reason"=? SET "ended_at"=? '
            f'WHERE pk=? AND sk=? AND "status"=? AND "run"=?{guard}'
        )
        statements = [
            Statement(
                text,
                (str(status), reason, to_text(at), one.row.pk, one.row.sk, str(EnrollmentStatus.ACTIVE), one.run)
                + ((one.row.cohort,) if in_cohort else ()),
            )
            for one in ones
        ]
        return [outcome is None for outcome in self._database.execute(statements)]

    # Cohorts -----------------------------------------------------------------------------------------------------------------

    def ensure_cohort(self, name: CohortId, shards: int) -> None:
        """Write the header of a cohort and its place among the live ones unless they are there."""
        scenario_id, _, node, due = parse_cohort_id(name)
        engine = settings().engine_table
        self._database.put_many(engine, [{"pk": f"LIVE#{scenario_id}", "sk": name, "ttl": _ttl(due)}])
        item = {
            "pk": f"COH#{name}",
            "sk": "#",
            "state": str(CohortState.OPEN),
            "at_node": node,
            "at_due": to_text(due),
            "is_started": False,
            "shards": shards,
            "run": 0,
            "ttl": _ttl(due),
        }
        self._database.execute([Statement.insert(engine, item)])

    def cohort(self, name: str) -> Cohort | None:
        """Return a cohort's header, strongly consistent."""
        key = (f"COH#{name}", "#")
        item = self._database.get_many(settings().engine_table, [key]).get(key)
        return _cohort(item) if item else None

    def live_cohorts(self, scenario_id: str) -> list[Cohort]:
        """Return the cohorts of a scenario that have not ended, by name."""
        return self.live_page(scenario_id, "", 0)[0]

    def live_page(self, scenario_id: str, after: str, most: int) -> tuple[list[Cohort], str]:
        """Return so many live cohorts that follow a name, all for 0, and the next page's cursor, "" after the last."""
        cohorts, following = self._listed(scenario_id, after, most)
        return [cohort for cohort in cohorts if cohort.state is not CohortState.ENDED], following

    def known_cohorts(self, scenario_id: str) -> list[Cohort]:
        """Return the cohorts of a scenario by name, the ended ones too until they are forgotten."""
        return self._listed(scenario_id, "", 0)[0]

    def _listed(self, scenario_id: str, after: str, most: int) -> tuple[list[Cohort], str]:
        items = self._database.query(settings().engine_table, f"LIVE#{scenario_id}", after=after, limit=most)
        names = [item["sk"] for item in items]
        found = self._database.get_many(settings().engine_table, [(f"COH#{name}", "#") for name in names])
        cohorts = [_cohort(found[f"COH#{name}", "#"]) for name in names if (f"COH#{name}", "#") in found]
        return cohorts, names[-1] if most and len(names) == most else ""

    def forget_cohort(self, header: Cohort) -> None:
        """Take an ended cohort off the list."""
        key = (f"LIVE#{header.scenario_id}", header.cohort_id)
        self._database.execute([Statement(f'DELETE FROM "{settings().engine_table}" WHERE pk=? AND sk=?', key)])

    def close_cohort(self, name: str, at: datetime) -> None:
        """Let nobody join any more; nothing when it is closed already."""
        text = f'UPDATE "{settings().engine_table}" SET "state"=? SET "closed_at"=? WHERE pk=? AND sk=? AND "state"=?'
        given = (str(CohortState.CLOSED), to_text(at), f"COH#{name}", "#", str(CohortState.OPEN))
        self._database.execute([Statement(text, given)])

    def set_cohort(self, header: Cohort, **values: Any) -> bool:
        """Write where a cohort stands; see Records."""
        kept = {name: to_text(value) if isinstance(value, datetime) else value for name, value in values.items()}
        sets = " ".join(f'SET "{key}"=?' for key in kept)
        text = f'UPDATE "{settings().engine_table}" {sets} WHERE pk=? AND sk=? AND "run"=?'
        statement = Statement(text, (*kept.values(), f"COH#{header.cohort_id}", "#", header.run))
        return self._database.execute([statement]) == [None]

    def lead_on(self, header: Cohort, *, at_node: str, at_due: datetime, events: int, progress_at: datetime) -> bool:
        """Write where a cohort goes from where it was read; see Records."""
        text = (
            f'UPDATE "{settings().engine_table}" SET "at_node"=? SET "at_due"=? SET "events"=? SET "progress_at"=? '
            'WHERE pk=? AND sk=? AND "run"=? AND "at_node"=? AND "at_due"=?'
        )
        values = (at_node, to_text(at_due), events, to_text(progress_at))
        guards = (f"COH#{header.cohort_id}", "#", header.run, header.at_node, to_text(header.at_due))
        return self._database.execute([Statement(text, (*values, *guards))]) == [None]

    def end_cohort(self, header: Cohort) -> None:
        """Note that a cohort is through; it stays listed until nobody can be on his way into it any more."""
        self.set_cohort(header, state=str(CohortState.ENDED))

    def put_hints(self, header: Cohort, ones: Iterable[Enrollment]) -> None:
        """Note that these enrollments may be members of a cohort; the enrollment itself decides."""
        items = [
            {
                "pk": f"COH#{header.cohort_id}#{one.cid % header.shards}",
                "sk": f"{one.cid:012d}#{one.row.sk}",
                "row_pk": one.row.pk,
                "row_sk": one.row.sk,
                "ttl": _ttl(header.due),
            }
            for one in ones
        ]
        self._database.put_many(settings().engine_table, items)

    def shards_in_use(self, header: Cohort) -> list[int]:
        """Return the shards of a cohort that have any hints."""
        return [shard for shard in range(header.shards) if self._hints(header.cohort_id, shard, "", 1)]

    def members(self, name: str, shard: int, cursor: str, most: int) -> tuple[list[Enrollment], str]:
        """Return the enrollments that a page of hints names, and the next page's cursor; see Records."""
        items = self._hints(name, shard, cursor, most)
        found = self.get((item["row_pk"], item["row_sk"]) for item in items)
        return list(found.values()), items[-1]["sk"] if len(items) == most else ""

    def _hints(self, name: str, shard: int, after: str, most: int) -> list[Item]:
        return self._database.query(settings().engine_table, f"COH#{name}#{shard}", after=after, limit=most)


def _ttl(due: datetime) -> int:
    return int((due + timedelta(days=_HINT_DAYS)).timestamp())


def _instant(item: Mapping[str, Any], name: str) -> datetime | None:
    text = item.get(name)
    return from_text(text) if text else None


def _cohort(item: Mapping[str, Any]) -> Cohort:
    name = item["pk"].removeprefix("COH#")
    scenario_id, number, node, due = parse_cohort_id(name)
    return Cohort(
        cohort_id=CohortId(name),
        scenario_id=scenario_id,
        version=number,
        node=node,
        due=due,
        state=CohortState(item["state"]),
        at_node=item["at_node"],
        at_due=from_text(item["at_due"]),
        is_started=item["is_started"],
        shards=item["shards"],
        run=item["run"],
        began_at=_instant(item, "began_at"),
        events=item.get("events", 0),
        hold=item.get("hold", ""),
        shifted=_instant(item, "shifted"),
        progress_at=_instant(item, "progress_at"),
        closed_at=_instant(item, "closed_at"),
        first_visit=item.get("first_visit", ""),
        acted=item.get("acted", ""),
        is_swept=item.get("is_swept", False),
    )

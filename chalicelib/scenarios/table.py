"""Scenarios in the config table (`SCN` / id, `SCN#id` / version); all that is under way in the engine table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute

from chalicelib.delivery.model import row_of
from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.ids import Cid, CohortId, ScenarioId
from chalicelib.people.model import person_key
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.scenarios.graph import parse, to_json
from chalicelib.scenarios.model import (
    SHARDS,
    Cohort,
    CohortState,
    Enrollment,
    EnrollmentStatus,
    ScenarioHead,
    ScenarioState,
    Version,
    parse_cohort_id,
)
from chalicelib.settings import settings
from chalicelib.storage import ConfigItem, saved

_HINT_DAYS = 400  # hints hold numbers only and outlive the longest wait


class ScenarioItem(ConfigItem):
    """The head of a scenario."""

    name = UnicodeAttribute()
    state = UnicodeAttribute()
    version = NumberAttribute(default=0)
    draft = JSONAttribute()
    revision = NumberAttribute()
    pause_reason = UnicodeAttribute(default="")


class VersionItem(ConfigItem):
    """A published version."""

    graph = JSONAttribute()
    published_at = UnicodeAttribute()


def _head(item: ScenarioItem) -> ScenarioHead:
    return ScenarioHead(
        ScenarioId(item.sk),
        item.name,
        ScenarioState(item.state),
        int(item.version),
        item.draft,
        int(item.revision),
        item.pause_reason,
    )


def put_head(head: ScenarioHead) -> bool:
    """Write a head whose revision follows the kept one; return False when it does not."""
    item = ScenarioItem(
        "SCN",
        head.scenario_id,
        name=head.name,
        state=head.state,
        version=head.version,
        draft=dict(head.draft),
        revision=head.revision,
        pause_reason=head.pause_reason,
    )
    condition = ScenarioItem.pk.does_not_exist() if head.revision == 1 else ScenarioItem.revision == head.revision - 1
    return saved(item, condition)


def head(scenario_id: str) -> ScenarioHead | None:
    """Return a scenario's head."""
    try:
        return _head(ScenarioItem.get("SCN", scenario_id, consistent_read=True))
    except ScenarioItem.DoesNotExist:
        return None


def heads() -> list[ScenarioHead]:
    """Return all scenarios by id."""
    return [_head(item) for item in ScenarioItem.query("SCN")]


def put_version(version: Version, at: datetime) -> None:
    """Write a version; the same when repeated."""
    VersionItem(
        f"SCN#{version.scenario_id}", f"v{version.version:05d}", graph=to_json(version.graph), published_at=to_text(at)
    ).save()


def version(scenario_id: str, number: int) -> Version | None:
    """Return a published version."""
    try:
        item = VersionItem.get(f"SCN#{scenario_id}", f"v{number:05d}", consistent_read=True)
    except VersionItem.DoesNotExist:
        return None
    return Version(ScenarioId(scenario_id), number, parse(item.graph))


# Enrollments --------------------------------------------------------------------------------------------------------------


def enrollment_key(cid: Cid, scenario_id: str, occurrence_key: str = "") -> tuple[str, str]:
    """Return where a person's enrollment stands; with an occurrence key there is one for each."""
    return person_key(cid), f"ENR#{scenario_id}#{occurrence_key}"


def enrollment_of(item: Item) -> Enrollment:
    """Return the enrollment that an engine item describes."""
    ended = item.get("ended_at") or ""
    return Enrollment(
        row=row_of(item),
        scenario_id=ScenarioId(item["scenario"]),
        version=item["version"],
        run=item["run"],
        occurrence=item["occurrence"],
        entered_at=from_text(item["entered_at"]),
        at_node=item.get("at_node") or "",
        ended_at=from_text(ended) if ended else None,
        reason=item.get("reason") or "",
        path=item.get("path") or {},
        responses=item.get("responses") or {},
    )


def new_enrollment(key: tuple[str, str], cid: Cid, version: Version, run: int, occurrence: str, cohort: str, at: datetime) -> Item:
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
        "path": {},
        "responses": {},
        "entered_at": to_text(at),
        "ended_at": "",
        "reason": "",
    }


def insert_enrollments(database: Database, items: Sequence[Item]) -> list[bool]:
    """Write enrollments that are not there yet; True for those that are ours."""
    statements = [Statement.insert(settings().engine_table, item) for item in items]
    return [outcome is None for outcome in database.execute(statements)]


def replace_enrollment(database: Database, old: Enrollment, item: Item) -> bool:
    """Put a new run in the place of an ended one, which is kept as history; False when somebody was faster."""
    kept = database.get_many(settings().engine_table, [(old.row.pk, old.row.sk)])
    former = kept.get((old.row.pk, old.row.sk))
    if former is None or former["run"] != old.run:
        return False
    database.put_many(settings().engine_table, [{**former, "sk": f"HIS#{old.row.sk}#{old.run:05d}"}])
    values = {name: value for name, value in item.items() if name not in ("pk", "sk")}
    sets = " ".join(f'SET "{name}"=?' for name in values)
    text = f'UPDATE "{settings().engine_table}" {sets} WHERE pk=? AND sk=? AND "run"=? AND "status"<>?'
    statement = Statement(text, (*values.values(), item["pk"], item["sk"], old.run, str(EnrollmentStatus.ACTIVE)))
    return database.execute([statement]) == [None]


def enrollments(database: Database, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Enrollment]:
    """Return enrollments by key."""
    found = database.get_many(settings().engine_table, keys)
    return {key: enrollment_of(item) for key, item in found.items()}


def enrollments_of(database: Database, cid: Cid) -> list[Enrollment]:
    """Return a person's current enrollments in all scenarios."""
    return [enrollment_of(item) for item in database.query(settings().engine_table, person_key(cid), prefix="ENR#")]


def history_of(database: Database, cid: Cid) -> list[Enrollment]:
    """Return a person's former runs."""
    return [enrollment_of(item) for item in database.query(settings().engine_table, person_key(cid), prefix="HIS#")]


def move_pointers(database: Database, moves: Sequence[tuple[Enrollment, CohortId]]) -> list[bool]:
    """Point enrollments to other cohorts, each unless it has moved, acted or ended since it was read."""
    text = (
        f'UPDATE "{settings().engine_table}" SET "cohort"=? SET "at_node"=? '
        'WHERE pk=? AND sk=? AND "cohort"=? AND "status"=? AND "last"=?'
    )
    active = str(EnrollmentStatus.ACTIVE)
    statements = [
        Statement(text, (cohort, "", one.row.pk, one.row.sk, one.row.cohort, active, one.row.last)) for one, cohort in moves
    ]
    return [outcome is None for outcome in database.execute(statements)]


def set_inline_node(database: Database, one: Enrollment, node: str) -> None:
    """Note how far an inline walk has come."""
    text = f'UPDATE "{settings().engine_table}" SET "at_node"=? WHERE pk=? AND sk=? AND "cohort"=? AND "run"=?'
    database.execute([Statement(text, (node, one.row.pk, one.row.sk, one.row.cohort, one.run))])


def note_response(database: Database, one: Enrollment, node: str, at: datetime) -> None:
    """Note on an active enrollment that the person reacted to a send; the first reaction stands."""
    text = (
        f'UPDATE "{settings().engine_table}" SET "responses"."{node}"=? '
        f'WHERE pk=? AND sk=? AND "status"=? AND "run"=? AND "responses"."{node}" IS MISSING'
    )
    values = (to_text(at), one.row.pk, one.row.sk, str(EnrollmentStatus.ACTIVE), one.run)
    database.execute([Statement(text, values)])


def end_enrollments(
    database: Database, ones: Sequence[Enrollment], status: EnrollmentStatus, reason: str, at: datetime, *, in_cohort: bool
) -> list[bool]:
    """End active enrollments; with `in_cohort` only those that have not moved since they were read."""
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
    return [outcome is None for outcome in database.execute(statements)]


# Cohorts ------------------------------------------------------------------------------------------------------------------


def _cohort(item: Mapping[str, Any]) -> Cohort:
    name = item["pk"].removeprefix("COH#")
    scenario_id, number, node, due = parse_cohort_id(name)
    return Cohort(
        CohortId(name),
        scenario_id,
        number,
        node,
        due,
        CohortState(item["state"]),
        item["at_node"],
        from_text(item["at_due"]),
        item["is_started"],
    )


def ensure_cohort(database: Database, cohort: CohortId) -> None:
    """Write the header of a cohort and its place among the live ones unless they are there."""
    scenario_id, _, node, due = parse_cohort_id(cohort)
    engine = settings().engine_table
    database.put_many(engine, [{"pk": f"LIVE#{scenario_id}", "sk": cohort, "ttl": _ttl(due)}])
    item = {
        "pk": f"COH#{cohort}",
        "sk": "#",
        "state": str(CohortState.OPEN),
        "at_node": node,
        "at_due": to_text(due),
        "is_started": False,
        "ttl": _ttl(due),
    }
    database.execute([Statement.insert(engine, item)])


def _ttl(due: datetime) -> int:
    return int((due + timedelta(days=_HINT_DAYS)).timestamp())


def cohort(database: Database, name: str) -> Cohort | None:
    """Return a cohort's header, strongly consistent."""
    key = (f"COH#{name}", "#")
    item = database.get_many(settings().engine_table, [key]).get(key)
    return _cohort(item) if item else None


def live_cohorts(database: Database, scenario_id: str) -> list[Cohort]:
    """Return the cohorts of a scenario that have not ended."""
    names = [item["sk"] for item in database.query(settings().engine_table, f"LIVE#{scenario_id}")]
    found = database.get_many(settings().engine_table, [(f"COH#{name}", "#") for name in names])
    return [_cohort(item) for item in found.values()]


def close_cohort(database: Database, name: str) -> None:
    """Let nobody join any more; nothing when it is closed already."""
    text = f'UPDATE "{settings().engine_table}" SET "state"=? WHERE pk=? AND sk=? AND "state"=?'
    database.execute([Statement(text, (str(CohortState.CLOSED), f"COH#{name}", "#", str(CohortState.OPEN)))])


def set_cohort(database: Database, name: str, **values: Any) -> None:
    """Write where a cohort stands."""
    sets = " ".join(f'SET "{key}"=?' for key in values)
    text = f'UPDATE "{settings().engine_table}" {sets} WHERE pk=? AND sk=?'
    database.execute([Statement(text, (*values.values(), f"COH#{name}", "#"))])


def end_cohort(database: Database, name: str) -> None:
    """Note that a cohort is through, and take it from the list of live ones."""
    set_cohort(database, name, state=str(CohortState.ENDED))
    scenario_id = parse_cohort_id(name)[0]
    drop = Statement(f'DELETE FROM "{settings().engine_table}" WHERE pk=? AND sk=?', (f"LIVE#{scenario_id}", name))
    database.execute([drop])


def put_hints(database: Database, cohort_name: CohortId, keys: Iterable[tuple[Cid, tuple[str, str]]]) -> None:
    """Note that these enrollments may be members of a cohort; the enrollment itself decides."""
    _, _, _, due = parse_cohort_id(cohort_name)
    items = [
        {"pk": f"COH#{cohort_name}#{cid % SHARDS}", "sk": f"{cid:012d}#{sk}", "row_pk": pk, "row_sk": sk, "ttl": _ttl(due)}
        for cid, (pk, sk) in keys
    ]
    database.put_many(settings().engine_table, items)


def hints(database: Database, cohort_name: str, shard: int, after: str, most: int) -> list[tuple[str, tuple[str, str]]]:
    """Return a page of hints: position, and the key of the enrollment."""
    items = database.query(settings().engine_table, f"COH#{cohort_name}#{shard}", after=after, limit=most)
    return [(item["sk"], (item["row_pk"], item["row_sk"])) for item in items]


def shards_in_use(database: Database, cohort_name: str) -> list[int]:
    """Return the shards of a cohort that have any hints."""
    return [shard for shard in range(SHARDS) if hints(database, cohort_name, shard, "", 1)]

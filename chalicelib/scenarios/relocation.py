"""From one version of a scenario to another: where somebody in flight goes on, and from when his wait there counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from chalicelib.kernel.errors import InvalidError, NotFoundError, SendingStoppedError
from chalicelib.kernel.facts import Fact
from chalicelib.kernel.windows import parse_duration
from chalicelib.observability import warning
from chalicelib.scenarios.cohorts import Cohorts
from chalicelib.scenarios.engine import Engine
from chalicelib.scenarios.graph import EndNode, Scenario, SendNode, WaitForResponseNode, WaitNode, main_exit, reached_at, wait_ends
from chalicelib.scenarios.model import (
    Cohort,
    Enrollment,
    EnrollmentStatus,
    Move,
    Relocation,
    ScenarioHead,
    is_late,
    is_past_first,
    visit_of,
)
from chalicelib.scenarios.records import TableRecords

_MARK = "moves to v"


class Relocations:
    """Moves the people of cohorts to another version."""

    def __init__(self, records: TableRecords, cohorts: Cohorts, engine: Engine) -> None:
        self._records = records
        self._cohorts = cohorts
        self._engine = engine

    def check(self, head: ScenarioHead, from_version: int, mapping: Mapping[str, str]) -> None:
        """Raise NotFoundError for a version that is none, InvalidError(`scenario.nodes_unmapped`) for nodes that lead nowhere."""
        old = self._records.version(head.scenario_id, from_version)
        new = self._records.version(head.scenario_id, head.version)
        if old is None or new is None or from_version >= head.version:
            raise NotFoundError("scenario.version_unknown", scenario_id=head.scenario_id, version=from_version)
        missing = [
            node_id
            for node_id, node in old.graph.nodes.items()
            if node_id not in mapping and node_id not in new.graph.nodes and not isinstance(node, EndNode)
        ]
        unknown = [target for target in mapping.values() if target and target not in new.graph.nodes]
        if missing or unknown:
            raise InvalidError("scenario.nodes_unmapped", missing=missing or ["-"], known=unknown or ["-"])

    def move_page(
        self, header: Cohort, order: Relocation, shard: int, cursor: str, now: datetime, tell: Callable[[Sequence[Fact]], None]
    ) -> str | None:
        """Move one page of a cohort; return the next page's cursor, None when this page must be looked at again.

        tell: hears what followed from an action that had been begun.
        """
        mark = f"{_MARK}{order.to_version}"
        if header.hold != mark:
            # Nobody joins it any more, and whatever execution acts for it is told to stop. Where that had come to by then
            # is known from here on only.
            self._records.close_cohort(header.cohort_id, now)
            self._cohorts.park(header, hold=mark)
            return None
        old = self._engine.version(header.scenario_id, header.version).graph
        new = self._engine.version(header.scenario_id, order.to_version).graph
        found, following = self._records.members(header.cohort_id, shard, cursor, self._records.page)
        acted, facts = self._engine.finish_actions(header, found, f"{header.cohort_id}|{mark}|{shard}|{cursor}")
        tell(facts)
        done = {one.row.pk + one.row.sk for one in acted}
        ours = [one for one in found if one.row.cohort == header.cohort_id and one.row.status == EnrollmentStatus.ACTIVE]
        if is_past_first(header):  # who came too late has done nothing here: he is moved on within the old version first
            ours = [one for one in ours if not is_late(header, one)]
        try:
            self._engine.finish(header, found)  # who has gone ahead by a reaction included
        except SendingStoppedError as error:
            warning("a message waits until sending is possible again", scenario_id=header.scenario_id, reason=error.reason)
        leaving: list[Enrollment] = []
        groups: dict[tuple[str, datetime], list[Move]] = {}
        for one in ours:
            node_id, begins_at = where_standing(old, header, one, is_done=one.row.pk + one.row.sk in done)
            target = order.mapping.get(node_id, node_id)
            if not target or target not in new.nodes:
                leaving.append(one)
                continue
            due = max(reached_at(new.nodes[target], begins_at), now)
            note = f"moved {target} version {header.version} {order.to_version}"
            groups.setdefault((target, due), []).append(Move(one, visit_of("", now), note))
        ended = self._records.end_enrollments(leaving, EnrollmentStatus.EXITED, "version_moved", now, in_cohort=True)
        moved = [
            self._cohorts.move(moves, order.to_version, target, due, now, header.shards) == len(moves)
            for (target, due), moves in groups.items()
        ]
        return following if all(ended) and all(moved) else None


def is_moving(cohort: Cohort) -> bool:
    """Say whether the people of a cohort are being moved to another version: nobody may start it."""
    return cohort.hold.startswith(_MARK)


def where_standing(graph: Scenario, header: Cohort, one: Enrollment, *, is_done: bool) -> tuple[str, datetime]:
    """Return the node that a member of a cohort has still to do, and from when a wait there counts.

    is_done: he has had the action at which his cohort stands.
    """
    node = graph.nodes[header.at_node]
    note = one.path.get(visit_of(header.at_node, header.at_due), "")
    if note or is_done:  # the cohort was led on no more
        following = node.unreachable if isinstance(node, SendNode) and note.startswith("skipped") else ""
        return following or main_exit(node), header.at_due
    if isinstance(node, WaitForResponseNode) or (isinstance(node, WaitNode) and node.until is None):
        return header.at_node, began_at(node, header.at_due, one.last_due)
    return header.at_node, header.at_due


def began_at(node: WaitNode | WaitForResponseNode, ends_at: datetime, last_due: datetime) -> datetime:
    """Return when a wait that ends at `ends_at` began: at the last message where that explains it, else its length before."""
    if wait_ends(node, last_due) == ends_at:
        return last_due
    length = node.duration if isinstance(node, WaitNode) else node.timeout
    return ends_at - parse_duration(length or "P0D")


def put_off(node: WaitNode | WaitForResponseNode, ends_at: datetime, by: timedelta) -> datetime:
    """Return the end of a wait that is put off: so much later, then at the clock time and weekday that it waits for."""
    at_once = {"duration": "P0D"} if isinstance(node, WaitNode) else {"timeout": "P0D"}
    return wait_ends(msgspec.structs.replace(node, **at_once), ends_at + by)

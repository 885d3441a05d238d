"""What a cohort does at each node: the operations that a state machine calls, each harmless when it runs twice.

Logical now is the cohort's instant; the clock is asked one thing only, whether a message left hours late. Position lives in the
cohort's header and in each enrollment's pointer, so a lost execution is started again and goes on. One engine serves three
runners: Lambda, MiniStack, and a rehearsal in memory (rehearsal.py), which differ in the records and the outbox only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib.kernel.clock import Clock, aware
from chalicelib.kernel.errors import NotFoundError, SendingStoppedError
from chalicelib.kernel.facts import Fact, ReplyToken
from chalicelib.kernel.windows import next_grain
from chalicelib.observability import count, warning
from chalicelib.scenarios.asl import GO_PARK, GO_STOP
from chalicelib.scenarios.cohorts import FEW_SHARDS, INSIDE, Cohorts
from chalicelib.scenarios.counts import Counts
from chalicelib.scenarios.graph import (
    ActionNode,
    EndNode,
    Node,
    SendNode,
    WaitForResponseNode,
    is_timed,
    main_exit,
    reached_at,
)
from chalicelib.scenarios.hearing import EAGER, gone_ahead
from chalicelib.scenarios.model import (
    INLINE,
    Cohort,
    Enrollment,
    EnrollmentStatus,
    Move,
    ScenarioHead,
    ScenarioState,
    Version,
    is_late,
    parse_cohort_id,
    visit_of,
)
from chalicelib.scenarios.nodes import Leaving, Nodes, Outcome, Task, has_responded, is_of_page
from chalicelib.scenarios.paths import path_of
from chalicelib.scenarios.records import Records
from chalicelib.scenarios.tallies import of_page, of_walk

# What one step adds to an execution's history (docs: GetExecutionHistory): a call of the function is 5 events, a choice 2, a
# shard of a map 4 and its end 2, the map itself 4, a wait 2.
_EVENTS_A_NODE, _EVENTS_A_SHARD, _EVENTS_A_CALL, _EVENTS_TO_BEGIN = 13, 6, 7, 12
# AWS ends an execution at 25,000 events. The longest step of ten million people takes 400 calls (engines.md 1.5).
HAND_OVER_EVENTS = 12_000
_LATE = timedelta(hours=1)  # no step of a cohort that runs takes so long between two waits


Tell = Callable[[list[Fact]], None]


class Engine:
    """Runs cohorts."""

    def __init__(self, records: Records, cohorts: Cohorts, nodes: Nodes, clock: Clock, counts: Counts | None = None) -> None:
        """counts: where it is told what went through each node; a rehearsal has its own."""
        self._counts = counts
        self._records = records
        self._cohorts = cohorts
        self._nodes = nodes
        self._clock = clock

    def version(self, scenario_id: str, number: int) -> Version:
        """Return a published version. Raises NotFoundError(`scenario.version_unknown`)."""
        found = self._records.version(scenario_id, number)
        if found is None:
            raise NotFoundError("scenario.version_unknown", scenario_id=scenario_id, version=number)
        return found

    # What the machine calls ------------------------------------------------------------------------------------------------

    def gate(self, name: str, run: int) -> dict[str, Any]:
        """Close a cohort that is due and say where it stands; park while its scenario is paused, stop for another run."""
        header = self._header(name)
        standing = standing_of(header, self._records.head(header.scenario_id), run)
        if standing:
            return self._stand(header, standing, header.at_due)
        # Closed before the hints are listed: see cohorts.py.
        self._records.close_cohort(name, self._clock.now())
        shards = self._records.shards_in_use(header)
        if not shards:
            self._records.end_cohort(header)
            return self._answer(header, GO_STOP, header.at_due, [])
        self._records.set_cohort(header, events=_EVENTS_TO_BEGIN, progress_at=self._clock.now())
        return self._answer(header, header.at_node, header.at_due, shards)

    def page(self, name: str, run: int, node_id: str, due: datetime, shard: int, cursor: str) -> tuple[str, int, list[Fact]]:
        """Do a node for one page of a shard; return the next page's cursor, "" after the last, how many stayed, and facts.

        Raises Halt when the cohort must stand still: paused, parked, taken over.
        """
        header = self._header(name)
        head = self._records.head(header.scenario_id)
        if standing_of(header, head, run):
            raise Halt
        version = self.version(header.scenario_id, header.version)
        visit = visit_of(node_id, due)
        node = version.graph.node(node_id)
        marks = {} if header.first_visit else {"first_visit": visit}
        if isinstance(node, ActionNode) and header.acted != visit:
            marks["acted"] = visit
        if marks:
            if not self._records.set_cohort(header, **marks):
                raise Halt
            header = replace(header, first_visit=header.first_visit or visit, acted=marks.get("acted", header.acted))
        found, following = self._records.members(name, shard, cursor, self._records.page)
        batch_id = f"{name}|{visit}|{shard}|{cursor}"
        members, others = _split(found, name, visit)
        ours = self._in_time(header, node, visit, members)
        ahead = gone_ahead(version.graph, node_id, due, others)
        # Claimed by an earlier try of this page that may not have come to freeze, and gone on since by a reaction.
        claimed = [one for one in others if is_of_page(one.row.claim, batch_id) and one.row.last == visit]
        acted = ahead if isinstance(node, ActionNode) else []
        owed = [*acted, *(one for one in claimed if one not in acted)]
        task = Task(version, node_id, due, name, batch_id, skip="paused" if is_skipped(head, due) else "")
        try:
            outcome = self._nodes.do(task, ours, owed)
        except NotFoundError as error:
            self.hold(header, f"{error.code}: {', '.join(str(value) for value in error.details.values())}")
            raise Halt from error
        self._leave(version, task, outcome.leavers, header.shards, head)
        if self._counts and found:
            words = of_page(task, header, found, ours, owed, outcome)
            self._counts.page(header.scenario_id, header.version, batch_id, {node_id: words}, self._clock.now())
        if following:
            self._records.set_cohort(header, progress_at=self._clock.now())  # a long step is no overdue one
        return following, len(ours) - len(outcome.leavers) - outcome.gone + len(ahead), outcome.facts

    def _in_time(self, header: Cohort, node: Node, visit: str, ones: list[Enrollment]) -> list[Enrollment]:
        """Return those who came in time for a cohort's first visit; who may not have is counted in there, or is no member."""
        late = [one for one in ones if one.came_at and is_late(header, one)]
        if not late or (visit == header.first_visit and isinstance(node, SendNode | EndNode)):
            return ones  # claiming or ending him decides by itself whether he is here
        won = self._records.count_in(late, header.cohort_id) if visit == header.first_visit else [False] * len(late)
        out = {one.row.pk + one.row.sk for one, ours in zip(late, won, strict=True) if not ours}
        return [one for one in ones if one.row.pk + one.row.sk not in out]

    def advance(
        self, name: str, run: int, node_id: str, due: datetime, shards: Sequence[Mapping[str, Any]] | None
    ) -> dict[str, Any]:
        """Take a cohort to the next node; stop when nobody stayed, park when its scenario is paused.

        shards: what became of each shard's pages (`stayed`, `calls`, `halted`, `tired`); None where a node lets nobody leave.
        """
        header = self._header(name)
        head = self._records.head(header.scenario_id)
        standing = standing_of(header, head, run)
        if standing == GO_STOP or (shards is not None and any(shard.get("halted") for shard in shards)):
            # Halted by a pause that is over by now: the node is not done, another execution takes it up.
            return self._stand(header, standing or GO_PARK, header.at_due)
        if not standing and shards is not None and any(shard.get("tired") for shard in shards):
            # The other side is slow, and this execution's history is filling up: another one goes on with the same node.
            self._cohorts.start_again(header, self._clock.now())
            return self._answer(header, GO_STOP, header.at_due, [])
        version = self.version(header.scenario_id, header.version)
        if (header.at_node, header.at_due.replace(microsecond=0)) != (node_id, due):
            # This call runs again: the cohort has been led on, and when it is due there is not decided twice.
            return self._answer(header, header.at_node, header.at_due, self._records.shards_in_use(header))
        target = main_exit(version.graph.node(node_id))
        if not target or (shards is not None and not sum(shard["stayed"] for shard in shards)):
            self._records.end_cohort(header)
            return self._answer(header, GO_STOP, due, [])
        at_due = reached_at(version.graph.node(target), self._begins(version, target, due, head))
        events = header.events + events_of(shards or ())
        now = self._clock.now()
        if not self._records.lead_on(header, at_node=target, at_due=at_due, events=events, progress_at=now):
            return self._answer(header, GO_STOP, due, [])  # somebody else has led it on, and goes with it
        if standing:
            return self._stand(header, standing, at_due)
        header = self._header(name)
        if events > HAND_OVER_EVENTS or at_due - (header.began_at or header.due) > INSIDE:
            self._cohorts.start_again(header, now)
            return self._answer(header, GO_STOP, at_due, [])
        return self._answer(header, target, at_due, self._records.shards_in_use(header))

    def _begins(self, version: Version, target: str, due: datetime, head: ScenarioHead | None) -> datetime:
        """Return when a step after `due` begins: then, or now where a wait would count from a message that left hours late.

        After a pause or an outage a message and its reminder would else leave together. Not where a pause is skipped: there
        the calendar stands.
        """
        now = self._clock.now()
        if not is_timed(version.graph.node(target)) or now - due <= _LATE or is_skipped(head, due):
            return due
        return now.replace(second=0, microsecond=0)

    def hold(self, header: Cohort, reason: str) -> None:
        """Let a cohort stand still until somebody has seen to what is missing; the reconciler tries it again every hour."""
        count("CohortsParked")
        warning("a cohort is parked", cohort=header.cohort_id, reason=reason)
        self._cohorts.park(header, hold=reason)

    def _header(self, name: str) -> Cohort:
        header = self._records.cohort(name)
        if header is None:
            raise NotFoundError("cohort.unknown", cohort=name)
        return header

    def _stand(self, header: Cohort, go: str, due: datetime) -> dict[str, Any]:
        if go == GO_PARK and self._cohorts.park(header):
            head = self._records.head(header.scenario_id)
            if head is not None and head.state is ScenarioState.ACTIVE:
                # Resumed meanwhile: either whoever resumes sees it parked, or it is seen here that he has.
                self._cohorts.start(header.cohort_id, self._clock.now())
        return self._answer(header, go, due, [])

    def finish(self, header: Cohort, ones: Sequence[Enrollment], skip: str = "") -> None:
        """Answer for those whom a cohort has claimed where it stands, when its pages will not run again.

        skip: why those get nothing whose messages were not written yet.
        """
        version = self.version(header.scenario_id, header.version)
        visit = visit_of(header.at_node, header.at_due)
        owed: dict[str, list[Enrollment]] = {}
        for one in ones:
            if one.row.last == visit and one.row.claim:
                owed.setdefault(one.row.claim, []).append(one)
        for batch_id, claimed in owed.items():
            self._nodes.do(Task(version, header.at_node, header.at_due, header.cohort_id, batch_id, skip=skip), [], claimed)

    def finish_actions(self, header: Cohort, found: Sequence[Enrollment], batch_id: str) -> tuple[list[Enrollment], list[Fact]]:
        """Do the actions that a cohort owes where it stands, when its pages will not run again; again is harmless.

        To its members the one that was begun, for nobody knows to whom it was done; to those whom a reaction led past it all
        up to their wait. Returns the members who have had theirs, and what followed.
        """
        version = self.version(header.scenario_id, header.version)
        node_id, due, graph = header.at_node, header.at_due, version.graph
        others = [one for one in found if one.row.cohort != header.cohort_id]
        done, facts = list[Enrollment](), list[Fact]()
        while isinstance(node := graph.node(node_id), SendNode | ActionNode):
            if isinstance(node, ActionNode):
                visit = visit_of(node_id, due)
                is_begun = header.acted == visit and node.do != "webhook"  # which is claimed as a message is: see `finish`
                begun = _split(found, header.cohort_id, visit)[0] if is_begun else []
                ours = self._in_time(header, node, visit, begun) if node_id == header.at_node else []
                ahead = gone_ahead(graph, node_id, due, others)
                try:
                    task = Task(version, node_id, due, header.cohort_id, batch_id)
                    facts += self._nodes.do(task, ours, ahead).facts
                    done += ours
                except NotFoundError:
                    warning("an action is left out: what it names is missing", cohort=header.cohort_id, node=node_id)
            node_id = main_exit(node)
        return done, facts

    def _answer(self, header: Cohort, go: str, due: datetime, shards: list[int]) -> dict[str, Any]:
        at = f"{aware(due):%Y-%m-%dT%H:%M:%SZ}"
        return {"cohort": header.cohort_id, "run": header.run, "go": go, "due": at, "shards": shards}

    def _leave(
        self,
        version: Version,
        task: Task,
        leavers: Sequence[Leaving],
        shards: int = FEW_SHARDS,
        head: ScenarioHead | None = None,
    ) -> None:
        """Move those who leave the main path to the cohort of where they go; waits begin on the way."""
        groups: dict[tuple[str, datetime], list[Move]] = {}
        visit = visit_of(task.node_id, task.due)
        for leaving in leavers:
            due = leaving.at
            if leaving.target != task.node_id:
                due = reached_at(version.graph.node(leaving.target), self._begins(version, leaving.target, leaving.at, head))
            note = f"moved {leaving.target} {leaving.why}" if leaving.why else ""
            groups.setdefault((leaving.target, due), []).append(Move(leaving.one, visit, note))
        for (target, due), moves in groups.items():
            self._cohorts.move(moves, version.version, target, due, self._clock.now(), shards)

    # One person, at once ---------------------------------------------------------------------------------------------------

    def walk(self, one: Enrollment, reply: ReplyToken | None, tell: Tell | None = None) -> list[Fact]:
        """Take a fresh enrollment from node to node until it waits or ends; goes on where an earlier try stopped.

        tell: hears what an action brought about before the person goes on, so that a crash cannot lose it. Returns what
        nobody was told.
        """
        version = self.version(one.scenario_id, one.version)
        due = one.entered_at.replace(second=0, microsecond=0)
        node_id, facts = one.at_node, list[Fact]()
        tell = tell or facts.extend
        while True:
            node = version.graph.node(node_id)
            batch_id = f"{one.row.pk}|{one.row.sk}|{one.run}|{visit_of(node_id, due)}"
            task = Task(version, node_id, due, INLINE, batch_id, reply=reply)
            if isinstance(node, WaitForResponseNode):
                one = self._records.read_again(one)
                if not _is_walked(one):
                    return facts
                if has_responded(node_id, node, one):
                    note = f"moved {node.responded} responded"
                    self._records.set_inline_node(one, node.responded, visit_of(node_id, due), note)
                    node_id = node.responded
                    continue
            if is_timed(node):
                self._count_walk(one, version)
                self._cohorts.move([Move(one)], version.version, node_id, reached_at(node, due), self._clock.now())
                if isinstance(node, WaitForResponseNode):
                    self._end_wait(version, node_id, node, self._records.read_again(one))
                return facts
            if isinstance(node, EndNode):
                self._count_walk(one, version, {node_id: {f"ended {node.outcome or node_id}": 1}})
            try:
                outcome = self._nodes.do(task, [one], [])
            except NotFoundError:
                # Something that it names is missing: the cohort of this node is parked and tried again (`hold`).
                self._count_walk(one, version)
                self._cohorts.move([Move(one)], version.version, node_id, due, self._clock.now())
                return facts
            except SendingStoppedError as error:
                # Claimed and frozen: the reconciler sends it once LINE takes messages again; the person goes on meanwhile.
                warning("a message waits until sending is possible again", scenario_id=one.scenario_id, reason=error.reason)
                outcome = Outcome()
            if outcome.facts:
                tell(outcome.facts)
            if outcome.gone or isinstance(node, EndNode):
                return facts
            if isinstance(node, SendNode | ActionNode):
                # Claimed, or changed by what followed from an action.
                one = self._records.read_again(one)
                reply = None if isinstance(node, SendNode) else reply  # a reply token answers once
                if not _is_walked(one):
                    return facts
            leaving = [Leaving(one, left.target, left.at, left.why) for left in outcome.leavers]
            if leaving and (leaving[0].target == node_id or leaving[0].at != due):
                self._count_walk(one, version, {node_id: {leaving[0].why: 1}})
                self._leave(version, task, leaving)
                return facts
            node_id = leaving[0].target if leaving else main_exit(node)
            note = f"moved {leaving[0].target} {leaving[0].why}" if leaving and leaving[0].why else ""
            self._records.set_inline_node(one, node_id, visit_of(task.node_id, due), note)

    def _end_wait(self, version: Version, node_id: str, node: WaitForResponseNode, one: Enrollment) -> None:
        """Lead somebody on whose reaction was noted while he joined his wait (Hearing looks where he is after it has noted)."""
        is_here = one.row.status == EnrollmentStatus.ACTIVE and one.row.cohort != INLINE and one.version == version.version
        if not is_here or not has_responded(node_id, node, one):
            return
        _, _, at_node, due = parse_cohort_id(one.row.cohort)
        if at_node == node_id:
            leaving = Leaving(one, node.responded, next_grain(self._clock.now(), EAGER), "responded")
            self._leave(version, Task(version, node_id, due, one.row.cohort, ""), [leaving])

    def _count_walk(self, one: Enrollment, version: Version, last: Mapping[str, Mapping[str, int]] | None = None) -> None:
        """Count the nodes of a walk as the path tells them, and the `last` one, which it does not tell yet."""
        if self._counts:
            one = self._records.read_again(one)
            steps = path_of(one, {version.version: version.graph}, None).steps
            self._counts.walked(one, version.version, {**of_walk(steps, version.graph), **(last or {})}, self._clock.now())


class Halt(Exception):  # noqa: N818 - no error: the cohort stands still
    """The cohort is not to go on with this page; where it stands is kept."""


def events_of(shards: Sequence[Mapping[str, Any]]) -> int:
    """Return what a node adds to the history of an execution, rather too much than too little."""
    calls: int = sum(shard["calls"] for shard in shards)
    return _EVENTS_A_NODE + _EVENTS_A_SHARD * len(shards) + _EVENTS_A_CALL * calls


def standing_of(header: Cohort, head: ScenarioHead | None, run: int) -> str:
    """Return `#stop` for an execution that another one has replaced or that was called off, `#park` in a pause, else ""."""
    if header.run != run or head is None or head.state is ScenarioState.STOPPED:
        return GO_STOP
    return GO_PARK if head.state is ScenarioState.PAUSED else ""


def is_skipped(head: ScenarioHead | None, due: datetime) -> bool:
    """Say whether what is due then fell into a pause that was skipped."""
    return head is not None and head.skipped is not None and head.skipped[0] <= due < head.skipped[1]


def _is_walked(one: Enrollment) -> bool:
    """Say whether an enrollment is still the walking worker's; another try of the same message may have been quicker."""
    return one.row.cohort == INLINE and one.row.status == EnrollmentStatus.ACTIVE


def _split(found: Sequence[Enrollment], cohort: str, visit: str) -> tuple[list[Enrollment], list[Enrollment]]:
    """Return those who are in a cohort now, still to be done or done by an earlier try of the same page; and who is elsewhere."""
    here: list[Enrollment] = []
    elsewhere: list[Enrollment] = []
    active = EnrollmentStatus.ACTIVE
    for one in found:
        row = one.row
        if row.cohort != cohort:
            elsewhere.append(one)
        elif row.status == active or row.last == visit:
            here.append(one)
    return here, elsewhere

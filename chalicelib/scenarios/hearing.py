"""What a fact means for the scenarios that a person is in: he leaves, he goes on, or it is noted for later branches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.kernel.clock import Clock, to_text
from chalicelib.kernel.facts import EmailOpened, Fact, LinkClicked, Responded
from chalicelib.kernel.windows import next_grain, parse_duration
from chalicelib.scenarios.cohorts import Cohorts
from chalicelib.scenarios.graph import ActionNode, Goal, Scenario, SendNode, WaitForResponseNode, main_exit, reached_at
from chalicelib.scenarios.model import INLINE, Enrollment, EnrollmentStatus, Move, sent_at, visit_of
from chalicelib.scenarios.occasions import event_of, is_about, keys_of, listens, matches
from chalicelib.scenarios.records import Records

EAGER = timedelta(minutes=5)  # who reacts goes on within so long, together with who reacts meanwhile
_LONGEST_CHAIN = 20
Reaction = Responded | LinkClicked | EmailOpened


@dataclass(frozen=True, slots=True)
class Waiting:
    """A wait in which a person stands, or into which his last send leads."""

    node_id: str
    node: WaitForResponseNode
    due: datetime


class Hearing:
    """Hears facts."""

    def __init__(self, records: Records, cohorts: Cohorts, clock: Clock) -> None:
        self._records = records
        self._cohorts = cohorts
        self._clock = clock

    def hear(self, fact: Fact, ones: Sequence[Enrollment]) -> int:
        """Let a person's active enrollments hear a fact; return how many he left or moved in. Harmless when told twice."""
        return sum(self._hear(fact, one) for one in ones if one.row.status == EnrollmentStatus.ACTIVE)

    def _hear(self, fact: Fact, one: Enrollment) -> bool:
        version = self._records.version(one.scenario_id, one.version)
        if version is None:
            return False
        graph = version.graph
        reason = why_leaving(graph, one, fact)
        if reason:
            ended = self._records.end_enrollments([one], EnrollmentStatus.EXITED, reason, fact.at, in_cohort=False)
            return any(ended)
        self._note(graph, one, fact)
        waiting = self._waits(graph, one)
        waiting = waiting if waiting is not None and is_awaited(graph, waiting, one, fact) else None
        if waiting is not None and waiting.node.on is not None:
            self._records.note_events(one, [f"wait__{waiting.node_id}"], fact.at)
        if one.row.cohort == INLINE:
            # Here it is noted, then looked where he is; whoever walks him lets him wait, then looks what is noted. One sees it.
            fresh = self._records.read_again(one)
            is_waiting = fresh.row.cohort != INLINE and fresh.row.status == EnrollmentStatus.ACTIVE
            return is_waiting and self._hear(fact, fresh)
        if waiting is None:
            return False
        now = self._clock.now()
        due = reached_at(graph.nodes[waiting.node.responded], next_grain(max(fact.at, now), EAGER))
        move = Move(one, visit_of(waiting.node_id, waiting.due), f"moved {waiting.node.responded} responded")
        return self._cohorts.move([move], one.version, waiting.node.responded, due, now) > 0

    def _note(self, graph: Scenario, one: Enrollment, fact: Fact) -> None:
        if isinstance(fact, Reaction):
            node = answered_node(one, fact)
            since = sent_at(one, node) if node in graph.nodes else None
            if since is not None and fact.at >= since:
                text = f"{to_text(fact.at)} {fact.evidence} {event_of(fact)}"
                for key in (node, f"{node}|{fact.link_id}") if isinstance(fact, LinkClicked) else (node,):
                    if is_stronger(one.responses.get(key, ""), since, fact):
                        self._records.note_response(one, key, text)
        keys = [key for key in keys_of(fact) if fact.at > one.entered_at and key in listens(graph)]
        if graph.goal and not graph.goal.exit and reaches(graph.goal, graph, one, fact):
            keys.append("goal")
        if keys:
            self._records.note_events(one, keys, fact.at)

    def _waits(self, graph: Scenario, one: Enrollment) -> Waiting | None:
        """Return the wait that a reaction ends: where his cohort stands, or what follows the send that he has just got.

        What his cohort has still to do comes first: a send that is held, an action a few minutes off.
        """
        header = self._records.cohort(one.row.cohort) if one.row.cohort != INLINE else None
        node_id, due = (header.at_node, header.at_due) if header else (one.at_node, one.last_due)
        for _ in range(_LONGEST_CHAIN):
            node = graph.nodes.get(node_id)
            if isinstance(node, WaitForResponseNode):
                return Waiting(node_id, node, due)
            is_under_way = isinstance(node, ActionNode) and due <= self._clock.now()
            if node is None or not (is_under_way or (isinstance(node, SendNode) and one.row.last == visit_of(node_id, due))):
                return None
            node_id = main_exit(node)
        return None


def gone_ahead(graph: Scenario, node_id: str, due: datetime, ones: Sequence[Enrollment]) -> list[Enrollment]:
    """Return those whom a reaction took past actions that their cohort has still to do, to behind the wait after them."""
    wait = _wait_behind_actions(graph, node_id) if ones else ""
    if not wait:
        return []
    visit = visit_of(wait, due)
    return [one for one in ones if one.row.status != EnrollmentStatus.EXITED and one.path.get(visit, "").startswith("moved ")]


def _wait_behind_actions(graph: Scenario, node_id: str) -> str:
    """Return the wait to which a node leads at once by actions, empty when there is none."""
    has_actions = False
    for _ in range(_LONGEST_CHAIN):
        node = graph.node(node_id)
        if isinstance(node, WaitForResponseNode):
            return node_id if has_actions else ""
        if not isinstance(node, ActionNode | SendNode) or (has_actions and isinstance(node, SendNode)):
            return ""
        has_actions = has_actions or isinstance(node, ActionNode)
        node_id = main_exit(node)
    return ""


def why_leaving(graph: Scenario, one: Enrollment, fact: Fact) -> str:
    """Return why a fact takes a person out of a scenario, empty when it does not."""
    if graph.goal and graph.goal.exit and reaches(graph.goal, graph, one, fact):
        return "goal"
    for occasion in graph.leaves_on():
        if matches(occasion, fact, graph.account) and is_about(graph, one.data, fact):
            is_refusal = occasion.event in ("blocked", "opted_out")  # whenever it was said, it counts
            if is_refusal or fact.at > one.entered_at:
                return occasion.event
    return ""


def reaches(goal: Goal, graph: Scenario, one: Enrollment, fact: Fact) -> bool:
    """Say whether a fact is the goal, after entry and within its window."""
    if not matches(goal, fact, graph.account) or fact.at <= one.entered_at:
        return False
    return not goal.window or fact.at <= one.entered_at + parse_duration(goal.window)


def is_awaited(graph: Scenario, waiting: Waiting, one: Enrollment, fact: Fact) -> bool:
    """Say whether a fact is what a wait waits for, and came after the message that it answers."""
    node = waiting.node
    if node.on is not None:
        is_meant = matches(node.on, fact, graph.account)
    else:
        is_meant = (
            isinstance(fact, Reaction)
            and fact.evidence.counts_as(node.evidence)
            and bool(answered_node(one, fact))
            and matches_account(graph, fact)
        )
    since = sent_at(one, node.of) if is_meant else None
    return since is not None and fact.at >= since  # else told late: he did it before the message that he is waited for


def matches_account(graph: Scenario, fact: Fact) -> bool:
    """Say whether a reaction came on the scenario's LINE account; what has no account counts for all."""
    return not (isinstance(fact, Responded) and graph.account and fact.account != graph.account)


def answered_node(one: Enrollment, fact: Reaction) -> str:
    """Return the send that a reaction answers: the one whose link it followed, else the latest; empty for another's."""
    if isinstance(fact, Responded):
        return one.last_node
    kind, _, rest = fact.source.partition("|")
    scenario_id, _, node = rest.partition("|")
    return node.partition("|")[0] if kind == "scn" and scenario_id == one.scenario_id else ""


def is_stronger(known: str, since: datetime, fact: Reaction) -> bool:
    """Say whether a reaction is to be noted: the first to the send that left at `since`, or better evidence than the noted one."""
    if not known:
        return True
    moment, evidence = known.split(" ")[:2]
    return moment < to_text(since) or str(fact.evidence) < evidence

"""A scenario as a funnel: who came to each step, what became of them there, and where people stand now."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.kernel.errors import NotFoundError
from chalicelib.scenarios.counted import GOAL, CountedRecords
from chalicelib.scenarios.counts import Counts
from chalicelib.scenarios.graph import Node, Scenario, SendNode, WaitNode, exits_of, is_timed, main_exit
from chalicelib.scenarios.model import Cohort, EnrollmentStatus, Version
from chalicelib.scenarios.service import Scenarios

# So many cohorts and rows are read for a report that must be there within a second or two; beyond that it is estimated.
_MOST_COHORTS = 300
_MOST_ROWS = 2000
_MOST_HINTS = 50_000
_PASSES = 20


@dataclass(frozen=True, slots=True)
class Crowdedness:
    """How many stand in a cohort. is_exact: False when there are so many that they are estimated."""

    cohort: Cohort
    people: int
    is_exact: bool


@dataclass(slots=True)
class StepReport:
    """One step. reached: who came to it, standing now included; share: of all who entered; ways: by the node that follows."""

    node: str
    kind: str
    label: str
    reached: int = 0
    share: float = 0.0
    sent: int = 0
    failed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    held: int = 0
    responded: int = 0
    clicked: dict[str, int] = field(default_factory=dict)
    ways: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)
    standing: int = 0
    next_due: datetime | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A version as a funnel, its steps in the order of the drawing. exited: by reason; goal: who reached it."""

    version: int
    entered: int
    standing: int
    ended: Mapping[str, int]
    exited: Mapping[str, int]
    goal: int
    steps: Sequence[StepReport]
    is_exact: bool


class Reports:
    """Makes reports; reads counts and the headers of live cohorts, never everybody."""

    def __init__(self, scenarios: Scenarios, records: CountedRecords, counts: Counts) -> None:
        self._scenarios = scenarios
        self._records = records
        self._counts = counts

    def report(self, scenario_id: str, number: int = 0) -> Report:
        """Return the funnel of a version, 0 for the published one. Raises NotFoundError."""
        head = self._scenarios.get(scenario_id)
        version = self._records.version(scenario_id, number or head.version)
        if version is None:
            raise NotFoundError("scenario.version_unknown", scenario_id=scenario_id, version=number or head.version)
        counts = self._counts.read(scenario_id, version.version)
        live = [cohort for cohort in self._records.live_cohorts(scenario_id) if cohort.version == version.version]
        return report_of(version, counts, self.crowded(live))

    def crowded(self, cohorts: Sequence[Cohort]) -> list[Crowdedness]:
        """Return how many stand in cohorts; of very many cohorts some are looked at and the others taken for like them."""
        step = -(-len(cohorts) // _MOST_COHORTS) or 1
        looked = [self._crowd(cohort) for cohort in cohorts[::step]]
        if step == 1:
            return looked
        typical = round(sum(one.people for one in looked) / len(looked))
        known = {one.cohort.cohort_id: one for one in looked}
        return [known.get(cohort.cohort_id, Crowdedness(cohort, typical, is_exact=False)) for cohort in cohorts]

    def _crowd(self, cohort: Cohort) -> Crowdedness:
        seen = people = 0
        for shard in range(cohort.shards):
            cursor = ""
            while True:
                found, cursor = self._records.members(cohort.cohort_id, shard, cursor, self._records.page)
                seen += len(found)
                people += sum(
                    1 for one in found if one.row.cohort == cohort.cohort_id and one.row.status == EnrollmentStatus.ACTIVE
                )
                if not cursor:
                    break
                if seen >= _MOST_ROWS:
                    hints = self._records.hints(cohort.cohort_id, shard, _MOST_HINTS) * cohort.shards
                    return Crowdedness(cohort, round(people / seen * hints), is_exact=False)
        return Crowdedness(cohort, people, is_exact=True)


def report_of(version: Version, counts: Mapping[str, Counter[str]], crowds: Sequence[Crowdedness]) -> Report:
    """Return a version's funnel from what was counted; pure."""
    graph = version.graph
    steps = {node_id: _step(graph, node_id, counts.get(node_id, Counter())) for node_id in _in_order(graph)}
    for crowd in crowds:
        step = steps[crowd.cohort.at_node]
        step.standing += crowd.people
        due = crowd.cohort.at_due
        step.next_due = min(step.next_due or due, due)
    loose = counts.get("", Counter())
    exited = {word.removeprefix("exited "): count for word, count in loose.items() if word.startswith("exited ")}
    ended = sum((Counter(step.ended) for step in steps.values()), Counter[str]())
    standing = sum(step.standing for step in steps.values())
    entered = sum(ended.values()) + sum(exited.values()) + standing
    _flow(graph, steps, entered)
    for step in steps.values():
        step.share = round(step.reached / entered, 4) if entered else 0.0
    goal = exited.get(GOAL, 0) + loose[GOAL]
    is_exact = all(crowd.is_exact for crowd in crowds)
    return Report(version.version, entered, standing, dict(ended), exited, goal, list(steps.values()), is_exact)


def _in_order(graph: Scenario) -> list[str]:
    """Return the nodes as people come to them, the main way first."""
    order: dict[str, None] = {graph.start: None}
    todo = [graph.start]
    while todo:
        node = graph.node(todo.pop(0))
        exits = sorted(exits_of(node), key=lambda target: target != main_exit(node))
        fresh = [target for target in dict.fromkeys(exits) if target not in order]
        order.update(dict.fromkeys(fresh))
        todo += fresh
    return list(order)


def _step(graph: Scenario, node_id: str, words: Counter[str]) -> StepReport:
    node = graph.node(node_id)
    step = StepReport(node_id, str(node.__struct_config__.tag), node.label or node_id)
    step.sent, step.failed, step.held, step.responded = words["sent"], words["failed"], words["held"], words["responded"]
    ways: Counter[str] = Counter()
    for word, count in words.items():
        what, _, rest = word.partition(" ")
        if what == "skipped":
            step.skipped[rest] = count
        elif what == "clicked":
            step.clicked[rest] = count
        elif what == "ended":
            step.ended[rest] = count
        elif what == "moved":
            ways[rest] += count
    ways += _main_ways(node, words, step.skipped)
    step.ways = dict(ways)
    return step


def _main_ways(node: Node, words: Counter[str], skipped: Mapping[str, int]) -> Counter[str]:
    if isinstance(node, SendNode):
        elsewhere = sum(count for why, count in skipped.items() if why != "paused") if node.unreachable else 0
        on = words["sent"] + sum(skipped.values()) - elsewhere
        return +Counter({node.next: on}) + Counter({node.unreachable: elsewhere})
    return +Counter({main_exit(node): words["stayed"]})


def _flow(graph: Scenario, steps: Mapping[str, StepReport], entered: int) -> None:
    """Say how many came to each step. A plain wait counts nobody itself: those came to it whom the steps before led there."""
    plain = [step for step in steps.values() if isinstance(graph.node(step.node), WaitNode) and is_timed(graph.node(step.node))]
    for step in steps.values():
        if step not in plain:
            step.reached = sum(step.ways.values()) + sum(step.ended.values()) + step.standing
    for _ in range(_PASSES):  # waits may follow each other, and lead back
        for step in plain:
            into = sum(other.ways.get(step.node, 0) for other in steps.values())
            step.reached = into + (entered if step.node == graph.start else 0)
            step.ways = {main_exit(graph.node(step.node)): max(step.reached - step.standing, 0)}

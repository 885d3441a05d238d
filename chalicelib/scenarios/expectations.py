"""How many are expected to react, and to reach the goal: as somebody says, or as many as did in earlier versions; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chalicelib.scenarios.dry import Rate
from chalicelib.scenarios.graph import Scenario, SendNode
from chalicelib.scenarios.rehearsal import GOAL
from chalicelib.scenarios.reports import Report

DEFAULT = Rate(0.05, (1.0, 48.0))
_HOURS = DEFAULT.within_hours  # the counts say how many reacted, not when
_FEWEST = 20  # messages or people from which a share is taken


class Origin(StrEnum):
    """Where a rate comes from: said by somebody, seen at this step, seen at all steps together, or nothing is known."""

    GIVEN = "given"
    HISTORY = "history"
    HISTORY_OF_ALL = "history_of_all"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Expectation:
    """A rate. seen: how many messages, or people for the goal, it was taken from."""

    rate: float
    within_hours: tuple[float, float]
    origin: Origin
    seen: int = 0

    @property
    def as_rate(self) -> Rate:
        """The rate alone."""
        return Rate(self.rate, self.within_hours)


def expectations(graph: Scenario, given: Mapping[str, Rate | None], reports: Sequence[Report]) -> dict[str, Expectation]:
    """Return what is expected of each send, and of `goal` when there is one. reports: of the published versions."""
    sent: dict[str, int] = {}
    responded: dict[str, int] = {}
    for report in reports:
        for step in report.steps:
            sent[step.node] = sent.get(step.node, 0) + step.sent
            responded[step.node] = responded.get(step.node, 0) + step.responded
    overall = _share(sum(responded.values()), sum(sent.values()), Origin.HISTORY_OF_ALL)
    found = {}
    for node_id, node in graph.nodes.items():
        if isinstance(node, SendNode):
            seen = _share(responded.get(node_id, 0), sent.get(node_id, 0), Origin.HISTORY)
            found[node_id] = _given(given, node_id) or seen or overall or _unknown()
    if graph.goal is not None:
        # Of all who came in, those under way included: who buys leaves early, and would count too much beside those who ended.
        reached = _share(sum(report.goal for report in reports), sum(report.entered for report in reports), Origin.HISTORY)
        found[GOAL] = _given(given, GOAL) or reached or _unknown()
    return found


def _given(given: Mapping[str, Rate | None], name: str) -> Expectation | None:
    rate = given.get(name)
    return Expectation(rate.rate, rate.within_hours, Origin.GIVEN) if rate else None


def _share(some: int, of: int, origin: Origin) -> Expectation | None:
    return Expectation(round(min(some / of, 1.0), 4), _HOURS, origin, of) if of >= _FEWEST else None


def _unknown() -> Expectation:
    return Expectation(DEFAULT.rate, DEFAULT.within_hours, Origin.DEFAULT)

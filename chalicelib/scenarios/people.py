"""The people in scenarios as the doors see them: facts come in here, and what somebody is in can be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial

from chalicelib.kernel.errors import to_each
from chalicelib.kernel.facts import CustomersMerged, Fact, IdentityLinked, OrderPlaced, ReplyToken, ScenarioAsked
from chalicelib.kernel.ids import Cid
from chalicelib.scenarios import table
from chalicelib.scenarios.engine import Tell
from chalicelib.scenarios.entries import Entries
from chalicelib.scenarios.hearing import Hearing
from chalicelib.scenarios.model import Enrollment, EnrollmentStatus, ScenarioState
from chalicelib.scenarios.occasions import event_of
from chalicelib.scenarios.published import Published
from chalicelib.scenarios.records import TableRecords
from chalicelib.segments.service import Segments


class ScenarioPeople:
    """Hands facts to those whom they concern: first to the scenarios that a person is in, then to those that he may enter."""

    def __init__(self, entries: Entries, hearing: Hearing, records: TableRecords, segments: Segments, published: Published) -> None:
        self._entries = entries
        self._hearing = hearing
        self._records = records
        self._segments = segments
        self._published = published

    def on_fact(self, fact: Fact, reply: ReplyToken | None = None, tell: Tell | None = None) -> list[Fact]:
        """Let a fact take its course, in each scenario whatever becomes of the others; return what follows from it.

        tell: hears what follows as soon as it follows (Engine.walk), so that a crash cannot lose it.
        """
        if isinstance(fact, ScenarioAsked):
            return self._asked(fact, tell)
        if isinstance(fact, IdentityLinked | CustomersMerged):
            self._leave_one_of_two(fact)
        left: list[Fact] = []
        ways: list[Callable[[], object]] = [
            partial(self._hear, fact),
            lambda: left.extend(self._entries.on_fact(fact, reply, tell)),
        ]
        to_each(ways, lambda way: way())
        return left

    def on_orders(self, facts: Sequence[OrderPlaced], tell: Tell | None = None) -> list[Fact]:
        """Let many orders take their course at once (imports)."""
        left: list[Fact] = []
        hears = [partial(self._hear, fact) for fact in facts]
        ways: list[Callable[[], object]] = [*hears, lambda: left.extend(self._entries.on_facts(facts, tell))]
        to_each(ways, lambda way: way())
        return left

    def _hear(self, fact: Fact) -> None:
        if self._published.is_heard(event_of(fact)):
            to_each(self.current(fact.cid), lambda one: self._hearing.hear(fact, [one]))

    def _leave_one_of_two(self, fact: Fact) -> None:
        """End the later of two runs of one scenario that the two had each begun before they became one person."""
        runs: dict[tuple[str, str], list[Enrollment]] = {}
        for one in self.current(fact.cid):
            runs.setdefault((one.scenario_id, one.row.sk), []).append(one)
        later = [one for same in runs.values() for one in sorted(same, key=lambda one: (one.entered_at, one.cid))[1:]]
        if later:
            self._records.end_enrollments(later, EnrollmentStatus.EXITED, "merged", fact.at, in_cohort=False)

    def erase(self, cid: Cid, at: datetime) -> None:
        """Take a person out of every scenario and forget his ways through them; the same when repeated."""
        ones = self.of(cid)
        self._records.end_enrollments(ones, EnrollmentStatus.EXITED, "erased", at, in_cohort=False)
        self._records.forget_ways(ones)

    def _asked(self, fact: ScenarioAsked, tell: Tell | None) -> list[Fact]:
        if fact.verb == "start":
            head = table.head(fact.scenario_id)
            if head is None or head.state is not ScenarioState.ACTIVE:
                return []
            return self._entries.by_hand(fact.scenario_id, fact.cid, fact.fact_id, fact.at, tell)
        leaving = [one for one in self.current(fact.cid) if one.scenario_id == fact.scenario_id and one.entered_at < fact.at]
        self._records.end_enrollments(leaving, EnrollmentStatus.EXITED, "stopped_by_scenario", fact.at, in_cohort=False)
        return []

    def current(self, cid: Cid) -> list[Enrollment]:
        """Return a person's active enrollments, those of the numbers that he had before a link included."""
        return [one for one in self._all(cid, self._records.of) if one.row.status == EnrollmentStatus.ACTIVE]

    def of(self, cid: Cid) -> list[Enrollment]:
        """Return a person's enrollments, present and past."""
        return [*self._all(cid, self._records.of), *self._all(cid, self._records.history_of)]

    def _all(self, cid: Cid, read: Callable[[Cid], Iterable[Enrollment]]) -> list[Enrollment]:
        customer = self._segments.load([cid], [])[cid].customer
        return [one for number in (customer.cid, *customer.aliases) for one in read(number)]

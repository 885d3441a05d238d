"""The people in scenarios as the doors see them: facts come in here, and what somebody is in can be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from chalicelib.kernel.facts import Fact, OrderPlaced, ReplyToken, ScenarioAsked
from chalicelib.kernel.ids import Cid
from chalicelib.scenarios import table
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

    def on_fact(self, fact: Fact, reply: ReplyToken | None = None) -> list[Fact]:
        """Let a fact take its course; return what follows from it."""
        if isinstance(fact, ScenarioAsked):
            return self._asked(fact)
        if self._published.is_heard(event_of(fact)):
            self._hearing.hear(fact, self.current(fact.cid))
        return self._entries.on_fact(fact, reply)

    def on_orders(self, facts: Sequence[OrderPlaced]) -> list[Fact]:
        """Let many orders take their course at once (imports)."""
        if self._published.is_heard("purchase"):
            for fact in facts:
                self._hearing.hear(fact, self.current(fact.cid))
        return self._entries.on_facts(facts)

    def _asked(self, fact: ScenarioAsked) -> list[Fact]:
        if fact.verb == "start":
            head = table.head(fact.scenario_id)
            if head is None or head.state is not ScenarioState.ACTIVE:
                return []
            return self._entries.by_hand(fact.scenario_id, fact.cid, fact.fact_id, fact.at)
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
        aliases = self._segments.load([cid], [])[cid].customer.aliases
        return [one for number in (cid, *aliases) for one in read(number)]

"""Take rows about what people did: into their timelines, and where it may start scenarios, to those who listen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from chalicelib.imports.model import ImportJob
from chalicelib.imports.taking import Directory, Outcome, Row
from chalicelib.imports.values import EventRow, event_row
from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import DomainError, InvalidError
from chalicelib.kernel.facts import Occurred
from chalicelib.kernel.ids import Cid
from chalicelib.people.service import People
from chalicelib.tracking.service import Tracking

# What is older is history and starts nothing; events by the API end there too.
_OLDEST = timedelta(days=30)
_NO_ACTS = ("custom", "reservation_cancelled")  # which may be no act of his


class EventRows:
    """Implements taking.Taker for events."""

    def __init__(self, people: People, tracking: Tracking, clock: Clock) -> None:
        self._people = people
        self._tracking = tracking
        self._clock = clock

    def take(self, job: ImportJob, rows: Sequence[Row], outcome: Outcome) -> None:
        """Take rows; see the port."""
        told: list[tuple[Row, EventRow]] = []
        now = self._clock.now()
        for row in rows:
            try:
                event = event_row(row.given, job.options)
                if event.at > now or (job.options.trigger and event.at < now - _OLDEST):
                    raise InvalidError("event.time_malformed", field="occurred_at", days=_OLDEST.days)
                told.append((row, event))
            except DomainError as error:
                outcome.refusals.append(row.refused(error))
        directory = Directory(self._people, job.options.account)
        directory.look_up(event.who for _, event in told)
        directory.follow()
        facts: dict[str, tuple[Row, Occurred]] = {}
        for row, event in told:
            try:
                fact = _fact(event, directory.find(event.who))
                if fact.fact_id in facts:
                    raise InvalidError("event.twice_in_file", field="event_id")
                facts[fact.fact_id] = (row, fact)
            except DomainError as error:
                outcome.refusals.append(row.refused(error))
        self._take(job, facts, outcome)

    def _take(self, job: ImportJob, facts: dict[str, tuple[Row, Occurred]], outcome: Outcome) -> None:
        before = {fact.fact_id: fact for fact in self._tracking.occurrences(facts)}
        good: list[Occurred] = []
        for fact_id, (row, fact) in facts.items():
            kept = before.get(fact_id)
            if kept is not None and kept.cid != fact.cid and kept.cid not in self._people.aliases(fact.cid):
                outcome.refusals.append(row.refused(InvalidError("event.of_another_customer", field="event_id")))
            else:
                good.append(kept or fact)
                outcome.created += kept is None
                outcome.same += kept is not None
        if job.options.dry_run or not good:
            return
        if job.options.trigger:
            outcome.facts += self._tracking.keep_occurrences(good)
            return
        # That it is known is written last: who dies before does it again, to the same end.
        last: dict[Cid, Occurred] = {}
        for fact in good:
            if fact.event not in _NO_ACTS and fact.fact_id not in before and fact.at >= last.get(fact.cid, fact).at:
                last[fact.cid] = fact
        for fact in last.values():
            self._tracking.acted(fact.cid, fact.at)
        self._tracking.note_all(good)
        self._tracking.keep_occurrences(good)


def _fact(row: EventRow, cid: Cid) -> Occurred:
    return Occurred(fact_id=f"{row.event}|{row.event_id}", cid=cid, at=row.at, event=row.event, name=row.name, data=row.data)

"""Who comes into a scenario: by an event, by hand, or by the schedule; each occurrence once, however often it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from datetime import datetime, timedelta

from chalicelib.customers.model import Customer
from chalicelib.kernel.clock import Clock, to_text
from chalicelib.kernel.errors import ConflictError, to_each
from chalicelib.kernel.facts import Fact, ReplyToken
from chalicelib.kernel.ids import AccountKey, Cid, CohortId
from chalicelib.kernel.windows import next_grain, parse_duration
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.observability import count, warning
from chalicelib.people.model import person_key
from chalicelib.ports.files import Files
from chalicelib.scenarios import table
from chalicelib.scenarios.cohorts import Cohorts
from chalicelib.scenarios.engine import Engine, Tell
from chalicelib.scenarios.graph import EventTrigger, Scenario, SegmentTrigger, WaitNode, is_timed, reached_at
from chalicelib.scenarios.model import INLINE, Enrollment, EnrollmentStatus, Move, ScenarioState, Version, cohort_id, minute
from chalicelib.scenarios.occasions import data_of, matches
from chalicelib.scenarios.published import Published
from chalicelib.scenarios.records import TableRecords, enrollment_key, enrollment_of, new_enrollment
from chalicelib.scenarios.roster import Roster
from chalicelib.scenarios.schedules import audience_of
from chalicelib.segments.candidates import Candidates, Wanted
from chalicelib.segments.service import Segments

_MOMENT = timedelta(minutes=1)
_BATCH = 100
# Who is being walked through what just now. Scenarios that start each other, by name or by a tag, would else write to him without
# end at one instant; a drawing's own loops are the linter's.
_WALKING: ContextVar[frozenset[tuple[str, Cid]]] = ContextVar("walking", default=frozenset())


class Entries:
    """Brings people in."""

    def __init__(
        self,
        engine: Engine,
        cohorts: Cohorts,
        records: TableRecords,
        published: Published,
        segments: Segments,
        candidates: Candidates,
        accounts: LineAccounts,
        files: Files,
        clock: Clock,
    ) -> None:
        self._candidates = candidates
        self._engine = engine
        self._cohorts = cohorts
        self._records = records
        self._segments = segments
        self._accounts = accounts
        self._files = files
        self._clock = clock
        self._published = published

    # One person --------------------------------------------------------------------------------------------------------------

    def on_fact(self, fact: Fact, reply: ReplyToken | None = None, tell: Tell | None = None) -> list[Fact]:
        """Enroll the person into every scenario that this fact starts, whatever becomes of the others. tell: see Engine.walk."""
        left: list[Fact] = []
        replies = iter([reply])  # a token answers once

        def enter(version: Version) -> None:
            left.extend(self.enroll(version, fact.cid, fact.fact_id, fact.at, next(replies, None), data_of(fact), tell))

        to_each(self._started_by(fact), enter)
        return left

    def _started_by(self, fact: Fact) -> list[Version]:
        found = []
        for version in self._published.open_to_entry():
            trigger = version.graph.trigger
            if isinstance(trigger, EventTrigger) and matches(trigger, fact, version.graph.account):
                found.append(version)
        return found

    def by_hand(
        self, scenario_id: str, cid: Cid, occurrence: str, at: datetime | None = None, tell: Tell | None = None
    ) -> list[Fact]:
        """Enroll one person now, whatever the scenario's own trigger is. Raises ConflictError(`scenario.not_active`)."""
        head = table.head(scenario_id)
        if head is None or head.state is not ScenarioState.ACTIVE:
            raise ConflictError("scenario.not_active")
        version = self._engine.version(scenario_id, head.version)
        return self.enroll(version, cid, occurrence, at or self._clock.now(), None, {}, tell)

    def enroll(
        self,
        version: Version,
        cid: Cid,
        occurrence: str,
        at: datetime,
        reply: ReplyToken | None,
        data: Mapping[str, str],
        tell: Tell | None = None,
    ) -> list[Fact]:
        """Enroll one person for one occurrence, once however often it is told, and walk him to his first wait."""
        graph = version.graph
        customer = self._segments.load([cid], [])[cid].customer
        cid = customer.cid  # he may have been linked since it happened
        if (version.scenario_id, cid) in _WALKING.get():
            warning("a scenario that leads back to itself without a wait is not begun again", scenario_id=version.scenario_id)
            count("ScenarioLoopsCut")
            return []
        occurrence = data.get(graph.reentry.key) or occurrence
        key = enrollment_key(cid, version.scenario_id, occurrence if graph.reentry.mode == "always" else "")
        one = self._earlier_try(customer, key, occurrence)
        if one is None:
            # Asked once only: what he has been walked through may itself have changed the answer.
            if graph.filter is not None and not self._fits(graph, cid, at):
                return []
            one = self._first_run(version, customer, key, occurrence, at, data)
        if one is None or one.row.cohort != INLINE or one.row.status != EnrollmentStatus.ACTIVE:
            return []
        around = _WALKING.set(_WALKING.get() | {(version.scenario_id, cid)})
        try:
            return self._engine.walk(one, reply, tell)
        finally:
            _WALKING.reset(around)

    def _fits(self, graph: Scenario, cid: Cid, at: datetime) -> bool:
        account = AccountKey(graph.account) if graph.account else None
        accounts = [known.key for known in self._accounts.everyone()]
        person = self._segments.load([cid], accounts, conditions=[graph.filter])[cid]
        return self._segments.holds(graph.filter, person, at, account)

    def _earlier_try(self, customer: Customer, key: tuple[str, str], occurrence: str) -> Enrollment | None:
        """Return the enrollment that this occurrence made already, under whatever number the person had then."""
        keys = [(person_key(number), key[1]) for number in (customer.cid, *customer.aliases)]
        return next((one for one in self._records.get(keys).values() if one.occurrence == occurrence), None)

    def _first_run(
        self, version: Version, customer: Customer, key: tuple[str, str], occurrence: str, at: datetime, data: Mapping[str, str]
    ) -> Enrollment | None:
        """Return the enrollment of this occurrence, new or from an earlier try; None when the person may not enter."""
        for alias in customer.aliases:
            former = self._records.get([enrollment_key(alias, version.scenario_id)])
            if former and not may_reenter(version.graph, next(iter(former.values())), at):
                return None
        item = new_enrollment(key, customer.cid, version, 1, occurrence, INLINE, at, data)
        if self._records.insert([item]) == [True]:
            return enrollment_of(item)
        old = self._records.get([key])[key]
        if old.occurrence == occurrence:
            return old
        if not may_reenter(version.graph, old, at):
            return None
        again = new_enrollment(key, customer.cid, version, old.run + 1, occurrence, INLINE, at, data)
        return enrollment_of(again) if self._records.replace(old, again) else None

    # Many at once ------------------------------------------------------------------------------------------------------------

    def on_facts(self, facts: Sequence[Fact], tell: Tell | None = None) -> list[Fact]:
        """Enroll many people at once (imports); the same as `on_fact` for each, but those who first wait go in by batches."""
        left: list[Fact] = []
        for version in self._published.open_to_entry():
            graph = version.graph
            trigger = graph.trigger
            if not isinstance(trigger, EventTrigger):
                continue
            starting = [fact for fact in facts if matches(trigger, fact, graph.account)]
            first = graph.nodes[graph.start]
            plain = graph.filter is None and graph.reentry.mode == "never"
            if plain and isinstance(first, WaitNode) and is_timed(first) and len(starting) > 1:
                self._enroll_waiting(version, first, starting)
            else:

                def enter(fact: Fact, version: Version = version) -> None:
                    left.extend(self.enroll(version, fact.cid, fact.fact_id, fact.at, None, data_of(fact), tell))

                to_each(starting, enter)
        return left

    def _enroll_waiting(self, version: Version, first: WaitNode, facts: Sequence[Fact]) -> None:
        groups: dict[CohortId, dict[Cid, Fact]] = {}
        for fact in facts:
            due = next_grain(reached_at(first, fact.at), _MOMENT)
            target = cohort_id(version.scenario_id, version.version, version.graph.start, due)
            groups.setdefault(target, {}).setdefault(fact.cid, fact)
        loaded = self._segments.load({fact.cid for fact in facts}, [])
        aliases = {cid: person.customer.aliases for cid, person in loaded.items()}
        now = self._clock.now()
        barred = self._entered_before_link(version, aliases, now)
        for target, members in groups.items():
            items = [
                new_enrollment(
                    enrollment_key(cid, version.scenario_id), cid, version, 1, fact.fact_id, target, fact.at, data_of(fact)
                )
                for cid, fact in members.items()
                if cid not in barred
            ]
            self._cohorts.enter(items, target, now)
            self._cohorts.start(target, now)

    def by_schedule(self, scenario_id: str, at: datetime, part: int = 0, number: int = 0) -> int | None:
        """Enroll one part of those whom the schedule looks for at an instant; return the next part, None at the end.

        The same part: the lake has not come so far, try again soon. The cohort starts when everybody is in. number: of the
        version with which the look began; a version that is published meanwhile looks for people the next time.
        """
        head = table.head(scenario_id)
        if head is None or head.state is not ScenarioState.ACTIVE:
            return None
        version = self._engine.version(scenario_id, number or head.version)
        condition = audience_of(version.graph)
        if condition is None:
            return None
        account = AccountKey(version.graph.account) if version.graph.account else None
        now = self._clock.now()
        wanted = Wanted(f"{scenario_id}-{version.version}-{minute(at)}", condition, at, account)
        plan = self._candidates.plan(wanted, now)
        if plan is None:
            return part
        target = cohort_id(version.scenario_id, version.version, version.graph.start, self._first_due(version, at))
        roster = Roster(self._files, version.scenario_id, at, part, plan.parts) if _only_those_who_enter(version.graph) else None
        batch: dict[Cid, Sequence[Cid]] = {}
        for person in self._candidates.find(plan, wanted, part):
            if roster is not None and not roster.saw(person.cid, person.customer.aliases):
                continue
            batch[person.cid] = person.customer.aliases
            if len(batch) == _BATCH:
                self._enter_batch(version, batch, target, at)
                batch = {}
        self._enter_batch(version, batch, target, at)
        if roster is not None:
            roster.keep()
        if part + 1 < plan.parts:
            return part + 1
        self._cohorts.start(target, self._clock.now())
        return None

    def _first_due(self, version: Version, at: datetime) -> datetime:
        return next_grain(reached_at(version.graph.nodes[version.graph.start], at), _MOMENT)

    def _enter_batch(self, version: Version, people: Mapping[Cid, Sequence[Cid]], target: CohortId, at: datetime) -> None:
        if not people:
            return
        occurrence = f"{version.scenario_id}|{to_text(at)}"
        by_occurrence = occurrence if version.graph.reentry.mode == "always" else ""
        barred = self._entered_before_link(version, people, at, by_occurrence)
        keys = {cid: enrollment_key(cid, version.scenario_id, by_occurrence) for cid in people if cid not in barred}
        former = self._records.get(keys.values())
        data = {"at": to_text(at)}
        fresh = [
            new_enrollment(key, cid, version, 1, occurrence, target, at, data) for cid, key in keys.items() if key not in former
        ]
        now = self._clock.now()
        self._cohorts.enter(fresh, target, now)
        for cid, key in keys.items():
            old = former.get(key)
            if old is None:
                continue
            if old.occurrence != occurrence and may_reenter(version.graph, old, at):
                again = new_enrollment(key, cid, version, old.run + 1, occurrence, INLINE, at, data)
                if not self._records.replace(old, again):
                    continue
                old = enrollment_of(again)
            if old.occurrence == occurrence and old.row.cohort == INLINE:
                self._cohorts.move([Move(old)], old.version, version.graph.start, self._first_due(version, at), now)

    def _entered_before_link(
        self, version: Version, aliases: Mapping[Cid, Sequence[Cid]], at: datetime, occurrence_key: str = ""
    ) -> set[Cid]:
        """Return those who may not enter because of a run under a number that they had before an identity link or a merge."""
        keys = {
            enrollment_key(alias, version.scenario_id, occurrence_key): cid for cid, known in aliases.items() for alias in known
        }
        found = self._records.get(keys) if keys else {}
        return {keys[key] for key, old in found.items() if not may_reenter(version.graph, old, at)}


def _only_those_who_enter(graph: Scenario) -> bool:
    return isinstance(graph.trigger, SegmentTrigger) and graph.trigger.enters


def may_reenter(graph: Scenario, old: Enrollment, at: datetime) -> bool:
    """Say whether a person whose former run is `old` may begin another one at `at`."""
    if graph.reentry.mode != "after_exit" or old.row.status == EnrollmentStatus.ACTIVE or old.ended_at is None:
        return False
    return at >= old.ended_at + parse_duration(graph.reentry.cooldown)

"""Draw, publish, pause and resume scenarios; bring people in, let them out, hear their reactions."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib.customers.model import Customer
from chalicelib.kernel.clock import Clock, from_text, to_text
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.facts import (
    EmailOpened,
    Evidence,
    Fact,
    FriendFollowed,
    IdentityLinked,
    LinkClicked,
    OrderPlaced,
    ReplyToken,
    Responded,
    TagAdded,
)
from chalicelib.kernel.ids import AccountKey, Cid, CohortId, ScenarioId
from chalicelib.kernel.windows import at_local, local_date, next_grain, parse_duration, parse_hhmm
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.messages.service import Messages
from chalicelib.people.model import person_key
from chalicelib.ports.database import Database
from chalicelib.ports.machines import Machines
from chalicelib.ports.schedules import Schedules
from chalicelib.scenarios import table
from chalicelib.scenarios.asl import compile_machine, machine_name, problems_of
from chalicelib.scenarios.cohorts import Cohorts
from chalicelib.scenarios.engine import Engine
from chalicelib.scenarios.graph import (
    EventTrigger,
    Node,
    Scenario,
    SegmentTrigger,
    SendNode,
    WaitForResponseNode,
    WaitNode,
    lint,
    main_exit,
    parse,
    wait_ends,
)
from chalicelib.scenarios.model import (
    INLINE,
    Cohort,
    CohortState,
    Enrollment,
    EnrollmentStatus,
    ScenarioHead,
    ScenarioState,
    Version,
    cohort_id,
)
from chalicelib.segments.service import Segments
from chalicelib.settings import settings

_ID = re.compile(r"[a-z][a-z0-9_]{0,23}\Z")
_REMEMBER_SECONDS = 5.0
_MOMENT = timedelta(minutes=1)
_ENTRY_PARTS = 4


class Scenarios:
    """Scenarios and the people in them."""

    def __init__(
        self,
        engine: Engine,
        cohorts: Cohorts,
        segments: Segments,
        messages: Messages,
        accounts: LineAccounts,
        database: Database,
        machines: Machines,
        schedules: Schedules,
        clock: Clock,
    ) -> None:
        self.engine = engine
        self._cohorts = cohorts
        self._segments = segments
        self._messages = messages
        self._accounts = accounts
        self._database = database
        self._machines = machines
        self._schedules = schedules
        self._clock = clock
        self._monotonic: Callable[[], float] = time.monotonic
        self._active: tuple[float, list[Version]] = (-1.0, [])
        self._heads: tuple[float, list[ScenarioHead]] = (-1.0, [])

    # Drawing and publishing -------------------------------------------------------------------------------------------------

    def save_draft(self, scenario_id: str, data: Mapping[str, Any]) -> ScenarioHead:
        """Keep a drawing, finished or not. Raises InvalidError(`scenario.id_malformed`, `scenario.malformed`)."""
        if not _ID.match(scenario_id):
            raise InvalidError("scenario.id_malformed")
        scenario = parse(data)
        old = table.head(scenario_id)
        if old:
            head = replace(old, name=scenario.name, draft=data, revision=old.revision + 1)
        else:
            head = ScenarioHead(ScenarioId(scenario_id), scenario.name, ScenarioState.DRAFT, 0, data, 1)
        return self._keep(head)

    def problems(self, scenario_id: str) -> list[dict[str, str]]:
        """Return everything that keeps a drawing from being published, by node."""
        scenario = parse(self.get(scenario_id).draft)
        found = lint(scenario)
        keys = {account.key for account in self._accounts.everyone()}
        if scenario.account and scenario.account not in keys:
            found.append({"node": "", "code": "account_unknown", "account": scenario.account})
        for node_id, node in scenario.nodes.items():
            if isinstance(node, SendNode):
                found += self._template_problems(node_id, node)
        return found

    def _template_problems(self, node_id: str, node: SendNode) -> list[dict[str, str]]:
        try:
            template = self._messages.get(node.template)
        except NotFoundError:
            return [{"node": node_id, "code": "template_unknown", "template": node.template}]
        if template.channel != node.channel:
            return [{"node": node_id, "code": "template_of_other_channel", "template": node.template}]
        return []

    def publish(self, scenario_id: str) -> ScenarioHead:
        """Make the drawing the version that new people enter; those under way finish theirs.

        Raises InvalidError(`scenario.has_problems`) with every problem.
        """
        head = self.get(scenario_id)
        found = self.problems(scenario_id)
        if found:
            raise InvalidError("scenario.has_problems", problems=found)
        version = Version(head.scenario_id, head.version + 1, parse(head.draft))
        machine = compile_machine(version.graph, scenario_id, version.version, settings().steps_function_arn)
        broken = problems_of(machine)
        if broken:
            raise AssertionError(f"the compiler made a machine with loose ends: {broken}")
        table.put_version(version, self._clock.now())
        self._machines.publish(machine_name(settings().stage, scenario_id, version.version), machine)
        published = self._keep(
            replace(head, version=version.version, state=ScenarioState.ACTIVE, revision=head.revision + 1, pause_reason="")
        )
        self._arm(version)
        return published

    def _arm(self, version: Version) -> None:
        """Schedule the next daily entry, armed anew by each firing."""
        trigger = version.graph.trigger
        if not isinstance(trigger, SegmentTrigger):
            return
        now = self._clock.now()
        at = at_local(local_date(now), parse_hhmm(trigger.daily_at))
        if at <= now:
            at = at_local(local_date(now) + timedelta(days=1), parse_hhmm(trigger.daily_at))
        event = {"kind": "scenario_entry", "scenario_id": version.scenario_id, "at": to_text(at)}
        self._schedules.at(f"{settings().stage}-entry-{version.scenario_id}", at, event)

    def pause(self, scenario_id: str, reason: str = "") -> ScenarioHead:
        """Park a scenario: nobody enters, nothing leaves, everybody keeps his place."""
        head = self.get(scenario_id)
        if head.state is not ScenarioState.ACTIVE:
            raise ConflictError("scenario.not_active")
        paused = replace(head, state=ScenarioState.PAUSED, revision=head.revision + 1, pause_reason=reason)
        return self._keep(paused)

    def pause_for_quota(self, cohort_name: str, reason: str) -> None:
        """Park the scenario of a cohort because LINE's monthly messages are used up; a person resumes it."""
        header = table.cohort(self._database, cohort_name)
        if header is None:
            return
        # The header is at the node that could not send, so `resume` starts there; the frozen batches keep their keys.
        table.set_cohort(self._database, cohort_name, is_started=False)
        if self.get(header.scenario_id).state is ScenarioState.ACTIVE:
            self.pause(header.scenario_id, reason)

    def resume(self, scenario_id: str) -> ScenarioHead:
        """Go on where everybody stands; what became due meanwhile leaves now."""
        head = self.get(scenario_id)
        if head.state is not ScenarioState.PAUSED:
            raise ConflictError("scenario.not_paused")
        active = self._keep(replace(head, state=ScenarioState.ACTIVE, revision=head.revision + 1, pause_reason=""))
        now = self._clock.now()
        for cohort in table.live_cohorts(self._database, scenario_id):
            if not cohort.is_started:
                self._cohorts.start(cohort.cohort_id, now, again=f"-r{active.revision}")
        self._arm(self.engine.version(scenario_id, active.version))
        return active

    def _keep(self, head: ScenarioHead) -> ScenarioHead:
        if not table.put_head(head):
            raise ConflictError("scenario.changed_meanwhile")
        self._active, self._heads = (-1.0, []), (-1.0, [])
        return head

    def get(self, scenario_id: str) -> ScenarioHead:
        """Return a scenario. Raises NotFoundError(`scenario.unknown`)."""
        head = table.head(scenario_id)
        if head is None:
            raise NotFoundError("scenario.unknown", scenario_id=scenario_id)
        return head

    def everyone(self) -> list[ScenarioHead]:
        """Return all scenarios by id."""
        return table.heads()

    def machine(self, scenario_id: str) -> dict[str, Any]:
        """Return the state machine that the drawing would become."""
        head = self.get(scenario_id)
        return compile_machine(parse(head.draft), scenario_id, head.version + 1, settings().steps_function_arn)

    def _entered(self) -> list[Version]:
        """Return the versions that people may enter now, at most seconds old."""
        if self._monotonic() >= self._active[0]:
            heads = [head for head in table.heads() if head.state is ScenarioState.ACTIVE]
            versions = [self.engine.version(head.scenario_id, head.version) for head in heads]
            self._active = (self._monotonic() + _REMEMBER_SECONDS, versions)
        return self._active[1]

    # Coming in --------------------------------------------------------------------------------------------------------------

    def on_trigger(self, fact: Fact, reply: ReplyToken | None = None) -> list[Fact]:
        """Enroll the person into every scenario that this fact starts."""
        facts: list[Fact] = []
        for version in self._entered():
            if isinstance(version.graph.trigger, EventTrigger) and _starts(version.graph, fact):
                facts += self.enroll(version, fact.cid, fact.fact_id, fact.at, reply)
                reply = None
        return facts

    def enroll(self, version: Version, cid: Cid, occurrence: str, at: datetime, reply: ReplyToken | None = None) -> list[Fact]:
        """Enroll one person for one occurrence, once however often it is told, and walk him to his first wait."""
        graph = version.graph
        by_occurrence = graph.reentry.mode == "always"
        key = table.enrollment_key(cid, version.scenario_id, occurrence if by_occurrence else "")
        one = self._earlier_try(cid, key, occurrence)
        if one is None:
            # Asked once only: what he has been walked through may itself have changed the answer.
            if graph.filter is not None and not self._fits(graph, cid, at):
                return []
            one = self._first_run(version, cid, key, occurrence, at)
        if one is None or one.row.cohort != INLINE or one.row.status != EnrollmentStatus.ACTIVE:
            return []
        return self.engine.walk(one, reply)

    def enroll_by_hand(self, scenario_id: str, cid: Cid, occurrence: str) -> list[Fact]:
        """Enroll one person now, whatever the scenario's own trigger is. Raises ConflictError(`scenario.not_active`)."""
        head = self.get(scenario_id)
        if head.state is not ScenarioState.ACTIVE:
            raise ConflictError("scenario.not_active")
        return self.enroll(self.engine.version(scenario_id, head.version), cid, occurrence, self._clock.now())

    def on_triggers(self, facts: Sequence[Fact]) -> list[Fact]:
        """Enroll many people at once (imports); the same as `on_trigger` for each, but those who first wait go in by batches."""
        follow_ups: list[Fact] = []
        for version in self._entered():
            starting = [fact for fact in facts if _starts(version.graph, fact)]
            first = version.graph.nodes[version.graph.start]
            plain = version.graph.filter is None and version.graph.reentry.mode == "never"
            if plain and isinstance(first, WaitNode) and len(starting) > 1:
                self._enroll_waiting(version, first, starting)
            else:
                for fact in starting:
                    follow_ups += self.enroll(version, fact.cid, fact.fact_id, fact.at)
        return follow_ups

    def _enroll_waiting(self, version: Version, first: WaitNode, facts: Sequence[Fact]) -> None:
        groups: dict[CohortId, dict[Cid, Fact]] = {}
        for fact in facts:
            due = next_grain(wait_ends(first, fact.at), _MOMENT)
            target = cohort_id(version.scenario_id, version.version, version.graph.start, due)
            groups.setdefault(target, {}).setdefault(fact.cid, fact)
        loaded = self._segments.load({fact.cid for fact in facts}, [])
        aliases = {cid: person.customer.aliases for cid, person in loaded.items()}
        barred = self._entered_before_link(version, aliases, self._clock.now())
        for target, members in groups.items():
            items = [
                table.new_enrollment(table.enrollment_key(cid, version.scenario_id), cid, version, 1, fact.fact_id, target, fact.at)
                for cid, fact in members.items()
                if cid not in barred
            ]
            self._cohorts.enter(items, target, self._clock.now())
            self._cohorts.start(target, self._clock.now())

    def _fits(self, graph: Scenario, cid: Cid, at: datetime) -> bool:
        account = AccountKey(graph.account) if graph.account else None
        accounts = [known.key for known in self._accounts.everyone()]
        return self._segments.holds(graph.filter, self._segments.load([cid], accounts)[cid], at, account)

    def _earlier_try(self, cid: Cid, key: tuple[str, str], occurrence: str) -> Enrollment | None:
        """Return the enrollment that this occurrence made already, under whatever number the person had then."""
        keys = [(person_key(number), key[1]) for number in (cid, *self._aliases(cid))]
        found = table.enrollments(self._database, keys).values()
        return next((one for one in found if one.occurrence == occurrence), None)

    def _first_run(self, version: Version, cid: Cid, key: tuple[str, str], occurrence: str, at: datetime) -> Enrollment | None:
        """Return the enrollment of this occurrence, new or from an earlier try; None when the person may not enter."""
        for alias in self._aliases(cid):
            former = table.enrollments(self._database, [table.enrollment_key(alias, version.scenario_id)])
            if former and not _may_reenter(version.graph, next(iter(former.values())), at):
                return None
        item = table.new_enrollment(key, cid, version, 1, occurrence, INLINE, at)
        if table.insert_enrollments(self._database, [item]) == [True]:
            return table.enrollment_of(item)
        old = table.enrollments(self._database, [key])[key]
        if old.occurrence == occurrence:
            return old
        if not _may_reenter(version.graph, old, at):
            return None
        again = table.new_enrollment(key, cid, version, old.run + 1, occurrence, INLINE, at)
        return table.enrollment_of(again) if table.replace_enrollment(self._database, old, again) else None

    def _aliases(self, cid: Cid) -> Sequence[Cid]:
        return self._segments.load([cid], [])[cid].customer.aliases

    def enter_segment(self, scenario_id: str, at: datetime, part: int = 0) -> int | None:
        """Enroll one part of those who fulfil the trigger's condition at an instant; return the next part, None at the end.

        The cohort starts when everybody is in.
        """
        head = self.get(scenario_id)
        version = self.engine.version(scenario_id, head.version)
        trigger = version.graph.trigger
        if head.state is not ScenarioState.ACTIVE or not isinstance(trigger, SegmentTrigger):
            return None
        if part == 0:
            self._arm(version)
        account = AccountKey(version.graph.account) if version.graph.account else None
        condition = {"all": [trigger.condition, *([version.graph.filter] if version.graph.filter else [])]}
        target = cohort_id(version.scenario_id, version.version, version.graph.start, next_grain(at, _MOMENT))
        batch: list[Customer] = []
        for person in self._segments.find(condition, at, account, segment=part, segments=_ENTRY_PARTS):
            batch.append(person.customer)
            if len(batch) == 100:
                self._enter_batch(version, batch, target, at)
                batch = []
        self._enter_batch(version, batch, target, at)
        if part + 1 < _ENTRY_PARTS:
            return part + 1
        self._cohorts.start(target, self._clock.now())
        return None

    def _enter_batch(self, version: Version, customers: Sequence[Customer], target: CohortId, at: datetime) -> None:
        if not customers:
            return
        barred = self._entered_before_link(version, {customer.cid: customer.aliases for customer in customers}, at)
        cids = [customer.cid for customer in customers if customer.cid not in barred]
        keys = {cid: table.enrollment_key(cid, version.scenario_id) for cid in cids}
        former = table.enrollments(self._database, keys.values())
        occurrence = f"{version.scenario_id}|{to_text(at)}"
        fresh = [
            table.new_enrollment(key, cid, version, 1, occurrence, target, at) for cid, key in keys.items() if key not in former
        ]
        self._cohorts.enter(fresh, target, self._clock.now())
        for cid, key in keys.items():
            old = former.get(key)
            if old is None:
                continue
            if old.occurrence != occurrence and _may_reenter(version.graph, old, at):
                again = table.new_enrollment(key, cid, version, old.run + 1, occurrence, INLINE, at)
                if not table.replace_enrollment(self._database, old, again):
                    continue
                old = table.enrollment_of(again)
            if old.occurrence == occurrence and old.row.cohort == INLINE:
                self._cohorts.move([old], old.version, version.graph.start, at, self._clock.now())

    def _entered_before_link(self, version: Version, aliases: Mapping[Cid, Sequence[Cid]], at: datetime) -> set[Cid]:
        """Return those who may not enter because of a run under a number that they had before an identity link."""
        keys = {table.enrollment_key(alias, version.scenario_id): cid for cid, known in aliases.items() for alias in known}
        found = table.enrollments(self._database, keys) if keys else {}
        return {keys[key] for key, old in found.items() if not _may_reenter(version.graph, old, at)}

    # Reacting and leaving ---------------------------------------------------------------------------------------------------

    def on_response(self, fact: Fact) -> None:
        """Hear a reaction: whoever waits for one goes on at once by the way of those who reacted."""
        evidence = fact.evidence if isinstance(fact, Responded | LinkClicked | EmailOpened) else None
        if evidence is None or not self._somebody_waits():
            return
        for one in self._current(fact.cid):
            waiting = self._waits_at(one)
            if waiting is None or not evidence.counts_as(Evidence(waiting[1].evidence)):
                continue
            if isinstance(fact, LinkClicked | EmailOpened) and not fact.source.startswith(f"scn|{one.scenario_id}|"):
                continue
            _, node = waiting
            if fact.at < one.last_due:
                continue  # told late: he did it before the message that he is waited for
            table.note_response(self._database, one, node.of, fact.at)
            due = next_grain(max(fact.at, self._clock.now()), timedelta(minutes=5))
            self._cohorts.move([one], one.version, node.responded, due, self._clock.now())

    def _waits_at(self, one: Enrollment) -> tuple[str, WaitForResponseNode] | None:
        """Return the wait in which an enrollment stands, or into which its last send leads."""
        graph = self.engine.version(one.scenario_id, one.version).graph
        header = table.cohort(self._database, one.row.cohort) if one.row.cohort != INLINE else None
        candidates: list[str] = [header.at_node] if header else []
        if one.last_node in graph.nodes:
            candidates.append(main_exit(graph.node(one.last_node)))
        for node_id in candidates:
            node: Node | None = graph.nodes.get(node_id)
            if isinstance(node, WaitForResponseNode) and node.of == one.last_node:
                return node_id, node
        return None

    def _current(self, cid: Cid) -> list[Enrollment]:
        """Return a person's active enrollments, those of the numbers that he had before a link included."""
        numbers = [cid, *self._aliases(cid)]
        found = [one for number in numbers for one in table.enrollments_of(self._database, number)]
        return [one for one in found if one.row.status == EnrollmentStatus.ACTIVE]

    def on_exit(self, cid: Cid, cause: str, at: datetime) -> int:
        """Take a person out of every scenario that ends for this cause: `blocked`, `opted_out`, `purchase` (a goal)."""
        if not self._somebody_leaves_for(cause):
            return 0
        leaving = []
        for one in self._current(cid):
            graph = self.engine.version(one.scenario_id, one.version).graph
            if cause in graph.exits or (graph.goal is not None and graph.goal.event == cause and one.entered_at < at):
                leaving.append(one)
        reason = "goal" if cause == "purchase" else cause
        ended = table.end_enrollments(self._database, leaving, EnrollmentStatus.EXITED, reason, self._clock.now(), in_cohort=False)
        return sum(ended)

    def _somebody_leaves_for(self, cause: str) -> bool:
        """Say whether any version that people may be in ends for this cause; spares most events a look at the person."""
        return any(cause in graph.exits or (graph.goal is not None and graph.goal.event == cause) for graph in self._graphs())

    def _somebody_waits(self) -> bool:
        """Say whether any version that people may be in waits for reactions; spares most events a look at the person."""
        return any(isinstance(node, WaitForResponseNode) for graph in self._graphs() for node in graph.nodes.values())

    def _graphs(self) -> Iterator[Scenario]:
        for head in self._all_heads():
            for number in range(1, head.version + 1):
                yield self.engine.version(head.scenario_id, number).graph

    def _all_heads(self) -> list[ScenarioHead]:
        if self._monotonic() >= self._heads[0]:
            self._heads = (self._monotonic() + _REMEMBER_SECONDS, table.heads())
        return self._heads[1]

    def of(self, cid: Cid) -> list[Enrollment]:
        """Return a person's enrollments, present and past."""
        numbers = [cid, *self._aliases(cid)]
        found = [one for number in numbers for one in table.enrollments_of(self._database, number)]
        return found + [one for number in numbers for one in table.history_of(self._database, number)]

    # Keeping the promise ----------------------------------------------------------------------------------------------------

    def reconcile(self) -> int:
        """Start cohorts that nobody moves: overdue ones, broken ones, far ones that have come near; return how many."""
        now = self._clock.now()
        late = {CohortState.OPEN: now - timedelta(minutes=10), CohortState.CLOSED: now - timedelta(hours=1)}
        found = [cohort for cohort in self._live() if not cohort.is_started or cohort.at_due < late[cohort.state]]
        for cohort in found:
            self._cohorts.start(cohort.cohort_id, now, again=f"-c{now:%Y%m%d%H}" if cohort.is_started else "")
        return len(found)

    def restart(self, word: str) -> int:
        """Start every live cohort anew: all executions were lost (a restored backup, MiniStack's restart); return how many.

        word: part of the executions' new names. Harmless while the old ones live, because every step is.
        """
        found = self._live()
        for cohort in found:
            self._cohorts.start(cohort.cohort_id, self._clock.now(), again=f"-{word}")
        return len(found)

    def _live(self) -> list[Cohort]:
        active = [head for head in table.heads() if head.state is ScenarioState.ACTIVE]
        found = [cohort for head in active for cohort in table.live_cohorts(self._database, head.scenario_id)]
        return [cohort for cohort in found if cohort.state is not CohortState.ENDED]


def _starts(graph: Scenario, fact: Fact) -> bool:
    trigger = graph.trigger
    if not isinstance(trigger, EventTrigger):
        return False
    match fact:
        case FriendFollowed():
            return trigger.event == "follow" and graph.account in ("", fact.account)
        case IdentityLinked():
            return trigger.event == "linked" and graph.account in ("", fact.account)
        case OrderPlaced():
            return trigger.event == "purchase" or (trigger.event == "first_purchase" and fact.is_first)
        case TagAdded():
            return trigger.event == "tag_added" and trigger.tag == fact.tag_id
        case _:
            return False


def _may_reenter(graph: Scenario, old: Enrollment, at: datetime) -> bool:
    if graph.reentry.mode != "after_exit" or old.row.status == EnrollmentStatus.ACTIVE or old.ended_at is None:
        return False
    return at >= old.ended_at + parse_duration(graph.reentry.cooldown)


def parse_at(text: str) -> datetime:
    """Return the instant in a tick's event. Raises InvalidError(`time.malformed`)."""
    try:
        return from_text(text)
    except ValueError as error:
        raise InvalidError("time.malformed", given=text) from error

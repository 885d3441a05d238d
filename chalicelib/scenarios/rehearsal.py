"""The dry run: the engine itself, with records, delivery, people and actions in memory, on a virtual clock.

Executions walk the compiled machine, so transitions, events and calls are counted by the code that runs. Nothing is written
and nothing is sent: no port is here that could.
"""

from __future__ import annotations

import gc
import heapq
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.model import Job, Limits
from chalicelib.kernel.facts import Fact
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.messages.model import Template
from chalicelib.scenarios.asl import compile_machine
from chalicelib.scenarios.cohorts import MANY_SHARDS, Cohorts
from chalicelib.scenarios.dry import DryEffects, DryOutbox, Rate, StillCrowd, drawn, fact_of, moment_of
from chalicelib.scenarios.engine import Engine
from chalicelib.scenarios.graph import (
    DateTrigger,
    EventTrigger,
    ManualTrigger,
    Occasion,
    Scenario,
    UntilDate,
    WaitForResponseNode,
    WaitNode,
    main_exit,
    reached_at,
)
from chalicelib.scenarios.hearing import Hearing
from chalicelib.scenarios.machine import Tally, Walk, check, walk
from chalicelib.scenarios.memory import Member, MemoryRecords
from chalicelib.scenarios.model import EnrollmentStatus, Version
from chalicelib.scenarios.nodes import Nodes, Outcome, Task, until_ends
from chalicelib.scenarios.schedules import next_at, schedule_of
from chalicelib.scenarios.steps import Steps
from chalicelib.segments.model import Person
from chalicelib.segments.reading import Resolve

GOAL = "goal"
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What a rehearsal takes for granted.

    begins_at: nothing happens before. days: how long it is watched at most. rates: by send node, how many react; `goal`: how
    many reach the goal. arrive_hours: over how long those come whom an event starts. seed: another one, other people react.
    """

    begins_at: datetime
    days: int = 90
    rates: Mapping[str, Rate] = field(default_factory=dict)
    limits: Limits = field(default_factory=Limits)
    arrive_hours: float = 24.0
    seed: str = ""

    @property
    def ends_at(self) -> datetime:
        """Return when nobody looks any more."""
        return self.begins_at + timedelta(days=self.days)


class VirtualClock:
    """A clock that the rehearsal moves."""

    def __init__(self, now: datetime) -> None:
        self.moment = now

    def now(self) -> datetime:
        """Return the current instant."""
        return self.moment


@dataclass(frozen=True, slots=True)
class _Account:
    key: AccountKey


class _Accounts:
    def __init__(self, keys: Sequence[AccountKey]) -> None:
        self._all = [_Account(key) for key in keys]

    def everyone(self) -> Sequence[_Account]:
        return self._all


@dataclass(slots=True)
class Step:
    """What went through a node: who came to it, who left it where to, when the first and the last."""

    people: int = 0
    ways: Counter[str] = field(default_factory=Counter)
    gone: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None


class _CountedNodes(Nodes):
    """Counts what goes through nodes."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.steps: dict[str, Step] = {}

    def do(self, task: Task, ones: Sequence[Any], owed: Sequence[Any]) -> Outcome:
        """Do a node for a page of members, and count."""
        outcome = super().do(task, ones, owed)
        if not ones:
            return outcome
        step = self.steps.setdefault(task.node_id, Step())
        left = Counter(leaving.target for leaving in outcome.leavers)
        again = left.pop(task.node_id, 0)  # held, or waiting for a day of his own: he comes again
        target = main_exit(task.version.graph.node(task.node_id))
        step.people += len(ones) - again
        step.gone += outcome.gone
        step.ways.update(left)
        if target:
            step.ways[target] += len(ones) - len(outcome.leavers) - outcome.gone
        step.first_at = min(step.first_at or task.due, task.due)
        step.last_at = max(step.last_at or task.due, task.due)
        return outcome


class Rehearsal:
    """One scenario, some people, some time. Ask it after `run` what became of them."""

    def __init__(
        self,
        version: Version,
        people: dict[Cid, Person],
        templates: Mapping[str, Template],
        accounts: Sequence[AccountKey],
        assumed: Assumptions,
        resolve: Resolve | None = None,
    ) -> None:
        self.version = version
        self.assumed = assumed
        self.clock = VirtualClock(assumed.begins_at)
        self.records = MemoryRecords(version)
        self.tally = Tally()
        self.crowd = StillCrowd(people, resolve)
        self.outbox = DryOutbox(self.clock, self.crowd.people, templates, assumed.limits, self._sent)
        self.effects = DryEffects(self.crowd)
        self.responses: Counter[str] = Counter()
        self.early: Counter[str] = Counter()  # by wait: who went on before its end
        self._account = AccountKey(version.graph.account) if version.graph.account else next(iter(accounts), AccountKey("main"))
        self._templates = templates
        self._machine = compile_machine(version.graph, version.scenario_id, version.version, "function")
        check(self._machine)
        cohorts = Cohorts(self.records, self)
        self.nodes = _CountedNodes(self.records, self.outbox, self.crowd, self.effects, _Accounts(accounts))
        self.engine = Engine(self.records, cohorts, self.nodes, self.clock)
        self.hearing = Hearing(self.records, cohorts, self.clock)
        self._cohorts = cohorts
        self._steps = Steps(self.engine, self._react, self._pause_for, lambda: True, lambda _: None)
        self._heap: list[tuple[datetime, int, int, Walk | Fact]] = []
        self._number = 0
        self._awaited = _awaited(version)

    # Implements ports.Machines: executions are walked here.

    def publish(self, name: str, definition: dict[str, Any]) -> None:
        """Nothing is published."""

    def delete(self, name: str) -> None:
        """Nothing is deleted."""

    def start(self, name: str, execution: str, data: dict[str, Any]) -> None:  # noqa: ARG002 - cohorts start each once
        """Start an execution; see Machines."""
        # Not at once: whoever starts it has not come to the end of what he does.
        self._push(self.clock.moment, 1, walk(self._machine, data, self._steps.handle, self.tally))

    # Running ----------------------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Let everybody in, and time pass until nobody is left or the days are over."""
        # Everybody is kept to the end: looking for garbage again and again would find none.
        was_collecting = gc.isenabled()
        gc.disable()
        try:
            self._let_in()
            self.until(self.assumed.ends_at)
        finally:
            if was_collecting:
                gc.enable()

    def tell(self, fact: Fact) -> None:
        """Let a fact happen at its instant."""
        self._push(fact.at, 0, fact)

    def let_in(self, cid: Cid, at: datetime, data: Mapping[str, str] | None = None) -> Member:
        """Enter one person now, as an event does, and walk him to his first wait. data: what the event brings."""
        member = self.records.enter(cid, at, data=data or {})
        self._entered(member)
        self._react(self.engine.walk(member.enrollment, None))
        return member

    def _let_in(self) -> None:
        graph = self.version.graph
        schedule = schedule_of(graph)
        people = list(self.crowd.people)
        if schedule is None:
            if not isinstance(graph.trigger, EventTrigger | ManualTrigger):
                raise TypeError(type(graph.trigger).__name__)
            gap = timedelta(hours=self.assumed.arrive_hours) / max(len(people), 1)
            for number, cid in enumerate(people):
                at = (self.assumed.begins_at + gap * number).replace(microsecond=0)
                self.until(at)
                self.let_in(cid, at)
            return
        at = next_at(schedule, self.assumed.begins_at - _MINUTE) or self.assumed.begins_at
        groups: dict[datetime, list[Cid]] = {} if isinstance(graph.trigger, DateTrigger) else {at: people}
        for cid in people if not groups else ():
            own = enters_at(graph, self.crowd.people[cid], at)
            if own is not None and own < self.assumed.ends_at:
                groups.setdefault(own, []).append(cid)
        for at, group in sorted(groups.items()):
            self.until(at)
            due = reached_at(graph.node(graph.start), at)
            header = self._cohorts.open(self.version.scenario_id, self.version.version, graph.start, due, MANY_SHARDS)
            members = [self.records.enter(cid, at, header.cohort_id) for cid in group]
            self.records.put_hints(header, [member.enrollment for member in members])
            for member in members:
                self._entered(member)
            self._cohorts.start(header.cohort_id, at)

    def until(self, end: datetime) -> None:
        """Let time pass to an instant, and everything happen that falls due."""
        heap = self._heap
        while heap and heap[0][0] <= end:
            at, _, _, thing = heapq.heappop(heap)
            self.clock.moment = max(self.clock.moment, at)
            if isinstance(thing, Fact):
                self._hear(thing)
            else:
                self._go(thing)
        self.clock.moment = max(self.clock.moment, end)

    def _go(self, execution: Walk) -> None:
        """Let an execution go on until it waits for something that is still to come."""
        for at in execution:
            if at > self.clock.moment:
                self._push(at, 1, execution)
                return

    def _push(self, at: datetime, rank: int, thing: Walk | Fact) -> None:
        self._number += 1
        heapq.heappush(self._heap, (at, rank, self._number, thing))

    # What people do ---------------------------------------------------------------------------------------------------------

    def _hear(self, fact: Fact) -> None:
        self.crowd.take(fact)
        member = self.records.members_by_cid.get(fact.cid)
        if member is None or member.status is not EnrollmentStatus.ACTIVE:
            return
        header = self.records.cohort(member.cohort)
        if self.hearing.hear(fact, [member.enrollment]) and member.status is EnrollmentStatus.ACTIVE and header is not None:
            self.early[header.at_node] += 1

    def _react(self, facts: Sequence[Fact]) -> None:
        for fact in facts:
            self._hear(fact)

    def _pause_for(self, cohort: str, reason: str) -> None:
        raise AssertionError(f"a rehearsal's outbox stopped {cohort}: {reason}")

    def _entered(self, member: Member) -> None:
        rate, goal = self.assumed.rates.get(GOAL), self.version.graph.goal
        if rate is None or goal is None:
            return
        does, share = drawn(f"{self.assumed.seed}|{GOAL}", member.cid)
        if does < rate.rate:
            at = moment_of(rate, member.entered_at, share)
            self.tell(fact_of(goal, member.cid, at, f"goal|{member.cid}", self._account, ""))

    def _sent(self, job: Job, members: Sequence[Member]) -> None:
        """Let some of those who got a message react to it."""
        self.crowd.brought(job.source, [member.cid for member in members])
        node = job.source.rpartition("|")[2]
        rate = self.assumed.rates.get(node)
        if rate is None:
            return
        occasion = self._awaited.get(node) or self._usual(job)
        seed, most, now = f"{self.assumed.seed}|{node}", rate.rate, self.clock.moment
        for member in members:
            does, share = drawn(seed, member.cid)
            if does < most:
                at = moment_of(rate, now, share)
                self.responses[node] += 1
                self.tell(fact_of(occasion, member.cid, at, f"{job.visit}|{member.cid}", self._account, job.source))

    def _usual(self, job: Job) -> Occasion:
        """Return how people react to a message: by its link if it has one, in the chat if it is LINE's."""
        template = self._templates.get(job.template_id)
        link = min(template.links, default="") if template else ""
        if link or job.channel is not DeliveryChannel.LINE:
            return Occasion(event="clicked", link=link or "link")
        return Occasion(event="postback")


def enters_at(graph: Scenario, person: Person, begins_at: datetime) -> datetime | None:
    """Return when a day of a person's own brings him into a scenario that goes by it, None when it never does again."""
    trigger = graph.trigger
    if not isinstance(trigger, DateTrigger):
        raise TypeError(type(trigger).__name__)
    day = person.day(trigger.date, AccountKey(graph.account) if graph.account else None)
    if day is None:
        return None
    until = UntilDate(date=trigger.date, offset_days=trigger.offset_days, yearly=trigger.yearly)
    at = until_ends(WaitNode(until=until, at=trigger.at, next=""), day, begins_at)
    return at if at >= begins_at else None


def _awaited(version: Version) -> dict[str, Occasion]:
    """Return, by send, what else than a reaction is waited for after it."""
    waits = [node for node in version.graph.nodes.values() if isinstance(node, WaitForResponseNode)]
    return {wait.of: wait.on for wait in waits if wait.on is not None}

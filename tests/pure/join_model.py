"""Random lives of a scenario under the join protocol, and the checker that says what must not have happened.

The real Cohorts, Engine, Nodes, Hearing, Upkeep and TableRecords run on a database in memory, driven by the machine that was
really compiled. Every statement, read, start and call is a point where a worker may die, fail, or wait while others run
(greenlets, so that the order is the seed's and nobody else's). What people get is told by their way: join_people.py.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import greenlet

from chalicelib.delivery.ledger import Ledger
from chalicelib.kernel.errors import ConflictError, TemporaryError
from chalicelib.kernel.facts import FriendBlocked, Responded
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.kernel.windows import next_grain
from chalicelib.scenarios.cohorts import Cohorts
from chalicelib.scenarios.engine import Engine
from chalicelib.scenarios.graph import is_timed, reached_at
from chalicelib.scenarios.hearing import Hearing
from chalicelib.scenarios.machine import Tally, walk
from chalicelib.scenarios.model import (
    INLINE,
    Enrollment,
    EnrollmentStatus,
    ScenarioHead,
    ScenarioState,
    Version,
    cohort_id,
    parse_cohort_id,
)
from chalicelib.scenarios.nodes import Nodes
from chalicelib.scenarios.relocation import Relocations
from chalicelib.scenarios.records import TableRecords, enrollment_key, enrollment_of, new_enrollment
from chalicelib.scenarios.steps import Steps
from chalicelib.scenarios.upkeep import Upkeep
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.pure.join_people import GRAPHS, MACHINES, MAPPINGS, Crowd, Effects, NoAccounts, Outbox, was_overtaken, wrongs_of

START = datetime(2026, 12, 1, 1, 0, tzinfo=UTC)
LAMBDA_LIFE = timedelta(minutes=5)
TASK_TIMEOUT = timedelta(seconds=290)
_PAUSES = [timedelta(seconds=seconds) for seconds in (0, 0, 0.2, 0.2, 3, 20)]
_LAST_ROUND = 60


class Death(BaseException):
    """A worker's process ends here."""


@dataclass
class Parts:
    """What a broken variant may put in the place of the real thing."""

    records: type[TableRecords] = TableRecords
    cohorts: type[Cohorts] = Cohorts
    engine: type[Engine] = Engine
    upkeep: type[Upkeep] = Upkeep
    relocations: type[Relocations] = Relocations
    hearing: type[Hearing] = Hearing


@dataclass
class Worker:
    """One call of a function. ended: what becomes of its answer; failed: what is done when there is none."""

    run: Any
    born: datetime
    ended: Callable[[Any], None]
    failed: Callable[[], None]


class Heads:
    """Heads and versions, as scenarios.table keeps them."""

    def __init__(self, versions: Mapping[int, Version], step: Callable[[], None]) -> None:
        first = versions[1]
        self.kept = ScenarioHead(first.scenario_id, first.graph.name, ScenarioState.ACTIVE, 1, {}, 1)
        self.by_number = versions
        self.step = step

    def head(self, scenario_id: str) -> ScenarioHead:
        self.step()
        return self.kept

    get = head

    def everyone(self) -> list[ScenarioHead]:
        return [self.head("s")]

    def keep(self, head: ScenarioHead) -> ScenarioHead:
        self.step()
        if head.revision != self.kept.revision + 1:
            raise ConflictError("scenario.changed_meanwhile")
        self.kept = head
        self.step()
        return head

    def arm(self, head: ScenarioHead) -> None:
        pass


class Life:
    """One random life of a scenario with a few people."""

    def __init__(self, seed: int, parts: Parts) -> None:
        dice = self.dice = random.Random(seed)
        self.clock = FakeClock(START)
        self.calm = False
        self.deaths = dice.choice([0.0, 0.004, 0.02])
        self.trouble = dice.choice([0.0, 0.0, 0.004, 0.02])
        self.haste = dice.choice([0.0, 0.02, 0.1])
        self.workers: list[Worker] = []
        self.agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self.count = 0
        self.started: dict[str, Mapping[str, Any]] = {}
        self.name = dice.choice(sorted(GRAPHS))
        self.stopped = False
        self.may_leave: set[Cid] = set()
        self._build(parts)
        self._plan(dice.randint(1, 4))

    def _build(self, parts: Parts) -> None:
        self.heads = Heads(GRAPHS[self.name], self._step)
        self.database = FakeDatabase(self._database_step)
        heads = self.heads

        class Records(parts.records):  # type: ignore[name-defined, misc]
            page = 2

            def head(self, scenario_id: str) -> ScenarioHead | None:
                return heads.head(scenario_id)

            def version(self, scenario_id: str, number: int) -> Version | None:
                return heads.by_number.get(number)

        self.records = Records(self.database)
        self.cohorts = parts.cohorts(self.records, cast("Any", self))
        self.outbox = Outbox(Ledger(self.database), self._step, self.dice)
        self.effects = Effects(self._step)
        nodes = Nodes(self.records, cast("Any", self.outbox), cast("Any", Crowd()), self.effects, NoAccounts())
        self.engine = parts.engine(self.records, self.cohorts, nodes, self.clock)
        self.hearing = parts.hearing(self.records, self.cohorts, self.clock)
        relocations = parts.relocations(self.records, self.cohorts, self.engine)
        self.upkeep = parts.upkeep(
            cast("Any", heads), self.cohorts, self.records, cast("Any", self), self.engine, relocations, self.clock
        )
        self.steps = Steps(self.engine, lambda facts: None, self.upkeep.pause_for, lambda: self.dice.random() < 0.7, lambda _: None)

    # What happens ---------------------------------------------------------------------------------------------------------

    def _plan(self, count: int) -> None:
        dice = self.dice
        self.people = [Cid(number) for number in dice.sample(range(1, 13), count)]
        at = START
        for cid in self.people:
            at += timedelta(minutes=dice.choice([0, 0, 0.5, 5, 20]))
            self._job(at, self._entry(cid, at))
            for _ in range(dice.choice([0, 1, 1, 2])):
                self._job(at + timedelta(minutes=dice.choice([0, 1, 5, 30, 60, 61, 65])), self._reaction(cid))
            if dice.random() < 0.1:
                self.may_leave.add(cid)
                self._job(at + timedelta(minutes=dice.randint(0, 120)), self._block(cid))
        for hours in range(1, 5):
            self._job(START + timedelta(hours=hours, minutes=dice.choice([0, 10, 31])), self._reconcile)
        luck = dice.random()
        if luck < 0.25:
            moment = START + timedelta(minutes=dice.choice([0, 1, 5, 30, 60, 61, 70]))
            self._job(moment, self._pause)
            later = moment + timedelta(minutes=dice.choice([0, 0.1, 5, 40, 100]))
            mode = dice.choice(["now", "shift", "skip"])
            self._job(later, lambda: self._resume(mode))
        elif luck < 0.3:
            self._job(START + timedelta(minutes=dice.choice([0, 1, 5, 30, 60, 61, 70])), self._stop)
        if dice.random() < 0.4:
            moment = START + timedelta(minutes=dice.choice([0, 1, 5, 20, 21, 30, 60, 61, 65, 70]))
            self._job(moment + timedelta(seconds=dice.choice([0, 1, 5, 30])), self._relocate)

    def _entry(self, cid: Cid, at: datetime) -> Callable[[], None]:
        """Enter somebody as entries do: straight into the cohort of a first wait, or walked until he waits."""
        is_walked = self.dice.random() < 0.5

        def enter() -> None:
            head = self.heads.head("s")
            key = enrollment_key(cid, "s")
            known = self.records.get([key]).get(key)
            if known is None and head.state is not ScenarioState.ACTIVE:
                return
            version = self.heads.by_number[head.version]
            first = version.graph.nodes[version.graph.start]
            if is_timed(first) and not is_walked:
                target = cohort_id(
                    version.scenario_id,
                    version.version,
                    version.graph.start,
                    next_grain(reached_at(first, at), timedelta(minutes=1)),
                )
                self.cohorts.enter([new_enrollment(key, cid, version, 1, "f", target, at, {})], target, self.clock.now())
                self.cohorts.start(target, self.clock.now())
                return
            if known is None:
                self.records.insert([new_enrollment(key, cid, version, 1, "f", INLINE, at, {})])
                known = self.records.get([key])[key]
            if known.row.cohort == INLINE and known.row.status == EnrollmentStatus.ACTIVE:
                self.engine.walk(known, None)

        return enter

    def _reaction(self, cid: Cid) -> Callable[[], None]:
        moment: list[datetime] = []

        def hear() -> None:
            moment[:] = moment or [self.clock.now()]
            fact = Responded(
                fact_id="r", cid=cid, at=moment[0], account=AccountKey("main"), line_user_id=LineUserId("U"), kind="postback"
            )
            self.hearing.hear(fact, self._active(cid))

        return hear

    def _block(self, cid: Cid) -> Callable[[], None]:
        def block() -> None:
            fact = FriendBlocked(
                fact_id="b", cid=cid, at=self.clock.now(), account=AccountKey("main"), line_user_id=LineUserId("U")
            )
            self.hearing.hear(fact, self._active(cid))

        return block

    def _active(self, cid: Cid) -> list[Enrollment]:
        return [one for one in self.records.of(cid) if one.row.status == EnrollmentStatus.ACTIVE]

    def _resume(self, mode: str) -> None:
        if self.heads.head("s").state is ScenarioState.PAUSED:
            self._enqueue(self.upkeep.resume("s", cast("Any", mode))[1])

    def _pause(self) -> None:
        if self.heads.head("s").state is ScenarioState.ACTIVE:
            self.upkeep.pause("s")

    def _stop(self) -> None:
        self.stopped = True
        if self.heads.head("s").state in (ScenarioState.ACTIVE, ScenarioState.PAUSED):
            self._enqueue(self.upkeep.stop("s")[1])

    def _relocate(self) -> None:
        """Publish the second version, and move everybody to it."""
        head = self.heads.head("s")
        if head.version == 1:
            self.heads.keep(replace(head, version=2, revision=head.revision + 1))
        self._enqueue(self.upkeep.relocate("s", 1, MAPPINGS[self.name])[1])

    def _reconcile(self) -> None:
        self._enqueue(self.upkeep.reconcile()[1])

    def _enqueue(self, steps: Sequence[Mapping[str, Any]]) -> None:
        for step in steps:
            self._job(self.clock.now(), lambda step=step: self._enqueue(self.upkeep.do(dict(step), lambda facts: None)))  # type: ignore[misc]

    # Step Functions -------------------------------------------------------------------------------------------------------

    def start(self, machine: str, execution: str, data: Mapping[str, Any]) -> None:
        """Implements ports.machines.Machines."""
        self._step()
        if execution not in self.started:
            self.started[execution] = dict(data)
            driver = greenlet.greenlet(lambda: self._execute(data))
            self._later(self.clock.now(), lambda: self._drive(driver, None))
            if self.dice.random() < 0.01 and not self.calm:  # AWS would not; a restore from a backup may
                twin = greenlet.greenlet(lambda: self._execute(data))
                self._later(self.clock.now() + timedelta(minutes=self.dice.choice([0, 5, 65])), lambda: self._drive(twin, None))
        self._step()

    def _execute(self, data: Mapping[str, Any]) -> None:
        ask = greenlet.getcurrent().parent.switch
        machine = MACHINES[self.name, parse_cohort_id(data["cohort"])[1]]
        for until in walk(machine, data, lambda payload: ask(("call", payload)), Tally()):
            ask(("wait", until))

    def _drive(self, driver: Any, answer: Any) -> None:
        driver.parent = greenlet.getcurrent()
        wanted = driver.switch(answer) if answer is not None else driver.switch()
        if driver.dead:
            return
        kind, what = wanted
        if kind == "wait":
            self._later(max(what, self.clock.now()), lambda: self._drive(driver, "woken"))
        else:
            self._call(driver, what, 0)

    def _call(self, driver: Any, payload: Mapping[str, Any], attempt: int) -> None:
        """Call the function until it answers; a try that takes too long is given up, and lives on beside the next one."""
        open_ = [True]

        def ended(answer: Any) -> None:
            if open_:
                open_.clear()
                self._drive(driver, answer)

        def again() -> None:
            if not open_:
                return
            open_.clear()
            if attempt < 15 and not (not self.calm and self.dice.random() < 0.02):  # else the execution fails
                self._later(
                    self.clock.now() + timedelta(seconds=2 ** min(attempt, 6)), lambda: self._call(driver, payload, attempt + 1)
                )

        self._work(lambda: self.steps.handle(payload), ended, again)
        self._later(self.clock.now() + TASK_TIMEOUT, again)

    # Workers and time -----------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        parent = greenlet.getcurrent().parent
        if parent is not None:
            parent.switch()

    def _database_step(self, what: str) -> None:
        if greenlet.getcurrent().parent is None:
            return
        if not what.startswith("after"):
            self._step()
        if self.trouble and not self.calm and self.dice.random() < self.trouble:
            raise TemporaryError("DynamoDB", maybe_done=what.startswith("after"))

    def _later(self, at: datetime, act: Callable[[], None]) -> None:
        self.count += 1
        heapq.heappush(self.agenda, (at, self.count, act))

    def _job(self, at: datetime, act: Callable[[], None]) -> None:
        """Let a message of a queue be worked through until somebody comes to its end."""

        def again() -> None:
            self._job(self.clock.now() + timedelta(minutes=self.dice.choice([0, 1, 6])), act)

        self._later(at, lambda: self._work(act, lambda _: None, again))

    def _work(self, job: Callable[[], Any], ended: Callable[[Any], None], failed: Callable[[], None]) -> None:
        self.workers.append(Worker(greenlet.greenlet(lambda: ("done", job())), self.clock.now(), ended, failed))

    def _turn(self, worker: Worker) -> None:
        """Let a worker go on to its next point, or die there."""
        dies = not self.calm and (self.dice.random() < self.deaths or self.clock.now() - worker.born > LAMBDA_LIFE)
        try:
            answer = worker.run.throw(Death) if dies else worker.run.switch()
        except (Death, TemporaryError, ConflictError):
            answer = None
        if worker.run.dead:
            self.workers.remove(worker)
            if answer is None:
                worker.failed()
            else:
                worker.ended(answer[1])

    def live(self) -> None:
        rounds = 0
        while rounds < _LAST_ROUND:
            if self.workers and not (self.agenda and not self.calm and self.dice.random() < self.haste):
                self._turn(self.workers[int(self.dice.random() * len(self.workers))])
                self.clock.set(self.clock.now() + _PAUSES[int(self.dice.random() * 6)])
            elif self.agenda:
                at, _, act = heapq.heappop(self.agenda)
                self.clock.set(max(at, self.clock.now()))
                act()
            else:
                self.calm = True
                rounds += 1
                if self.heads.kept.state is ScenarioState.PAUSED:
                    self._job(self.clock.now(), lambda: self._resume("now"))
                if rounds > 3 and not self._open_cohorts():
                    return
                self._job(self.clock.now() + timedelta(hours=1, minutes=1), self._reconcile)

    def _open_cohorts(self) -> list[Any]:
        self.database.step, step = None, self.database.step
        found = self.records.live_cohorts("s")
        self.database.step = step
        return found

    # The checker ----------------------------------------------------------------------------------------------------------

    def check(self) -> Iterator[str]:
        """Yield everything that must not have happened."""
        self.database.step = None
        for cohort in self.records.live_cohorts("s"):
            yield f"cohort {cohort.cohort_id} is still live at {cohort.at_node}"
        for cid in self.people:
            for one in self.records.of(cid):
                did = self.outbox.did(cid) + self.effects.did(cid)
                may_leave = cid in self.may_leave or self.stopped
                # Who left before the worker that walked him came back to freeze his message is told so by delivery alone.
                untold = {visit for visit, note in one.path.items() if note == "sent" and one.row.cohort != INLINE}
                untold -= self.outbox.told(cid)
                overtaken = {visit for visit in untold if was_overtaken(one, visit)}
                did += [visit.rpartition("__")[0] for visit in overtaken]
                yield from (f"{cid} {what}" for what in wrongs_of(self.name, one, did, may_leave=may_leave))
                yield from (f"{cid} is told to have got {visit}" for visit in untold - overtaken)
                if one.version == 1 and self.heads.kept.moves and one.row.status == EnrollmentStatus.ACTIVE:
                    yield f"{cid} stayed in the old version"


def violations(cases: range, parts: Parts) -> Iterator[tuple[int, str]]:
    """Yield the seed of each life in which something happened that must not, and what."""
    for seed in cases:
        life = Life(seed, parts)
        life.live()
        for what in life.check():
            yield seed, what

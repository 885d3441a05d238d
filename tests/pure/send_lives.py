"""Random lives of one page of members under the send protocol, and the checker that says what must not have happened.

The real Delivery, Ledger, Senders and Composer run on a database and an outside in memory. Every statement, read and call is
a point where a worker may die, or wait while another one runs (greenlets, so that the order is the seed's and nobody else's).
Between what a worker did last and what it does next nothing else happens, so one such point before each is enough.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, cast

import greenlet

from chalicelib.customers.model import Consent
from chalicelib.delivery.caps import Caps
from chalicelib.delivery.ledger import Ledger
from chalicelib.delivery.model import ACTIVE, Batch, BatchState, Job, row_of
from chalicelib.delivery.senders import KEY_LIFE, Senders
from chalicelib.delivery.service import Delivery
from chalicelib.kernel.errors import SendingStoppedError, TemporaryError
from chalicelib.kernel.facts import ReplyToken
from chalicelib.kernel.ids import AccountKey, Cid, TemplateId
from chalicelib.messages.model import Template
from chalicelib.ports.database import Item
from chalicelib.settings import settings
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase
from tests.pure.send_outside import (
    CONTENT,
    START,
    Accounts,
    Crowd,
    LightSenders,
    Mail,
    NoTracking,
    Outside,
    SmallBatches,
    Store,
    Templates,
    Texts,
    person,
)

COHORT, VISIT, PAGE = "s-v1-a-202612010100", "a__202612010100", "s-v1-a-202612010100|a__202612010100|0|"
MEMBERS = "CMP#x#0"
LAMBDA_LIFE = timedelta(minutes=15)
LINE_LANES = ("multicast", "multicast", "multicast", "push", "push", "reply")
MAIL_LANES = ("email", "sms", "postal")
_PAUSES = [timedelta(seconds=seconds) for seconds in (0, 0.2, 0.2, 0.2, 3)]
_ACCOUNTS = [AccountKey("main"), AccountKey("shop")]


class Death(BaseException):
    """A worker's process ends here."""


@dataclass
class Parts:
    """What a broken variant may put in the place of the real thing."""

    delivery: type[Delivery] = Delivery
    senders: type[Senders] = LightSenders
    ledger: type[Ledger] = Ledger


@dataclass
class Worker:
    """One Lambda call, delivering the page or reconciling."""

    run: Any
    born: datetime


class Life:
    """One random life of one page of members."""

    def __init__(self, seed: int, lanes: Sequence[str], parts: Parts) -> None:
        dice = self.dice = random.Random(seed)
        self.calm = False
        self.clock = FakeClock(START)
        self.database = FakeDatabase(self._database_step)
        self.ledger = parts.ledger(self.database)
        self.lane = dice.choice(lanes)
        self.deaths = dice.choice([0.0, 0.01, 0.03])
        self.database_trouble = dice.choice([0.0, 0.0, 0.01, 0.03])
        self.outages = dice.random() < 0.3
        count = 1 if self.lane == "reply" else dice.randint(2, 6)
        users = [f"U{number}" for number in range(1, count + 1)]
        bad = dice.sample(users, dice.choice([0, 0, 0, 0, 1, 2])) if self.lane in ("multicast", "push") else []
        self.outside = Outside(dice, self.clock, self._step, dice.choice([0.0, 0.1, 0.4]), frozenset(bad))
        self.is_quiet = not (self.deaths or self.database_trouble or self.outside.trouble)
        people = {Cid(i): person(i, dice.choice(["main", "main", "shop"])) for i in range(1, count + 1)}
        self.crowd = Crowd(people, lambda: self._database_step("before load"))
        self.refused_at: dict[Cid, bool] = {}
        self.left: set[Cid] = set()
        self.unknown_at: dict[str, datetime] = {}
        self.workers: list[Worker] = []
        self._build(parts)

    def _build(self, parts: Parts) -> None:
        channel, content = CONTENT[self.lane]
        template = Template(TemplateId("tpl_x"), "x", channel, content, 1, START)
        reply = ReplyToken("token", START) if self.lane == "reply" else None
        if reply and self.dice.random() < 0.3:
            self.clock.advance(seconds=self.dice.choice([20, 45, 49]))
        self.job = Job(PAGE, COHORT, VISIT, channel, "tpl_x", "scn|s|a", START, reply=reply)
        outside: Any = self.outside
        senders = parts.senders(
            self.ledger, cast("Any", Accounts()), outside, Mail(outside), Texts(outside), cast("Any", Store(outside)),
            cast("Any", None), self.clock,
        )  # fmt: skip
        composer = SmallBatches(cast("Any", Templates(template)), cast("Any", NoTracking()), settings())
        self.delivery = parts.delivery(self.ledger, cast("Any", self.crowd), composer, senders, Caps(self.database), self.clock)
        row = {"pk": MEMBERS, "cohort": COHORT, "status": ACTIVE, "last": "", "claim": ""}
        # The very items of the table: what the world does to them is no step.
        self.members: dict[Cid, Item] = {
            cid: {**row, "path": {}, "sk": f"{cid:012d}", "cid": int(cid)} for cid in self.crowd.people
        }
        self.database.tables[settings().engine_table][MEMBERS] = {item["sk"]: item for item in self.members.values()}

    # Steps ----------------------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        parent = greenlet.getcurrent().parent
        if parent is not None:
            parent.switch()

    def _database_step(self, what: str) -> None:
        if what.startswith("after put UNKNOWN"):
            self.unknown_at.setdefault(what.rpartition(" ")[2], self.clock.now())
        if greenlet.getcurrent().parent is None:  # the world's own doing, not a worker's
            return
        if not what.startswith("after"):
            self._step()
        if self.database_trouble and not self.calm and self.dice.random() < self.database_trouble:
            # As adapters/database.py has it: only of a write whose answer was lost it says so.
            is_unclear = what.startswith(("after INSERT", "after UPDATE", "after DELETE"))
            raise TemporaryError("DynamoDB", maybe_done=is_unclear)

    # Time, people and workers ---------------------------------------------------------------------------------------------

    def live(self) -> None:
        for attempt in range(60):
            self.calm = self.calm or attempt > 12
            self.outside.trouble = 0.0 if self.calm else self.outside.trouble * 0.9
            if self._work(self._deliver):
                break
            self._wait()
        self.calm, self.outside.trouble, self.outside.out_of_messages = True, 0.0, False
        for _ in range(3):
            self.clock.advance(minutes=40)
            self._tell()
            self._work(self._reconcile)

    def _wait(self) -> None:
        self.clock.advance(minutes=self.dice.choice([0.2, 1, 5, 31]))
        if self.outages and not self.calm and self.dice.random() < 0.2:
            self.clock.advance(hours=self.dice.choice([20, 23.6, 30]))
        self.outside.out_of_messages = self.job.channel == "line" and not self.calm and self.dice.random() < 0.1
        self._tell()
        if self.dice.random() < 0.1:
            self._work(self._reconcile)

    def _tell(self) -> None:
        """Deliver the provider's events that are due."""
        for at, key in self.outside.events:
            if at <= self.clock.now():
                self.ledger.note_event(key, "send", at)

    def _deliver(self) -> bool:
        try:
            rows = [row_of(item) for item in self.database.query(settings().engine_table, MEMBERS)]
            self.delivery.deliver(self.job, rows, _ACCOUNTS)
            self._step()
        except (TemporaryError, SendingStoppedError):
            return False
        return True

    def _reconcile(self) -> bool:
        try:
            self.delivery.reconcile(timedelta(minutes=15))
        except TemporaryError:
            return False
        return True

    def _work(self, job: Callable[[], bool]) -> bool:
        """Run a worker by turns with those that are still alive; say whether one delivered to a good end.

        A zombie may sleep on when this worker ends, and come back during a later one.
        """
        done = False
        main = self._start(job)
        while not main.run.dead or (self.workers and (self.calm or self.dice.random() < 0.95)):
            worker = self.workers[int(self.dice.random() * len(self.workers))]
            self.clock.set(self.clock.now() + _PAUSES[int(self.dice.random() * 5)])
            luck = 0.5 if self.calm else self.dice.random()
            if luck < self.deaths or self.clock.now() - worker.born > LAMBDA_LIFE:
                self._kill(worker)
            else:
                if luck < self.deaths * 1.5 and len(self.workers) < 3:
                    self._start(self._deliver)
                elif luck > 0.99:
                    self._people_change(busy=True)
                done = bool(worker.run.switch()) or done
            if worker.run.dead:
                self.workers.remove(worker)
        if not self.calm and self.dice.random() < 0.02:
            self._people_change(busy=bool(self.workers))
        return done

    def _start(self, job: Callable[[], bool]) -> Worker:
        worker = Worker(greenlet.greenlet(job), self.clock.now())
        self.workers.append(worker)
        return worker

    def _kill(self, worker: Worker) -> None:
        try:
            worker.run.throw(Death)
        except Death:
            pass

    def _people_change(self, *, busy: bool) -> None:
        cid = self.dice.choice(list(self.crowd.people))
        item = self.members[cid]
        luck = self.dice.random()
        if luck < 0.5:
            item |= {"status": "exited"} if luck < 0.25 else {"cohort": "another"}
            self.left.add(cid)
        elif cid not in self.refused_at:
            someone = self.crowd.people[cid]
            consents = {CONTENT[self.lane][0]: Consent(is_opted_out=True, at="", source="")}
            self.crowd.people[cid] = replace(someone, customer=replace(someone.customer, consents=consents))
            # While a worker is busy, it may have decided already.
            self.refused_at[cid] = busy or bool(item["claim"])

    # The checker ----------------------------------------------------------------------------------------------------------

    def check(self) -> list[str]:
        """Return everything that must not have happened."""
        self.database.step = None
        batches = self.ledger.batches(PAGE)
        found = [f"U{cid} {what}" for cid in self.crowd.people for what in self._fate(cid, batches)]
        for batch in batches:
            if batch.state is BatchState.UNKNOWN:
                found += self._excuse(batch)
            elif batch.state is BatchState.FROZEN:
                found.append(f"batch {batch.number} is still open")
        listed = {(entry["batch_id"], entry["sk"]) for entry in self.ledger.unknown_batches()}
        if listed != {(PAGE, f"{PAGE}#{batch.number:04d}") for batch in batches if batch.state is BatchState.UNKNOWN}:
            found.append("the list of unknown batches is not true")
        if self.ledger.open_batches(self.clock.now() + timedelta(days=1)):
            found.append("the list of open batches is not empty")
        return found

    def _fate(self, cid: Cid, batches: Sequence[Batch]) -> Iterator[str]:
        user_id = f"U{cid}"
        letters = "|".join(content.decode() for content in self.outside.files.values()).split("|")
        count = letters.count(user_id) if self.lane == "postal" else self.outside.box[user_id]
        if count > 1:
            yield f"got it {count} times"
        if count and self.refused_at.get(cid) is False:
            yield "had refused before anything was decided"
        own = [batch for batch in batches if cid in batch.members]
        excused = cid in self.refused_at or cid in self.left or user_id in self.outside.bad
        excused = excused or any(batch.state is BatchState.UNKNOWN for batch in own)
        if not count and not excused:
            yield "was lost"
        if self.members[cid]["claim"] and not own and not excused:
            yield "is claimed and in no batch"

    def _excuse(self, batch: Batch) -> Iterator[str]:
        """Only time makes a batch unknown that has keys; what cannot be repeated needs an accident as well."""
        since = self.unknown_at[f"{PAGE}#{batch.number:04d}"] - (batch.attempted_at or batch.frozen_at)
        if self.lane in ("sms", "reply"):
            excused = not self.is_quiet
        else:
            excused = self.lane in ("multicast", "push") and since >= KEY_LIFE
        if not excused:
            yield f"batch {batch.number} is unknown for no reason"


def violations(cases: range, lanes: Sequence[str], parts: Parts) -> Iterator[tuple[int, str]]:
    """Yield the seed of each life in which something happened that must not, and what."""
    for seed in cases:
        life = Life(seed, lanes, parts)
        life.live()
        for what in life.check():
            yield seed, what


def is_found(what: str, lanes: Sequence[str], parts: Parts) -> bool:
    """Say whether the checker tells this of a broken variant within a few thousand lives."""
    return any(what in found for _, found in violations(range(6000), lanes, parts))

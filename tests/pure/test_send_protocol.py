"""The send protocol under every schedule that chance finds: crashes, zombies, outages, exits; nobody lost, nobody doubled.

The real Delivery, Senders and Composer run on a ledger and a LINE in memory. Every port call is a point where a worker may
die, or wait while another one runs (greenlets, so that the order is the seed's and nobody else's).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import greenlet
import pytest

import chalicelib.delivery.service as service_module
from chalicelib.customers.model import Consent, Customer, DeliveryChannel, Profile
from chalicelib.delivery.compose import Composer, Recipient
from chalicelib.delivery.model import ACTIVE, Batch, BatchState, Call, Job, Row
from chalicelib.delivery.senders import KEY_LIFE, Senders
from chalicelib.delivery.service import Delivery
from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.errors import PermanentError, QuotaExceededError, TemporaryError
from chalicelib.kernel.facts import ReplyToken
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId, TemplateId
from chalicelib.messages.model import Template
from chalicelib.orders.model import PurchaseStats
from chalicelib.ports.line import SendAccepted
from chalicelib.segments.model import Person
from chalicelib.settings import settings
from tests.fakes.clock import FakeClock
from tests.fakes.ledger import FakeLedger, KeptRow

START = datetime(2026, 12, 1, 1, 0, tzinfo=UTC)
COHORT, VISIT, PAGE = "s-v1-a-202612010100", "a__202612010100", "s-v1-a-202612010100|a__202612010100|0|"
LAMBDA_LIFE = timedelta(minutes=15)
REPLY_TOKEN_LIVES = timedelta(seconds=60)
LINE_REMEMBERS = timedelta(hours=24)
CASES = 3000


class Death(BaseException):
    """A worker's process ends here."""


@dataclass
class Outside:
    """LINE, SES, SMS and S3: what arrives at people, whatever the answer says."""

    dice: random.Random
    clock: FakeClock
    step: Callable[[], None]
    ledger: FakeLedger
    trouble: float
    bad: str
    box: Counter[str] = field(default_factory=Counter)
    keys: dict[str, datetime] = field(default_factory=dict)
    used_tokens: set[str] = field(default_factory=set)
    events: list[tuple[datetime, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    arrivals: list[tuple[str, datetime]] = field(default_factory=list)
    out_of_messages: bool = False

    def send(self, credentials: object, verb: str, body: dict[str, Any], retry_key: str = "") -> SendAccepted:
        self.step()
        luck = self.dice.random()
        if self.out_of_messages and verb != "reply":
            raise QuotaExceededError("429: You have reached your monthly limit.")
        if luck < self.trouble / 3:
            raise TemporaryError("429: rate")
        if luck < self.trouble * 2 / 3:
            raise TemporaryError("503 or a time-out, before it was taken", maybe_done=True)
        answer = self._accept(verb, body, retry_key)
        if luck < self.trouble:
            raise TemporaryError("500 or a time-out, after it was taken", maybe_done=True)
        self.step()
        return answer

    def _accept(self, verb: str, body: dict[str, Any], retry_key: str) -> SendAccepted:
        if verb == "reply":
            if body["replyToken"] in self.used_tokens or self.clock.now() - START >= REPLY_TOKEN_LIVES:
                raise PermanentError("LINE /v2/bot/message/reply 400: Invalid reply token")
            self.used_tokens.add(body["replyToken"])
            self.arrive(["U1"])
            return SendAccepted("r")
        known = self.keys.get(retry_key)
        if known is not None and self.clock.now() - known < LINE_REMEMBERS:
            return SendAccepted("r", already=True)
        to = body["to"] if isinstance(body["to"], list) else [body["to"]]
        if self.bad in to:
            raise PermanentError("400: The property, 'to', in the request body is invalid")
        self.keys[retry_key] = self.clock.now()
        self.arrive(to)
        return SendAccepted("r")

    def arrive(self, to: Iterable[str]) -> None:
        for user_id in to:
            self.box[user_id] += 1
            self.arrivals.append((user_id, self.clock.now()))

    def mail(self, to: str, key: str, *, tells: bool) -> str:
        self.step()
        luck = self.dice.random()
        if luck < self.trouble / 3:
            raise TemporaryError("throttled")
        if luck < self.trouble * 2 / 3:
            raise TemporaryError("a time-out, before it was taken", maybe_done=True)
        self.arrive([to])
        if tells:
            self.events.append((self.clock.now() + timedelta(minutes=self.dice.choice([0, 2, 12])), key))
        if luck < self.trouble:
            raise TemporaryError("a time-out, after it was taken", maybe_done=True)
        self.step()
        return "m"

    def tell(self) -> None:
        """Deliver the provider's events that are due."""
        for at, key in self.events:
            if at <= self.clock.now():
                self.ledger.note_event(key, "send", at)


@dataclass
class Mail:
    outside: Outside

    def send(self, email: Any) -> str:
        return self.outside.mail(email.to.partition("@")[0], email.tags["delivery"], tells=True)


@dataclass
class Texts:
    outside: Outside

    def send(self, to: str, text: str, reference: str) -> str:
        return self.outside.mail(f"U{int(to[-3:])}", reference, tells=False)


@dataclass
class Store:
    outside: Outside

    def put(self, key: str, content: bytes, content_type: str) -> None:
        self.outside.step()
        if self.outside.dice.random() < self.outside.trouble:
            raise TemporaryError("S3")
        self.outside.files[key] = content
        self.outside.step()


class Accounts:
    def credentials(self, account: str) -> str:
        return account


class NoTracking:
    def opt_out_url(self, *_: Any) -> str:
        return "https://crm.test/u/x"

    def open_url(self, *_: Any) -> str:
        return "https://crm.test/o/x"


@dataclass
class Crowd:
    """The people, and who has refused."""

    people: dict[Cid, Person]
    step: Callable[[], None]

    def load(self, cids: Iterable[Cid], accounts: Sequence[AccountKey]) -> dict[Cid, Person]:
        self.step()
        return {cid: self.people[cid] for cid in cids}


class SmallBatches(Composer):
    """Two people a batch, so that few people make many batches."""

    def compose(self, job: Job, number: int, recipients: Sequence[Recipient], now: datetime) -> Batch:
        return super().compose(job, number, recipients[:2], now)


@dataclass
class Templates:
    template: Template

    def get(self, template_id: str) -> Template:
        return self.template


class LightSenders(Senders):
    """Letters cost reportlab half a second; here they are their references."""

    def _print(self, call: Call) -> str:
        self._files.put(f"postal/{call.key}", "|".join(letter["name"] for letter in call.body["letters"]).encode(), "")
        return "accepted"


def person(number: int, account: str) -> Person:
    cid = Cid(number)
    profile = Profile(
        name=f"U{number}",
        email=f"U{number}@x.test",
        phone=f"+819012345{number:03d}",
        postal_code="100-0001",
        prefecture="東京都",
        address="1",
    )
    friend = Friend(cid, AccountKey(account), LineUserId(f"U{number}"), FollowState.FOLLOWING, START)
    return Person(Customer(cid, profile), PurchaseStats(), frozenset(), {friend.account: friend})


CONTENT = {
    "multicast": (DeliveryChannel.LINE, {"messages": [{"type": "text", "text": "hello"}]}),
    "push": (DeliveryChannel.LINE, {"messages": [{"type": "text", "text": "hello {{name}}"}]}),
    "reply": (DeliveryChannel.LINE, {"messages": [{"type": "text", "text": "welcome"}]}),
    "email": (DeliveryChannel.EMAIL, {"subject": "s", "text": "t"}),
    "sms": (DeliveryChannel.SMS, {"text": "t"}),
    "postal": (DeliveryChannel.POSTAL, {"heading": "h", "body": "b"}),
}


@dataclass
class Parts:
    """What a broken variant may put in the place of the real thing."""

    delivery: type[Delivery] = Delivery
    senders: type[Senders] = LightSenders
    ledger: type[FakeLedger] = FakeLedger


class Run:
    """One random life of one page of members."""

    def __init__(self, seed: int, parts: Parts) -> None:
        self.dice = random.Random(seed)
        self.calm = False
        self.clock = FakeClock(START)
        self.ledger = parts.ledger(self.step)
        self.lane = self.dice.choice(["multicast", "multicast", "multicast", "push", "push", "reply", "email", "sms", "postal"])
        count = 1 if self.lane == "reply" else self.dice.randint(2, 6)
        bad = f"U{self.dice.randint(1, count)}" if self.dice.random() < 0.2 and self.lane in ("multicast", "push") else ""
        self.outside = Outside(self.dice, self.clock, self.step, self.ledger, self.dice.choice([0.0, 0.1, 0.4]), bad)
        self.deaths = self.dice.choice([0.0, 0.02, 0.06])
        self.outages = self.dice.random() < 0.3
        self.crowd = Crowd({Cid(i): person(i, self.dice.choice(["main", "main", "shop"])) for i in range(1, count + 1)}, self.step)
        channel, content = CONTENT[self.lane]
        template = Template(TemplateId("tpl_x"), "x", channel, content, 1, START)
        reply = ReplyToken("token", START) if self.lane == "reply" else None
        if reply and self.dice.random() < 0.3:
            self.clock.advance(seconds=self.dice.choice([20, 45, 49]))
        self.job = Job(PAGE, COHORT, VISIT, channel, "tpl_x", "scn|s|a", START, reply=reply)
        senders = parts.senders(
            cast("Any", self.ledger), cast("Any", Accounts()), cast("Any", self.outside), Mail(self.outside), Texts(self.outside),
            cast("Any", Store(self.outside)),
        )  # fmt: skip
        composer = SmallBatches(cast("Any", Templates(template)), cast("Any", NoTracking()), settings())
        self.delivery = parts.delivery(cast("Any", self.ledger), cast("Any", self.crowd), composer, senders, self.clock)
        for cid in self.crowd.people:
            self.ledger.rows[f"C#{cid}", "E"] = KeptRow(Row(f"C#{cid}", "E", cid, COHORT, ACTIVE, "", ""))
        self.refused_at: dict[Cid, tuple[datetime, bool]] = {}
        self.exited: set[Cid] = set()

    def step(self) -> None:
        parent = greenlet.getcurrent().parent
        if parent is not None:
            parent.switch()

    # Time, people and workers ---------------------------------------------------------------------------------------------

    def live(self) -> None:
        for attempt in range(60):
            self.calm = attempt > 12
            if self._attempt():
                break
            self._wait()
        self.calm, self.outside.trouble, self.outside.out_of_messages = True, 0.0, False
        for _ in range(3):
            self.clock.advance(minutes=40)
            self.outside.tell()
            self._work([greenlet.greenlet(lambda: self.delivery.reconcile(timedelta(minutes=15)))])

    def _wait(self) -> None:
        self.clock.advance(minutes=self.dice.choice([0.2, 1, 5, 31]))
        if self.outages and not self.calm and self.dice.random() < 0.2:
            self.clock.advance(hours=self.dice.choice([20, 23.6, 30]))
        if self.lane in ("multicast", "push") and not self.calm:
            self.outside.out_of_messages = self.dice.random() < 0.1
        self.outside.tell()

    def _attempt(self) -> bool:
        self.outside.trouble *= 0.9
        if self.calm:
            self.outside.trouble, self.outside.out_of_messages = 0.0, False
        return self._work([greenlet.greenlet(self._deliver)])

    def _deliver(self) -> bool:
        try:
            self.delivery.deliver(self.job, self.ledger.read(), [AccountKey("main"), AccountKey("shop")])
        except (TemporaryError, QuotaExceededError):
            return False
        return True

    def _work(self, workers: list[Any]) -> bool:
        """Run workers by turns until all have ended; say whether one came to a good end."""
        born = {worker: self.clock.now() for worker in workers}
        done = False
        while workers:
            worker = self.dice.choice(workers)
            self.clock.advance(seconds=self.dice.choice([0, 0.2, 0.2, 0.2, 3]))
            self._people_change(busy=True)
            late = self.clock.now() - born[worker] > LAMBDA_LIFE
            if late or (not self.calm and self.dice.random() < self.deaths):
                self._kill(worker)
            else:
                if not self.calm and len(workers) < 3 and self.dice.random() < self.deaths / 2:
                    zombie = greenlet.greenlet(self._deliver)
                    workers.append(zombie)
                    born[zombie] = self.clock.now()
                done = bool(worker.switch()) or done
            workers = [one for one in workers if not one.dead]
        self._people_change(busy=False)
        return done

    def _kill(self, worker: Any) -> None:
        try:
            worker.throw(Death)
        except Death:
            pass

    def _people_change(self, *, busy: bool) -> None:
        if self.calm or self.dice.random() > 0.01:
            return
        cid = self.dice.choice(list(self.crowd.people))
        kept = self.ledger.rows[f"C#{cid}", "E"]
        if self.dice.random() < 0.5:
            kept.row = replace(kept.row, status="exited")
            self.exited.add(cid)
        elif cid not in self.refused_at:
            someone = self.crowd.people[cid]
            consents = {self.job.channel: Consent(is_opted_out=True, at="", source="")}
            self.crowd.people[cid] = replace(someone, customer=replace(someone.customer, consents=consents))
            # While a worker is busy, it may have decided already.
            self.refused_at[cid] = (self.clock.now(), busy or bool(kept.row.claim))

    # The checker ------------------------------------------------------------------------------------------------------------

    def check(self) -> list[str]:
        """Return everything that must not have happened."""
        found = [f"U{cid} {what}" for cid in self.crowd.people for what in self._fate(cid)]
        for batch in self.ledger.unclear.values():
            found += self._excuse(batch)
        if self.ledger.open:
            found.append("a batch is still open")
        return found

    def _fate(self, cid: Cid) -> Iterable[str]:
        user_id = f"U{cid}"
        letters = "|".join(content.decode() for content in self.outside.files.values()).split("|")
        count = letters.count(user_id) if self.lane == "postal" else self.outside.box[user_id]
        if count > 1:
            yield f"got it {count} times"
        refused = self.refused_at.get(cid)
        if count and refused and not refused[1]:
            yield "had refused before anything was decided"
        kept = self.ledger.rows[f"C#{cid}", "E"]
        batches = [batch for batch in self.ledger.frozen.values() if cid in batch.members]
        excused = refused or cid in self.exited or user_id == self.outside.bad
        excused = excused or any(batch.state is BatchState.UNKNOWN for batch in batches)
        if not count and not excused:
            yield "was lost"
        if kept.row.claim and not batches and not excused:
            yield "is claimed and in no batch"

    def _excuse(self, batch: Batch) -> Iterable[str]:
        if self.lane in ("sms", "reply"):
            return
        started = batch.attempted_at or batch.frozen_at
        if self.lane in ("email", "postal") or not self.outages or self.clock.now() - started < KEY_LIFE:
            yield f"batch {batch.number} is unknown for no reason"


def violations(cases: range, parts: Parts) -> list[tuple[int, str]]:
    found = []
    for seed in cases:
        run = Run(seed, parts)
        run.live()
        found += [(seed, what) for what in run.check()]
    return found


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of lives would print tens of thousands of log lines."""
    monkeypatch.setattr("builtins.print", lambda *_, **__: None)


def test_nobody_is_lost_or_doubled_and_unknown_is_only_what_nobody_can_know() -> None:
    assert violations(range(CASES), Parts()) == []


# The checker is no rubber stamp ---------------------------------------------------------------------------------------------


class MarksBeforeCalling(Delivery):
    def _settle(self, batch: Batch) -> int:
        self._ledger.save(batch, ["accepted"] * len(batch.calls), BatchState.SENT)
        for call in batch.calls:
            self._senders.call(batch, call, self._clock.now(), again=False)
        return 0


class NewKeyEachTry(LightSenders):
    def call(self, batch: Batch, call: Call, now: datetime, *, again: bool) -> str:
        key = str(UUID(int=random.Random(f"{now}").getrandbits(128)))
        return super().call(batch, replace(call, key=key) if batch.verb in ("push", "multicast") else call, now, again=again)


class ClaimsOnlyNewRows(FakeLedger):
    def _is_taken(self, row: Row, visit: str, batch_id: str) -> bool:
        return False


class RepliesAgain(LightSenders):
    """A token that is refused the second time would show that the first try got through, were it not for pushes and zombies."""

    def _reply(self, batch: Batch, call: Call, now: datetime, *, again: bool) -> str:
        try:
            return super()._reply(batch, call, now, again=False)
        except TemporaryError:
            return "accepted earlier"


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        (Parts(delivery=MarksBeforeCalling), "lost"),
        (Parts(senders=NewKeyEachTry), "times"),
        (Parts(ledger=ClaimsOnlyNewRows), "lost"),
        (Parts(senders=RepliesAgain), "times"),
    ],
    ids=["mark before call", "a random key a try", "claims only new rows", "a reply tried again"],
)
def test_the_checker_catches_a_broken_protocol(parts: Parts, word: str) -> None:
    assert any(word in what for _, what in violations(range(1500), parts))


def test_the_checker_catches_a_key_that_is_used_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "KEY_LIFE", timedelta(days=9))
    assert any("times" in what for _, what in violations(range(1500), Parts()))

"""What surrounds the send protocol in its model: LINE, SES, SMS and S3 with their whims, people, templates."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from chalicelib.customers.model import Customer, DeliveryChannel, Profile
from chalicelib.delivery.compose import Composer, Recipient
from chalicelib.delivery.model import Batch, Call, Job
from chalicelib.delivery.senders import Senders
from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.errors import PermanentError, QuotaExceededError, TemporaryError
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.messages.model import Template
from chalicelib.orders.model import PurchaseStats
from chalicelib.ports.line import Quota, SendAccepted
from chalicelib.segments.model import Person
from tests.fakes.clock import FakeClock

START = datetime(2026, 12, 1, 1, 0, tzinfo=UTC)
REPLY_TOKEN_LIVES = timedelta(seconds=60)
LINE_REMEMBERS = timedelta(hours=24)
CONTENT: dict[str, tuple[DeliveryChannel, dict[str, Any]]] = {
    "multicast": (DeliveryChannel.LINE, {"messages": [{"type": "text", "text": "hello"}]}),
    "push": (DeliveryChannel.LINE, {"messages": [{"type": "text", "text": "hello {{name}}"}]}),
    "reply": (DeliveryChannel.LINE, {"messages": [{"type": "text", "text": "welcome"}]}),
    "email": (DeliveryChannel.EMAIL, {"subject": "s", "text": "t"}),
    "sms": (DeliveryChannel.SMS, {"text": "t"}),
    "postal": (DeliveryChannel.POSTAL, {"heading": "h", "body": "b"}),
}


@dataclass
class Outside:
    """What arrives at people, whatever the answer says. step: another worker may come in here, or this one die.

    trouble: how often a call fails, before or after it was taken. bad: ids that LINE refuses.
    """

    dice: random.Random
    clock: FakeClock
    step: Callable[[], None]
    trouble: float
    bad: frozenset[str]
    box: Counter[str] = field(default_factory=Counter)
    keys: dict[str, datetime] = field(default_factory=dict)
    used_tokens: set[str] = field(default_factory=set)
    events: list[tuple[datetime, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
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
        return answer

    def quota(self, credentials: object) -> Quota:
        return Quota(1000, 1000 if self.out_of_messages else 0)

    def _accept(self, verb: str, body: dict[str, Any], retry_key: str) -> SendAccepted:
        if verb == "reply":
            if body["replyToken"] in self.used_tokens or self.clock.now() - START >= REPLY_TOKEN_LIVES:
                raise PermanentError("LINE /v2/bot/message/reply 400: Invalid reply token")
            self.used_tokens.add(body["replyToken"])
            self.box["U1"] += 1
            return SendAccepted("r")
        known = self.keys.get(retry_key)
        if known is not None and self.clock.now() - known < LINE_REMEMBERS:
            return SendAccepted("r", already=True)
        to = body["to"] if isinstance(body["to"], list) else [body["to"]]
        if self.bad & {*to}:
            raise PermanentError("400: The property, 'to', in the request body is invalid")
        self.keys[retry_key] = self.clock.now()
        self.box.update(to)
        return SendAccepted("r")

    def mail(self, to: str, key: str, *, tells: bool) -> str:
        self.step()
        luck = self.dice.random()
        if luck < self.trouble / 3:
            raise TemporaryError("throttled")
        if luck < self.trouble * 2 / 3:
            raise TemporaryError("a time-out, before it was taken", maybe_done=True)
        self.box[to] += 1
        if tells:
            self.events.append((self.clock.now() + timedelta(minutes=self.dice.choice([0, 2, 12])), key))
        if luck < self.trouble:
            raise TemporaryError("a time-out, after it was taken", maybe_done=True)
        return "m"


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
    """The people, as segments load them."""

    people: dict[Cid, Person]
    step: Callable[[], None]

    def load(self, cids: Iterable[Cid], accounts: Sequence[AccountKey], **_: object) -> dict[Cid, Person]:
        self.step()
        return {cid: self.people[cid] for cid in cids}


@dataclass
class Templates:
    template: Template

    def get(self, template_id: str) -> Template:
        return self.template


class SmallBatches(Composer):
    """Two people a batch, so that few people make many batches."""

    def compose(self, job: Job, number: int, recipients: Sequence[Recipient], now: datetime) -> Batch:
        return super().compose(job, number, recipients[:2], now)


class LightSenders(Senders):
    """Letters cost reportlab half a second; here they are their names."""

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

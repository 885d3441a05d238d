"""What a rehearsal puts in the place of delivery, people and actions: it decides as they do, and sends and writes nothing."""

from __future__ import annotations

import hashlib
import json
import struct
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

from chalicelib.customers.model import Consent, DeliveryChannel
from chalicelib.delivery.model import Job, Limits, PastSend, Report, Row, Send, Skip
from chalicelib.delivery.policy import decide, is_counted, origin, within
from chalicelib.friends.model import FollowState
from chalicelib.kernel.clock import Clock
from chalicelib.kernel.facts import (
    Evidence,
    Fact,
    FriendBlocked,
    LinkClicked,
    Occurred,
    OptedOut,
    OrderPlaced,
    Responded,
    TagAdded,
    TagRemoved,
)
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId, TagId
from chalicelib.kernel.windows import JST
from chalicelib.messages.model import LINK_PREFIX, Template, render
from chalicelib.orders.model import Order
from chalicelib.scenarios.costs import sms_parts
from chalicelib.scenarios.graph import Occasion
from chalicelib.scenarios.memory import Member
from chalicelib.scenarios.ports import Acting
from chalicelib.segments.model import Act, Contact, History, Person, Reaction
from chalicelib.segments.predicate import Predicate, compile_predicate
from chalicelib.segments.reading import Resolve, parse

_MULTICAST = 500
_TWO = struct.Struct(">II")
_MORNING = 7  # nobody reacts in the night: who would does so so many hours later


@dataclass(frozen=True, slots=True)
class Rate:
    """How many of those who get a message do something, and within how many hours."""

    rate: float
    within_hours: tuple[float, float] = (1.0, 60.0)


@dataclass(slots=True)
class Sent:
    """What one send came to. lanes: messages by way; calls: to the provider; billable: 通数, letters, SMS parts."""

    lanes: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    billable: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)


class DryOutbox:
    """Decides like delivery (policy.decide), counts caps in memory, and sends nothing. Implements scenarios.ports.Outbox.

    told: hears of every message, after the decision.
    """

    def __init__(
        self,
        clock: Clock,
        people: Mapping[Cid, Person],
        templates: Mapping[str, Template],
        limits: Limits,
        told: Callable[[Job, Sequence[Member]], None],
    ) -> None:
        self._clock = clock
        self._people = people
        self._templates = templates
        self._limits = limits
        self._told = told
        self._recent: dict[Cid, list[PastSend]] = defaultdict(list)
        self.sends: dict[str, Sent] = defaultdict(Sent)
        self.line_log: list[tuple[datetime, str, int]] = []  # 通数: when, at which node, how many
        self.rows = 0

    def deliver(self, job: Job, rows: Sequence[Row], accounts: Sequence[AccountKey]) -> Report:  # noqa: ARG002 - people are whole
        """Decide what one page of members would get; see Outbox."""
        now = self._clock.now()
        within_limits = within(job, self._limits)
        counts = bool(within_limits.caps) and is_counted(job)
        report = Report()
        node = job.source.rpartition("|")[2]
        sent = self.sends[node]
        ours: list[Member] = []
        by_account: Counter[AccountKey | None] = Counter()
        people, visit, batch_id = self._people, job.visit, job.batch_id
        for member in cast("Sequence[Member]", rows):
            if visit in member.path if job.aside else not member.awaits(job.cohort, visit):
                continue
            recent = self._recent[member.cid] if counts else ()
            decision = decide(within_limits, people[member.cid], now, recent)
            if isinstance(decision, Send):
                member.visit(visit, batch_id, "sent")
                ours.append(member)
                by_account[decision.account] += 1
                if counts:
                    self._recent[member.cid].append(PastSend(now, job.channel, origin(job.source)))
            elif isinstance(decision, Skip):
                member.visit(visit, "", f"skipped {decision.why}")
                report.skipped.append((member.row, decision.why))
                sent.skipped[decision.why] += 1
            else:
                report.held.append((member.row, decision))
                sent.held[decision.why] += 1
        report.sent = cast("list[Row]", list(ours))
        self.rows += len(ours) + len(report.skipped)
        self._count(job, sent, by_account, now)
        self._told(job, ours)
        return report

    def _count(self, job: Job, sent: Sent, by_account: Mapping[AccountKey | None, int], now: datetime) -> None:
        """Count messages by the lane that delivery.compose would take."""
        template = self._templates.get(job.template_id)
        for messages in by_account.values():
            if job.channel is not DeliveryChannel.LINE:
                lane, calls = str(job.channel), messages
            elif job.reply is not None and messages == 1:
                lane, calls = "reply", 1
            elif template and not template.is_personal and messages > 1:
                lane, calls = "multicast", -(-messages // _MULTICAST)
            else:
                lane, calls = "push", messages
            sent.lanes[lane] += messages
            sent.calls[lane] += calls
            if lane == "reply":
                continue  # free of charge
            parts = sms_parts(template.content["text"]) if template and job.channel is DeliveryChannel.SMS else 1
            sent.billable[str(job.channel)] += messages * parts
            if job.channel is DeliveryChannel.LINE:
                self.line_log.append((now, job.source.rpartition("|")[2], messages))


class StillCrowd:
    """People as they were when the rehearsal began, and what it did to them itself. Implements scenarios.ports.Crowd."""

    def __init__(self, people: dict[Cid, Person], resolve: Resolve | None = None) -> None:
        self.people = people
        self._resolve = resolve
        self._compiled: dict[tuple[int, datetime, AccountKey | None], Predicate] = {}

    def load(
        self,
        cids: Iterable[Cid],  # noqa: ARG002 - all are here, with what the drawing asks of them
        accounts: Iterable[AccountKey],  # noqa: ARG002
        *,
        conditions: Iterable[object] = (),  # noqa: ARG002
    ) -> Mapping[Cid, Person]:
        """Return everybody."""
        return self.people

    def holds(self, condition: object, person: Person, now: datetime, account: AccountKey | None = None) -> bool:
        """Say whether a person fulfils a condition at `now`."""
        key = (id(condition), now, account)  # conditions are the graph's own and live as long as this
        found = self._compiled.get(key)
        if found is None:
            if len(self._compiled) > 1_000:
                self._compiled.clear()
            found = self._compiled[key] = compile_predicate(parse(condition, self._resolve), now, account)
        return found(person)

    def take(self, fact: Fact) -> None:
        """Let a fact change the person whom it concerns, as the rooms below would."""
        person = self.people[fact.cid]
        if person.history.asked:
            person = self.people[fact.cid] = replace(person, history=remembering(person.history, fact))
        match fact:
            case FriendBlocked(account=account) if account in person.friends:
                friend = replace(person.friends[account], state=FollowState.BLOCKED)
                self.people[fact.cid] = replace(person, friends={**person.friends, account: friend})
            case OptedOut(channel=word):
                consents = {**person.customer.consents, DeliveryChannel(word): Consent(is_opted_out=True, at="", source="")}
                self.people[fact.cid] = replace(person, customer=replace(person.customer, consents=consents))
            case TagAdded(tag_id=tag):
                self.people[fact.cid] = replace(person, tags=person.tags | {tag})
            case TagRemoved(tag_id=tag):
                self.people[fact.cid] = replace(person, tags=person.tags - {tag})
            case OrderPlaced():
                stats = person.stats
                more = replace(stats, count=stats.count + 1, total_yen=stats.total_yen + fact.amount_yen, last_at=fact.at)
                self.people[fact.cid] = replace(person, stats=replace(more, first_at=stats.first_at or fact.at))
            case _:
                pass

    def brought(self, source: str, cids: Iterable[Cid]) -> None:
        """Let people have been sent what the delivery of this source sends."""
        contact = _contact(source)
        for cid in cids:
            person = self.people[cid]
            if contact and f"delivered:{contact.kind}|{contact.id}" in person.history.asked:
                history = replace(person.history, contacts=person.history.contacts | {contact})
                self.people[cid] = replace(person, history=history)


def remembering(history: History, fact: Fact) -> History:
    """Return a history with what has just happened in it, as far as somebody asks; segments.history reads the same from tables."""
    if isinstance(fact, OrderPlaced):
        order = Order(fact.order_no, fact.cid, fact.at, fact.amount_yen, tuple(fact.products), fact.shop)
        return replace(history, orders=(*history.orders, order)) if "purchase" in history.asked else history
    match fact:
        case LinkClicked(link_id=link, evidence=evidence, source=source):
            act, contact = Act("clicked", fact.at, link=link, evidence=evidence), _contact(source)
            if contact and f"delivered:{contact.kind}|{contact.id}" in history.asked:
                history = replace(history, reactions=(*history.reactions, Reaction(contact, evidence, link)))
        case Responded(kind=kind, evidence=evidence, data=data):
            act = Act(kind, fact.at, evidence=evidence, data={"data": data})
        case Occurred(event=event, name=name, data=told):
            act = Act(event, fact.at, name, data=told)
        case _:
            return history
    return replace(history, acts=(*history.acts, act)) if f"event:{act.kind}" in history.asked else history


def _contact(source: str) -> Contact | None:
    kind, _, rest = source.partition("|")
    name, _, node = rest.partition("|")
    return Contact(kind, name, node) if name else None


class DryEffects:
    """Does to the people of a rehearsal what an action would do to them; counts the rest. Implements scenarios.ports.Effects."""

    def __init__(self, crowd: StillCrowd) -> None:
        self._crowd = crowd
        self.done: Counter[str] = Counter()

    def act(self, acting: Acting) -> list[Fact]:
        """Do an action for a page of members; see Effects."""
        node = acting.node
        facts: list[Fact] = []
        for one in acting.ones:
            self.done[acting.node_id] += 1
            person = self._crowd.people[one.cid]
            match node.do:
                case "tag_add" if node.tag not in person.tags:
                    self._crowd.people[one.cid] = replace(person, tags=person.tags | {node.tag})
                    facts.append(TagAdded(fact_id=acting.key, cid=one.cid, at=acting.due, tag_id=TagId(node.tag)))
                case "tag_remove":
                    self._crowd.people[one.cid] = replace(person, tags=person.tags - {node.tag})
                    facts.append(TagRemoved(fact_id=acting.key, cid=one.cid, at=acting.due, tag_id=TagId(node.tag)))
                case "attribute_set" | "attribute_add":
                    self._crowd.people[one.cid] = _with_attribute(person, node.attribute, node.value, node.by)
                case _:
                    pass
        return facts


def _with_attribute(person: Person, name: str, value: str | float | bool | None, by: int) -> Person:
    profile = person.customer.profile
    attributes = dict(profile.attributes)
    if value is not None:
        attributes[name] = value
    else:
        before = attributes.get(name, 0)
        attributes[name] = (before if isinstance(before, int | float) else 0) + by
    return replace(person, customer=replace(person.customer, profile=replace(profile, attributes=attributes)))


def drawn(seed: str, cid: Cid) -> tuple[float, float]:
    """Return two numbers in [0, 1) that belong to a person and a purpose, the same every time."""
    high, low = _TWO.unpack(hashlib.blake2b(f"{cid}|{seed}".encode(), digest_size=_TWO.size).digest())
    return high / 2**32, low / 2**32


def moment_of(rate: Rate, begins_at: datetime, share: float) -> datetime:
    """Return when somebody does something: evenly within the rate's hours, but not in the night."""
    low, high = rate.within_hours
    moment = (begins_at + timedelta(hours=low + (high - low) * share)).replace(microsecond=0)
    return moment + timedelta(hours=_MORNING) if moment.astimezone(JST).hour < _MORNING else moment


def fact_of(occasion: Occasion, cid: Cid, at: datetime, fact_id: str, account: AccountKey, source: str) -> Fact:
    """Return a fact that is what an occasion means. source: the delivery that it answers."""
    match occasion.event:
        case "purchase" | "first_purchase":
            products = (occasion.product,) if occasion.product else ()
            yen = max(occasion.min_amount_yen, 1)
            return OrderPlaced(
                fact_id=fact_id,
                cid=cid,
                at=at,
                order_no=fact_id,
                is_first=True,
                amount_yen=yen,
                products=products,
                shop=occasion.shop,
            )
        case "clicked":
            return LinkClicked(fact_id=fact_id, cid=cid, at=at, link_id=occasion.link, source=source, evidence=Evidence.PROBABLE)
        case "postback" | "message" | "video" | "responded":
            kind = "postback" if occasion.event == "responded" else occasion.event
            return Responded(
                fact_id=fact_id, cid=cid, at=at, account=account, line_user_id=_NOBODY, kind=kind,
                text=occasion.contains, data=occasion.data,
            )  # fmt: skip
        case "tag_added":
            return TagAdded(fact_id=fact_id, cid=cid, at=at, tag_id=TagId(occasion.tag))
        case event:
            return Occurred(fact_id=fact_id, cid=cid, at=at, event=event, name=occasion.name)


_NOBODY = LineUserId("U" + "0" * 32)


def wording(template: Template | None, person: Person, account: AccountKey | None, company: str) -> str:
    """Return what a message says to a person, for reading: addresses of links stand by their names."""
    if template is None:
        return ""
    friend = person.friend(account)
    profile = person.customer.profile
    values: dict[str, str] = {
        "name": profile.name or (friend.display_name if friend else ""),
        "name_kana": profile.name_kana,
        "display_name": (friend.display_name if friend else "") or profile.name,
        "member_no": profile.member_no,
        "prefecture": profile.prefecture,
        "city": profile.city,
        "company": company,
        "opt_out_url": "[配信停止]",
    }
    values |= {f"attribute.{name}": str(value) for name, value in profile.attributes.items()}
    values |= {LINK_PREFIX + link: f"[{link}]" for link in template.links}
    return "\n".join(_said(render(template.content, values)))


def _said(content: Any) -> list[str]:
    """Return the texts that a person reads in a message's content."""
    if isinstance(content, Mapping):
        words = [content[name] for name in ("subject", "heading", "text", "body", "altText") if isinstance(content.get(name), str)]
        return words + [text for value in content.values() if isinstance(value, Mapping | list) for text in _said(value)]
    if isinstance(content, list):
        return [text for value in content for text in _said(value)]
    return [] if content is None else [json.dumps(content)]

"""What a rehearsal showed, for people: steps, messages, yen, dollars, warnings, and how it would go for some of them; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.kernel.windows import JST
from chalicelib.messages.model import Template
from chalicelib.scenarios.costs import Bill, Prices, bill, line_yen
from chalicelib.scenarios.dry import Sent, wording
from chalicelib.scenarios.graph import SendNode, WaitForResponseNode, exits_of, is_timed
from chalicelib.scenarios.memory import Member
from chalicelib.scenarios.model import EnrollmentStatus
from chalicelib.scenarios.paths import path_of
from chalicelib.scenarios.rehearsal import Rehearsal
from chalicelib.scenarios.rehearsal import Step as Through
from chalicelib.scenarios.telling import label_of, tell

MOST_SAMPLES = 20


@dataclass(frozen=True, slots=True)
class StepForecast:
    """One node. ways: by the node that follows; messages: by lane; billable: 通数, letters, SMS parts, by channel.

    All are numbers of people or messages of the whole audience, scaled up from those who were rehearsed.
    """

    node: str
    label: str
    kind: str
    people: int
    ways: Mapping[str, int]
    messages: Mapping[str, int]
    billable: Mapping[str, int]
    skipped: Mapping[str, int]
    held: Mapping[str, int]
    responses: int
    yen: float
    first_at: datetime | None
    last_at: datetime | None


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that would happen to somebody. text: what the message says."""

    at: datetime
    node: str
    ja: str
    en: str
    text: str


@dataclass(frozen=True, slots=True)
class Sample:
    """How it would go for one person."""

    cid: Cid
    lines: Sequence[Line]


@dataclass(frozen=True, slots=True)
class Warned:
    """Something to look at before publishing. code: a stable word."""

    code: str
    ja: str
    en: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a rehearsal showed. audience: how many the figures are for; rehearsed: how many they come from.

    ends: by outcome or reason; `active`: still under way at the end. line_by_month: 通数. one_each: the transitions of a
    design with one execution a person.
    """

    audience: int
    rehearsed: int
    steps: Sequence[StepForecast]
    ends: Mapping[str, int]
    line_by_month: Mapping[str, int]
    yen: Mapping[str, float]
    aws: Bill
    one_each: int
    warnings: Sequence[Warned]
    samples: Sequence[Sample]


def forecast(
    done: Rehearsal,
    templates: Mapping[str, Template],
    prices: Prices,
    *,
    audience: int = 0,
    sample: int = MOST_SAMPLES,
    company: str = "",
) -> Forecast:
    """Return what a rehearsal that has run showed. audience: how many people there really are; 0: those rehearsed."""
    rehearsed = len(done.records.members_by_cid)
    scale = audience / rehearsed if audience and rehearsed else 1.0
    steps = list(_steps(done, prices, scale))
    months: Counter[str] = Counter()
    for at, _, messages in done.outbox.line_log:
        months[f"{at.astimezone(JST):%Y-%m}"] += messages
    by_month = {month: round(messages * scale) for month, messages in sorted(months.items())}
    ends = Counter(_end_of(member) for member in done.records.members_by_cid.values())
    yen = {"line_plan": prices.line_fee * len(by_month), "line": line_yen(by_month, prices)}
    for channel in ("email", "sms", "postal"):
        yen[channel] = sum(_yen(step.billable, prices).get(channel, 0.0) for step in steps)
    return Forecast(
        audience=round(rehearsed * scale),
        rehearsed=rehearsed,
        steps=steps,
        ends={word: round(people * scale) for word, people in ends.items()},
        line_by_month=by_month,
        yen=yen,
        aws=_bill(done, scale),
        one_each=sum(step.people for step in steps) + round(rehearsed * scale),
        warnings=[*_warnings(done, by_month, prices, scale)],
        samples=[_sample(done, member, templates, company) for member in list(done.records.members_by_cid.values())[:sample]],
    )


def _end_of(member: Member) -> str:
    return member.reason if member.status is not EnrollmentStatus.ACTIVE else "active"


def _bill(done: Rehearsal, scale: float) -> Bill:
    """Return the bill: writes grow with people, while executions are bounded by time, so transitions stay as they were counted."""
    return bill(
        transitions=done.tally.transitions,
        calls=done.tally.calls,
        writes=round(done.records.writes * scale),
        sends=round(done.outbox.rows * scale),
    )


def _yen(billable: Mapping[str, int], prices: Prices) -> dict[str, float]:
    each = {"line": prices.line_extra, "email": prices.email, "sms": prices.sms_part, "postal": prices.postal}
    return {channel: number * each.get(channel, 0.0) for channel, number in billable.items()}


def _steps(done: Rehearsal, prices: Prices, scale: float) -> Iterator[StepForecast]:
    """Yield the steps in the order of the graph. A step's yen: as if every message of LINE were beyond the plan's."""
    graph = done.version.graph

    def whole(counts: Mapping[str, int]) -> dict[str, int]:
        return {name: round(number * scale) for name, number in counts.items() if number}

    arrivals = _arrivals(done)
    for node_id in _in_order(done):
        node = graph.nodes[node_id]
        through, sent = done.nodes.steps.get(node_id, Through()), done.outbox.sends.get(node_id, Sent())
        billable = whole(sent.billable)
        ways = whole(through.ways)
        if isinstance(node, WaitForResponseNode) and done.early[node_id]:
            ways[node.responded] = ways.get(node.responded, 0) + round(done.early[node_id] * scale)
        yield StepForecast(
            node=node_id,
            label=label_of(graph, node_id),
            kind=str(type(node).__struct_config__.tag),
            people=round((arrivals[node_id] if is_timed(node) else through.people) * scale),
            ways=ways,
            messages=whole(sent.lanes),
            billable=billable,
            skipped=whole(sent.skipped),
            held=whole(sent.held),
            responses=round(done.responses[node_id] * scale),
            yen=sum(_yen(billable, prices).values()),
            first_at=through.first_at,
            last_at=through.last_at,
        )


def _in_order(done: Rehearsal) -> list[str]:
    graph = done.version.graph
    seen, todo = dict[str, None](), [graph.start]
    while todo:
        node_id = todo.pop(0)
        if node_id not in seen:
            seen[node_id] = None
            todo += exits_of(graph.nodes[node_id])
    return list(seen)


def _arrivals(done: Rehearsal) -> Counter[str]:
    """Return how many came to each wait: nobody calls the function there, so it is those whom other nodes sent on.

    Those who leave a plain wait before its end are not taken off what follows another plain wait.
    """
    graph = done.version.graph
    arrivals: Counter[str] = Counter({graph.start: len(done.records.members_by_cid)})
    for node_id, step in done.nodes.steps.items():
        arrivals.update({target: people for target, people in step.ways.items() if target != node_id})
    for node_id, people in done.early.items():
        node = graph.nodes[node_id]
        if isinstance(node, WaitForResponseNode):
            arrivals[node.responded] += people
    for node_id in _in_order(done):
        node = graph.nodes[node_id]
        if is_timed(node) and not isinstance(node, WaitForResponseNode):
            for target in exits_of(node):
                arrivals[target] += arrivals[node_id] if is_timed(graph.nodes[target]) else 0
    return arrivals


# Warnings -----------------------------------------------------------------------------------------------------------------


def _warnings(done: Rehearsal, by_month: Mapping[str, int], prices: Prices, scale: float) -> Iterator[Warned]:
    members = done.records.members_by_cid.values()
    if not members:
        yield Warned("nobody", "条件に当てはまる人がいません", "nobody fulfils the condition")
        return
    never = sum(not any(note == "sent" for note in member.path.values()) for member in members)
    sends = any(isinstance(node, SendNode) for node in done.version.graph.nodes.values())
    if sends and never:
        share = never / len(members)
        yield Warned("never_reached", f"{share:.0%}の人には1通も届きません", f"{share:.0%} are never reached")
    active = sum(member.status is EnrollmentStatus.ACTIVE for member in members)
    if active:
        share, days = active / len(members), done.assumed.days
        yield Warned(
            "under_way", f"{share:.0%}の人は{days}日たっても途中です", f"{share:.0%} are still under way after {days} days"
        )
    first = next(iter(by_month), "")
    for month, messages in by_month.items():
        included = prices.line_included - (prices.line_used if month == first else 0)
        if messages > included:
            node = _exceeding(done, month, included, scale)
            label = label_of(done.version.graph, node)
            yield Warned(
                "quota_exceeded",
                f"{month}の通数が「{label}」でプランの{prices.line_included:,}通を超えます（計{messages:,}通）",
                f"in {month} the plan's {prices.line_included:,} messages are used up at {label} ({messages:,} in all)",
            )


def _exceeding(done: Rehearsal, month: str, included: int, scale: float) -> str:
    total = 0.0
    for at, node, messages in done.outbox.line_log:
        if f"{at.astimezone(JST):%Y-%m}" == month:
            total += messages * scale
            if total > included:
                return node
    return ""


# One person ---------------------------------------------------------------------------------------------------------------


def _sample(done: Rehearsal, member: Member, templates: Mapping[str, Template], company: str) -> Sample:
    graph, person = done.version.graph, done.crowd.people[member.cid]
    header = done.records.cohort(member.cohort)
    path = path_of(member.enrollment, {member.version: graph}, (header.at_node, header.at_due) if header else None)
    lines = []
    for step in path.steps:
        sentence, node = tell(step, graph), graph.nodes.get(step.node)
        text = ""
        if step.what == "sent" and isinstance(node, SendNode):
            account = node.account or graph.account
            text = wording(templates.get(node.template), person, AccountKey(account) if account else None, company)
        lines.append(Line(step.at, step.node, sentence.ja, sentence.en, text))
    return Sample(member.cid, lines)

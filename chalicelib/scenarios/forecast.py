"""What a rehearsal showed, for people: steps, messages, yen, dollars, warnings, and how it would go for some of them; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil

from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.messages.model import Template
from chalicelib.ports.line import Quota
from chalicelib.scenarios.cautions import Warned, cautions, month_of
from chalicelib.scenarios.cohorts import MANY_SHARDS
from chalicelib.scenarios.costs import Bill, Prices, bill, line_yen
from chalicelib.scenarios.dry import Sent, wording
from chalicelib.scenarios.expectations import Expectation
from chalicelib.scenarios.graph import SendNode, WaitForResponseNode, exits_of, is_timed
from chalicelib.scenarios.memory import Member
from chalicelib.scenarios.model import EnrollmentStatus
from chalicelib.scenarios.paths import path_of
from chalicelib.scenarios.rehearsal import Rehearsal
from chalicelib.scenarios.rehearsal import Step as Through
from chalicelib.scenarios.telling import label_of, tell
from chalicelib.segments.model import Person

MOST_SAMPLES = 20
MOST_IN_A_CALL = 25_000  # members: fifty pages of five hundred (steps.py)


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
class Known:
    """What a forecast is told besides the rehearsal itself.

    audience: how many people there really are, 0: those who were played; audience_is_exact: False when there are more.
    rehearsed: how many of those who were played are real, 0: all. faces: the first of them in full, where others were read
    without their names. quota: of the LINE account in the month in which it begins.
    """

    audience: int = 0
    audience_is_exact: bool = True
    rehearsed: int = 0
    expected: Mapping[str, Expectation] = field(default_factory=dict)
    quota: Quota | None = None
    faces: Mapping[Cid, Person] = field(default_factory=dict)
    company: str = ""


_NOTHING_MORE = Known()


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a rehearsal showed.

    audience: how many the figures are for, or the least there are; rehearsed: how many real people they come from; played:
    these and those who stood in for others. expected: how many react, by send, and `goal`. ends: by outcome or reason;
    `active`: still under way at the end. line_by_month: 通数. aws: exact when everybody was played, estimated otherwise.
    one_each: the transitions of a design with one execution a person.
    """

    audience: int
    audience_is_exact: bool
    rehearsed: int
    played: int
    expected: Mapping[str, Expectation]
    steps: Sequence[StepForecast]
    ends: Mapping[str, int]
    line_by_month: Mapping[str, int]
    yen: Mapping[str, float]
    aws: Bill
    aws_is_exact: bool
    one_each: int
    line_quota: Quota | None
    warnings: Sequence[Warned]
    samples: Sequence[Sample]


def forecast(
    done: Rehearsal, templates: Mapping[str, Template], prices: Prices, known: Known = _NOTHING_MORE, *, sample: int = MOST_SAMPLES
) -> Forecast:
    """Return what a rehearsal that has run showed."""
    members = list(done.records.members_by_cid.values())
    played = len(members)
    rehearsed = min(known.rehearsed or played, played)
    scale = known.audience / played if known.audience and played else 1.0
    steps = list(_steps(done, prices, scale))
    months: Counter[str] = Counter()
    for at, _, messages in done.outbox.line_log:
        months[month_of(at)] += messages
    by_month = {month: round(messages * scale) for month, messages in sorted(months.items())}
    ends = Counter(_end_of(member) for member in members)
    first = month_of(done.assumed.begins_at)
    yen = {"line_plan": prices.line_fee * len(by_month), "line": line_yen(by_month, prices, first)}
    for channel in ("email", "sms", "postal"):
        yen[channel] = sum(_yen(step.billable, prices).get(channel, 0.0) for step in steps)
    return Forecast(
        audience=round(played * scale),
        audience_is_exact=known.audience_is_exact,
        rehearsed=rehearsed,
        played=played,
        expected=known.expected,
        steps=steps,
        ends={word: round(people * scale) for word, people in ends.items()},
        line_by_month=by_month,
        yen=yen,
        aws=_bill(done, steps, scale),
        aws_is_exact=scale == 1.0,
        one_each=sum(step.people for step in steps) + round(played * scale),
        line_quota=known.quota,
        warnings=[*cautions(done, by_month, prices, known.quota, scale)],
        # The real ones were let in first; who stands in for somebody is nobody to be shown.
        samples=[_sample(done, member, templates, known) for member in members[: min(sample, rehearsed)]],
    )


def _end_of(member: Member) -> str:
    return member.reason if member.status is not EnrollmentStatus.ACTIVE else "active"


def _bill(done: Rehearsal, steps: Sequence[StepForecast], scale: float) -> Bill:
    """Return the bill of the whole audience.

    Writes grow with people. Executions are bounded by time: a cohort is a cohort whether ten people are in it or ten thousand,
    so its transitions stay; only a shard of more members than one call takes needs further calls, of two transitions each.
    """
    more = sum(_more_calls(step.people) - _more_calls(step.people / scale) for step in steps)
    return bill(
        transitions=done.tally.transitions + 2 * more,
        calls=done.tally.calls + more,
        writes=round(done.records.writes * scale),
        sends=round(done.outbox.rows * scale),
    )


def _more_calls(people: float) -> int:
    """Return how many calls a node needs besides one for each shard."""
    return max(0, ceil(people / MOST_IN_A_CALL) - MANY_SHARDS)


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


# One person ---------------------------------------------------------------------------------------------------------------


def _sample(done: Rehearsal, member: Member, templates: Mapping[str, Template], known: Known) -> Sample:
    graph, person = done.version.graph, known.faces.get(member.cid) or done.crowd.people[member.cid]
    header = done.records.cohort(member.cohort)
    path = path_of(member.enrollment, {member.version: graph}, (header.at_node, header.at_due) if header else None)
    lines = []
    for step in path.steps:
        sentence, node = tell(step, graph), graph.nodes.get(step.node)
        text = ""
        if step.what == "sent" and isinstance(node, SendNode):
            account = node.account or graph.account
            text = wording(templates.get(node.template), person, AccountKey(account) if account else None, known.company)
        lines.append(Line(step.at, step.node, sentence.ja, sentence.en, text))
    return Sample(member.cid, lines)

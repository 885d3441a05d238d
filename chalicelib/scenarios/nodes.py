"""What each kind of node does with the people who are at it, and who leaves the main path where to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from itertools import count
from typing import assert_never

from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.model import Cap, Channel, Job, MachineChannel, Report, Row
from chalicelib.kernel.clock import from_text
from chalicelib.kernel.facts import Fact, ReplyToken
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.kernel.windows import at_local, local_date, parse_duration, parse_hhmm
from chalicelib.scenarios.graph import (
    ActionNode,
    BranchNode,
    EndNode,
    FrequencyCap,
    Scenario,
    SendNode,
    SplitNode,
    UntilDate,
    WaitForResponseNode,
    WaitNode,
    main_exit,
    share_of,
)
from chalicelib.scenarios.model import Enrollment, EnrollmentStatus, Version, sent_at, visit_of
from chalicelib.scenarios.occasions import asked_by
from chalicelib.scenarios.ports import Accounts, Acting, Crowd, Effects, Outbox
from chalicelib.scenarios.records import Records
from chalicelib.segments.model import Person, Run

_YEARS = (1800, 2200)  # a date beyond would break the arithmetic of days

_PART = "\x1f"  # in no id of ours or of others


@dataclass(frozen=True, slots=True)
class Task:
    """One page of members at one node at one instant. skip: why nothing is sent; batch_id: derived from the page."""

    version: Version
    node_id: str
    due: datetime
    cohort: str
    batch_id: str
    reply: ReplyToken | None = None
    skip: str = ""


@dataclass(frozen=True, slots=True)
class Leaving:
    """Somebody who does not go the cohort's way: where to, from when on, and why (for the path)."""

    one: Enrollment
    target: str
    at: datetime
    why: str = ""


@dataclass(slots=True)
class Outcome:
    """What became of a page: those who leave the main path, how many are out of the scenario, and what happened besides.

    words: of a send, how many were sent to and left out, in the words of tallies.py.
    """

    leavers: list[Leaving] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    gone: int = 0
    words: Counter[str] = field(default_factory=Counter)


class Nodes:
    """Does nodes."""

    def __init__(self, records: Records, outbox: Outbox, crowd: Crowd, effects: Effects, accounts: Accounts) -> None:
        self._records = records
        self._outbox = outbox
        self._crowd = crowd
        self._effects = effects
        self._accounts = accounts

    def do(self, task: Task, ones: Sequence[Enrollment], owed: Sequence[Enrollment]) -> Outcome:
        """Do a node for a page of members; again after any failure. owed: gone on, with this still to be done."""
        node = task.version.graph.node(task.node_id)
        staying, gone = self._those_who_stay(task, ones, node)
        outcome = self._do(task, staying, owed)
        outcome.gone += gone
        return outcome

    def _do(self, task: Task, ones: Sequence[Enrollment], owed: Sequence[Enrollment]) -> Outcome:
        node = task.version.graph.node(task.node_id)
        match node:
            case SendNode():
                return self._send(task, node, ones, owed)
            case WaitForResponseNode():
                return Outcome(
                    [Leaving(one, node.responded, task.due, "responded") for one in ones if has_responded(task.node_id, node, one)]
                )
            case BranchNode():
                return self._branch(task, node, ones)
            case SplitNode():
                return self._split(task, node, ones)
            case ActionNode(do="webhook"):
                job = replace(_job(task, MachineChannel.WEBHOOK, node.target), data=_told(task, node))
                self._deliver(job, ones, [])
                if owed:
                    self._deliver(replace(job, aside=True), owed, [])
                return Outcome()
            case ActionNode():
                everyone = [*ones, *owed]
                visit = visit_of(task.node_id, task.due)
                acting = Acting(task.version, task.node_id, node, visit, task.due, task.batch_id, everyone)
                return Outcome(facts=self._effects.act(acting) if everyone else [])
            case WaitNode():
                return self._until(task, node, ones)
            case EndNode():
                status = EnrollmentStatus.DONE
                ended = self._records.end_enrollments(ones, status, node.outcome or task.node_id, task.due, in_cohort=True)
                return Outcome(gone=sum(ended))
            case _:
                assert_never(node)

    def _those_who_stay(self, task: Task, ones: Sequence[Enrollment], node: object) -> tuple[Sequence[Enrollment], int]:
        """Take out who no longer fulfils what the scenario asks for; a wait alone does not look."""
        condition = task.version.graph.stays_while
        if condition is None or isinstance(node, WaitNode | EndNode):
            return ones, 0
        people = self._people(ones, condition)
        account = _account(task.version.graph)
        # Who was sent to at this very visit by an earlier try stays: he is answered for.
        visit = visit_of(task.node_id, task.due)
        leaving = [
            one for one in ones if one.row.last != visit and not self._crowd.holds(condition, people[one.cid], task.due, account)
        ]
        if not leaving:
            return ones, 0
        ended = self._records.end_enrollments(leaving, EnrollmentStatus.EXITED, "left_segment", task.due, in_cohort=True)
        out = {one.row.pk + one.row.sk for one in leaving}
        return [one for one in ones if one.row.pk + one.row.sk not in out], sum(ended)

    def _people(self, ones: Sequence[Enrollment], *conditions: object) -> Mapping[Cid, Person]:
        accounts = [account.key for account in self._accounts.everyone()]
        return self._crowd.load([one.cid for one in ones], accounts, conditions=conditions)

    # Sends -------------------------------------------------------------------------------------------------------------------

    def _send(self, task: Task, node: SendNode, ones: Sequence[Enrollment], owed: Sequence[Enrollment]) -> Outcome:
        job = job_of(task, node)
        accounts = [account.key for account in self._accounts.everyone()]
        report = self._deliver(job, [*ones, *owed], accounts)
        by_row = {(one.row.pk, one.row.sk): one for one in ones} if report.held else {}
        held = ((by_row[row.pk, row.sk], hold) for row, hold in report.held)
        outcome = Outcome([Leaving(one, task.node_id, hold.until, f"held {hold.why}") for one, hold in held])
        outcome.words = Counter(f"skipped {why}" for _, why in report.skipped)
        outcome.words.update(sent=len(report.sent), failed=len(report.failed))
        if node.unreachable:
            # Skipped by an earlier try of this page too: the note on the row says so.
            skipped_now = {(row.pk, row.sk) for row, _ in report.skipped}
            visit = job.visit
            for one in ones:
                is_new = bool(skipped_now) and (one.row.pk, one.row.sk) in skipped_now
                if is_new or one.path.get(visit, "").startswith("skipped"):
                    if task.skip:
                        continue  # left out because of a pause, not because he cannot be reached
                    outcome.leavers.append(Leaving(one.after(job.visit), node.unreachable, task.due))
        return outcome

    def _deliver(self, job: Job, ones: Sequence[Enrollment], accounts: Sequence[AccountKey]) -> Report:
        """Send to a page; who is in it twice, for two orders say, gets both messages: a batch names each person once."""
        parts = parts_of(job.batch_id, ones)
        report = self._outbox.deliver(replace(job, batch_id=parts[0][0]), parts[0][1], accounts)
        for batch_id, rows in parts[1:]:
            report.add(self._outbox.deliver(replace(job, batch_id=batch_id), rows, accounts))
        return report

    # Ways --------------------------------------------------------------------------------------------------------------------

    def _branch(self, task: Task, node: BranchNode, ones: Sequence[Enrollment]) -> Outcome:
        people = self._people(ones, *(case.when for case in node.cases))
        account = _account(task.version.graph)
        asks_for_run = any(word.startswith(("responded", "happened:")) for word in asked_by(node))
        outcome = Outcome()
        for one in ones:
            person = replace(people[one.cid], run=run_of(one)) if asks_for_run else people[one.cid]
            for number, case in enumerate(node.cases, start=1):
                if self._crowd.holds(case.when, person, task.due, account):
                    if case.next != node.otherwise:
                        outcome.leavers.append(Leaving(one, case.next, task.due, f"case {number}"))
                    break
        return outcome

    def _split(self, task: Task, node: SplitNode, ones: Sequence[Enrollment]) -> Outcome:
        main = main_exit(node)
        ways = ((one, share_of(node, task.version.scenario_id, task.node_id, one.cid)) for one in ones)
        return Outcome([Leaving(one, target, task.due, "share") for one, target in ways if target != main])

    def _until(self, task: Task, node: WaitNode, ones: Sequence[Enrollment]) -> Outcome:
        """Let everyone wait for his own date; he comes back to this node then, and goes on."""
        if node.until is None:
            return Outcome()
        people = {} if node.until.date.startswith("trigger.") else self._people(ones)
        outcome = Outcome()
        for one in ones:
            day = _day_of(node.until, one, people.get(one.cid), task.version.graph)
            if day is None:
                if node.missing and node.missing != node.next:
                    outcome.leavers.append(Leaving(one, node.missing, task.due, "missing"))
                continue
            end = until_ends(node, day, task.due)
            is_over = visit_of(task.node_id, end) == visit_of(task.node_id, task.due) or end < task.due
            if not is_over:
                outcome.leavers.append(Leaving(one, task.node_id, end, "waits"))
            elif node.past and node.past != node.next and end < task.due and not _has_waited(task.node_id, one):
                outcome.leavers.append(Leaving(one, node.past, task.due, "past"))
        return outcome


def is_of_page(claim: str, batch_id: str) -> bool:
    """Say whether a row was claimed by a page, in whichever of its parts."""
    return claim == batch_id or claim.startswith(batch_id + _PART)


def parts_of(batch_id: str, ones: Sequence[Enrollment]) -> list[tuple[str, list[Row]]]:
    """Return a page's rows so that no part holds a person twice, each part with the id of its batches.

    A row that an earlier try claimed stays in that try's part, whoever has come or gone since.
    """
    rows = [one.row for one in ones]
    claims = {row.claim for row in rows}
    if len({row.cid for row in rows}) == len(rows) and not any(claim.startswith(batch_id + _PART) for claim in claims):
        return [(batch_id, rows)]
    return _apart(batch_id, rows)


def _apart(batch_id: str, rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    parts: dict[str, list[Row]] = {batch_id: []}
    taken: dict[Cid, set[str]] = {}
    for row in rows:
        if is_of_page(row.claim, batch_id):
            parts.setdefault(row.claim, []).append(row)
            taken.setdefault(row.cid, set()).add(row.claim)
    for row in rows:
        here = taken.setdefault(row.cid, set())
        if row.claim not in here:
            name = next(name for name in _names(batch_id) if name not in here)
            parts.setdefault(name, []).append(row)
            here.add(name)
    return list(parts.items())


def _names(batch_id: str) -> Iterator[str]:
    yield batch_id
    for number in count(1):
        yield f"{batch_id}{_PART}{number}"


def _job(task: Task, channel: Channel, template: str) -> Job:
    return Job(
        batch_id=task.batch_id,
        cohort=task.cohort,
        visit=visit_of(task.node_id, task.due),
        channel=channel,
        template_id=template,
        source=f"scn|{task.version.scenario_id}|{task.node_id}",
        due=task.due,
        skip=task.skip,
    )


def _told(task: Task, node: ActionNode) -> dict[str, str]:
    """Return what a webhook is told besides the person: what the marketer wrote, and where in which scenario this is."""
    return {"scenario": task.version.scenario_id, "node": task.node_id, **node.data}


def job_of(task: Task, node: SendNode) -> Job:
    """Return what delivery is asked for at a send."""
    graph = task.version.graph
    return replace(
        _job(task, DeliveryChannel(node.channel), node.template),
        account=AccountKey(node.account) if node.account else _account(graph),
        window=graph.window(),
        hold_outside_window=graph.quiet_hours is None or graph.quiet_hours.policy == "delay",
        reply=task.reply,
        caps=tuple(_cap(cap) for cap in graph.caps),
        important=node.important,
        best_hour=node.best_hour,
    )


def _cap(cap: FrequencyCap) -> Cap:
    return Cap("source" if cap.scope == "scenario" else cap.scope, cap.most, parse_duration(cap.per), cap.policy)


def _account(graph: Scenario) -> AccountKey | None:
    return AccountKey(graph.account) if graph.account else None


def run_of(one: Enrollment) -> Run:
    """Return a person's run as conditions see it."""
    nodes = {visit.rpartition("__")[0] for visit, note in one.path.items() if note == "sent"}
    sent = {node: moment for node in nodes if (moment := sent_at(one, node)) is not None}
    return Run(one.entered_at, one.responses, one.events, sent)


def has_responded(node_id: str, node: WaitForResponseNode, one: Enrollment) -> bool:
    """Say whether what a wait waits for has been noted since its send last left."""
    if node.on is not None:
        told = one.events.get(f"wait__{node_id}", "")
    else:
        told, _, rest = one.responses.get(node.of, "").partition(" ")
        if rest.partition(" ")[0] > node.evidence:
            return False
    if not told:
        return False
    since = sent_at(one, node.of)
    return since is None or from_text(told) >= since


def _has_waited(node_id: str, one: Enrollment) -> bool:
    """Say whether a person comes back from his wait at a node: late it may be, but not past."""
    return any(
        note.startswith(f"moved {node_id} waits") and visit.rpartition("__")[0] == node_id for visit, note in one.path.items()
    )


def until_ends(node: WaitNode, day: date, begins_at: datetime) -> datetime:
    """Return when a wait for a person's own day, or instant, is over; with `yearly` at the next one that is not past."""
    if node.until is None:
        raise ValueError("a wait of a length has no day")
    at = parse_hhmm(node.at or "00:00")
    if node.until.before:
        instant = day if isinstance(day, datetime) else at_local(day, at)
        return (instant - parse_duration(node.until.before)).replace(second=0, microsecond=0)
    day = local_date(day) if isinstance(day, datetime) else day
    if not node.until.yearly:
        return at_local(day + timedelta(days=node.until.offset_days), at)
    year = local_date(begins_at).year - 1
    while True:
        end = at_local(_in_year(day, year) + timedelta(days=node.until.offset_days), at)
        if end >= begins_at:
            return end
        year += 1


def _in_year(day: date, year: int) -> date:
    try:
        return day.replace(year=year)
    except ValueError:  # 29 February: the day before in other years, as segments' anniversaries
        return date(year, 2, 28)


def _day_of(until: UntilDate, one: Enrollment, person: Person | None, graph: Scenario) -> date | None:
    """Return a person's own day, or the instant that the trigger brought; None for what no calendar of ours reaches."""
    if until.date.startswith("trigger."):
        text = one.data.get(until.date.removeprefix("trigger."), "")
        found: date | None
        try:
            found = from_text(text) if "T" in text else date.fromisoformat(text)
        except ValueError:
            return None
    else:
        found = person.day(until.date, _account(graph)) if person else None
    return found if found and _YEARS[0] < found.year < _YEARS[1] else None

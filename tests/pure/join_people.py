"""What surrounds the join protocol in its model: graphs, an outbox, effects, conditions; and what a person's way must be."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from chalicelib.delivery.ledger import Ledger
from chalicelib.delivery.model import Hold, Job, Report, Row
from chalicelib.kernel.facts import Fact
from chalicelib.kernel.ids import Cid, ScenarioId
from chalicelib.scenarios.asl import compile_machine
from chalicelib.scenarios.graph import (
    ActionNode,
    BranchNode,
    EndNode,
    Scenario,
    SendNode,
    SplitNode,
    WaitForResponseNode,
    main_exit,
    parse,
    share_of,
)
from chalicelib.scenarios.model import Enrollment, EnrollmentStatus, Version
from chalicelib.scenarios.ports import Acting
from chalicelib.segments.model import Person
from tests.pure.send_outside import person


def _send(following: str, **more: Any) -> dict[str, Any]:
    return {"type": "send", "channel": "line", "template": "t", "next": following, **more}


def _mark(following: str) -> dict[str, Any]:
    return {"type": "action", "do": "tag_add", "tag": "x", "next": following}


def _wait(following: str, duration: str) -> dict[str, Any]:
    return {"type": "wait", "duration": duration, "next": following}


def _fork(even: str, odd: str) -> dict[str, Any]:
    return {"type": "branch", "cases": [{"when": {"tag": "even"}, "next": even}], "otherwise": odd}


def _hear(of: str, responded: str, timed_out: str) -> dict[str, Any]:
    return {"type": "wait_for_response", "of": of, "timeout": "PT1H", "responded": responded, "timed_out": timed_out}


END = {"type": "end"}
# Ways part and meet again, at the same instants and at others; no node can be reached twice.
_NODES: dict[str, dict[str, Any]] = {
    "answers": {
        "start": _send("mark"),
        "mark": _mark("hear"),
        "hear": _hear("start", "thanks", "again"),
        "thanks": _send("done", unreachable="note"),
        "again": _send("note"),
        "note": _mark("done"),
        "done": END,
    },
    "meets": {
        "start": _wait("fork", "PT20M"),
        "fork": _fork("first", "second"),
        "first": _mark("pause"),
        "pause": _wait("second", "PT1M"),
        "second": _send("third", unreachable="third"),
        "third": _mark("done"),
        "done": END,
    },
    "shares": {
        "start": {"type": "split", "shares": [{"weight": 1, "next": "left"}, {"weight": 1, "next": "right"}]},
        "left": _mark("both"),
        "right": _send("both"),
        "both": _wait("fork", "PT5M"),
        "fork": _fork("hello", "later"),
        "later": _wait("hello", "PT5M"),
        "hello": _send("hear"),
        "hear": _hear("hello", "bye", "bye"),
        "bye": _mark("done"),
        "done": END,
    },
}


def _version(name: str) -> Version:
    data = {
        "schema": "scenario/1", "name": name, "trigger": {"type": "manual"}, "start": "start", "exits": ["blocked"],
        "nodes": _NODES[name],
    }  # fmt: skip
    return Version(ScenarioId("s"), 1, parse(data))


GRAPHS = {name: _version(name) for name in _NODES}
MACHINES = {name: compile_machine(version.graph, "s", 1, "arn:x") for name, version in GRAPHS.items()}


class Outbox:
    """Delivery as members see it: claims by the real ledger, messages known by their page. Some are held once, some skipped."""

    def __init__(self, ledger: Ledger, step: Callable[[], None], dice: random.Random) -> None:
        self._ledger = ledger
        self._step = step
        self._held = {Cid(cid): dice.choice([5, 20]) for cid in range(1, 13) if dice.random() < 0.15}
        self._skipped = {Cid(cid) for cid in range(1, 13) if dice.random() < 0.15}
        self._sent: dict[tuple[Cid, str, str], str] = {}

    def deliver(self, job: Job, rows: Sequence[Row], accounts: Sequence[str]) -> Report:
        self._step()
        report = Report()
        sends: list[Row] = []
        skips: list[Row] = []
        for row in rows:
            if not row.is_open(job.cohort, job.visit):
                continue
            if job.skip or row.cid in self._skipped:
                skips.append(row)
            elif until := self._until(job, row.cid):
                report.held.append((row, Hold(until, "quiet_hours")))
            else:
                sends.append(row)
        won = self._ledger.claim(sends, job.cohort, job.visit, job.batch_id)
        claimed = [row for row, ours in zip(sends, won, strict=True) if ours]
        noted = self._ledger.skip(skips, job.cohort, job.visit, [job.skip or "blocked"] * len(skips))
        report.skipped = [(row, "blocked") for row, ours in zip(skips, noted, strict=True) if ours]
        claimed += [row for row in rows if row.claim == job.batch_id and row.last == job.visit]
        for row in claimed:
            self._step()
            self._sent[row.cid, job.batch_id, job.visit] = job.visit.rpartition("__")[0]
        return report

    def _until(self, job: Job, cid: Cid) -> datetime | None:
        # Held until a clock time that is the same whenever it is asked.
        minutes = self._held.get(cid, 0)
        until = job.due.replace(minute=job.due.minute // 30 * 30) + timedelta(minutes=minutes)
        return until if minutes and until > job.due else None

    def did(self, cid: Cid) -> list[str]:
        return [node for (number, _, _), node in self._sent.items() if number == cid]


class Effects:
    """What was done, by key: twice with one key is once."""

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step
        self._done: dict[tuple[Cid, str], str] = {}

    def act(self, acting: Acting) -> list[Fact]:
        for one in acting.ones:
            self._step()
            self._done[one.cid, acting.visit] = acting.node_id
        return []

    def did(self, cid: Cid) -> list[str]:
        return [node for (number, _), node in self._done.items() if number == cid]


class Crowd:
    """People, and the one condition that they fulfil by their number."""

    def load(self, cids: Iterable[Cid], accounts: Iterable[object]) -> dict[Cid, Person]:
        return {cid: _PEOPLE[cid] for cid in cids}

    def holds(self, condition: object, person: Person, now: datetime, account: object = None) -> bool:
        return person.customer.cid % 2 == 0


_PEOPLE = {Cid(number): person(number, "main") for number in range(1, 13)}


class NoAccounts:
    def everyone(self) -> Sequence[Any]:
        return []


# The way ------------------------------------------------------------------------------------------------------------------


def way_of(graph: Scenario, one: Enrollment) -> Iterator[tuple[str, bool]]:
    """Yield the nodes of a person's way to its end as the graph and his path tell it, and whether each leaves a trace."""
    node_id = graph.start
    while True:
        node = graph.node(node_id)
        notes = [note for visit, note in one.path.items() if visit.rpartition("__")[0] == node_id]
        was_skipped = any(note.startswith("skipped") for note in notes)
        yield node_id, isinstance(node, ActionNode) or (isinstance(node, SendNode) and not was_skipped)
        match node:
            case EndNode():
                return
            case SendNode() if "skipped blocked" in notes and node.unreachable:
                node_id = node.unreachable
            case WaitForResponseNode() if any(" responded" in note for note in notes):
                node_id = node.responded
            case BranchNode() if one.cid % 2 == 0:
                node_id = node.cases[0].next
            case SplitNode():
                node_id = share_of(node, "s", node_id, one.cid)
            case _:
                node_id = main_exit(node)


def wrongs_of(graph: Scenario, one: Enrollment, did: list[str], *, may_leave: bool) -> Iterator[str]:
    """Yield what is wrong with how a person's run has ended."""
    way = [node for node, leaves_trace in way_of(graph, one) if leaves_trace]
    for node in {*did}:
        if did.count(node) > 1:
            yield f"did {node} {did.count(node)} times"
        if node not in way:
            yield f"did {node}, which is not on the way {way}"
    if one.row.status == EnrollmentStatus.ACTIVE:
        yield f"was lost in {one.row.cohort}"
    elif one.row.status == EnrollmentStatus.DONE:
        yield from (f"missed {node}" for node in way if node not in did)
    elif not may_leave:
        yield f"left for no reason: {one.reason}"
    elif {*did} != {*way[: len({*did})]}:
        yield f"did {did}, not the beginning of {way}"

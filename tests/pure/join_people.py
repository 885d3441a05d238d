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


# What the second version changes: a wait is longer, something is new before the end, and a node is gone; where who stands
# there goes on, which is new too, so that a way tells from where it came.
_SECOND: dict[str, dict[str, dict[str, Any]]] = {
    "answers": {
        "start": _send("greet"),
        "greet": _mark("hear"),
        "hear": {**_hear("start", "thanks", "again"), "timeout": "PT2H"},
        "note": _mark("extra"),
        "extra": _send("done"),
    },
    "meets": {
        "start": _wait("fork", "PT40M"),
        "fork": _fork("welcome", "second"),
        "welcome": _send("pause", unreachable="pause"),
        "third": _mark("extra"),
        "extra": _mark("done"),
    },
    "shares": {
        "both": _wait("fork", "PT30M"),
        "fork": _fork("hello", "soon"),
        "soon": _wait("hello", "PT1M"),
        "bye": _mark("extra"),
        "extra": _send("done"),
    },
}
MAPPINGS = {"answers": {"mark": "greet"}, "meets": {"first": "welcome"}, "shares": {"later": "soon"}}


def _version(name: str, number: int) -> Version:
    nodes = _NODES[name] if number == 1 else {**_NODES[name], **_SECOND[name]}
    data = {
        "schema": "scenario/1", "name": name, "trigger": {"type": "manual"}, "start": "start", "exits": ["blocked"],
        "nodes": {node_id: node for node_id, node in nodes.items() if number == 1 or node_id not in MAPPINGS[name]},
    }  # fmt: skip
    return Version(ScenarioId("s"), number, parse(data))


GRAPHS = {name: {number: _version(name, number) for number in (1, 2)} for name in _NODES}
MACHINES = {
    (name, number): compile_machine(version.graph, "s", number, "arn:x")
    for name, versions in GRAPHS.items()
    for number, version in versions.items()
}


class Outbox:
    """Delivery as members see it: claims by the real ledger, messages known by their page. Some are held once, some skipped."""

    def __init__(self, ledger: Ledger, step: Callable[[], None], dice: random.Random) -> None:
        self._ledger = ledger
        self._step = step
        self._held = {Cid(cid): dice.choice([5, 20]) for cid in range(1, 13) if dice.random() < 0.15}
        self._skipped = {Cid(cid) for cid in range(1, 13) if dice.random() < 0.15}
        self._sent: dict[tuple[Cid, str, str], str] = {}
        self._left_out: set[tuple[Cid, str, str]] = set()

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
            key = (row.cid, job.batch_id, job.visit)
            if job.skip and key not in self._sent:
                self._left_out.add(key)  # written down as what gets nothing: no other try sends it any more
            elif key not in self._left_out:
                self._sent[key] = job.visit.rpartition("__")[0]
        return report

    def _until(self, job: Job, cid: Cid) -> datetime | None:
        # Held until a clock time that is the same whenever it is asked.
        minutes = self._held.get(cid, 0)
        until = job.due.replace(minute=job.due.minute // 30 * 30) + timedelta(minutes=minutes)
        return until if minutes and until > job.due else None

    def did(self, cid: Cid) -> list[str]:
        return [node for (number, _, _), node in self._sent.items() if number == cid]

    def told(self, cid: Cid) -> set[str]:
        """Return the visits whose message was sent, or is known to have been left out."""
        return {visit for number, _, visit in {*self._sent, *self._left_out} if number == cid}


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

    def load(self, cids: Iterable[Cid], accounts: Iterable[object], *, conditions: Iterable[object] = ()) -> dict[Cid, Person]:
        return {cid: _PEOPLE[cid] for cid in cids}

    def holds(self, condition: object, person: Person, now: datetime, account: object = None) -> bool:
        return person.customer.cid % 2 == 0


_PEOPLE = {Cid(number): person(number, "main") for number in range(1, 13)}


class NoAccounts:
    def everyone(self) -> Sequence[Any]:
        return []


# The way ------------------------------------------------------------------------------------------------------------------


def way_of(name: str, one: Enrollment) -> Iterator[tuple[str, bool]]:
    """Yield the nodes of a person's way to its end as the graphs and his path tell it, and whether each leaves a trace."""
    versions = GRAPHS[name]
    notes = [note for visit, note in one.path.items() if visit.startswith("__")]
    if not notes:
        graph = versions[one.version].graph
        yield from _way(graph, one, graph.start, "")
        return
    target = notes[0].split(" ")[1]
    source = {new: old for old, new in MAPPINGS[name].items()}.get(target, target)
    yield from _way(versions[1].graph, one, versions[1].graph.start, source)
    yield from _way(versions[2].graph, one, target, "")


def _way(graph: Scenario, one: Enrollment, node_id: str, until: str) -> Iterator[tuple[str, bool]]:
    while node_id != until:
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


def wrongs_of(name: str, one: Enrollment, did: list[str], *, may_leave: bool) -> Iterator[str]:
    """Yield what is wrong with how a person's run has ended."""
    way = [node for node, leaves_trace in way_of(name, one) if leaves_trace]
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


def was_overtaken(one: Enrollment, visit: str) -> bool:
    """Say whether a claimed message was given up: its page stood still so long that a reaction took him to his next message.

    Known, and rare: a page that died between claim and freeze, an execution that gave up, and a word of the person's own in
    between; his next claim takes the place of the one by which the page would have known him.
    """
    minute = visit.rpartition("__")[2]
    went_on = any(at.endswith(f"__{minute}") and " responded " in note for at, note in one.path.items())
    return went_on and one.row.last != visit

"""One person's way through a scenario, found again from what his enrollment notes; pure.

Who stays with his cohort leaves no note: his steps follow from the graph and from when waits end. Where an instant was put off
(a pause, a cohort that was closed already) the notes that come later say so; the search takes the first way that explains all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from chalicelib.kernel.clock import from_text
from chalicelib.kernel.windows import next_grain
from chalicelib.scenarios.cohorts import LATE
from chalicelib.scenarios.graph import (
    ActionNode,
    BranchNode,
    EndNode,
    EventTrigger,
    ManualTrigger,
    Node,
    Scenario,
    SendNode,
    SplitNode,
    WaitForResponseNode,
    is_timed,
    main_exit,
    reached_at,
)
from chalicelib.scenarios.model import INLINE, Enrollment, EnrollmentStatus, cohort_id, from_minute, visit_of

_MINUTE = re.compile(r"[0-9]{12}\Z")
_LATER_COHORTS = 4  # that many one after the other may be closed already before somebody wonders
_MOST_LOOKS = 5000  # more than any honest path needs; a path that cannot be explained must not be searched for ever


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to a person at a node, or happens to him now.

    what: `entered`, `sent`, `skipped`, `held`, `waited`, `waiting`, `timed_out`, `responded`, `case`, `otherwise`, `share`,
    `missing`, `past`, `acted`, `relocated`, `stands`, `ended`, `exited`. why: its word: a reason, a case's number, an outcome.
    until: when what began `at` ends. target: the node that a way leads to. cohort: what it happened in, `inline` for a walk.
    """

    version: int
    node: str
    at: datetime
    what: str
    why: str = ""
    until: datetime | None = None
    target: str = ""
    cohort: str = INLINE


@dataclass(frozen=True, slots=True)
class Path:
    """A person's steps in order. is_whole: whether every note was explained; if not, what is left over stands at the end."""

    steps: tuple[Step, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Note:
    """What a path says of a visit. until: the instant that a way leads to; None where it goes on at once."""

    what: str
    target: str = ""
    why: str = ""
    until: datetime | None = None


def note_of(text: str) -> Note:
    """Return what a note says: `sent`, `skipped <why>`, or `moved <target> <why> <minute>`."""
    what, *words = text.split(" ")
    if what != "moved":
        return Note(what, why=" ".join(words))
    until = from_minute(words.pop()) if _MINUTE.match(words[-1]) else None
    return Note(what, words[0], " ".join(words[1:]), until)


@dataclass(frozen=True, slots=True)
class _Trail:
    """Steps, the last first."""

    step: Step
    before: _Trail | None


@dataclass(frozen=True, slots=True)
class _Place:
    """A node that is reached at `begins` and done at `at`; `rest` are the visits that are not explained yet."""

    version: int
    node: str
    begins: datetime
    at: datetime
    rest: frozenset[str]
    trail: _Trail | None
    cohort: str = INLINE
    is_over: bool = False
    is_near: bool = False  # over, though not at the very instant that is known

    def then(self, what: str, why: str = "", *, node: str | None = None, **more: datetime | str | None) -> _Place:
        """Return the place with one more step."""
        moment = self.begins if what in ("waited", "waiting", "timed_out") else self.at
        step = Step(self.version, self.node if node is None else node, moment, what, why, cohort=self.cohort)
        return replace(self, trail=_Trail(replace(step, **more), self.trail))  # type: ignore[arg-type]

    def over(self) -> _Place:
        """Return the place as the last one."""
        return replace(self, is_over=True)


def path_of(one: Enrollment, graphs: Mapping[int, Scenario], position: tuple[str, datetime] | None) -> Path:
    """Return a person's path. graphs: by version, at least those that he was in. position: where his cohort stands now."""
    if one.reason == "erased":
        first = Step(one.version, "", one.entered_at, "entered")
        return Path((first, Step(one.version, "", one.ended_at or one.entered_at, "exited", "erased")), is_whole=True)
    search = _Search(one, graphs, position)
    stack = list(reversed(list(search.starts())))
    best = stack[-1]
    near: _Place | None = None
    for _ in range(_MOST_LOOKS):
        if not stack:
            break
        place = stack.pop()
        if place.is_over and not place.rest:
            if not place.is_near:
                return Path(_steps(place.trail), is_whole=True)
            near = near or place
        if len(place.rest) < len(best.rest):
            best = place
        if not place.is_over:
            stack += reversed(list(search.ways(place)))
    if near is not None:
        return Path(_steps(near.trail), is_whole=True)
    left = sorted((from_minute(visit.rpartition("__")[2]), visit) for visit in best.rest)
    loose = [Step(one.version, visit.rpartition("__")[0], at, *_loose(note_of(one.path[visit]))) for at, visit in left]
    last = [Step(one.version, "", one.ended_at, "exited", one.reason)] if one.ended_at else []
    return Path((*_steps(best.trail), *loose, *last), is_whole=False)


def _loose(note: Note) -> tuple[str, str]:
    return note.why.partition(" ")[0] if note.what == "moved" else note.what, note.why


def _steps(trail: _Trail | None) -> tuple[Step, ...]:
    found: list[Step] = []
    while trail is not None:
        found.append(trail.step)
        trail = trail.before
    return tuple(reversed(found))


class _Search:
    """What may have happened next."""

    def __init__(self, one: Enrollment, graphs: Mapping[int, Scenario], position: tuple[str, datetime] | None) -> None:
        self._one = one
        self._graphs = graphs
        self._position = position
        self._is_active = one.row.status == EnrollmentStatus.ACTIVE

    def starts(self) -> Iterator[_Place]:
        """Yield the places where he may have begun: a walk begins in the minute, a whole cohort with the next full one."""
        one = self._one
        moves = sorted(visit for visit in one.path if visit.startswith("__"))
        version = int(note_of(one.path[moves[0]]).why.split(" ")[1]) if moves else one.version
        graph = self._graphs[version]
        entered = _Trail(Step(version, graph.start, one.entered_at, "entered"), None)
        node = graph.nodes[graph.start]
        early = one.entered_at.replace(second=0, microsecond=0)
        walks = isinstance(graph.trigger, EventTrigger | ManualTrigger)
        ends = dict.fromkeys((reached_at(node, early), next_grain(reached_at(node, one.entered_at), timedelta(minutes=1))))
        for at in ends:
            cohort = INLINE if walks and not is_timed(node) else cohort_id(one.scenario_id, version, graph.start, at)
            yield _Place(version, graph.start, one.entered_at, at, frozenset(one.path), entered, cohort)

    def ways(self, place: _Place) -> Iterator[_Place]:
        """Yield what may have come next at a place, the likeliest first."""
        node = self._graphs[place.version].nodes[place.node]
        noted = self._noted(place, node)
        if noted:
            yield from self._by_note(place, node, noted)
            return
        moved_at = min((from_minute(visit[2:]) for visit in place.rest if visit.startswith("__")), default=None)
        if moved_at is not None and moved_at <= place.at:
            yield from self._relocated(place)
        if self._is_end(place, node):
            yield self._ended(place, node)
        elif not isinstance(node, SendNode | EndNode) and not self._is_beyond(place):
            yield from self._stays(place, node)
        if moved_at is not None and moved_at > place.at:
            yield from self._relocated(place)
        later = sorted(visit for visit in place.rest if visit.rpartition("__")[0] == place.node)
        for visit in later:
            at = from_minute(visit.rpartition("__")[2])
            if at > place.at:
                yield replace(place, at=at)
        yield from self._nearly(place, node)

    def _noted(self, place: _Place, node: Node) -> str:
        moments = [place.at, place.begins] if isinstance(node, WaitForResponseNode) else [place.at]
        return next((visit for at in moments if (visit := visit_of(place.node, at)) in place.rest), "")

    def _nearly(self, place: _Place, node: Node) -> Iterator[_Place]:
        """Yield the end of a way that a pause has put off without a word."""
        if place.rest or self._is_end(place, node):
            return
        if self._position and self._is_active and self._position[0] == place.node and place.at < self._position[1]:
            yield replace(self._ended(replace(place, at=self._position[1]), node), is_near=True)
        if isinstance(node, EndNode) and self._one.row.status == EnrollmentStatus.DONE:
            yield replace(self._ended(place, node), is_near=True)

    def _by_note(self, place: _Place, node: Node, visit: str) -> Iterator[_Place]:
        note = note_of(self._one.path[visit])
        place = replace(place, rest=place.rest - {visit})
        if note.what == "moved":
            yield self._moved(place, note)
            return
        leaves = note.what == "skipped" and isinstance(node, SendNode) and bool(node.unreachable) and note.why != "paused"
        target = node.unreachable if leaves and isinstance(node, SendNode) else main_exit(node)
        what = "acted" if note.what == "sent" and isinstance(node, ActionNode) else note.what
        place = place.then(what, note.why, target=target)
        if not leaves and (self._is_here(place) or self._is_out_after(place)):
            yield self._closed(place)
        else:
            yield from self._reach(place, target, joins=leaves)

    def _moved(self, place: _Place, note: Note) -> _Place:
        what, _, why = note.why.partition(" ")
        if what == "responded":
            answered = self._responded_at(place)
            place = place.then("responded", why, target=note.target, at=answered or place.at, until=note.until)
        else:
            what = "waiting" if what == "waits" else what
            place = place.then(what, why, target=note.target, at=place.at, until=note.until)
        if note.until is None:
            return next(self._reach(place, note.target))
        cohort = cohort_id(self._one.scenario_id, place.version, note.target, note.until)
        return replace(place, node=note.target, begins=min(place.at, note.until), at=note.until, cohort=cohort)

    def _responded_at(self, place: _Place) -> datetime | None:
        node = self._graphs[place.version].nodes[place.node]
        if not isinstance(node, WaitForResponseNode):
            return None
        told = (
            self._one.events.get(f"wait__{place.node}", "") if node.on else self._one.responses.get(node.of, "").partition(" ")[0]
        )
        return from_text(told) if told and place.begins <= from_text(told) <= place.at else None

    def _relocated(self, place: _Place) -> Iterator[_Place]:
        for visit in sorted(visit for visit in place.rest if visit.startswith("__"))[:1]:
            note = note_of(self._one.path[visit])
            _, before, after = note.why.split(" ")
            if int(before) != place.version or note.until is None:
                return
            at = from_minute(visit[2:])
            moved = place.then("relocated", f"{before} {after}", target=note.target, at=at, until=note.until)
            cohort = cohort_id(self._one.scenario_id, int(after), note.target, note.until)
            yield replace(
                moved,
                version=int(after),
                node=note.target,
                begins=min(place.begins, note.until),
                at=note.until,
                rest=place.rest - {visit},
                cohort=cohort,
            )

    def _stays(self, place: _Place, node: Node) -> Iterator[_Place]:
        target = main_exit(node)
        match node:
            case WaitForResponseNode():
                place = place.then("timed_out", target=target, until=place.at)
            case BranchNode():
                place = place.then("otherwise", target=target)
            case SplitNode():
                place = place.then("share", target=target)
            case ActionNode():
                place = place.then("acted", node.do, target=target)
            case _:
                place = place.then("waited", target=target, until=place.at)
        yield from self._reach(place, target)

    def _reach(self, place: _Place, target: str, *, joins: bool = False) -> Iterator[_Place]:
        """Yield a node as it is reached from a place. joins: by another cohort, which may have been closed and the next taken."""
        node = self._graphs[place.version].nodes[target]
        there = replace(place, node=target, begins=place.at, at=reached_at(node, place.at))
        if not (is_timed(node) if place.cohort == INLINE else joins):
            yield there
            return
        first = next_grain(there.at, timedelta(minutes=1))
        for late in range(_LATER_COHORTS):
            at = first + late * LATE
            yield replace(there, at=at, cohort=cohort_id(self._one.scenario_id, place.version, target, at))

    # Ends --------------------------------------------------------------------------------------------------------------------

    def _is_here(self, place: _Place) -> bool:
        """Say whether his cohort stands at a place now."""
        if not self._is_active or place.rest:
            return False
        if self._one.row.cohort == INLINE:
            return place.node == self._one.at_node
        return self._position is not None and self._position == (place.node, place.at)

    def _is_beyond(self, place: _Place) -> bool:
        """Say whether a place lies after where he stands now."""
        return self._is_active and not place.rest and self._position is not None and place.at > self._position[1]

    def _is_out_after(self, place: _Place) -> bool:
        """Say whether he has left right after what was noted last, before his cohort went on."""
        return self._one.row.status == EnrollmentStatus.EXITED and self._left(place) < place.at

    def _left(self, place: _Place) -> datetime:
        return place.at if place.rest or self._one.ended_at is None else self._one.ended_at

    def _is_end(self, place: _Place, node: Node) -> bool:
        if place.rest:
            return False
        if self._is_active:
            waits = self._position is None and self._one.row.cohort != INLINE and (is_timed(node) or isinstance(node, SendNode))
            return waits or self._is_here(place)
        if self._one.row.status == EnrollmentStatus.DONE:
            return isinstance(node, EndNode) and self._left(place) == place.at
        left = self._left(place)
        if self._one.reason == "left_segment" and left == place.at and not is_timed(node):
            return True
        return place.at > left or isinstance(node, SendNode)

    def _ended(self, place: _Place, node: Node) -> _Place:
        """Return the last place of all: where he stands, or has stood when he left."""
        if self._is_active:
            what = "waiting" if is_timed(node) else "stands"
            return place.then(what, until=place.at).over()
        if isinstance(node, EndNode) and self._one.row.status == EnrollmentStatus.DONE:
            return place.then("ended", self._one.reason, at=self._one.ended_at).over()
        if is_timed(node) and place.begins < self._left(place):
            place = place.then("waiting", until=place.at)
        return self._closed(place)

    def _closed(self, place: _Place) -> _Place:
        if self._is_active:
            return place.over()
        return place.then("exited", self._one.reason, at=self._one.ended_at).over()

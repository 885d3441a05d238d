"""Rehearse a drawing with everybody whom it means, by the work queue: people are read part by part, then all of it is run.

`rehearsals/{id}/order`, what is wanted; `…/people/{part}`, people without their names (afar.py); `rehearsals/{id}.json`, what
came out. How far it has come is which of these are there, so every step may come twice. They are deleted after thirty days.
"""

from __future__ import annotations

import gc
import heapq
import re
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import DomainError, NotFoundError
from chalicelib.kernel.ids import Cid, ScenarioId, new_id
from chalicelib.ports.files import Files
from chalicelib.scenarios.afar import Asked, from_afar
from chalicelib.scenarios.dry import drawn
from chalicelib.scenarios.forecast import MOST_SAMPLES, Forecast
from chalicelib.scenarios.graph import parse, to_json
from chalicelib.scenarios.model import Version
from chalicelib.scenarios.rehearsals import Found, Rehearsals, Wanted, account_of, comes, conditions_of, meant
from chalicelib.segments.model import Person
from chalicelib.segments.service import Segments

# What fits into the work worker's gigabyte even when a drawing asks everything (3.5 KB each, 11 s of processor for all); beyond,
# an evenly drawn sample of so many stands for all.
MOST_PLAYED = 200_000
PARTS = 64  # a part of ten million people is read within one call
_LANES = 4  # parts under way at once: other work of the queue goes on
_LONGEST = timedelta(hours=3)  # a step is tried five times; what has not ended by then has been given up
_ID = re.compile(r"reh_[0-9A-Z]{26}\Z")
_JSON, _BYTES = "application/json", "application/octet-stream"


class Status(StrEnum):
    """How a rehearsal stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a rehearsal stands. share_done: of all steps. problem: the code of what made it fail, `gave_up` after hours."""

    status: Status
    scenario_id: str
    share_done: float
    problem: str = ""
    result: Forecast | None = None


@dataclass(frozen=True, slots=True)
class _Order:
    scenario_id: str
    version: int
    graph: dict[str, Any]
    wanted: Wanted
    ordered_at: datetime


@dataclass(frozen=True, slots=True)
class _Outcome:
    problem: str
    result: Forecast | None


@dataclass(frozen=True, slots=True)
class _Part:
    """numbers: drawn for each of the people, in their order."""

    numbers: list[float]
    people: list[msgspec.Raw]


@dataclass(frozen=True, slots=True)
class _Numbers:
    numbers: list[float]


class FullRehearsals:
    """Rehearses drawings with everybody."""

    def __init__(self, rehearsals: Rehearsals, segments: Segments, files: Files, clock: Clock) -> None:
        self._rehearsals = rehearsals
        self._segments = segments
        self._files = files
        self._clock = clock

    def order(self, scenario_id: str, wanted: Wanted) -> tuple[str, list[dict[str, Any]]]:
        """Keep what is wanted; return the rehearsal's id, and the steps that do it. Raises as Rehearsals.run."""
        version = self._rehearsals.drawing(scenario_id, wanted)
        now = self._clock.now()
        rehearsal_id = new_id("reh", now)
        order = _Order(scenario_id, version.version, to_json(version.graph), wanted, now)
        self._files.put(f"rehearsals/{rehearsal_id}/order", msgspec.json.encode(order), _JSON)
        return rehearsal_id, [_step(rehearsal_id, part) for part in range(_LANES)]

    def get(self, rehearsal_id: str) -> Standing:
        """Return how a rehearsal stands. Raises NotFoundError(`rehearsal.unknown`)."""
        order = self._order(rehearsal_id)
        ended = self._files.get(f"rehearsals/{rehearsal_id}.json")
        if ended is not None:
            outcome = msgspec.json.decode(ended, type=_Outcome)
            status = Status.FAILED if outcome.problem else Status.DONE
            return Standing(status, order.scenario_id, 1.0, outcome.problem, outcome.result)
        read = len(self._parts(rehearsal_id))
        share = round(read / (PARTS + 1), 2)
        if self._clock.now() - order.ordered_at > _LONGEST:
            return Standing(Status.FAILED, order.scenario_id, share, "gave_up")
        return Standing(Status.RUNNING if read else Status.QUEUED, order.scenario_id, share)

    def do(self, rehearsal_id: str, part: int | None) -> list[dict[str, Any]]:
        """Read a part, or with None run what was read; return the steps that follow. Harmless when repeated."""
        if self._files.get(f"rehearsals/{rehearsal_id}.json") is not None:
            return []
        order = self._order(rehearsal_id)
        try:
            if part is None:
                self._end(rehearsal_id, _Outcome("", self._run(rehearsal_id, order)))
                return []
            self._read(rehearsal_id, order, part)
        except DomainError as refused:
            self._end(rehearsal_id, _Outcome(refused.code, None))
            return []
        if part + _LANES < PARTS:
            return [_step(rehearsal_id, part + _LANES)]
        # Whoever writes the last part sees all of them; two who do run it twice, to the same end.
        return [_step(rehearsal_id, None)] if len(self._parts(rehearsal_id)) == PARTS else []

    def _end(self, rehearsal_id: str, outcome: _Outcome) -> None:
        self._files.put(f"rehearsals/{rehearsal_id}.json", msgspec.json.encode(outcome), _JSON)

    def _order(self, rehearsal_id: str) -> _Order:
        found = self._files.get(f"rehearsals/{rehearsal_id}/order") if _ID.match(rehearsal_id) else None
        if found is None:
            raise NotFoundError("rehearsal.unknown", rehearsal_id=rehearsal_id)
        return msgspec.json.decode(found, type=_Order)

    def _parts(self, rehearsal_id: str) -> list[str]:
        return self._files.list(f"rehearsals/{rehearsal_id}/people/")

    # Reading ----------------------------------------------------------------------------------------------------------------

    def _read(self, rehearsal_id: str, order: _Order, part: int) -> None:
        key = f"rehearsals/{rehearsal_id}/people/{part:02d}"
        if key in self._parts(rehearsal_id):
            return
        graph = parse(order.graph)
        asked = Asked([order.graph, *(one.condition for one in self._segments.all_saved())])
        account = account_of(graph)
        numbers, people = [], []
        everybody = self._segments.find(
            meant(graph),
            order.wanted.begins_at,
            account,
            segment=part,
            segments=PARTS,
            addresses=True,
            conditions=conditions_of(graph),
        )
        for person in everybody:
            if not comes(graph, person, order.wanted):
                continue
            numbers.append(drawn("sample", person.cid)[0])
            people.append(msgspec.Raw(msgspec.msgpack.encode(from_afar(person, asked))))
        content = msgspec.msgpack.encode(_Part(numbers, people))
        self._files.put(key, zlib.compress(content, 1), _BYTES)

    # Running ----------------------------------------------------------------------------------------------------------------

    def _run(self, rehearsal_id: str, order: _Order) -> Forecast:
        keys = self._parts(rehearsal_id)
        audience, most = self._drawn(keys)
        people: dict[Cid, Person] = {}
        for key in keys:
            kept = msgspec.msgpack.decode(self._content(key), type=_Part)
            for number, raw in zip(kept.numbers, kept.people, strict=True):
                if number <= most:
                    person = msgspec.msgpack.decode(raw, type=Person)
                    people[person.cid] = person
        first = list(people)[:MOST_SAMPLES]
        faces = self._segments.load(first, self._rehearsals.accounts())
        version = Version(ScenarioId(order.scenario_id), order.version, parse(order.graph))
        with _left_alone():
            return self._rehearsals.play(version, order.wanted, Found(people, audience, faces=faces))

    def _drawn(self, keys: Sequence[str]) -> tuple[int, float]:
        """Return how many people there are, and the largest number of those who are played."""
        audience, chosen = 0, list[float]()
        for key in keys:
            numbers = msgspec.msgpack.decode(self._content(key), type=_Numbers).numbers
            audience += len(numbers)
            chosen = heapq.nsmallest(MOST_PLAYED, chosen + numbers)
        return audience, max(chosen, default=0.0)

    def _content(self, key: str) -> bytes:
        return zlib.decompress(self._files.get(key) or b"")


def _step(rehearsal_id: str, part: int | None) -> dict[str, Any]:
    return {"op": "rehearsal", "rehearsal_id": rehearsal_id, "part": part}


@contextmanager
def _left_alone() -> Iterator[None]:
    """Spare the collector of garbage to look through millions of objects that all stay."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()

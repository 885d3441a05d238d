"""The checker of the join protocol is no rubber stamp: it finds what is wrong with each protocol that looks right and is not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

import chalicelib.scenarios.engine as engine_module
import chalicelib.scenarios.upkeep as upkeep_module
from chalicelib.kernel.ids import CohortId
from chalicelib.scenarios.cohorts import Cohorts
from chalicelib.scenarios.engine import Engine, standing_of
from chalicelib.scenarios.model import Cohort, Enrollment, Move, Relocation
from chalicelib.scenarios.records import TableRecords
from chalicelib.scenarios.relocation import Relocations
from tests.pure.join_model import Parts, violations

MOST = 10_000  # as many as the real protocol is run through
Patch = Callable[[pytest.MonkeyPatch], None]


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.print", lambda *_, **__: None)


class PointsThenHints(TableRecords):
    """Who dies in between leaves nothing by which anybody is found."""

    def __init__(self, database: Any) -> None:
        super().__init__(database)
        self._owed: dict[str, tuple[Cohort, list[Enrollment]]] = {}

    def put_hints(self, header: Cohort, ones: Iterable[Enrollment]) -> None:
        self._owed[header.cohort_id] = (header, list(ones))

    def move_pointers(self, moves: Sequence[Move], target: CohortId, *, version: int, at: datetime) -> list[bool]:
        won = super().move_pointers(moves, target, version=version, at=at)
        super().put_hints(*self._owed[target])
        return won

    def insert(self, items: Sequence[Any]) -> list[bool]:
        won = super().insert(items)
        for name in {item["cohort"] for item in items} & {*self._owed}:
            super().put_hints(*self._owed[name])
        return won


class MovesWhoeverIsThere(TableRecords):
    """Does not ask whether he has moved or acted since he was read."""

    def move_pointers(self, moves: Sequence[Move], target: CohortId, *, version: int, at: datetime) -> list[bool]:
        found = self.get((move.one.row.pk, move.one.row.sk) for move in moves)
        fresh = [found[move.one.row.pk, move.one.row.sk] for move in moves]
        return super().move_pointers(
            [replace(move, one=one, is_late=False) for move, one in zip(moves, fresh, strict=True)], target, version=version, at=at
        )


class CountsInWithoutAWord(TableRecords):
    """Whoever brings somebody late cannot tell that the cohort has counted him."""

    def count_in(self, ones: Sequence[Enrollment], name: str) -> list[bool]:
        return [True] * len(ones)


class NeverFollowsUp(Cohorts):
    def move_on(self, header: Cohort, late: Sequence[Enrollment], now: datetime) -> None:
        pass


class LeadsOnWhoeverHalted(Engine):
    def advance(
        self, name: str, run: int, node_id: str, due: datetime, shards: Sequence[Mapping[str, Any]] | None
    ) -> dict[str, Any]:
        blind = None if shards is None else [{**shard, "halted": False, "stayed": shard["stayed"] or 1} for shard in shards]
        return super().advance(name, run, node_id, due, blind)


class MovesWithoutAFence(Relocations):
    """Leaves the cohort to whatever execution acts for it."""

    def move_page(self, header: Cohort, order: Relocation, shard: int, cursor: str, now: datetime, tell: Any) -> str | None:
        self._records.close_cohort(header.cohort_id, now)
        return super().move_page(replace(header, hold=f"moves to v{order.to_version}"), order, shard, cursor, now, tell)


class ForgetsWhoWasClaimed(Engine):
    """Does not answer for those whom a cohort has claimed when its people are taken out of it."""

    def finish(self, header: Cohort, ones: Sequence[Enrollment], skip: str = "") -> None:
        pass


class ForgetsBegunActions(Engine):
    """Does not ask whether an action was begun before its people are taken out of a cohort."""

    def finish_actions(self, header: Cohort, found: Sequence[Enrollment], batch_id: str) -> Any:
        return [], []


class TakesWhoeverIsListed(Engine):
    """Does not ask who may have come too late for the first visit."""

    def _in_time(self, header: Cohort, node: Any, visit: str, ones: list[Enrollment]) -> list[Enrollment]:
        return ones


def nobody_sweeps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(upkeep_module, "needs_sweep", lambda *_: False)


def no_fence(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(engine_module, "standing_of", lambda header, head, run: standing_of(header, head, header.run))


def skips_actions(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(engine_module, "gone_ahead", lambda *_: [])


@pytest.mark.parametrize(
    ("parts", "patch", "what", "first"),
    [
        pytest.param(Parts(records=PointsThenHints), None, "lost", 12, id="pointer before hint"),
        pytest.param(Parts(records=MovesWhoeverIsThere), None, "not on the way", 466, id="pointer without its guards"),
        pytest.param(Parts(records=CountsInWithoutAWord), None, "times", 2, id="counted in without a word"),
        pytest.param(Parts(cohorts=NeverFollowsUp), None, "lost", 949, id="header not read again"),
        pytest.param(Parts(engine=LeadsOnWhoeverHalted), None, "missed", 346, id="led on though a shard halted"),
        pytest.param(Parts(engine=TakesWhoeverIsListed), None, "times", 3, id="late comers taken along"),
        pytest.param(Parts(), nobody_sweeps, "lost", 2996, id="nobody sweeps"),
        pytest.param(Parts(), no_fence, "times", 15, id="no fence"),
        pytest.param(Parts(), skips_actions, "missed mark", 6241, id="a reaction skips an action"),
        pytest.param(Parts(relocations=MovesWithoutAFence), None, "times", 103, id="moved to another version without a fence"),
        pytest.param(Parts(engine=ForgetsWhoWasClaimed), None, "is told", 377, id="claims forgotten as people are taken out"),
        pytest.param(Parts(engine=ForgetsBegunActions), None, "times", 103, id="begun actions forgotten in a move"),
    ],
)
def test_the_checker_catches_a_broken_protocol(
    monkeypatch: pytest.MonkeyPatch, parts: Parts, patch: Patch | None, what: str, first: int
) -> None:
    if patch:
        patch(monkeypatch)
    # From where it was found the last time, so that this is quick; any other of the same lives will do as well.
    lives = (range(first, MOST), range(first))
    assert any(what in found for seeds in lives for _, found in violations(seeds, parts))

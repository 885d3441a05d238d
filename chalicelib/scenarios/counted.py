"""The records in DynamoDB that also count what happens to single people: who left why, who reacted, who reached the goal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from chalicelib.kernel.clock import Clock
from chalicelib.kernel.ids import CohortId
from chalicelib.ports.database import Database
from chalicelib.scenarios.counts import Counts, Thing
from chalicelib.scenarios.model import Enrollment, EnrollmentStatus, Move
from chalicelib.scenarios.paths import note_of
from chalicelib.scenarios.records import TableRecords
from chalicelib.scenarios.tallies import of_response

GOAL = "goal"
_HINTS = 5000


class CountedRecords(TableRecords):
    """Counts first and then writes, so that no crash loses a count; takes back what did not come to pass."""

    def __init__(self, database: Database, counts: Counts, clock: Clock) -> None:
        super().__init__(database)
        self._counts = counts
        self._clock = clock

    def move_pointers(self, moves: Sequence[Move], target: CohortId, *, version: int, at: datetime) -> list[bool]:
        """Point enrollments to a cohort; who goes on because he reacted is counted. See Records."""
        things = {move.one.row.pk + move.one.row.sk: thing for move in moves if (thing := _reaction(move))}
        self._counts.happen(things.values(), self._clock.now())
        won = super().move_pointers(moves, target, version=version, at=at)
        lost = [move for move, ours in zip(moves, won, strict=True) if not ours and move.one.row.pk + move.one.row.sk in things]
        self._take_back(lost, lambda one, move: note_of(one.path.get(move.visit, "")).target == note_of(move.note).target, things)
        return won

    def _take_back(self, lost: Sequence[Move], is_so: Callable[[Enrollment, Move], bool], things: dict[str, Thing]) -> None:
        """Take back what was counted for those who lost, unless somebody else did the very same."""
        now = self.get((move.one.row.pk, move.one.row.sk) for move in lost) if lost else {}
        for move in lost:
            key = (move.one.row.pk, move.one.row.sk)
            if key not in now or not is_so(now[key], move):
                self._counts.did_not([things["".join(key)]])

    def hints(self, name: str, shard: int, most: int) -> int:
        """Return how many hints a shard has, `most` at most."""
        found, after = 0, ""
        while found < most and (page := self._hints(name, shard, after, _HINTS)):
            found, after = found + len(page), page[-1]["sk"]
        return found

    def note_response(self, one: Enrollment, key: str, text: str) -> None:
        """Note a reaction, and count it once for the send that it answers; see Records."""
        self._counts.happen([Thing(one, *of_response(key, text))], self._clock.now())
        super().note_response(one, key, text)

    def note_events(self, one: Enrollment, keys: Iterable[str], at: datetime) -> None:
        """Note that something happened, and count the goal; see Records."""
        known = list(keys)
        if GOAL in known:
            self._counts.happen([Thing(one, "", GOAL)], self._clock.now())
        super().note_events(one, known, at)

    def end_enrollments(
        self, ones: Sequence[Enrollment], status: EnrollmentStatus, reason: str, at: datetime, *, in_cohort: bool
    ) -> list[bool]:
        """End active enrollments, and count those who leave before the end; see Records."""
        word = f"exited {reason}"
        leaving = [one for one in ones if status is EnrollmentStatus.EXITED and one.row.status == EnrollmentStatus.ACTIVE]
        things = {one.row.pk + one.row.sk: Thing(one, "", word) for one in leaving}
        self._counts.happen(things.values(), self._clock.now())
        ended = super().end_enrollments(ones, status, reason, at, in_cohort=in_cohort)
        lost = [Move(one) for one, ours in zip(ones, ended, strict=True) if not ours and one.row.pk + one.row.sk in things]
        self._take_back(lost, lambda one, _: one.reason == reason, things)
        return ended


def _reaction(move: Move) -> Thing | None:
    if not move.note:
        return None
    note = note_of(move.note)
    return Thing(move.one, move.visit.rpartition("__")[0], f"moved {note.target}") if note.why.startswith("responded") else None

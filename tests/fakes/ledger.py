"""The ledger in memory: the same verbs as delivery/ledger.py, held to the same expectations by tests/rooms/test_ledger.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from chalicelib.delivery.model import ACTIVE, Batch, BatchState, Call, Row


@dataclass
class KeptRow:
    """A member's row with what was done at each visit."""

    row: Row
    path: dict[str, str] = field(default_factory=dict)


class FakeLedger:
    """step: called before every single write and read, and after it; a test may die or change worker there."""

    def __init__(self, step: Callable[[], None] = lambda: None) -> None:
        self.step = step
        self.rows: dict[tuple[str, str], KeptRow] = {}
        self.frozen: dict[tuple[str, int], Batch] = {}
        self.tries: dict[tuple[str, int], str] = {}
        self.open: dict[tuple[str, int], Batch] = {}
        self.unclear: dict[tuple[str, int], Batch] = {}
        self.calls: dict[str, tuple[str, datetime]] = {}
        self.events: dict[str, datetime] = {}

    def read(self) -> list[Row]:
        """Return all rows, as a page of members is read."""
        self.step()
        return [kept.row for kept in self.rows.values()]

    def claim(self, rows: Sequence[Row], cohort: str, visit: str, batch_id: str) -> list[bool]:
        won = [self._visit(row, cohort, visit, batch_id, "sent") for row in rows]
        return [ours or self._is_taken(row, visit, batch_id) for row, ours in zip(rows, won, strict=True)]

    def _is_taken(self, row: Row, visit: str, batch_id: str) -> bool:
        self.step()
        kept = self.rows[row.pk, row.sk].row
        return kept.claim == batch_id and kept.last == visit

    def skip(self, rows: Sequence[Row], cohort: str, visit: str, whys: Sequence[str]) -> list[bool]:
        return [self._visit(row, cohort, visit, "", f"skipped {why}") for row, why in zip(rows, whys, strict=True)]

    def _visit(self, row: Row, cohort: str, visit: str, claim: str, note: str) -> bool:
        self.step()
        kept = self.rows[row.pk, row.sk]
        won = kept.row.cohort == cohort and kept.row.status == ACTIVE and visit not in kept.path
        if won:
            kept.row = replace(kept.row, last=visit, claim=claim)
            kept.path[visit] = note
        self.step()
        return won

    def batches(self, batch_id: str) -> list[Batch]:
        self.step()
        return [batch for (page, _), batch in sorted(self.frozen.items()) if page == batch_id]

    def freeze(self, batch: Batch) -> bool:
        key = (batch.batch_id, batch.number)
        if batch.state is BatchState.FROZEN:
            self.step()
            self.open[key] = batch
        self.step()
        if key in self.frozen:
            return False
        self.frozen[key] = batch
        self.step()
        return True

    def attempt(self, batch: Batch, at: datetime, by: str) -> tuple[Batch, bool]:
        key = (batch.batch_id, batch.number)
        self.step()
        first = self.frozen[key].attempted_at is None
        if first:
            self.frozen[key] = replace(self.frozen[key], attempted_at=at)
        self.tries[key] = by
        self.step()
        return self.frozen[key], first

    def forget_attempt(self, batch: Batch, by: str) -> None:
        key = (batch.batch_id, batch.number)
        self.step()
        if self.tries.get(key) == by and self.frozen[key].state is BatchState.FROZEN:
            self.frozen[key] = replace(self.frozen[key], attempted_at=None)

    def thin(self, batch: Batch, calls: Sequence[Call]) -> None:
        key = (batch.batch_id, batch.number)
        self.step()
        kept = self.frozen[key]
        if kept.attempted_at is None and kept.state is BatchState.FROZEN:
            self.frozen[key] = replace(kept, calls=tuple(calls), results=("",) * len(calls))

    def save(self, batch: Batch, results: Sequence[str], state: BatchState) -> Batch:
        key = (batch.batch_id, batch.number)
        self.step()
        saved = replace(batch, results=tuple(results), state=state)
        if self.frozen[key].state is BatchState.FROZEN:
            self.frozen[key] = replace(self.frozen[key], results=tuple(results), state=state)
            self.step()
            if state is not BatchState.FROZEN:
                self.file(saved)
        return saved

    def file(self, batch: Batch) -> None:
        key = (batch.batch_id, batch.number)
        if batch.state is BatchState.UNKNOWN:
            self.unclear[key] = batch
            self.step()
        self.open.pop(key, None)

    def begin_call(self, key: str, at: datetime, word: str = "calling") -> tuple[bool, str, datetime]:
        self.step()
        if key not in self.calls:
            self.calls[key] = (word, at)
            self.step()
            return True, word, at
        self.step()
        state, begun_at = self.calls.get(key, ("calling", at))
        return False, state, begun_at

    def begun_call(self, key: str) -> tuple[str, datetime] | None:
        self.step()
        return self.calls.get(key)

    def take_over_call(self, key: str, begun_at: datetime, at: datetime) -> bool:
        self.step()
        if self.calls.get(key) != ("calling", begun_at):
            return False
        self.calls[key] = ("calling", at)
        self.step()
        return True

    def release_call(self, key: str) -> None:
        self.step()
        self.calls.pop(key, None)

    def end_call(self, key: str, result: str) -> None:
        self.step()
        _, begun_at = self.calls[key]
        self.calls[key] = (f"done {result}", begun_at)

    def note_event(self, key: str, kind: str, at: datetime) -> None:
        if kind != "reject":  # a rejected call has not left
            self.events[key] = at

    def has_left(self, key: str) -> bool:
        self.step()
        return key in self.events

    def open_batches(self, before: datetime) -> list[str]:
        self.step()
        return list(dict.fromkeys(page for (page, _), batch in sorted(self.open.items()) if batch.frozen_at < before))

    def unknown_batches(self) -> list[dict[str, Any]]:
        return [{"batch_id": batch.batch_id, "members": len(batch.members)} for batch in self.unclear.values()]

"""Claims, frozen batches and calls in the engine table: every write is conditional, so any of them may come twice.

Rows are claimed in place; `SND#{batch}` / number is a frozen batch; `CALL#{key}` is an e-mail or SMS that was begun;
`OPEN` and `UNKNOWN` list batches that the reconciler or a person has to look at; `EVT#{key}` is the provider's own word.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chalicelib.delivery.model import ACTIVE, Batch, BatchState, Call, Row, channel_of
from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.settings import settings

_KEEP = timedelta(days=40)  # longer than any question about a delivery; frozen bodies hold personal data and must go
# SES's words for an e-mail that it did not take (developer guide: event publishing).
_NEVER_LEFT = {"reject", "rendering failure", "renderingfailure"}


class Ledger:
    """What has been decided and what has been done."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, rows: Sequence[Row], cohort: str, visit: str, batch_id: str) -> list[bool]:
        """Take rows for a batch; True for those that are ours now, those included that an earlier try of ours took.

        A zombie of the same page may take rows between our reading and our claim, and die before it freezes them: whoever
        comes after it answers for them.
        """
        won = self._visit(rows, cohort, visit, [(batch_id, "sent")] * len(rows))
        lost = [(row.pk, row.sk) for row, ours in zip(rows, won, strict=True) if not ours]
        kept = self._database.get_many(settings().engine_table, lost) if lost else {}
        taken = {key for key, item in kept.items() if item["claim"] == batch_id and item["last"] == visit}
        return [ours or (row.pk, row.sk) in taken for row, ours in zip(rows, won, strict=True)]

    def claim_aside(self, rows: Sequence[Row], visit: str, batch_id: str) -> list[bool]:
        """Take rows that have gone on to another cohort since, which may be claiming them itself; True for ours, as `claim`.

        So the note lies beside `claim`, and where they stand is not asked.
        """
        note = f"{batch_id} {visit}"
        text = (
            f'UPDATE "{settings().engine_table}" SET "aside"=? SET "path"."{visit}"=? '
            f'WHERE pk=? AND sk=? AND "path"."{visit}" IS MISSING'
        )
        outcomes = self._database.execute([Statement(text, (note, "sent", row.pk, row.sk)) for row in rows])
        lost = [(row.pk, row.sk) for row, outcome in zip(rows, outcomes, strict=True) if outcome is not None]
        kept = self._database.get_many(settings().engine_table, lost) if lost else {}
        return [outcome is None or _is_taken(kept.get((row.pk, row.sk)), note) for row, outcome in zip(rows, outcomes, strict=True)]

    def skip(self, rows: Sequence[Row], cohort: str, visit: str, whys: Sequence[str]) -> list[bool]:
        """Note that these rows are left out at this visit; True for those where that was still open."""
        return self._visit(rows, cohort, visit, [("", f"skipped {why}") for why in whys])

    def _visit(self, rows: Sequence[Row], cohort: str, visit: str, notes: Sequence[tuple[str, str]]) -> list[bool]:
        text = (
            f'UPDATE "{settings().engine_table}" SET "last"=? SET "claim"=? SET "path"."{visit}"=? '
            # Not `last`: a zombie that lags a node behind must not take back whom the cohort has led on.
            f'WHERE pk=? AND sk=? AND "cohort"=? AND "status"=? AND "path"."{visit}" IS MISSING'
        )
        statements = [
            Statement(text, (visit, claim, note, row.pk, row.sk, cohort, ACTIVE))
            for row, (claim, note) in zip(rows, notes, strict=True)
        ]
        return [outcome is None for outcome in self._database.execute(statements)]

    def notes(self, keys: Iterable[tuple[str, str]], visit: str) -> dict[tuple[str, str], tuple[Cid, str]]:
        """Return for those rows that there are whose they are, and what was done with them at a visit; "" nothing yet."""
        found = self._database.get_many(settings().engine_table, keys)
        return {key: (Cid(item["cid"]), item["path"].get(visit, "")) for key, item in found.items()}

    def batches(self, batch_id: str) -> list[Batch]:
        """Return the frozen batches of a page in order, strongly consistent."""
        return [_batch(item) for item in self._database.query(settings().engine_table, f"SND#{batch_id}")]

    def freeze(self, batch: Batch, by: str = "") -> bool:
        """Write a batch unless its number is taken; True when it is ours.

        by: a name of the try that makes its calls at once, where batch.attempted_at says so; see `attempt`.
        """
        if batch.state is BatchState.FROZEN:
            self._database.put_many(settings().engine_table, [_open_entry(batch)])
        item = {
            "pk": f"SND#{batch.batch_id}",
            "sk": f"{batch.number:04d}",
            "channel": str(batch.channel),
            "verb": batch.verb,
            "account": batch.account or "",
            "calls": _calls_text(batch.calls),
            "results": list(batch.results),
            "state": str(batch.state),
            "frozen_at": to_text(batch.frozen_at),
            "attempted_at": to_text(batch.attempted_at) if batch.attempted_at else "",
            "attempted_by": by,
            "ttl": int((batch.frozen_at + _KEEP).timestamp()),
        }
        return self._database.execute([Statement.insert(settings().engine_table, item)]) == [None]

    def attempt(self, batch: Batch, at: datetime, by: str) -> tuple[Batch, bool]:
        """Note that calls are about to be made, before they are.

        by: a name of this try and no other. Returns the batch as it stands, with the moment of the first try, and whether
        this is the first.
        """
        first = self._update(batch, {"attempted_at": to_text(at), "attempted_by": by}, {"attempted_at": ""})
        kept = self._kept(batch)
        # Whoever made the first try may forget it between our two writes: then ours is the first.
        while not first and not self._update(batch, {"attempted_by": by}, {"attempted_at": kept["attempted_at"] or "none"}):
            first = self._update(batch, {"attempted_at": to_text(at), "attempted_by": by}, {"attempted_at": ""})
            kept = self._kept(batch)
        return _batch(kept), first

    def _kept(self, batch: Batch) -> Item:
        return self._database.get_many(settings().engine_table, [_key(batch)])[_key(batch)]

    def forget_attempt(self, batch: Batch, by: str) -> None:
        """Note that every call of a first try was refused outright, so that no key is in use; not if another try began."""
        self._update(batch, {"attempted_at": ""}, {"attempted_by": by, "state": str(BatchState.FROZEN)})

    def thin(self, batch: Batch, calls: Sequence[Call]) -> None:
        """Freeze other calls in the place of those of which none was ever made."""
        changes = {"calls": _calls_text(calls), "results": [""] * len(calls)}
        self._update(batch, changes, {"attempted_at": "", "state": str(BatchState.FROZEN)})

    def save(self, batch: Batch, results: Sequence[str], state: BatchState) -> Batch:
        """Keep what the calls came to; a batch that is no longer frozen stays as it is.

        What was sent is personal and nobody needs it any more: the bodies of a batch that is done go with the same write.
        """
        saved = replace(batch, results=tuple(results), state=state)
        changes: dict[str, Any] = {"results": list(results), "state": str(state)}
        if state is BatchState.SENT:
            saved = replace(saved, calls=tuple(replace(call, body={}) for call in batch.calls))
            changes["calls"] = _calls_text(saved.calls)
        kept = self._update(batch, changes, {"state": str(BatchState.FROZEN)})
        if kept and state is not BatchState.FROZEN:
            self.file(saved)
        return saved

    def file(self, batch: Batch) -> None:
        """Take a batch that is no longer frozen off the open list, on to that of the unknown ones if it is one."""
        entry = _open_entry(batch)
        if batch.state is BatchState.UNKNOWN:
            self._database.put_many(settings().engine_table, [{**entry, "pk": "UNKNOWN"}])
        drop = Statement(f'DELETE FROM "{settings().engine_table}" WHERE pk=? AND sk=?', (entry["pk"], entry["sk"]))
        self._database.execute([drop])

    def _update(self, batch: Batch, changes: Mapping[str, Any], guards: Mapping[str, str]) -> bool:
        sets = " ".join(f'SET "{name}"=?' for name in changes)
        conditions = " AND ".join(f'"{name}"=?' for name in guards)
        text = f'UPDATE "{settings().engine_table}" {sets} WHERE pk=? AND sk=? AND {conditions}'
        return self._database.execute([Statement(text, (*changes.values(), *_key(batch), *guards.values()))]) == [None]

    def begin_call(self, key: str, at: datetime, word: str = "calling") -> tuple[bool, str, datetime]:
        """Note that a call without idempotency is about to be made.

        Returns (ours, state, begun_at): `ours` when nobody has begun it before; else the state of the earlier try, `calling`
        or `done …`, and when it began. word: what is begun, for those who must choose between two ways.
        """
        item = {
            "pk": f"CALL#{key}",
            "sk": "#",
            "state": word,
            "begun_at": to_text(at),
            "ttl": int((at + _KEEP).timestamp()),
        }
        insert = Statement.insert(settings().engine_table, item)
        if self._database.execute([insert]) == [None]:
            return True, word, at
        begun = self.begun_call(key)
        # Taken back in this instant by whoever had begun it: he will begin again himself.
        return (False, *begun) if begun else (False, "calling", at)

    def begun_call(self, key: str) -> tuple[str, datetime] | None:
        """Return state and beginning of a call that was begun."""
        kept = self._database.get_many(settings().engine_table, [(f"CALL#{key}", "#")]).get((f"CALL#{key}", "#"))
        return (kept["state"], from_text(kept["begun_at"])) if kept else None

    def take_over_call(self, key: str, begun_at: datetime, at: datetime) -> bool:
        """Begin a call again whose first try can no longer be alive; False when somebody else has taken it over."""
        text = f'UPDATE "{settings().engine_table}" SET "begun_at"=? WHERE pk=? AND sk=? AND "begun_at"=? AND "state"=?'
        statement = Statement(text, (to_text(at), f"CALL#{key}", "#", to_text(begun_at), "calling"))
        return self._database.execute([statement]) == [None]

    def release_call(self, key: str) -> None:
        """Take back the note of a call that certainly did not get through."""
        self._database.execute([Statement(f'DELETE FROM "{settings().engine_table}" WHERE pk=? AND sk=?', (f"CALL#{key}", "#"))])

    def end_call(self, key: str, result: str) -> None:
        """Keep what a call came to."""
        text = f'UPDATE "{settings().engine_table}" SET "state"=? WHERE pk=? AND sk=?'
        self._database.execute([Statement(text, (f"done {result}", f"CALL#{key}", "#"))])

    def note_event(self, key: str, kind: str, at: datetime) -> None:
        """Keep the provider's own word about a call: send, delivery, bounce, complaint."""
        item = {"pk": f"EVT#{key}", "sk": kind, "at": to_text(at), "ttl": int((at + _KEEP).timestamp())}
        self._database.put_many(settings().engine_table, [item])

    def has_left(self, key: str) -> bool:
        """Say whether the provider has told that it took this call; a rejected one it did not take."""
        told = {item["sk"] for item in self._database.query(settings().engine_table, f"EVT#{key}")}
        return bool(told - _NEVER_LEFT)

    def open_batches(self, before: datetime) -> list[str]:
        """Return the ids of pages with a batch that was frozen before an instant and is not settled."""
        items = self._database.query(settings().engine_table, "OPEN")
        return list(dict.fromkeys(item["batch_id"] for item in items if item["frozen_at"] < to_text(before)))

    def unknown_batches(self) -> list[Item]:
        """Return the batches that a person must look at."""
        return self._database.query(settings().engine_table, "UNKNOWN")


def _is_taken(item: Item | None, note: str) -> bool:
    """Say whether a row is a batch's: claimed by it before it went on, or taken aside since."""
    return item is not None and note in (item.get("aside"), f"{item['claim']} {item['last']}")


def _calls_text(calls: Sequence[Call]) -> str:
    entries = [{"m": [int(cid) for cid in call.members], "b": call.body, "k": call.key} for call in calls]
    return json.dumps(entries, ensure_ascii=False, separators=(",", ":"))  # as compose.py counts it


def _key(batch: Batch) -> tuple[str, str]:
    return f"SND#{batch.batch_id}", f"{batch.number:04d}"


def _open_entry(batch: Batch) -> Item:
    return {
        "pk": "OPEN",
        "sk": f"{batch.batch_id}#{batch.number:04d}",
        "batch_id": batch.batch_id,
        "frozen_at": to_text(batch.frozen_at),
        "members": len(batch.members),
        "channel": str(batch.channel),
        "ttl": int((batch.frozen_at + _KEEP).timestamp()),
    }


def _batch(item: Mapping[str, Any]) -> Batch:
    attempted = item["attempted_at"]
    return Batch(
        batch_id=item["pk"].removeprefix("SND#"),
        number=int(item["sk"]),
        channel=channel_of(item["channel"]),
        verb=item["verb"],
        account=AccountKey(item["account"]) if item["account"] else None,
        calls=tuple(Call(tuple(Cid(cid) for cid in call["m"]), call["b"], call["k"]) for call in json.loads(item["calls"])),
        results=tuple(item["results"]),
        state=BatchState(item["state"]),
        frozen_at=from_text(item["frozen_at"]),
        attempted_at=from_text(attempted) if attempted else None,
    )

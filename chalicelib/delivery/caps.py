"""A person's caps, kept exactly: whoever sends books a place first, so that two senders at once cannot pass a cap together.

Core item `C#cid` / `CAP`: rv, and sends {id: "<instant> <channel> <kind|id>"}; the id is derived from visit and row, so that
a place is booked once however often a page runs. It is written only where a cap is in force; company-wide ones are the
config item `LIM`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from chalicelib.delivery.model import (
    ACTIVE,
    LONGEST_PERIOD,
    Decision,
    Job,
    Limits,
    PastSend,
    Row,
    Send,
    cap_words,
    parse_cap,
)
from chalicelib.delivery.policy import decide, is_counted, origin, within
from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.errors import TemporaryError
from chalicelib.kernel.ids import Cid
from chalicelib.kernel.windows import DeliveryWindow
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.segments.model import Person
from chalicelib.settings import settings

_LIMITS = ("LIM", "#")
_SK = "CAP"
# Every round somebody gets his place: so many senders at once want the same person's that something else is wrong.
_ROUNDS = 20


class Caps:
    """Decides with the caps of everybody in sight."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def limits(self) -> Limits:
        """Return the company's own limits."""
        kept = self._database.get_many(settings().config_table, [_LIMITS]).get(_LIMITS)
        if kept is None:
            return Limits()
        window = DeliveryWindow.parse(kept["start"], kept["end"]) if kept["start"] else None
        return Limits(tuple(parse_cap(**words) for words in kept["caps"]), window)

    def set_limits(self, limits: Limits) -> None:
        """Set the company's own limits."""
        window = limits.window
        item = {
            "pk": _LIMITS[0],
            "sk": _LIMITS[1],
            "caps": [cap_words(cap) for cap in limits.caps],
            "start": f"{window.start:%H:%M}" if window else "",
            "end": f"{window.end:%H:%M}" if window else "",
        }
        self._database.put_many(settings().config_table, [item])

    def decide(self, job: Job, rows: Sequence[Row], people: Mapping[Cid, Person], now: datetime) -> list[Decision]:
        """Return what happens to each row's message; who is sent to has his place. Raises TemporaryError.

        A place that was booked by an earlier try of the same visit is booked anew for this moment, or given back.
        """
        job = within(job, self.limits()) if rows else job
        if not (job.caps and is_counted(job)):
            return [decide(job, people[row.cid], now) for row in rows]
        decided: dict[int, Decision] = {}
        for _ in range(_ROUNDS):
            # One row a person and round: his next one must see what this one has booked.
            turn = {people[row.cid].cid: place for place, row in reversed(list(enumerate(rows))) if place not in decided}
            if not turn:
                return [decided[place] for place in range(len(rows))]
            decided |= self._book(job, {place: rows[place] for place in turn.values()}, people, now)
        raise TemporaryError("caps: others book for the same people all the time")

    def _book(self, job: Job, rows: Mapping[int, Row], people: Mapping[Cid, Person], now: datetime) -> dict[int, Decision]:
        keys = [key for row in rows.values() for key in _keys(people[row.cid])]
        kept = self._database.get_many(settings().core_table, keys)
        decided: dict[int, Decision] = {}
        writes: dict[int, Statement] = {}
        for place, row in rows.items():
            person = people[row.cid]
            item, mine = kept.get(_key(person)), _place_of(job, row)
            items = [kept[key] for key in _keys(person) if key in kept]
            sends = {name: text for one in items for name, text in one["sends"].items()}
            had = sends.pop(mine, None)
            past = {name: _past(text) for name, text in sends.items()}
            decided[place] = decide(job, person, now, list(past.values()))
            sends = {name: text for name, text in sends.items() if now - past[name].at < LONGEST_PERIOD}
            if isinstance(decided[place], Send):
                sends[mine] = f"{to_text(now)} {job.channel} {origin(job.source)}"
            if had or mine in sends:
                writes[place] = _write(person, item, sends)
        outcomes = self._database.execute(list(writes.values()))
        lost = {place for place, outcome in zip(writes, outcomes, strict=True) if outcome}
        return {place: decision for place, decision in decided.items() if place not in lost}

    def give_back(self, job: Job, rows: Sequence[Row], people: Mapping[Cid, Person]) -> None:
        """Give back the places of rows that were not claimed after all; best effort, a place too many only makes somebody wait."""
        if not rows or not is_counted(job):
            return
        rows_now = self._database.get_many(settings().engine_table, [(row.pk, row.sk) for row in rows])
        kept = self._database.get_many(settings().core_table, [_key(people[row.cid]) for row in rows])
        writes = {}
        for row in rows:
            person = people[row.cid]
            item, mine = kept.get(_key(person)), _place_of(job, row)
            if item and mine in item["sends"] and not _may_be_sent(rows_now.get((row.pk, row.sk)), job):
                writes[person.cid] = _write(person, item, {name: text for name, text in item["sends"].items() if name != mine})
        self._database.execute(list(writes.values()))


def _may_be_sent(row: Item | None, job: Job) -> bool:
    # Another page may have claimed this visit, or may yet: the place is its own too.
    if row is None:
        return False
    return job.visit in row["path"] or (row["cohort"] == job.cohort and row["status"] == ACTIVE)


def _keys(person: Person) -> list[tuple[str, str]]:
    # Before a link made one person of two, what he got was counted under his other number.
    return [_key(person), *((f"C#{cid}", _SK) for cid in person.customer.aliases)]


def _key(person: Person) -> tuple[str, str]:
    return f"C#{person.cid}", _SK


def _place_of(job: Job, row: Row) -> str:
    return f"{job.visit}|{row.pk}|{row.sk}"


def _past(text: str) -> PastSend:
    at, channel, source = text.split(" ", 2)
    return PastSend(from_text(at), channel, source)


def _write(person: Person, item: Item | None, sends: Mapping[str, str]) -> Statement:
    table, (pk, sk) = settings().core_table, _key(person)
    if item is None:
        return Statement.insert(table, {"pk": pk, "sk": sk, "rv": 1, "sends": sends})
    text = f'UPDATE "{table}" SET "sends"=? SET "rv"=? WHERE pk=? AND sk=? AND "rv"=?'
    return Statement(text, (sends, item["rv"] + 1, pk, sk, item["rv"]))

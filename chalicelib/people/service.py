"""Find, number and join people."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

from chalicelib.kernel.clock import Clock, from_text, to_text
from chalicelib.kernel.errors import TemporaryError
from chalicelib.kernel.ids import Cid
from chalicelib.people import table
from chalicelib.people.model import end_of, person_key
from chalicelib.ports.database import DUPLICATE, Database, Item, Statement
from chalicelib.settings import settings

_ALONE = ("COUNTER", "alone")
_ALONE_FOR = timedelta(minutes=1)  # longer than a call of the API lives
_BLOCK = 20  # numbers reserved at a time: a container that dies wastes at most these


class People:
    """The numbers of people and the identities that point to them."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._free: list[int] = []
        self._lock = threading.Lock()  # the local host serves all functions from one process

    def find(self, identity: str) -> Cid | None:
        """Return the person behind an identity."""
        return table.pointer(identity)

    def find_many(self, identities: Iterable[str]) -> dict[str, Cid]:
        """Return the people behind those identities that are known."""
        wanted = list(dict.fromkeys(identities))
        found = self._database.get_many(settings().core_table, [table.pointer_key(identity) for identity in wanted])
        return {identity: Cid(found[key]["cid"]) for identity in wanted if (key := table.pointer_key(identity)) in found}

    def find_or_number(self, identity: str) -> tuple[Cid, bool]:
        """Return the person behind an identity and whether he is new; two who ask at once get the same one."""
        cid = table.pointer(identity)
        if cid is not None:
            return cid, False
        fresh = self._number(1)[0]
        if table.put_pointer(identity, fresh, to_text(self._clock.now())):
            return fresh, True
        taken = table.pointer(identity)
        if taken is None:
            raise LookupError("an identity vanished while it was claimed")
        return taken, False

    def find_or_number_many(self, identities: Iterable[str]) -> dict[str, Cid]:
        """Return a person for every identity, new numbers for unknown ones; lost races take the winner's number."""
        wanted = list(dict.fromkeys(identities))
        known = self.find_many(wanted)
        missing = [identity for identity in wanted if identity not in known]
        if not missing:
            return known
        at = to_text(self._clock.now())
        fresh = dict(zip(missing, self._number(len(missing)), strict=True))
        outcomes = self._database.execute([table.claim_statement(identity, cid, at) for identity, cid in fresh.items()])
        lost = [identity for identity, outcome in zip(fresh, outcomes, strict=True) if outcome == DUPLICATE]
        return known | fresh | self.find_many(lost)

    def new_number(self) -> Cid:
        """Return a number that nobody has."""
        return self._number(1)[0]

    def number_identity(self, identity: str, cid: Cid) -> bool:
        """Point a free identity to a known person; return False when it points elsewhere."""
        return table.put_pointer(identity, cid, to_text(self._clock.now())) or table.pointer(identity) == cid

    def number_identities(self, wanted: Mapping[str, Cid]) -> set[str]:
        """Point free identities to known people; return those that point elsewhere."""
        at = to_text(self._clock.now())
        outcomes = self._database.execute([table.claim_statement(identity, cid, at) for identity, cid in wanted.items()])
        taken = [identity for identity, outcome in zip(wanted, outcomes, strict=True) if outcome == DUPLICATE]
        return {identity for identity, cid in self.find_many(taken).items() if cid != wanted[identity]}

    def move(self, identity: str, old: Cid, new: Cid) -> bool:
        """Point an identity from one person to another; True too when that is done already."""
        return table.move_pointer(identity, old, new) or table.pointer(identity) == new

    def mark_merged(self, old: Cid, new: Cid) -> None:
        """Say on both profiles that `old` is now part of `new`."""
        table.mark_merged(old, new)

    def unmark_merged(self, old: Cid, new: Cid) -> None:
        """Take the merge marks back."""
        table.unmark_merged(old, new)

    def aliases(self, cid: Cid) -> list[Cid]:
        """Return the numbers that have become part of a person's, through however many others."""
        found, todo = {cid}, [cid]
        while todo:
            items = self.collections(todo, ["P"]).values()
            todo = sorted({Cid(int(alias)) for item in items for alias in item.get("P", {}).get("aliases") or ()} - found)
            found |= set(todo)
        return sorted(found - {cid})

    def living(self, cids: Iterable[Cid]) -> dict[Cid, Cid]:
        """Return for these numbers those of the people that they have become, through however many others."""
        wanted = list(cids)
        merged: dict[Cid, Cid | None] = {}
        while todo := {*wanted, *(into for into in merged.values() if into)} - set(merged):
            for cid, items in self.collections(todo, ["P"]).items():
                into = items.get("P", {}).get("merged_into")
                merged[cid] = Cid(int(into)) if into else None
        return {cid: end_of(cid, merged) for cid in wanted}

    @contextmanager
    def alone(self, act: str) -> Iterator[None]:
        """Let nobody else make people one, part them or order that they are erased meanwhile; whoever asks for the same act may.

        Raises TemporaryError when somebody else does at this moment; who died on the way bars the others for a minute.
        """
        core, (pk, sk), now = settings().core_table, _ALONE, self._clock.now()
        item = {"pk": pk, "sk": sk, "act": act, "until": to_text(now + _ALONE_FOR)}
        if self._database.execute([Statement.insert(core, item)]) == [DUPLICATE]:
            other = self._database.get_many(core, [_ALONE]).get(_ALONE)
            if other is None or (other["act"] != act and from_text(other["until"]) > now):
                raise TemporaryError("somebody else joins, parts or erases people at this moment")
            text = f'UPDATE "{core}" SET "act"=?, "until"=? WHERE pk=? AND sk=? AND "act"=? AND "until"=?'
            taken = Statement(text, (act, item["until"], pk, sk, other["act"], other["until"]))
            if self._database.execute([taken]) != [None]:
                raise TemporaryError("somebody else joins, parts or erases people at this moment")
        try:
            yield
        finally:
            text = f'DELETE FROM "{core}" WHERE pk=? AND sk=? AND "act"=? AND "until"=?'
            self._database.execute([Statement(text, (pk, sk, act, item["until"]))])

    def collections(self, cids: Iterable[Cid], kinds: Iterable[str]) -> dict[Cid, Mapping[str, Item]]:
        """Return per person his core items of these kinds (sort keys), strongly consistent."""
        people = list(dict.fromkeys(cids))
        wanted = list(kinds)
        keys = [(person_key(cid), kind) for cid in people for kind in wanted]
        found = self._database.get_many(settings().core_table, keys)
        return {cid: {kind: found[person_key(cid), kind] for kind in wanted if (person_key(cid), kind) in found} for cid in people}

    def is_there(self, cid: Cid) -> bool:
        """Say whether there is anything of a person: nothing is when he was erased, or when nobody has had this number."""
        return bool(self._database.query(settings().core_table, person_key(cid), limit=1))

    def highest(self) -> int:
        """Return the highest number handed out: people are numbered 1 to this, with a few gaps."""
        return table.highest()

    def _number(self, count: int) -> list[Cid]:
        with self._lock:
            if len(self._free) < count:
                size = max(count - len(self._free), _BLOCK)
                first = table.reserve_block(size)
                self._free += range(first, first + size)
            taken, self._free = self._free[:count], self._free[count:]
        return [Cid(number) for number in taken]

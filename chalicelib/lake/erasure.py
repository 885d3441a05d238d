"""Erase a person: from the tables, from every answer at once, from the lake's files soon after; and know him when he comes back.

1. A receipt is written: keyed hashes of his identities, never the identities; and that it is to be carried out. 2. The manifest
names his numbers: from now on no answer does. 3. His items go, with those that point to him. 4. The keeper writes every file of
the lake anew that holds him. Every hour 2 and 3 are done again, for whoever has read him before may have written since, until a
quarter of an hour has passed and 4 is done; so nothing is lost by a crash. What remains, and how long: docs/operations.md.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chalicelib.kernel.clock import Clock, from_text, to_text
from chalicelib.kernel.each import Mapper, in_turn
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError, TemporaryError
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.kernel.pages import Page, decode_cursor, encode_cursor
from chalicelib.lake import manifest as manifests
from chalicelib.lake.folding import Folding
from chalicelib.lake.model import LAKE
from chalicelib.lake.parts import Parts, listed
from chalicelib.people.model import line_identity, member_identity, person_key
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.ports.files import Files
from chalicelib.ports.secrets import Secrets
from chalicelib.settings import settings

if TYPE_CHECKING:
    from chalicelib.people.service import People

_RECEIPT, _PRINT, _DUE = "ERASED", "ERASED#", "ERASING"
_SIGNING_SECRET = "signing"
_TRIES = 20
_MOST_REASON = 500
_LONGEST_ID = 40
_AUDIENCES = f"{LAKE}audience/"


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a person was erased. prints: keyed hashes of what he was known by. by: whose API key ordered it.

    done_at: since when nothing is left of him but what expires. lifted_at, lifted_by: he may be entered again.
    """

    receipt_id: str
    at: datetime
    reason: str
    by: str
    cids: tuple[Cid, ...]
    prints: tuple[str, ...]
    done_at: datetime | None = None
    lifted_at: datetime | None = None
    lifted_by: str = ""


class Erasures:
    """Erases people, and says who was."""

    def __init__(self, people: People, database: Database, files: Files, secrets: Secrets, clock: Clock) -> None:
        self._people = people
        self._database = database
        self._files = files
        self._secrets = secrets
        self._clock = clock

    def order(self, cid: Cid, reason: str, by: str) -> Receipt:
        """Decide that a person is erased with all numbers that he has had; told again the same receipt.

        Raises NotFoundError(`customer.unknown`), InvalidError(`erasure.no_reason`).
        """
        if not reason.strip() or len(reason) > _MOST_REASON:
            raise InvalidError("erasure.no_reason")
        # Nobody becomes part of him, or stops being it, between the look at his numbers and the word that all of them go.
        with self._people.alone(f"erase {cid}"):
            return self._ordered(cid, reason.strip(), by)

    def _ordered(self, cid: Cid, reason: str, by: str) -> Receipt:
        receipt, due = self._kept(_receipt_id(cid)), self.due()
        if receipt is None or (receipt.done_at is None and receipt.receipt_id not in due):
            cids = self._numbers(cid)
            receipt = receipt or self._kept(_receipt_id(cids[0]))
            if receipt is None or (receipt.done_at is None and receipt.receipt_id not in due):
                # Of a receipt that nobody was told of: he may have become part of somebody since.
                cids = tuple(dict.fromkeys([*(receipt.cids if receipt else ()), *cids]))
                prints = tuple(sorted(self._print(one) for one in self._identities(cids)))
                receipt = Receipt(_receipt_id(cids[0]), self._clock.now(), reason, by, cids, prints)
                self._keep(receipt)
        if receipt.done_at is None:
            self._mark(receipt)
        return receipt

    def _mark(self, receipt: Receipt) -> None:
        marks = [{"pk": f"{_PRINT}{one}", "sk": "#", "receipt": receipt.receipt_id} for one in receipt.prints]
        self._database.put_many(settings().config_table, [*marks, {"pk": _DUE, "sk": receipt.receipt_id}])

    def carry_out(self, receipt_id: str) -> Receipt:
        """Erase the person of a receipt, the same when repeated; it is done when nobody can be on his way with him any more.

        His ways through scenarios are for the caller to end first (ScenarioPeople.erase). Raises NotFoundError(`erasure.unknown`).
        """
        receipt = self._with_late(self.receipt(receipt_id))
        hide(self._files, receipt.cids)
        self._drop_pointers(receipt.cids)
        # The items of the living number last, for its profile leads to the others.
        for number in reversed(receipt.cids):
            self._delete(number)
        now = self._clock.now()
        manifest, _ = manifests.load(self._files)
        if receipt.done_at is None and now >= receipt.at + manifests.GRACE and not set(receipt.cids) & set(manifest.unpurged()):
            receipt = replace(receipt, done_at=now)
            self._keep(receipt)
            self._drop([(settings().config_table, _DUE, receipt_id)])
        return receipt

    def _with_late(self, receipt: Receipt) -> Receipt:
        """Return a receipt with the numbers that have become his since it was ordered: he was just being linked."""
        numbers = receipt.cids
        near = {other for number in numbers for other in (*self._joining(number), *self._people.aliases(number))} - {*numbers}
        late = sorted(number for number, end in self._people.living(near).items() if end in numbers)
        if not late or receipt.done_at:
            return receipt
        prints = {*receipt.prints, *(self._print(one) for one in self._identities([*numbers, *late]))}
        receipt = replace(receipt, cids=(*numbers, *late), prints=tuple(sorted(prints)))
        self._mark(receipt)
        self._keep(receipt)  # last: whoever dies before it finds them by the same look again
        return receipt

    def due(self) -> list[str]:
        """Return the ids of the receipts that are not carried out to their end."""
        return [item["sk"] for item in self._database.query(settings().config_table, _DUE)]

    def under_way(self, cids: Iterable[Cid]) -> bool:
        """Say whether one of these numbers is being erased at this moment."""
        keys = [(_RECEIPT, receipt_id) for receipt_id in self.due()]
        running = self._database.get_many(settings().config_table, keys).values()
        return not {int(cid) for item in running for cid in item["cids"]}.isdisjoint(cids)

    def lift(self, receipt_id: str, by: str) -> None:
        """Let the person of a receipt be entered again, for it is his own wish; the receipt stays. Harmless when repeated.

        Raises NotFoundError(`erasure.unknown`), ConflictError(`erasure.runs`).
        """
        receipt = self.receipt(receipt_id)
        if receipt.done_at is None:
            raise ConflictError("erasure.runs", receipt_id=receipt_id)
        text = f'DELETE FROM "{settings().config_table}" WHERE pk=? AND sk=? AND "receipt"=?'
        self._database.execute([Statement(text, (f"{_PRINT}{one}", "#", receipt_id)) for one in receipt.prints])
        self._keep(replace(receipt, prints=(), lifted_at=receipt.lifted_at or self._clock.now(), lifted_by=receipt.lifted_by or by))

    def receipt(self, receipt_id: str) -> Receipt:
        """Return a receipt. Raises NotFoundError(`erasure.unknown`)."""
        kept = self._kept(receipt_id) if 0 < len(receipt_id) <= _LONGEST_ID else None
        if kept is None:
            raise NotFoundError("erasure.unknown", receipt_id=receipt_id)
        return kept

    def page(self, cursor: str | None, size: int) -> Page[Receipt]:
        """Return receipts in the order of the people's numbers. Raises InvalidError(`cursor.malformed`)."""
        after = decode_cursor(cursor) or ""
        if not isinstance(after, str) or len(after) > _LONGEST_ID:
            raise InvalidError("cursor.malformed")
        found = [_receipt(item) for item in self._database.query(settings().config_table, _RECEIPT, after=after, limit=size)]
        return Page(found, encode_cursor(found[-1].receipt_id) if len(found) == size else None)

    def erased(self, identities: Iterable[str]) -> dict[str, str]:
        """Return for those identities (people.model, `email#…`, `phone#…`) whose person was erased the receipt's id."""
        wanted = {(f"{_PRINT}{self._print(one)}", "#"): one for one in identities}
        found = self._database.get_many(settings().config_table, list(wanted))
        return {wanted[key]: item["receipt"] for key, item in found.items()}

    def refuse(self, values: Mapping[str, Any]) -> None:
        """Let nobody be entered who was erased. values: of a new profile. Raises ConflictError(`customer.erased`)."""
        found = self.erased(names_of(values))
        if found:
            raise ConflictError("customer.erased", receipt_id=min(found.values()))

    def _numbers(self, cid: Cid) -> tuple[Cid, ...]:
        """Return all numbers of a person, that which he lives under first."""
        living = self._people.living([cid])[cid]
        numbers = [living, *self._people.aliases(living)]
        # Those too of whom a link or a merge that died half-way has not said everywhere that they are his.
        near = {other for number in numbers for other in self._joining(number)} - set(numbers)
        mine = [number for number, end in self._people.living(near).items() if end == living]
        numbers = list(dict.fromkeys([*numbers, *(one for number in mine for one in (number, *self._people.aliases(number)))]))
        if not any(self._people.is_there(number) for number in numbers):
            raise NotFoundError("customer.unknown")
        return tuple(numbers)

    def _joining(self, cid: Cid) -> Iterator[Cid]:
        for item in self._database.query(settings().core_table, person_key(cid), prefix="MRG#"):
            yield from (Cid(int(number)) for number in item["numbers"])
        for item in self._database.query(settings().core_table, person_key(cid), prefix="LINK#"):
            yield Cid(int(item["former_cid"]))

    def _identities(self, cids: Iterable[Cid]) -> set[str]:
        found: set[str] = set()
        for item in (item for cid in cids for item in self._database.query(settings().core_table, person_key(cid))):
            if item["sk"] == "P":
                found |= set(names_of(item))
            elif item["sk"].startswith("FR#"):
                found.add(line_identity(AccountKey(item["sk"][3:]), LineUserId(item["line_user_id"])))
        return found

    def _drop_pointers(self, cids: Sequence[Cid]) -> None:
        # Not those that he has taken anew by a follow of his own since.
        known = [f"ID#{identity}" for identity in self._identities(cids)]
        text = f'DELETE FROM "{settings().core_table}" WHERE pk=? AND sk=? AND "cid"=?'
        self._database.execute([Statement(text, (pk, "#", int(cid))) for pk in known for cid in cids])

    def _delete(self, cid: Cid) -> None:
        config, pk = settings(), person_key(cid)
        timeline = self._database.query(config.timeline_table, pk)
        # What names him elsewhere first: whoever dies in between finds it by his own items again.
        orders = [(config.timeline_table, f"ORD#{one['order_no']}", "#") for one in timeline if one["sk"].startswith("PUR#")]
        facts = [one["sk"].split("#", 2)[2] for one in timeline if one["sk"].startswith("EV#")]
        self._drop([*orders, *((config.timeline_table, f"OCC#{fact}", "#") for fact in facts)])
        # LINE's own words; the item stays as the mark that the event was done.
        text = f'UPDATE "{config.timeline_table}" SET "raw"=? WHERE pk=? AND sk=?'
        self._database.execute([Statement(text, ("", f"WEV#{fact}", "#")) for fact in facts])
        # A merge that died before he was part of anybody has noted at the other what was to come along.
        decided = self._database.query(config.core_table, pk, prefix="INTO#")
        self._drop([(config.core_table, person_key(Cid(one["kept"])), f"MRG#{cid:012d}") for one in decided])
        for table in (config.engine_table, config.timeline_table, config.core_table):
            # The profile last: it leads to his other numbers.
            items = sorted(self._database.query(table, pk), key=lambda item: item["sk"] == "P")
            self._drop([(table, pk, item["sk"]) for item in items])

    def _drop(self, keys: Sequence[tuple[str, str, str]]) -> None:
        self._database.execute([Statement(f'DELETE FROM "{table}" WHERE pk=? AND sk=?', (pk, sk)) for table, pk, sk in keys])

    def _print(self, identity: str) -> str:
        data = self._secrets.get(_SIGNING_SECRET)
        if data is None:
            raise TemporaryError("the signing secret is not there")
        return hmac.new(str(data["key"]).encode(), f"erased|{identity}".encode(), hashlib.sha256).hexdigest()

    def _keep(self, receipt: Receipt) -> None:
        item = {
            "pk": _RECEIPT,
            "sk": receipt.receipt_id,
            "at": to_text(receipt.at),
            "reason": receipt.reason,
            "by": receipt.by,
            "cids": [int(cid) for cid in receipt.cids],
            "prints": list(receipt.prints),
            "done_at": to_text(receipt.done_at) if receipt.done_at else "",
            "lifted_at": to_text(receipt.lifted_at) if receipt.lifted_at else "",
            "lifted_by": receipt.lifted_by,
        }
        self._database.put_many(settings().config_table, [item])

    def _kept(self, receipt_id: str) -> Receipt | None:
        key = (_RECEIPT, receipt_id)
        item = self._database.get_many(settings().config_table, [key]).get(key)
        return _receipt(item) if item else None


def _receipt_id(cid: Cid) -> str:
    return f"era_{int(cid):010d}"


def names_of(values: Mapping[str, Any]) -> list[str]:
    """Return by what a profile is known again: member number, e-mail address, telephone number."""
    member = [member_identity(values["member_no"])] if values.get("member_no") else []
    return [*member, *(f"{kind}#{values[kind]}" for kind in ("email", "phone") if values.get(kind))]


def _receipt(item: Item) -> Receipt:
    return Receipt(
        item["sk"],
        from_text(item["at"]),
        item["reason"],
        item["by"],
        tuple(Cid(int(cid)) for cid in item["cids"]),
        tuple(item["prints"]),
        from_text(item["done_at"]) if item["done_at"] else None,
        from_text(item["lifted_at"]) if item["lifted_at"] else None,
        item["lifted_by"],
    )


def hide(files: Files, cids: Sequence[Cid]) -> None:
    """Let no answer of the lake name these numbers any more. Raises TemporaryError when others write without end."""
    for _ in range(_TRIES):
        manifest, tag = manifests.load(files)
        new = tuple(cid for cid in cids if cid not in manifest.erased)
        if not new or manifests.replace(
            files, replace(manifest, erased=manifest.erased + new, generation=manifest.generation + 1), tag
        ):
            return
    raise TemporaryError("the manifest of the lake changes all the time")


def purge(files: Files, folder: Path, now: datetime, each: Mapper = in_turn) -> int:
    """Write every file of the lake anew that holds somebody who was erased; return of how many people.

    Nothing is done when somebody else was faster; the next call does it.
    """
    manifest, tag = manifests.load(files)
    due = manifest.unpurged()
    if not due:
        return 0
    _purge_audiences(files, due)
    folding = Folding(Parts(files, folder, now, each=each), manifest, now)
    try:
        folding.parts.fetch(manifest.files())
        for part in (folding.base, folding.mirror):
            for name, keys in part.items():
                part[name] = [new for key in keys for new in _without(folding.parts, key, due)]
        folding.manifest = replace(manifest, purged=len(manifest.erased))
        return len(due) if folding.publish(files, tag) else 0
    finally:
        folding.parts.close()


def _without(parts: Parts, key: str, due: Sequence[Cid]) -> list[str]:
    source = f"read_parquet({listed([parts.path(key)])})"
    numbers = ", ".join(str(int(cid)) for cid in due)
    columns = {str(row[0]) for row in parts.run(f"DESCRIBE SELECT * FROM {source}")} & {"cid", "own"}
    if not columns:
        return [key]
    rest = " AND ".join(f'coalesce("{column}", 0) NOT IN ({numbers})' for column in sorted(columns))
    query = f"SELECT * FROM {source} WHERE {rest}"
    return [key] if parts.count(query) == parts.count(f"SELECT * FROM {source}") else parts.write(query, key.rpartition("/")[0])


def _purge_audiences(files: Files, due: Sequence[Cid]) -> None:
    from pyroaring import BitMap

    gone = BitMap([int(cid) for cid in due])
    for key in files.list(_AUDIENCES):
        content = files.get(key) if key.endswith(".roar") else None
        if content is None:
            continue
        bitmap = BitMap.deserialize(content)
        if bitmap & gone:
            files.put(key, (bitmap - gone).serialize(), "application/octet-stream")

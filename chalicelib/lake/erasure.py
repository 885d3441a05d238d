"""Erase a person: from the tables, from every answer at once, from the lake's files soon after; and know him when he comes back.

1. A receipt is written: keyed hashes of his identities, never the identities. 2. The manifest names his numbers: from now on no
answer does. 3. His items go, with those that point to him. 4. The keeper writes every file of the lake anew that holds him.
Whoever dies in between orders it again. What remains: refused addresses as hashes, for the refusal goes on; batches that were
frozen for sending, and what DynamoDB and S3 keep of former times, until they expire; numbers without a name in campaigns' rows.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from chalicelib.kernel.clock import Clock, from_text, to_text
from chalicelib.kernel.each import Mapper, in_turn
from chalicelib.kernel.errors import InvalidError, NotFoundError, TemporaryError
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.lake import manifest as manifests
from chalicelib.lake.folding import Folding
from chalicelib.lake.model import LAKE
from chalicelib.lake.parts import Parts, listed
from chalicelib.people.model import line_identity, member_identity, person_key
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.ports.files import Files
from chalicelib.ports.secrets import Secrets
from chalicelib.settings import settings

_RECEIPT, _PRINT = "ERASED", "ERASED#"
_SIGNING_SECRET = "signing"
_TRIES = 20
_MOST_REASON = 500
_AUDIENCES = f"{LAKE}audience/"


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a person was erased. prints: keyed hashes of what he was known by. by: whose API key ordered it."""

    receipt_id: str
    at: datetime
    reason: str
    by: str
    cids: tuple[Cid, ...]
    prints: tuple[str, ...]


class Erasures:
    """Erases people, and says who was."""

    def __init__(self, database: Database, files: Files, secrets: Secrets, clock: Clock) -> None:
        self._database = database
        self._files = files
        self._secrets = secrets
        self._clock = clock

    def erase(self, cid: Cid, reason: str, by: str) -> Receipt:
        """Erase a person with all numbers that he has had; the same when repeated. Returns the receipt of the first time.

        His ways through scenarios are for the caller to end first (ScenarioPeople.erase). Raises NotFoundError
        (`customer.unknown`), InvalidError(`erasure.no_reason`).
        """
        if not reason.strip() or len(reason) > _MOST_REASON:
            raise InvalidError("erasure.no_reason")
        receipt_id = f"era_{int(cid)}"
        kept = self._kept(receipt_id)
        cids = kept.cids if kept else self._numbers(cid)
        identities = {identity for number in cids for identity in self._identities(number)}
        receipt = kept or Receipt(
            receipt_id, self._clock.now(), reason.strip(), by, cids, tuple(sorted(self._print(one) for one in identities))
        )
        self._keep(receipt)
        hide(self._files, cids)
        # His items last, for they lead to everything else.
        self._drop([(settings().core_table, f"ID#{identity}", "#") for identity in identities])
        for number in reversed(cids):
            self._delete(number)
        return receipt

    def receipt(self, receipt_id: str) -> Receipt:
        """Return a receipt. Raises NotFoundError(`erasure.unknown`)."""
        kept = self._kept(receipt_id)
        if kept is None:
            raise NotFoundError("erasure.unknown", receipt_id=receipt_id)
        return kept

    def is_erased(self, identities: Iterable[str]) -> set[str]:
        """Return those identities (people.model, `email#…`, `phone#…`) whose person was erased: he is not brought back by us."""
        wanted = {(f"{_PRINT}{self._print(one)}", "#"): one for one in identities}
        found = self._database.get_many(settings().config_table, list(wanted))
        return {wanted[key] for key in found}

    def _numbers(self, cid: Cid) -> tuple[Cid, ...]:
        core = self._profile(cid)
        while core.get("merged_into"):
            cid = Cid(int(core["merged_into"]))
            core = self._profile(cid)
        numbers, asked = [cid], [cid]
        while asked:
            more = [Cid(int(alias)) for alias in self._profile(asked.pop()).get("aliases") or () if alias not in numbers]
            numbers, asked = [*numbers, *more], [*asked, *more]
        if not any(self._database.query(settings().core_table, person_key(number), limit=1) for number in numbers):
            raise NotFoundError("customer.unknown")
        return tuple(numbers)

    def _profile(self, cid: Cid) -> Item:
        found = self._database.query(settings().core_table, person_key(cid), prefix="P", limit=1)
        return found[0] if found and found[0]["sk"] == "P" else {}

    def _identities(self, cid: Cid) -> set[str]:
        found = set()
        for item in self._database.query(settings().core_table, person_key(cid)):
            if item["sk"] == "P":
                if item.get("member_no"):
                    found.add(member_identity(item["member_no"]))
                found |= {f"{kind}#{item[kind]}" for kind in ("email", "phone") if item.get(kind)}
            elif item["sk"].startswith("FR#"):
                found.add(line_identity(AccountKey(item["sk"][3:]), LineUserId(item["line_user_id"])))
        return found

    def _delete(self, cid: Cid) -> None:
        config, pk = settings(), person_key(cid)
        timeline = self._database.query(config.timeline_table, pk)
        # What names him elsewhere first: whoever dies in between finds it by his own items again.
        orders = [(config.timeline_table, f"ORD#{one['order_no']}", "#") for one in timeline if one["sk"].startswith("PUR#")]
        told = [
            (config.timeline_table, f"OCC#{one['sk'].split('#', 2)[2]}", "#") for one in timeline if one["sk"].startswith("EV#")
        ]
        self._drop([*orders, *told])
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
        }
        prints = [{"pk": f"{_PRINT}{one}", "sk": "#", "receipt": receipt.receipt_id} for one in receipt.prints]
        self._database.put_many(settings().config_table, [item, *prints])

    def _kept(self, receipt_id: str) -> Receipt | None:
        key = (_RECEIPT, receipt_id)
        item = self._database.get_many(settings().config_table, [key]).get(key)
        if item is None:
            return None
        cids, prints = tuple(Cid(int(cid)) for cid in item["cids"]), tuple(item["prints"])
        return Receipt(receipt_id, from_text(item["at"]), item["reason"], item["by"], cids, prints)


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
    due = manifest.erased[manifest.purged :]
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

"""Profiles and consents in the core table (`C#cid` / `P`), refused addresses beside them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from pynamodb.attributes import UnicodeAttribute

from chalicelib.customers.model import DONE, PROFILE_SK, DeliveryChannel, Scalar
from chalicelib.kernel.ids import Cid
from chalicelib.kernel.signing import fingerprint
from chalicelib.people.model import person_key
from chalicelib.ports.database import DUPLICATE, Database, Item, Statement
from chalicelib.settings import settings
from chalicelib.storage import CoreItem


class SuppressedItem(CoreItem):
    """An address that nobody may send to again, whoever owns it: bounced, complained or unsubscribed."""

    reason = UnicodeAttribute()
    at = UnicodeAttribute()


def _kept(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: entry for name, entry in value.items() if entry is not None}
    return value.isoformat() if isinstance(value, date) else value


def upsert_many(database: Database, changes: Mapping[Cid, Mapping[str, Any]], at: str) -> list[Cid]:
    """Write the given fields of these profiles, leaving the others; a None removes a field.

    Return whose profile was there: what is given of his attributes is still to be written (`attributes_statement`).
    """
    inserts = []
    for cid, values in changes.items():
        present = {name: _kept(value) for name, value in values.items() if value is not None}
        item = {"pk": person_key(cid), "sk": PROFILE_SK, "created_at": at, **present}
        inserts.append(Statement.insert(settings().core_table, item))
    outcomes = database.execute(inserts)
    known = [cid for cid, outcome in zip(changes, outcomes, strict=True) if outcome == DUPLICATE]
    updates = [_update(cid, {name: value for name, value in changes[cid].items() if not _are_some(name, value)}) for cid in known]
    database.execute([update for update in updates if update])
    return known


def _are_some(name: str, value: Any) -> bool:
    return name == "attributes" and value is not None


def _update(cid: Cid, values: Mapping[str, Any]) -> Statement | None:
    sets = [f'SET "{name}"=?' for name, value in values.items() if value is not None]
    removes = [f'REMOVE "{name}"' for name, value in values.items() if value is None]
    if not sets and not removes:
        return None
    given = tuple(_kept(value) for value in values.values() if value is not None)
    text = f'UPDATE "{settings().core_table}" {" ".join(sets + removes)} WHERE pk=? AND sk=?'
    return Statement(text, (*given, person_key(cid), PROFILE_SK))


def attributes_statement(cid: Cid, item: Item, given: Mapping[str, Scalar | None]) -> Statement:
    """Return the write of some attributes, a None takes one away; it loses where any has changed since `item` was read."""
    key, kept = (person_key(cid), PROFILE_SK), item.get("attributes")
    whole = {name: value for name, value in {**(kept or {}), **given}.items() if value is not None}
    text = f'UPDATE "{settings().core_table}" SET "attributes"=? WHERE pk=? AND sk=? AND "attributes"'
    if kept is None:
        return Statement(f"{text} IS MISSING", (whole, *key))
    return Statement(f"{text}=?", (whole, *key, kept))


def attribute_statement(cid: Cid, item: Item | None, name: str, value: Scalar, at: str, done: str) -> Statement:
    """Return the write of one attribute and of the changes that are done now, unless either was written since `item`."""
    key = (person_key(cid), PROFILE_SK)
    if item is None:
        fresh = {"pk": key[0], "sk": key[1], "created_at": at, "attributes": {name: value}, DONE: done}
        return Statement.insert(settings().core_table, fresh)
    kept, before = item.get("attributes"), item.get(DONE)
    path = f'"attributes"."{name}"'
    sets, given = (path, value) if kept is not None else ('"attributes"', {name: value})
    guards: list[tuple[str, tuple[Any, ...]]] = [(f'"{DONE}"=?', (before,)) if before else (f'"{DONE}" IS MISSING', ())]
    if kept is None:
        guards.append(('"attributes" IS MISSING', ()))
    else:
        guards.append((f"{path}=?", (kept[name],)) if name in kept else (f"{path} IS MISSING", ()))
    where = " AND ".join(guard for guard, _ in guards)
    text = f'UPDATE "{settings().core_table}" SET {sets}=? SET "{DONE}"=? WHERE pk=? AND sk=? AND {where}'
    return Statement(text, (given, done, *key, *(value for _, values in guards for value in values)))


def set_consent(database: Database, cid: Cid, channel: DeliveryChannel, *, opted_out: bool, at: str, source: str) -> None:
    """Write a person's word on a channel."""
    upsert_many(database, {cid: {f"consent_{channel}": f"{'out' if opted_out else 'in'} {at} {source}"}}, at)


def suppress(channel: DeliveryChannel, address: str, reason: str, at: str) -> None:
    """Never send to this address again."""
    SuppressedItem(f"SUP#{channel}#{fingerprint(address)}", "#", reason=reason, at=at).save()


def suppression_key(channel: DeliveryChannel, address: str) -> tuple[str, str]:
    """Return the key under which a refused address stands."""
    return f"SUP#{channel}#{fingerprint(address)}", "#"

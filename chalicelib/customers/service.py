"""Keep customers and their consent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from chalicelib.customers import table
from chalicelib.customers.model import DONE, PROFILE_SK, Customer, DeliveryChannel, Scalar, customer_of
from chalicelib.kernel.clock import Clock, to_text
from chalicelib.kernel.errors import InvalidError, NotFoundError, TemporaryError
from chalicelib.kernel.facts import Fact, OptedOut, ProfileChanged
from chalicelib.kernel.ids import Cid
from chalicelib.kernel.pages import MAX_PAGE, Page, decode_cursor, encode_cursor
from chalicelib.kernel.signing import fingerprint
from chalicelib.people.model import member_identity
from chalicelib.people.service import People
from chalicelib.ports.database import Database
from chalicelib.settings import settings

_MOST_LOOKED_AT = 5000
_ATTRIBUTE = re.compile(r'[^"\x00-\x1f]{1,100}\Z')
_TRIES = 20
_REMEMBERED = 60  # changes of a person's attributes: thirteen bytes each, read with every send


class Customers:
    """The company's customers."""

    def __init__(self, people: People, database: Database, clock: Clock) -> None:
        self._people = people
        self._database = database
        self._clock = clock

    def save(self, values: Mapping[str, Any]) -> tuple[Customer, bool]:
        """Create or change the customer of `values['member_no']`; return him and whether he is new.

        values: cleaned profile fields (customers.model.clean); fields that are not given stay as they are, None empties one;
        so it is with each of the attributes.
        """
        return self.save_many([values])[0]

    def save_many(self, rows: Iterable[Mapping[str, Any]]) -> list[tuple[Customer, bool]]:
        """Create or change many customers; of two rows for one member the later one wins field by field."""
        given = list(rows)
        identities = [member_identity(row["member_no"]) for row in given]
        known = self._people.find_many(identities)
        numbers = known | self._people.find_or_number_many(identity for identity in identities if identity not in known)
        changes: dict[Cid, dict[str, Any]] = {}
        for identity, row in zip(identities, given, strict=True):
            before = changes.setdefault(numbers[identity], {})
            both = {**(before.get("attributes") or {}), **(row.get("attributes") or {})}
            before.update({**row, "attributes": both} if both else row)
        self.write(changes)
        customers = self.load(changes)
        return [(customers[numbers[identity]], identity not in known) for identity in identities]

    def write(self, changes: dict[Cid, dict[str, Any]]) -> None:
        """Write these fields and attributes of many people's profiles, leaving the others; who has no profile yet gets one."""
        known = table.upsert_many(self._database, changes, to_text(self._clock.now()))
        todo = {cid: given for cid in known if (given := changes[cid].get("attributes"))}
        for _ in range(_TRIES):
            if not todo:
                return
            items = self._people.collections(todo, [PROFILE_SK])
            statements = {
                cid: table.attributes_statement(cid, items[cid][PROFILE_SK], given)
                for cid, given in todo.items()
                if PROFILE_SK in items[cid]  # else he was erased meanwhile
            }
            outcomes = self._database.execute(list(statements.values()))
            todo = {cid: todo[cid] for cid, outcome in zip(statements, outcomes, strict=True) if outcome}
        raise TemporaryError("people's attributes changed under every try")

    def change(self, cid: Cid, values: Mapping[str, Any]) -> Customer:
        """Change a known customer's fields; None empties one. Raises NotFoundError, InvalidError(`customer.member_no_fixed`)."""
        current = self.get(cid)
        if "member_no" in values and values["member_no"] != current.profile.member_no:
            raise InvalidError("customer.member_no_fixed")
        self.write({current.cid: dict(values)})
        return self.get(current.cid)

    def change_attribute(self, keys: Mapping[Cid, str], name: str, change: Callable[[Scalar | None], Scalar | None]) -> None:
        """Change one attribute of many people, each once for his key however often it is told.

        change: from the present value, None where there is none, to the new one; None leaves it. What was done is
        remembered for a person's latest sixty changes. Raises InvalidError(`customer.attribute_malformed`).
        """
        if not _ATTRIBUTE.match(name):
            raise InvalidError("customer.attribute_malformed", field=name)
        todo = dict(keys)
        for _ in range(_TRIES):
            items = self._people.collections(todo, [PROFILE_SK])
            statements = {}
            for cid, key in todo.items():
                item, mark = items[cid].get(PROFILE_SK), fingerprint(key)[:12]
                done = item.get(DONE, "").split() if item else []
                value = change((item.get("attributes") or {}).get(name) if item else None)
                if mark not in done and value is not None:
                    marks, at = " ".join([mark, *done][:_REMEMBERED]), to_text(self._clock.now())
                    statements[cid] = table.attribute_statement(cid, item, name, value, at, marks)
            outcomes = self._database.execute(list(statements.values()))
            todo = {cid: keys[cid] for cid, outcome in zip(statements, outcomes, strict=True) if outcome}
            if not todo:
                return
        raise TemporaryError("people's attributes changed under every try")

    def living(self, cids: Iterable[Cid]) -> dict[Cid, Cid]:
        """Return for these numbers those of the people that they have become by identity links and merges."""
        return self._people.living(cids)

    def by_member_no(self, member_no: str) -> Customer:
        """Return a customer by the company's own number. Raises NotFoundError(`customer.unknown`)."""
        # Longer ones than a cleaned one can be would be refused by DynamoDB as keys.
        cid = self._people.find(member_identity(member_no)) if len(member_no) <= 64 else None
        if cid is None:
            raise NotFoundError("customer.unknown")
        return self._get(cid, is_known=True)

    def get(self, cid: Cid) -> Customer:
        """Return a person's record, following an identity link. Raises NotFoundError(`customer.unknown`)."""
        return self._get(cid, is_known=False)

    def _get(self, cid: Cid, *, is_known: bool) -> Customer:
        collection = self._people.collections([cid], [PROFILE_SK])[cid]
        # A friend who is no member has no profile yet; of somebody who was erased there is nothing at all.
        if not collection and not is_known and not self._people.is_there(cid):
            raise NotFoundError("customer.unknown")
        customer = customer_of(cid, collection)
        living = self._people.living([cid])[cid] if customer.merged_into else cid
        if living == cid:
            return customer
        collection = self._people.collections([living], [PROFILE_SK])[living]
        if not collection:
            raise NotFoundError("customer.unknown")
        return customer_of(living, collection)

    def load(self, cids: Iterable[Cid]) -> dict[Cid, Customer]:
        """Return these people's records; empty ones where there is none."""
        return {cid: customer_of(cid, items) for cid, items in self._people.collections(cids, [PROFILE_SK]).items()}

    def page(self, cursor: str | None, size: int = 50) -> Page[Customer]:
        """Return customers in the order of their numbers: dense numbers need no index to be listed."""
        start = decode_cursor(cursor) or 0
        if not isinstance(start, int) or start < 0 or not 1 <= size <= MAX_PAGE:
            raise InvalidError("cursor.malformed")
        highest = self._people.highest()
        found: list[Customer] = []
        # Friends who are no members have numbers too: a page looks at so many and may be short, or empty with a cursor.
        until = min(highest, start + _MOST_LOOKED_AT)
        while start < until and len(found) < size:
            numbers = [Cid(number) for number in range(start + 1, min(start + MAX_PAGE, until) + 1)]
            for cid, customer in self.load(numbers).items():
                start = cid
                if customer.profile.member_no and len(found) < size:
                    found.append(customer)
                    if len(found) == size:
                        break
        return Page(found, encode_cursor(start) if start < highest else None)

    def set_consent(self, cid: Cid, channel: DeliveryChannel, *, opted_out: bool, source: str) -> list[Fact]:
        """Keep a person's word on a channel with its proof, and the address he refused with it."""
        now = self._clock.now()
        at = to_text(now)
        table.set_consent(self._database, cid, channel, opted_out=opted_out, at=at, source=source)
        if not opted_out:
            return [ProfileChanged(fact_id=f"optin|{cid}|{channel}|{at}", cid=cid, at=now)]
        return [OptedOut(fact_id=f"optout|{cid}|{channel}|{at}", cid=cid, at=now, channel=channel)]

    def carry_consent(self, old: Cid, new: Cid, channel: DeliveryChannel) -> None:
        """Let a person's word on a channel count for the one he becomes, unless that one has spoken later."""
        people = self.load([old, new])
        word, kept = people[old].consents.get(channel), people[new].consents.get(channel)
        if word and (kept is None or kept.at < word.at):
            table.set_consent(self._database, new, channel, opted_out=word.is_opted_out, at=word.at, source=word.source)

    def refuse_again(self, cid: Cid, channel: DeliveryChannel, at: str, source: str) -> None:
        """Let a person's refusal of before stand again, in the place of whatever was written over it."""
        table.set_consent(self._database, cid, channel, opted_out=True, at=at, source=source)

    def suppress(self, channel: DeliveryChannel, address: str, reason: str) -> None:
        """Never send to this address again: it bounced or its owner complained."""
        table.suppress(channel, address, reason, to_text(self._clock.now()))

    def suppressed(self, addresses: Iterable[tuple[DeliveryChannel, str]]) -> set[tuple[DeliveryChannel, str]]:
        """Return those of the addresses that may not be sent to."""
        keys = {(channel, address): table.suppression_key(channel, address) for channel, address in addresses if address}
        found = self._database.get_many(settings().core_table, keys.values())
        return {pair for pair, key in keys.items() if key in found}

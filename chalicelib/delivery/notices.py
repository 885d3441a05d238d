"""Notices to the staff: kept in a list, and an e-mail to everybody who wants to know, each once like every other message.

Config item `NOTICE` / `#`: whom. Engine item `NOTICE` / time turned round, so that the newest comes first. The e-mails are the
frozen batch `notice|{key}`, which is also the mark that the notice was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import formataddr
from html import escape
from typing import Any

from chalicelib.customers.model import DeliveryChannel, clean
from chalicelib.delivery.ledger import Ledger
from chalicelib.delivery.model import Batch, BatchState, Call
from chalicelib.delivery.service import Delivery
from chalicelib.kernel.clock import Clock, from_text, to_millis, to_text
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import Cid, customer_id, derived_uuid
from chalicelib.kernel.signing import fingerprint
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.segments.service import Segments
from chalicelib.settings import settings

_PK = "NOTICE"
_LATEST = 100
_NAMED = 20
_MOST_ADDRESSES = 20
_KEEP = timedelta(days=90)
_END_OF_TIME = 10**14  # milliseconds; the year 5138


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that staff should know. customers: the first of `count`."""

    at: datetime
    title: str
    text: str
    count: int
    customers: tuple[Cid, ...]


class Notices:
    """Tells the staff."""

    def __init__(self, database: Database, ledger: Ledger, delivery: Delivery, segments: Segments, clock: Clock) -> None:
        self._database = database
        self._ledger = ledger
        self._delivery = delivery
        self._segments = segments
        self._clock = clock

    def addresses(self) -> list[str]:
        """Return whom notices go to by e-mail."""
        kept = self._database.get_many(settings().config_table, [(_PK, "#")]).get((_PK, "#"))
        return list(kept["emails"]) if kept else []

    def set_addresses(self, emails: Sequence[str]) -> None:
        """Set whom notices go to, up to twenty. Raises InvalidError."""
        cleaned = list(dict.fromkeys(clean("email", email) for email in emails))
        if None in cleaned or len(cleaned) > _MOST_ADDRESSES:
            raise InvalidError("notice.addresses", most=_MOST_ADDRESSES)
        self._database.put_many(settings().config_table, [{"pk": _PK, "sk": "#", "emails": cleaned}])

    def latest(self) -> list[Notice]:
        """Return the latest hundred notices, newest first."""
        return [_notice(item) for item in self._database.query(settings().engine_table, _PK, limit=_LATEST)]

    def tell(self, key: str, title: str, text: str, customers: Sequence[Cid]) -> None:
        """Give a notice about customers, once for a key however often it is told.

        An e-mail that cannot leave now leaves when the reconciler comes by: a notice holds nobody up. Raises TemporaryError
        when it could not be kept.
        """
        batch_id = f"notice|{key}"
        kept = self._ledger.batches(batch_id)
        if not kept:
            self._ledger.freeze(self._batch(batch_id, title, text, customers, self._clock.now()))
            kept = self._ledger.batches(batch_id)
        at = kept[0].frozen_at
        item = {
            "pk": _PK,
            "sk": f"{_END_OF_TIME - to_millis(at):014d}#{fingerprint(key)[:16]}",
            "at": to_text(at),
            "title": title,
            "text": text,
            "count": len(customers),
            "customers": [int(cid) for cid in customers[:_NAMED]],
            "ttl": int((at + _KEEP).timestamp()),
        }
        self._database.execute([Statement.insert(settings().engine_table, item)])
        self._delivery.settle(batch_id)

    def _batch(self, batch_id: str, title: str, text: str, customers: Sequence[Cid], now: datetime) -> Batch:
        body = self._body(title, text, customers)
        calls = tuple(Call((), {**body, "to": email}, derived_uuid(batch_id, email)) for email in self.addresses())
        state = BatchState.FROZEN if calls else BatchState.SENT
        return Batch(batch_id, 0, DeliveryChannel.EMAIL, "email", None, calls, ("",) * len(calls), state, now)

    def _body(self, title: str, text: str, customers: Sequence[Cid]) -> dict[str, Any]:
        people = self._segments.load(customers[:_NAMED], [])
        profiles = [(people[cid].customer.profile, people[cid].cid) for cid in customers[:_NAMED] if cid in people]
        lines = [f"・{profile.name or profile.member_no or '(no name)'} {customer_id(cid)}" for profile, cid in profiles]
        more = len(customers) - len(lines)
        if more > 0:
            lines.append(f"ほか{more}名 / and {more} more")
        whole = "\n".join([text, "", f"対象 {len(customers)}名 / {len(customers)} people", *lines])
        company = settings().company_name
        html = escape(whole).replace("\n", "<br>\n")
        return {
            "sender": formataddr((company, settings().mail_from), "utf-8"),
            "subject": " ".join(f"【{company}】{title}".split()),
            "text": whole,
            "html": f'<!doctype html><html lang="ja"><body><p>{html}</p></body></html>',
            "headers": {},
        }


def _notice(item: Item) -> Notice:
    return Notice(from_text(item["at"]), item["title"], item["text"], item["count"], tuple(Cid(cid) for cid in item["customers"]))

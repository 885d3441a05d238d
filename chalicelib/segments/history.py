"""What people have done and been sent, read from where the rooms keep it, and only as far as a condition asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeVar

from chalicelib.kernel.clock import EVER, NEVER, from_text
from chalicelib.kernel.each import Mapper
from chalicelib.kernel.facts import Evidence
from chalicelib.kernel.ids import Cid
from chalicelib.orders.model import Order
from chalicelib.orders.service import Orders
from chalicelib.people.model import audience_key, person_key
from chalicelib.ports.database import Database, Item
from chalicelib.segments.expression import All, AnyOf, Expression, HasActed, HasReacted, InSegment, Not
from chalicelib.segments.model import Act, Contact, History, Person, Reaction, Way
from chalicelib.segments.predicate import first_instant
from chalicelib.settings import settings
from chalicelib.tracking.service import Tracking

_WORDS = ("purchase", "event:", "delivered:", "scenario:")
# An enrollment, and the former runs that it has taken the place of (scenarios/records.py).
_RUNS = ("ENR#", "HIS#")
_SENT = "sent"  # delivery's note on the path of whoever got the message
R = TypeVar("R")


def asks_history(asked: Iterable[str]) -> frozenset[str]:
    """Return what of the words of expression.asks only a person's history can answer."""
    return frozenset(word for word in asked if word.startswith(_WORDS))


def asks_since(expression: Expression, now: datetime) -> datetime:
    """Return from when on people's timelines matter to a condition: EVER where it sets no bound, NEVER where it asks for none."""
    match expression:
        case All(parts) | AnyOf(parts):
            return min((asks_since(part, now) for part in parts), default=NEVER)
        case Not(part):
            return asks_since(part, now)
        case InSegment(_, condition) if condition is not None:
            return asks_since(condition, now)
        case HasActed(days=days):
            return first_instant(days, now) or EVER
        case HasReacted():
            return EVER
        case _:
            return NEVER


class Histories:
    """Reads histories: of each number that a person has had one query for his orders, his acts and his scenarios each."""

    def __init__(self, orders: Orders, tracking: Tracking, database: Database, each: Mapper) -> None:
        self._orders = orders
        self._tracking = tracking
        self._database = database
        self._each = each

    def of(self, people: Iterable[Person], asked: frozenset[str], since: datetime = EVER) -> dict[Cid, History]:
        """Return the histories of people, as far as these words (asks_history) ask, their timelines from an instant on."""
        numbers = {person.cid: (person.cid, *person.customer.aliases) for person in people}
        every = list(dict.fromkeys(cid for own in numbers.values() for cid in own))
        orders = self._read(self._orders.of, every, asked, "purchase")
        timed = asked if since < NEVER else frozenset[str]()
        noted = self._read(lambda cid: self._tracking.timeline(cid, since), every, timed, "event:", "delivered:")
        runs = self._read(self._runs, every, asked, "scenario:", "delivered:scn|")
        sent = self._campaigns(every, asked)
        return {
            cid: _history(
                asked,
                since,
                orders=(order for number in own for order in orders.get(number, ())),
                noted=[item for number in own for item in noted.get(number, ())],
                runs=[item for number in own for item in runs.get(number, ())],
                sent=(contact for number in own for contact in sent.get(number, ())),
            )
            for cid, own in numbers.items()
        }

    def _read(self, reads: Callable[[Cid], R], cids: Sequence[Cid], asked: frozenset[str], *words: str) -> dict[Cid, R]:
        if not cids or not any(word.startswith(words) for word in asked):
            return {}
        return dict(zip(cids, self._each(reads, cids), strict=True))

    def _runs(self, cid: Cid) -> list[Item]:
        items = self._database.query(settings().engine_table, person_key(cid))
        return [item for item in items if item["sk"].startswith(_RUNS)]

    def _campaigns(self, cids: Iterable[Cid], asked: frozenset[str]) -> dict[Cid, list[Contact]]:
        named = [word.removeprefix("delivered:cmp|") for word in asked if word.startswith("delivered:cmp|")]
        places = {audience_key(name, cid): (cid, Contact("cmp", name)) for cid in cids for name in named}
        found = self._database.get_many(settings().engine_table, places) if places else {}
        sent: dict[Cid, list[Contact]] = {}
        for key, item in found.items():
            if _SENT in item["path"].values():
                cid, contact = places[key]
                sent.setdefault(cid, []).append(contact)
        return sent


def _history(
    asked: frozenset[str],
    since: datetime,
    *,
    orders: Iterable[Order],
    noted: Sequence[Item],
    runs: Sequence[Item],
    sent: Iterable[Contact],
) -> History:
    return History(
        orders=tuple(orders),
        acts=tuple(act_of(item) for item in noted if f"event:{item['kind']}" in asked),
        ways=tuple(
            Way(item["scenario"], item["status"], item["reason"]) for item in runs if f"scenario:{item['scenario']}" in asked
        ),
        contacts=frozenset(contact for contact in (*sent, *_contacts(runs)) if _asks_for(asked, contact)),
        reactions=tuple(one for one in (*_clicks(noted), *_responses(runs)) if _asks_for(asked, one.to)),
        asked=asked,
        since=since,
    )


def _asks_for(asked: frozenset[str], contact: Contact) -> bool:
    return f"delivered:{contact.kind}|{contact.id}" in asked


def act_of(item: Item) -> Act:
    """Return what an item of a person's timeline says that he did; what a postback carried stands under `data`."""
    data = item.get("data") or {}
    return Act(
        kind=item["kind"],
        at=from_text(item["at"]),
        name=item.get("name", ""),
        link=item.get("link_id", ""),
        evidence=item.get("evidence", ""),
        data=data if isinstance(data, Mapping) else {"data": str(data)},
    )


def _contacts(runs: Iterable[Item]) -> Iterator[Contact]:
    for item in runs:
        for visit, note in item["path"].items():
            if note == _SENT:
                yield Contact("scn", item["scenario"], visit.rpartition("__")[0])


def _clicks(noted: Iterable[Item]) -> Iterator[Reaction]:
    """Yield what was done by a link or a picture that a message carried: its token says which message."""
    for item in noted:
        kind, _, rest = item.get("source", "").partition("|")
        name, _, node = rest.partition("|")
        if name:
            yield Reaction(Contact(kind, name, node), item["evidence"], item.get("link_id", ""))


def _responses(runs: Iterable[Item]) -> Iterator[Reaction]:
    """Yield what runs of scenarios noted: by node, or `node|link`, `<instant> <evidence> <kind>`."""
    for item in runs:
        for key, text in item["responses"].items():
            node, _, link = key.partition("|")
            words = text.split(" ")
            if len(words) > 1 and words[1] in tuple(Evidence):
                yield Reaction(Contact("scn", item["scenario"], node), words[1], link)

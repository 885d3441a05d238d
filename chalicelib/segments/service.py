"""Load people whole, and find those who fulfil a condition."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import groupby, islice

from chalicelib.customers.model import DeliveryChannel
from chalicelib.customers.service import Customers
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.people.model import cid_of
from chalicelib.people.service import People
from chalicelib.ports.database import Database
from chalicelib.segments.expression import All, AnyOf, Expression, FieldIs, Not, parse
from chalicelib.segments.model import FRIEND_PREFIX, KINDS, Person, person_of
from chalicelib.segments.predicate import compile_predicate
from chalicelib.settings import settings

_MOST_MERGES = 3
_BATCH = 100


class Segments:
    """People and conditions.

    An audience is found by a parallel scan of the core table with consistent reads: exact, and right for the sizes that one
    Lambda can walk; the lake takes over this verb for millions (docs/decisions/0004).
    """

    def __init__(self, people: People, customers: Customers, database: Database) -> None:
        self._people = people
        self._customers = customers
        self._database = database

    def load(self, cids: Iterable[Cid], accounts: Iterable[AccountKey]) -> dict[Cid, Person]:
        """Return people by the number asked for, following identity links, with their friendships on these accounts."""
        wanted = list(dict.fromkeys(cids))
        kinds = [*KINDS, *(f"{FRIEND_PREFIX}{account}" for account in accounts)]
        found: dict[Cid, Person] = {}
        target = {cid: cid for cid in wanted}
        todo = wanted
        for _ in range(_MOST_MERGES):
            collections = self._people.collections(todo, kinds)
            loaded = {cid: person_of(cid, collection) for cid, collection in collections.items()}
            moved = {cid: person.customer.merged_into for cid, person in loaded.items() if person.customer.merged_into}
            found |= {cid: person for cid, person in loaded.items() if cid not in moved}
            target = {asked: moved.get(cid) or cid for asked, cid in target.items()}
            todo = [cid for cid in dict.fromkeys(moved.values()) if cid is not None and cid not in found]
            if not todo:
                break
        refused = self._suppressed(found.values())
        people = {cid: _without(person, refused) for cid, person in found.items()}
        return {asked: people[cid] for asked, cid in target.items() if cid in people}

    def _suppressed(self, people: Iterable[Person]) -> set[tuple[DeliveryChannel, str]]:
        addresses = [address for person in people for address in _addresses(person)]
        return self._customers.suppressed(addresses) if addresses else set()

    def check(self, condition: object) -> None:
        """Raise InvalidError when the condition is not one."""
        parse(condition)

    def holds(self, condition: object, person: Person, now: datetime, account: AccountKey | None = None) -> bool:
        """Say whether a person fulfils a condition at `now`."""
        return compile_predicate(parse(condition), now, account)(person)

    def find(
        self, condition: object, now: datetime, account: AccountKey | None = None, *, segment: int = 0, segments: int = 1
    ) -> Iterator[Person]:
        """Yield the people who fulfil a condition at `now`, from one of `segments` parts of everybody."""
        expression = parse(condition)
        predicate = compile_predicate(expression, now, account)
        asks_for_addresses = _asks_for_addresses(expression)
        items = self._database.scan(settings().core_table, segment=segment, segments=segments)
        persons = (item for item in items if item["pk"].startswith("C#"))
        everybody = (
            person_of(cid_of(pk), {item["sk"]: dict(item) for item in collection})
            for pk, collection in groupby(persons, key=lambda item: item["pk"])
        )
        living = (person for person in everybody if person.customer.merged_into is None)
        while batch := list(islice(living, _BATCH)):
            refused = self._suppressed(batch) if asks_for_addresses else set()
            yield from (person for person in (_without(person, refused) for person in batch) if predicate(person))


def _asks_for_addresses(expression: Expression) -> bool:
    match expression:
        case All(parts) | AnyOf(parts):
            return any(_asks_for_addresses(part) for part in parts)
        case Not(part):
            return _asks_for_addresses(part)
        case FieldIs(field):
            return field in ("email.reachable", "sms.reachable")
        case _:
            return False


def _addresses(person: Person) -> list[tuple[DeliveryChannel, str]]:
    profile = person.customer.profile
    pairs = [(DeliveryChannel.EMAIL, profile.email), (DeliveryChannel.SMS, profile.phone)]
    return [(channel, address) for channel, address in pairs if address]


def _without(person: Person, refused: set[tuple[DeliveryChannel, str]]) -> Person:
    channels = frozenset(channel for channel, address in _addresses(person) if (channel, address) in refused)
    if not channels:
        return person
    return Person(person.customer, person.stats, person.tags, person.friends, channels)

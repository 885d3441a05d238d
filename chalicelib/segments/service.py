"""Load people whole, find those who fulfil a condition, and keep conditions by name."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from itertools import groupby, islice
from typing import Any

import msgspec

from chalicelib.customers.model import DeliveryChannel
from chalicelib.customers.service import Customers
from chalicelib.kernel.clock import EVER
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.people.model import cid_of
from chalicelib.people.service import People
from chalicelib.ports.database import Database
from chalicelib.segments import table
from chalicelib.segments.expression import Expression, asks, whatever_was
from chalicelib.segments.history import Histories, asks_history
from chalicelib.segments.model import FRIEND_PREFIX, KINDS, Person, SavedSegment, person_of
from chalicelib.segments.predicate import Predicate, compile_predicate
from chalicelib.segments.reading import parse
from chalicelib.segments.rfm import DEFAULT, Bounds, asks_for_scores, scored
from chalicelib.settings import settings

_MOST_MERGES = 3
_BATCH = 100
_SAMPLE = 5
_REMEMBER_SECONDS = 30.0
_REMEMBER = 128  # conditions at an instant: a page asks each branch of its node of everybody
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)  # what a condition asks does not hang on the day
_ID = re.compile(r"seg_[0-9A-Za-z_]{1,36}\Z")
_MOST_BYTES = 60_000  # of JSON; an item of DynamoDB takes 400 KB, in which a Japanese character may take two times its bytes
# What says whether an address works is read only when somebody asks: it stands elsewhere.
ADDRESS_FIELDS = frozenset({"field:email.reachable", "field:sms.reachable"})


@dataclass(frozen=True, slots=True)
class Compiled:
    """A condition that was read. asked: what of a person's history it asks (history.asks_history)."""

    predicate: Predicate
    asked: frozenset[str]


class Segments:
    """People and conditions.

    An audience is found by a parallel scan of the core table with consistent reads: exact, and right for the sizes that one
    Lambda can walk; the lake takes over this verb for millions (docs/decisions/0004).
    """

    def __init__(self, people: People, customers: Customers, histories: Histories, database: Database) -> None:
        self._people = people
        self._customers = customers
        self._histories = histories
        self._database = database
        self._monotonic: Callable[[], float] = time.monotonic
        self._compiled = lru_cache(maxsize=_REMEMBER)(self._compiled_anew)
        self._bounds: tuple[float, Bounds] = (-1.0, DEFAULT)

    def load(
        self,
        cids: Iterable[Cid],
        accounts: Iterable[AccountKey],
        *,
        kinds: Iterable[str] = KINDS,
        addresses: bool = True,
        conditions: Iterable[object] = (),
        asked: frozenset[str] = frozenset(),
        since: datetime = EVER,
    ) -> dict[Cid, Person]:
        """Return people by the number asked for, following identity links, with their friendships on these accounts.

        kinds: which of a person's items the caller asks about, the profile among them; the others seem to be empty.
        addresses: whether it matters which of his addresses must not be used. conditions: those that will be asked of them:
        their histories are read as far as these ask; asked: and as far as these words do (history.asks_history).
        since: from when on their timelines matter (history.asks_since).
        """
        wanted = list(dict.fromkeys(cids))
        kinds = [*kinds, *(f"{FRIEND_PREFIX}{account}" for account in accounts)]
        found: dict[Cid, Person] = {}
        target = {cid: cid for cid in wanted}
        todo = wanted
        left: dict[Cid, Person] = {}
        for _ in range(_MOST_MERGES):
            collections = self._people.collections(todo, kinds)
            loaded = {cid: person_of(cid, collection) for cid, collection in collections.items()}
            moved = {cid: person.customer.merged_into for cid, person in loaded.items() if person.customer.merged_into}
            left |= {cid: loaded[cid] for cid in moved}
            found |= {cid: person for cid, person in loaded.items() if cid not in moved}
            target = {asked: moved.get(cid) or cid for asked, cid in target.items()}
            todo = [cid for cid in dict.fromkeys(moved.values()) if cid is not None and cid not in found]
            if not todo:
                break
        refused = self._suppressed(found.values()) if addresses else set()
        people = self._with_histories(
            [_without(person, refused) for person in found.values()], asked | self._asked(conditions), since
        )
        return {asked: _with_friends(people[cid], left.get(asked)) for asked, cid in target.items() if cid in people}

    def _suppressed(self, people: Iterable[Person]) -> set[tuple[DeliveryChannel, str]]:
        addresses = [address for person in people for address in _addresses(person)]
        return self._customers.suppressed(addresses) if addresses else set()

    def _asked(self, conditions: Iterable[object]) -> frozenset[str]:
        return frozenset().union(*(self._compile(condition, _NEVER, None).asked for condition in conditions))

    def _with_histories(self, people: Iterable[Person], asked: frozenset[str], since: datetime = EVER) -> dict[Cid, Person]:
        """Return people with their histories, read anew for those whose do not say as much."""
        known = {person.cid: person for person in people}
        lacking = {
            cid: person
            for cid, person in known.items()
            if asked and not (asked <= person.history.asked and person.history.since <= since)
        }
        if not lacking:
            return known
        histories = self._histories.of(lacking.values(), asked, since)
        return known | {cid: replace(person, history=histories[cid]) for cid, person in lacking.items()}

    def read(self, condition: object, *, anew: bool = False) -> Expression:
        """Return a condition with the saved segments that it names, scores by our bounds. Raises InvalidError(`condition.*`).

        anew: by the bounds as they are now, and not as they were half a minute ago.
        """
        expression = parse(condition, _saved_condition)
        return scored(expression, self.bounds(anew=anew)) if asks_for_scores(expression) else expression

    def bounds(self, *, anew: bool = False) -> Bounds:
        """Return the company's bounds of RFM scores; unless they are read anew, a change is seen half a minute later."""
        until, known = self._bounds
        if anew or self._monotonic() >= until:
            known = table.bounds()
            self._bounds = (self._monotonic() + _REMEMBER_SECONDS, known)
        return known

    def set_bounds(self, bounds: Bounds) -> None:
        """Keep the company's bounds of RFM scores (scores.check)."""
        table.put_bounds(bounds)
        self._bounds = (-1.0, bounds)
        self._compiled.cache_clear()

    def check(self, condition: object) -> None:
        """Raise InvalidError(`condition.*`) when the condition is not one, or names a saved segment that there is not."""
        parse(condition, _saved_condition)

    def holds(self, condition: object, person: Person, now: datetime, account: AccountKey | None = None) -> bool:
        """Say whether a person fulfils a condition at `now`.

        Asked of a whole page at one instant, it is read once. A change of a saved segment is seen half a minute later. Whoever was
        loaded without what the condition asks of his history is looked up: an empty one would say that he did nothing.
        """
        compiled = self._compile(condition, now, account)
        return compiled.predicate(self._with_histories([person], compiled.asked)[person.cid])

    def _compile(self, condition: object, now: datetime, account: AccountKey | None) -> Compiled:
        period = self._monotonic() // _REMEMBER_SECONDS
        return self._compiled(msgspec.json.encode(condition, order="sorted"), now, account, period)

    def _compiled_anew(self, condition: bytes, now: datetime, account: AccountKey | None, _period: float) -> Compiled:
        expression = self.read(msgspec.json.decode(condition))
        return Compiled(compile_predicate(expression, now, account), asks_history(asks(expression)))

    def find(
        self,
        condition: object,
        now: datetime,
        account: AccountKey | None = None,
        *,
        segment: int = 0,
        segments: int = 1,
        addresses: bool = False,
        conditions: Iterable[object] = (),
        follow: Iterable[AccountKey] | None = None,
        stop: Callable[[], bool] = lambda: False,
    ) -> Iterator[Person]:
        """Yield the people who fulfil a condition at `now`, from one of `segments` parts of everybody.

        addresses, conditions: as in `load`. follow: whoever has become part of another comes too, as the one whom he is part of,
        with the friendships on these accounts: he may have become it since that one's part was read. stop: asked before every
        hundred people that are looked at; those seen until then are spread evenly, for a scan goes by the hash of people's numbers.
        """
        expression = self.read(condition)
        predicate = compile_predicate(expression, now, account)
        may_hold = compile_predicate(whatever_was(expression), now, account)
        asked = asks_history(asks(expression))
        further = self._asked(conditions)
        asks_for_addresses = not ADDRESS_FIELDS.isdisjoint(asks(expression))
        items = self._database.scan(settings().core_table, segment=segment, segments=segments)
        persons = (item for item in items if item["pk"].startswith("C#"))
        everybody = (
            person_of(cid_of(pk), {item["sk"]: dict(item) for item in collection})
            for pk, collection in groupby(persons, key=lambda item: item["pk"])
        )
        wanted = everybody if follow is not None else filter(_is_living, everybody)
        while not stop() and (batch := list(islice(wanted, _BATCH))):
            if gone := [person.cid for person in batch if not _is_living(person)]:
                became = self.load(gone, follow or (), addresses=asks_for_addresses)
                batch = list({person.cid: person for person in (*filter(_is_living, batch), *became.values())}.values())
            if asks_for_addresses:
                batch = self._with_addresses(batch)
            if asked:  # a history is three questions more: only of those whom the rest of the condition leaves
                batch = list(self._with_histories(filter(may_hold, batch), asked).values())
            found = [person for person in batch if predicate(person)]
            if addresses and not asks_for_addresses:
                found = self._with_addresses(found)
            yield from self._with_histories(found, asked | further).values()

    def _with_addresses(self, people: list[Person]) -> list[Person]:
        refused = self._suppressed(people)
        return [_without(person, refused) for person in people]

    def count(self, condition: object, now: datetime) -> tuple[int, list[Cid]]:
        """Return how many people fulfil a condition at `now`, on whatever account, and a few of them."""
        number, sample = 0, []
        for person in self.find(condition, now):
            number += 1
            if number <= _SAMPLE:
                sample.append(person.cid)
        return number, sample

    def save(self, segment_id: str, name: str, condition: Mapping[str, Any]) -> SavedSegment:
        """Keep a condition under an id; the one before becomes a former revision, and the same once more changes nothing.

        Raises InvalidError(`segment.id_malformed`, `segment.name_empty`, `condition.*`),
        ConflictError(`segment.changed_meanwhile`).
        """
        if not _ID.match(segment_id):
            raise InvalidError("segment.id_malformed")
        if not name.strip():
            raise InvalidError("segment.name_empty")
        if len(msgspec.json.encode(condition)) > _MOST_BYTES:
            raise InvalidError("condition.too_large", path="$", most=_MOST_BYTES)
        parse(condition, _saved_condition, defines=segment_id)
        before = table.get(segment_id)
        segment = SavedSegment(segment_id, name.strip(), condition, before.revision + 1 if before else 1)
        if before and (before.name, before.condition) == (segment.name, segment.condition):
            return before
        if before:
            table.keep(before)
        if not table.put(segment):
            raise ConflictError("segment.changed_meanwhile", segment_id=segment_id)
        return segment

    def saved(self, segment_id: str) -> SavedSegment:
        """Return a saved segment. Raises NotFoundError(`segment.unknown`)."""
        segment = _saved(segment_id)
        if segment is None:
            raise NotFoundError("segment.unknown", segment_id=segment_id)
        return segment

    def revisions(self, segment_id: str) -> list[SavedSegment]:
        """Return a segment as it is and as it was before each change, the newest first. Raises NotFoundError(`segment.unknown`)."""
        now = self.saved(segment_id)
        return [now, *(before for before in table.former(segment_id) if before.revision < now.revision)]

    def all_saved(self) -> list[SavedSegment]:
        """Return all saved segments by id."""
        return table.everyone()

    def delete(self, segment_id: str) -> None:
        """Forget a saved segment; what still names it is refused when it is used. Raises NotFoundError(`segment.unknown`)."""
        table.delete(self.saved(segment_id).segment_id)


def _saved(segment_id: str) -> SavedSegment | None:
    # Checked first: DynamoDB refuses keys that are too long, and that would be our fault and not the caller's.
    return table.get(segment_id) if _ID.match(segment_id) else None


def _saved_condition(segment_id: str) -> object:
    segment = _saved(segment_id)
    return segment.condition if segment else None


def _is_living(person: Person) -> bool:
    return person.customer.merged_into is None


def _with_friends(person: Person, former: Person | None) -> Person:
    """Return a person with friendships that still stand at his former number: while two become one they are just being moved."""
    if former is None or former.friends.keys() <= person.friends.keys():
        return person
    return replace(person, friends={**former.friends, **person.friends})


def _addresses(person: Person) -> list[tuple[DeliveryChannel, str]]:
    profile = person.customer.profile
    pairs = [(DeliveryChannel.EMAIL, profile.email), (DeliveryChannel.SMS, profile.phone)]
    return [(channel, address) for channel, address in pairs if address]


def _without(person: Person, refused: set[tuple[DeliveryChannel, str]]) -> Person:
    channels = frozenset(channel for channel, address in _addresses(person) if (channel, address) in refused)
    if not channels:
        return person
    return replace(person, suppressed=channels)

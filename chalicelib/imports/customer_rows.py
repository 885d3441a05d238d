"""Take rows about people: profiles, friends, tags; what is known already costs no write."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chalicelib.customers.model import PROFILE_SK, Customer, customer_of
from chalicelib.customers.service import Customers
from chalicelib.friends.model import FollowState, Friend, friend_sk, from_item
from chalicelib.friends.service import Friends
from chalicelib.imports.model import ImportJob, ImportKind
from chalicelib.imports.taking import Directory, Outcome, Row, TagBook
from chalicelib.imports.values import Who, is_yes, order_time, profile_values, tag_names, who
from chalicelib.kernel.errors import DomainError, InvalidError
from chalicelib.kernel.facts import ProfileChanged
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.people.service import People
from chalicelib.ports.database import Item
from chalicelib.tags.model import MOST_TAGS, TAGS_SK, tags_of
from chalicelib.tags.service import Tags

Erased = Callable[[Iterable[str]], Mapping[str, str]]  # those identities whose person was erased, and the receipt of it


@dataclass(slots=True)
class Person:
    """What we know of somebody, and what the rows change about him. tags: he carries; asked: the rows ask for."""

    customer: Customer
    friend: Friend | None
    tags: set[str]
    values: dict[str, Any] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    entered: Friend | None = None
    is_new: bool = False

    def get(self, name: str) -> Any:
        """Return a profile field as it will be."""
        if name == "attributes":
            return {**self.customer.profile.attributes, **self.values.get(name, {})}
        return self.values[name] if name in self.values else getattr(self.customer.profile, name)


@dataclass(slots=True)
class Told:
    """What a row says. blocked, added_at: of his friendship."""

    row: Row
    who: Who
    values: dict[str, Any]
    tags: list[str]
    friend: Friend | None


class CustomerRows:
    """Implements taking.Taker for customers and tags."""

    def __init__(self, people: People, customers: Customers, friends: Friends, tags: Tags, erased: Erased) -> None:
        self._people = people
        self._customers = customers
        self._friends = friends
        self._tags = tags
        self._erased = erased

    def take(self, job: ImportJob, rows: Sequence[Row], outcome: Outcome) -> None:
        """Take rows; see the port. First it is decided what becomes of each, then all of it is written."""
        book = TagBook(self._tags)
        told = [one for row in rows if (one := self._told(job, row, book, outcome))]
        directory = Directory(self._people, job.options.account)
        directory.look_up(one.who for one in told)
        fresh: set[Cid] = set()
        if job.kind is ImportKind.CUSTOMERS:
            told = self._not_erased(told, directory, outcome)
            fresh = self._number(job, told, directory)
        else:
            directory.follow()
        known = self._load(job, set(directory.known.values()))
        for cid in fresh:
            known[cid].is_new = True
        pointers: dict[str, Cid] = {}
        for one in told:
            try:
                self._decide(job, one, directory, known, pointers, outcome)
            except DomainError as error:
                outcome.refusals.append(one.row.refused(error))
        if not job.options.dry_run:
            self._write(job, known, pointers, outcome)
        # Of whoever the file is about, though it may say nothing new: who died before this was heard tells it again.
        if job.kind is ImportKind.CUSTOMERS and job.options.trigger and not job.options.dry_run:
            outcome.facts += [ProfileChanged(fact_id=f"{job.import_id}|{cid}", cid=cid, at=job.created_at) for cid in known]

    def _told(self, job: ImportJob, row: Row, book: TagBook, outcome: Outcome) -> Told | None:
        try:
            person = who(row.given, job.options)
            names = tag_names(row.given, job.options)
            if job.kind is ImportKind.TAGS:
                return Told(row, person, {}, [book.id_of(name, job) for name in names], None)
            values = profile_values(row.given, job.options)
            friend = self._friend(job, row.given, person)
            if person.member_no:
                values["member_no"] = person.member_no
            return Told(row, person, values, [book.id_of(name, job) for name in names], friend)
        except DomainError as error:
            outcome.refusals.append(row.refused(error))
            return None

    def _friend(self, job: ImportJob, given: Mapping[str, str], person: Who) -> Friend | None:
        if not person.line_user_id:
            return None
        text = given.get("friend.added_at", "").strip()
        try:
            added = min(order_time(text, job.options.dates), job.created_at) if text else job.created_at
        except InvalidError as error:
            raise InvalidError("import.date_malformed", field="friend.added_at") from error
        blocked = is_yes(given.get("friend.blocked", ""), "friend.blocked")
        state = FollowState.BLOCKED if blocked else FollowState.UNKNOWN
        # Whatever he does from now on is later than what the other system said.
        at = job.created_at if blocked else None
        return Friend(Cid(0), AccountKey(job.options.account), LineUserId(person.line_user_id), state, added, at)

    def _not_erased(self, told: Sequence[Told], directory: Directory, outcome: Outcome) -> list[Told]:
        """Return the rows that do not bring somebody back who was erased; whom we know came back by himself."""
        names = [_names(one, directory) for one in told]
        fresh = [found if not found & set(directory.known) else set() for found in names]
        erased = self._erased({name for found in fresh for name in found}) if any(fresh) else {}
        back = [min((erased[name] for name in found if name in erased), default="") for found in fresh]
        for one, receipt_id in zip(told, back, strict=True):
            if receipt_id:
                outcome.refusals.append(one.row.refused(InvalidError("customer.erased", field="member_no", receipt_id=receipt_id)))
        return [one for one, receipt_id in zip(told, back, strict=True) if not receipt_id]

    def _number(self, job: ImportJob, told: Sequence[Told], directory: Directory) -> set[Cid]:
        """Give a number to everybody who is new; in a dry run one that nobody has."""
        wanted: list[str] = []
        seen = set(directory.known)
        for one in told:
            identities = [identity for identity in (directory.member(one.who), directory.line(one.who)) if identity]
            if not seen & set(identities):
                wanted.append(identities[0])
            seen |= set(identities)  # a later row may know him by the other one
        if job.options.dry_run:
            numbers = {identity: Cid(-place) for place, identity in enumerate(wanted, start=1)}
        else:
            numbers = self._people.find_or_number_many(wanted)
        directory.known |= numbers
        return set(numbers.values())

    def _load(self, job: ImportJob, cids: set[Cid]) -> dict[Cid, Person]:
        account = AccountKey(job.options.account)
        kinds = [PROFILE_SK, TAGS_SK, *([friend_sk(account)] if account else [])]
        found = self._people.collections(sorted(cid for cid in cids if cid > 0), kinds)
        return {cid: _person(cid, account, found.get(cid, {})) for cid in cids}

    def _decide(
        self,
        job: ImportJob,
        one: Told,
        directory: Directory,
        known: Mapping[Cid, Person],
        pointers: dict[str, Cid],
        outcome: Outcome,
    ) -> None:
        """Note at the person what a row changes. Raises what the row is refused for; then nothing of it is noted."""
        member, line = directory.member(one.who), directory.line(one.who)
        may_enter = job.kind is ImportKind.CUSTOMERS
        if may_enter and member and line in directory.known and member not in directory.known:
            # A friend whom we know by his own acts is this member, unless he is another one.
            if known[directory.known[line]].get("member_no") not in ("", one.who.member_no):
                raise InvalidError("customer.line_user_id_taken", field="line_user_id")
            cid = directory.known[line]
        else:
            cid = directory.find(one.who)
        person = known[cid]
        friend = person.entered or person.friend
        if one.friend and friend and friend.line_user_id != one.friend.line_user_id:
            raise InvalidError("customer.line_user_id_taken", field="line_user_id")
        if len(person.tags | person.asked | set(one.tags)) > MOST_TAGS:
            raise InvalidError("tag.too_many", field="tags", most=MOST_TAGS)
        values = {name: value for name, value in one.values.items() if person.get(name) != value}
        if attributes := _changed(person, values.pop("attributes", {})):
            values["attributes"] = {**person.values.get("attributes", {}), **attributes}
        is_entered = one.friend is not None and friend is None
        is_changed = bool(values) or is_entered or not set(one.tags) <= person.tags | person.asked
        if one.friend is not None and friend is None:
            person.entered = Friend(cid, *_rest(one.friend))
        for identity in (member, line):
            if may_enter and identity and identity not in directory.known:
                directory.known[identity] = pointers[identity] = cid
        person.values |= values
        person.asked |= set(one.tags)
        outcome.created += person.is_new
        outcome.changed += is_changed and not person.is_new
        outcome.same += not is_changed and not person.is_new
        person.is_new = False

    def _write(self, job: ImportJob, known: Mapping[Cid, Person], pointers: Mapping[str, Cid], outcome: Outcome) -> None:
        self._people.number_identities({identity: cid for identity, cid in pointers.items() if identity.startswith("member#")})
        self._customers.write({cid: person.values for cid, person in known.items() if person.values})
        self._friends.enter_many(person.entered for person in known.values() if person.entered)
        by_tag: dict[str, dict[Cid, str]] = {}
        for cid, person in known.items():
            # Told again where something may follow: who died before it did asks again and hears the same.
            for tag_id in person.asked if job.options.trigger else person.asked - person.tags:
                by_tag.setdefault(tag_id, {})[cid] = job.import_id
        for tag_id, people in sorted(by_tag.items()):
            outcome.facts += self._tags.add_many(people, tag_id)


def _names(one: Told, directory: Directory) -> set[str]:
    """Return by what somebody who was erased is known again."""
    found = {directory.member(one.who), directory.line(one.who)} - {""}
    return found | {f"{kind}#{one.values[kind]}" for kind in ("email", "phone") if one.values.get(kind)}


def _person(cid: Cid, account: AccountKey, items: Mapping[str, Item]) -> Person:
    friend = items.get(friend_sk(account)) if account else None
    return Person(customer_of(cid, items), from_item(cid, account, friend) if friend else None, set(tags_of(items)))


def _changed(person: Person, attributes: Mapping[str, Any]) -> dict[str, Any]:
    # Only these are written: two imports at once leave each other's.
    known = person.get("attributes")
    return {name: value for name, value in attributes.items() if name not in known or known[name] != value}


def _rest(friend: Friend) -> tuple[AccountKey, LineUserId, FollowState, Any, Any]:
    return friend.account, friend.line_user_id, friend.state, friend.first_seen_at, friend.state_at

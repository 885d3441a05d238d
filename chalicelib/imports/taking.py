"""What takers of rows have in common, and how people of rows are found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from chalicelib.customers.model import PROFILE_SK, customer_of
from chalicelib.imports.columns import Columns, cells
from chalicelib.imports.model import ImportJob, ImportKind, Tally
from chalicelib.imports.records import Record
from chalicelib.imports.refusals import Refusal
from chalicelib.imports.values import Who
from chalicelib.kernel.errors import ConflictError, DomainError, InvalidError, NotFoundError
from chalicelib.kernel.facts import Fact
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.people.model import line_identity, member_identity
from chalicelib.people.service import People
from chalicelib.tags.service import Tags

_MOST_NEW_TAGS = 1_000


@dataclass(slots=True)
class Row:
    """A row and its cells by our field."""

    record: Record
    given: Mapping[str, str]

    def refused(self, error: DomainError) -> Refusal:
        """Return that it was not taken."""
        return Refusal(self.record.line, error, self.record.cells)


@dataclass(slots=True)
class Outcome:
    """What some rows came to.

    facts: what follows from them, when they may start scenarios. broken: numbers of orders of which a row cannot be read.
    """

    created: int = 0
    changed: int = 0
    same: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)

    def tally(self, rows: int) -> Tally:
        """Return the numbers of it, for so many rows."""
        return Tally(rows, self.created, self.changed, self.same, len(self.refusals))


class Taker(Protocol):
    """Takes rows of one kind; the same rows may come again, to the same end."""

    def take(self, job: ImportJob, rows: Sequence[Row], outcome: Outcome) -> None:
        """Take rows and add to the outcome what became of them."""
        ...


def is_by_line(job: ImportJob) -> bool:
    """Say whether a row is a line of an order."""
    return job.kind is ImportKind.ORDERS and any(name.startswith("line.") for name in job.options.mapping)


def order_number_of(job: ImportJob, columns: Columns, record: Record) -> str:
    """Return what rows of one order have in common where a row is a line of one; empty where each row stands alone."""
    place = columns.places.get("order_no", 0)
    return record.cells[place].strip() if is_by_line(job) and place < len(record.cells) else ""


def rows_of(records: Sequence[Record], columns: Columns, job: ImportJob, outcome: Outcome) -> list[Row]:
    """Return the rows that can be read, and add the others to the outcome."""
    rows = []
    for place, record in enumerate(records):
        try:
            if record.is_broken:
                raise InvalidError("import.text_broken")
            rows.append(Row(record, cells(columns, record.cells, job.options.defaults)))
        except DomainError as error:
            outcome.refusals.append(Refusal(record.line, error, record.cells))
            # A row without a number may have belonged to the order before it or to the one after it.
            number = order_number_of(job, columns, record)
            near = [record] if number else records[max(place - 1, 0) : place + 2]
            outcome.broken |= {order_number_of(job, columns, one) for one in near}
    return rows


class Directory:
    """Whom rows are about, looked up for many at once."""

    def __init__(self, people: People, account: str) -> None:
        self._people = people
        self._account = AccountKey(account)
        self.known: dict[str, Cid] = {}

    def member(self, person: Who) -> str:
        """Return the identity by the company's number, empty without one."""
        return member_identity(person.member_no) if person.member_no else ""

    def line(self, person: Who) -> str:
        """Return the identity by the LINE user id, empty without one."""
        return line_identity(self._account, LineUserId(person.line_user_id)) if person.line_user_id else ""

    def look_up(self, people: Iterable[Who]) -> None:
        """Find everybody whom we know."""
        wanted = {identity for person in people for identity in (self.member(person), self.line(person)) if identity}
        self.known |= self._people.find_many(sorted(wanted))

    def follow(self) -> None:
        """Put in the place of everybody who has become part of somebody else the one who he is now."""
        todo = set(self.known.values())
        while todo:
            found = self._people.collections(todo, [PROFILE_SK])
            became = {cid: now for cid, items in found.items() if (now := customer_of(cid, items).merged_into)}
            self.known = {identity: became.get(cid, cid) for identity, cid in self.known.items()}
            todo = set(became.values())

    def find(self, person: Who) -> Cid:
        """Return whom a row is about. Raises NotFoundError(`customer.unknown`), InvalidError(`customer.line_user_id_taken`)."""
        found = {self.known[identity] for identity in (self.member(person), self.line(person)) if identity in self.known}
        if not found:
            raise NotFoundError("customer.unknown", field="member_no" if person.member_no else "line_user_id")
        if len(found) > 1:
            raise InvalidError("customer.line_user_id_taken", field="line_user_id")
        return found.pop()


class TagBook:
    """The ids of tags by their names; those that are not there are made when they are first asked for."""

    def __init__(self, tags: Tags) -> None:
        self._tags = tags
        self._ids: dict[str, str] | None = None
        self._made = 0

    def id_of(self, name: str, job: ImportJob) -> str:
        """Return a tag's id, in a dry run a name for one to come.

        Raises InvalidError(`tag.name_too_long`, `import.too_many_tags`).
        """
        if self._ids is None:
            self._ids = {tag.name: tag.tag_id for tag in self._tags.everyone()}
        if name not in self._ids:
            if self._made >= _MOST_NEW_TAGS:
                raise InvalidError("import.too_many_tags", field="tags", most=_MOST_NEW_TAGS)
            self._made += 1
            self._ids[name] = f"new {name}" if job.options.dry_run else self._make(name, job.options.tag_folder)
        return self._ids[name]

    def _make(self, name: str, folder: str) -> str:
        try:
            return self._tags.create(name, folder).tag_id
        except ConflictError:  # somebody else has made it since we looked
            return next(tag.tag_id for tag in self._tags.everyone() if tag.name == name)

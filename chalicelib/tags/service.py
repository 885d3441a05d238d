"""Make tags, put them on people and take them off."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta

from chalicelib.kernel.clock import Clock, to_text
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.facts import Fact, TagAdded, TagRemoved
from chalicelib.kernel.ids import Cid, TagId, new_id
from chalicelib.observability import warning
from chalicelib.people.service import People
from chalicelib.ports.database import Database, Item
from chalicelib.tags import table
from chalicelib.tags.model import MOST_TAGS, OFF, TAGS_SK, Mark, Tag, tags_of

_ID = re.compile(r"tag_[0-9A-Za-z]{1,40}\Z")
_LONGEST_NAME = 100  # a sort key holds 1,024 bytes
_HEARD = timedelta(days=40)  # longer than anything is tried again


class Tags:
    """Tags and who carries them. A person's tags are attributes of one item, so two writers never undo each other."""

    def __init__(self, people: People, database: Database, clock: Clock) -> None:
        self._people = people
        self._database = database
        self._clock = clock

    def create(self, name: str, folder: str = "", tag_id: str = "") -> Tag:
        """Make a tag. Raises ConflictError(`tag.name_taken`)."""
        now = self._clock.now()
        tag = Tag(TagId(tag_id or new_id("tag", now)), name.strip(), folder.strip(), now)
        if not tag.name or not _ID.match(tag.tag_id):
            raise InvalidError("tag.name_empty")
        if len(tag.name) > _LONGEST_NAME:
            raise InvalidError("tag.name_too_long", most=_LONGEST_NAME)
        if not table.put(tag):
            raise ConflictError("tag.name_taken", name=tag.name)
        return tag

    def get(self, tag_id: str) -> Tag:
        """Return a tag. Raises NotFoundError(`tag.unknown`)."""
        tag = table.get(tag_id) if _ID.match(tag_id) else None
        if tag is None:
            raise NotFoundError("tag.unknown", tag_id=tag_id)
        return tag

    def everyone(self) -> list[Tag]:
        """Return all tags, oldest first."""
        return table.everyone()

    def delete(self, tag_id: str) -> None:
        """Remove a tag from the list and free its name. Raises NotFoundError(`tag.unknown`)."""
        table.delete(self.get(tag_id))

    def add(self, cid: Cid, tag_id: str, by: str) -> list[Fact]:
        """Put a tag on a person; the fact comes the first time, and again for the same `by`.

        Who died before he could react asks again, and hears the same fact once more. Raises NotFoundError(`tag.unknown`),
        InvalidError(`tag.too_many`).
        """
        facts, full = self._add({cid: by}, self.get(tag_id).tag_id)
        if full:
            raise InvalidError("tag.too_many", most=MOST_TAGS)
        return facts

    def add_many(self, people: Mapping[Cid, str], tag_id: str) -> list[Fact]:
        """Put a tag on many, by whom each; as `add`, but who carries too many is passed over. Raises NotFoundError."""
        facts, full = self._add(people, self.get(tag_id).tag_id)
        if full:
            warning("people carry too many tags for another", tag_id=tag_id, people=len(full))
        return facts

    def _add(self, people: Mapping[Cid, str], tag_id: TagId) -> tuple[list[Fact], list[Cid]]:
        before = self._people.collections(people, [TAGS_SK])
        bare = [cid for cid, items in before.items() if tag_id not in tags_of(items)]
        full = [cid for cid in bare if len(tags_of(before[cid])) >= MOST_TAGS]
        now = self._clock.now()
        marks = {cid: Mark(now, people[cid]) for cid in bare if cid not in full}
        won = table.put_on(self._database, tag_id, marks, [cid for cid in bare if TAGS_SK not in before[cid]])
        lost = [cid for cid in marks if cid not in won]
        after = {**before, **self._people.collections(lost, [TAGS_SK])} if lost else before
        told = {cid: marks[cid] if cid in won else _mark(after[cid], tag_id) for cid in people}
        return [
            TagAdded(fact_id=f"tag|{cid}|{tag_id}|{to_text(mark.at)}", cid=cid, at=mark.at, tag_id=tag_id)
            for cid, mark in told.items()
            if mark is not None and mark.by == people[cid]
        ], full

    def remove(self, cid: Cid, tag_id: str, by: str) -> list[Fact]:
        """Take a tag off a person; nothing when he does not carry it, the fact again for the same `by`."""
        return self.remove_many({cid: by}, tag_id)

    def remove_many(self, people: Mapping[Cid, str], tag_id: str) -> list[Fact]:
        """Take a tag off many, by whom each; as `remove`."""
        if not _ID.match(tag_id):
            return []
        before = self._people.collections(people, [TAGS_SK])
        now = self._clock.now()
        marks = {cid: Mark(now, people[cid]) for cid, items in before.items() if tag_id in tags_of(items)}
        old = {cid: _forgotten(before[cid], tag_id, now) for cid in marks}
        won = table.take_off(self._database, TagId(tag_id), marks, old)
        lost = [cid for cid in marks if cid not in won]
        after = {**before, **self._people.collections(lost, [TAGS_SK])} if lost else before
        told = {cid: marks[cid] if cid in won else _mark(after[cid], f"{OFF}{tag_id}") for cid in people}
        return [
            TagRemoved(fact_id=f"untag|{cid}|{tag_id}|{to_text(mark.at)}", cid=cid, at=mark.at, tag_id=tag_id)
            for cid, mark in told.items()
            if mark is not None and mark.by == people[cid]
        ]

    def of(self, cid: Cid) -> frozenset[str]:
        """Return the ids of a person's tags."""
        return tags_of(self._people.collections([cid], [TAGS_SK])[cid])


def _mark(items: Mapping[str, Item], name: str) -> Mark | None:
    text = items.get(TAGS_SK, {}).get(name)
    return Mark.parse(text) if text else None


def _forgotten(items: Mapping[str, Item], tag_id: str, now: datetime) -> list[str]:
    """Return the marks of other tags that were taken off so long ago that nobody will ask to hear of it again."""
    item = items.get(TAGS_SK, {})
    names = (name for name in item if name.startswith(OFF) and name != f"{OFF}{tag_id}")
    return [name for name in names if now - Mark.parse(item[name]).at > _HEARD]

"""Make tags, put them on people and take them off."""

from __future__ import annotations

import re

from chalicelib.kernel.clock import Clock, to_text
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.facts import Fact, TagAdded
from chalicelib.kernel.ids import Cid, TagId, new_id
from chalicelib.people.service import People
from chalicelib.ports.database import Database
from chalicelib.tags import table
from chalicelib.tags.model import MOST_TAGS, TAGS_SK, Tag, tags_of

_ID = re.compile(r"tag_[0-9A-Za-z]{1,40}\Z")
_LONGEST_NAME = 100  # a sort key holds 1,024 bytes


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
        """Put a tag on a person; the fact comes only the first time. Raises NotFoundError, InvalidError(`tag.too_many`)."""
        tag = self.get(tag_id)
        carried = self.of(cid)
        if tag.tag_id not in carried and len(carried) >= MOST_TAGS:
            raise InvalidError("tag.too_many", most=MOST_TAGS)
        now = self._clock.now()
        if not table.mark(self._database, cid, tag.tag_id, f"{to_text(now)} {by}"):
            return []
        return [TagAdded(fact_id=f"tag|{cid}|{tag_id}|{to_text(now)}", cid=cid, at=now, tag_id=tag_id)]

    def remove(self, cid: Cid, tag_id: str) -> None:
        """Take a tag off a person; nothing when he does not carry it."""
        if _ID.match(tag_id):
            table.unmark(self._database, cid, TagId(tag_id))

    def of(self, cid: Cid) -> frozenset[str]:
        """Return the ids of a person's tags."""
        return tags_of(self._people.collections([cid], [TAGS_SK])[cid])

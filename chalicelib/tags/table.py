"""Tags in the config table (`TAG` / id), a person's tags as attributes of his `T` item in the core table."""

from __future__ import annotations

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import TransactWriteError
from pynamodb.transactions import TransactWrite

from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.ids import Cid, TagId
from chalicelib.people.model import person_key
from chalicelib.ports.database import Database, Statement
from chalicelib.settings import settings
from chalicelib.storage import ConfigItem, connection
from chalicelib.tags.model import TAGS_SK, Tag


class TagItem(ConfigItem):
    """One tag."""

    name = UnicodeAttribute()
    folder = UnicodeAttribute(default="")
    created_at = UnicodeAttribute()


class TagNameItem(ConfigItem):
    """Holds a name so that no two tags share it."""

    tag_id = UnicodeAttribute()


def _model(item: TagItem) -> Tag:
    return Tag(TagId(item.sk), item.name, item.folder, from_text(item.created_at))


def put(tag: Tag) -> bool:
    """Write a tag and take its name, both or neither; return False when another tag has the name."""
    item = TagItem("TAG", tag.tag_id, name=tag.name, folder=tag.folder, created_at=to_text(tag.created_at))
    name = TagNameItem("TAGNAME", tag.name, tag_id=tag.tag_id)
    try:
        with TransactWrite(connection=connection()) as together:
            together.save(name, condition=TagNameItem.pk.does_not_exist() | (TagNameItem.tag_id == tag.tag_id))
            together.save(item)
    except TransactWriteError as error:
        if any(reason is not None and reason.code == "ConditionalCheckFailed" for reason in error.cancellation_reasons):
            return False
        raise
    return True


def get(tag_id: str) -> Tag | None:
    """Return a tag."""
    try:
        return _model(TagItem.get("TAG", tag_id))
    except TagItem.DoesNotExist:
        return None


def delete(tag: Tag) -> None:
    """Remove a tag from the list and free its name, both or neither; the mark on people stays."""
    with TransactWrite(connection=connection()) as together:
        together.delete(TagItem("TAG", tag.tag_id))
        together.delete(TagNameItem("TAGNAME", tag.name))


def everyone() -> list[Tag]:
    """Return all tags, oldest first."""
    return [_model(item) for item in TagItem.query("TAG")]


def mark(database: Database, cid: Cid, tag_id: TagId, note: str) -> bool:
    """Put a tag on a person; return False when it was there."""
    key = (person_key(cid), TAGS_SK)
    insert = Statement.insert(settings().core_table, {"pk": key[0], "sk": key[1], tag_id: note})
    if database.execute([insert]) == [None]:
        return True
    text = f'UPDATE "{settings().core_table}" SET "{tag_id}"=? WHERE pk=? AND sk=? AND "{tag_id}" IS MISSING'
    return database.execute([Statement(text, (note, *key))]) == [None]


def unmark(database: Database, cid: Cid, tag_id: TagId) -> bool:
    """Take a tag off a person; return False when it was not there."""
    text = f'UPDATE "{settings().core_table}" REMOVE "{tag_id}" WHERE pk=? AND sk=? AND "{tag_id}" IS NOT MISSING'
    return database.execute([Statement(text, (person_key(cid), TAGS_SK))]) == [None]

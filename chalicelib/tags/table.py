"""Tags in the config table (`TAG` / id), a person's tags as attributes of his `T` item in the core table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import TransactWriteError
from pynamodb.transactions import TransactWrite

from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.ids import Cid, TagId
from chalicelib.people.model import person_key
from chalicelib.ports.database import DUPLICATE, Database, Statement
from chalicelib.settings import settings
from chalicelib.storage import ConfigItem, connection
from chalicelib.tags.model import OFF, TAGS_SK, Mark, Tag


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


def put_on(database: Database, tag_id: TagId, marks: Mapping[Cid, Mark], without: Iterable[Cid]) -> set[Cid]:
    """Put a tag on people; return those who did not carry it. without: who has no item of tags yet, as far as we know."""
    fresh = [cid for cid in marks if cid in set(without)]
    inserts = [
        Statement.insert(settings().core_table, {"pk": person_key(cid), "sk": TAGS_SK, tag_id: str(marks[cid])}) for cid in fresh
    ]
    outcomes = dict(zip(fresh, database.execute(inserts), strict=True))
    rest = [cid for cid in marks if outcomes.get(cid, DUPLICATE) == DUPLICATE]
    text = f'UPDATE "{settings().core_table}" SET "{tag_id}"=? REMOVE "{OFF}{tag_id}" WHERE pk=? AND sk=? AND "{tag_id}" IS MISSING'
    updates = [Statement(text, (str(marks[cid]), person_key(cid), TAGS_SK)) for cid in rest]
    outcomes |= dict(zip(rest, database.execute(updates), strict=True))
    return {cid for cid, outcome in outcomes.items() if outcome is None}


def take_off(database: Database, tag_id: TagId, marks: Mapping[Cid, Mark], old: Mapping[Cid, Iterable[str]]) -> set[Cid]:
    """Take a tag off people; return those who carried it. old: marks of tags taken off that nobody will ask about again."""
    statements = [
        Statement(
            f'UPDATE "{settings().core_table}" SET "{OFF}{tag_id}"=? REMOVE "{tag_id}"'
            + "".join(f' REMOVE "{name}"' for name in old.get(cid, ()))
            + f' WHERE pk=? AND sk=? AND "{tag_id}" IS NOT MISSING',
            (str(mark), person_key(cid), TAGS_SK),
        )
        for cid, mark in marks.items()
    ]
    outcomes = database.execute(statements)
    return {cid for cid, outcome in zip(marks, outcomes, strict=True) if outcome is None}

"""A tag, and the tags of one person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.ids import TagId
from chalicelib.ports.database import Item

TAGS_SK = "T"
MOST_TAGS = 100  # per person: all of them live in one item, read with every send
OFF = "off_"  # before the id of a tag that was taken off: when and by whom


@dataclass(frozen=True, slots=True)
class Tag:
    """A label in a folder."""

    tag_id: TagId
    name: str
    folder: str
    created_at: datetime


def tags_of(collection: Mapping[str, Item]) -> frozenset[str]:
    """Return the ids of a person's tags, from his core items."""
    return frozenset(name for name, value in collection.get(TAGS_SK, {}).items() if name.startswith("tag_") and value)


def tags_at(marks: Mapping[str, Any], tags: frozenset[str], at: datetime) -> frozenset[str]:
    """Return which tags a person carried at an instant of the past days. marks: his item of tags; tags: those he carries now."""
    later = {name for name in marks if name.startswith(("tag_", OFF)) and marks[name] and Mark.parse(marks[name]).at > at}
    return (tags - later) | {name.removeprefix(OFF) for name in later if name.startswith(OFF)}


@dataclass(frozen=True, slots=True)
class Mark:
    """When a tag was put on a person or taken off, and by whom."""

    at: datetime
    by: str

    @classmethod
    def parse(cls, text: str) -> Mark:
        """Return the mark in its kept form."""
        at, _, by = text.partition(" ")
        return cls(from_text(at), by)

    def __str__(self) -> str:
        """Return the kept form."""
        return f"{to_text(self.at)} {self.by}"

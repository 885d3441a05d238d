"""What is still noted of people about segments that are live no more: looked for once in all of the core table, and deleted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from chalicelib.ports.database import Database, Item, Statement
from chalicelib.segments import table
from chalicelib.segments.membership import NOTES_SK, Note
from chalicelib.segments.model import Live, LiveState
from chalicelib.settings import settings

PARTS = 64  # of a walk through the core table, one a step: of a million people some ten seconds
_BATCH = 100
_MOST = 100  # segments in one walk
_SETTLED = timedelta(minutes=15)  # nobody who has not heard of the end writes notes any more
Work = dict[str, Any]


def works(now: datetime) -> list[Work]:
    """Return the work that deletes notes about segments that ended a while ago, nothing where there are none."""
    ended = [live for live in table.lives() if live.state is LiveState.OFF and live.meaning and now - live.at > _SETTLED]
    generations = {live.segment_id: live.generation for live in ended[:_MOST]}
    return [{"op": "segment_notes", "segments": generations, "part": 0}] if generations else []


def forget(work: Work, database: Database) -> list[Work]:
    """Delete the notes of one part of the people; return the work that follows. The same when repeated."""
    part, generations = work["part"], work["segments"]
    core = settings().core_table
    items = (dict(item) for item in database.scan(core, segment=part, segments=PARTS) if item["sk"] == NOTES_SK)
    while batch := list(islice(items, _BATCH)):
        # Asked each time: one that is made live again is prepared a little later, and finds nothing or what it may replace.
        off = _still_off(generations)
        database.execute([statement for item in batch for statement in _deletions(core, item, off)])
    if part + 1 < PARTS:
        return [{**work, "part": part + 1}]
    for live in _still_off(generations).values():
        table.put_live(replace(live, meaning=""), live)  # or somebody has made it live again
    return []


def _still_off(generations: Mapping[str, int]) -> dict[str, Live]:
    return {
        live.segment_id: live
        for live in table.lives()
        if live.state is LiveState.OFF and live.generation == generations.get(live.segment_id)
    }


def _deletions(core: str, item: Item, off: Mapping[str, Live]) -> list[Statement]:
    return [
        Statement(f'UPDATE "{core}" REMOVE "{name}" WHERE pk=? AND sk=? AND "{name}"=?', (item["pk"], item["sk"], text))
        for name, text in item.items()
        if name in off and Note.parse(text).generation <= off[name].generation
    ]

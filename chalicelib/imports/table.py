"""Import jobs in the config table (`IMP` / id), and how files of one header were read last (`IMPMAP` / kind and print)."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pynamodb.attributes import JSONAttribute, NumberAttribute, UnicodeAttribute

from chalicelib.imports.model import ImportJob, ImportKind, ImportState, Options
from chalicelib.kernel.clock import from_text, to_text
from chalicelib.storage import ConfigItem, saved

_NUMBERS = ("run", "size", "position", "line", "rows", "created", "changed", "same", "failed", "kept")
_TEXTS = ("encoding", "preset", "problem")


class ImportItem(ConfigItem):
    """One job."""

    kind = UnicodeAttribute()
    state = UnicodeAttribute()
    created_at = UnicodeAttribute()
    options: JSONAttribute = JSONAttribute()
    run = NumberAttribute(default=0)
    size = NumberAttribute(default=0)
    position = NumberAttribute(default=0)
    line = NumberAttribute(default=1)
    rows = NumberAttribute(default=0)
    created = NumberAttribute(default=0)
    changed = NumberAttribute(default=0)
    same = NumberAttribute(default=0)
    failed = NumberAttribute(default=0)
    kept = NumberAttribute(default=0)
    encoding = UnicodeAttribute(default="")
    preset = UnicodeAttribute(default="")
    problem = UnicodeAttribute(default="")


class ImportMappingItem(ConfigItem):
    """What the columns of a header meant last time."""

    options: JSONAttribute = JSONAttribute()


def _item(job: ImportJob) -> ImportItem:
    numbers = {name: getattr(job, name) for name in _NUMBERS}
    texts = {name: getattr(job, name) for name in _TEXTS}
    options = asdict(job.options)
    at = to_text(job.created_at)
    return ImportItem("IMP", job.import_id, kind=job.kind, state=job.state, created_at=at, options=options, **numbers, **texts)


def put(job: ImportJob) -> None:
    """Write a new job."""
    _item(job).save()


def advance(old: ImportJob, new: ImportJob) -> bool:
    """Write a job in the place of what was read; return False when somebody else has taken it on meanwhile."""
    is_there = (ImportItem.state == old.state) & (ImportItem.position == old.position) & (ImportItem.run == old.run)
    return saved(_item(new), is_there)


def get(import_id: str) -> ImportJob | None:
    """Return a job."""
    try:
        item = ImportItem.get("IMP", import_id, consistent_read=True)
    except ImportItem.DoesNotExist:
        return None
    kept: dict[str, Any] = {name: int(getattr(item, name)) for name in _NUMBERS}
    kept |= {name: getattr(item, name) for name in _TEXTS}
    return ImportJob(
        import_id=item.sk,
        kind=ImportKind(item.kind),
        state=ImportState(item.state),
        created_at=from_text(item.created_at),
        options=Options(**item.options),
        **kept,
    )


def remember(key: str, options: Options) -> None:
    """Keep how files of a header are read."""
    ImportMappingItem("IMPMAP", key, options=asdict(options)).save()


def remembered(key: str) -> Options | None:
    """Return how files of a header were read last."""
    try:
        item = ImportMappingItem.get("IMPMAP", key)
    except ImportMappingItem.DoesNotExist:
        return None
    return Options(**item.options)

"""Import jobs in the config table: `IMP` / id."""

from __future__ import annotations

from pynamodb.attributes import BooleanAttribute, JSONAttribute, NumberAttribute, UnicodeAttribute

from chalicelib.imports.model import ImportJob, ImportKind, ImportState
from chalicelib.kernel.clock import from_text, to_text
from chalicelib.storage import ConfigItem


class ImportItem(ConfigItem):
    """One job."""

    kind = UnicodeAttribute()
    state = UnicodeAttribute()
    dry_run = BooleanAttribute()
    trigger = BooleanAttribute()
    created_at = UnicodeAttribute()
    mapping = JSONAttribute()
    account = UnicodeAttribute(default="")
    rows = NumberAttribute(default=0)
    position = NumberAttribute(default=0)
    created = NumberAttribute(default=0)
    changed = NumberAttribute(default=0)
    failed = NumberAttribute(default=0)
    problem = UnicodeAttribute(default="")


def put(job: ImportJob) -> None:
    """Write a job as it is."""
    ImportItem(
        "IMP",
        job.import_id,
        kind=job.kind,
        state=job.state,
        dry_run=job.dry_run,
        trigger=job.trigger,
        created_at=to_text(job.created_at),
        mapping=dict(job.mapping),
        account=job.account,
        rows=job.rows,
        position=job.position,
        created=job.created,
        changed=job.changed,
        failed=job.failed,
        problem=job.problem,
    ).save()


def get(import_id: str) -> ImportJob | None:
    """Return a job."""
    try:
        item = ImportItem.get("IMP", import_id, consistent_read=True)
    except ImportItem.DoesNotExist:
        return None
    return ImportJob(
        import_id=item.sk,
        kind=ImportKind(item.kind),
        state=ImportState(item.state),
        dry_run=item.dry_run,
        trigger=item.trigger,
        created_at=from_text(item.created_at),
        mapping=item.mapping,
        account=item.account,
        rows=int(item.rows),
        position=int(item.position),
        created=int(item.created),
        changed=int(item.changed),
        failed=int(item.failed),
        problem=item.problem,
    )

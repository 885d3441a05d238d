"""CSV imports."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Literal

from chalicelib.entrypoints.admin_api.framework import Body, Call, View, endpoint
from chalicelib.imports.model import ImportJob, ImportKind


class ImportBody(Body, kw_only=True):
    """A file to come. mapping: our field to the file's column, where they have other names; trigger: orders start scenarios."""

    kind: Literal["customers", "orders"]
    dry_run: bool = False
    trigger: bool = False
    mapping: dict[str, str] = {}
    account: str = ""


class ImportView(View, kw_only=True):
    """An import. upload_url: takes the file by PUT with Content-Type text/csv; errors_url: the refused rows as CSV."""

    import_id: str
    kind: str
    state: str
    dry_run: bool
    trigger: bool
    created_at: datetime
    rows: int
    position: int
    created: int
    changed: int
    failed: int
    problem: str
    upload_url: str = ""
    errors_url: str = ""


def _view(call: Call[Any], job: ImportJob, upload_url: str = "") -> ImportView:
    return ImportView(
        import_id=job.import_id,
        kind=job.kind,
        state=job.state,
        dry_run=job.dry_run,
        trigger=job.trigger,
        created_at=job.created_at,
        rows=job.rows,
        position=job.position,
        created=job.created,
        changed=job.changed,
        failed=job.failed,
        problem=job.problem,
        upload_url=upload_url,
        errors_url=call.world.imports.errors_url(job),
    )


@endpoint(
    "POST", "/imports", scope="imports:write", request=ImportBody, response=ImportView, status=201,
    summary="CSV取り込みを作る（upload_urlへPUTしてからstart） / Make an import; PUT the file to upload_url, then start",
)  # fmt: skip
def create_import(call: Call[ImportBody]) -> ImportView:
    """Make an import."""
    given = call.body
    job, url = call.world.imports.create(
        ImportKind(given.kind), dry_run=given.dry_run, trigger=given.trigger, mapping=given.mapping, account=given.account
    )
    return _view(call, job, url)


@endpoint(
    "POST", "/imports/{import_id}/start", scope="imports:write", summary="取り込みを開始 / Start an import", response=ImportView
)
def start_import(call: Call[None]) -> ImportView:
    """Start an import."""
    job = call.world.imports.start(call.path["import_id"])
    call.world.work.put(json.dumps({"op": "import", "import_id": job.import_id}), {})
    return _view(call, job)


@endpoint("GET", "/imports/{import_id}", scope="imports:read", summary="取り込みの状況 / How an import stands", response=ImportView)
def get_import(call: Call[None]) -> ImportView:
    """Return an import."""
    return _view(call, call.world.imports.get(call.path["import_id"]))

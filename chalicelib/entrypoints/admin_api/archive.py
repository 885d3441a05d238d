"""Everything in one file, out and in (docs/archive.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from chalicelib.archive.model import ArchiveState, Standing
from chalicelib.entrypoints.admin_api.framework import Call, View, endpoint
from chalicelib.entrypoints.problems import problem_of
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.errors import DomainError


class ArchiveView(View, kw_only=True):
    """An archive, or an import of one. counts: items by table. lost: what has to be made again, because its secret stays behind.

    download_url: of a finished archive, for an hour. upload_url: takes the file by PUT with Content-Type application/zip.
    """

    archive_id: str
    kind: str
    state: str
    ordered_at: datetime
    ordered_by: str
    share_done: float
    counts: dict[str, int]
    lost: list[str]
    problem: dict[str, Any] | None = None
    download_url: str = ""
    upload_url: str = ""


class ArchiveList(View, kw_only=True):
    """All archives and imports of the past week."""

    items: list[ArchiveView]


def _view(call: Call[Any], standing: Standing, upload_url: str = "") -> ArchiveView:
    outcome = standing.outcome
    is_there = standing.state is ArchiveState.DONE and not standing.order.is_import
    return ArchiveView(
        archive_id=standing.archive_id,
        kind="import" if standing.order.is_import else "archive",
        state=standing.state,
        ordered_at=standing.order.ordered_at,
        ordered_by=standing.order.by,
        share_done=standing.share_done,
        counts=dict(outcome.counts) if outcome else {},
        lost=list(outcome.lost) if outcome else [],
        problem=problem_of(_EndedError(outcome.problem, **outcome.details)) if outcome and outcome.problem else None,
        download_url=call.world.archives.download_url(standing.archive_id) if is_there else "",
        upload_url=upload_url,
    )


class _EndedError(DomainError):
    """A refusal that was noted when it happened."""


@endpoint(
    "POST", "/archives", scope="archives:write", response=ArchiveView, status=202,
    summary="全データの書き出しを始める / Put everything into one file",
)  # fmt: skip
def order_archive(call: Call[None]) -> ArchiveView:
    """Order an archive."""
    archive_id, steps = call.world.archives.order(call.principal.key_id)
    enqueue(steps, call.world)
    return _view(call, call.world.archives.get(archive_id))


@endpoint("GET", "/archives", scope="archives:read", summary="書き出し・取り込みの一覧 / List archives", response=ArchiveList)
def list_archives(call: Call[None]) -> ArchiveList:
    """List archives."""
    return ArchiveList(items=[_view(call, standing) for standing in call.world.archives.everyone()])


@endpoint(
    "GET", "/archives/{archive_id}", scope="archives:read", response=ArchiveView,
    summary="書き出し・取り込みの状況 / How an archive stands",
)  # fmt: skip
def get_archive(call: Call[None]) -> ArchiveView:
    """Return an archive."""
    return _view(call, call.world.archives.get(call.path["archive_id"]))


@endpoint(
    "POST", "/archive-imports", scope="archives:write", response=ArchiveView, status=201,
    summary="書き出したデータを新しい環境に取り込む（upload_urlへPUTしてからstart） / Prepare to take an archive in",
)  # fmt: skip
def create_archive_import(call: Call[None]) -> ArchiveView:
    """Prepare an import."""
    archive_id, url = call.world.archives.order_import(call.principal.key_id)
    return _view(call, call.world.archives.get(archive_id), url)


@endpoint(
    "POST", "/archive-imports/{archive_id}/start", scope="archives:write", response=ArchiveView, status=202,
    summary="書き出したデータの取り込みを始める（空の環境だけ） / Take an archive in, into an empty installation",
)  # fmt: skip
def start_archive_import(call: Call[None]) -> ArchiveView:
    """Start an import."""
    archive_id = call.path["archive_id"]
    enqueue(call.world.archives.start_import(archive_id), call.world)
    return _view(call, call.world.archives.get(archive_id))

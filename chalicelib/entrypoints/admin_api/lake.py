"""How the lake stands, and the lake anew (docs/operations.md)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from chalicelib.entrypoints.admin_api.framework import Call, View, endpoint
from chalicelib.kernel.windows import local_date

_DAYS = 31


class RebuildView(View, kw_only=True):
    """A rebuild on its way. share_done: of the reading, 0 to 1. unread: items that nobody can read."""

    began_at: datetime
    share_done: float
    unread: int


class LakeView(View, kw_only=True):
    """The lake. folded_at: when it was last made of what had come; age_seconds: since then, None before the first folding.

    marked_at: until then everything is in it that was written, as far as somebody has asked. waiting_files: changes that are
    to be folded. erased_waiting: how many numbers of erased people are still to be written out of files. files, rows: by table.
    """

    generation: int
    folded_at: datetime | None
    age_seconds: int | None
    marked_at: datetime | None
    waiting_files: int
    erased_waiting: int
    files: dict[str, int]
    rows: dict[str, int]
    rebuilt_at: datetime | None
    rebuild: RebuildView | None


def _view(call: Call[None]) -> LakeView:
    standing = call.world.lake.standing()
    manifest, progress = standing.manifest, standing.rebuild
    age = call.world.clock.now() - manifest.folded_at if manifest.folded_at else None
    return LakeView(
        generation=manifest.generation,
        folded_at=manifest.folded_at,
        age_seconds=int(age.total_seconds()) if age else None,
        marked_at=call.world.marks.reached_at(),
        waiting_files=standing.waiting_files,
        erased_waiting=len(manifest.unpurged()),
        files={table: len(keys) for table, keys in sorted(manifest.base.items())},
        rows={table: sum(manifest.rows.get(key, 0) for key in keys) for table, keys in sorted(manifest.base.items())},
        rebuilt_at=manifest.rebuilt_at,
        rebuild=RebuildView(
            began_at=progress.began_at, share_done=round(progress.done / progress.parts, 3), unread=progress.unread
        ) if progress else None,
    )  # fmt: skip


@endpoint("GET", "/lake", scope="operations:read", summary="データレイクの状態 / How the lake stands", response=LakeView)
def get_lake(call: Call[None]) -> LakeView:
    """Return how the lake stands."""
    return _view(call)


@endpoint(
    "POST", "/lake/rebuild", scope="operations:write", response=LakeView, status=202,
    summary="データレイクをテーブルから作り直す / Make the lake anew out of the tables",
)  # fmt: skip
def rebuild_lake(call: Call[None]) -> LakeView:
    """Order a rebuild; the keeper goes on with it every minute."""
    call.world.lake.rebuild.order(call.world.clock.now())
    return _view(call)


class DaysView(View, kw_only=True):
    """What happened on these days, added up: rows of a cube (docs/data.md), oldest first."""

    cube: str
    rows: list[dict[str, Any]]


@endpoint(
    "GET", "/lake/cubes/{cube}", scope="operations:read", response=DaysView, query=("from", "to"),
    summary="日ごとの集計（反応・売上・配信・参加） / What happened day by day",
)  # fmt: skip
def get_cube(call: Call[None]) -> DaysView:
    """Return what was added up of these days, of the last month unless days are given; made once a night."""
    last = call.day("to") or local_date(call.world.clock.now())
    first = call.day("from") or last - timedelta(days=_DAYS)
    return DaysView(cube=call.path["cube"], rows=call.world.cubes.of(call.path["cube"], first, last))

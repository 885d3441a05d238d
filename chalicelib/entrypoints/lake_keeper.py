"""The lake's keeper: every minute it folds what has come; a rebuild that was ordered goes on besides."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from chalicelib import observability
from chalicelib.lake.athena import write_links
from chalicelib.wiring import World

# Folding has the minute of its call; reading tables may go on as long as nobody misses the next folding for long.
_REBUILD_SECONDS = 240.0


def handle(event: Mapping[str, Any], here: World) -> dict[str, Any]:
    """Fold what there is, go on with a rebuild, write out who was erased, throw away what nobody needs.

    Harmless at any time, and twice at once. event: `{"kind": "rebuild"}` orders a rebuild besides.
    Raises ConflictError(`lake.rebuild_runs`).
    """
    if event.get("kind") == "rebuild":
        here.lake.rebuild.order(here.clock.now())
    changes = here.lake.fold()
    purged = here.lake.purge()
    deleted = here.lake.tidy()
    going_on = here.lake.rebuild.work(here.clock.now(), _for(_REBUILD_SECONDS))
    write_links(here.files, here.settings.files_bucket)
    observability.info("kept the lake", changes=changes, people_purged=purged, files_deleted=deleted, rebuild_goes_on=going_on)
    return {"changes": changes}


def _for(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end

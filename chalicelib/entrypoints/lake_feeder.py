"""The streams of the tables, into the lake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib import observability
from chalicelib.wiring import World


def handle(event: Mapping[str, Any], here: World) -> dict[str, Any]:
    """Keep what a batch of stream records changes; what cannot be reached now raises, and Lambda tries the batch again."""
    records = event["Records"]
    files = here.lake_feeder.feed(records)
    observability.info("fed the lake", records=len(records), files=files)
    return {}

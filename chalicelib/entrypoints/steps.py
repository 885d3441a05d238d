"""Steps of long work on their way into the work queue; apart from workers.py, because the API needs nothing else of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from chalicelib.wiring import World

Step = dict[str, Any]


def enqueue(steps: Iterable[Step], here: World) -> None:
    """Put steps into the work queue; `delay_seconds` of one, up to 900, is how long it waits there."""
    for step in steps:
        here.work.put(json.dumps(step), {}, step.get("delay_seconds", 0))

"""Logs are sentences with keys; metrics are counts. Never a name, an address, a message body or a token."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def namespace() -> str:
    """Return where this stage's metrics are; the alarms of infra/resources.yaml read them there."""
    # Not by Settings: a door that has no settings yet must still be able to say so.
    return f"Enishi/{os.environ.get('STAGE', 'local')}"


def log(level: str, sentence: str, **keys: Any) -> None:
    """Write one JSON line to standard output, where Lambda's log stream picks it up."""
    print(json.dumps({"level": level, "message": sentence, **keys}, ensure_ascii=False, default=str), flush=True)


def info(sentence: str, **keys: Any) -> None:
    """Log what a support person wants to follow."""
    log("INFO", sentence, **keys)


def warning(sentence: str, **keys: Any) -> None:
    """Log what somebody should look at some day."""
    log("WARNING", sentence, **keys)


def error(sentence: str, **keys: Any) -> None:
    """Log what somebody must look at, with the type of the current exception, never its text."""
    kind = sys.exc_info()[0]
    if kind is not None:
        keys.setdefault("error", kind.__name__)
    log("ERROR", sentence, **keys)


def count(name: str, value: int = 1, **dimensions: str) -> None:
    """Add to a CloudWatch metric through the embedded metric format: one log line, no call.

    With dimensions it counts for each of them and over all of them, for alarms can add nothing up.
    """
    sets = [sorted(dimensions), []] if dimensions else [[]]
    print(
        json.dumps(
            {
                "_aws": {
                    "Timestamp": int(time.time() * 1000),
                    "CloudWatchMetrics": [
                        {"Namespace": namespace(), "Dimensions": sets, "Metrics": [{"Name": name, "Unit": "Count"}]}
                    ],
                },
                name: value,
                **dimensions,
            }
        ),
        flush=True,
    )


def gauge(name: str, value: int) -> None:
    """Tell how many there are of something now; 0 too, so that an alarm ends. Read it by its maximum."""
    count(name, value)

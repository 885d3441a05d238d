"""`make bench scenarios`: a hundred thousand and a million people through the ready-made dormant scenario, in a process of its own.

The machines, calls and writes are counted by the engine as it runs; a million is really run, so nothing is extrapolated.
"""

from __future__ import annotations

from local import nowhere  # noqa: F401 - first: storage.py reads the settings when it is imported

import gc
import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chalicelib.kernel.ids import ScenarioId
from chalicelib.scenarios.costs import Prices
from chalicelib.scenarios.dry import Rate
from chalicelib.scenarios.forecast import forecast
from chalicelib.scenarios.graph import parse
from chalicelib.scenarios.model import Version
from chalicelib.scenarios.rehearsal import Assumptions, Rehearsal
from local.rehearse import ACCOUNT, crowd, drawing, templates_of

# 28 % react to the first message and 15 % to the second, 3 % buy; 30 % have a mobile number, 20 % an address.
_RATES = {"first_try": Rate(0.28), "second_try": Rate(0.15), "goal": Rate(0.03, (24, 200))}


def _megabytes() -> int:
    # Not getrusage: there the peak of whoever started this process is handed down (man 2 getrusage, proc(5) VmHWM).
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def measure(people: int) -> dict[str, Any]:
    """Run so many people through, in this process; return the figures."""
    before = _megabytes()
    graph = parse({**drawing("dormant90"), "account": ACCOUNT})
    everybody = crowd(people, ACCOUNT, line=1.0, sms=0.3, postal=0.2)
    gc.freeze()  # the people stay; nothing of them is to be looked through again and again
    with_people = _megabytes()
    templates = templates_of(graph)
    assumed = Assumptions(datetime(2026, 12, 1, tzinfo=UTC), rates=_RATES)
    done = Rehearsal(Version(ScenarioId("dormant90"), 1, graph), everybody, templates, [ACCOUNT], assumed)
    begun = time.process_time()
    done.run()
    seconds = time.process_time() - begun
    found = forecast(done, templates, Prices(), sample=0)
    return {
        "seconds": seconds,
        "peak_mb": _megabytes(),
        "bare_mb": before,
        "people_mb": with_people - before,
        "executions": done.tally.executions,
        "transitions": found.aws.transitions,
        "calls": found.aws.calls,
        "writes": found.aws.writes,
        "most_events": done.tally.most_events,
        "most_bytes": done.tally.most_bytes,
        "dollars": {
            "Step Functions": found.aws.step_functions,
            "DynamoDB": found.aws.dynamodb,
            "Lambda": found.aws.lambda_,
            "total": found.aws.total,
        },
        "one_each": found.one_each,
        "ends": found.ends,
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))

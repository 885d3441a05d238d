"""What a call came to, as the one text that a frozen batch keeps for it; pure.

`accepted <id>`, `failed <reason>`, `unknown <reason>`, or "" while it is open. A multicast that reached all but some:
`accepted <id> but [[<place in the call>, <reason>], …]`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from chalicelib.delivery.model import Batch, Call
from chalicelib.kernel.ids import Cid

_BUT = " but "
GONE = "failed: refused or gone meanwhile"


def accepted(request_id: str, refused: Mapping[int, str] | None = None) -> str:
    """Return the result of a call that was taken. refused: by place in the call, why LINE did not take this one."""
    but = f"{_BUT}{json.dumps(sorted(refused.items()), ensure_ascii=False)}" if refused else ""
    return f"accepted {request_id}{but}"


def refusals(call: Call, result: str) -> dict[Cid, str]:
    """Return who did not get it, and why, as far as a result says so."""
    if result.startswith("failed"):
        return dict.fromkeys(call.members, result.removeprefix("failed").lstrip(": "))
    _, found, but = result.partition(_BUT)
    if not found or not result.startswith("accepted"):
        return {}
    return {call.members[place]: reason for place, reason in json.loads(but)}


def refusals_of(batch: Batch) -> dict[Cid, str]:
    """Return whom a batch failed to reach, and why."""
    calls = zip(batch.calls, batch.results, strict=True)
    return {cid: reason for call, result in calls for cid, reason in refusals(call, result).items()}


def reached(batch: Batch) -> int:
    """Return how many people's messages were taken."""
    calls = zip(batch.calls, batch.results, strict=True)
    return sum(len(call.members) - len(refusals(call, result)) for call, result in calls if result.startswith("accepted"))


def reason_class(reason: str) -> str:
    """Return the kind of a refusal in one word, for counting: gone, message, recipient or provider."""
    if "refused or gone" in reason:
        return "gone"
    if "messages[" in reason:
        return "message"
    return "recipient" if reason.startswith("LINE ") else "provider"

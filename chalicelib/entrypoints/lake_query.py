"""What other functions of ours ask the lake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.kernel.errors import NotFoundError
from chalicelib.wiring import World


def handle(event: Mapping[str, Any], here: World) -> dict[str, Any]:
    """Answer one question (ports/analyst.py); that there is no such audience comes back as an answer too."""
    try:
        return here.questions.ask(event)
    except NotFoundError:
        return {"unknown_audience": event["audience_id"]}

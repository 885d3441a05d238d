"""What other functions of ours ask the lake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.kernel.errors import InvalidError, NotFoundError
from chalicelib.wiring import World


def handle(event: Mapping[str, Any], here: World) -> dict[str, Any]:
    """Answer one question (ports/analyst.py); that there is no such audience, or no answer in time, is an answer too."""
    try:
        return here.questions.ask(event)
    except NotFoundError:
        return {"unknown_audience": event["audience_id"]}
    except InvalidError:
        return {"too_slow": True}

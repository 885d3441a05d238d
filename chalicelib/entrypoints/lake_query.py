"""What other functions of ours ask the lake."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.kernel.errors import NotFoundError
from chalicelib.wiring import World


def handle(event: Mapping[str, Any], here: World) -> dict[str, Any]:
    """Answer one question (ports/analyst.py); what is not there comes back as an answer too."""
    try:
        return here.questions.ask(event)
    except NotFoundError as error:
        return {"refused": error.code, "details": error.details}

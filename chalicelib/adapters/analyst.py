"""The function that asks the lake (`lake_query`), invoked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chalicelib.adapters.aws import client, translated
from chalicelib.kernel.errors import InvalidError, NotFoundError, TemporaryError


class LambdaAnalyst:
    """Implements ports.analyst.Analyst."""

    def __init__(self, function_name: str) -> None:
        self._function_name = function_name

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a question; see the port."""
        with translated("Invoke"):
            answer = client("lambda").invoke(FunctionName=self._function_name, Payload=json.dumps(question).encode())
            content = answer["Payload"].read()
        if answer.get("FunctionError"):
            # Its own log says what it was. A container that broke down is replaced: the next call may find another one.
            raise TemporaryError("the lake could not be asked")
        found: dict[str, Any] = json.loads(content)
        if found.get("unknown_audience"):
            raise NotFoundError("audience.unknown", audience_id=found["unknown_audience"])
        if found.get("too_slow"):
            raise InvalidError("condition.too_slow")
        return found

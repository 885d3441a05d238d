"""Questions to the lake: counts, samples and audiences of conditions that have been compiled to SQL.

A question is JSON, so that it travels to a function: {"op": …} and what lake/questions.py says beside each. Every answer carries
`as_of`, the instant up to which the lake is complete, and `generation`, the lake's own number; both None while there is no lake.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, Protocol


class Analyst(Protocol):
    """Raises TemporaryError when the lake cannot be asked now, and NotFoundError or InvalidError(`condition.too_slow`)."""

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to a question."""
        ...


def to_wire(text: str, parameters: Sequence[Any]) -> dict[str, Any]:
    """Return an SQL query as JSON: it selects the `cid` of everybody who is meant, each once."""
    return {"text": text, "parameters": [_wired(value) for value in parameters]}


def from_wire(query: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """Return the text and the parameters of a query that came as JSON."""
    return query["text"], [_unwired(value) for value in query["parameters"]]


def _wired(value: Any) -> Any:
    match value:
        case datetime():
            return {"at": value.isoformat()}
        case date():
            return {"day": value.isoformat()}
        case list() | tuple():
            return [_wired(each) for each in value]
    return value


def _unwired(value: Any) -> Any:
    match value:
        case {"at": text}:
            return datetime.fromisoformat(text)
        case {"day": text}:
            return date.fromisoformat(text)
        case list():
            return [_unwired(each) for each in value]
    return value

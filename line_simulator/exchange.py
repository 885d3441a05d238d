"""One HTTP exchange as plain values, so that the whole simulator can be called without a socket."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

JSON_TYPE = "application/json"
HTML_TYPE = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """What arrived. Header names are lower case; `path` is as sent, still percent-encoded."""

    method: str
    path: str
    query: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def parameters(self) -> dict[str, str]:
        """Return the query string as a dict; the last of repeated names wins."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def form(self) -> dict[str, str]:
        """Return the form fields of the body; empty if the body is not UTF-8."""
        try:
            return dict(parse_qsl(self.body.decode("utf-8"), keep_blank_values=True))
        except UnicodeDecodeError:
            return {}


@dataclass(slots=True)
class Response:
    """What to answer. `delay` seconds pass before it leaves; with `drop` the connection closes without an answer."""

    status: int
    body: bytes = b"{}"
    content_type: str = JSON_TYPE
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    drop: bool = False


def json_response(content: Any, status: int = 200, **headers: str) -> Response:
    """Return a response whose body is `content` as compact UTF-8 JSON."""
    return Response(status, json_bytes(content), headers=headers)


def json_bytes(content: Any, *, escaped: bool = False) -> bytes:
    """Return JSON as compact UTF-8. What UTF-8 cannot write, halves of characters, makes all of it escaped."""
    text = json.dumps(content, ensure_ascii=escaped, separators=(",", ":"))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return json.dumps(content, separators=(",", ":")).encode("ascii")


def html_response(page: str, status: int = 200) -> Response:
    """Return a response that is an HTML page."""
    return Response(status, page.encode("utf-8"), HTML_TYPE)


class ApiError(Exception):
    """LINE refuses: `status` and a body in LINE's error shape. The rich menu's answers carry an empty list of details."""

    def __init__(self, status: int, message: str, details: list[dict[str, str]] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.details = details
        self.headers: dict[str, str] = {}
        self.extra: dict[str, Any] = {}

    def response(self) -> Response:
        """Return the answer LINE would give (line-openapi messaging-api.yml, ErrorResponse)."""
        content: dict[str, Any] = {"message": self.message}
        if self.details is not None:
            content["details"] = self.details
        return json_response({**content, **self.extra}, self.status, **self.headers)


class SimulatorError(Exception):
    """The simulator's own interface was used wrongly; the text is one clear sentence."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status

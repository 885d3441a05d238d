"""A record of every call, with secrets masked when it is read."""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

MASK: Final = "***"
_SECRET_FIELDS: Final = frozenset(
    {"client_secret", "access_token", "client_assertion", "refresh_token", "id_token", "linkToken", "userAccessToken"}
)
# Authorisation codes are called plainly "code", which in JSON is the name of harmless things too.
_SECRET_PARAMETERS: Final = _SECRET_FIELDS | {"code", "code_verifier", "response"}
_SECRET_IN_JSON: Final = re.compile(rf'"({"|".join(sorted(_SECRET_FIELDS))})"\s*:\s*"[^"]*"')
_SECRET_IN_QUERY: Final = re.compile(rf"(^|&)({'|'.join(sorted(_SECRET_PARAMETERS))})=[^&]*")
_SECRET_IN_HTML: Final = re.compile(rf'name="({"|".join(sorted(_SECRET_PARAMETERS))})" value="[^"]*"')


@dataclass(frozen=True, slots=True)
class Call:
    """One call and its answer."""

    at: float
    method: str
    path: str
    query: str
    channel_id: str | None
    status: int
    request_id: str
    retry_key: str | None
    body: bytes
    answer: bytes
    authorized: bool
    note: str = ""
    fault: str = ""
    operation_id: str = ""
    content_type: str = "application/json"

    def json(self) -> Any:
        """Return the request body read as JSON, or None."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def describe(self) -> dict[str, Any]:
        """Return the call as JSON values, with secrets masked."""
        return {
            "at": datetime.fromtimestamp(self.at, UTC).isoformat(),
            "method": self.method,
            "path": self.path,
            "operationId": self.operation_id,
            "query": _SECRET_IN_QUERY.sub(rf"\1\2={MASK}", self.query),
            "channel": self.channel_id,
            "authorization": f"Bearer {MASK}" if self.authorized else None,
            "retryKey": self.retry_key,
            "body": masked(self.body),
            "status": self.status,
            "requestId": self.request_id,
            "response": masked(self.answer),
            "note": self.note,
            "fault": self.fault,
        }


def masked(body: bytes) -> str:
    """Return a body as text without the secrets it may hold."""
    text = body.decode("utf-8", "replace")
    if text.startswith(("{", "[")):
        return _SECRET_IN_JSON.sub(rf'"\1":"{MASK}"', text)
    if text.startswith("<"):
        return _SECRET_IN_HTML.sub(rf'name="\1" value="{MASK}"', text)
    if "=" in text:
        pairs = parse_qsl(text, keep_blank_values=True)
        return "&".join(f"{name}={MASK if name in _SECRET_PARAMETERS else value}" for name, value in pairs)
    return text


class Journal:
    """The latest calls, oldest first; older ones are forgotten beyond `size` calls or `most_bytes` of bodies and answers."""

    def __init__(self, size: int, most_bytes: int = 256 * 2**20) -> None:
        self._calls: deque[Call] = deque()
        self._lock = threading.Lock()
        self._size = size
        self._most_bytes = most_bytes
        self._bytes = 0
        self.total = 0

    def add(self, call: Call) -> None:
        """Remember a call."""
        with self._lock:
            self._calls.append(call)
            self._bytes += len(call.body) + len(call.answer)
            self.total += 1
            while len(self._calls) > self._size or (self._bytes > self._most_bytes and len(self._calls) > 1):
                gone = self._calls.popleft()
                self._bytes -= len(gone.body) + len(gone.answer)

    def calls(self) -> list[Call]:
        """Return the remembered calls, oldest first."""
        with self._lock:
            return list(self._calls)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._calls.clear()
            self._bytes = self.total = 0

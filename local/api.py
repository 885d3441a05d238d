"""The admin API as a client sees it; for seeds, the demo and journeys."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from typing import Any

import urllib3

_pool = urllib3.PoolManager(maxsize=8, retries=False, timeout=urllib3.Timeout(connect=5.0, read=60.0))


class ApiError(Exception):
    """The API refused. problem: its document (RFC 9457)."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {problem.get('code', '')}: {problem.get('title', problem)}")
        self.status = status
        self.problem = problem


class Api:
    """Calls the admin API with one key."""

    def __init__(self, base_url: str, token: str) -> None:
        self.base_url = base_url
        self._headers = {"Authorization": f"Bearer {token}"}
        self._numbers = itertools.count(1)

    def get(self, path: str) -> Any:
        """Read something. Raises ApiError."""
        return self.call("GET", path)

    def post(self, path: str, body: Mapping[str, Any] | None = None, key: str = "") -> Any:
        """Do something; sends an Idempotency-Key always, it is ignored where none is needed. Raises ApiError."""
        return self.call("POST", path, body or {}, key)

    def put(self, path: str, body: Mapping[str, Any] | None = None, key: str = "") -> Any:
        """Write something. Raises ApiError."""
        return self.call("PUT", path, body or {}, key)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None, key: str = "") -> Any:
        """Make any call and return the decoded answer. Raises ApiError."""
        headers = {**self._headers, "Idempotency-Key": key or f"local-{id(self):x}-{next(self._numbers)}"}
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body, ensure_ascii=False).encode()
        answer = _pool.request(method, f"{self.base_url}/v1{path}", body=content, headers=headers)
        data = json.loads(answer.data) if answer.data else None
        if answer.status >= 400:
            raise ApiError(answer.status, data if isinstance(data, dict) else {})
        return data

    def upload(self, url: str, content: bytes) -> None:
        """Put a file at an upload address."""
        answer = _pool.request("PUT", url, body=content, headers={"Content-Type": "text/csv"})
        if answer.status >= 300:
            raise ApiError(answer.status, {"title": answer.data[:200].decode("utf-8", "replace")})

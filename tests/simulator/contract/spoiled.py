"""Real requests with one value spoiled: every value of the body, query, form and path in turn, by everything unfitting."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

from line_simulator import LineSimulator, Request, Response
from line_simulator.api.routes import Match, Routes
from tests.simulator.contract.judge import judge_call

FORM = "application/x-www-form-urlencoded"
_GONE: Any = object()
DEEP: Any = []
for _ in range(400):
    DEEP = [DEEP]
UNFITTING: tuple[Any, ...] = (
    _GONE, None, True, False, 0, -1, 1.5, 2**31, 2**63, -(2**63) - 1, 1e308, float("nan"), float("inf"), 10**400,
    "", " ", "0", "a", "\x00", "\ud800", "😀" * 20, "x" * 6000, "../..", "%", "{a}", "null", "U" + "0" * 32, "U" + "f" * 32,
    [], [None], [[]], [{}], [0], [""], {}, {"type": None}, {"type": "text"}, {"type": []}, {"": ""}, DEEP,
)  # fmt: skip
TEXTS = tuple(dict.fromkeys(one for one in UNFITTING if isinstance(one, str) and "\ud800" not in one)) + (
    "-1", "9" * 400, "1e3", "１", "NaN", "true", "20261301", "19700101", "99991231", "[]", "{}", "a b", "あ", "a" * 300,
)  # fmt: skip
RAW = (b"", b"{", b"[]", b"null", b'"a"', b"0", b"\xff", b"\xef\xbb\xbf{}", b'{"a":1,"a":2}', b"{}{}", b"NaN", b"[" * 100_000)


class Spoiler:
    """Stands before the API of a simulator: each real request is preceded by its spoiled copies, in a world that is put back."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line
        self._routes = Routes()
        self._seen: set[tuple[str, str]] = set()
        self._answer = line.api.handle
        self.violations: list[str] = []
        self.sent = 0
        line.api.handle = self.handle  # type: ignore[method-assign]

    def handle(self, request: Request) -> Response:
        """Answer a request, after its spoiled copies if its like was not met before."""
        match = self._routes.find(request.method, request.path)
        if isinstance(match, Match) and self._is_new(match.operation_id, request):
            self._line.limits.unlimited = True
            self._try_all(spoil(request, match))
        return self._answer(request)

    def _is_new(self, operation_id: str, request: Request) -> bool:
        like = (operation_id, json.dumps(_shape(_read(request.body)), sort_keys=True))
        new = like not in self._seen
        self._seen.add(like)
        return new

    def _try_all(self, requests: Iterator[Request]) -> None:
        world = self._line.world
        with world.lock:
            real, due = world.state, world.due._heap
            touched = True
            for request in requests:
                if touched:
                    world.state, world.due._heap = copy.deepcopy(real), list(due)
                # What is refused changes nothing, so the copy serves on.
                touched = self._try(request)
            world.state, world.due._heap = real, due

    def _try(self, request: Request) -> bool:
        """Send one request; returns whether it was accepted, or at least not refused properly."""
        self.sent += 1
        try:
            status = self._answer(request).status
        except Exception as error:
            self.violations.append(f"{type(error).__name__}: {error} {request.method} {request.path} {request.body[:300]!r}")
            return True
        call = self._line.journal.calls()[-1]
        self.violations += (f"{one} {request.query} {request.body[:300]!r}" for one in judge_call(call))
        return status < 400


def spoil(request: Request, match: Match) -> Iterator[Request]:
    """Yield copies of a request, each with one value spoiled."""
    content = _read(request.body)
    kind = request.headers.get("content-type", "")
    if isinstance(content, dict):
        for changed in _changed(content):
            yield replace(request, body=json.dumps(changed).encode())
    if request.body:
        yield from (replace(request, body=raw) for raw in RAW)
        yield replace(request, body=request.body[:-1])
        yield replace(request, headers={**request.headers, "content-type": "text/plain"})
    if kind.startswith(FORM):
        yield from (replace(request, body=text.encode()) for text in _changed_pairs(request.body.decode()))
    yield from (replace(request, query=text) for text in _changed_pairs(request.query))
    for value in match.parameters.values():
        for text in TEXTS:
            yield replace(request, path=request.path.replace(quote(value, safe=""), quote(text, safe="") or "%20"))


def _changed(value: Any) -> Iterator[Any]:
    """Yield copies of a JSON value with one value in it replaced or left out."""
    if isinstance(value, dict):
        for key, one in value.items():
            for other in UNFITTING:
                yield {name: other if name == key else kept for name, kept in value.items() if name != key or other is not _GONE}
            yield from ({**value, key: inner} for inner in _changed(one))
    if isinstance(value, list):
        yield value * 600
        for index, one in enumerate(value[:2]):
            yield from ([*value[:index], other, *value[index + 1 :]] for other in UNFITTING if other is not _GONE)
            yield from ([*value[:index], inner, *value[index + 1 :]] for inner in _changed(one))


def _changed_pairs(text: str) -> Iterator[str]:
    pairs = parse_qsl(text, keep_blank_values=True)
    for index in range(len(pairs)):
        yield urlencode(pairs[:index] + pairs[index + 1 :])
        yield urlencode([*pairs, pairs[index]])
        for value in TEXTS:
            yield urlencode([*pairs[:index], (pairs[index][0], value), *pairs[index + 1 :]])


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _shape(value: Any) -> Any:
    """Return the names and kinds in a value, without what differs from call to call."""
    if isinstance(value, dict):
        return {name: one if name == "type" else _shape(one) for name, one in value.items()}
    return [_shape(one) for one in value[:1]] if isinstance(value, list) else type(value).__name__

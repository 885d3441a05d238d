"""Finding the operation of a path, as strictly as LINE does: no trailing slash, no double slash, exact methods."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from line_simulator.api.operations import EXTRA, OPERATIONS, PREFLIGHTS

# A LIFF id, and whatever path is added to the LIFF URL (Opening a LIFF app); every other value holds no slash.
_SHAPES = {"liffUrl": r"[0-9]{10}-[0-9A-Za-z]{8}(?:/.*)?"}


@dataclass(frozen=True, slots=True)
class Match:
    """An operation and the values in its path."""

    operation_id: str
    parameters: dict[str, str]


@dataclass(frozen=True, slots=True)
class NoMatch:
    """No operation; `allowed` lists the methods the path does have."""

    allowed: tuple[str, ...]


class Routes:
    """The table of operations made searchable."""

    def __init__(self, operations: tuple[tuple[str, str, str], ...] = OPERATIONS + EXTRA + PREFLIGHTS) -> None:
        self._fixed: dict[str, dict[str, Match]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, str]]] = []
        patterns: dict[str, dict[str, str]] = {}
        for method, path, operation_id in operations:
            if "{" in path:
                patterns.setdefault(path, {})[method] = operation_id
            else:
                self._fixed.setdefault(path, {})[method] = Match(operation_id, {})
        for path, methods in patterns.items():
            # Fixed text is escaped, {name} becomes a group; ids never contain a slash.
            parts = re.split(r"\{(\w+)\}", path)
            text = "".join(
                re.escape(part) if i % 2 == 0 else f"(?P<{part}>{_SHAPES.get(part, '[^/]+')})" for i, part in enumerate(parts)
            )
            self._patterns.append((re.compile(text), methods))

    def find(self, method: str, path: str) -> Match | NoMatch:
        """Return the operation of a request. Fixed paths win over patterns (/richmenu/list over /richmenu/{id})."""
        fixed = self._fixed.get(path)
        if fixed is not None and method in fixed:
            return fixed[method]
        allowed = list(fixed or ())
        for pattern, methods in self._patterns:
            matched = pattern.fullmatch(path)
            if matched is None:
                continue
            if method in methods:
                return Match(methods[method], {name: unquote(value) for name, value in matched.groupdict().items()})
            allowed += methods
        return NoMatch(tuple(dict.fromkeys(allowed)))

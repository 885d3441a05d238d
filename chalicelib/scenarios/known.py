"""What there is in the house of all that a graph may name; asked when a drawing is checked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import cache

from chalicelib.kernel.errors import NotFoundError
from chalicelib.messages.model import Template
from chalicelib.scenarios.lint_parts import Kind

_LONGEST = 100  # no name of ours is longer, and DynamoDB refuses long keys
# Returns something of a kind by its name, of a segment its condition. Raises NotFoundError, or returns None.
LookUp = Callable[[Kind, str], object]


class Here:
    """The house as one drawing is checked; each thing is asked for once. Implements lint_parts.Known."""

    def __init__(self, look_up: LookUp, scenario_id: str, now: datetime) -> None:
        self.scenario_id = scenario_id
        self.now = now
        self._look_up = look_up
        self._found = cache(self._find)

    def has(self, kind: Kind, name: str) -> bool:
        """Say whether there is something of this name; an `action` is there when it can be done."""
        return self._found(kind, name) is not None

    def template(self, template_id: str) -> Template | None:
        """Return a template, None when there is none."""
        found = self._found("template", template_id)
        return found if isinstance(found, Template) else None

    def segment(self, segment_id: str) -> object:
        """Return the condition of a saved segment, None when there is none."""
        return self._found("segment", segment_id)

    def _find(self, kind: Kind, name: str) -> object:
        if not 1 <= len(name) <= _LONGEST:
            return None
        try:
            return self._look_up(kind, name)
        except NotFoundError:
            return None

"""Templates and what becomes of them for one person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.ids import TemplateId
from chalicelib.kernel.text import fill, placeholders

LINK_PREFIX = "link."
TRIGGER_PREFIX = "trigger."  # what started the scenario: an order number, the time of a booking


@dataclass(frozen=True, slots=True)
class Template:
    """A reusable message. content depends on the channel.

    LINE {"messages": […]}, e-mail {subject, text, html}, SMS {text}, postal {heading, body, link}.
    """

    template_id: TemplateId
    name: str
    channel: DeliveryChannel
    content: Mapping[str, Any]
    version: int
    updated_at: datetime

    def placeholders(self) -> list[tuple[str, str | None]]:
        """Return (name, fallback) of every placeholder in the content."""
        return [found for text in texts(self.content) for found in placeholders(text)]

    @property
    def is_personal(self) -> bool:
        """Say whether two people get different content."""
        return bool(self.placeholders())

    @property
    def links(self) -> frozenset[str]:
        """Return the ids of the tracked links that the content carries."""
        return frozenset(name.removeprefix(LINK_PREFIX) for name, _ in self.placeholders() if name.startswith(LINK_PREFIX))


def texts(content: object) -> list[str]:
    """Return every text in a JSON value."""
    if isinstance(content, str):
        return [content]
    if isinstance(content, Mapping):
        return [text for value in content.values() for text in texts(value)]
    if isinstance(content, list | tuple):
        return [text for value in content for text in texts(value)]
    return []


def render(content: Any, values: Mapping[str, str]) -> Any:
    """Return a JSON value with the placeholders of every text in it filled."""
    if isinstance(content, str):
        return fill(content, values)
    if isinstance(content, Mapping):
        return {key: render(value, values) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [render(value, values) for value in content]
    return content


def canonical(content: object) -> str:
    """Return the one JSON text of a value, to compare and to hash."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"))

"""What many read operations ask in their query string: days in Japan, and lists page by page."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import date
from typing import Final

from line_simulator.exchange import ApiError
from line_simulator.world.state import DAY_SECONDS, World

_DATE: Final = re.compile(r"[0-9]{8}")


def day_of(text: str) -> date | None:
    """Return the day written as yyyyMMdd, or None if it is none."""
    if _DATE.fullmatch(text) is None:
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def limit_of(query: dict[str, str], default: int, most: int) -> int:
    """Return the `limit` of a list. Raises ApiError 400."""
    text = query.get("limit", str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= most):
        raise ApiError(400, "The value for the 'limit' parameter is invalid")
    return int(text)


def page_of(world: World, kind: str, items: Sequence[str], start: str | None, limit: int) -> tuple[Sequence[str], str | None]:
    """Return one page of a list and the token of the next page, None at the end.

    kind: which list the token belongs to. A token is good for 24 hours. Raises ApiError 400 for any other.
    """
    position = 0 if start is None else _position(world, kind, start)
    end = position + limit
    if end >= len(items):
        return items[position:], None
    plain = f"{kind}:{end}:{world.clock.time():.0f}"
    return items[position:end], base64.urlsafe_b64encode(plain.encode()).decode("ascii")


def _position(world: World, kind: str, token: str) -> int:
    try:
        found, position, at = base64.urlsafe_b64decode(token).decode("ascii").split(":")
        if found == kind and 0 <= world.clock.time() - int(at) + 1 <= DAY_SECONDS:
            return max(0, int(position))
    except (binascii.Error, ValueError):
        pass
    raise ApiError(400, "Invalid start param")

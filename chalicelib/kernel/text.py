"""Counting and cutting text as LINE counts it, and filling placeholders."""

from __future__ import annotations

import re
from collections.abc import Mapping

# {{name}} or {{name|fallback}}; the fallback may be empty and may hold anything but braces.
PLACEHOLDER = re.compile(r"\{\{\s*([a-z][a-z0-9_.]*)\s*(?:\|([^{}]*))?\}\}")


def utf16_length(text: str) -> int:
    """Return the length in UTF-16 code units, as LINE counts message text (docs: text character count)."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def placeholders(text: str) -> list[tuple[str, str | None]]:
    """Return (name, fallback) of every placeholder in order; the fallback is None where none is written."""
    return [(match[1], match[2]) for match in PLACEHOLDER.finditer(text)]


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return `text` with each placeholder replaced by its value, else its fallback, else nothing."""
    return PLACEHOLDER.sub(lambda match: values.get(match[1]) or match[2] or "", text)

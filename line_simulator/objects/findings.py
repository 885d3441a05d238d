"""Counting and checking of single values the way LINE counts and complains."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import grapheme

from line_simulator.exchange import ApiError

_NOT_PERCENT_ENCODED = re.compile(r"[^!-~]")


def utf16_length(text: str) -> int:
    """Return the number of UTF-16 code units, the way LINE counts the text of messages."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def grapheme_length(text: str) -> int:
    """Return the number of grapheme clusters, the way LINE counts labels and titles."""
    return len(text) if text.isascii() else int(grapheme.length(text))


class Findings:
    """Collects what is wrong with a request body, property by property."""

    def __init__(self) -> None:
        self.details: list[dict[str, str]] = []

    def add(self, path: str, message: str) -> None:
        """Note that the property at `path` is wrong."""
        self.details.append({"message": message, "property": path})

    def raise_if_any(self) -> None:
        """Raise ApiError 400 in LINE's shape if anything was noted."""
        if self.details:
            raise ApiError(400, f"The request body has {len(self.details)} error(s)", self.details)

    def text(self, path: str, value: Any, longest: int, *, required: bool = True, shortest: int = 1) -> bool:
        """Check text counted in UTF-16 code units. Returns whether it can be used."""
        return self._counted(path, value, (shortest, longest), utf16_length, required=required)

    def label(self, path: str, value: Any, longest: int, *, required: bool = True, shortest: int = 1) -> bool:
        """Check text counted in grapheme clusters. Returns whether it can be used."""
        return self._counted(path, value, (shortest, longest), grapheme_length, required=required)

    def _counted(self, path: str, value: Any, bounds: tuple[int, int], length: Any, *, required: bool) -> bool:
        if value is None or value == "":
            if required:
                self.add(path, "May not be empty")
            return False
        if not isinstance(value, str):
            self.add(path, "Must be a string")
            return False
        if not bounds[0] <= length(value) <= bounds[1]:
            self.add(path, f"Length must be between {bounds[0]} and {bounds[1]}")
            return False
        return True

    def items(self, path: str, value: Any, fewest: int, most: int) -> list[Any]:
        """Check a list's size; returns its items, or none when it is unusable."""
        if value is None:
            self.add(path, "May not be empty")
            return []
        if not isinstance(value, list):
            self.add(path, "Must be an array")
            return []
        if not fewest <= len(value) <= most:
            # Real LINE says "May not be empty" for none at all, and a size otherwise.
            self.add(path, "May not be empty" if not value else f"Size must be between {fewest} and {most}")
            return []
        return value

    def mapping(self, path: str, value: Any, *, required: bool = True) -> dict[str, Any] | None:
        """Check that the value is an object and return it."""
        if value is None:
            if required:
                self.add(path, "May not be empty")
            return None
        if not isinstance(value, dict):
            self.add(path, "Must be an object")
            return None
        return value

    def one_of(self, path: str, value: Any, allowed: Sequence[str], *, required: bool = True) -> bool:
        """Check an enumerated value."""
        if value is None:
            if required:
                self.add(path, "May not be empty")
            return False
        if value not in allowed:
            self.add(path, f"Must be one of the following values: [{', '.join(allowed)}]")
            return False
        return True

    def number(self, path: str, value: Any, lowest: float, highest: float, *, whole: bool = True) -> bool:
        """Check a number's range."""
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            self.add(path, "May not be empty" if value is None else "Must be a number")
            return False
        if not lowest <= value <= highest:
            self.add(path, f"Must be between {lowest} and {highest}")
            return False
        return True

    def boolean(self, path: str, value: Any) -> None:
        """Check an optional boolean."""
        if value is not None and not isinstance(value, bool):
            self.add(path, "Must be a boolean")

    def https_url(self, path: str, value: Any, *, required: bool = True, longest: int = 2000) -> None:
        """Check the URL of a resource that LINE fetches: https, percent-encoded, at most `longest` characters."""
        if self.text(path, value, longest, required=required):
            self.url_scheme(path, value, ("https",))

    def url_scheme(self, path: str, value: str, schemes: Sequence[str]) -> None:
        """Check that the URL is percent-encoded ASCII with one of the schemes."""
        try:
            parts = urlsplit(value)
        except ValueError:
            self.add(path, "invalid uri")
            return
        if parts.scheme not in schemes:
            self.add(path, "invalid uri scheme")
        elif _NOT_PERCENT_ENCODED.search(value) or (parts.scheme in ("http", "https") and not parts.hostname):
            self.add(path, "invalid uri")

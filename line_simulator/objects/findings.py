"""Counting and checking of single values the way LINE counts and complains.

LINE refuses in two ways. What is wrong with the body itself comes as "The request body has 1 error(s)" with places like
messages[0].text (Messaging API reference, Error responses). What is wrong inside a template, a flex container or a textV2
comes only when nothing else is wrong, for the first such message alone, as "A message (messages[0]) in the request body is
invalid" with places like template/actions/0/uri or /body/contents/0/text. No document tells the second way; the answers
quoted in these issues do: line-bot-sdk-python 124, 273 and 314, line-bot-sdk-go 657, cofacts/rumors-line-bot 125 and 212,
zaoldyeck/cross-platform-chatbot 1. (Some older ones have a no-break space after the bracket; newer ones a plain one.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import grapheme

from line_simulator.exchange import ApiError

# What a URI cannot hold unless it is percent-encoded (RFC 3986, section 2).
_NOT_PERCENT_ENCODED = re.compile(r"""[^!-~]|["<>\\^`{|}]|%(?![0-9A-Fa-f]{2})""")
_STEPS = re.compile(r"[.\[]")


@dataclass(frozen=True, slots=True)
class Words:
    """LINE's sentences for one way of refusing. length, size and field know {least} and {most}."""

    missing: str = "May not be empty"
    empty: str = "May not be empty"
    kind: str = "Must be {kind}"
    choice: str = "Must be one of the following values: [{allowed}]"
    span: str = "Must be between {least} and {most}"
    length: str = "Length must be between {least} and {most}"
    field: str = "Length must be between {least} and {most}"
    size: str = "Size must be between {least} and {most}"
    fewer: str = "Size must be between {least} and {most}"


BODY: Final = Words()
TEMPLATE: Final = Words(
    missing="must be specified",
    empty="must be specified",
    kind="invalid property",
    choice="invalid property",
    span="invalid property",
    length="must not be longer than {most} characters",
    field="size must be between 0 and {most}",
    size="must not be more than {most} items",
    # Guessed: nobody quotes what too few actions of a confirm template are told.
    fewer="must not be less than {least} items",
)
FLEX: Final = Words(
    missing="must be specified",
    empty="must be non-empty text",
    kind="invalid property",
    choice="invalid property",
    span="invalid property",
    length="invalid property",
    field="size must be between 0 and {most}",
    size="invalid property",
    fewer="invalid property",
)


def utf16_length(text: str) -> int:
    """Return the number of UTF-16 code units, the way LINE counts text unless told otherwise."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def grapheme_length(text: str) -> int:
    """Return the number of grapheme clusters, the way LINE counts some labels, titles and texts.

    Which ones: Messaging API documentation, Character counting in a text.
    """
    return len(text) if text.isascii() else int(grapheme.length(text))


Fits = Callable[[str, int], bool]


def _fits_units(text: str, longest: int) -> bool:
    return utf16_length(text) <= longest


def _fits_clusters(text: str, longest: int) -> bool:
    # There are never more clusters than code points, and telling clusters apart is slow.
    return len(text) <= longest or grapheme_length(text) <= longest


class Findings:
    """Collects what is wrong with a request body, property by property."""

    def __init__(self, words: Words = BODY) -> None:
        self.details: list[dict[str, str]] = []
        self._words = words
        self._inside: list[tuple[str, Findings]] = []

    def add(self, path: str, message: str) -> None:
        """Note that the property at `path` is wrong."""
        self.details.append({"message": message, "property": path})

    def inside(self, path: str, words: Words) -> Findings:
        """Return findings for the content of the message at `path`; their paths start at the message or the container."""
        findings = Inside(words)
        self._inside.append((path, findings))
        return findings

    def raise_if_any(self) -> None:
        """Raise ApiError 400 in LINE's shape if anything was noted."""
        if self.details:
            raise ApiError(400, f"The request body has {len(self.details)} error(s)", self.details)
        for path, findings in self._inside:
            if findings.details:
                raise ApiError(400, f"A message ({path}) in the request body is invalid", findings.details)

    def text(self, path: str, value: Any, longest: int, *, required: bool = True) -> bool:
        """Check text counted in UTF-16 code units. Returns whether it can be used."""
        return self._counted(path, value, longest, _fits_units, self._words.length, required=required)

    def label(self, path: str, value: Any, longest: int, *, required: bool = True) -> bool:
        """Check text counted in grapheme clusters. Returns whether it can be used."""
        return self._counted(path, value, longest, _fits_clusters, self._words.length, required=required)

    def field(self, path: str, value: Any, longest: int, *, required: bool = True) -> bool:
        """Check data or a URI of an action, counted in UTF-16 code units. Returns whether it can be used."""
        return self._counted(path, value, longest, _fits_units, self._words.field, required=required)

    def _counted(self, path: str, value: Any, longest: int, fits: Fits, complaint: str, *, required: bool) -> bool:
        if value is None or value == "":
            if required:
                self.add(path, self._words.missing if value is None else self._words.empty)
            return False
        if not isinstance(value, str):
            self.wrong_kind(path, "a string")
            return False
        if not fits(value, longest):
            # LINE names 0 as the least even where nothing is refused (line-openapi, minLength of data; "messages[0].text").
            self.add(path, complaint.format(least=0, most=longest))
            return False
        return True

    def wrong_kind(self, path: str, kind: str) -> None:
        """Note that the value is not `kind`, e.g. "an object"."""
        self.add(path, self._words.kind.format(kind=kind))

    def missing(self, path: str) -> None:
        """Note that a required value is not there."""
        self.add(path, self._words.missing)

    def items(self, path: str, value: Any, fewest: int, most: int) -> list[Any]:
        """Check a list's size; returns its items, or none when it is unusable."""
        if value is None:
            self.missing(path)
            return []
        if not isinstance(value, list):
            self.wrong_kind(path, "an array")
            return []
        if not fewest <= len(value) <= most:
            # Real LINE says "May not be empty" for none at all, and a size otherwise.
            complaint = self._words.size if len(value) > most else self._words.fewer
            self.add(path, complaint.format(least=fewest, most=most) if value else self._words.missing)
            return []
        return value

    def mapping(self, path: str, value: Any, *, required: bool = True) -> dict[str, Any] | None:
        """Check that the value is an object and return it."""
        if value is None:
            if required:
                self.missing(path)
            return None
        if not isinstance(value, dict):
            self.wrong_kind(path, "an object")
            return None
        return value

    def one_of(self, path: str, value: Any, allowed: Sequence[str], *, required: bool = True) -> bool:
        """Check an enumerated value."""
        if value is None:
            if required:
                self.missing(path)
            return False
        if value not in allowed:
            self.add(path, self._words.choice.format(allowed=", ".join(allowed)))
            return False
        return True

    def number(self, path: str, value: Any, lowest: float, highest: float, *, whole: bool = True) -> bool:
        """Check a number's range."""
        kinds = (int,) if whole else (int, float)
        if value is None:
            self.missing(path)
            return False
        if isinstance(value, bool) or not isinstance(value, kinds):
            self.wrong_kind(path, "a number")
            return False
        if not lowest <= value <= highest:
            self.add(path, self._words.span.format(least=lowest, most=highest))
            return False
        return True

    def boolean(self, path: str, value: Any) -> None:
        """Check an optional boolean."""
        if value is not None and not isinstance(value, bool):
            self.wrong_kind(path, "a boolean")

    def https_url(self, path: str, value: Any, *, required: bool = True, longest: int = 2000) -> None:
        """Check the URL of a resource that LINE fetches: https, percent-encoded, at most `longest` characters."""
        if self.text(path, value, longest, required=required):
            self.url_scheme(path, value, ("https",))

    def media_url(self, path: str, value: Any, *, required: bool = True) -> None:
        """Check such a URL where LINE tells a fault of it in one sentence: image, video, audio, imagemap, icons."""
        if self.text(path, value, 2000, required=required) and _fault_of(value, ("https",)):
            self.add(path, "Must be a valid HTTPS URL")

    def url_scheme(self, path: str, value: str, schemes: Sequence[str]) -> None:
        """Check that the URL is percent-encoded ASCII with one of the schemes."""
        fault = _fault_of(value, schemes)
        if fault:
            self.add(path, fault)


class Inside(Findings):
    """What is wrong inside a message; places are written as LINE does there, e.g. /body/contents/0/text."""

    def add(self, path: str, message: str) -> None:
        """Note that the property at `path` is wrong."""
        super().add(_STEPS.sub("/", path.replace("]", "")) or "/", message)

    def https_url(self, path: str, value: Any, *, required: bool = True, longest: int = 2000) -> None:
        """Check the URL of an image or video; one with a stray "|" is quoted as "invalid uri scheme" too."""
        if self.text(path, value, longest, required=required) and _fault_of(value, ("https",)):
            self.add(path, "invalid uri scheme")


def _fault_of(value: str, schemes: Sequence[str]) -> str:
    try:
        parts = urlsplit(value)
        host = parts.hostname
    except ValueError:
        return "invalid uri"
    if parts.scheme not in schemes:
        return "invalid uri scheme"
    if _NOT_PERCENT_ENCODED.search(value) or (parts.scheme in ("http", "https") and not host):
        return "invalid uri"
    return ""

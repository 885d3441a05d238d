"""What audience operations read from requests, with the complaints of LINE's reference (Managing Audience, error details)."""

from __future__ import annotations

import re
from typing import Any, Final

from line_simulator.exchange import ApiError
from line_simulator.objects.findings import Findings, utf16_length
from line_simulator.objects.multipart import Part

JSON_IDS_MAX: Final = 10_000
FILE_IDS_MAX: Final = 1_500_000
_NAME_MAX: Final = 120
_UPLOAD_DESCRIPTION_MAX: Final = 300
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# Some messages of this API are in the reference; where they are not, the code itself stands in, as LINE does for files.
_TEXTS: Final = {
    "AUDIENCE_GROUP_NAME_SIZE_OVER": "size over audienceGroupName",
    "AUDIENCE_GROUP_NOT_FOUND": "audience group not found",
}


def refusal(code: str, place: str = "", text: str | None = None) -> ApiError:
    """Return the 400 with one of LINE's codes, and the property it is about if LINE names it."""
    detail = {"message": code, "property": place} if place else {"message": code}
    return ApiError(400, text or _TEXTS.get(code, code), [detail])


def invalid(message: str, code: str) -> ApiError:
    """Return the 400 for a query parameter."""
    return ApiError(400, message, [{"message": code}])


def audience_name(value: Any) -> str:
    """Return an audience's name. Raises ApiError 400."""
    found = Findings()
    if value is not None and not isinstance(value, str):
        found.add("description", "Must be a string")
        found.raise_if_any()
    if not value or not value.strip():
        raise refusal("AUDIENCE_GROUP_NAME_EMPTY")
    if _CONTROL.search(value):
        raise refusal("AUDIENCE_GROUP_NAME_WRONG")
    if utf16_length(value) > _NAME_MAX:
        raise refusal("AUDIENCE_GROUP_NAME_SIZE_OVER")
    return str(value)


def check_note(value: Any) -> None:
    """Check uploadDescription. Raises ApiError 400."""
    found = Findings()
    if value is not None and not isinstance(value, str):
        found.add("uploadDescription", "Must be a string")
        found.raise_if_any()
    if value and utf16_length(value) > _UPLOAD_DESCRIPTION_MAX:
        raise refusal("AUDIENCE_GROUP_UPLOAD_DESCRIPTION_SIZE_OVER")


def json_ids(value: Any) -> list[str]:
    """Return the ids of `audiences`, none when it is missing; what is no text stands as an empty one. Raises ApiError 400."""
    found = Findings()
    if value is not None and not isinstance(value, list):
        found.add("audiences", "Must be an array")
        found.raise_if_any()
    if len(value or ()) > JSON_IDS_MAX:
        raise refusal("UPLOAD_AUDIENCE_GROUP_TOO_MANY_AUDIENCE_IDS", "audiences")
    ids = [one.get("id") if isinstance(one, dict) else None for one in value or ()]
    return [one if isinstance(one, str) else "" for one in ids]


def file_ids(part: Part | None) -> list[str]:
    """Return the ids in a text file, one a line. Raises ApiError 400, 415."""
    if part is None:
        raise refusal("UPLOAD_AUDIENCE_GROUP_NO_VALID_AUDIENCE_IDS", "file")
    if part.content_type != "text/plain":
        raise ApiError(415, f"The content type, {part.content_type}, is not supported")
    ids = part.text.removeprefix("\ufeff").split()
    if len(ids) > FILE_IDS_MAX:
        raise refusal("UPLOAD_AUDIENCE_GROUP_TOO_MANY_AUDIENCE_IDS", "file")
    return ids


def number_in(text: str) -> int | None:
    """Return the audience id a text holds, None if it holds none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


def whole(query: dict[str, list[str]], name: str, default: int, highest: int) -> int:
    """Return a whole number from 1 to `highest`. Raises ApiError 400."""
    text = query.get(name, [str(default)])[-1]
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18:
        raise invalid(f"{name}: must be a number", "TYPE_MISMATCH")
    value = int(text)
    if value > highest:
        raise invalid(f"{name}: must be less than or equal to {highest}", "TOO_HIGH")
    if value < 1:
        raise invalid(f"{name}: must be greater than or equal to 1", "TOO_LOW")
    return value


def choices(query: dict[str, list[str]], name: str, allowed: tuple[str, ...]) -> list[str]:
    """Return the chosen values, all when the parameter is repeated. Raises ApiError 400."""
    chosen = query.get(name, [])
    if not set(chosen) <= set(allowed):
        raise invalid(f"{name}: must be one of {', '.join(allowed)}", "TYPE_MISMATCH")
    return chosen


def boolean(query: dict[str, list[str]], name: str) -> bool:
    """Return true or false, by default false. Raises ApiError 400."""
    text = query.get(name, ["false"])[-1].lower()
    if text not in ("true", "false"):
        raise invalid(f"{name}: must be true or false", "TYPE_MISMATCH")
    return text == "true"

"""Checking of action objects: what happens when a person taps (Messaging API reference, Action objects)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from line_simulator.objects.findings import Findings

URI_SCHEMES: Final = ("http", "https", "line", "tel")
_INPUT_OPTIONS: Final = ("closeRichMenu", "openRichMenu", "openKeyboard", "openVoice")
_ONLY_IN_QUICK_REPLY: Final = ("camera", "cameraRoll", "location")
_ONLY_IN_RICH_MENU: Final = ("richmenuswitch",)
_COMMON: Final = ("postback", "message", "uri", "datetimepicker", "clipboard")
# Shape, how to read it, smallest and largest (reference, Date and time format). One letter T or t stands in between.
_DATETIMES: Final = {
    "date": (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"), "%Y-%m-%d", "1900-01-01", "2100-12-31"),
    "time": (re.compile(r"[0-9]{2}:[0-9]{2}"), "%H:%M", "00:00", "23:59"),
    "datetime": (
        re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[tT][0-9]{2}:[0-9]{2}"),
        "%Y-%m-%dT%H:%M",
        "1900-01-01T00:00",
        "2100-12-31T23:59",
    ),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an action sits, which decides its label and which kinds are allowed (reference, Specifications of the label).

    kinds: the allowed ones.
    """

    label_max: int
    label_required: bool
    kinds: tuple[str, ...] = _COMMON


TEMPLATE_ACTION: Final = Place(20, label_required=True)
IMAGE_CAROUSEL: Final = Place(12, label_required=False)
QUICK_REPLY: Final = Place(20, label_required=True, kinds=_COMMON + _ONLY_IN_QUICK_REPLY)
RICH_MENU: Final = Place(20, label_required=False, kinds=_COMMON + _ONLY_IN_RICH_MENU)
FLEX_ACTION: Final = Place(40, label_required=False)
FLEX_BUTTON: Final = Place(40, label_required=True)
FLEX_VIDEO: Final = Place(40, label_required=False, kinds=("uri",))


def check_action(found: Findings, path: str, value: Any, place: Place) -> None:
    """Note everything wrong with the action object at `path`."""
    action = found.mapping(path, value)
    if action is None or not found.one_of(f"{path}.type", action.get("type"), place.kinds):
        return
    label = action.get("label")
    if place is QUICK_REPLY and label in (None, ""):
        # As quoted in line-bot-sdk-java 258.
        found.add(path, "`label` must be specified")
    else:
        found.label(f"{path}.label", label, place.label_max, required=place.label_required)
    check = _CHECKS.get(action["type"])
    if check is not None:
        check(found, path, action)


def _postback(found: Findings, path: str, action: dict[str, Any]) -> None:
    found.field(f"{path}.data", action.get("data"), 300)
    for name in ("displayText", "text", "fillInText"):
        found.label(f"{path}.{name}", action.get(name), 300, required=False)
    if action.get("text") is not None and action.get("displayText") is not None:
        found.add(f"{path}.displayText", "displayText and text cannot be specified at the same time")
    found.one_of(f"{path}.inputOption", action.get("inputOption"), _INPUT_OPTIONS, required=False)
    # The reference calls fillInText valid only with openKeyboard; whether LINE refuses or ignores it otherwise is not told.
    if action.get("fillInText") is not None and action.get("inputOption") != "openKeyboard":
        found.add(f"{path}.fillInText", "fillInText needs inputOption openKeyboard")


def _message(found: Findings, path: str, action: dict[str, Any]) -> None:
    found.label(f"{path}.text", action.get("text"), 300)


def _uri(found: Findings, path: str, action: dict[str, Any]) -> None:
    if found.field(f"{path}.uri", action.get("uri"), 1000):
        found.url_scheme(f"{path}.uri", action["uri"], URI_SCHEMES)
    desktop = (found.mapping(f"{path}.altUri", action.get("altUri"), required=False) or {}).get("desktop")
    if found.field(f"{path}.altUri.desktop", desktop, 1000, required=False):
        found.url_scheme(f"{path}.altUri.desktop", str(desktop), URI_SCHEMES)


def _datetimepicker(found: Findings, path: str, action: dict[str, Any]) -> None:
    found.field(f"{path}.data", action.get("data"), 300)
    if not found.one_of(f"{path}.mode", action.get("mode"), tuple(_DATETIMES)):
        return
    instants: dict[str, datetime] = {}
    for name in ("initial", "max", "min"):
        if action.get(name) is None:
            continue
        instant = _instant(action["mode"], action[name])
        if instant is None:
            found.add(f"{path}.{name}", "Invalid datetime format")
        else:
            instants[name] = instant
    if "max" in instants and "min" in instants and instants["max"] <= instants["min"]:
        # The rule is documented, its text is not. That initial lies between the two is no rule of the reference.
        found.add(f"{path}.max", "max must be greater than min")


def _instant(mode: str, value: Any) -> datetime | None:
    shape, pattern, least, most = _DATETIMES[mode]
    if not isinstance(value, str) or shape.fullmatch(value) is None or not least <= value.upper() <= most:
        return None
    try:
        return datetime.strptime(value.upper(), pattern)  # noqa: DTZ007 - the picker knows no time zones
    except ValueError:
        return None


def _clipboard(found: Findings, path: str, action: dict[str, Any]) -> None:
    found.field(f"{path}.clipboardText", action.get("clipboardText"), 1000)


def _rich_menu_switch(found: Findings, path: str, action: dict[str, Any]) -> None:
    found.field(f"{path}.richMenuAliasId", action.get("richMenuAliasId"), 32)
    found.field(f"{path}.data", action.get("data"), 300)


_CHECKS: Final[dict[str, Callable[[Findings, str, dict[str, Any]], None]]] = {
    "postback": _postback,
    "message": _message,
    "uri": _uri,
    "datetimepicker": _datetimepicker,
    "clipboard": _clipboard,
    "richmenuswitch": _rich_menu_switch,
}

"""Checking of action objects: what happens when a person taps."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from line_simulator.objects.findings import Findings

# Label lengths differ by where the action sits (Messaging API reference, Action objects).
URI_SCHEMES: Final = ("http", "https", "line", "tel")
_INPUT_OPTIONS: Final = ("closeRichMenu", "openRichMenu", "openKeyboard", "openVoice")
_ONLY_IN_QUICK_REPLY: Final = ("camera", "cameraRoll", "location")
_ONLY_IN_RICH_MENU: Final = ("richmenuswitch",)
_COMMON: Final = ("postback", "message", "uri", "datetimepicker", "clipboard")
_DATETIME_SHAPES: Final = {
    "date": re.compile(r"\d{4}-\d{2}-\d{2}"),
    "time": re.compile(r"\d{2}:\d{2}"),
    "datetime": re.compile(r"\d{4}-\d{2}-\d{2}[tT]\d{2}:\d{2}"),
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an action sits, which decides its label and which kinds are allowed."""

    label_max: int
    label_required: bool
    quick_reply: bool = False
    rich_menu: bool = False


TEMPLATE: Final = Place(20, label_required=True)
TEMPLATE_DEFAULT: Final = Place(20, label_required=False)
IMAGE_CAROUSEL: Final = Place(12, label_required=False)
QUICK_REPLY: Final = Place(20, label_required=True, quick_reply=True)
RICH_MENU: Final = Place(20, label_required=False, rich_menu=True)
FLEX: Final = Place(40, label_required=False)
FLEX_BUTTON: Final = Place(40, label_required=True)


def check_action(found: Findings, path: str, value: Any, place: Place) -> None:
    """Note everything wrong with the action object at `path`."""
    action = found.mapping(path, value)
    if action is None:
        return
    kinds = _COMMON + (_ONLY_IN_QUICK_REPLY if place.quick_reply else ()) + (_ONLY_IN_RICH_MENU if place.rich_menu else ())
    if not found.one_of(f"{path}.type", action.get("type"), kinds):
        return
    # A uri action in a template without a label is refused; in an image carousel or a flex box it may be absent.
    found.label(f"{path}.label", action.get("label"), place.label_max, required=place.label_required)
    check = _CHECKS.get(action["type"])
    if check is not None:
        check(found, path, action)


def _postback(found: Findings, path: str, action: dict[str, Any]) -> None:
    found.text(f"{path}.data", action.get("data"), 300)
    found.text(f"{path}.displayText", action.get("displayText"), 300, required=False)
    found.text(f"{path}.text", action.get("text"), 300, required=False)
    if action.get("text") is not None and action.get("displayText") is not None:
        found.add(f"{path}.displayText", "displayText and text cannot be specified at the same time")
    found.one_of(f"{path}.inputOption", action.get("inputOption"), _INPUT_OPTIONS, required=False)
    if action.get("fillInText") is not None:
        found.text(f"{path}.fillInText", action.get("fillInText"), 300)
        if action.get("inputOption") != "openKeyboard":
            found.add(f"{path}.fillInText", "fillInText needs inputOption openKeyboard")


def _message(found: Findings, path: str, action: dict[str, Any]) -> None:
    found.text(f"{path}.text", action.get("text"), 300)


def _uri(found: Findings, path: str, action: dict[str, Any]) -> None:
    if found.text(f"{path}.uri", action.get("uri"), 1000):
        found.url_scheme(f"{path}.uri", action["uri"], URI_SCHEMES)
    desktop = (found.mapping(f"{path}.altUri", action.get("altUri"), required=False) or {}).get("desktop")
    if found.text(f"{path}.altUri.desktop", desktop, 1000, required=False):
        found.url_scheme(f"{path}.altUri.desktop", str(desktop), ("http", "https"))


def _datetimepicker(found: Findings, path: str, action: dict[str, Any]) -> None:
    found.text(f"{path}.data", action.get("data"), 300)
    if not found.one_of(f"{path}.mode", action.get("mode"), tuple(_DATETIME_SHAPES)):
        return
    shape = _DATETIME_SHAPES[action["mode"]]
    for name in ("initial", "max", "min"):
        value = action.get(name)
        if value is not None and (not isinstance(value, str) or shape.fullmatch(value) is None):
            found.add(f"{path}.{name}", "Invalid datetime format")


def _clipboard(found: Findings, path: str, action: dict[str, Any]) -> None:
    found.text(f"{path}.clipboardText", action.get("clipboardText"), 1000)


def _rich_menu_switch(found: Findings, path: str, action: dict[str, Any]) -> None:
    found.text(f"{path}.richMenuAliasId", action.get("richMenuAliasId"), 32)
    found.text(f"{path}.data", action.get("data"), 300)


_CHECKS: Final = {
    "postback": _postback,
    "message": _message,
    "uri": _uri,
    "datetimepicker": _datetimepicker,
    "clipboard": _clipboard,
    "richmenuswitch": _rich_menu_switch,
}

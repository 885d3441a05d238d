"""Reading the values of /_sim/ requests, with one clear sentence for a mistake."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from typing import Any, Final

from line_simulator.exchange import SimulatorError
from line_simulator.world.state import Channel, JsonObject, PersonRecord

Answer = Callable[[JsonObject, dict[str, str]], Any]
Verb = Callable[[PersonRecord, Channel, JsonObject], Any]


def need(body: Any, name: str) -> Any:
    """Return a value that must be there. Raises SimulatorError."""
    if body.get(name) in (None, ""):
        raise SimulatorError(f"{name} is missing.")
    return body[name]


def need_text(body: Any, name: str) -> str:
    """Return a text that must be there. Raises SimulatorError."""
    value = need(body, name)
    if not isinstance(value, str):
        raise SimulatorError(f"{name} must be text.")
    return value


def need_object(body: JsonObject, name: str) -> JsonObject:
    """Return an object that must be there. Raises SimulatorError."""
    value = need(body, name)
    if not isinstance(value, dict):
        raise SimulatorError(f"{name} must be an object.")
    return value


def number_of(query: dict[str, str], name: str, default: int) -> int:
    """Return a positive number of the query, or the default. Raises SimulatorError."""
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) < 16) or int(text) < 1:
        raise SimulatorError(f"{name} must be a number greater than zero.")
    return int(text)


def snake(name: str) -> str:
    """Return a camelCase name in snake_case."""
    return re.sub(r"(?<=[a-z])([A-Z])", lambda letter: "_" + letter[1].lower(), name)


# What an action must carry so that a tap can do something (line-openapi messaging-api.yml, Action).
_TAPPABLE: Final = {"message": "text", "postback": "data", "datetimepicker": "data", "uri": "uri", "clipboard": "clipboardText"}


def check_tappable(action: JsonObject) -> None:
    """Raise SimulatorError for an action object that no message could carry."""
    name = _TAPPABLE.get(str(action.get("type")))
    value = action.get("linkUri", action.get(name)) if name == "uri" else action.get(name or "")
    if name is not None and (not isinstance(value, str) or not value):
        raise SimulatorError(f"A {action['type']} action needs {name}.")
    if action.get("type") == "datetimepicker" and action.get("mode") not in ("date", "time", "datetime"):
        raise SimulatorError("The mode of a datetimepicker is date, time or datetime.")


def message_of(body: JsonObject) -> JsonObject:
    """Return what a person sends: the object under message, or a text message of text. Raises SimulatorError."""
    message = body["message"] if "message" in body else {"type": "text", "text": need_text(body, "text")}
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise SimulatorError("message must be an object with a type.")
    return dict(message)


def bytes_of(body: JsonObject) -> bytes:
    """Return the bytes given as Base64 under data, none if there are none. Raises SimulatorError."""
    try:
        return base64.b64decode(str(body.get("data", "")), validate=True)
    except ValueError:
        raise SimulatorError("data must be Base64.") from None


def seconds_of(query: JsonObject, name: str, default: float, most: float) -> float:
    """Return a number of seconds from 0 to `most`. Raises SimulatorError."""
    try:
        value = float(query.get(name, default))
    except (TypeError, ValueError, OverflowError):
        value = -1.0
    if not 0.0 <= value <= most:
        raise SimulatorError(f"{name} must be a number of seconds from 0 to {most:g}.")
    return value

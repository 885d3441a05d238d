"""Plain values and DynamoDB's own form of them, as its API and its streams speak it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def to_wire(value: Any) -> dict[str, Any]:
    """Return a value in DynamoDB's own form. An empty set cannot be stored and raises TypeError."""
    match value:
        case str():
            return {"S": value}
        case bool():
            return {"BOOL": value}
        case int() | float():
            return {"N": repr(value)}
        case None:
            return {"NULL": True}
        case list() | tuple():
            return {"L": [to_wire(entry) for entry in value]}
        case dict():
            return {"M": {key: to_wire(entry) for key, entry in value.items()}}
        case set() | frozenset() if value:
            return {"SS": sorted(value)}
        case _:
            raise TypeError(f"DynamoDB cannot keep a {type(value).__name__}")


def from_wire(wire: Mapping[str, Any]) -> Any:
    """Return the plain value of DynamoDB's own form; whole numbers become int."""
    ((kind, value),) = wire.items()
    match kind:
        case "S" | "BOOL" | "B":
            return value
        case "N":
            return int(value) if value.lstrip("-").isdigit() else float(value)
        case "NULL":
            return None
        case "L":
            return [from_wire(entry) for entry in value]
        case "M":
            return {key: from_wire(entry) for key, entry in value.items()}
        case "SS":
            return set(value)
        case _:
            raise TypeError(f"unexpected attribute type {kind}")


def plain(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return an item as plain values by name."""
    return {name: from_wire(value) for name, value in item.items()}

"""The grammar as JSON Schema 2020-12 for editors, with what people want to know of each part in Japanese.

The shapes come from graph.py; patterns and figures are the linter's. What lies between parts (does the next step exist?) only
the linter can tell. Kept as docs/scenario.schema.json.
"""

from __future__ import annotations

from typing import Any

import msgspec

from chalicelib.delivery.model import MOST_SENDS
from chalicelib.scenarios.graph import Scenario
from chalicelib.scenarios.lint import LONGEST_NAME, MOST_NODES, NODE_ID
from chalicelib.scenarios.schema_words import PARTS, WORDS
from chalicelib.segments.schema import condition

_DURATION = r"^P(?=T?\d)(\d+W)?(\d+D)?(T(\d+H)?(\d+M)?)?$"
_TIME = r"^([01][0-9]|2[0-3]):([0-5][0-9])$"
_LENGTHS = {"duration", "timeout", "cooldown", "window", "per", "before"}
_TIMES = {"at"}
_EDGES = {"next", "unreachable", "missing", "past", "responded", "timed_out", "otherwise"}
_CONDITIONS = {"when", "condition", "filter", "stays_while"}
_SINGLE: dict[tuple[str, str], dict[str, Any]] = {
    ("Scenario", "name"): {"minLength": 1, "maxLength": LONGEST_NAME},
    ("Scenario", "start"): {"pattern": NODE_ID},
    ("WaitForResponseNode", "of"): {"pattern": NODE_ID},
    ("BranchNode", "cases"): {"minItems": 1},
    ("SplitNode", "shares"): {"minItems": 2},
    ("Share", "weight"): {"minimum": 1, "maximum": 1_000_000},
    ("Schedule", "day"): {"minimum": 0, "maximum": 31},
    ("Schedule", "on"): {"pattern": r"^(\d{4}-\d{2}-\d{2})?$"},
    ("DormantTrigger", "days"): {"minimum": 1, "maximum": 3650},
    ("FrequencyCap", "most"): {"minimum": 1, "maximum": MOST_SENDS},
    ("QuietHours", "start"): {"pattern": _TIME},
    ("QuietHours", "end"): {"pattern": _TIME},
}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a scenario."""
    _, parts = msgspec.json.schema_components([Scenario], ref_template="#/$defs/{name}")
    for name, part in parts.items():
        part["description"] = PARTS[name]
        for word, inner in part["properties"].items():
            _complete(name, word, inner, word in part.get("required", ()))
    nodes = parts["Scenario"]["properties"]["nodes"]
    nodes |= {"propertyNames": {"pattern": NODE_ID}, "minProperties": 1, "maxProperties": MOST_NODES}
    whole = parts.pop("Scenario")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://enishi.dev/scenario-1.schema.json",
        **whole,
        "$defs": {**parts, "Condition": condition(in_run=True)},
    }


def _complete(name: str, word: str, part: dict[str, Any], is_required: bool) -> None:
    if word != "type":
        part["description"] = WORDS.get(f"{name}.{word}") or WORDS[word]
    part |= _SINGLE.get((name, word), {})
    pattern = _DURATION if word in _LENGTHS else _TIME if word in _TIMES else NODE_ID if word in _EDGES else ""
    if pattern:
        # An optional text that is empty is one that was not given.
        part["pattern"] = pattern if is_required else f"^$|{pattern}"
    if word == "label":
        part["maxLength"] = LONGEST_NAME
    if word in _CONDITIONS:
        reference = {"$ref": "#/$defs/Condition"}
        if "anyOf" in part:
            part["anyOf"] = [reference, {"type": "null"}]
        else:
            part.pop("type")
            part |= reference

"""The condition tree as JSON Schema 2020-12 for editors, with what people want to know of each part in Japanese; pure.

Whatever it takes, reading.py takes, and the other way round, but for what only the reader can tell: whether a saved segment is
there and leads back to itself, and how deep and large a tree is. Kept as docs/segment.schema.json.
"""

from __future__ import annotations

from typing import Any

from chalicelib.kernel.facts import Evidence
from chalicelib.segments.expression import ACTS, DATES, EVENTS, FIELDS, STATES
from chalicelib.segments.reading import GENDERS, MOST_DAYS, OF_A_RUN
from chalicelib.segments.schema_words import LEAVES, WORDS

DOCUMENT = "segment/1"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
_ANY_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "number"}
_DAYS: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": MOST_DAYS}
_FROM_TODAY: dict[str, Any] = {"type": "integer", "minimum": -MOST_DAYS, "maximum": MOST_DAYS}
_DAY: dict[str, Any] = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}
_SCALAR: dict[str, Any] = {"type": ["string", "number", "boolean"]}
_EVIDENCE: dict[str, Any] = {"enum": [str(one) for one in Evidence]}
_ATTRIBUTE: dict[str, Any] = {"type": "string", "pattern": r"^attribute\.[\s\S]"}
_INNER = {"$ref": "#/$defs/Condition"}


def schema() -> dict[str, Any]:
    """Return the JSON Schema of a saved segment."""
    return {
        "$schema": _DIALECT,
        "$id": "https://enishi.dev/segment-1.schema.json",
        "description": WORDS["segment/1"],
        **_object({"schema": {"const": DOCUMENT}, "name": _TEXT, "condition": _INNER}, "schema", "condition"),
        "$defs": {"Condition": condition()},
    }


def condition(*, in_run: bool = False) -> dict[str, Any]:
    """Return the schema of a condition, as `#/$defs/Condition`. in_run: whether it may ask about a run of a scenario."""
    shapes = [
        {"description": LEAVES[word], **shape} for word, ways in _ways().items() if in_run or word not in OF_A_RUN for shape in ways
    ]
    return {"description": WORDS["condition"], "oneOf": shapes}


def _ways() -> dict[str, list[dict[str, Any]]]:
    """Return by its word in which ways a part can be written."""
    group = {"type": "array", "items": _INNER}
    return {
        "all": [_object({"all": group}, "all")],
        "any": [_object({"any": group}, "any")],
        "not": [_object({"not": _INNER}, "not")],
        "tag": [_object({"tag": _TEXT}, "tag")],
        "segment": [_object({"segment": _TEXT}, "segment")],
        "field": _fields(),
        "date": _dates(),
        "purchase": [_leaf("purchase", {**_spans("count", "total", "amount"), **_texts("product", "category", "shop"), **_AGO,
                                        "which": {"enum": ["", "first", "last"]}}, minProperties=1)],
        "event": [_leaf("event", {"kind": {"enum": list(ACTS)}, **_texts("name", "link"), "evidence": _EVIDENCE,
                                  "data": {"type": "object", "additionalProperties": _ANY_TEXT}, **_AGO, **_spans("count")},
                        "kind")],
        "received": [_leaf("received", *_of_campaign()), _leaf("received", *_of_scenario())],
        "reacted": [_leaf("reacted", {**what, **_texts("link"), "evidence": _EVIDENCE}, word)
                    for what, word in (_of_campaign(), _of_scenario())],
        "scenario": [_leaf("scenario", {"id": _TEXT, "state": {"enum": list(STATES)}, **_texts("outcome")}, "id")],
        "responded": [_leaf("responded", {**_texts("of", "link"), "evidence": _EVIDENCE})],
        "happened": _happenings(),
    }  # fmt: skip


_AGO = {"within_days": _DAYS, "before_days": _DAYS}


def _fields() -> list[dict[str, Any]]:
    field = {"anyOf": [{"enum": list(FIELDS)}, _ATTRIBUTE]}
    between = _object({"field": field, "from": _NUMBER, "to": _NUMBER}, "field")
    # Of these two whatever else is written would be a condition that nobody fulfils.
    closed: dict[str, dict[str, Any]] = {"profile.gender": {"enum": list(GENDERS)}, "profile.birthday": _DAY}
    opened = {"anyOf": [{"enum": [name for name in FIELDS if name not in closed]}, _ATTRIBUTE]}
    values = [(opened, _SCALAR), *(({"const": name}, value) for name, value in closed.items())]
    return [
        *(_object({"field": name, "is": value}, "field", "is") for name, value in values),
        *(_object({"field": name, "in": {"type": "array", "items": value}}, "field", "in") for name, value in values),
        {**between, "anyOf": [{"required": ["from"]}, {"required": ["to"]}]},
    ]


def _dates() -> list[dict[str, Any]]:
    date = {"anyOf": [{"enum": list(DATES)}, _ATTRIBUTE]}
    ago = _object({"date": date, **_AGO}, "date")
    between = _object({"date": date, "from": _DAY, "to": _DAY}, "date")
    return [
        {**ago, "anyOf": [{"required": ["before_days"]}, {"required": ["within_days"]}]},
        _object({"date": date, "in_days": _FROM_TODAY}, "date", "in_days"),
        _object({"date": date, "anniversary_in_days": _FROM_TODAY}, "date", "anniversary_in_days"),
        {**between, "anyOf": [{"required": ["from"]}, {"required": ["to"]}]},
    ]


def _happenings() -> list[dict[str, Any]]:
    named = [event for event in EVENTS if event not in ("purchase", "custom")]
    return [
        _leaf("happened", {"event": {"const": "purchase"}, **_texts("product", "since")}, "event"),
        _leaf("happened", {"event": {"const": "custom"}, "name": _TEXT, **_texts("since")}, "event", "name"),
        _leaf("happened", {"event": {"enum": named}, **_texts("name", "since")}, "event"),
    ]


def _of_campaign() -> tuple[dict[str, Any], str]:
    return {"campaign": _TEXT}, "campaign"


def _of_scenario() -> tuple[dict[str, Any], str]:
    return {"scenario": _TEXT, **_texts("node")}, "scenario"


def _texts(*words: str) -> dict[str, Any]:
    return dict.fromkeys(words, _ANY_TEXT)


def _spans(*words: str) -> dict[str, Any]:
    return {f"{word}_{end}": _NUMBER for word in words for end in ("from", "to")}


def _leaf(word: str, inner: dict[str, Any], *required: str, **more: Any) -> dict[str, Any]:
    return _object({word: {**_object(inner, *required), **more}}, word)


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    said = {name: {"description": WORDS[name], **part} if name in WORDS else part for name, part in properties.items()}
    made: dict[str, Any] = {"type": "object", "properties": said, "additionalProperties": False}
    return {**made, "required": list(required)} if required else made

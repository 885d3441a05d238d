"""The official documents, read once and hardened: discriminators are enforced, and answers may hold nothing unknown.

As published they accept a text message without text, because a base schema with a discriminator does not lead to its
subtypes. Here each base schema becomes a choice by its discriminator.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.simulator.contract.drift import KNOWN_DRIFT

FOLDER = Path(__file__).parents[4] / "shared" / "line-openapi"
MISSING = "the official OpenAPI files are not beside the repository (../shared/line-openapi)"
METHODS = ("get", "post", "put", "delete", "patch")
# What a schema says to readers, not to a validator.
_PROSE = frozenset({"description", "example", "externalDocs", "discriminator", "title", "default", "deprecated", "nullable"})


@dataclass(frozen=True)
class Official:
    """One operation as LINE publishes it. Schemas are JSON Schema (2020-12) with absolute references."""

    file: str
    operation_id: str
    method: str
    path: str
    queries: dict[str, dict[str, Any]] = field(default_factory=dict)
    needed_queries: frozenset[str] = frozenset()
    # Media type → schema; empty when there is no body.
    bodies: dict[str, dict[str, Any]] = field(default_factory=dict)
    body_needed: bool = False
    # Status → media type → schema.
    answers: dict[int, dict[str, dict[str, Any]]] = field(default_factory=dict)


def present() -> bool:
    """Say whether the official documents lie beside the repository."""
    return FOLDER.is_dir()


@cache
def documents() -> dict[str, dict[str, Any]]:
    """Return the official documents by file name, with what is known to be missing in them added."""
    found = {}
    for path in sorted(FOLDER.glob("*.yml")):
        found[path.stem] = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    for drift in KNOWN_DRIFT:
        drift.amend(found)
    return found


@cache
def operations() -> dict[str, Official]:
    """Return every operation by operationId."""
    found = {}
    for file, document in documents().items():
        for path, item in document["paths"].items():
            for method in METHODS:
                if method in item and file != "webhook":
                    official = _operation(file, path, method, item)
                    found[official.operation_id] = official
    return found


def resources() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the schemas of each file under the address that references use: once as they are, once closed."""
    for file, document in documents().items():
        schemas = document.get("components", {}).get("schemas", {})
        for closed in (False, True):
            yield _address(file, closed=closed), {"$defs": _definitions(file, schemas, closed=closed)}


def schema_of(file: str, name: str, *, closed: bool) -> dict[str, Any]:
    """Return a reference to a named schema; a closed one allows no unknown properties."""
    return {"$ref": f"{_address(file, closed=closed)}#/$defs/{name}"}


def _address(file: str, *, closed: bool) -> str:
    return f"urn:line:{file}:{'closed' if closed else 'open'}"


def _definitions(file: str, schemas: dict[str, Any], *, closed: bool) -> dict[str, Any]:
    names = _values_of_subtypes(schemas)
    found = {}
    for name, schema in schemas.items():
        # X.part is X inside an allOf: without its choice of subtypes, and open for what the others add.
        part = _converted(file, schema, closed=closed, part=True)
        if name in names:
            keys, values = names[name]
            part = {"allOf": [part, {"properties": {keys: {"enum": values}}}]}
        found[f"{name}.part"] = part
        found[name] = _choice(file, schema, closed=closed) or _closed(part, schema, closed=closed)
    return found


def _values_of_subtypes(schemas: dict[str, Any]) -> dict[str, tuple[str, list[str]]]:
    """Return for each subtype the property that tells it and the values that mean it."""
    found: dict[str, tuple[str, list[str]]] = {}
    for schema in schemas.values():
        discriminator = schema.get("discriminator", {})
        for value, reference in discriminator.get("mapping", {}).items():
            found.setdefault(reference.rpartition("/")[2], (discriminator["propertyName"], []))[1].append(value)
    return found


def _choice(file: str, schema: dict[str, Any], *, closed: bool) -> dict[str, Any] | None:
    discriminator = schema.get("discriminator")
    if not discriminator:
        return None
    key, mapping = discriminator["propertyName"], discriminator["mapping"]
    # If/then instead of oneOf, so that a violation names the property of the one subtype that was meant.
    return {
        "type": "object",
        "required": [key],
        "properties": {key: {"enum": list(mapping)}},
        "allOf": [
            {
                "if": {"required": [key], "properties": {key: {"const": value}}},
                "then": schema_of(file, reference.rpartition("/")[2], closed=closed),
            }
            for value, reference in mapping.items()
        ],
    }


def _converted(file: str, schema: dict[str, Any], *, closed: bool, part: bool = False) -> dict[str, Any]:
    """Return an OpenAPI 3.0 schema as JSON Schema. `part`: it stands inside an allOf."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return schema_of(file, f"{name}.part" if part else name, closed=closed)
    found = {key: value for key, value in schema.items() if key not in _PROSE}
    if "properties" in found:
        found["properties"] = {name: _converted(file, one, closed=closed) for name, one in found["properties"].items()}
    for key in ("items", "additionalProperties", "not"):
        if isinstance(found.get(key), dict):
            found[key] = _converted(file, found[key], closed=closed)
    for key in ("allOf", "anyOf", "oneOf"):
        if key in found:
            found[key] = [_converted(file, one, closed=closed, part=True) for one in found[key]]
    if not part:
        found = _closed(found, schema, closed=closed)
    return {"anyOf": [found, {"type": "null"}]} if schema.get("nullable") else found


def _closed(found: dict[str, Any], schema: dict[str, Any], *, closed: bool) -> dict[str, Any]:
    is_object = ("properties" in schema or "allOf" in schema) and "additionalProperties" not in schema
    return {**found, "unevaluatedProperties": False} if closed and is_object else found


def _operation(file: str, path: str, method: str, item: dict[str, Any]) -> Official:
    content = item[method]
    parameters = [*item.get("parameters", ()), *content.get("parameters", ())]
    queries = {one["name"]: one for one in parameters if one["in"] == "query"}
    body = content.get("requestBody", {})
    return Official(
        file=file,
        operation_id=content["operationId"],
        method=method.upper(),
        path=path,
        queries={name: _converted(file, one["schema"], closed=False) for name, one in queries.items()},
        needed_queries=frozenset(name for name, one in queries.items() if one.get("required")),
        bodies=_media(file, body, closed=False),
        body_needed=bool(body.get("required")),
        answers={
            int(status): _media(file, answer, closed=True) for status, answer in content["responses"].items() if status.isdigit()
        },
    )


def _media(file: str, content: dict[str, Any], *, closed: bool) -> dict[str, dict[str, Any]]:
    return {kind: _converted(file, one.get("schema", {}), closed=closed) for kind, one in content.get("content", {}).items()}

"""Requests that nobody wrote: schemathesis makes them from the official documents, fitting ones and others."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any

import requests
import schemathesis
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode

from line_simulator import Request
from tests.simulator.contract import official


def requests_of(operation_id: str, mode: GenerationMode) -> SearchStrategy[Request]:
    """Return a strategy of requests of one operation."""
    operation = _loaded(official.operations()[operation_id].file).find_operation_by_id(operation_id)
    return operation.as_strategy(generation_mode=mode).map(_request)


@cache
def _loaded(file: str) -> Any:
    return schemathesis.openapi.from_dict(_with_choices(file))


def _with_choices(file: str) -> dict[str, Any]:
    """Return a document in which each base schema leads to its subtypes, in the words of OpenAPI 3.0."""
    document = copy.deepcopy(official.documents()[file])
    schemas = document.get("components", {}).get("schemas", {})
    bases = {name for name, schema in schemas.items() if "discriminator" in schema}
    for schema in schemas.values():
        for part in schema.get("allOf", ()):
            if part.get("$ref", "").rpartition("/")[2] in bases:
                part["$ref"] += ".part"
    for name in bases:
        part = schemas[name]
        discriminator = part.pop("discriminator")
        schemas[f"{name}.part"] = part
        schemas[name] = {"oneOf": [_one(discriminator["propertyName"], *pair) for pair in discriminator["mapping"].items()]}
    return document


def _one(key: str, value: str, reference: str) -> dict[str, Any]:
    told = {"type": "object", "required": [key], "properties": {key: {"enum": [value]}}}
    return {"allOf": [{"$ref": reference}, told]}


def _request(case: Any) -> Request:
    """Return what would arrive of a case that a client sends."""
    given = case.as_transport_kwargs(base_url="http://line")
    known = {key: given.get(key) for key in ("method", "url", "headers", "params", "data", "files", "json", "cookies")}
    sent = requests.Request(**known).prepare()
    path, _, query = sent.path_url.partition("?")
    body = sent.body or b""
    headers = {name.lower(): str(value) for name, value in sent.headers.items()}
    return Request(sent.method or "", path, query, headers, body.encode() if isinstance(body, str) else body)

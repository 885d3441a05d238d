"""The OpenAPI 3.1 document, made from the declared endpoints."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import Any

import msgspec

from chalicelib.entrypoints.admin_api.framework import ENDPOINTS, Endpoint

_PARAMETER = re.compile(r"\{(\w+)\}")


class Problem(msgspec.Struct):
    """A refusal (RFC 9457). title: Japanese; detail: English; code: stable, for machines."""

    type: str
    title: str
    status: int
    code: str
    detail: str = ""


@lru_cache(maxsize=1)
def document_text() -> str:
    """Return the document as JSON."""
    return json.dumps(document(), ensure_ascii=False)


def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of every endpoint."""
    types = {kind for found in ENDPOINTS for kind in (found.request, found.response, found.later) if kind is not None} | {Problem}
    ordered = sorted(types, key=str)
    schemas, components = msgspec.json.schema_components(ordered, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(ordered, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for found in ENDPOINTS:
        paths.setdefault(found.path, {})[found.method.lower()] = _operation(found, by_type)
    made = {
        "openapi": "3.1.0",
        "info": {
            "title": "Enishi Admin API",
            "version": "1",
            "description": "LINE公式アカウントのCRM「Enishi」の管理API。日時はUTC（ISO 8601）、金額は円。 "
            "/ Times in UTC, amounts in yen.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "APIキー / API key `enk_….…`"}},
        },
        "security": [{"key": []}],
    }
    # A default that is a tuple is no JSON value until it has been written down once.
    plain: dict[str, Any] = json.loads(json.dumps(made))
    return plain


def _operation(found: Endpoint, by_type: dict[Any, Any]) -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in _PARAMETER.findall(found.path)
    ]
    parameters += [{"name": name, "in": "query", "required": False, "schema": {"type": "string"}} for name in found.query]
    if found.idempotent:
        schema = {"type": "string", "minLength": 1, "maxLength": 64}
        parameters.append({"name": "Idempotency-Key", "in": "header", "required": True, "schema": schema})
    answer: dict[str, Any] = {"description": "成功 / done"}
    if found.response is not None:
        answer["content"] = {"application/json": {"schema": by_type[found.response]}}
    refusal = {
        "description": "断り / refusal",
        "content": {"application/problem+json": {"schema": by_type[Problem]}},
    }
    operation: dict[str, Any] = {
        "operationId": found.handler.__name__,
        "summary": found.summary,
        "description": f"権限 / scope: `{found.scope}`",
        "tags": [found.scope.partition(":")[0]],
        "parameters": parameters,
        "responses": {str(found.status): answer, "default": refusal},
    }
    if found.later is not None:
        content = {"application/json": {"schema": by_type[found.later]}}
        operation["responses"]["202"] = {"description": "受付済み / to be done", "content": content}
    if found.request is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": by_type[found.request]}}}
    return operation

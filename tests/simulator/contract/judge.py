"""Does an exchange obey the official documents? One judge for calls, one for webhooks; the answer is a list of sentences."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final
from urllib.parse import parse_qsl

import jsonschema_rs

from line_simulator.journal import Call
from line_simulator.webhooks.webhooks import Delivery
from tests.simulator.contract import official
from tests.simulator.contract.official import Official

# The documents list little but 200. These are the refusals of LINE's reference (Messaging API, Status codes); 405 and
# 501 are how the simulator says "no such method" and "not simulated"; 423: another module channel took
# the chat just now (reference for corporate users, Acquire Control API).
REFUSALS: Final = frozenset({400, 401, 403, 404, 405, 409, 410, 413, 415, 423, 429, 501})
_REFUSAL: Final = {
    "type": "object",
    "required": ["message"],
    "properties": {
        "message": {"type": "string", "minLength": 1},
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"message": {"type": "string"}, "property": {"type": "string"}},
                "additionalProperties": False,
            },
        },
    },
    "additionalProperties": False,
}
# OAuth's own shape (Messaging API reference, Channel access token, error examples).
_OAUTH_REFUSAL: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {"error": {"type": "string"}, "error_description": {"type": "string"}},
    "additionalProperties": False,
}
_TOKEN_REFUSAL: Final = {"anyOf": [_REFUSAL, _OAUTH_REFUSAL]}
_NOTHING: Final = {"type": "object", "additionalProperties": False}
# webhook.yml demands a reply token of these, the reference says that standby channels get none (Webhook event objects, mode).
_ALWAYS_REPLYABLE: Final = ("follow", "join", "memberJoined", "membership", "beacon", "videoPlayComplete")
_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
_PART_NAME: Final = re.compile(rb'content-disposition: *form-data;[^\r\n]*\bname="([^"]+)"', re.IGNORECASE)
# What a test does to a webhook on purpose; the others leave the body as it should be.
DISTORTIONS: Final = frozenset(
    {
        "webhook_malformed",
        "webhook_unknown_event",
        "webhook_unknown_mode",
        "webhook_unknown_value",
        "webhook_extra_fields",
        "webhook_no_user_id",
        "webhook_no_is_unblocked",
        "webhook_wrong_destination",
        "webhook_standby",
    }
)


def judge_call(call: Call) -> list[str]:
    """Return how a call and its answer break the documents; empty if they do not."""
    known = official.operations().get(call.operation_id)
    where = f"{call.operation_id or 'no operation'} ({call.method} {call.path}) answered {call.status}"
    if known is None and call.operation_id:
        # LINE Login and what else has no OpenAPI document.
        return [f"{where}: {one}" for one in _server_error(call)]
    found = list(_answer(call, known))
    if known is not None and 200 <= call.status < 300:
        found += _queries(call, known)
        found += _request(call, known)
    return [f"{where}: {one}" for one in found]


def judge_webhook(delivery: Delivery) -> list[str]:
    """Return how a webhook body breaks the documents; distorted ones are not judged."""
    if delivery.fault in DISTORTIONS:
        return []
    try:
        body = json.loads(delivery.body.decode("utf-8"))
    except ValueError as error:
        return [f"webhook {delivery.id} is not JSON: {error}"]
    for event in body["events"]:
        if event.get("mode") == "standby" and "replyToken" not in event and event.get("type") in _ALWAYS_REPLYABLE:
            event["replyToken"] = "none"
    schema = official.schema_of("webhook", "CallbackRequest", closed=True)
    return [f"webhook {'+'.join(delivery.events)}: {one}" for one in _broken(_key(schema), body)]


def _answer(call: Call, known: Official | None) -> Iterator[str]:
    if call.status >= 500 and call.status != 501:
        yield from _server_error(call)
        return
    if call.fault == "truncated_json":
        return
    listed = known.answers.get(call.status) if known else None
    if listed is None and call.status not in REFUSALS:
        yield "the documents do not list this status"
        return
    if listed and _JSON not in listed:
        # Media: any bytes of any other type.
        if call.content_type.startswith(_JSON):
            yield f"the content type is {call.content_type}, media was expected"
        return
    if call.content_type.partition(";")[0] != _JSON:
        yield f"the content type is {call.content_type}, not {_JSON}"
        return
    schema = listed[_JSON] if listed else _unlisted(call, known)
    if not call.answer and schema is _NOTHING:
        return
    yield from _judged("the answer", call.answer, schema)


def _server_error(call: Call) -> Iterator[str]:
    if call.status >= 500 and call.status != 501 and not call.fault:
        yield "a server error nobody asked for"


def _unlisted(call: Call, known: Official | None) -> dict[str, Any]:
    if call.status < 300:
        return _NOTHING
    return _TOKEN_REFUSAL if known is None or known.file == "channel-access-token" else _REFUSAL


def _judged(what: str, raw: bytes, schema: dict[str, Any], *, lenient: bool = False) -> Iterator[str]:
    try:
        content = json.loads(raw.decode("utf-8"))
    except ValueError as error:
        yield f"{what} is not JSON: {error}"
        return
    broken = _broken(_key(schema), content)
    if broken and lenient:
        broken = _broken(_key(schema), _without_nulls(content))
    yield from (f"{what}: {one}" for one in broken)


def _without_nulls(content: Any) -> Any:
    """Return a request without properties that are null; see drift.py."""
    if isinstance(content, dict):
        return {name: _without_nulls(one) for name, one in content.items() if one is not None}
    return [_without_nulls(one) for one in content] if isinstance(content, list) else content


def _queries(call: Call, known: Official) -> Iterator[str]:
    given = parse_qsl(call.query, keep_blank_values=True)
    for name in known.needed_queries - {name for name, _ in given}:
        yield f"accepted without the required query parameter {name}"
    for name, value in given:
        schema = known.queries.get(name)
        if schema is not None:
            several = [value] if schema.get("type") == "array" else value
            yield from (f"accepted the query parameter {name}: {one}" for one in _broken(_key(schema), _typed(several, schema)))


def _request(call: Call, known: Official) -> Iterator[str]:
    if not known.bodies or (not call.body and not known.body_needed):
        return
    if _JSON in known.bodies:
        yield from _judged("the accepted request", call.body, known.bodies[_JSON], lenient=True)
    elif _FORM in known.bodies:
        schema = known.bodies[_FORM]
        properties = _properties(schema)
        form = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        typed = {name: _typed(value, properties.get(name, {})) for name, value in form.items()}
        yield from (f"the accepted form: {one}" for one in _broken(_key(schema), typed))
    elif "multipart/form-data" in known.bodies:
        needed = known.bodies["multipart/form-data"].get("required", ())
        given = {name.decode() for name in _PART_NAME.findall(call.body)}
        for name in set(needed) - given:
            yield f"the accepted form has no part {name}"


def _properties(schema: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = dict(schema.get("properties", {}))
    for choice in schema.get("oneOf", ()):
        found |= _properties(choice)
    return found


def _typed(value: Any, schema: dict[str, Any]) -> Any:
    """Return what a text of a query or form means as the type of its schema."""
    kind = schema.get("type")
    if isinstance(value, list):
        return [_typed(one, schema.get("items", {})) for one in value]
    if kind == "integer" and value.lstrip("-").isdigit():
        return int(value)
    if kind == "boolean" and value in ("true", "false"):
        return value == "true"
    return value


def _key(schema: dict[str, Any]) -> str:
    return json.dumps(schema, sort_keys=True)


def _broken(key: str, content: Any) -> list[str]:
    validator = _validator(key)
    try:
        if validator.is_valid(content):
            return []
        errors = list(validator.iter_errors(content))
    except UnicodeEncodeError:
        # Halves of characters are legal in JSON, but not in the validator's language.
        return _broken(key, json.loads(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")))
    # What fails leaves its properties unevaluated too; that says nothing new.
    plain = [error for error in errors if "unevaluatedProperties" not in error.schema_path] or errors
    return [f"{_where(error.instance_path)}: {error.message[:300]}" for error in plain][:5]


def _where(path: list[str | int]) -> str:
    return "$" + "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path)


@cache
def _validator(key: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(json.loads(key), registry=_registry(), validate_formats=True)


@cache
def _registry() -> jsonschema_rs.Registry:
    return jsonschema_rs.Registry(list(official.resources()), draft=jsonschema_rs.Draft202012)

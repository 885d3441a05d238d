"""Endpoints declared as data: the same declaration routes, checks, decodes, answers and documents a call."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import unquote

import msgspec

from chalicelib.entrypoints.problems import problem_of
from chalicelib.idempotency.service import Answer
from chalicelib.kernel.errors import DeniedError, DomainError, InvalidError, NotFoundError, TemporaryError
from chalicelib.observability import count, error
from chalicelib.staff.model import SCOPES, Principal
from chalicelib.wiring import World

B = TypeVar("B")
PREFIX = "/v1"
_MOST_IN_ADDRESS = 500
_MOST_BODY = 300_000  # what comes in must fit into one item of DynamoDB, which takes 400 KB
# What a person types as a name; tags are even found by it.
Name = Annotated[str, msgspec.Meta(max_length=200)]
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,64}\Z")


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """Base of request bodies: unknown fields are refused, because a misspelt one would be silently ignored."""


class View(msgspec.Struct):
    """Base of answers."""


@dataclass(frozen=True, slots=True)
class Later:
    """An answer about what is still to be done: 202, whatever the endpoint declares."""

    view: View


@dataclass(frozen=True, slots=True)
class Call(Generic[B]):
    """One authenticated call."""

    world: World
    principal: Principal
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: B
    idempotency_key: str = ""

    def day(self, name: str) -> date | None:
        """Return a day of the address, None when it is not given. Raises InvalidError(`api.parameter_malformed`)."""
        text = self.query.get(name)
        try:
            return date.fromisoformat(text) if text else None
        except ValueError as error:
            raise InvalidError("api.parameter_malformed", name=name) from error

    def size(self) -> int:
        """Return how many items a page shall have. Raises InvalidError(`api.parameter_malformed`)."""
        text = self.query.get("limit") or "50"
        if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= 100:
            raise InvalidError("api.parameter_malformed", name="limit")
        return int(text)


def instant(moment: datetime, refusal: InvalidError) -> datetime:
    """Return a moment that a body brought. Raises `refusal` when it has no zone or lies where no calendar of ours reaches."""
    if moment.tzinfo is None or not 1970 < moment.year < 2200:
        raise refusal
    return moment


Handler = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One verb on one path. idempotent: the caller must send an Idempotency-Key, because the call sends messages.

    later: the answer when there is still something to be done (Later).
    """

    method: str
    path: str
    scope: str
    summary: str
    handler: Handler
    request: Any
    response: Any
    status: int
    idempotent: bool
    query: tuple[str, ...]
    later: Any


ENDPOINTS: list[Endpoint] = []


def endpoint(
    method: str,
    path: str,
    *,
    scope: str,
    summary: str,
    request: Any = None,
    response: Any = None,
    status: int = 200,
    idempotent: bool = False,
    query: tuple[str, ...] = (),
    later: Any = None,
) -> Callable[[Handler], Handler]:
    """Declare a function as an endpoint. summary: Japanese, with English beside it."""
    if scope not in SCOPES:
        raise ValueError(f"unknown scope {scope}")

    def declare(handler: Handler) -> Handler:
        found = Endpoint(method, PREFIX + path, scope, summary, handler, request, response, status, idempotent, query, later)
        ENDPOINTS.append(found)
        return handler

    return declare


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as the HTTP side hands it over. Header names in lower case."""

    headers: Mapping[str, str]
    path: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An answer for the HTTP side."""

    status: int
    body: bytes
    content_type: str = "application/json"


def serve(found: Endpoint, incoming: Incoming, here: World) -> Outgoing:
    """Answer a call: who, may he, what does he want, do it. Nobody is told more than one sentence."""
    try:
        principal = here.staff.authenticate(incoming.headers.get("authorization") or "")
        if not principal.may(found.scope):
            raise DeniedError("auth.scope_missing", scope=found.scope)
        return _serve(found, incoming, here, principal)
    except DomainError as refused:
        count("ApiRefused", Code=refused.code)
        return _problem(problem_of(refused))
    except TemporaryError:
        error("an API call failed on something outside", path=found.path, method=found.method)
        return _problem(_fault(503, "api.unavailable", "一時的に処理できません。しばらくしてからもう一度お試しください。"))
    except Exception:  # noqa: BLE001 - the door: nobody gets to see a stack trace
        error("an API call failed", path=found.path, method=found.method)
        return _problem(_fault(500, "api.failed", "処理中に問題が起きました。もう一度お試しください。"))


def _serve(found: Endpoint, incoming: Incoming, here: World, principal: Principal) -> Outgoing:
    path = {name: unquote(value) for name, value in incoming.path.items()}
    # DynamoDB takes keys of 1,024 bytes; nothing of ours has a name that long.
    if any(len(value.encode("utf-8", "replace")) > _MOST_IN_ADDRESS for value in path.values()):
        raise NotFoundError("resource.unknown")
    for name, value in incoming.query.items():
        if len(value.encode("utf-8", "replace")) > _MOST_IN_ADDRESS:
            raise InvalidError("api.parameter_malformed", name=name[:50])
    if len(incoming.body) > _MOST_BODY:
        raise InvalidError("api.body_malformed", path="$", problem=f"more than {_MOST_BODY} bytes")
    body = _decoded(found, incoming.body)
    if not found.idempotent:
        return _answer(found, found.handler(Call(here, principal, path, incoming.query, body)))
    key = incoming.headers.get("idempotency-key") or ""
    if not _IDEMPOTENCY_KEY.match(key):
        raise InvalidError("idempotency.key_missing")
    content = "\n".join([found.method, found.path, *path.values()]).encode() + b"\n" + incoming.body
    before = here.idempotency.begin(principal.key_id, key, hashlib.sha256(content).hexdigest())
    if before is not None:
        return Outgoing(before.status, before.body.encode())
    try:
        out = _answer(found, found.handler(Call(here, principal, path, incoming.query, body, key)))
    except DomainError:
        here.idempotency.forget(principal.key_id, key)
        raise
    here.idempotency.finish(principal.key_id, key, Answer(out.status, out.body.decode()))
    return out


def _decoded(found: Endpoint, body: bytes) -> Any:
    if found.request is None:
        return None
    try:
        return msgspec.json.decode(body or b"{}", type=found.request)
    except msgspec.ValidationError as wrong:
        sentence, _, path = str(wrong).partition(" - at ")
        raise InvalidError("api.body_malformed", path=path.strip("`") or "$", problem=sentence) from wrong
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise InvalidError("api.not_json") from wrong


def _answer(found: Endpoint, value: Any) -> Outgoing:
    if isinstance(value, Later):
        return Outgoing(202, msgspec.json.encode(value.view))
    return Outgoing(found.status, b"" if value is None else msgspec.json.encode(value))


def _problem(document: dict[str, Any]) -> Outgoing:
    return Outgoing(document["status"], msgspec.json.encode(document), "application/problem+json")


def _fault(status: int, code: str, sentence: str) -> dict[str, Any]:
    return {"type": f"https://enishi.dev/problems/{code}", "title": sentence, "status": status, "code": code}

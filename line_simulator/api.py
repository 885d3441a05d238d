"""The HTTP interface of api.line.me, api-data.line.me and the token endpoints, without a socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from line_simulator.accounts import Accounts
from line_simulator.exchange import ApiError, Request, Response, json_response
from line_simulator.faults import API_FAULTS, Fault, Faults
from line_simulator.findings import Findings
from line_simulator.journal import Call, Journal
from line_simulator.limits import Limits
from line_simulator.messages import check_messages
from line_simulator.operations import OPERATIONS
from line_simulator.routes import Match, Routes
from line_simulator.sending import Draft, Sender, check_retry_key
from line_simulator.state import Channel, JsonObject, World
from line_simulator.tokens import Tokens
from line_simulator.webhooks import Webhooks

BODY_MAX_BYTES: Final = 2 * 1024 * 1024
_RATE_LIMITED: Final = "The API rate limit has been exceeded. Try again later."
_NOT_JSON: Final = "The request body could not be parsed as JSON (line: 1, column: 1)"
_RETRY_KEY_OPERATIONS: Final = frozenset({"pushMessage", "multicast", "broadcast", "narrowcast"})
_BEFORE: Final = {
    "rate_limited": (429, _RATE_LIMITED),
    "monthly_limit": (429, "You have reached your monthly limit."),
    "unauthorized": (401, "Authentication failed due to the following reason: access token expired"),
    "forbidden": (403, "Access to this API is not available for your account"),
    "error_before_accept": (500, "Internal Server Error"),
}


@dataclass(slots=True)
class Context:
    """One call while it is being answered."""

    request: Request
    request_id: str
    operation_id: str
    parameters: dict[str, str]
    channel: Channel | None = None
    fault: Fault | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def owner(self) -> Channel:
        """The authenticated channel."""
        if self.channel is None:
            raise ApiError(401, "Authentication failed due to the following reason: missing authorization header")
        return self.channel


class Api:
    """Answers calls to LINE. Everything LINE documents but this simulator lacks is answered with 501."""

    def __init__(self, world: World, webhooks: Webhooks, faults: Faults, limits: Limits, journal: Journal) -> None:
        self._world = world
        self._faults = faults
        self._limits = limits
        self._journal = journal
        self._routes = Routes()
        self._notes = threading.local()
        self._sender = Sender(world, self._note)
        self._tokens = Tokens(world)
        accounts = Accounts(world, webhooks)
        self._form_handlers: dict[str, Callable[[dict[str, str]], Response]] = {
            "issueStatelessChannelToken": self._tokens.issue_stateless,
            "issueChannelToken": self._tokens.issue_short_lived,
            "verifyChannelToken": self._tokens.verify,
            "revokeChannelToken": self._tokens.revoke,
        }
        self._json_handlers: dict[str, Callable[[Context, JsonObject], Response]] = {
            "replyMessage": self._reply,
            "pushMessage": self._push,
            "multicast": self._multicast,
            "broadcast": self._broadcast,
            **{name: self._validate for name in _VALIDATIONS},
            "setWebhookEndpoint": lambda call, body: accounts.set_webhook(call.owner, body),
            "testWebhookEndpoint": lambda call, body: accounts.test_webhook(call.owner, body),
            "showLoadingAnimation": lambda call, body: accounts.start_loading(call.owner, body),
            "markMessagesAsReadByToken": lambda call, body: accounts.mark_as_read(call.owner, body),
        }
        self._handlers: dict[str, Callable[[Context], Response]] = {
            "getMessageQuota": lambda call: accounts.quota(call.owner),
            "getMessageQuotaConsumption": lambda call: accounts.consumption(call.owner),
            "getProfile": lambda call: accounts.profile(call.owner, call.parameters["userId"]),
            "getBotInfo": lambda call: accounts.bot_info(call.owner),
            "getFollowers": lambda call: accounts.followers(call.owner, call.request.parameters()),
            "issueLinkToken": lambda call: accounts.link_token(call.owner, call.parameters["userId"]),
            "getWebhookEndpoint": lambda call: accounts.webhook(call.owner),
            "getMessageContent": lambda call: accounts.content(call.owner, call.parameters["messageId"]),
            "getMessageContentPreview": lambda call: accounts.content(call.owner, call.parameters["messageId"], preview=True),
            "getMessageContentTranscodingByMessageId": lambda call: accounts.transcoding(call.owner, call.parameters["messageId"]),
            **{
                f"getNumberOfSent{via.capitalize()}Messages": self._sent_count(accounts, via)
                for via in ("reply", "push", "multicast", "broadcast")
            },
        }

    def handle(self, request: Request) -> Response:
        """Answer one call and write it into the journal."""
        self._notes.notes = []
        call = Context(request, self._world.ids.request_id(), "", {})
        try:
            response = self._answer(call)
        except ApiError as error:
            response = error.response()
        except RecursionError:
            # Nesting this deep is caught while reading or checking, before anything changed.
            response = ApiError(400, _NOT_JSON).response()
        response.headers["x-line-request-id"] = call.request_id
        if call.fault is not None:
            _spoil(response, call.fault)
        self._write(call, response)
        return response

    def coverage(self) -> list[dict[str, str]]:
        """Return every operation of LINE's specification with how far it is simulated: full, partial or none."""
        done = {*self._form_handlers, *self._json_handlers, *self._handlers}
        return [
            {
                "operationId": operation_id,
                "method": method,
                "path": path,
                "level": "partial" if operation_id in _PARTIAL else "full" if operation_id in done else "none",
                "note": _PARTIAL.get(operation_id, ""),
            }
            for method, path, operation_id in OPERATIONS
        ]

    def _answer(self, call: Context) -> Response:
        request = call.request
        match = self._routes.find(request.method, request.path)
        if not isinstance(match, Match):
            if match.allowed:
                error = ApiError(405, "Method Not Allowed")
                error.headers["Allow"] = ", ".join(match.allowed)
                raise error
            raise ApiError(404, "Not found")
        call.operation_id, call.parameters = match.operation_id, match.parameters
        if call.operation_id in self._form_handlers:
            return self._form(call)
        call.fault = self._unauthenticated_fault(request)
        try:
            with self._world.lock:
                call.channel = self._tokens.authenticate(request.headers.get("authorization"))
        finally:
            call.fault = call.fault or self._fault(call)
        self._strike_before(call)
        return self._authorized(call)

    def _form(self, call: Context) -> Response:
        call.fault = self._unauthenticated_fault(call.request) or self._fault(call)
        self._strike_before(call)
        form = call.request.form()
        if not self._limits.take(form.get("client_id", ""), call.operation_id, self._world.clock.time()):
            raise ApiError(429, _RATE_LIMITED)
        content_type = call.request.headers.get("content-type", "")
        if not content_type.startswith("application/x-www-form-urlencoded"):
            raise ApiError(415, f"The content type, {content_type}, is not supported")
        with self._world.lock:
            return self._form_handlers[call.operation_id](form)

    def _authorized(self, call: Context) -> Response:
        if not self._limits.take(call.owner.id, call.operation_id, self._world.clock.time()):
            raise ApiError(429, _RATE_LIMITED)
        if call.operation_id in self._json_handlers:
            body = _json_body(call.request, optional=call.operation_id == "testWebhookEndpoint")
            if call.operation_id == "testWebhookEndpoint":
                # This one waits for the product, which may be calling us meanwhile.
                return self._json_handlers[call.operation_id](call, body)
            with self._world.lock:
                return self._json_handlers[call.operation_id](call, body)
        if call.operation_id in self._handlers:
            check_retry_key(call.request.headers.get("x-line-retry-key"), supported=False)
            with self._world.lock:
                return self._handlers[call.operation_id](call)
        return json_response({"message": f"linesim: not implemented: {call.operation_id}"}, 501)

    def _fault(self, call: Context) -> Fault | None:
        channel = (call.channel.id, call.channel.name) if call.channel else None
        return self._faults.for_call(call.request.method, call.request.path, channel)

    def _unauthenticated_fault(self, request: Request) -> Fault | None:
        """Return the fault a test asks for in the x-linesim-fault header, written as `kind` or `kind;seconds`."""
        kind, _, seconds = request.headers.get("x-linesim-fault", "").partition(";")
        if kind not in API_FAULTS:
            return None
        return Fault(kind, seconds=float(seconds)) if seconds.replace(".", "", 1).isdigit() else Fault(kind)

    def _strike_before(self, call: Context) -> None:
        if call.fault is None:
            return
        if call.fault.kind in _BEFORE:
            raise ApiError(*_BEFORE[call.fault.kind])
        if call.fault.kind == "hang_before_accept":
            raise ApiError(500, "Internal Server Error")

    def _note(self, text: str) -> None:
        self._notes.notes.append(text)

    def _write(self, call: Context, response: Response) -> None:
        request = call.request
        self._journal.add(
            Call(
                at=self._world.clock.time(),
                method=request.method,
                path=request.path,
                query=request.query,
                channel_id=call.channel.id if call.channel else None,
                status=response.status,
                request_id=call.request_id,
                retry_key=request.headers.get("x-line-retry-key"),
                body=request.body,
                answer=response.body,
                authorized="authorization" in request.headers,
                note="; ".join(self._notes.notes),
                fault=call.fault.kind if call.fault else "",
            )
        )

    def _draft(self, call: Context, body: JsonObject) -> Draft:
        key = check_retry_key(call.request.headers.get("x-line-retry-key"), supported=call.operation_id in _RETRY_KEY_OPERATIONS)
        return Draft(call.owner, call.request.body, body, call.request_id, key)

    def _reply(self, call: Context, body: JsonObject) -> Response:
        return json_response({"sentMessages": self._sender.reply(self._draft(call, body))})

    def _push(self, call: Context, body: JsonObject) -> Response:
        return json_response({"sentMessages": self._sender.push(self._draft(call, body))})

    def _multicast(self, call: Context, body: JsonObject) -> Response:
        self._sender.multicast(self._draft(call, body))
        return json_response({})

    def _broadcast(self, call: Context, body: JsonObject) -> Response:
        self._sender.broadcast(self._draft(call, body))
        return json_response({})

    def _validate(self, call: Context, body: JsonObject) -> Response:
        self._draft(call, body)
        found = Findings()
        check_messages(found, body.get("messages"))
        found.raise_if_any()
        return json_response({})

    def _sent_count(self, accounts: Accounts, via: str) -> Callable[[Context], Response]:
        return lambda call: accounts.sent_count(call.owner, via, call.request.parameters())


_VALIDATIONS: Final = (
    "validateReply",
    "validatePush",
    "validateMulticast",
    "validateNarrowcast",
    "validateBroadcast",
)
_PARTIAL: Final[dict[str, str]] = {
    "issueStatelessChannelToken": "client_id and client_secret only, no client_assertion",
    "getMessageContentTranscodingByMessageId": "always succeeded",
    "getMessageContentPreview": "returns the original bytes",
    "pushMessage": "people only, no groups or rooms",
}


def _json_body(request: Request, *, optional: bool = False) -> JsonObject:
    if len(request.body) > BODY_MAX_BYTES:
        raise ApiError(413, "Request entity too large")
    if optional and not request.body:
        return {}
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, f"The content type, {content_type}, is not supported")
    try:
        content: Any = json.loads(request.body.decode("utf-8"))
    except json.JSONDecodeError as error:
        where = f"(line: {error.lineno}, column: {error.colno})"
        raise ApiError(400, f"The request body could not be parsed as JSON {where}") from None
    except (ValueError, RecursionError):
        raise ApiError(400, _NOT_JSON) from None
    if not isinstance(content, dict):
        raise ApiError(400, _NOT_JSON)
    return content


def _spoil(response: Response, fault: Fault) -> None:
    """Apply a fault that strikes after the call was decided."""
    match fault.kind:
        case "error_after_accept":
            response.status, response.body = 500, b'{"message":"Internal Server Error"}'
        case "hang_before_accept":
            response.delay, response.drop = fault.seconds, True
        case "hang_after_accept":
            response.delay = fault.seconds
        case "drop_connection":
            response.drop = True
        case "truncated_json":
            response.body = response.body[: max(1, len(response.body) // 2)]

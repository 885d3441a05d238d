"""The way of every call to LINE: find the operation, authenticate, limit, read the body, ask the area, write the journal."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from line_simulator.api.accounts import Accounts
from line_simulator.api.audiences import Audiences
from line_simulator.api.calls import Area, Context, Operation, Reads
from line_simulator.api.contents import Contents
from line_simulator.api.coupons import Coupons
from line_simulator.api.demographics import Demographics
from line_simulator.api.evidence import evidence_of, note_of
from line_simulator.api.groups import Groups
from line_simulator.api.insights import Insights
from line_simulator.api.liff import Liff
from line_simulator.api.limits import Limits
from line_simulator.api.login import Login, login_meaning
from line_simulator.api.marketplace import Marketplace
from line_simulator.api.memberships import Memberships
from line_simulator.api.narrowcasts import Narrowcasts
from line_simulator.api.operations import EXTRA, OPERATIONS, PAGES, SHARED
from line_simulator.api.rich_menus import RichMenus
from line_simulator.api.routes import Match, Routes
from line_simulator.api.sending import Sender
from line_simulator.api.spoiling import date_header, refusal, spoil
from line_simulator.api.tokens import Tokens
from line_simulator.exchange import ApiError, Request, Response, SimulatorError, json_response
from line_simulator.faults.faults import Fault, Faults, asked_fault
from line_simulator.journal import Call, Journal
from line_simulator.webhooks.webhooks import Webhooks
from line_simulator.world.state import JsonObject, World

BODY_MAX_BYTES: Final = 2 * 1024 * 1024
_RATE_LIMITED: Final = "The API rate limit has been exceeded. Try again later."
_NOT_JSON: Final = "The request body could not be parsed as JSON (line: 1, column: 1)"


class Api:
    """Answers calls to LINE. Everything LINE documents but this simulator lacks is answered with 501."""

    def __init__(self, world: World, webhooks: Webhooks, faults: Faults, limits: Limits, journal: Journal) -> None:
        self._world = world
        self._faults = faults
        self._limits = limits
        self._journal = journal
        self._routes = Routes()
        self.tokens = Tokens(world)
        login = Login(world, self.tokens, faults)
        narrowcasts = Narrowcasts(world)
        self.resume = narrowcasts.resume
        accounts = Accounts(world, webhooks)
        marketplace = Marketplace(world, accounts)
        self._modules = marketplace.modules
        areas: tuple[Area, ...] = (
            self.tokens,
            Sender(world),
            accounts,
            RichMenus(world),
            narrowcasts,
            Audiences(world),
            Demographics(world),
            Insights(world),
            Coupons(world),
            Memberships(world),
            Groups(world),
            Contents(world),
            login,
            Liff(world, self.tokens, login),
            marketplace,
        )
        self._operations: dict[str, Operation] = {}
        for area in areas:
            self._operations.update(area.operations())

    def handle(self, request: Request) -> Response:
        """Answer one call and write it into the journal."""
        call = Context(request, self._world.ids.request_id(), "", {})
        try:
            response = self._answer(call)
        except ApiError as error:
            response = error.response()
        except SimulatorError as error:
            response = json_response({"message": str(error)}, error.status)
        except RecursionError:
            # Nesting this deep is caught while reading or checking, before anything changed.
            response = ApiError(400, _NOT_JSON).response()
        response.headers["x-line-request-id"] = call.request_id
        response.headers["Date"] = date_header(self._world.clock.time(), call.fault)
        if call.fault is not None:
            spoil(response, call.fault)
        self._write(call, response)
        return response

    def coverage(self) -> list[dict[str, str]]:
        """Return every operation of LINE's specification, and those of LINE Login and LIFF, with how far it is simulated: full, partial or none."""
        return [self._describe(*one) for one in OPERATIONS + EXTRA + SHARED]

    def _describe(self, method: str, path: str, operation_id: str) -> dict[str, str]:
        known = self._operations.get(operation_id)
        level = "none" if known is None else "partial" if known.partial else "full"
        return {
            "operationId": operation_id,
            "method": method,
            "path": path,
            "level": level,
            "note": note_of(operation_id, known.partial) if known else "",
            "evidence": evidence_of(operation_id) if known else "",
        }

    def _answer(self, call: Context) -> Response:
        request = call.request
        match = self._routes.find(request.method, request.path)
        if not isinstance(match, Match):
            if match.allowed:
                error = ApiError(405, "Method Not Allowed")
                error.headers["Allow"] = ", ".join(match.allowed)
                raise error
            raise ApiError(404, "Not found")
        call.operation_id = login_meaning(self._world, match.operation_id, request)
        call.parameters = match.parameters
        operation = self._operations.get(call.operation_id)
        call.fault = asked_fault(request.headers.get("x-linesim-fault", ""))
        try:
            if operation is None or operation.account:
                with self._world.lock:
                    call.channel = self.tokens.authenticate(request.headers.get("authorization"))
                    self._modules.enter(call)
        finally:
            call.fault = call.fault or self._fault(call)
        self._strike_before(call)
        if operation is None:
            return json_response({"message": f"linesim: not implemented: {call.operation_id}"}, 501)
        return self._run(call, operation)

    def _run(self, call: Context, operation: Operation) -> Response:
        if operation.reads is Reads.FORM:
            call.form = call.request.form()
        payer = call.channel.id if call.channel else call.form.get("client_id", "")
        if call.module is not None:
            # Limits of a module channel count for each account (Module, Rate limits).
            payer = f"{call.module.id}/{payer}"
        if not self._limits.take(payer, call.operation_id, self._world.clock.time()):
            raise ApiError(429, _RATE_LIMITED)
        if operation.reads is Reads.JSON:
            call.body = _json_body(call.request, optional=operation.optional_body)
        elif operation.reads is Reads.FORM:
            _check_form(call.request)
        if operation.account and not operation.retry_key and "x-line-retry-key" in call.request.headers:
            raise ApiError(400, "The X-Line-Retry-Key header is not supported by this endpoint")
        if not operation.locked:
            return operation.act(call)
        with self._world.lock:
            self._modules.inward(call)
            return self._modules.outward(call, operation.act(call))

    def _fault(self, call: Context) -> Fault | None:
        request, channel = call.request, (call.channel.id, call.channel.name) if call.channel else None
        if call.operation_id in PAGES:
            return None
        paged = "start=" in request.query
        return self._faults.for_call(request.method, request.path, channel, call.operation_id, paged=paged)

    def _strike_before(self, call: Context) -> None:
        error = refusal(call.fault) if call.fault else None
        if error is None:
            return
        if error.status == 409:
            error.headers["x-line-accepted-request-id"] = self._world.ids.request_id()
        raise error

    def _write(self, call: Context, response: Response) -> None:
        request = call.request
        self._journal.add(
            Call(
                at=self._world.clock.time(),
                method=sys.intern(request.method),
                path=sys.intern(request.path),
                query=request.query,
                channel_id=call.channel.id if call.channel else call.client_id or None,
                status=response.status,
                request_id=call.request_id,
                retry_key=request.headers.get("x-line-retry-key"),
                body=request.body,
                answer=response.body,
                authorized="authorization" in request.headers,
                note="; ".join(call.notes),
                fault=call.fault.kind if call.fault else "",
                operation_id=call.operation_id,
                content_type=response.content_type,
            )
        )


def _check_form(request: Request) -> None:
    content_type = request.headers.get("content-type", "")
    if not content_type.startswith("application/x-www-form-urlencoded"):
        raise ApiError(415, f"The content type, {content_type}, is not supported")


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

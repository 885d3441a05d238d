"""Where shops and tills report orders and events: the source in the address, its signature over the raw bytes, the answer at once.

Whatever is signed and can be read is answered by 200, with a problem beside each report that cannot be taken: shops send the
same again on any other status, and Shopify forgets a webhook that refuses too often.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from chalice.app import Blueprint, Response

from chalicelib.customers.model import clean
from chalicelib.entrypoints.admin_api.customers import OrderBody
from chalicelib.entrypoints.admin_api.events import EventBody, take_events
from chalicelib.entrypoints.admin_api.framework import Body, View, instant
from chalicelib.entrypoints.line_webhook import raw_bytes
from chalicelib.entrypoints.problems import problem_of
from chalicelib.kernel.errors import DomainError, InvalidError, TemporaryError
from chalicelib.kernel.ids import Cid, customer_id
from chalicelib.observability import count, error
from chalicelib.reactions import react_to_orders
from chalicelib.sources.model import MOST_ORDERS, SHOPIFY_TOPICS, Report, Source, SourceKind, read
from chalicelib.wiring import World, world

routes = Blueprint(__name__)
_MOST_BODY = 300_000


class ReportBody(Body, kw_only=True):
    """What a system of the kind `enishi` sends."""

    orders: Annotated[list[OrderBody], msgspec.Meta(max_length=MOST_ORDERS)] = msgspec.field(default_factory=list)
    events: Annotated[list[EventBody], msgspec.Meta(max_length=MOST_ORDERS)] = msgspec.field(default_factory=list)


class Taken(View, kw_only=True):
    """What became of one report: whom it concerns, or why it was not taken. id: an order's number or an event's id."""

    id: str
    customer_id: str = ""
    problem: dict[str, Any] | None = None


class AllTaken(View, kw_only=True):
    """What became of each, orders first."""

    items: list[Taken]


@routes.route("/hooks/{source}", methods=["POST"], content_types=["*/*"])
def take_reports(source: str) -> Response:
    """Take what a source reports."""
    request = routes.current_request
    headers = {name.lower(): value for name, value in request.headers.items()}
    status, content = answer(world(), source, headers, raw_bytes(request))
    kind = "application/json" if status < 400 else "application/problem+json"
    return Response(body=content.decode(), status_code=status, headers={"Content-Type": kind, "Cache-Control": "no-store"})


def answer(here: World, source_id: str, headers: Mapping[str, str], body: bytes) -> tuple[int, bytes]:
    """Return status and body of the answer to a source."""
    try:
        if len(body) > _MOST_BODY:
            raise InvalidError("api.body_malformed", path="$", problem=f"more than {_MOST_BODY} bytes")
        source = here.sources.proven(source_id, headers, body)
        items = _taken(here, source, headers, body)
    except DomainError as refused:
        count("ReportRefused", Code=refused.code)
        return refused.status, msgspec.json.encode(problem_of(refused))
    except TemporaryError:
        error("a report could not be taken", source=source_id)
        return 503, b'{"code":"api.unavailable","status":503}'
    for item in items:
        if item.problem:
            count("ReportRefused", Code=item.problem["code"])
    return 200, msgspec.json.encode(AllTaken(items=items))


def _taken(here: World, source: Source, headers: Mapping[str, str], body: bytes) -> list[Taken]:
    if source.kind is SourceKind.ENISHI:
        given = _decoded(body, ReportBody)
        orders = [_report(source, order) for order in given.orders]
        items = _orders(here, source, orders, [order.order_no for order in given.orders])
        outcomes = take_events(here, given.events) if given.events else []
        return items + [_item(event.event_id, outcome) for event, outcome in zip(given.events, outcomes, strict=True)]
    if source.kind is SourceKind.SHOPIFY and (
        headers.get("x-shopify-topic") not in SHOPIFY_TOPICS or headers.get("x-shopify-test") == "true"
    ):
        return []  # what was subscribed to by mistake, and Shopify's own trials
    orders = read(source, _decoded(body, Any))
    return _orders(here, source, orders, [one.order_no if isinstance(one, Report) else "" for one in orders])


def _decoded(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as wrong:
        sentence, _, path = str(wrong).partition(" - at ")
        raise InvalidError("api.body_malformed", path=path.strip("`") or "$", problem=sentence) from wrong
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise InvalidError("api.not_json") from wrong


def _report(source: Source, given: OrderBody) -> Report | DomainError:
    try:
        instant(given.ordered_at, InvalidError("order.time_malformed", field="ordered_at"))
        member_no = clean("member_no", given.member_no)
        if member_no is None:
            raise InvalidError("customer.member_no_missing", field="member_no")
    except DomainError as wrong:
        return wrong
    shop = given.shop or source.shop
    return Report(given.order_no, member_no, given.ordered_at, given.amount_yen, given.order_lines(), shop)


def _orders(here: World, source: Source, reports: list[Report | DomainError], ids: list[str]) -> list[Taken]:
    good = [report for report in reports if isinstance(report, Report)]
    facts, found = here.sources.take(source, good) if good else ([], [])
    react_to_orders(facts, here)
    outcomes = iter(found)
    return [
        _item(number, next(outcomes) if isinstance(report, Report) else report) for number, report in zip(ids, reports, strict=True)
    ]


def _item(number: str, outcome: Cid | DomainError) -> Taken:
    if isinstance(outcome, DomainError):
        return Taken(id=number, problem=problem_of(outcome))
    return Taken(id=number, customer_id=customer_id(outcome))

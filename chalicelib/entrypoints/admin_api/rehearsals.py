"""Rehearsals: what a drawing would do, before it does it. Nothing is sent and nothing is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec

from chalicelib.entrypoints.admin_api.framework import Body, Call, View, endpoint, instant
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import Cid, customer_id, parse_customer_id
from chalicelib.scenarios.costs import Prices

if TYPE_CHECKING:
    from chalicelib.scenarios.dry import Rate
    from chalicelib.scenarios.forecast import Forecast

_MOST_PEOPLE = 2_000  # a rehearsal of so many comes to its end within the seconds of one call
_DEFAULT = Prices()
Price = Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]
Number = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
Hours = Annotated[float, msgspec.Meta(ge=0, le=2_400)]


class RateBody(Body, kw_only=True):
    """How many of those who get a message react, and within how many hours."""

    rate: Annotated[float, msgspec.Meta(ge=0, le=1)]
    within_hours: tuple[Hours, Hours] = (1.0, 60.0)


class PricesBody(Body, kw_only=True):
    """Yen. line_used: what else was sent in the month; sms_part: each part of an SMS; postal: a letter, postage and print."""

    line_fee: Price = _DEFAULT.line_fee
    line_included: Number = _DEFAULT.line_included
    line_used: Number = _DEFAULT.line_used
    line_extra: Price = _DEFAULT.line_extra
    sms_part: Price = _DEFAULT.sms_part
    postal: Price = _DEFAULT.postal
    email: Price = _DEFAULT.email


class RehearsalBody(Body, kw_only=True):
    """What is to be rehearsed: rates by the id of a send, and `goal`; customers: these, not a sample of the audience."""

    begins_at: datetime | None = msgspec.field(default=None, name="from")
    days: Annotated[int, msgspec.Meta(ge=1, le=400)] = 90
    sample: Annotated[int, msgspec.Meta(ge=1, le=_MOST_PEOPLE)] = 500
    customers: Annotated[list[str], msgspec.Meta(max_length=_MOST_PEOPLE)] = []
    rates: dict[str, RateBody] = {}
    prices: PricesBody = msgspec.field(default_factory=PricesBody)


class StepView(View, kw_only=True):
    """A step, in numbers of the whole audience."""

    node: str
    label: str
    kind: str
    people: int
    ways: dict[str, int]
    messages: dict[str, int]
    billable: dict[str, int]
    skipped: dict[str, int]
    held: dict[str, int]
    responses: int
    yen: float
    first_at: datetime | None
    last_at: datetime | None


class LineView(View, kw_only=True):
    """One thing that would happen to somebody."""

    at: datetime
    node: str
    ja: str
    en: str
    text: str


class SampleView(View, kw_only=True):
    """How it would go for one person."""

    customer_id: str
    lines: list[LineView]


class WarningView(View, kw_only=True):
    """Something to look at before publishing."""

    code: str
    ja: str
    en: str


class AwsView(View, kw_only=True):
    """Dollars, and what they are for; one_execution_each: the transitions of a design with one execution a person."""

    transitions: int
    one_execution_each: int
    writes: int
    calls: int
    dollars: float


class RehearsalView(View, kw_only=True):
    """What a drawing would do. audience: how many the figures are for; rehearsed: how many they were scaled up from."""

    audience: int
    rehearsed: int
    steps: list[StepView]
    ends: dict[str, int]
    line_by_month: dict[str, int]
    yen: dict[str, float]
    aws: AwsView
    warnings: list[WarningView]
    samples: list[SampleView]


@endpoint(
    "POST", "/scenarios/{scenario_id}/rehearsals", scope="scenarios:read", request=RehearsalBody, response=RehearsalView,
    summary="リハーサル（何も送らず、結果を予測） / Rehearse a drawing: nothing is sent",
)  # fmt: skip
def rehearse(call: Call[RehearsalBody]) -> RehearsalView:
    """Rehearse a drawing."""
    # Not at the top: a cold start of the API needs neither the engine nor the tables.
    from chalicelib.scenarios.rehearsals import Wanted

    body = call.body
    refusal = InvalidError("api.parameter_malformed", name="from")
    begins_at = instant(body.begins_at, refusal) if body.begins_at else call.world.clock.now()
    wanted = Wanted(
        begins_at=begins_at.astimezone(UTC),
        days=body.days,
        sample=body.sample,
        cids=[_cid(text) for text in body.customers],
        rates={node: _rate(given) for node, given in body.rates.items()},
        prices=Prices(**msgspec.structs.asdict(body.prices)),
    )
    return _view(call.world.rehearsals.run(call.path["scenario_id"], wanted))


def _cid(text: str) -> Cid:
    cid = parse_customer_id(text)
    if cid is None:
        raise InvalidError("api.parameter_malformed", name="customers")
    return cid


def _rate(given: RateBody) -> Rate:
    from chalicelib.scenarios.dry import Rate

    low, high = given.within_hours
    if low > high:
        raise InvalidError("api.parameter_malformed", name="within_hours")
    return Rate(given.rate, (low, high))


def _view(found: Forecast) -> RehearsalView:
    return RehearsalView(
        audience=found.audience,
        rehearsed=found.rehearsed,
        steps=[msgspec.convert(step, StepView, from_attributes=True) for step in found.steps],
        ends=dict(found.ends),
        line_by_month=dict(found.line_by_month),
        yen=dict(found.yen),
        aws=AwsView(
            transitions=found.aws.transitions,
            one_execution_each=found.one_each,
            writes=found.aws.writes,
            calls=found.aws.calls,
            dollars=round(found.aws.total, 4),
        ),
        warnings=[msgspec.convert(one, WarningView, from_attributes=True) for one in found.warnings],
        samples=[
            SampleView(
                customer_id=customer_id(one.cid),
                lines=[msgspec.convert(line, LineView, from_attributes=True) for line in one.lines],
            )
            for one in found.samples
        ],
    )

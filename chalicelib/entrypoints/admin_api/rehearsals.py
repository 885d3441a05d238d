"""Rehearsals: what a drawing would do, before it does it. Nothing is sent and nothing is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from chalicelib.entrypoints.admin_api.framework import Body, Call, Later, View, endpoint, instant
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import Cid, customer_id, parse_customer_id
from chalicelib.scenarios.costs import Prices

if TYPE_CHECKING:
    from chalicelib.scenarios.dry import Rate
    from chalicelib.scenarios.forecast import Forecast
    from chalicelib.scenarios.rehearsals import Wanted

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
    """Yen. line_used: what else is sent in the month, null for what LINE has counted; postal: postage and print of a letter."""

    line_fee: Price = _DEFAULT.line_fee
    line_included: Number = _DEFAULT.line_included
    line_used: Number | None = _DEFAULT.line_used
    line_extra: Price = _DEFAULT.line_extra
    sms_part: Price = _DEFAULT.sms_part
    postal: Price = _DEFAULT.postal
    email: Price = _DEFAULT.email


class RehearsalBody(Body, kw_only=True):
    """What is to be rehearsed: rates by the id of a send, and `goal`; customers: these, not a sample of the audience.

    A rate that is not given is `history`: as many as reacted in the published versions. everybody: not a sample; answers
    202, and the result is at GET /v1/rehearsals/{rehearsal_id}.
    """

    begins_at: datetime | None = msgspec.field(default=None, name="from")
    days: Annotated[int, msgspec.Meta(ge=1, le=400)] = 90
    sample: Annotated[int, msgspec.Meta(ge=1, le=_MOST_PEOPLE)] = 500
    customers: Annotated[list[str], msgspec.Meta(max_length=_MOST_PEOPLE)] = []
    everybody: bool = False
    rates: dict[str, RateBody | Literal["history"]] | Literal["history"] = "history"
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


class RateView(View, kw_only=True):
    """A rate that was reckoned with. origin: given, history (of this step), history_of_all (steps), default (nothing is known).

    seen: how many messages, or people for the goal, it was taken from.
    """

    rate: float
    within_hours: tuple[float, float]
    origin: str
    seen: int


class QuotaView(View, kw_only=True):
    """What the LINE account may send in the month in which it begins, and has sent. limit: null when there is none."""

    limit: int | None
    used: int


class AwsView(View, kw_only=True):
    """Dollars, and what they are for; one_execution_each: the transitions of a design with one execution a person.

    is_exact: whether they were counted, or estimated from those who were played.
    """

    transitions: int
    one_execution_each: int
    writes: int
    calls: int
    dollars: float
    is_exact: bool


class RehearsalView(View, kw_only=True):
    """What a drawing would do. audience: how many the figures are for; rehearsed: how many real people they come from.

    audience_is_exact: false when there are at least so many. played: the rehearsed, and others like them who react at other
    times; the figures are theirs, scaled up to the audience.
    """

    audience: int
    audience_is_exact: bool
    rehearsed: int
    played: int
    rates: dict[str, RateView]
    steps: list[StepView]
    ends: dict[str, int]
    line_by_month: dict[str, int]
    yen: dict[str, float]
    aws: AwsView
    line_quota: QuotaView | None
    warnings: list[WarningView]
    samples: list[SampleView]


class OrderedView(View, kw_only=True):
    """A rehearsal that is on its way."""

    rehearsal_id: str


class StandingView(View, kw_only=True):
    """How a rehearsal of everybody stands. problem: why it failed, a code, or `gave_up`. It is kept for thirty days."""

    rehearsal_id: str
    scenario_id: str
    status: Literal["queued", "running", "done", "failed"]
    share_done: float
    problem: str
    result: RehearsalView | None


@endpoint(
    "POST", "/scenarios/{scenario_id}/rehearsals", scope="scenarios:write", request=RehearsalBody, response=RehearsalView,
    later=OrderedView, summary="リハーサル（何も送らず、結果を予測） / Rehearse a drawing: nothing is sent",
)  # fmt: skip
def rehearse(call: Call[RehearsalBody]) -> RehearsalView | Later:
    """Rehearse a drawing."""
    wanted = _wanted(call)
    if not call.body.everybody:
        return _view(call.world.rehearsals.run(call.path["scenario_id"], wanted))
    rehearsal_id, steps = call.world.full_rehearsals.order(call.path["scenario_id"], wanted)
    enqueue(steps, call.world)
    return Later(OrderedView(rehearsal_id=rehearsal_id))


@endpoint(
    "GET", "/rehearsals/{rehearsal_id}", scope="scenarios:read", response=StandingView,
    summary="全員でのリハーサルの状況と結果 / How a rehearsal of everybody stands",
)  # fmt: skip
def get_rehearsal(call: Call[None]) -> StandingView:
    """Return how a rehearsal stands, and its result."""
    found = call.world.full_rehearsals.get(call.path["rehearsal_id"])
    return StandingView(
        rehearsal_id=call.path["rehearsal_id"],
        scenario_id=found.scenario_id,
        status=found.status.value,
        share_done=found.share_done,
        problem=found.problem,
        result=_view(found.result) if found.result else None,
    )


def _wanted(call: Call[RehearsalBody]) -> Wanted:
    # Not at the top: a cold start of the API needs neither the engine nor the tables.
    from chalicelib.scenarios.rehearsals import Wanted

    body = call.body
    if body.everybody and body.customers:
        raise InvalidError("api.parameter_malformed", name="customers")
    refusal = InvalidError("api.parameter_malformed", name="from")
    begins_at = instant(body.begins_at, refusal) if body.begins_at else call.world.clock.now()
    given: dict[str, Any] = {} if body.rates == "history" else dict(body.rates)
    return Wanted(
        begins_at=begins_at.astimezone(UTC),
        days=body.days,
        sample=body.sample,
        cids=[_cid(text) for text in body.customers],
        rates={name: None if rate == "history" else _rate(rate) for name, rate in given.items()},
        prices=Prices(**msgspec.structs.asdict(body.prices)),
    )


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
        audience_is_exact=found.audience_is_exact,
        rehearsed=found.rehearsed,
        played=found.played,
        rates={name: msgspec.convert(one, RateView, from_attributes=True) for name, one in found.expected.items()},
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
            is_exact=found.aws_is_exact,
        ),
        line_quota=QuotaView(limit=found.line_quota.limit, used=found.line_quota.used) if found.line_quota else None,
        warnings=[msgspec.convert(one, WarningView, from_attributes=True) for one in found.warnings],
        samples=[
            SampleView(
                customer_id=customer_id(one.cid),
                lines=[msgspec.convert(line, LineView, from_attributes=True) for line in one.lines],
            )
            for one in found.samples
        ],
    )

"""What happens elsewhere: shops, tills and booking systems report it, and scenarios start or go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec

from chalicelib.customers.model import clean
from chalicelib.entrypoints.admin_api.framework import Body, Call, Name, View, endpoint, instant
from chalicelib.entrypoints.problems import problem_of
from chalicelib.kernel.errors import DomainError, InvalidError
from chalicelib.kernel.facts import Occurred
from chalicelib.kernel.ids import Cid, customer_id, parse_customer_id
from chalicelib.wiring import World

_MOST = 100
_AT_ONCE = 10  # of one message to the worker: its reactions must come to an end within a function's time
_OLDEST, _EARLY = timedelta(days=30), timedelta(minutes=5)


class EventBody(Body, kw_only=True):
    """Something that happened to one person. event_id: the same when it is told again; one for all systems that report.

    The person: member_no or customer_id. name: of the survey, form, booking menu or custom event. data: up to ten short
    texts, for the messages and dates of what it starts, e.g. `starts_at`.
    """

    event: Literal[
        "survey_answered", "form_submitted", "reservation_made", "reservation_visited", "reservation_cancelled", "visited", "custom"
    ]  # fmt: skip
    event_id: Annotated[str, msgspec.Meta(pattern="^[!-~]+$", max_length=64)]
    name: Name = ""
    member_no: str = ""
    customer_id: str = ""
    occurred_at: datetime | None = None
    data: Annotated[
        dict[
            Annotated[str, msgspec.Meta(pattern="^(?!(at|name)$)[a-z][a-z0-9_]*$", max_length=40)],
            Annotated[str, msgspec.Meta(max_length=200)],
        ],
        msgspec.Meta(max_length=10),
    ] = {}


class EventList(Body, kw_only=True):
    """Up to a hundred of them."""

    events: Annotated[list[EventBody], msgspec.Meta(min_length=1, max_length=_MOST)]


class EventTaken(View, kw_only=True):
    """What became of an event: whom it concerns."""

    event_id: str
    customer_id: str


class EventOutcome(View, kw_only=True):
    """What became of an event; problem: why it was not taken, empty when it was."""

    event_id: str
    customer_id: str = ""
    problem: dict[str, Any] | None = None


class EventOutcomes(View, kw_only=True):
    """What became of each, in the order given."""

    items: list[EventOutcome]


@endpoint(
    "POST", "/events", scope="events:write", request=EventBody, response=EventTaken, status=202,
    summary="出来事を知らせる（予約・フォーム・アンケートなど。同じevent_idは1回だけ） / Report an event, once",
)  # fmt: skip
def report_event(call: Call[EventBody]) -> EventTaken:
    """Report an event."""
    (outcome,) = take_events(call.world, [call.body])
    if isinstance(outcome, DomainError):
        raise outcome
    return EventTaken(event_id=call.body.event_id, customer_id=customer_id(outcome))


@endpoint(
    "POST", "/events/batch", scope="events:write", request=EventList, response=EventOutcomes, status=202,
    summary="出来事をまとめて知らせる（100件まで） / Report up to a hundred events",
)  # fmt: skip
def report_events(call: Call[EventList]) -> EventOutcomes:
    """Report events."""
    given = call.body.events
    return EventOutcomes(
        items=[
            EventOutcome(event_id=event.event_id, problem=problem_of(outcome))
            if isinstance(outcome, DomainError)
            else EventOutcome(event_id=event.event_id, customer_id=customer_id(outcome))
            for event, outcome in zip(given, take_events(call.world, given), strict=True)
        ]
    )


def take_events(here: World, events: list[EventBody]) -> list[Cid | DomainError]:
    """Keep events and hand them over to the worker; return whom each concerns, or why it was not taken."""
    facts = [_fact(here, event) for event in events]
    good = {fact.fact_id: fact for fact in reversed(facts) if isinstance(fact, Occurred)}
    kept = {fact.fact_id: fact for fact in here.tracking.keep_occurrences(list(good.values()))}
    living = here.customers.living(fact.cid for fact in kept.values())
    outcomes: list[Cid | DomainError] = []
    for fact in facts:
        if isinstance(fact, DomainError):
            outcomes.append(fact)
        elif living[kept[fact.fact_id].cid] != fact.cid:
            outcomes.append(InvalidError("event.of_another_customer"))
        else:
            outcomes.append(fact.cid)
    taken = dict.fromkeys(
        fact.fact_id
        for fact, outcome in zip(facts, outcomes, strict=True)
        if isinstance(fact, Occurred) and isinstance(outcome, int)
    )
    for part in _parts(list(taken)):
        here.events.put(json.dumps({"fact_ids": part}), {"kind": "occurred"})
    return outcomes


def _parts(fact_ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(fact_ids), _AT_ONCE):
        yield fact_ids[start : start + _AT_ONCE]


def _fact(here: World, given: EventBody) -> Occurred | DomainError:
    try:
        now = here.clock.now()
        if given.event == "custom" and not given.name:
            raise InvalidError("event.name_missing")
        refusal = InvalidError("event.time_malformed", days=_OLDEST.days)
        at = instant(given.occurred_at, refusal) if given.occurred_at else now
        if not now - _OLDEST <= at <= now + _EARLY:
            raise refusal
        return Occurred(
            fact_id=f"{given.event}|{given.event_id}", cid=_person(here, given), at=at, event=given.event, name=given.name,
            data=given.data,
        )  # fmt: skip
    except DomainError as error:
        return error


def _person(here: World, given: EventBody) -> Cid:
    if bool(given.member_no) == bool(given.customer_id):
        raise InvalidError("event.person_missing")
    customers = here.customers
    if given.member_no:
        return customers.by_member_no(clean("member_no", given.member_no) or "-").cid
    return customers.get(parse_customer_id(given.customer_id) or Cid(0)).cid

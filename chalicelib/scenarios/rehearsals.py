"""Rehearse a drawing with the company's own people; everything here only reads."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from chalicelib.delivery.caps import Caps
from chalicelib.delivery.service import Delivery
from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import InvalidError, NotFoundError, PermanentError, TemporaryError
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.messages.model import Template
from chalicelib.messages.service import Messages
from chalicelib.ports.line import Quota
from chalicelib.scenarios.cautions import month_of
from chalicelib.scenarios.costs import Prices
from chalicelib.scenarios.dry import Rate, drawn
from chalicelib.scenarios.expectations import expectations
from chalicelib.scenarios.forecast import Forecast, Known, forecast
from chalicelib.scenarios.graph import BranchNode, DateTrigger, Scenario, SendNode, parse
from chalicelib.scenarios.model import Version
from chalicelib.scenarios.rehearsal import GOAL, Assumptions, Rehearsal, enters_at
from chalicelib.scenarios.reports import Report, Reports
from chalicelib.scenarios.schedules import audience_of
from chalicelib.scenarios.service import Scenarios
from chalicelib.segments.model import Person
from chalicelib.segments.service import Segments
from chalicelib.settings import settings

# A call of the API ends after 29 seconds. Reading people is what takes long: the rest, 2,000 people loaded whole and ten
# thousand played, takes a third of that on the slow half gigabyte of its function.
_LOOK_SECONDS = 8.0
_PLAYED = 10_000  # so many fill the shards and the five-minute windows, as a whole audience does
_ANOTHER = 2**40 + 1  # numbers that nobody has, spread over the shards as people's own


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be rehearsed. cids: these people; none: a sample of those whom the scenario means.

    rates: by send, and `goal`; None, or none at all: as in earlier versions.
    """

    begins_at: datetime
    days: int = 90
    sample: int = 500
    cids: Sequence[Cid] = ()
    rates: Mapping[str, Rate | None] = field(default_factory=dict)
    prices: Prices = field(default_factory=Prices)


@dataclass(frozen=True, slots=True)
class Found:
    """Who is rehearsed. audience, is_exact: how many there are in all, or the least there are. faces: see forecast.Known."""

    people: dict[Cid, Person]
    audience: int
    is_exact: bool = True
    faces: Mapping[Cid, Person] = field(default_factory=dict)


class Rehearsals:
    """Rehearses drawings."""

    def __init__(
        self,
        scenarios: Scenarios,
        segments: Segments,
        messages: Messages,
        accounts: LineAccounts,
        caps: Caps,
        reports: Reports,
        delivery: Delivery,
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._scenarios = scenarios
        self._segments = segments
        self._messages = messages
        self._accounts = accounts
        self._caps = caps
        self._reports = reports
        self._delivery = delivery
        self._clock = clock
        self._monotonic = monotonic

    def run(self, scenario_id: str, wanted: Wanted) -> Forecast:
        """Return what the drawing of a scenario would do. Raises NotFoundError, InvalidError(`scenario.has_problems`)."""
        version = self.drawing(scenario_id, wanted)
        return self.play(version, wanted, self._found(version.graph, wanted))

    def drawing(self, scenario_id: str, wanted: Wanted) -> Version:
        """Return the version that a scenario's drawing would become. Raises as `run`."""
        head = self._scenarios.get(scenario_id)
        problems = self._scenarios.problems(scenario_id)
        if problems:
            raise InvalidError("scenario.has_problems", problems=problems)
        graph = parse(head.draft)
        if set(wanted.rates) - {GOAL, *graph.nodes}:
            raise InvalidError("api.parameter_malformed", name="rates")
        return Version(head.scenario_id, head.version + 1, graph)

    def play(self, version: Version, wanted: Wanted, found: Found) -> Forecast:
        """Return what a version would do with these people."""
        expected = expectations(version.graph, wanted.rates, self._history(version))
        rates = {name: one.as_rate for name, one in expected.items()}
        assumed = Assumptions(wanted.begins_at, wanted.days, rates, self._caps.limits())
        templates = self._templates(version.graph)
        quota = self._quota(version.graph, wanted.begins_at)
        prices = wanted.prices
        if prices.line_used is None:
            prices = replace(prices, line_used=quota.used if quota else 0)
        people = _with_others(found.people, min(_PLAYED, found.audience))
        rehearsal = Rehearsal(
            version, people, templates, self.accounts(), assumed, lambda name: self._segments.saved(name).condition
        )
        rehearsal.run()
        known = Known(found.audience, found.is_exact, len(found.people), expected, quota, found.faces, settings().company_name)
        return forecast(rehearsal, templates, prices, known)

    def accounts(self) -> list[AccountKey]:
        """Return the keys of all LINE accounts."""
        return [account.key for account in self._accounts.everyone()]

    def _found(self, graph: Scenario, wanted: Wanted) -> Found:
        """Return who is rehearsed, and how many there are of them in all."""
        if wanted.cids:
            known = self._segments.load(wanted.cids, self.accounts(), conditions=conditions_of(graph)).values()
            named = {person.cid: person for person in known if comes(graph, person, wanted)}
            return Found(named, len(named))
        end = self._monotonic() + _LOOK_SECONDS
        stopped: list[bool] = []

        def stop() -> bool:
            if self._monotonic() >= end:
                stopped.append(True)
            return bool(stopped)

        # Those with the smallest numbers that belong to them: a sample that is the same every time.
        chosen: list[tuple[float, Cid]] = []
        audience = 0
        for person in self._segments.find(meant(graph), wanted.begins_at, account_of(graph), stop=stop):
            if not comes(graph, person, wanted):
                continue
            audience += 1
            entry = (-drawn("sample", person.cid)[0], person.cid)
            if len(chosen) < wanted.sample:
                heapq.heappush(chosen, entry)
            elif entry > chosen[0]:
                heapq.heapreplace(chosen, entry)
        loaded = self._segments.load(sorted(cid for _, cid in chosen), self.accounts(), conditions=conditions_of(graph))
        return Found({person.cid: person for person in loaded.values()}, audience, is_exact=not stopped)

    def _history(self, version: Version) -> list[Report]:
        """Return the reports of the versions that were published."""
        numbers = [published["version"] for published in self._scenarios.versions(version.scenario_id)]
        return [self._reports.report(version.scenario_id, number) for number in numbers]

    def _quota(self, graph: Scenario, begins_at: datetime) -> Quota | None:
        """Return what the drawing's LINE account, or the only one, may send in the month; None when nobody knows."""
        known = self.accounts()
        account = account_of(graph) or (known[0] if len(known) == 1 else None)
        if account is None:
            return None
        try:
            quota = self._delivery.quota(account)
        except (TemporaryError, PermanentError, NotFoundError):
            return None
        return quota if month_of(begins_at) == month_of(self._clock.now()) else replace(quota, used=0)

    def _templates(self, graph: Scenario) -> dict[str, Template]:
        found = {}
        for node in graph.nodes.values():
            if isinstance(node, SendNode):
                try:
                    found[node.template] = self._messages.get(node.template)
                except NotFoundError:
                    continue
        return found


def meant(graph: Scenario) -> object:
    """Return the condition that the audience of a drawing fulfils; everybody where an event or a day of his own starts it."""
    by_day = isinstance(graph.trigger, DateTrigger)  # then each comes on another day: see `comes`
    return (None if by_day else audience_of(graph)) or graph.filter or {"all": []}


def conditions_of(graph: Scenario) -> list[object]:
    """Return every condition that a drawing asks of those who are in it."""
    cases = (case.when for node in graph.nodes.values() if isinstance(node, BranchNode) for case in node.cases)
    return [meant(graph), *(condition for condition in (graph.filter, graph.stays_while, *cases) if condition is not None)]


def comes(graph: Scenario, person: Person, wanted: Wanted) -> bool:
    """Say whether somebody of the audience comes in while it is watched."""
    if not isinstance(graph.trigger, DateTrigger):
        return True
    at = enters_at(graph, person, wanted.begins_at)
    return at is not None and at < wanted.begins_at + timedelta(days=wanted.days)


def account_of(graph: Scenario) -> AccountKey | None:
    """Return the LINE account of a drawing, None for any."""
    return AccountKey(graph.account) if graph.account else None


def _with_others(people: Mapping[Cid, Person], most: int) -> dict[Cid, Person]:
    """Return people, and others like them who react at other times, `most` in all at most; the real ones first."""
    found = dict(people)
    for turn in range(1, most // len(people) if people else 0):
        found |= {Cid(cid + turn * _ANOTHER): person for cid, person in people.items()}
    return found

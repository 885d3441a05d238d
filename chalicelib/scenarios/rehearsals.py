"""Rehearse a drawing with the company's own people; everything here only reads."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib.delivery.caps import Caps
from chalicelib.kernel.errors import InvalidError, NotFoundError
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.messages.model import Template
from chalicelib.messages.service import Messages
from chalicelib.scenarios.costs import Prices
from chalicelib.scenarios.dry import Rate, drawn
from chalicelib.scenarios.forecast import Forecast, forecast
from chalicelib.scenarios.graph import Scenario, SendNode, parse
from chalicelib.scenarios.model import Version
from chalicelib.scenarios.rehearsal import GOAL, Assumptions, Rehearsal
from chalicelib.scenarios.schedules import audience_of
from chalicelib.scenarios.service import Scenarios
from chalicelib.segments.model import Person
from chalicelib.segments.service import Segments
from chalicelib.settings import settings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be rehearsed. cids: these people; none: a sample of those whom the scenario means."""

    begins_at: datetime
    days: int = 90
    sample: int = 500
    cids: Sequence[Cid] = ()
    rates: Mapping[str, Rate] = field(default_factory=dict)
    prices: Prices = field(default_factory=Prices)


class Rehearsals:
    """Rehearses drawings."""

    def __init__(self, scenarios: Scenarios, segments: Segments, messages: Messages, accounts: LineAccounts, caps: Caps) -> None:
        self._scenarios = scenarios
        self._segments = segments
        self._messages = messages
        self._accounts = accounts
        self._caps = caps

    def run(self, scenario_id: str, wanted: Wanted) -> Forecast:
        """Return what the drawing of a scenario would do. Raises NotFoundError, InvalidError(`scenario.has_problems`)."""
        head = self._scenarios.get(scenario_id)
        problems = self._scenarios.problems(scenario_id)
        if problems:
            raise InvalidError("scenario.has_problems", problems=problems)
        graph = parse(head.draft)
        unknown = set(wanted.rates) - {GOAL, *graph.nodes}
        if unknown:
            raise InvalidError("api.parameter_malformed", name="rates")
        people, audience = self._people(graph, wanted)
        templates = self._templates(graph)
        assumed = Assumptions(wanted.begins_at, wanted.days, wanted.rates, self._caps.limits())
        keys = [account.key for account in self._accounts.everyone()]
        version = Version(head.scenario_id, head.version + 1, graph)
        rehearsal = Rehearsal(version, people, templates, keys, assumed, lambda name: self._segments.saved(name).condition)
        rehearsal.run()
        return forecast(rehearsal, templates, wanted.prices, audience=audience, company=settings().company_name)

    def _people(self, graph: Scenario, wanted: Wanted) -> tuple[dict[Cid, Person], int]:
        """Return who is rehearsed, and how many there are of them in all."""
        if wanted.cids:
            found = self._segments.load(wanted.cids, [account.key for account in self._accounts.everyone()])
            return {person.cid: person for person in found.values()}, len(found)
        account = AccountKey(graph.account) if graph.account else None
        condition = audience_of(graph) or graph.filter or {"all": []}
        # Those with the smallest numbers that belong to them: a sample that is the same every time.
        chosen: list[tuple[float, Cid, Person]] = []
        audience = 0
        for person in self._segments.find(condition, wanted.begins_at, account):
            audience += 1
            entry = (-drawn("sample", person.cid)[0], person.cid, person)
            if len(chosen) < wanted.sample:
                heapq.heappush(chosen, entry)
            elif entry[0] > chosen[0][0]:
                heapq.heapreplace(chosen, entry)
        return {cid: person for _, cid, person in sorted(chosen, key=lambda one: one[1])}, audience

    def _templates(self, graph: Scenario) -> dict[str, Template]:
        found = {}
        for node in graph.nodes.values():
            if isinstance(node, SendNode):
                try:
                    found[node.template] = self._messages.get(node.template)
                except NotFoundError:
                    continue
        return found

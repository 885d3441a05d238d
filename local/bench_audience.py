"""What a send to an audience from the lake costs for each person, with the network stubbed (local/bench_delivery.py)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from chalicelib.kernel.ids import AccountKey
from chalicelib.scenarios.costs import READ, WRITE
from local.bench_delivery import NOW, STUB, Stub, deliver, delivery_of, stubbed

_PAGE, _ROW_BYTES = 500, 250


def report(show: Callable[..., None]) -> None:
    """Show the parts of a send to a million people, and DynamoDB's bill (Tokyo, on demand)."""
    dollars = 0.0
    for name, cost in audience_costs().items():
        price = 1e6 * (cost.reads * READ + cost.writes * WRITE)
        dollars += price
        show(f"a send to a million, everybody {name}: our own CPU", f"{cost.cpu * 1e6:,.0f} s")
        show("  DynamoDB: requests, read units, write units", f"{cost.requests:,.2f}, {cost.reads:,.2f}, {cost.writes:,.2f} M")
        show("  DynamoDB's price", f"${price:.2f}")
    show("a send to a million, DynamoDB's price in all", f"${dollars:.2f}", f"{dollars * 150:,.0f} yen at 150")


@dataclass(frozen=True, slots=True)
class Cost:
    """What something costs for each person: CPU seconds, requests to DynamoDB, and its read and write units."""

    cpu: float
    requests: float
    reads: float
    writes: float


def audience_costs(people: int = 10_000) -> dict[str, Cost]:
    """Return what the parts of a send to an audience from the lake cost.

    Everybody in it is looked at again by the condition, written into the rows of a campaign, and sent to by pages of multicast.
    """
    from chalicelib.campaigns import table
    from chalicelib.kernel.clock import SystemClock
    from chalicelib.segments.candidates import Candidates, Plan, Wanted
    from chalicelib.settings import settings
    from chalicelib.wiring import World

    stub = Stub(people)
    here: Any = World(settings(), SystemClock())
    nothing: Any = None
    candidates = Candidates(here.segments, nothing, cast(Any, _Accounts()), _Members(people), nothing, nothing)
    condition = {"all": [{"field": "line.reachable", "is": True}, {"field": "profile.age", "from": 20}]}
    plan, wanted = Plan("bench", 1, from_lake=True), Wanted("bench", condition, NOW, None)
    delivery = delivery_of(STUB)
    with stubbed(stub):
        cids = [person.cid for person in candidates.find(plan, wanted, 0)]  # warms up too
        deliver(delivery, "multicast", 0, _PAGE)
        if len(cids) != people:
            raise AssertionError(len(cids))
        return {
            "looked at again": _cost(stub, people, lambda: list(candidates.find(plan, wanted, 0))),
            "written down": _cost(stub, people, lambda: table.freeze(here.database, cast(Any, _Campaign()), cids)),
            "sent to": _with_rows(_cost(stub, _PAGE, lambda: deliver(delivery, "multicast", 1, _PAGE))),
        }


def _cost(stub: Stub, people: int, work: Callable[[], object]) -> Cost:
    stub.cpu, stub.requests, stub.units = 0.0, Counter(), Counter()
    started = time.process_time()
    work()
    used = time.process_time() - started - stub.cpu
    asked = sum(number for name, number in stub.requests.items() if not name.startswith("/"))
    return Cost(used / people, asked / people, stub.units["read"] / people, stub.units["write"] / people)


def _with_rows(cost: Cost) -> Cost:
    """Return the cost with that of reading the rows of a page, which a campaign does before and after it."""
    return replace(cost, requests=cost.requests + 2 / _PAGE, reads=cost.reads + 2 * _ROW_BYTES / 4096)


class _Members:
    """The lake's answers about an audience of everybody."""

    def __init__(self, people: int) -> None:
        self._people = people

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        after = question["after"]
        return {"cids": list(range(after + 1, min(after + question["most"], self._people) + 1))}


class _Accounts:
    def everyone(self) -> list[Any]:
        return [type("Account", (), {"key": AccountKey("main")})]


class _Campaign:
    campaign_id, cohort = "cmp_01M8QRPYW0VRPWNX83P6MPAZ9C", "cmp|cmp_01M8QRPYW0VRPWNX83P6MPAZ9C"

"""However many workers there are, LINE's limits hold in any second one looks at."""

from __future__ import annotations

import random
from collections import Counter
from itertools import accumulate

import pytest

from chalicelib.delivery.permits import Permits
from chalicelib.kernel.errors import TemporaryError
from tests.fakes.clock import FakeClock


class Office:
    """Workers who want to call without end, each by his own leases, all by one clock."""

    def __init__(self, workers: int) -> None:
        self.clock = FakeClock()
        self.workers = [Permits(self.now, self.sleep) for _ in range(workers)]
        self.slept = 0.0

    def now(self) -> float:
        return self.clock.now().timestamp()

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.clock.advance(seconds=seconds)


def most_in_a_second(moments: list[float]) -> int:
    """Return the most calls in any second, wherever it begins."""
    calls = Counter(round(moment * 1000) for moment in moments)
    first, last = min(calls), max(calls)
    total = [0, *accumulate(calls[at] for at in range(first, last + 1))]
    return max(total[min(at + 1000, len(total) - 1)] - total[at] for at in range(len(total)))


@pytest.mark.parametrize(("verb", "limit", "calls"), [("push", 2000, 1200), ("multicast", 200, 450)])
def test_workers_together_stay_under_the_limit(tables: str, verb: str, limit: int, calls: int) -> None:
    office, dice = Office(6), random.Random(1)
    moments = []
    for _ in range(calls):
        worker = dice.choice(office.workers)
        for _ in range(dice.choice([1, 7, 45, 60])):
            worker.take("main", verb, 500)
            moments.append(office.now())
        if dice.random() < 0.02:
            office.clock.advance(seconds=dice.random() / 20)
        if len(moments) > 3 * limit:
            break
    assert len(moments) > 2 * limit
    assert most_in_a_second(moments) <= limit


@pytest.mark.parametrize(("verb", "limit"), [("push", 2000), ("multicast", 200)])
def test_one_worker_alone_may_use_nine_tenths_of_it(tables: str, verb: str, limit: int) -> None:
    office = Office(1)
    moments = []
    for _ in range(2 * limit):
        office.workers[0].take("main", verb, 500)
        moments.append(office.now())
    assert 0.9 * limit <= most_in_a_second(moments) <= limit


def test_accounts_and_verbs_have_limits_of_their_own_and_a_reply_has_none(tables: str) -> None:
    office = Office(1)
    (worker,) = office.workers
    for account in ("main", "shop"):
        for _ in range(18):
            worker.take(account, "multicast", 1)
        worker.take(account, "push", 1)
        for _ in range(500):
            worker.take(account, "reply", 1)
    assert office.slept == 0


def test_one_who_wants_one_call_takes_one(tables: str) -> None:
    office = Office(180)
    for worker in office.workers:
        worker.take("main", "push", 1)
    assert office.slept == 0
    office.workers[0].take("main", "push", 1)
    assert office.slept > 0


def test_it_gives_up_when_others_take_everything(tables: str, monkeypatch: pytest.MonkeyPatch) -> None:
    office = Office(1)
    monkeypatch.setattr("chalicelib.delivery.table.take", lambda *_: False)
    with pytest.raises(TemporaryError) as caught:
        office.workers[0].take("main", "push", 10)
    assert caught.value.retry_after_seconds > 0
    assert not caught.value.maybe_done
    assert 30 <= office.slept < 31

"""Pages that have to wait for the outside, and people who are in one page twice."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from chalicelib.kernel.errors import TemporaryError
from chalicelib.kernel.facts import Occurred
from chalicelib.kernel.ids import Cid
from chalicelib.reactions import react
from chalicelib.scenarios import steps
from tests.builders import HANAKO, Stage
from tests.fakes.runner import Runner
from tests.rooms.journey import END, NOON, follow, rest, say, texts

MAIL = {"type": "send", "channel": "email", "template": "tpl_mail", "next": "e"}


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr(time, "sleep", taken.append)
    return taken


def members(stage: Stage, count: int) -> None:
    for number in range(count):
        stage.customer(f"M{number}", name=f"N{number}", email=f"m{number}@example.test")
    stage.template("tpl_mail", "mail", "email")
    trigger = {"type": "segment", "condition": {"field": "customer.known", "is": True}, "schedule": {"at": "13:00"}}
    stage.scenario("mails", {"m": MAIL, "e": END}, trigger=trigger)


def test_a_slow_mail_service_uses_up_no_try_of_the_machine_and_nobody_is_left_out(
    stage: Stage, runner: Runner, naps: list[float]
) -> None:
    members(stage, 4)
    stage.email.problems = [TemporaryError("SES: rate", retry_after_seconds=1.0) if n % 2 else None for n in range(400)]
    runner.until(NOON + timedelta(hours=3))
    assert sorted(mail.to for mail in stage.email.sent) == [f"m{n}@example.test" for n in range(4)]
    assert runner.failed == []
    pages = [payload for op, payload in runner.trips if op == "page"]
    calls = [(payload["shard"], payload["calls"]) for payload in pages if payload["node"] == "m"]
    assert all(a != b for a, b in pairwise(sorted(calls))), "a page that waits is no page that failed"


def test_an_execution_that_waits_for_long_hands_over_before_its_history_is_full(
    stage: Stage, runner: Runner, naps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_MOST_CALLS", 3)
    monkeypatch.setattr("chalicelib.entrypoints.scenario_steps._SECONDS", -1.0)  # every call has time for one page only
    members(stage, 1)
    waits = 20
    real, refused = stage.world.engine.page, [0]

    def page(*given: object) -> object:
        if given[2] == "m" and refused[0] < waits:
            refused[0] += 1
            raise TemporaryError("SES: rate", retry_after_seconds=1.0)
        return real(*given)  # type: ignore[arg-type]

    stage.world.engine.page = page  # type: ignore[method-assign, assignment]
    runner.until(NOON + timedelta(hours=3))
    assert len(stage.email.sent) == 1
    assert refused[0] == waits and len(naps) >= waits
    runs = {name.rpartition("-r")[2] for name in stage.machines.started if "-r" in name}
    assert len(runs) >= waits // 3 - 1
    assert runner.failed == [] and stage.world.records.live_cohorts("mails") == []


def booked(stage: Stage, cid: Cid, number: int, at: datetime) -> None:
    data = {"reservation_id": f"R{number}", "starts_at": "2026-12-03T05:00:00Z", "menu": f"メニュー{number}"}
    fact = Occurred(fact_id=f"b{number}", cid=cid, at=at, event="reservation_made", name="cut", data=data)
    react([fact], stage.world)


@pytest.mark.parametrize("crash", [False, True])
def test_two_bookings_of_one_minute_are_two_messages_each_with_its_own_words(stage: Stage, runner: Runner, crash: bool) -> None:
    stage.template("tpl_soon", "{{trigger.menu}}は{{trigger.starts_at}}です")
    nodes = {"w": rest("PT1H", "soon"), "soon": say("tpl_soon", "e"), "e": END}
    trigger = {"type": "event", "event": "reservation_made"}
    stage.scenario("booking", nodes, trigger=trigger, reentry={"mode": "always", "key": "reservation_id"})
    cid = follow(stage)
    for number in (1, 2, 3):
        booked(stage, cid, number, stage.clock.now())
    if crash:
        freeze, deaths = stage.world.ledger.freeze, [2]

        def dies(*given: object) -> object:
            if deaths[0]:
                deaths[0] -= 1
                raise SystemError("the process dies between claim and freeze")
            return freeze(*given)  # type: ignore[arg-type]

        stage.world.ledger.freeze = dies  # type: ignore[method-assign, assignment]
    runner.days(1)
    assert sorted(texts(stage, HANAKO)) == [f"メニュー{n}は12月3日（木）14:00です" for n in (1, 2, 3)]
    assert runner.failed == []
    assert datetime(2026, 12, 3, 5, tzinfo=UTC).weekday() == 3

"""What a page costs in requests, what it leaves behind, and what it says of whom it did not reach."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.model import ACTIVE, BatchState, Job, Report, row_of
from chalicelib.kernel.errors import PermanentError, QuotaExceededError, TemporaryError
from chalicelib.kernel.ids import Cid
from chalicelib.ports.database import Item
from chalicelib.ports.line import Quota
from chalicelib.settings import settings
from tests.builders import MAIN, Stage
from tests.rooms.test_delivery import PAGE, deliver, enrolled, friends

PERSONAL = "{{name|お客様}}へ"


def counts(out: str, name: str) -> list[dict[str, Any]]:
    """Return the lines that count something."""
    return [line for line in map(json.loads, out.splitlines()) if name in line]


def refuse(stage: Stage, *numbers: int) -> None:
    """Let LINE refuse whatever is for one of these friends."""
    send, bad = stage.line.send, {f"U{number:032x}" for number in numbers}

    def picky(credentials: Any, verb: str, body: dict[str, Any], retry_key: str = "") -> Any:
        to = body["to"] if isinstance(body["to"], list) else [body["to"]]
        if bad & set(to):
            raise PermanentError(f"LINE /v2/bot/message/{verb} 400: The property, to[0], in the request body is invalid")
        return send(credentials, verb, body, retry_key)

    stage.line.send = picky  # type: ignore[method-assign]


@pytest.mark.parametrize("text", ["新作です", PERSONAL], ids=["multicast", "push"])
def test_a_batch_costs_five_requests_besides_reading_and_claiming_its_people(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    keys, template = friends(stage, 30), stage.template(text=text)
    stage.world.messages.get(template)
    asked: Counter[str] = Counter()
    call = BaseClient._make_api_call

    def counted(self: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        asked[operation] += 1
        return call(self, operation, arguments)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    deliver(stage, keys, template)
    assert len(stage.line.sent) == (30 if text == PERSONAL else 1)
    # Two claims, the batch with its first attempt, its results, off the open list; one query, one entry on the open list.
    assert (asked["BatchExecuteStatement"], asked["Query"], asked["BatchWriteItem"]) == (5, 1, 1)
    assert asked["UpdateItem"] <= 5  # permits: one for each tenth of a second


@pytest.mark.parametrize(
    ("channel", "best_hour", "asked"),
    [("line", False, {"P", "FR#main"}), ("line", True, {"P", "FR#main", "A"}), ("email", False, {"P", "FR#main", "address"})],
)
def test_of_a_person_only_that_is_read_which_his_message_asks_for(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, channel: str, best_hour: bool, asked: set[str]
) -> None:
    key = enrolled(stage, str(stage.customer("M1", email="m1@x.test")))
    (item,) = stage.world.database.get_many(settings().engine_table, [key]).values()
    now, template = stage.clock.now(), stage.template(channel=channel)
    job = Job(PAGE, "c", "v", DeliveryChannel(channel), template, "scn|s|a", now, best_hour=best_hour)
    read: set[str] = set()
    get_many = stage.world.database.get_many

    def watched(table: str, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Item]:
        wanted = list(keys)
        if table == settings().core_table:
            read.update("address" if pk.startswith("SUP#") else sk for pk, sk in wanted)
        return get_many(table, wanted)

    monkeypatch.setattr(stage.world.database, "get_many", watched)
    stage.world.delivery.deliver(job, [row_of(item)], [MAIN])
    assert read == asked


@pytest.mark.parametrize("text", ["新作です", PERSONAL], ids=["multicast", "push"])
def test_a_page_names_those_it_did_not_reach_and_why(stage: Stage, capsys: pytest.CaptureFixture[str], text: str) -> None:
    keys, template = friends(stage, 9), stage.template(text=text)
    people = [cid_of(key) for key in keys]
    refuse(stage, 2, 7)
    first, again = deliver(stage, keys, template), deliver(stage, keys, template)
    assert first.failed == again.failed == {people[1], people[6]}
    assert "to[0]" in stage.world.delivery.why_failed(PAGE, people[1])
    assert stage.world.delivery.why_failed(PAGE, people[0]) == ""
    out = capsys.readouterr().out
    assert [(line["DeliveryFailed"], line["reason"]) for line in counts(out, "DeliveryFailed")] == [(2, "recipient")]
    assert sum(line["Deliveries"] for line in counts(out, "Deliveries")) == 7


def cid_of(key: tuple[str, str]) -> Cid:
    return Cid(int(key[0].removeprefix("C#")))


@pytest.mark.parametrize("text", ["新作です", PERSONAL], ids=["multicast", "push"])
def test_what_was_said_is_forgotten_once_it_is_sent(stage: Stage, text: str) -> None:
    keys, template = friends(stage, 2), stage.template(text=text)
    stage.line.problems = [TemporaryError("time-out", maybe_done=True)]
    with pytest.raises(TemporaryError):
        deliver(stage, keys, template)
    (frozen,) = stage.world.ledger.batches(PAGE)
    assert all(call.body["messages"] for call in frozen.calls)
    deliver(stage, keys, template)
    (sent,) = stage.world.ledger.batches(PAGE)
    assert [call.body for call in sent.calls] == [{}] * len(frozen.calls)
    assert [(call.members, call.key) for call in sent.calls] == [(call.members, call.key) for call in frozen.calls]
    assert sent.state is BatchState.SENT
    (item,) = stage.world.database.query(settings().engine_table, f"SND#{PAGE}")
    assert f"U{1:032x}" not in json.dumps(item)


def test_pushes_that_were_taken_before_the_trouble_are_not_made_again(stage: Stage) -> None:
    keys, template = friends(stage, 5), stage.template(text=PERSONAL)
    stage.line.problems = [None, None, TemporaryError("time-out", maybe_done=True)]
    with pytest.raises(TemporaryError):
        deliver(stage, keys, template)
    assert [bool(result) for result in stage.world.ledger.batches(PAGE)[0].results] == [True, True, False, False, False]
    before = len(stage.line.keys)
    deliver(stage, keys, template)
    assert before == 2
    assert len(stage.line.sent) == 5


def test_a_page_that_the_month_cannot_carry_claims_nobody(stage: Stage) -> None:
    keys, template = friends(stage, 3), stage.template()
    stage.line.month = Quota(100, 98)
    with pytest.raises(QuotaExceededError, match="2 messages left"):
        deliver(stage, keys, template)
    assert stage.world.ledger.batches(PAGE) == []
    found = stage.world.database.get_many(settings().engine_table, keys)
    assert {(row_of(item).claim, row_of(item).status) for item in found.values()} == {("", ACTIVE)}
    stage.line.month = Quota(200, 98)
    assert len(deliver(stage, keys, template).sent) == 3
    assert stage.world.delivery.quota("main") == Quota(200, 98)


def test_a_single_message_costs_no_question_about_the_month(stage: Stage) -> None:
    stage.line.month = Quota(100, 100)
    report: Report = deliver(stage, friends(stage, 1), stage.template())
    assert len(report.sent) == len(stage.line.sent) == 1


def test_the_reconciler_tells_how_many_batches_stand_still_and_that_none_does(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, template = friends(stage, 2), stage.template()
    stage.line.problems = [TemporaryError("time-out", maybe_done=True)]
    with pytest.raises(TemporaryError):
        deliver(stage, keys, template)
    stage.clock.advance(minutes=16)
    for _ in range(2):
        stage.world.delivery.reconcile(timedelta(minutes=15))
    assert [line["BatchesFrozen"] for line in counts(capsys.readouterr().out, "BatchesFrozen")] == [1, 0]
    assert len(stage.line.sent) == 1

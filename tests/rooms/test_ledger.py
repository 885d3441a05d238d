"""What delivery expects of a ledger, on DynamoDB and on the database in memory that the model test believes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.adapters.database import DynamoDatabase
from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.ledger import Ledger
from chalicelib.delivery.model import ACTIVE, Batch, BatchState, Call, Row, row_of
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.ports.database import Database
from chalicelib.settings import settings
from tests.fakes.database import FakeDatabase

NOW = datetime(2026, 12, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


@dataclass
class Case:
    ledger: Any
    add: Callable[[Row], None]
    row: Callable[[int], Row]

    def rows(self, count: int, cohort: str = "c", status: str = ACTIVE) -> list[Row]:
        made = [Row(f"C#{i}", "ENR#s#", Cid(i), cohort, status, "", "") for i in range(1, count + 1)]
        for row in made:
            self.add(row)
        return made


@pytest.fixture(params=["DynamoDB", "in memory"])
def case(request: pytest.FixtureRequest) -> Case:
    database: Database = FakeDatabase()
    if request.param == "DynamoDB":
        request.getfixturevalue("tables")
        database = DynamoDatabase()

    def add(row: Row) -> None:
        item = {name: getattr(row, name) for name in ("pk", "sk", "cohort", "status", "last", "claim")}
        database.put_many(settings().engine_table, [{**item, "cid": int(row.cid), "path": {}}])

    def get(i: int) -> Row:
        key = (f"C#{i}", "ENR#s#")
        return row_of(database.get_many(settings().engine_table, [key])[key])

    return Case(Ledger(database), add, get)


def batch(number: int = 0, calls: int = 1) -> Batch:
    made = tuple(
        Call((Cid(i + 1),), {"to": f"U{i}", "messages": [{"type": "text", "text": "「'\"\n🙂」"}]}, f"k{i}") for i in range(calls)
    )
    return Batch("c|v|0|", number, DeliveryChannel.LINE, "push", AccountKey("main"), made, ("",) * calls, BatchState.FROZEN, NOW)


def test_a_row_is_claimed_for_one_batch_only(case: Case) -> None:
    rows = case.rows(30)
    assert case.ledger.claim(rows, "c", "v", "ours") == [True] * 30
    assert case.ledger.claim(rows, "c", "v", "theirs") == [False] * 30
    assert (case.row(7).claim, case.row(7).last) == ("ours", "v")


def test_a_claim_tells_those_too_that_an_earlier_try_of_the_same_page_took(case: Case) -> None:
    rows = case.rows(3)
    case.ledger.claim(rows[:2], "c", "v", "page")
    assert case.ledger.claim(rows, "c", "v", "page") == [True] * 3


@pytest.mark.parametrize("change", [{"cohort": "other"}, {"status": "exited"}])
def test_who_has_moved_or_left_is_neither_claimed_nor_skipped(case: Case, change: dict[str, str]) -> None:
    (row,) = case.rows(1, **change)
    assert case.ledger.claim([row], "c", "v", "page") == [False]
    assert case.ledger.skip([row], "c", "v", ["blocked"]) == [False]
    assert case.row(1).last == ""


def test_a_visit_that_was_skipped_is_not_claimed_and_the_other_way_round(case: Case) -> None:
    rows = case.rows(2)
    assert case.ledger.skip(rows[:1], "c", "v", ["blocked"]) == [True]
    assert case.ledger.claim(rows, "c", "v", "page") == [False, True]
    assert case.ledger.skip(rows, "c", "v", ["blocked"] * 2) == [False, False]


def test_a_zombie_one_node_behind_claims_nobody_whom_the_cohort_has_led_on(case: Case) -> None:
    rows = case.rows(1)
    case.ledger.claim(rows, "c", "first", "a")
    case.ledger.claim(rows, "c", "second", "b")
    assert case.ledger.claim(rows, "c", "first", "another page") == [False]
    assert case.row(1).last == "second"


def test_a_batch_is_frozen_once_and_read_back_as_it_was(case: Case) -> None:
    assert case.ledger.freeze(batch())
    assert not case.ledger.freeze(replace(batch(), verb="multicast"))
    assert case.ledger.batches("c|v|0|") == [batch()]


def test_batches_come_in_the_order_of_their_numbers(case: Case) -> None:
    for number in (2, 0, 10, 1):
        case.ledger.freeze(batch(number))
    assert [found.number for found in case.ledger.batches("c|v|0|")] == [0, 1, 2, 10]


def test_the_first_attempt_stands(case: Case) -> None:
    case.ledger.freeze(batch())
    one, first = case.ledger.attempt(batch(), NOW, "a")
    assert (one.attempted_at, first) == (NOW, True)
    two, first = case.ledger.attempt(batch(), LATER, "b")
    assert (two.attempted_at, first) == (NOW, False)


def test_an_attempt_is_forgotten_by_whoever_made_it(case: Case) -> None:
    case.ledger.freeze(batch())
    case.ledger.attempt(batch(), NOW, "a")
    case.ledger.forget_attempt(batch(), "a")
    assert case.ledger.attempt(batch(), LATER, "b") == (replace(batch(), attempted_at=LATER), True)


def test_an_attempt_is_not_forgotten_once_another_try_has_begun(case: Case) -> None:
    case.ledger.freeze(batch())
    case.ledger.attempt(batch(), NOW, "a")
    case.ledger.attempt(batch(), LATER, "b")
    case.ledger.forget_attempt(batch(), "a")
    assert case.ledger.batches("c|v|0|")[0].attempted_at == NOW


def test_calls_change_only_while_none_was_made(case: Case) -> None:
    case.ledger.freeze(batch(calls=2))
    case.ledger.thin(batch(), batch(calls=1).calls)
    assert case.ledger.batches("c|v|0|") == [batch(calls=1)]
    case.ledger.attempt(batch(), NOW, "a")
    case.ledger.thin(batch(), batch(calls=2).calls)
    assert case.ledger.batches("c|v|0|")[0].calls == batch(calls=1).calls


def test_results_are_kept_until_a_batch_is_settled_and_not_after(case: Case) -> None:
    case.ledger.freeze(batch(calls=2))
    case.ledger.save(batch(calls=2), ["accepted 1", ""], BatchState.FROZEN)
    assert case.ledger.batches("c|v|0|")[0].results == ("accepted 1", "")
    case.ledger.save(batch(calls=2), ["accepted 1", "accepted 2"], BatchState.SENT)
    case.ledger.save(batch(calls=2), ["", ""], BatchState.UNKNOWN)
    kept = case.ledger.batches("c|v|0|")[0]
    assert (kept.results, kept.state) == (("accepted 1", "accepted 2"), BatchState.SENT)
    assert case.ledger.unknown_batches() == []


def test_a_batch_is_on_the_open_list_until_it_is_settled(case: Case) -> None:
    case.ledger.freeze(batch())
    assert case.ledger.open_batches(LATER) == ["c|v|0|"]
    assert case.ledger.open_batches(NOW) == []
    case.ledger.save(batch(), ["accepted"], BatchState.SENT)
    assert case.ledger.open_batches(LATER) == []


def test_an_unknown_batch_is_listed_for_a_person(case: Case) -> None:
    case.ledger.freeze(batch(calls=3))
    case.ledger.save(batch(calls=3), ["", "", ""], BatchState.UNKNOWN)
    assert [(entry["batch_id"], entry["members"]) for entry in case.ledger.unknown_batches()] == [("c|v|0|", 3)]
    assert case.ledger.open_batches(LATER) == []


def test_filing_heals_a_crash_between_the_state_and_the_lists(case: Case) -> None:
    case.ledger.freeze(batch())
    for _ in range(2):
        case.ledger.file(replace(batch(), state=BatchState.UNKNOWN))
    assert len(case.ledger.unknown_batches()) == 1
    assert case.ledger.open_batches(LATER) == []


def test_a_call_is_begun_by_one_and_told_to_the_others(case: Case) -> None:
    assert case.ledger.begun_call("k") is None
    assert case.ledger.begin_call("k", NOW) == (True, "calling", NOW)
    assert case.ledger.begin_call("k", LATER) == (False, "calling", NOW)
    case.ledger.end_call("k", "accepted m1")
    assert case.ledger.begin_call("k", LATER) == (False, "done accepted m1", NOW)
    assert case.ledger.begun_call("k") == ("done accepted m1", NOW)


def test_a_call_is_taken_over_by_one_only_and_never_when_it_is_done(case: Case) -> None:
    case.ledger.begin_call("k", NOW)
    assert case.ledger.take_over_call("k", NOW, LATER)
    assert not case.ledger.take_over_call("k", NOW, LATER)
    case.ledger.end_call("k", "accepted")
    assert not case.ledger.take_over_call("k", LATER, LATER)


def test_a_call_that_was_taken_back_can_begin_again(case: Case) -> None:
    case.ledger.begin_call("k", NOW)
    case.ledger.release_call("k")
    assert case.ledger.begin_call("k", LATER) == (True, "calling", LATER)


def test_the_providers_word_is_remembered(case: Case) -> None:
    assert not case.ledger.has_left("k")
    case.ledger.note_event("k", "reject", NOW)
    assert not case.ledger.has_left("k")
    case.ledger.note_event("k", "send", NOW)
    assert case.ledger.has_left("k")

"""How the calls of a batch are made: bad ids one by one, throttling with patience, many at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from chalicelib.adapters.threads import Threads
from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.ledger import Ledger
from chalicelib.delivery.model import Batch, BatchState, Call
from chalicelib.delivery.results import refusals
from chalicelib.delivery.senders import HalfSentError, Senders
from chalicelib.kernel.errors import PermanentError, QuotaExceededError, TemporaryError
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.ports.line import Quota, SendAccepted
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeDatabase

NOW = datetime(2026, 12, 1, 1, 0, tzinfo=UTC)


class Line:
    """Takes a call once per key unless `refuse` raises."""

    def __init__(self, refuse: Callable[[list[str]], None] = lambda _: None) -> None:
        self.refuse = refuse
        self.keys: dict[str, list[str]] = {}
        self.calls = 0

    def send(self, _: object, verb: str, body: dict[str, Any], retry_key: str = "") -> SendAccepted:
        self.calls += 1
        if retry_key in self.keys:
            return SendAccepted("r", already=True)
        to = body["to"] if verb == "multicast" else [body["to"]]
        self.refuse(to)
        self.keys[retry_key] = to
        return SendAccepted("r")

    def got(self) -> list[str]:
        return sorted(user for to in self.keys.values() for user in to)

    def quota(self, _: object) -> Quota:
        return Quota(100, 40)


class Accounts:
    def credentials(self, key: str) -> str:
        return key


def senders(line: Any, **more: Any) -> Senders:
    nobody: Any = None
    return Senders(
        Ledger(FakeDatabase()), cast("Any", Accounts()), line, nobody, nobody, nobody, nobody, FakeClock(NOW), **more
    )  # fmt: skip


def batch(verb: str, count: int) -> Batch:
    users = [f"U{n:03d}" for n in range(count)]
    calls = [Call((Cid(n),), {"to": user, "messages": []}, f"k{n}") for n, user in enumerate(users)]
    if verb == "multicast":
        calls = [Call(tuple(Cid(n) for n in range(count)), {"to": users, "messages": []}, "k")]
    results = ("",) * len(calls)
    return Batch("p", 0, DeliveryChannel.LINE, verb, AccountKey("main"), tuple(calls), results, BatchState.FROZEN, NOW, NOW)


def refusing(*bad: str) -> Callable[[list[str]], None]:
    def refuse(to: list[str]) -> None:
        if set(bad) & set(to):
            raise PermanentError("LINE /v2/bot/message/multicast 400: The property, to[0], in the request body is invalid")

    return refuse


def test_of_a_refused_multicast_the_good_get_it_and_each_bad_one_is_named() -> None:
    bad = ("U000", "U007", "U250", "U251", "U499")
    line, frozen = Line(refusing(*bad)), batch("multicast", 500)
    for _ in range(2):  # the second walk uses the same keys
        (result,), errors = senders(line).make_calls(frozen, NOW, again=False)
        assert errors == []
        assert sorted(refusals(frozen.calls[0], result)) == [0, 7, 250, 251, 499]
        assert all("to[0]" in why for why in refusals(frozen.calls[0], result).values())
    assert line.got() == [f"U{n:03d}" for n in range(500) if f"U{n:03d}" not in bad]


def test_a_multicast_of_bad_ids_alone_has_failed_for_all() -> None:
    frozen = batch("multicast", 4)
    (result,), _ = senders(Line(refusing(*(f"U{n:03d}" for n in range(4))))).make_calls(frozen, NOW, again=False)
    assert result.startswith("failed ")
    assert len(refusals(frozen.calls[0], result)) == 4


def test_a_bad_message_is_not_cut_into_halves() -> None:
    def refuse(_: list[str]) -> None:
        raise PermanentError("LINE /v2/bot/message/multicast 400: … messages[0].text: May not be empty")

    line = Line(refuse)
    (result,), _ = senders(line).make_calls(batch("multicast", 8), NOW, again=False)
    assert result.startswith("failed ")
    assert line.calls == 1


@pytest.mark.parametrize(
    ("stop", "kind"),
    [(QuotaExceededError("month"), HalfSentError), (TemporaryError("429"), TemporaryError)],
    ids=["the month is used up", "no answer"],
)
def test_what_stops_a_multicast_after_its_first_half_says_that_keys_are_in_use(stop: Exception, kind: type[Exception]) -> None:
    def refuse(to: list[str]) -> None:
        refusing("U003")(to)
        if to[0] == "U002":
            raise stop

    results, (error,) = senders(Line(refuse)).make_calls(batch("multicast", 4), NOW, again=False)
    assert results == [""]
    assert type(error) is kind
    assert isinstance(error, HalfSentError) or error.maybe_done


def test_throttling_is_waited_for_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    answers = [TemporaryError("429", retry_after_seconds=1.0)] * 3
    slept: list[float] = []
    leave: list[tuple[str, str, int]] = []

    def refuse(_: list[str]) -> None:
        if answers:
            raise answers.pop()

    line = Line(refuse)
    one = senders(line, sleep=slept.append, leave=lambda *asked: leave.append(asked))
    results, errors = one.make_calls(batch("push", 2), NOW, again=False)
    assert (results, errors) == (["accepted r", "accepted r"], [])
    assert [0.5 <= pause <= 1.5 for pause in (slept[0], slept[1] / 2, slept[2] / 4)] == [True] * 3
    assert leave == [("main", "push", 2)] * 5  # leave is asked for each try, of as many calls as are to come
    assert capsys.readouterr().out.count('"LineThrottled": 1') == 3


def test_endless_throttling_ends_the_page_which_may_be_tried_again() -> None:
    slept: list[float] = []

    def refuse(_: list[str]) -> None:
        raise TemporaryError("429", retry_after_seconds=1.0)

    results, errors = senders(Line(refuse), sleep=slept.append).make_calls(batch("push", 3), NOW, again=False)
    assert results == ["", "", ""]
    assert [error.reason for error in errors] == ["429"]
    assert len(slept) == 4


def test_the_months_end_and_lost_answers_are_not_waited_for() -> None:
    for stop in (QuotaExceededError("month"), TemporaryError("500", maybe_done=True, retry_after_seconds=1.0)):
        line = Line(cast("Any", _raising(stop)))
        _, errors = senders(line, sleep=_fail).make_calls(batch("push", 3), NOW, again=False)
        assert (errors, line.calls) == ([stop], 1)


def _raising(error: Exception) -> Callable[[list[str]], None]:
    def refuse(_: list[str]) -> None:
        raise error

    return refuse


def _fail(_: float) -> None:
    raise AssertionError("nobody was to wait")


def test_pushes_are_made_at_once_and_results_stand_where_their_calls_do() -> None:
    together = threading.Barrier(8, timeout=10)

    def refuse(to: list[str]) -> None:
        together.wait()  # passes only when eight calls are under way
        refusing("U003")(to)

    frozen = batch("push", 8)
    results, errors = senders(Line(refuse), each=Threads(8)).make_calls(frozen, NOW, again=False)
    assert errors == []
    assert [result.partition(" ")[0] for result in results] == ["failed" if n == 3 else "accepted" for n in range(8)]


def test_after_the_first_error_no_call_begins_and_what_was_taken_is_kept() -> None:
    def refuse(to: list[str]) -> None:
        if to == ["U005"]:
            raise QuotaExceededError("month")

    line = Line(refuse)
    results, errors = senders(line).make_calls(batch("push", 9), NOW, again=False)
    assert results == ["accepted r"] * 5 + [""] * 4
    assert [type(error) for error in errors] == [QuotaExceededError]
    assert line.calls == 6


def test_the_month_is_asked_once_a_minute_and_stops_what_it_cannot_carry() -> None:
    line = Line()
    one = senders(line)
    assert (one.quota("main").limit, one.quota("main").used, one.quota("main").left) == (100, 40, 60)
    line.quota = cast("Any", lambda _: Quota(100, 95))  # type: ignore[method-assign]
    one.check_quota("main", 60)  # as it was a moment ago
    with pytest.raises(QuotaExceededError, match="60 messages left"):
        one.check_quota("main", 61)
    with pytest.raises(QuotaExceededError, match="5 messages left"):  # asked anew: somebody might have bought more
        one.check_quota("main", 61)


def test_a_plan_without_limit_carries_anything() -> None:
    line = Line()
    line.quota = cast("Any", lambda _: Quota(None, 10**9))  # type: ignore[method-assign]
    senders(line).check_quota("main", 10**6)
    assert Quota(5, 9).left == 0

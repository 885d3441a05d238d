"""The checker of the send protocol is no rubber stamp: it finds what is wrong with each protocol that looks right and is not."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

import chalicelib.delivery.service as service_module
from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.ledger import Ledger
from chalicelib.delivery.model import Batch, BatchState, Call, Job, Row
from chalicelib.delivery.service import Delivery
from chalicelib.kernel.errors import TemporaryError
from chalicelib.kernel.ids import Cid
from chalicelib.segments.model import Person
from tests.pure.send_lives import LINE_LANES, MAIL_LANES, Parts, is_found
from tests.pure.send_outside import LightSenders


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.print", lambda *_, **__: None)


class MarksBeforeCalling(Delivery):
    def _call(self, batch: Batch, now: datetime, by: str, *, first: bool) -> Batch:
        saved = self._ledger.save(batch, ["accepted"] * len(batch.calls), BatchState.SENT)
        for call in batch.calls:
            self._senders.call(batch, call, now, again=False)
        return saved


class RechunksEachTry(Delivery):
    """Bodies from whoever is left now, keys by the batch's number: a leaver shifts the chunks under their keys."""

    def _finish(self, job: Job, claimed: Sequence[Row], people: dict[Cid, Person]) -> list[Batch]:
        rest = [(row.cid, people[row.cid]) for row in claimed if people[row.cid].can_reach(DeliveryChannel.LINE)]
        for number in range(len(rest)):
            batch = self._composer.compose(job, number, rest, self._clock.now())
            for call in batch.calls:
                self._senders.call(batch, call, self._clock.now(), again=True)
            rest = [(cid, person) for cid, person in rest if cid not in batch.members]
            if not rest:
                break
        return []


class NewKeyEachTry(LightSenders):
    def call(self, batch: Batch, call: Call, now: datetime, *, again: bool) -> str:
        key = str(UUID(int=random.Random(f"{now}").getrandbits(128)))
        return super().call(batch, replace(call, key=key) if batch.verb in ("push", "multicast") else call, now, again=again)


class RepliesAgain(LightSenders):
    """A token that is refused the second time would show that the first try got through, were it not for pushes and zombies."""

    def _reply(self, batch: Batch, call: Call, now: datetime, *, again: bool) -> str:
        try:
            return super()._reply(batch, call, now, again=False)
        except TemporaryError:
            return "accepted earlier"


class ClaimsOnlyNewRows(Ledger):
    """Does not read again whom a zombie of the same page has claimed."""

    def claim(self, rows: Sequence[Row], cohort: str, visit: str, batch_id: str) -> list[bool]:
        return self._visit(rows, cohort, visit, [(batch_id, "sent")] * len(rows))


class SendsThenMarks(LightSenders):
    def _once(self, call: Call, now: datetime, send: Any, *, oracle: bool) -> str:
        return f"accepted {send()}"


class AsksAProviderThatTellsNothing(LightSenders):
    """Takes the silence about an SMS for a no."""

    def _once(self, call: Call, now: datetime, send: Any, *, oracle: bool) -> str:
        return super()._once(call, now, send, oracle=True)


class TakesOverTogether(Ledger):
    def take_over_call(self, key: str, begun_at: datetime, at: datetime) -> bool:
        super().take_over_call(key, begun_at, at)
        return True


class ReleasesWhateverFails(LightSenders):
    """Takes the note of a call back when the database was too busy to keep its end."""

    def _once(self, call: Call, now: datetime, send: Any, *, oracle: bool) -> str:
        try:
            return super()._once(call, now, send, oracle=oracle)
        except TemporaryError as error:
            if not error.maybe_done:
                self._ledger.release_call(call.key)
            raise


@pytest.mark.parametrize(
    ("lanes", "parts", "what"),
    [
        pytest.param(LINE_LANES, Parts(delivery=MarksBeforeCalling), "lost", id="mark before call"),
        pytest.param(["multicast"], Parts(delivery=RechunksEachTry), "lost", id="chunks made again, keys by number"),
        pytest.param(LINE_LANES, Parts(senders=NewKeyEachTry), "times", id="a key a try"),
        pytest.param(LINE_LANES, Parts(ledger=ClaimsOnlyNewRows), "lost", id="claims not read again"),
        pytest.param(["reply"], Parts(senders=RepliesAgain), "times", id="a reply tried again"),
        pytest.param(["email"], Parts(senders=SendsThenMarks), "times", id="send, then mark"),
        pytest.param(["sms"], Parts(senders=AsksAProviderThatTellsNothing), "times", id="an SMS repeated when unclear"),
        pytest.param(["email"], Parts(ledger=TakesOverTogether), "times", id="two take over one e-mail"),
        pytest.param(MAIL_LANES, Parts(senders=ReleasesWhateverFails), "times", id="a call taken back that was made"),
    ],
)
def test_the_checker_catches_a_broken_protocol(lanes: Sequence[str], parts: Parts, what: str) -> None:
    assert is_found(what, lanes, parts)


def test_the_checker_catches_a_key_that_is_used_for_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "KEY_LIFE", timedelta(days=9))
    assert is_found("times", LINE_LANES, Parts())


def test_the_checker_catches_who_gives_up_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "KEY_LIFE", timedelta(hours=1))
    assert is_found("unknown for no reason", LINE_LANES, Parts())

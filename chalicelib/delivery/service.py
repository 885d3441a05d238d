"""Claim, freeze, call, mark: the send protocol (architecture.md section 5; its model test is tests/pure/test_send_protocol.py).

1. claim: one conditional write on each member's row says that this page sends to him at this visit.
2. freeze: the batch (who, exact bodies, retry keys) is written before the first call, and never changes.
3. call: whatever was frozen and has no result yet is called with its key.
4. mark: results are written; a batch with all results is done.
A crash anywhere is healed by running the page again: claims are found by batch id, bodies and keys are read back.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from chalicelib.delivery.caps import Caps
from chalicelib.delivery.compose import Composer, without
from chalicelib.delivery.ledger import Ledger
from chalicelib.delivery.model import Batch, BatchState, Hold, Job, Report, Row, Send, Skip
from chalicelib.delivery.policy import refusal
from chalicelib.delivery.senders import KEY_LIFE, Senders
from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import EnishiError, SendingStoppedError, TemporaryError
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.observability import count, warning
from chalicelib.segments.model import Person
from chalicelib.segments.service import Segments

# Frozen batches are kept for forty days (ledger.py); older claims cannot be told from sent ones any more.
_REMEMBERED = timedelta(days=39)
# A batch that has waited this long without a call is looked at again: somebody in it may have refused meanwhile.
_STILL_TRUE = timedelta(minutes=5)


class Delivery:
    """Sends messages."""

    def __init__(self, ledger: Ledger, segments: Segments, composer: Composer, senders: Senders, caps: Caps, clock: Clock) -> None:
        self._ledger = ledger
        self._segments = segments
        self._composer = composer
        self._senders = senders
        self._caps = caps
        self._clock = clock

    def deliver(self, job: Job, rows: Sequence[Row], accounts: Sequence[AccountKey]) -> Report:
        """Bring one page of members their message; run it again after any failure.

        accounts: the LINE accounts of this company. Raises TemporaryError (run again later) and SendingStoppedError (park).
        """
        concerned = [row for row in rows if row.is_open(job.cohort, job.visit) or row.claim == job.batch_id]
        people = self._segments.load([row.cid for row in concerned], accounts)
        report = self._decide(job, [row for row in concerned if row.is_open(job.cohort, job.visit)], people)
        earlier = [row for row in concerned if row.claim == job.batch_id and row.last == job.visit]
        if self._clock.now() - job.due >= _REMEMBERED:
            earlier = []
        claimed = report.sent + earlier
        report.sent = claimed
        report.pending = self._finish(job, claimed, people)
        report.failed = _failed(self._ledger.batches(job.batch_id))
        return report

    def _decide(self, job: Job, rows: Sequence[Row], people: dict[Cid, Person]) -> Report:
        now = max(job.due, self._clock.now())
        report = Report()
        sends: list[Row] = []
        skips: list[tuple[Row, str]] = []
        for row, decision in zip(rows, self._caps.decide(job, rows, people, now), strict=True):
            match decision:
                case Send():
                    sends.append(row)
                case Skip(why):
                    skips.append((row, why))
                case Hold(until, _):
                    report.held.append((row, until))
        won = self._ledger.claim(sends, job.cohort, job.visit, job.batch_id)
        report.sent = [row for row, ours in zip(sends, won, strict=True) if ours]
        self._caps.give_back(job, [row for row, ours in zip(sends, won, strict=True) if not ours], people)
        noted = self._ledger.skip([row for row, _ in skips], job.cohort, job.visit, [why for _, why in skips])
        report.skipped = [skip for skip, ours in zip(skips, noted, strict=True) if ours]
        return report

    def _finish(self, job: Job, claimed: Sequence[Row], people: dict[Cid, Person]) -> int:
        while True:
            batches = self._ledger.batches(job.batch_id)
            pending = sum(self._settle(batch) for batch in batches if batch.state is BatchState.FROZEN)
            covered = {cid for batch in batches for cid in batch.members}
            rest = [(row.cid, people[row.cid]) for row in claimed if row.cid not in covered]
            if not rest:
                return pending
            # Between claim and freeze may lie a crash and an hour: who has refused or gone meanwhile is left out.
            gone = [cid for cid, person in rest if refusal(job.channel, job.account, person)]
            now = self._clock.now()
            if gone:
                self._ledger.freeze(self._composer.left_out(job, len(batches), gone, now))
            else:
                self._ledger.freeze(self._composer.compose(job, len(batches), rest, now))

    def _settle(self, batch: Batch) -> int:
        """Make the calls of a frozen batch that have no result yet; return how many stay unclear for now."""
        now = self._clock.now()
        if self._senders.has_retry_keys(batch) and batch.attempted_at and now - batch.attempted_at >= KEY_LIFE:
            warning("a batch's retry keys have expired; a person must decide", batch=batch.batch_id, number=batch.number)
            count("DeliveryUnknown")
            self._ledger.save(batch, batch.results, BatchState.UNKNOWN)
            return 0
        if now - batch.frozen_at >= _STILL_TRUE:
            batch = self._without_refusals(batch)
        by = secrets.token_hex(8)
        batch, first = self._ledger.attempt(batch, now, by)
        if batch.state is not BatchState.FROZEN:
            return 0
        results = list(batch.results)
        try:
            for index, call in enumerate(batch.calls):
                if not results[index]:
                    results[index] = self._senders.call(batch, call, now, again=not first)
        except (TemporaryError, SendingStoppedError) as error:
            self._interrupted(batch, results, error, by if first else "")
            raise
        open_calls = results.count("")
        unknown = any(result.startswith("unknown") for result in results)
        state = BatchState.FROZEN if open_calls else BatchState.UNKNOWN if unknown else BatchState.SENT
        self._ledger.save(batch, results, state)
        count("Deliveries", sum(len(c.members) for c, r in zip(batch.calls, results, strict=True) if r.startswith("accepted")))
        return open_calls

    def _interrupted(self, batch: Batch, results: list[str], error: TemporaryError | SendingStoppedError, by: str) -> None:
        self._ledger.save(batch, results, BatchState.FROZEN)
        unclear = isinstance(error, TemporaryError) and error.maybe_done
        if by and not unclear and results == list(batch.results):
            self._ledger.forget_attempt(batch, by)

    def _without_refusals(self, batch: Batch) -> Batch:
        """Take out of a batch that has waited who has refused or gone since, as far as its keys allow.

        Calls to one person are answered here and not made. A call to many may change only while its key was never used.
        """
        people = self._segments.load(batch.members, [batch.account] if batch.account else [])
        gone = {cid for cid in batch.members if cid not in people or refusal(batch.channel, batch.account, people[cid])}
        if not gone:
            return batch
        given_up = "failed: refused or gone meanwhile"
        calls = zip(batch.calls, batch.results, strict=True)
        results = [result or (given_up if gone >= set(call.members) else "") for call, result in calls]
        batch = self._ledger.save(batch, results, BatchState.FROZEN)
        if batch.attempted_at is None and batch.verb == "multicast":
            self._ledger.thin(batch, [without(call, gone) for call in batch.calls])
        return batch

    def reconcile(self, older_than: timedelta) -> int:
        """Settle batches that were left frozen; return how many pages were looked at."""
        pages = self._ledger.open_batches(self._clock.now() - older_than)
        for page in pages:
            for batch in self._ledger.batches(page):
                if batch.state is not BatchState.FROZEN:
                    self._ledger.file(batch)
                    continue
                try:
                    self._settle(batch)
                except EnishiError as error:
                    warning("a frozen batch could not be settled yet", batch=page, reason=str(error))
        return len(pages)

    def note_event(self, key: str, kind: str, at: datetime) -> None:
        """Keep a provider's own word about a call of ours."""
        self._ledger.note_event(key, kind, at)

    def unknown(self) -> list[dict[str, object]]:
        """Return the batches whose fate nobody knows, for a person to decide."""
        return [
            {"batch_id": item["batch_id"], "frozen_at": item["frozen_at"], "members": item["members"], "channel": item["channel"]}
            for item in self._ledger.unknown_batches()
        ]


def _failed(batches: Sequence[Batch]) -> frozenset[Cid]:
    """Return the members of calls that were refused for good."""
    return frozenset(
        cid
        for batch in batches
        for call, result in zip(batch.calls, batch.results, strict=True)
        if result.startswith("failed")
        for cid in call.members
    )

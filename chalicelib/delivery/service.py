"""Claim, freeze, call, mark: the send protocol (architecture.md section 5; its model test is tests/pure/test_send_protocol.py).

1. claim: one conditional write on each member's row says that this page sends to him at this visit.
2. freeze: the batch (who, exact bodies, retry keys) is written before the first call, and never changes.
3. call: whatever was frozen and has no result yet is called with its key.
4. mark: results are written; a batch with all results is done.
A crash anywhere is healed by running the page again: claims are found by batch id, bodies and keys are read back.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from chalicelib.customers.model import PROFILE_SK, DeliveryChannel
from chalicelib.delivery.caps import Caps
from chalicelib.delivery.compose import Composer, without
from chalicelib.delivery.ledger import Ledger
from chalicelib.delivery.model import Batch, BatchState, Channel, Hold, Job, Report, Row, Send, Skip
from chalicelib.delivery.policy import refusal
from chalicelib.delivery.results import GONE, reached, reason_class, refusals_of
from chalicelib.delivery.senders import KEY_LIFE, HalfSentError, Senders
from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import EnishiError, SendingStoppedError, TemporaryError
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.observability import count, gauge, warning
from chalicelib.people.model import audience_key
from chalicelib.ports.line import Quota
from chalicelib.segments.model import Person
from chalicelib.segments.service import Segments
from chalicelib.tracking.model import ACTIVITY_SK

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
        if job.aside:
            return self._deliver_aside(job, rows, accounts)
        concerned = [row for row in rows if row.is_open(job.cohort, job.visit) or row.claim == job.batch_id]
        people = self._load(job.channel, [row.cid for row in concerned], accounts, habits=job.best_hour)
        report = self._decide(job, [row for row in concerned if row.is_open(job.cohort, job.visit)], people)
        earlier = [row for row in concerned if row.claim == job.batch_id and row.last == job.visit]
        if self._clock.now() - job.due >= _REMEMBERED:
            earlier = []
        claimed = report.sent + earlier
        report.sent = claimed
        return self._report(report, self._finish(job, claimed, people))

    def _deliver_aside(self, job: Job, rows: Sequence[Row], accounts: Sequence[AccountKey]) -> Report:
        ours = self._ledger.claim_aside(rows, job.visit, job.batch_id)
        report = Report(sent=[row for row, is_ours in zip(rows, ours, strict=True) if is_ours])
        people = self._load(job.channel, [row.cid for row in report.sent], accounts)
        return self._report(report, self._finish(job, report.sent, people))

    def _report(self, report: Report, batches: Sequence[Batch]) -> Report:
        report.pending = sum(batch.results.count("") for batch in batches if batch.state is BatchState.FROZEN)
        report.failed = frozenset(cid for batch in batches for cid in refusals_of(batch))
        return report

    def _load(
        self, channel: Channel, cids: Iterable[Cid], accounts: Iterable[AccountKey], *, habits: bool = False
    ) -> dict[Cid, Person]:
        """Return people as far as deciding and writing to them asks: neither tags nor purchases."""
        kinds = (PROFILE_SK, ACTIVITY_SK) if habits else (PROFILE_SK,)
        addresses = channel in (DeliveryChannel.EMAIL, DeliveryChannel.SMS)
        return self._segments.load(cids, accounts, kinds=kinds, addresses=addresses)

    def _decide(self, job: Job, rows: Sequence[Row], people: dict[Cid, Person]) -> Report:
        now = max(job.due, self._clock.now())
        report = Report()
        sends: list[Row] = []
        by_account: Counter[AccountKey] = Counter()
        twins = self._twins(job, rows, people)
        skips: list[tuple[Row, str]] = [(row, "merged") for row in rows if row.cid in twins]
        rows = [row for row in rows if row.cid not in twins]
        for row, decision in zip(rows, self._caps.decide(job, rows, people, now), strict=True):
            match decision:
                case Send(account):
                    sends.append(row)
                    if account:
                        by_account[account] += 1
                case Skip(why):
                    skips.append((row, why))
                case Hold():
                    report.held.append((row, decision))
        if len(sends) > 1:  # a single message LINE refuses itself
            for key, messages in by_account.items():
                self._senders.check_quota(key, messages)
        won = self._ledger.claim(sends, job.cohort, job.visit, job.batch_id)
        report.sent = [row for row, ours in zip(sends, won, strict=True) if ours]
        self._caps.give_back(job, [row for row, ours in zip(sends, won, strict=True) if not ours], people)
        noted = self._ledger.skip([row for row, _ in skips], job.cohort, job.visit, [why for _, why in skips])
        report.skipped = [skip for skip, ours in zip(skips, noted, strict=True) if ours]
        return report

    def _twins(self, job: Job, rows: Sequence[Row], people: dict[Cid, Person]) -> set[Cid]:
        """Return whoever gets a campaign under another number that he has: linked or merged since his audience was frozen.

        Of two rows that still wait the smaller number's sends; a row that was left out, before he was a friend say, does not.
        """
        kind, _, rest = job.source.partition("|")
        campaign_id = rest.partition("|")[0]
        others = {
            audience_key(campaign_id, number): row.cid
            for row in rows
            if kind == "cmp" and (customer := people[row.cid].customer).aliases
            for number in (customer.cid, *customer.aliases)
            if number != row.cid
        }
        noted = self._ledger.notes(others, job.visit) if others else {}
        return {others[key] for key, (cid, note) in noted.items() if note == "sent" or (not note and cid < others[key])}

    def _finish(self, job: Job, claimed: Sequence[Row], people: dict[Cid, Person]) -> list[Batch]:
        """Freeze and send until everybody claimed is in a batch; return the batches as they then are."""
        batches = self._settled(job)
        covered = {cid for batch in batches for cid in batch.members}
        while rest := [(row.cid, _brought_by(row, people[row.cid])) for row in claimed if row.cid not in covered]:
            # Between claim and freeze may lie a crash and an hour: who has refused or gone meanwhile is left out.
            gone = [cid for cid, person in rest if job.skip or refusal(job.channel, job.account, person)]
            now = self._clock.now()
            if gone:
                batch = self._composer.left_out(job, len(batches), gone, now)
            else:
                batch = self._composer.compose(job, len(batches), rest, now)
            sent = self._freeze_and_send(batch, now)
            batches = [*batches, sent] if sent else self._settled(job)  # another worker at this page was quicker
            covered = {cid for batch in batches for cid in batch.members}
        return batches

    def _freeze_and_send(self, batch: Batch, now: datetime) -> Batch | None:
        """Return the batch as it is after its calls, None when its number was taken."""
        if batch.state is not BatchState.FROZEN:
            return batch if self._ledger.freeze(batch) else None
        if batch.verb == "reply":
            # Whether a reply token was tried before decides what becomes of it: the try is noted by itself, and last.
            return self._settle(batch) if self._ledger.freeze(batch) else None
        by = secrets.token_hex(8)
        batch = replace(batch, attempted_at=now)  # written with the batch, for its calls follow at once
        return self._call(batch, now, by, first=True) if self._ledger.freeze(batch, by) else None

    def _settled(self, job: Job) -> list[Batch]:
        kept = self._ledger.batches(job.batch_id)
        return [self._settle(batch) if batch.state is BatchState.FROZEN else batch for batch in kept]

    def _settle(self, batch: Batch) -> Batch:
        """Make the calls of a batch that was left frozen, as far as they have no result yet; return it as it then is."""
        now = self._clock.now()
        if self._senders.has_retry_keys(batch) and batch.attempted_at and now - batch.attempted_at >= KEY_LIFE:
            warning("a batch's retry keys have expired; a person must decide", batch=batch.batch_id, number=batch.number)
            count("DeliveryUnknown")
            return self._ledger.save(batch, batch.results, BatchState.UNKNOWN)
        if now - batch.frozen_at >= _STILL_TRUE:
            batch = self._without_refusals(batch)
        by = secrets.token_hex(8)
        batch, first = self._ledger.attempt(batch, now, by)
        return self._call(batch, now, by, first=first) if batch.state is BatchState.FROZEN else batch

    def _call(self, batch: Batch, now: datetime, by: str, *, first: bool) -> Batch:
        results, errors = self._senders.make_calls(batch, now, again=not first)
        if errors:
            unclear = any(
                isinstance(error, HalfSentError) or (isinstance(error, TemporaryError) and error.maybe_done) for error in errors
            )
            if results != list(batch.results):
                self._ledger.save(batch, results, BatchState.FROZEN)
            elif first and not unclear:
                self._ledger.forget_attempt(batch, by)
            raise next((error for error in errors if isinstance(error, SendingStoppedError)), errors[0])
        unknown = any(result.startswith("unknown") for result in results)
        state = BatchState.FROZEN if "" in results else BatchState.UNKNOWN if unknown else BatchState.SENT
        saved = self._ledger.save(batch, results, state)
        if state is not BatchState.FROZEN:
            _count(saved)
        return saved

    def _without_refusals(self, batch: Batch) -> Batch:
        """Take out of a batch that has waited who has refused or gone since, as far as its keys allow.

        Calls to one person are answered here and not made. A call to many may change only while its key was never used.
        """
        people = self._load(batch.channel, batch.members, [batch.account] if batch.account else [])
        gone = {cid for cid in batch.members if cid not in people or refusal(batch.channel, batch.account, people[cid])}
        if not gone:
            return batch
        calls = zip(batch.calls, batch.results, strict=True)
        results = [result or (GONE if gone >= set(call.members) else "") for call, result in calls]
        batch = self._ledger.save(batch, results, BatchState.FROZEN)
        if batch.attempted_at is None and batch.verb == "multicast":
            self._ledger.thin(batch, [without(call, gone) for call in batch.calls])
        return batch

    def reconcile(self, older_than: timedelta) -> int:
        """Settle batches that were left frozen; return how many pages were looked at."""
        pages = self._ledger.open_batches(self._clock.now() - older_than)
        gauge("BatchesFrozen", sum(self.settle(page) for page in pages))
        return len(pages)

    def settle(self, page: str) -> int:
        """Go on with the frozen batches of a page, each as far as it goes now; return how many there were."""
        frozen = 0
        for batch in self._ledger.batches(page):
            if batch.state is not BatchState.FROZEN:
                self._ledger.file(batch)
                continue
            frozen += 1
            try:
                self._settle(batch)
            except EnishiError as error:
                warning("a frozen batch could not be settled yet", batch=page, reason=str(error))
        return frozen

    def quota(self, account: str) -> Quota:
        """Return what a LINE account may send this month and has sent, at most a minute old."""
        return self._senders.quota(account)

    def why_failed(self, batch_id: str, cid: Cid) -> str:
        """Return why a page's message was not taken for somebody whom it claimed; empty when it was, or is under way."""
        found = (refusals_of(batch).get(cid, "") for batch in self._ledger.batches(batch_id))
        return next(filter(None, found), "")

    def note_event(self, key: str, kind: str, at: datetime) -> None:
        """Keep a provider's own word about a call of ours."""
        self._ledger.note_event(key, kind, at)

    def unknown(self) -> list[dict[str, object]]:
        """Return the batches whose fate nobody knows, for a person to decide."""
        return [
            {"batch_id": item["batch_id"], "frozen_at": item["frozen_at"], "members": item["members"], "channel": item["channel"]}
            for item in self._ledger.unknown_batches()
        ]


def _count(batch: Batch) -> None:
    count("Deliveries", reached(batch))
    if batch.state is BatchState.UNKNOWN:
        count("DeliveryUnknown")
    for reason, number in Counter(reason_class(why) for why in refusals_of(batch).values()).items():
        count("DeliveryFailed", number, reason=reason)


def _brought_by(row: Row, person: Person) -> Person:
    """Return the person with what brought him here, for the templates that tell it."""
    return replace(person, brought=row.data) if row.data else person

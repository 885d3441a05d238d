"""Write, schedule, freeze and send campaigns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from chalicelib.campaigns import table
from chalicelib.campaigns.model import NODE, Campaign, CampaignReport, CampaignState
from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.model import Job
from chalicelib.delivery.service import Delivery
from chalicelib.kernel.clock import Clock, from_text, to_text
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError, SendingStoppedError, TemporaryError
from chalicelib.kernel.ids import AccountKey, CampaignId, Cid, new_id
from chalicelib.kernel.pages import Page, decode_cursor, encode_cursor
from chalicelib.kernel.windows import DeliveryWindow
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.messages.service import Messages
from chalicelib.people.model import AUDIENCE_SHARDS
from chalicelib.ports.database import Database
from chalicelib.ports.schedules import Schedules
from chalicelib.segments.asking import Asking
from chalicelib.segments.candidates import WAIT_SECONDS, Candidates, Wanted
from chalicelib.segments.service import Segments
from chalicelib.settings import settings

PAGE = 500
_LOOKED_AT = 100  # the newest campaigns; older ones that stand still have been seen by an earlier hour
_LATE_START = timedelta(minutes=10)
_LATE_WORK = timedelta(hours=2)  # longer than any page or part and its retries take
Step = dict[str, Any]


class Campaigns:
    """Campaigns. Long work goes step by step: each step returns the steps that follow it, for the work queue."""

    def __init__(
        self,
        delivery: Delivery,
        segments: Segments,
        asking: Asking,
        candidates: Candidates,
        messages: Messages,
        accounts: LineAccounts,
        database: Database,
        schedules: Schedules,
        clock: Clock,
    ) -> None:
        self._delivery = delivery
        self._segments = segments
        self._asking = asking
        self._candidates = candidates
        self._messages = messages
        self._accounts = accounts
        self._database = database
        self._schedules = schedules
        self._clock = clock

    def create(
        self,
        name: str,
        channel: DeliveryChannel,
        template_id: str,
        condition: Mapping[str, Any],
        *,
        account: str = "",
        window: tuple[str, str] = ("", ""),
    ) -> Campaign:
        """Write a campaign down. Raises InvalidError and NotFoundError for what it names wrongly."""
        self._segments.check(condition)
        if self._messages.get(template_id).channel is not channel:
            raise InvalidError("campaign.template_of_other_channel")
        if account:
            self._accounts.get(account)
        if any(window):
            DeliveryWindow.parse(*window)
        now = self._clock.now()
        campaign = Campaign(
            campaign_id=CampaignId(new_id("cmp", now)),
            name=name,
            channel=channel,
            template_id=template_id,
            condition=condition,
            state=CampaignState.DRAFT,
            revision=1,
            created_at=now,
            account=AccountKey(account) if account else None,
            window_start=window[0],
            window_end=window[1],
        )
        table.put(campaign)
        return campaign

    def get(self, campaign_id: str) -> Campaign:
        """Return a campaign. Raises NotFoundError(`campaign.unknown`)."""
        campaign = table.get(campaign_id)
        if campaign is None:
            raise NotFoundError("campaign.unknown", campaign_id=campaign_id)
        return campaign

    def page(self, cursor: str | None, size: int) -> Page[Campaign]:
        """Return campaigns, newest first."""
        items, after = table.page(decode_cursor(cursor), size)
        return Page(items, encode_cursor(after) if after else None)

    def estimate(self, campaign_id: str) -> int:
        """Return how many people would get a campaign if it started now."""
        campaign = self.get(campaign_id)
        now = self._clock.now()
        return self._asking.count(self._audience(campaign), now, campaign.account).count

    def _audience(self, campaign: Campaign) -> Mapping[str, Any]:
        # Whom the channel cannot reach is no recipient; wrapped outside the condition so that no `any` in it can leak.
        return {"all": [{"field": f"{campaign.channel}.reachable", "is": True}, campaign.condition]}

    def schedule(self, campaign_id: str, send_at: datetime | None) -> tuple[Campaign, list[Step]]:
        """Let a campaign start at a time, or now; it can be called off until it starts."""
        campaign = self.get(campaign_id)
        if campaign.state is not CampaignState.DRAFT:
            raise ConflictError("campaign.not_a_draft", state=campaign.state)
        now = self._clock.now()
        if send_at is not None and send_at < now - timedelta(minutes=1):
            raise InvalidError("campaign.time_is_past")
        scheduled = self._to(campaign, CampaignState.SCHEDULED, send_at=send_at or now)
        if send_at is None or send_at <= now:
            return scheduled, [{"op": "campaign_start", "campaign_id": campaign_id}]
        event = {"kind": "campaign", "campaign_id": campaign_id}
        self._schedules.at(f"{settings().stage}-{campaign_id}", send_at, event)
        return scheduled, []

    def cancel(self, campaign_id: str) -> Campaign:
        """Call a campaign off; whatever has not been claimed by now does not leave."""
        campaign = self.get(campaign_id)
        if campaign.state in (CampaignState.SENT, CampaignState.CANCELLED):
            raise ConflictError("campaign.over", state=campaign.state)
        self._schedules.cancel(f"{settings().stage}-{campaign_id}")
        return self._to(campaign, CampaignState.CANCELLED)

    def resume(self, campaign_id: str) -> tuple[Campaign, list[Step]]:
        """Go on with a campaign that was parked; nobody gets it twice."""
        campaign = self.get(campaign_id)
        if campaign.state is CampaignState.SENDING:
            # Asked again, perhaps because the steps of the first time never reached the queue; they may come twice.
            return campaign, self._first_pages(campaign)
        if campaign.state is not CampaignState.PARKED:
            raise ConflictError("campaign.not_parked", state=campaign.state)
        return self._to(campaign, CampaignState.SENDING, reason=""), self._first_pages(campaign)

    def _to(self, campaign: Campaign, state: CampaignState, **changes: Any) -> Campaign:
        changed = replace(campaign, state=state, revision=campaign.revision + 1, **changes)
        if not table.put(changed):
            raise ConflictError("campaign.changed_meanwhile")
        return changed

    # Steps of the work queue ------------------------------------------------------------------------------------------------

    def start(self, campaign_id: str) -> list[Step]:
        """Claim a campaign that is due; a second firing finds it claimed and does the same once more."""
        campaign = self.get(campaign_id)
        if campaign.state is CampaignState.SCHEDULED:
            campaign = self._to(campaign, CampaignState.FREEZING)
        if campaign.state is not CampaignState.FREEZING:
            return []
        return [{"op": "campaign_freeze", "campaign_id": campaign_id, "part": 0}]

    def freeze(self, campaign_id: str, part: int) -> list[Step]:
        """Write one part of the audience down; after the last part sending begins."""
        campaign = self.get(campaign_id)
        if campaign.state not in (CampaignState.FREEZING, CampaignState.SENDING):
            return []
        step = {"op": "campaign_freeze", "campaign_id": campaign_id, "part": part}
        moment = campaign.send_at or campaign.created_at
        wanted = Wanted(campaign_id, self._audience(campaign), moment, campaign.account)
        plan = self._candidates.plan(wanted, self._clock.now())
        if plan is None:
            return [{**step, "delay_seconds": WAIT_SECONDS}]
        is_last = part + 1 == plan.parts
        if campaign.state is CampaignState.SENDING:
            # An earlier try may have stopped before its steps were queued; they may come twice.
            return self._first_pages(campaign) if is_last else []
        count = 0
        found = (person.cid for person in self._candidates.find(plan, wanted, part))
        while batch := list(islice(found, PAGE)):
            # Pages do not go back: of two workers at one part the slower adds nobody once they are on their way.
            if self.get(campaign_id).state is not CampaignState.FREEZING:
                return []
            table.freeze(self._database, campaign, batch)
            count += len(batch)
        table.note_page(self._database, campaign_id, f"AUDIENCE#{part}", {"count": count, "at": to_text(self._clock.now())})
        if not is_last:
            return [{**step, "part": part + 1}]
        self._to(campaign, CampaignState.SENDING)
        return self._first_pages(campaign)

    def _first_pages(self, campaign: Campaign) -> list[Step]:
        return [
            {"op": "campaign_page", "campaign_id": campaign.campaign_id, "shard": shard, "cursor": ""}
            for shard in range(AUDIENCE_SHARDS)
        ]

    def send_page(self, campaign_id: str, shard: int, cursor: str, *, alone: bool = False) -> list[Step]:
        """Send to one page of the audience; when nobody waits any more the campaign is sent.

        alone: the page comes again for those of it who had to wait; the pages after it go their own way.
        """
        campaign = self.get(campaign_id)
        if campaign.state is not CampaignState.SENDING:
            return []
        rows = [row for row, _ in table.rows(self._database, campaign_id, shard, cursor, PAGE)]
        job = self._job(campaign, shard, cursor)
        accounts = [account.key for account in self._accounts.everyone()]
        step = {"op": "campaign_rest" if alone else "campaign_page", "campaign_id": campaign_id, "shard": shard, "cursor": cursor}
        try:
            report = self._delivery.deliver(job, rows, accounts)
        except SendingStoppedError as error:
            self._to(campaign, CampaignState.PARKED, reason=error.reason)
            return []
        except TemporaryError as error:
            if not error.retry_after_seconds:
                raise
            # The other side only asks for patience: the page goes on where it stopped, and no try of the queue's is used up.
            return [step]
        self._note(campaign, job.visit, shard, cursor, report.failed)
        if report.held:
            is_night = job.window is not None and not job.window.is_open(self._clock.now())
            again = {**step, "op": step["op"] if is_night else "campaign_rest"}
            name = f"{settings().stage}-{campaign_id}-{shard}-{cursor or '0'}"
            self._schedules.at(name, min(hold.until for _, hold in report.held), {"kind": "step", "step": again})
            if is_night:
                return []  # the pages after it would wait for the same morning
        if len(rows) == PAGE and not alone:
            return [{**step, "cursor": rows[-1].sk}]
        if not alone:
            table.note_page(self._database, campaign_id, f"DONE#{shard}", {})
        self._end(campaign_id)
        return []

    def _end(self, campaign_id: str) -> None:
        if not self._is_through(campaign_id) or self.report(campaign_id).waiting > 0:
            return
        campaign = self.get(campaign_id)
        if campaign.state is CampaignState.SENDING:  # and not called off while the last page left
            self._to(campaign, CampaignState.SENT)

    def _job(self, campaign: Campaign, shard: int, cursor: str) -> Job:
        window = DeliveryWindow.parse(campaign.window_start, campaign.window_end) if campaign.window_start else None
        return Job(
            batch_id=f"{campaign.cohort}|{shard}|{cursor}",
            cohort=campaign.cohort,
            visit=NODE,
            channel=campaign.channel,
            template_id=campaign.template_id,
            source=f"cmp|{campaign.campaign_id}|",
            due=campaign.send_at or campaign.created_at,
            account=campaign.account,
            window=window,
        )

    def _note(self, campaign: Campaign, visit: str, shard: int, cursor: str, failed: frozenset[Cid]) -> None:
        counts: Counter[str] = Counter()
        for row, path in table.rows(self._database, campaign.campaign_id, shard, cursor, PAGE):
            counts["failed" if row.cid in failed else path.get(visit, "waiting")] += 1
        table.note_page(self._database, campaign.campaign_id, f"PAGE#{shard}#{cursor}", {"counts": dict(counts)})

    def overdue(self) -> list[Step]:
        """Return the steps that get campaigns going again which a crash has left standing; each step may come twice."""
        now = self._clock.now()
        steps: list[Step] = []
        for campaign in table.page(None, _LOOKED_AT)[0]:
            late = now - (campaign.send_at or now)
            match campaign.state:
                case CampaignState.SCHEDULED if late > _LATE_START:
                    steps.append({"op": "campaign_start", "campaign_id": campaign.campaign_id})
                case CampaignState.FREEZING if late > _LATE_WORK:
                    steps += self._stands_still(campaign, now)
                case CampaignState.SENDING if late > _LATE_WORK:
                    steps += self._first_pages(campaign)
                case _:
                    pass
        return steps

    def _stands_still(self, campaign: Campaign, now: datetime) -> list[Step]:
        """Return the step that goes on with an audience of which no part was written down for long: its last one once more."""
        notes = table.notes(self._database, campaign.campaign_id, "AUDIENCE#")
        if any(now - from_text(note["at"]) <= _LATE_WORK for note in notes if "at" in note):  # former ones do not say when
            return []
        return [{"op": "campaign_freeze", "campaign_id": campaign.campaign_id, "part": max(len(notes) - 1, 0)}]

    def report(self, campaign_id: str) -> CampaignReport:
        """Return how a campaign stands. Its audience and who waits are sure when every page has been looked at."""
        # How many a part found says little of its rows: it may have come twice, and somebody may have been found in two parts.
        found = sum(item["count"] for item in table.notes(self._database, campaign_id, "AUDIENCE#"))
        is_through = self._is_through(campaign_id)
        counts: Counter[str] = Counter()
        for item in table.notes(self._database, campaign_id, "PAGE#"):
            counts.update(item["counts"])
        audience = counts.total() if is_through else max(found, counts.total())
        skipped = {word.removeprefix("skipped "): n for word, n in counts.items() if word.startswith("skipped")}
        done = counts["sent"] + counts["failed"] + sum(skipped.values())
        return CampaignReport(audience, counts["sent"], skipped, audience - done, counts["failed"])

    def _is_through(self, campaign_id: str) -> bool:
        """Say whether every page of the audience has been looked at once; whoever had to wait may still wait."""
        return len(table.notes(self._database, campaign_id, "DONE#")) == AUDIENCE_SHARDS

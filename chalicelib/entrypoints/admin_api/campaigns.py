"""Campaigns."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from chalicelib.campaigns.model import Campaign
from chalicelib.customers.model import DeliveryChannel
from chalicelib.entrypoints.admin_api.framework import Body, Call, Name, View, endpoint, instant
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.errors import InvalidError


class CampaignBody(Body, kw_only=True):
    """A campaign. condition: whom it is for, {"tag": "tag_…"} or a tree; account: the LINE account, empty for any."""

    name: Name
    channel: Literal["line", "email", "sms", "postal"]
    template_id: str
    condition: dict[str, Any]
    account: str = ""
    window_start: str = ""
    window_end: str = ""


class SendBody(Body, kw_only=True):
    """When: nothing for now."""

    send_at: datetime | None = None


class CampaignView(View, kw_only=True):
    """A campaign."""

    campaign_id: str
    name: str
    channel: str
    template_id: str
    condition: dict[str, Any]
    account: str
    state: str
    reason: str
    send_at: datetime | None
    created_at: datetime


class CampaignList(View, kw_only=True):
    """A page of campaigns, newest first."""

    items: list[CampaignView]
    next_cursor: str | None


class EstimateView(View, kw_only=True):
    """How many people a campaign would reach now, and how many LINE messages that costs (one a person, whatever its bubbles)."""

    recipients: int
    line_messages: int


class ReportView(View, kw_only=True):
    """How a campaign stands. skipped: left out, by reason; failed: refused by the channel."""

    state: str
    audience: int
    sent: int
    skipped: dict[str, int]
    failed: int
    waiting: int


def _view(campaign: Campaign) -> CampaignView:
    return CampaignView(
        campaign_id=campaign.campaign_id,
        name=campaign.name,
        channel=campaign.channel,
        template_id=campaign.template_id,
        condition=dict(campaign.condition),
        account=campaign.account or "",
        state=campaign.state,
        reason=campaign.reason,
        send_at=campaign.send_at,
        created_at=campaign.created_at,
    )


@endpoint(
    "GET",
    "/campaigns",
    scope="campaigns:read",
    summary="一斉配信の一覧 / List campaigns",
    response=CampaignList,
    query=("cursor", "limit"),
)
def list_campaigns(call: Call[None]) -> CampaignList:
    """List campaigns."""
    page = call.world.campaigns.page(call.query.get("cursor"), call.size())
    return CampaignList(items=[_view(campaign) for campaign in page.items], next_cursor=page.next_cursor)


@endpoint(
    "POST", "/campaigns", scope="campaigns:write", summary="一斉配信の下書きを作る / Draft a campaign",
    request=CampaignBody, response=CampaignView, status=201,
)  # fmt: skip
def create_campaign(call: Call[CampaignBody]) -> CampaignView:
    """Draft a campaign."""
    given = call.body
    made = call.world.campaigns.create(
        given.name,
        DeliveryChannel(given.channel),
        given.template_id,
        given.condition,
        account=given.account,
        window=(given.window_start, given.window_end),
    )
    return _view(made)


@endpoint("GET", "/campaigns/{campaign_id}", scope="campaigns:read", summary="一斉配信 / One campaign", response=CampaignView)
def get_campaign(call: Call[None]) -> CampaignView:
    """Return a campaign."""
    return _view(call.world.campaigns.get(call.path["campaign_id"]))


@endpoint(
    "GET",
    "/campaigns/{campaign_id}/estimate",
    scope="campaigns:read",
    summary="人数と通数の見積もり / Estimate",
    response=EstimateView,
)
def estimate_campaign(call: Call[None]) -> EstimateView:
    """Estimate a campaign."""
    campaign = call.world.campaigns.get(call.path["campaign_id"])
    count = call.world.campaigns.estimate(campaign.campaign_id)
    return EstimateView(recipients=count, line_messages=count if campaign.channel is DeliveryChannel.LINE else 0)


@endpoint(
    "POST", "/campaigns/{campaign_id}/send", scope="campaigns:write", request=SendBody, response=CampaignView, idempotent=True,
    summary="一斉配信を予約または開始 / Schedule or start a campaign",
)  # fmt: skip
def send_campaign(call: Call[SendBody]) -> CampaignView:
    """Schedule or start a campaign."""
    if call.body.send_at is not None:
        instant(call.body.send_at, InvalidError("time.malformed", given=call.body.send_at.isoformat()))
    campaign, steps = call.world.campaigns.schedule(call.path["campaign_id"], call.body.send_at)
    enqueue(steps, call.world)
    return _view(campaign)


@endpoint(
    "POST",
    "/campaigns/{campaign_id}/cancel",
    scope="campaigns:write",
    summary="一斉配信を取り消す / Call a campaign off",
    response=CampaignView,
)
def cancel_campaign(call: Call[None]) -> CampaignView:
    """Call a campaign off."""
    return _view(call.world.campaigns.cancel(call.path["campaign_id"]))


@endpoint(
    "POST", "/campaigns/{campaign_id}/resume", scope="campaigns:write", response=CampaignView, idempotent=True,
    summary="保留中の一斉配信を再開 / Go on with a parked campaign",
)  # fmt: skip
def resume_campaign(call: Call[None]) -> CampaignView:
    """Go on with a parked campaign."""
    campaign, steps = call.world.campaigns.resume(call.path["campaign_id"])
    enqueue(steps, call.world)
    return _view(campaign)


@endpoint("GET", "/campaigns/{campaign_id}/report", scope="campaigns:read", summary="一斉配信の結果 / Report", response=ReportView)
def report_campaign(call: Call[None]) -> ReportView:
    """Report on a campaign."""
    campaign = call.world.campaigns.get(call.path["campaign_id"])
    report = call.world.campaigns.report(campaign.campaign_id)
    return ReportView(
        state=campaign.state,
        audience=report.audience,
        sent=report.sent,
        skipped=dict(report.skipped),
        failed=report.failed,
        waiting=report.waiting,
    )

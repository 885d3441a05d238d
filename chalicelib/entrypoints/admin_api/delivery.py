"""What holds for every delivery: the company's own limits, webhooks out, notices to the staff."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from chalicelib.delivery.hooks import Hook
from chalicelib.delivery.model import Limits, cap_words, parse_cap
from chalicelib.entrypoints.admin_api.framework import Body, Call, Name, View, endpoint
from chalicelib.kernel.ids import customer_id
from chalicelib.kernel.windows import DeliveryWindow

if TYPE_CHECKING:
    from chalicelib.delivery.notices import Notices


class CapBody(Body, kw_only=True):
    """At most so many messages to a person in any such time. channel: binds messages of this channel only; empty: all."""

    scope: Literal["all", "source", "channel"]
    most: Annotated[int, msgspec.Meta(ge=1, le=100)]
    per: str
    policy: Literal["delay", "skip"]
    channel: Literal["", "line", "email", "sms", "postal"] = ""


class HoursBody(Body, kw_only=True):
    """The hours (JST, HH:MM) in which messages may leave that name no hours of their own."""

    start: str
    end: str


class LimitsBody(Body, kw_only=True):
    """The company's own limits on every message, whatever a scenario or campaign says."""

    caps: Annotated[list[CapBody], msgspec.Meta(max_length=10)] = []
    hours: HoursBody | None = None


class CapView(View, kw_only=True):
    """A cap."""

    scope: str
    most: int
    per: str
    policy: str
    channel: str


class HoursView(View, kw_only=True):
    """Hours of a day in Japan."""

    start: str
    end: str


class LimitsView(View, kw_only=True):
    """The company's own limits."""

    caps: list[CapView]
    hours: HoursView | None


def _limits(limits: Limits) -> LimitsView:
    window = limits.window
    return LimitsView(
        caps=[CapView(**cap_words(cap)) for cap in limits.caps],
        hours=HoursView(start=f"{window.start:%H:%M}", end=f"{window.end:%H:%M}") if window else None,
    )


@endpoint(
    "GET", "/delivery-limits", scope="operations:read", response=LimitsView,
    summary="全社共通の配信上限と配信時間 / The company's own limits",
)  # fmt: skip
def get_delivery_limits(call: Call[None]) -> LimitsView:
    """Return the company's own limits."""
    return _limits(call.world.caps.limits())


@endpoint(
    "PUT", "/delivery-limits", scope="operations:write", request=LimitsBody, response=LimitsView,
    summary="全社共通の配信上限と配信時間を決める / Set the company's own limits",
)  # fmt: skip
def set_delivery_limits(call: Call[LimitsBody]) -> LimitsView:
    """Set the company's own limits."""
    caps = tuple(parse_cap(cap.scope, cap.most, cap.per, cap.policy, cap.channel) for cap in call.body.caps)
    hours = call.body.hours
    limits = Limits(caps, DeliveryWindow.parse(hours.start, hours.end) if hours else None)
    call.world.caps.set_limits(limits)
    return _limits(limits)


class WebhookBody(Body, kw_only=True):
    """A webhook."""

    name: Name
    url: str
    enabled: bool = True


class WebhookView(View, kw_only=True):
    """A webhook. secret: shown once, when it is made."""

    webhook_id: str
    name: str
    url: str
    enabled: bool
    secret: str = ""


class WebhookList(View, kw_only=True):
    """All webhooks."""

    items: list[WebhookView]


def _webhook(hook: Hook, secret: str = "") -> WebhookView:
    return WebhookView(webhook_id=hook.hook_id, name=hook.name, url=hook.url, enabled=hook.is_enabled, secret=secret)


@endpoint("GET", "/webhooks", scope="operations:read", summary="送信Webhookの一覧 / List webhooks", response=WebhookList)
def list_webhooks(call: Call[None]) -> WebhookList:
    """List webhooks."""
    return WebhookList(items=[_webhook(hook) for hook in call.world.hooks.everyone()])


@endpoint("GET", "/webhooks/{webhook_id}", scope="operations:read", summary="送信Webhook / One webhook", response=WebhookView)
def get_webhook(call: Call[None]) -> WebhookView:
    """Return a webhook."""
    return _webhook(call.world.hooks.get(call.path["webhook_id"]))


@endpoint(
    "PUT", "/webhooks/{webhook_id}", scope="operations:write", request=WebhookBody, response=WebhookView,
    summary="送信Webhookを作る・変更する（署名鍵は作成時に一度だけ表示） / Make or change a webhook; the secret is shown once",
)  # fmt: skip
def put_webhook(call: Call[WebhookBody]) -> WebhookView:
    """Make or change a webhook."""
    hook = Hook(call.path["webhook_id"], call.body.name, call.body.url, call.body.enabled)
    return _webhook(hook, call.world.hooks.save(hook))


@endpoint("DELETE", "/webhooks/{webhook_id}", scope="operations:write", summary="送信Webhookを消す / Delete a webhook", status=204)
def delete_webhook(call: Call[None]) -> None:
    """Delete a webhook and its secret."""
    call.world.hooks.delete(call.path["webhook_id"])


class NoticesBody(Body, kw_only=True):
    """Whom notices go to by e-mail."""

    emails: list[str]


class NoticeView(View, kw_only=True):
    """Something that the staff was told. customers: the first twenty of `count`."""

    at: datetime
    title: str
    text: str
    count: int
    customers: list[str]


class NoticesView(View, kw_only=True):
    """Whom notices go to, and the latest hundred, newest first."""

    emails: list[str]
    items: list[NoticeView]


def _notices(notices: Notices) -> NoticesView:
    items = [
        NoticeView(
            at=notice.at,
            title=notice.title,
            text=notice.text,
            count=notice.count,
            customers=[customer_id(cid) for cid in notice.customers],
        )
        for notice in notices.latest()
    ]
    return NoticesView(emails=notices.addresses(), items=items)


@endpoint(
    "GET", "/staff-notices", scope="operations:read", summary="スタッフへのお知らせ / Notices to the staff", response=NoticesView
)
def list_staff_notices(call: Call[None]) -> NoticesView:
    """List notices to the staff."""
    return _notices(call.world.notices)


@endpoint(
    "PUT", "/staff-notices", scope="operations:write", request=NoticesBody, response=NoticesView,
    summary="スタッフへのお知らせの宛先を決める / Set whom notices go to",
)  # fmt: skip
def set_staff_notices(call: Call[NoticesBody]) -> NoticesView:
    """Set whom notices go to."""
    call.world.notices.set_addresses(call.body.emails)
    return _notices(call.world.notices)

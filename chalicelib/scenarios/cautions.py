"""What to look at before publishing what was rehearsed; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from chalicelib.kernel.windows import JST, local_date
from chalicelib.ports.line import Quota
from chalicelib.scenarios.costs import Prices
from chalicelib.scenarios.graph import SendNode
from chalicelib.scenarios.model import EnrollmentStatus
from chalicelib.scenarios.rehearsal import Rehearsal
from chalicelib.scenarios.telling import label_of


@dataclass(frozen=True, slots=True)
class Warned:
    """Something to look at before publishing. code: a stable word."""

    code: str
    ja: str
    en: str


def month_of(moment: datetime) -> str:
    """Return the month of LINE's bill in which an instant lies."""
    return f"{moment.astimezone(JST):%Y-%m}"


def cautions(done: Rehearsal, by_month: Mapping[str, int], prices: Prices, quota: Quota | None, scale: float) -> Iterator[Warned]:
    """Yield what a rehearsal gives reason to look at.

    by_month: 通数 of the whole audience. quota: what the LINE account may send in a month and has sent in the one that it
    begins in. scale: how many people each of those who were rehearsed stands for.
    """
    members = done.records.members_by_cid.values()
    if not members:
        yield Warned("nobody", "条件に当てはまる人がいません", "nobody fulfils the condition")
        return
    never = sum(not any(note == "sent" for note in member.path.values()) for member in members)
    sends = any(isinstance(node, SendNode) for node in done.version.graph.nodes.values())
    if sends and never:
        share = never / len(members)
        yield Warned("never_reached", f"{share:.0%}の人には1通も届きません", f"{share:.0%} are never reached")
    active = sum(member.status is EnrollmentStatus.ACTIVE for member in members)
    if active:
        share, days = active / len(members), done.assumed.days
        yield Warned(
            "under_way", f"{share:.0%}の人は{days}日たっても途中です", f"{share:.0%} are still under way after {days} days"
        )
    begins = month_of(done.assumed.begins_at)
    for month, messages in by_month.items():
        yield from _of_month(done, month, messages, prices, quota, begins, scale)


def _of_month(
    done: Rehearsal, month: str, messages: int, prices: Prices, quota: Quota | None, begins: str, scale: float
) -> Iterator[Warned]:
    """Yield what a month's messages exceed: what the plan includes costs more, what the account may send is not sent."""
    included = prices.line_included - ((prices.line_used or 0) if month == begins else 0)
    if messages > included:
        place = _place(done, month, included, scale)
        yield Warned(
            "included_exceeded",
            f"{month}の通数が{place}でプランに含まれる{max(included, 0):,}通を超え、追加料金がかかります（計{messages:,}通）",
            f"in {month} the {max(included, 0):,} messages that the plan includes are used up at {place}; more cost extra "
            f"({messages:,} in all)",
        )
    left = None if quota is None or quota.limit is None else quota.limit - (quota.used if month == begins else 0)
    if left is not None and messages > left:
        place = _place(done, month, left, scale)
        yield Warned(
            "quota_exceeded",
            f"{month}は{place}でLINEアカウントの残り{max(left, 0):,}通を使い切り、配信が止まります（計{messages:,}通）",
            f"in {month} the {max(left, 0):,} messages that the LINE account has left are used up at {place}; sending stops "
            f"({messages:,} in all)",
        )


def _place(done: Rehearsal, month: str, most: int, scale: float) -> str:
    """Return the step and the day at which more than so many messages of a month have left."""
    total = 0.0
    for at, node, messages in done.outbox.line_log:
        if month_of(at) == month:
            total += messages * scale
            if total > most:
                day = local_date(at)
                return f"「{label_of(done.version.graph, node)}」({day.month}/{day.day})"
    return "?"

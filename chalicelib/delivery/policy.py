"""Send, hold or skip: the one place that decides, pure."""

from __future__ import annotations

from datetime import datetime

from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.model import Decision, Hold, Job, Send, Skip
from chalicelib.segments.model import Person


def decide(job: Job, person: Person, now: datetime) -> Decision:
    """Return what happens to one person's message at `now`.

    The order matters: a refusal outweighs a missing address, both outweigh the hour, so that nobody is held until morning
    for a message that he will not get.
    """
    if person.customer.has_opted_out(job.channel):
        return Skip("opted_out")
    if job.channel in person.suppressed:
        return Skip("address_refused")
    account = None
    if job.channel is DeliveryChannel.LINE:
        friend = person.friend(job.account)
        if friend is None:
            return Skip("not_a_friend")
        if not friend.is_reachable:
            return Skip("blocked")
        account = friend.account
    elif not person.can_reach(job.channel):
        return Skip("no_address")
    if job.window and not job.window.is_open(now):
        return Hold(job.window.opens_at(now)) if job.hold_outside_window else Skip("outside_window")
    return Send(account)

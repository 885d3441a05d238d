"""Send, hold or skip: the one place that decides, pure."""

from __future__ import annotations

from datetime import datetime

from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.model import Decision, Hold, Job, Send, Skip
from chalicelib.kernel.ids import AccountKey
from chalicelib.segments.model import Person


def decide(job: Job, person: Person, now: datetime) -> Decision:
    """Return what happens to one person's message at `now`.

    The order matters: a refusal outweighs a missing address, both outweigh the hour, so that nobody is held until morning
    for a message that he will not get.
    """
    why = refusal(job.channel, job.account, person)
    if why:
        return Skip(why)
    if job.window and not job.window.is_open(now):
        return Hold(job.window.opens_at(now)) if job.hold_outside_window else Skip("outside_window")
    friend = person.friend(job.account) if job.channel is DeliveryChannel.LINE else None
    return Send(friend.account if friend else None)


def refusal(channel: DeliveryChannel, account: AccountKey | None, person: Person) -> str:
    """Return why nothing may leave to a person on a channel whatever the hour; empty when it may."""
    if person.customer.has_opted_out(channel):
        return "opted_out"
    if channel in person.suppressed:
        return "address_refused"
    if channel is DeliveryChannel.LINE:
        friend = person.friend(account)
        if friend is None:
            # Without an account, a friendship is looked for that reaches him: there are some, and all are blocked.
            return "blocked" if account is None and person.friends else "not_a_friend"
        return "" if friend.is_reachable else "blocked"
    return "" if person.can_reach(channel) else "no_address"

"""Send, hold or skip: the one place that decides, pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from functools import lru_cache

from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.model import Cap, Channel, Decision, Hold, Job, Limits, MachineChannel, PastSend, Send, Skip
from chalicelib.kernel.ids import AccountKey
from chalicelib.kernel.windows import JST, at_local, local_date, next_grain
from chalicelib.segments.model import Person

_GRAIN = timedelta(minutes=15)
_LINE = DeliveryChannel.LINE
_SEND = Send()
# Asked of everybody of an audience, and the decisions are the same few.
_sent_by = lru_cache(maxsize=64)(Send)
_skipped_for = lru_cache(maxsize=64)(Skip)


def decide(job: Job, person: Person, now: datetime, recent: Sequence[PastSend] = ()) -> Decision:
    """Return what happens to one person's message at `now`.

    recent: what he got lately, this message not among it. The order matters: a refusal outweighs a missing address, both
    outweigh the hour, so that nobody is held until morning for a message that he will not get. A hold makes progress: asked
    again at its instant, the same reason holds nobody, unless he has got something else meanwhile.
    """
    why = job.skip or refusal(job.channel, job.account, person)
    if why:
        return _skipped_for(why)
    if isinstance(job.channel, MachineChannel):
        return _SEND
    if not job.important and (job.caps or job.best_hour or job.window):
        waits = _capped(job, now, recent) or _unaccustomed(job, person, now) or _closed(job, now)
        if waits:
            return waits
    if job.channel is not _LINE:
        return _SEND
    account = job.account
    if account is None and (friend := person.friend(None)):
        account = friend.account
    return _sent_by(account)


def refusal(channel: Channel, account: AccountKey | None, person: Person) -> str:
    """Return why nothing may leave to a person on a channel whatever the hour; empty when it may."""
    if isinstance(channel, MachineChannel):
        return ""
    if person.customer.has_opted_out(channel):
        return "opted_out"
    if channel in person.suppressed:
        return "address_refused"
    if channel is _LINE:
        friend = person.friend(account)
        if friend is None:
            # Without an account, a friendship is looked for that reaches him: there are some, and all are blocked.
            return "blocked" if account is None and person.friends else "not_a_friend"
        return "" if friend.is_reachable else "blocked"
    return "" if person.has_address(channel) else "no_address"


def within(job: Job, limits: Limits) -> Job:
    """Return a job with what the company allows itself on top of what the job says."""
    window = job.window if job.reply else job.window or limits.window  # who has just asked is answered at night too
    return replace(job, caps=(*job.caps, *limits.caps), window=window)


def is_counted(job: Job) -> bool:
    """Say whether a message counts against caps: not what somebody has asked for or has to know, and not what a machine gets."""
    return not job.important and job.reply is None and isinstance(job.channel, DeliveryChannel)


def binding(caps: Sequence[Cap], channel: Channel) -> tuple[Cap, ...]:
    """Return the caps that bind messages of a channel."""
    return tuple(cap for cap in caps if cap.channel in {"", channel})


def origin(source: str) -> str:
    """Return `kind|id` of a source: the scenario or campaign, whatever the node."""
    return "|".join(source.split("|")[:2])


def _capped(job: Job, now: datetime, recent: Sequence[PastSend]) -> Hold | Skip | None:
    if not (job.caps and is_counted(job)):
        return None
    holds = list[Hold]()
    for cap in binding(job.caps, job.channel):
        counted = sorted(one.at for one in recent if now - one.at < cap.per and _counts(cap, job, one))
        if len(counted) < cap.most:
            continue
        if cap.policy == "skip":
            return Skip("cap")
        # There is a place again when so many have left the period that one fewer than the most remains.
        # Those who wait alike wait together: everybody's own second would make a cohort for each.
        holds.append(Hold(next_grain(counted[len(counted) - cap.most] + cap.per, _GRAIN), "cap"))
    return max(holds, key=lambda hold: hold.until, default=None)


def _counts(cap: Cap, job: Job, one: PastSend) -> bool:
    match cap.scope:
        case "all":
            return True
        case "source":
            return one.source == origin(job.source)
        case "channel":
            return one.channel == job.channel


def _unaccustomed(job: Job, person: Person, now: datetime) -> Hold | None:
    hour = person.activity.best_hour() if job.best_hour else None
    if hour is None or now.astimezone(JST).hour == hour:
        return None
    today = at_local(local_date(now), time(hour))
    # Somebody whose hour lies in the night is content with the window.
    if job.window and not (job.window.is_open(today) or job.window.start.hour == hour):
        return None
    return Hold(today if today > now else at_local(local_date(now) + timedelta(days=1), time(hour)), "best_hour")


def _closed(job: Job, now: datetime) -> Hold | Skip | None:
    if job.window is None or job.window.is_open(now):
        return None
    return Hold(job.window.opens_at(now), "quiet_hours") if job.hold_outside_window else Skip("outside_window")

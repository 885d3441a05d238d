"""Audiences as they exist at LINE: who is in them, and how far their making has come by the virtual clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from line_simulator.exchange import SimulatorError
from line_simulator.world.activity import Activity
from line_simulator.world.state import DAY_SECONDS, Channel, World, part

# AudienceGroupType and AudienceGroupCreateRoute of manage-audience.yml; the last two routes stand in the reference only.
KINDS: Final = (
    *("UPLOAD", "CHAT_TAG", "FRIEND_PATH", "RESERVATION", "APP_EVENT", "VIDEO_VIEW", "WEBTRAFFIC", "IMAGE_CLICK"),
    *("RICHMENU_IMP", "RICHMENU_CLICK", "POP_AD_IMP", "TRACKINGTAG_WEBTRAFFIC"),
)
ROUTES: Final = ("OA_MANAGER", "MESSAGING_API", "POINT_AD", "AD_MANAGER", "BUSINESS_MANAGER", "YAHOO_DISPLAY_ADS")
KEPT_SECONDS: Final = 180 * DAY_SECONDS
# Expired audiences are deleted a month later (Messaging API reference, Get audience data).
DELETED_SECONDS: Final = KEPT_SECONDS + 30 * DAY_SECONDS
ENOUGH: Final = 50
SHOWN_FROM: Final = 20
# jobs of GetAudienceDataResponse in manage-audience.yml: at most 50.
JOBS_SHOWN: Final = 50


@dataclass(slots=True)
class Job:
    """One upload of ids; `added` of them were new. It is done at `ready_at` (epoch seconds)."""

    id: int
    description: str | None
    added: int
    created: float
    ready_at: float
    failed: bool = False


@dataclass(slots=True)
class Audience:
    """One audience group of a channel. `members`: user ids, or advertising ids with `ifa`; clicks and views are looked up.

    shared: made by another account and shared through Business Manager.
    """

    id: int
    channel_id: str
    kind: str
    description: str
    created: float
    ready_at: float
    ifa: bool = False
    route: str = "MESSAGING_API"
    shared: bool = False
    failed: bool = False
    request_id: str = ""
    sequence: int = 0
    click_url: str = ""
    jobs: list[Job] = field(default_factory=list)
    members: dict[str, None] = field(default_factory=dict)

    @property
    def restricted(self) -> bool:
        """Whether it needs fifty people: all but the account's own uploads of user ids and chat tags."""
        return self.shared or self.ifa or self.kind not in ("UPLOAD", "CHAT_TAG")


@part("audiences")
@dataclass(slots=True)
class AudienceBook:
    """All audiences by id, oldest first."""

    audiences: dict[int, Audience] = field(default_factory=dict)

    def of(self, channel: Channel, now: float) -> list[Audience]:
        """Return a channel's audiences, oldest first, after dropping those that LINE has deleted by now."""
        gone = [one.id for one in self.audiences.values() if now >= one.created + DELETED_SECONDS]
        for audience_id in gone:
            del self.audiences[audience_id]
        return [one for one in self.audiences.values() if one.channel_id == channel.id]

    def find(self, channel: Channel, audience_id: object, now: float) -> Audience | None:
        """Return the channel's audience with this id, if there is one."""
        found = self.audiences.get(audience_id) if isinstance(audience_id, int) else None
        if found is None or found.channel_id != channel.id or now >= found.created + DELETED_SECONDS:
            return None
        return found


def new_id(world: World) -> int:
    """Return an audience or job id: a number of thirteen digits, as in LINE's examples."""
    return 10**12 + int(world.ids.hex32(), 16) % (9 * 10**12)


def job_status(job: Job, now: float) -> str:
    """Return QUEUED, WORKING, FINISHED or FAILED (manage-audience.yml, AudienceGroupJobStatus)."""
    if now >= job.ready_at:
        return "FAILED" if job.failed else "FINISHED"
    return "QUEUED" if now < (job.created + job.ready_at) / 2 else "WORKING"


def members(world: World, audience: Audience) -> set[str]:
    """Return the user ids in an audience, friends or not. Clicks and views count until it was made."""
    if audience.kind in ("CLICK", "IMP"):
        acts = world.part(Activity).sendings.get(audience.sequence)
        if acts is None:
            return set()
        if audience.kind == "IMP":
            return {user for user, at in acts.impressions.items() if at <= audience.ready_at}
        wanted = audience.click_url
        return {one.user_id for one in acts.clicks if one.at <= audience.ready_at and wanted in ("", one.url)}
    if not audience.ifa:
        return set(audience.members)
    provider = world.state.channels[audience.channel_id].provider
    people = [person for person in world.state.people.values() if person.ifa and person.ifa.lower() in audience.members]
    return {person.user_ids[provider] for person in people if provider in person.user_ids}


def status(world: World, audience: Audience) -> str:
    """Return IN_PROGRESS, READY, FAILED or EXPIRED now.

    An empty one, and one of too few clicks or views, stays IN_PROGRESS (Messaging API reference, Get audience data).
    """
    now = world.clock.time()
    if now >= audience.created + KEPT_SECONDS:
        return "EXPIRED"
    if now < audience.ready_at:
        return "IN_PROGRESS"
    if audience.failed:
        return "FAILED"
    enough = ENOUGH if audience.kind in ("CLICK", "IMP") else 1
    return "READY" if _size(world, audience) >= enough else "IN_PROGRESS"


def count(world: World, audience: Audience) -> int:
    """Return how many people LINE shows: 0 below twenty for privacy, except for uploaded user ids and chat tags."""
    now = world.clock.time()
    people = _size(world, audience) - sum(job.added for job in audience.jobs if now < job.ready_at)
    return people if people >= SHOWN_FROM or not audience.restricted else 0


def _size(world: World, audience: Audience) -> int:
    counted = audience.kind in ("CLICK", "IMP")
    return len(members(world, audience)) if counted else len(audience.members)


def add_audience(
    world: World,
    channel: Channel,
    name: str,
    user_ids: list[str],
    *,
    kind: str = "CHAT_TAG",
    route: str = "OA_MANAGER",
    shared: bool = False,
) -> Audience:
    """Make an audience that does not come from the Messaging API, ready at once: from LINE Official Account Manager, or shared.

    Raises SimulatorError for ids that are not the channel's, and for kinds and routes that LINE does not know.
    """
    if kind not in KINDS or route not in ROUTES:
        raise SimulatorError(f"kind is one of {', '.join(KINDS)}, and route one of {', '.join(ROUTES)}.")
    for user_id in user_ids:
        if world.state.owners.get(user_id, ("", None))[0] != channel.provider:
            raise SimulatorError(f"{user_id!r} is no user id of {channel.name}.")
    now = world.clock.time()
    audience = Audience(new_id(world), channel.id, kind, name, now, now, route=route, shared=shared)
    audience.members.update(dict.fromkeys(user_ids))
    world.part(AudienceBook).audiences[audience.id] = audience
    world.state.next_sequence()
    return audience

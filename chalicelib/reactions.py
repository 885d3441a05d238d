"""What follows from a fact: the only place where rooms meet. Everything here may run twice for the same fact."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.errors import PermanentError, to_each
from chalicelib.kernel.facts import (
    CustomersMerged,
    EmailOpened,
    Evidence,
    Fact,
    FriendBlocked,
    FriendFollowed,
    IdentityLinked,
    IdentityUnlinked,
    LinkAnswered,
    LinkClicked,
    Occurred,
    OptedOut,
    OrderPlaced,
    ProfileChanged,
    ReplyToken,
    Responded,
    ScenarioAsked,
    SegmentEntered,
    SegmentLeft,
    TagAdded,
    TagRemoved,
)
from chalicelib.observability import warning

if TYPE_CHECKING:
    from chalicelib.wiring import World

# What a person can ask for by tapping a button of ours; the marketer puts these words into a postback.
ASK_LINK = "enishi:link"
ASK_UNLINK = "enishi:unlink"
ASK_STOP = "enishi:stop"
ASK_RESTART = "enishi:restart"


def react(facts: Iterable[Fact], world: World) -> None:
    """Do everything that follows from these facts and from the facts that follow, for each whatever becomes of the others."""
    todo = deque(facts)
    happened: list[Fact] = []

    def take(fact: Fact) -> None:
        reaction = _REACTIONS.get(type(fact))
        if reaction is not None:
            happened.append(fact)
            todo.extend(reaction(fact, world))

    ways: list[Callable[[], object]] = [
        lambda: to_each(iter(lambda: todo.popleft() if todo else None, None), take),
        lambda: _look(happened, world),  # last, and at all of them together: what they brought about counts too
    ]
    to_each(ways, lambda way: way())


def react_to_orders(facts: list[OrderPlaced], world: World) -> None:
    """Do what follows from many orders at once (imports)."""
    ways: list[Callable[[], object]] = [
        lambda: react(world.scenario_people.on_orders(facts, _tell(world)), world),
        lambda: _look(facts, world),
    ]
    to_each(ways, lambda way: way())


def _look(facts: Sequence[Fact], world: World) -> None:
    """Tell who came into live segments by these facts, and who left them."""
    world.live_segments.on_facts(facts, world.clock.now(), _tell(world))


def _tell(world: World) -> Callable[[list[Fact]], None]:
    return lambda facts: react(facts, world)


def _heard(fact: Fact, world: World, reply: ReplyToken | None = None) -> list[Fact]:
    return world.scenario_people.on_fact(fact, reply, _tell(world))


def _followed(fact: FriendFollowed, world: World) -> list[Fact]:
    world.tracking.note(fact, "followed", account=fact.account, is_unblocked=fact.is_unblocked)
    world.tracking.acted(fact.cid, fact.at)
    friend = world.friends.find(fact.account, fact.line_user_id)
    if friend is not None and not friend.display_name:
        try:
            world.friends.fetch_profile(friend)
        except PermanentError:
            warning("LINE would not tell a profile", account=fact.account)  # he is welcomed all the same
    return _heard(fact, world, fact.reply)


def _blocked(fact: FriendBlocked, world: World) -> list[Fact]:
    world.tracking.note(fact, "blocked", account=fact.account)
    return _heard(fact, world)


def _responded(fact: Responded, world: World) -> list[Fact]:
    world.tracking.note(fact, fact.kind, account=fact.account, evidence=str(fact.evidence), data=fact.data)
    world.tracking.acted(fact.cid, fact.at)
    asks = fact.data in (ASK_LINK, ASK_UNLINK, ASK_STOP, ASK_RESTART)
    if not asks:
        return _heard(fact, world, fact.reply)
    facts: list[Fact] = []
    if fact.data == ASK_LINK:
        world.answers.invite(fact)
    elif fact.data == ASK_UNLINK:
        facts = world.answers.unlink(fact)
    else:
        stops = fact.data == ASK_STOP
        source = f"line postback {fact.fact_id}"
        facts = world.customers.set_consent(fact.cid, DeliveryChannel.LINE, opted_out=stops, source=source)
        world.answers.confirm(fact, "stopped" if stops else "restarted")
    # Last: no failing scenario stands between a person and his refusal. The reply token has been used by the answer.
    return facts + _heard(fact, world)


def _link_answered(fact: LinkAnswered, world: World) -> list[Fact]:
    facts = world.identity_links.complete(fact)
    if not facts:
        world.answers.confirm(fact, "link_failed")
    return facts


def _linked(fact: IdentityLinked, world: World) -> list[Fact]:
    world.tracking.note(fact, "linked", account=fact.account)
    world.tracking.acted(fact.cid, fact.at)
    world.answers.confirm(fact, "linked")
    return _heard(fact, world)


def _unlinked(fact: IdentityUnlinked, world: World) -> list[Fact]:
    world.tracking.note(fact, "unlinked", account=fact.account)
    return _heard(fact, world)


def _clicked(fact: LinkClicked, world: World) -> list[Fact]:
    world.tracking.note(fact, "clicked", link_id=fact.link_id, source=fact.source, evidence=str(fact.evidence))
    if fact.evidence.counts_as(Evidence.PROBABLE):  # a machine's visit is no act of his
        world.tracking.acted(fact.cid, fact.at)
    return _heard(fact, world)


def _opened(fact: EmailOpened, world: World) -> list[Fact]:
    world.tracking.note(fact, "email_opened", source=fact.source, evidence=str(fact.evidence))
    return _heard(fact, world)


def _opted_out(fact: OptedOut, world: World) -> list[Fact]:
    world.tracking.note(fact, "opted_out", channel=fact.channel)
    return _heard(fact, world)


def _occurred(fact: Occurred, world: World) -> list[Fact]:
    world.tracking.note(fact, fact.event, name=fact.name, data=dict(fact.data))
    if fact.event not in ("custom", "reservation_cancelled"):  # which may be no act of his
        world.tracking.acted(fact.cid, fact.at)
    return _heard(fact, world)


_REACTIONS: dict[type[Fact], Callable[[Any, World], list[Fact]]] = {
    FriendFollowed: _followed,
    FriendBlocked: _blocked,
    Responded: _responded,
    LinkAnswered: _link_answered,
    IdentityLinked: _linked,
    IdentityUnlinked: _unlinked,
    CustomersMerged: _heard,
    OrderPlaced: _heard,
    ProfileChanged: lambda _fact, _world: [],
    LinkClicked: _clicked,
    EmailOpened: _opened,
    OptedOut: _opted_out,
    TagAdded: _heard,
    TagRemoved: _heard,
    ScenarioAsked: _heard,
    SegmentEntered: _heard,
    SegmentLeft: _heard,
    Occurred: _occurred,
}

"""What follows from a fact: the only place where rooms meet. Everything here may run twice for the same fact."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.facts import (
    EmailOpened,
    Evidence,
    Fact,
    FriendBlocked,
    FriendFollowed,
    IdentityLinked,
    IdentityUnlinked,
    LinkAnswered,
    LinkClicked,
    OptedOut,
    OrderPlaced,
    Responded,
    TagAdded,
)

if TYPE_CHECKING:
    from chalicelib.wiring import World

# What a person can ask for by tapping a button of ours; the marketer puts these words into a postback.
ASK_LINK = "enishi:link"
ASK_UNLINK = "enishi:unlink"
ASK_STOP = "enishi:stop"
ASK_RESTART = "enishi:restart"


def react(facts: Iterable[Fact], world: World) -> None:
    """Do everything that follows from these facts and from the facts that follow."""
    todo = list(facts)
    while todo:
        fact = todo.pop(0)
        reaction = _REACTIONS.get(type(fact))
        if reaction is not None:
            todo += reaction(fact, world)


def react_to_orders(facts: list[OrderPlaced], world: World) -> None:
    """Do what follows from many orders at once (imports)."""
    for fact in facts:
        world.scenarios.on_exit(fact.cid, "purchase", fact.at)
    react(world.scenarios.on_triggers(facts), world)


def _followed(fact: FriendFollowed, world: World) -> list[Fact]:
    world.tracking.note(fact, "followed", account=fact.account, is_unblocked=fact.is_unblocked)
    world.tracking.acted(fact.cid, fact.at)
    friend = world.friends.find(fact.account, fact.line_user_id)
    if friend is not None and not friend.display_name:
        world.friends.fetch_profile(friend)
    return world.scenarios.on_trigger(fact, fact.reply)


def _blocked(fact: FriendBlocked, world: World) -> list[Fact]:
    world.scenarios.on_exit(fact.cid, "blocked", fact.at)
    world.tracking.note(fact, "blocked", account=fact.account)
    return []


def _responded(fact: Responded, world: World) -> list[Fact]:
    world.tracking.note(fact, fact.kind, account=fact.account, evidence=str(fact.evidence), data=fact.data)
    world.tracking.acted(fact.cid, fact.at)
    world.scenarios.on_response(fact)
    if fact.data == ASK_LINK:
        world.answers.invite(fact)
    elif fact.data == ASK_UNLINK:
        return world.answers.unlink(fact)
    elif fact.data in (ASK_STOP, ASK_RESTART):
        stops = fact.data == ASK_STOP
        source = f"line postback {fact.fact_id}"
        facts = world.customers.set_consent(fact.cid, DeliveryChannel.LINE, opted_out=stops, source=source)
        world.answers.confirm(fact, "stopped" if stops else "restarted")
        return facts
    return []


def _link_answered(fact: LinkAnswered, world: World) -> list[Fact]:
    facts = world.identity_links.complete(fact)
    if not facts:
        world.answers.confirm(fact, "link_failed")
    return facts


def _linked(fact: IdentityLinked, world: World) -> list[Fact]:
    world.tracking.note(fact, "linked", account=fact.account)
    world.tracking.acted(fact.cid, fact.at)
    facts = world.scenarios.on_trigger(fact)
    world.answers.confirm(fact, "linked")
    return facts


def _unlinked(fact: IdentityUnlinked, world: World) -> list[Fact]:
    world.tracking.note(fact, "unlinked", account=fact.account)
    return []


def _ordered(fact: OrderPlaced, world: World) -> list[Fact]:
    world.scenarios.on_exit(fact.cid, "purchase", fact.at)
    return world.scenarios.on_trigger(fact)


def _clicked(fact: LinkClicked, world: World) -> list[Fact]:
    world.tracking.note(fact, "clicked", link_id=fact.link_id, source=fact.source, evidence=str(fact.evidence))
    if fact.evidence.counts_as(Evidence.PROBABLE):  # a machine's visit is no act of his
        world.tracking.acted(fact.cid, fact.at)
    world.scenarios.on_response(fact)
    return []


def _opened(fact: EmailOpened, world: World) -> list[Fact]:
    world.tracking.note(fact, "email_opened", source=fact.source, evidence=str(fact.evidence))
    world.scenarios.on_response(fact)
    return []


def _opted_out(fact: OptedOut, world: World) -> list[Fact]:
    world.tracking.note(fact, "opted_out", channel=fact.channel)
    world.scenarios.on_exit(fact.cid, "opted_out", fact.at)
    return []


def _tagged(fact: TagAdded, world: World) -> list[Fact]:
    return world.scenarios.on_trigger(fact)


_REACTIONS: dict[type[Fact], Callable[[Any, World], list[Fact]]] = {
    FriendFollowed: _followed,
    FriendBlocked: _blocked,
    Responded: _responded,
    LinkAnswered: _link_answered,
    IdentityLinked: _linked,
    IdentityUnlinked: _unlinked,
    OrderPlaced: _ordered,
    LinkClicked: _clicked,
    EmailOpened: _opened,
    OptedOut: _opted_out,
    TagAdded: _tagged,
}

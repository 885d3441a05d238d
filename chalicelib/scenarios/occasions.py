"""Which facts a scenario means: triggers, goals, exits, what is waited for and what branches ask about; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

from chalicelib.kernel.clock import to_text
from chalicelib.kernel.facts import (
    EmailOpened,
    Fact,
    FriendBlocked,
    FriendFollowed,
    IdentityLinked,
    IdentityUnlinked,
    LineFact,
    LinkClicked,
    Occurred,
    OptedOut,
    OrderPlaced,
    Responded,
    SegmentEntered,
    SegmentLeft,
    TagAdded,
    TagRemoved,
)
from chalicelib.messages.model import canonical
from chalicelib.orders.model import told_number
from chalicelib.scenarios.graph import BranchNode, Occasion, Scenario, SendNode, WaitForResponseNode
from chalicelib.segments.expression import asks, event_key
from chalicelib.segments.reading import parse as parse_condition

_REACTIONS = {"clicked", "postback", "message", "video", "email_opened"}
_EVENT = re.compile(r"_[0-9a-f]{12}\Z")  # what segments.expression.event_key adds for a product or a name
_EVENTS: Mapping[type[Fact], str] = {
    FriendFollowed: "follow",
    FriendBlocked: "blocked",
    IdentityLinked: "linked",
    IdentityUnlinked: "unlinked",
    OptedOut: "opted_out",
    OrderPlaced: "purchase",
    TagAdded: "tag_added",
    TagRemoved: "tag_removed",
    SegmentEntered: "segment_entered",
    SegmentLeft: "segment_left",
    LinkClicked: "clicked",
    EmailOpened: "email_opened",
}
_MOST_DATA = 11  # ten, and the name of what happened
_LONGEST_DATA = 200


def event_of(fact: Fact) -> str:
    """Return the event that a fact is, in the words of graph.Event; empty for none of them."""
    if isinstance(fact, Responded):
        return fact.kind
    return fact.event if isinstance(fact, Occurred) else _EVENTS.get(type(fact), "")


def matches(occasion: Occasion, fact: Fact, account: str = "") -> bool:
    """Say whether a fact is what an occasion means. account: the scenario's; what happens on another one is not meant."""
    event = event_of(fact)
    if isinstance(fact, LineFact) and account and fact.account != account:
        return False
    match occasion.event:
        case "first_purchase":
            if not (isinstance(fact, OrderPlaced) and fact.is_first):
                return False
        case "responded":
            if not isinstance(fact, Responded | LinkClicked):
                return False
        case wanted if wanted != event:
            return False
    return _narrowed(occasion, fact)


def _narrowed(occasion: Occasion, fact: Fact) -> bool:
    match fact:
        case OrderPlaced():
            named = not occasion.product or occasion.product in fact.products
            placed = not occasion.shop or occasion.shop == fact.shop
            return named and placed and fact.amount_yen >= occasion.min_amount_yen
        case TagAdded() | TagRemoved():
            return occasion.tag in ("", fact.tag_id)
        case SegmentEntered() | SegmentLeft():
            return occasion.segment in ("", fact.segment_id)
        case LinkClicked():
            return occasion.link in ("", fact.link_id)
        case Responded():
            return occasion.data in ("", fact.data) and occasion.contains in fact.text
        case Occurred():
            return occasion.name in ("", fact.name)
        case _:
            return True


def data_of(fact: Fact) -> dict[str, str]:
    """Return what a fact brings into the scenario that it starts: short texts, for placeholders and dates."""
    match fact:
        case OrderPlaced():
            _, order_no = told_number(fact.order_no)
            data = {"order_no": order_no, "amount_yen": str(fact.amount_yen), "product": "、".join(fact.products)}
        case Occurred():
            data = {"name": fact.name, **fact.data}
        case LinkClicked():
            data = {"link": fact.link_id}
        case TagAdded():
            data = {"tag": fact.tag_id}
        case SegmentEntered() | SegmentLeft():
            data = {"segment": fact.segment_id}
        case _:
            data = {}
    return {"at": to_text(fact.at)} | {name: text[:_LONGEST_DATA] for name, text in list(data.items())[:_MOST_DATA] if text}


def is_about(scenario: Scenario, data: Mapping[str, str], fact: Fact) -> bool:
    """Say whether a fact may be about the occurrence that brought `data`: another booking's cancellation is not."""
    key = scenario.reentry.key
    own, told = data.get(key, ""), fact.data.get(key, "") if isinstance(fact, Occurred) else ""
    return not own or not told or own == told[:_LONGEST_DATA]


def keys_of(fact: Fact) -> Iterator[str]:
    """Yield the event keys that a fact is noted under for the branches that ask (segments.expression.event_key)."""
    match fact:
        case OrderPlaced():
            yield event_key("purchase")
            yield from (event_key("purchase", product) for product in fact.products)
        case Occurred():
            yield event_key(fact.event)
            if fact.name:
                yield event_key(fact.event, fact.name)


def cares_for(scenario: Scenario) -> frozenset[str]:
    """Return the events that may change something for those who are in a scenario."""
    occasions = [*scenario.leaves_on(), *([scenario.goal] if scenario.goal else [])]
    occasions += [node.on for node in scenario.nodes.values() if isinstance(node, WaitForResponseNode) and node.on]
    found = {occasion.event for occasion in occasions} | {_EVENT.sub("", key) for key in listens(scenario)}
    if any(isinstance(node, SendNode) for node in scenario.nodes.values()):
        found |= _REACTIONS  # noted for the funnel even where nobody waits for them
    if "responded" in found:
        found |= _REACTIONS
    if "first_purchase" in found:
        found |= {"purchase"}
    # What these two stand for is heard: no fact is called by their names.
    return frozenset(found - {"responded", "first_purchase"})


def listens(scenario: Scenario) -> frozenset[str]:
    """Return the event keys that some branch of a scenario asks about; only these are noted on its enrollments."""
    branches = [node for node in scenario.nodes.values() if isinstance(node, BranchNode)]
    asked = {word for node in branches for word in asked_by(node)}
    return frozenset(word.partition(":")[2] for word in asked if word.startswith("happened:"))


def asked_by(node: BranchNode) -> frozenset[str]:
    """Return what the cases of a branch depend on (segments.expression.asks)."""
    return frozenset(word for case in node.cases for word in _asked(canonical(case.when)))


@lru_cache(maxsize=256)
def _asked(condition: str) -> frozenset[str]:
    return asks(parse_condition(json.loads(condition)))

"""A person as he was at an instant not long ago, as far as what is kept of him tells when it came about; pure.

Tags, orders, acts, friendships and refusals carry their time, and so does he himself; what stands in a profile, a word by which he
agrees, what a scenario brought and when he last did something do not say what was before: those count as they are now.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.clock import from_text
from chalicelib.orders.model import PurchaseStats
from chalicelib.segments.model import Person
from chalicelib.tags.model import tags_at

# What the words of conditions (expression.asks) begin with that only his orders, one by one, tell of an instant in the past.
ASKS_ORDERS = ("purchase", "field:purchase.", "field:rfm.", "date:purchase.", "date:activity.last")


def as_of(person: Person, at: datetime) -> Person | None:
    """Return what a person was at an instant: the same object where nothing has come since, None where he was not there yet.

    His orders must have been read where anybody asks about what they add up to.
    """
    friends, customer, stats, history = person.friends, person.customer, person.stats, person.history
    seen = [friend.first_seen_at for friend in friends.values()]
    if customer.created_at:
        seen.append(from_text(customer.created_at))
    if seen and min(seen) > at and not customer.aliases:
        return None
    changes: dict[str, Any] = {}
    tags = tags_at(person.marks, person.tags, at)
    if tags != person.tags:
        changes["tags"] = tags
    if any(max(friend.first_seen_at, friend.state_at or friend.first_seen_at) > at for friend in friends.values()):
        changes["friends"] = {key: _friend(friend, at) for key, friend in friends.items() if friend.first_seen_at <= at}
    # Who refuses had not; who agrees may have agreed before, or never said a word.
    later = [channel for channel, word in customer.consents.items() if word.is_opted_out and from_text(word.at) > at]
    if later:
        words = {
            channel: replace(word, is_opted_out=False) if channel in later else word for channel, word in customer.consents.items()
        }
        changes["customer"] = replace(customer, consents=words)
    if stats.last_at and stats.last_at > at:
        changes["stats"] = PurchaseStats().with_orders(order for order in history.orders if order.at <= at)
    if any(order.at > at for order in history.orders) or any(act.at > at for act in history.acts):
        orders = tuple(order for order in history.orders if order.at <= at)
        changes["history"] = replace(history, orders=orders, acts=tuple(act for act in history.acts if act.at <= at))
    return replace(person, **changes) if changes else person


def _friend(friend: Friend, at: datetime) -> Friend:
    """Return a friendship before its latest word: who follows again had blocked, who blocks was following."""
    if friend.state_at is None or friend.state_at <= at:
        return friend
    was = FollowState.FOLLOWING if friend.state is FollowState.BLOCKED else FollowState.BLOCKED
    return replace(friend, state=was, state_at=None)

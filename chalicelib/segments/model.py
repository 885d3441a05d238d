"""A person as conditions and deliveries see him: everything that is known, read at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from chalicelib.customers.model import (
    PROFILE_SK,
    Customer,
    DeliveryChannel,
    customer_of,
    has_postal_address,
    is_mobile,
)
from chalicelib.friends.model import Friend, from_item
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.kernel.windows import local_date
from chalicelib.orders.model import STATS_SK, PurchaseStats, stats_of
from chalicelib.ports.database import Item
from chalicelib.tags.model import TAGS_SK, tags_of

FRIEND_PREFIX = "FR#"
KINDS = (PROFILE_SK, STATS_SK, TAGS_SK)


@dataclass(frozen=True, slots=True)
class Person:
    """A person with everything that conditions ask about. suppressed: channels whose address must not be used."""

    customer: Customer
    stats: PurchaseStats
    tags: frozenset[str]
    friends: Mapping[AccountKey, Friend]
    suppressed: frozenset[DeliveryChannel] = field(default_factory=frozenset)

    @property
    def cid(self) -> Cid:
        """The person's number."""
        return self.customer.cid

    def friend(self, account: AccountKey | None) -> Friend | None:
        """Return his friendship with an account; with None, any reachable one, by key."""
        if account is not None:
            return self.friends.get(account)
        return next((self.friends[key] for key in sorted(self.friends) if self.friends[key].is_reachable), None)

    def can_reach(self, channel: DeliveryChannel, account: AccountKey | None = None) -> bool:
        """Say whether this channel has an address of his that he has not refused and that works."""
        if self.customer.has_opted_out(channel) or channel in self.suppressed:
            return False
        profile = self.customer.profile
        match channel:
            case DeliveryChannel.LINE:
                friend = self.friend(account)
                return friend is not None and friend.is_reachable
            case DeliveryChannel.EMAIL:
                return bool(profile.email)
            case DeliveryChannel.SMS:
                return bool(profile.phone) and is_mobile(profile.phone)
            case DeliveryChannel.POSTAL:
                return has_postal_address(profile)

    def value(self, name: str, account: AccountKey | None) -> Any:
        """Return the value of a field of segments.expression.FIELDS, None when he has none."""
        room, _, rest = name.partition(".")
        match room:
            case "profile":
                value = getattr(self.customer.profile, rest)
                return value.isoformat() if isinstance(value, date) else value or None
            case "attribute":
                return self.customer.profile.attributes.get(rest)
            case "purchase":
                return {"count": self.stats.count, "total_yen": self.stats.total_yen}[rest]
            case "customer":
                return bool(self.customer.profile.member_no)
            case "line" if rest == "linked":
                return bool(self.friends) and bool(self.customer.profile.member_no)
            case _:
                return self.can_reach(DeliveryChannel(room), account)

    def day(self, name: str, account: AccountKey | None) -> date | None:
        """Return the JST day of a date of segments.expression.DATES, None when he has none."""
        moment: datetime | None = None
        match name:
            case "purchase.first":
                moment = self.stats.first_at
            case "purchase.last":
                moment = self.stats.last_at
            case "friend.since":
                friend = self.friend(account)
                moment = (friend.state_at or friend.first_seen_at) if friend else None
            case "profile.birthday":
                return self.customer.profile.birthday
        return local_date(moment) if moment else None


def person_of(cid: Cid, collection: Mapping[str, Item], suppressed: frozenset[DeliveryChannel] = frozenset()) -> Person:
    """Return the person from his core items."""
    friends = {}
    for sk, item in collection.items():
        if sk.startswith(FRIEND_PREFIX):
            account = AccountKey(sk.removeprefix(FRIEND_PREFIX))
            friends[account] = from_item(cid, account, item)
    return Person(customer_of(cid, collection), stats_of(collection), tags_of(collection), friends, suppressed)

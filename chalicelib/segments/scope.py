"""Who may be seen at all, whatever a condition asks: laid around the whole of it, so that no `any` and no `not` leads out."""

from __future__ import annotations

from dataclasses import dataclass

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.ids import AccountKey
from chalicelib.segments.model import Person
from chalicelib.segments.predicate import Predicate


@dataclass(frozen=True, slots=True)
class Scope:
    """The people whom somebody may ask about; each part narrows it down, None does not, an empty one leaves nobody.

    accounts: has or had one of these LINE accounts as a friend, blocked or not. shops: has an order at one of these. channel: can
    be reached by it, on LINE by the account that the question is asked for.
    """

    accounts: frozenset[AccountKey] | None = None
    shops: frozenset[str] | None = None
    channel: DeliveryChannel | None = None


EVERYBODY = Scope()


def within(scope: Scope, predicate: Predicate, account: AccountKey | None = None) -> Predicate:
    """Return the predicate that holds for those of the scope alone. A scope of shops asks for the orders in Person.history."""

    def sees(person: Person) -> bool:
        return (
            (scope.accounts is None or not scope.accounts.isdisjoint(person.friends))
            and (scope.shops is None or any(order.shop in scope.shops for order in person.history.orders))
            and (scope.channel is None or person.can_reach(scope.channel, account))
        )

    return lambda person: sees(person) and predicate(person)

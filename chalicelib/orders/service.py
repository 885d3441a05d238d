"""Take orders, each once, whatever runs twice or stops half-way."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from chalicelib.kernel.facts import OrderPlaced
from chalicelib.kernel.ids import Cid
from chalicelib.orders import table
from chalicelib.orders.model import STATS_SK, Order, PurchaseStats, stats_of
from chalicelib.people.service import People
from chalicelib.ports.database import Database

_TRIES = 20


class Orders:
    """The company's orders.

    Statistics are a fold over a person's purchases. They are read first, then orders are entered, then the sum is written
    on condition that nobody has written it in between. Where everything that was sent in was new, the sum is added to;
    wherever anything is unclear (a number known already, a lost condition) it is folded anew from the purchases. So a
    crash at any point is healed by running again, and a zombie cannot count twice. docs/decisions/0005.
    """

    def __init__(self, people: People, database: Database) -> None:
        self._people = people
        self._database = database

    def take(self, orders: Iterable[Order]) -> tuple[list[OrderPlaced], list[str]]:
        """Enter orders; return a fact for each (again when told again) and the numbers that belong to somebody else."""
        given = {order.order_no: order for order in orders}
        before = self.stats({order.cid for order in given.values()})
        outcomes = self._database.execute([table.insert_statement(order) for order in given.values()])
        known = [number for number, outcome in zip(given, outcomes, strict=True) if outcome]
        kept = table.get_many(self._database, known)
        strangers = [number for number in known if number in kept and kept[number].cid != given[number].cid]
        # What was entered first stands: a second telling with another amount or day is not a second purchase.
        mine = [kept.get(number, order) for number, order in given.items() if number not in strangers]
        table.put_purchases(self._database, mine)
        self._count(mine, set(known), before)
        after = self.stats({order.cid for order in mine})
        return [_fact(order, is_first=order.order_no == after[order.cid].first_no) for order in mine], strangers

    def _count(self, orders: list[Order], known: set[str], before: Mapping[Cid, PurchaseStats]) -> None:
        by_person: dict[Cid, list[Order]] = {}
        for order in orders:
            by_person.setdefault(order.cid, []).append(order)
        clear = {cid: mine for cid, mine in by_person.items() if not any(order.order_no in known for order in mine)}
        statements = [table.stats_statement(cid, before[cid], before[cid].with_orders(mine)) for cid, mine in clear.items()]
        outcomes = dict(zip(clear, self._database.execute(statements), strict=True))
        for cid in by_person:
            if outcomes.get(cid, "unclear"):
                self.recount(cid)

    def recount(self, cid: Cid) -> PurchaseStats:
        """Fold a person's statistics anew from his purchases, those under numbers that he had before included."""
        for _ in range(_TRIES):
            old = self.stats([cid])[cid]
            new = PurchaseStats().with_orders(self.all_of(cid))
            if self._database.execute([table.stats_statement(cid, old, new)]) == [None]:
                return new
        raise LookupError("a person's statistics changed under twenty tries")

    def stats(self, cids: Iterable[Cid]) -> dict[Cid, PurchaseStats]:
        """Return people's purchase statistics."""
        return {cid: stats_of(items) for cid, items in self._people.collections(cids, [STATS_SK]).items()}

    def find(self, order_nos: Iterable[str]) -> dict[str, Order]:
        """Return the known ones of these orders by number."""
        return table.get_many(self._database, order_nos)

    def of(self, cid: Cid) -> list[Order]:
        """Return all purchases under a number, oldest first."""
        return table.purchases(self._database, cid)

    def all_of(self, cid: Cid) -> list[Order]:
        """Return all purchases of a person, those under numbers that he had before included, oldest first."""
        numbers = [cid, *self._people.aliases(cid)]
        return sorted((order for number in numbers for order in self.of(number)), key=lambda order: (order.at, order.order_no))


def _fact(order: Order, *, is_first: bool) -> OrderPlaced:
    return OrderPlaced(
        fact_id=f"order|{order.order_no}",
        cid=order.cid,
        at=order.at,
        order_no=order.order_no,
        is_first=is_first,
        amount_yen=order.amount_yen,
        products=order.products,
        shop=order.shop,
    )

"""Take orders, each once, whatever runs twice or stops half-way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from chalicelib.kernel.facts import OrderPlaced
from chalicelib.kernel.ids import Cid
from chalicelib.orders import table
from chalicelib.orders.model import STATS_SK, Order, PurchaseStats, Telling, stats_of, told_number
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

    def compare(self, orders: Sequence[Order]) -> list[Telling]:
        """Return for each order what it is to us, and enter none."""
        told = {order.order_no: order for order in orders}
        kept = self._entered_plainly(told.values()) | table.get_many(self._database, told)
        owns = self._owns((order, kept[order.order_no]) for order in orders if order.order_no in kept)
        return [_telling(order, kept.get(order.order_no), owns) for order in orders]

    def take(self, orders: Iterable[Order]) -> tuple[list[OrderPlaced], list[Telling]]:
        """Enter orders, each number once.

        Return the facts of those that are their customers', again when told again, and for each order given what it is to us.
        """
        told = list(orders)
        given: dict[str, Order] = {}
        for order in told:
            given.setdefault(order.order_no, order)
        plain = self._entered_plainly(given.values())
        before = self.stats({order.cid for order in given.values()})
        fresh = [order for number, order in given.items() if number not in plain]
        outcomes = self._database.execute([table.insert_statement(order) for order in fresh])
        known = [order.order_no for order, outcome in zip(fresh, outcomes, strict=True) if outcome]
        kept = plain | table.get_many(self._database, known)
        owns = self._owns((order, kept[order.order_no]) for order in told if order.order_no in kept)
        tellings = [_telling(order, kept.get(order.order_no) or _earlier(order, given), owns) for order in told]
        mine = [number for number, order in given.items() if number not in kept or owns(order.cid, kept[number].cid)]
        # What was entered first stands: a second telling with another amount or day is not a second purchase.
        table.put_purchases(self._database, [kept.get(number, given[number]) for number in mine])
        # Under the number that he has now: he may have become part of somebody else since it was entered.
        counted = [replace(kept.get(number, given[number]), cid=given[number].cid) for number in mine]
        self._count(counted, {given[number].cid for number in (*plain, *known)}, before)
        after = self.stats({order.cid for order in counted})
        return [_fact(order, is_first=order.order_no == after[order.cid].first_no) for order in counted], tellings

    def _entered_plainly(self, orders: Collection[Order]) -> dict[str, Order]:
        """Return which orders of a source are known already without it, e.g. from the shop's past that was brought in.

        An order of another shop with the same number differs in its instant.
        """
        plain = {order.order_no: number for order in orders if (number := told_number(order.order_no)[1]) != order.order_no}
        found = table.get_many(self._database, plain.values())
        pairs = [(order, found[plain[order.order_no]]) for order in orders if plain.get(order.order_no) in found]
        owns = self._owns(pairs)
        same = [pair for pair in pairs if owns(pair[0].cid, pair[1].cid) and _is_same_sale(*pair)]
        return {order.order_no: known for order, known in same}

    def _owns(self, pairs: Iterable[tuple[Order, Order]]) -> Callable[[Cid, Cid], bool]:
        """Return how to ask whether a person has, or had before others became part of him, a number."""
        former = {cid: set(self._people.aliases(cid)) for cid in {told.cid for told, kept in pairs if told.cid != kept.cid}}
        return lambda cid, number: cid == number or number in former.get(cid, ())

    def _count(self, orders: list[Order], unclear: set[Cid], before: Mapping[Cid, PurchaseStats]) -> None:
        by_person: dict[Cid, list[Order]] = {}
        for order in orders:
            by_person.setdefault(order.cid, []).append(order)
        clear = {cid: mine for cid, mine in by_person.items() if cid not in unclear}
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


def _telling(told: Order, kept: Order | None, owns: Callable[[Cid, Cid], bool]) -> Telling:
    if kept is None:
        return Telling.NEW
    if not owns(told.cid, kept.cid):
        return Telling.ANOTHERS
    return Telling.SAME if replace(kept, cid=told.cid, order_no=told.order_no) == told else Telling.OTHERWISE


def _earlier(order: Order, given: Mapping[str, Order]) -> Order | None:
    first = given[order.order_no]
    return None if first is order else first


def _is_same_sale(told: Order, kept: Order) -> bool:
    return (told.at, told.amount_yen) == (kept.at, kept.amount_yen)


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

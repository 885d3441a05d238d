"""Orders: the order itself (timeline `ORD#no` / `#`), the purchase in its customer's timeline, statistics in the core table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.ids import Cid
from chalicelib.orders.model import STATS_SK, Line, Order, PurchaseStats
from chalicelib.people.model import cid_of, person_key
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.settings import settings

_PURCHASE = "PUR#"


def _body(order: Order) -> dict[str, Any]:
    return {
        "order_no": order.order_no,
        "at": to_text(order.at),
        "amount_yen": order.amount_yen,
        "products": list(order.products),
        "shop": order.shop,
        **({"lines": lines} if (lines := _lines(order)) else {}),
    }


def _lines(order: Order) -> list[list[Any]]:
    """Return what `products` do not say of an order's lines."""
    if all(line == Line(line.product) for line in order.lines) and len(order.lines) == len(order.products):
        return []
    return [[line.product, line.category, line.quantity, line.yen] for line in order.lines]


def _order(item: Item, cid: Cid) -> Order:
    lines = tuple(Line(*line) for line in item.get("lines", ()))
    return Order(item["order_no"], cid, from_text(item["at"]), item["amount_yen"], tuple(item["products"]), item["shop"], lines)


def insert_statement(order: Order) -> Statement:
    """Return the write that enters an order unless its number is taken."""
    item = {"pk": f"ORD#{order.order_no}", "sk": "#", "person": person_key(order.cid), **_body(order)}
    return Statement.insert(settings().timeline_table, item)


def get_many(database: Database, order_nos: Iterable[str]) -> dict[str, Order]:
    """Return the known ones of these orders by number."""
    found = database.get_many(settings().timeline_table, [(f"ORD#{number}", "#") for number in order_nos])
    return {item["order_no"]: _order(item, cid_of(item["person"])) for item in found.values()}


def put_purchases(database: Database, orders: Iterable[Order]) -> None:
    """Write the purchases into their customers' timelines; the same every time."""
    items = [
        {"pk": person_key(order.cid), "sk": f"{_PURCHASE}{to_text(order.at)}#{order.order_no}", **_body(order)} for order in orders
    ]
    database.put_many(settings().timeline_table, items)


def purchases(database: Database, cid: Cid, *, limit: int = 0) -> list[Order]:
    """Return the purchases of a person, oldest first, strongly consistent; limit 0 is all."""
    items = database.query(settings().timeline_table, person_key(cid), prefix=_PURCHASE, limit=limit)
    return [_order(item, cid) for item in items]


def stats_statement(cid: Cid, old: PurchaseStats, new: PurchaseStats) -> Statement:
    """Return the write that replaces the statistics read as `old`, and loses when somebody else has been there."""
    values: dict[str, Any] = {
        "count": new.count,
        "total_yen": new.total_yen,
        "first_at": to_text(new.first_at) if new.first_at else "",
        "last_at": to_text(new.last_at) if new.last_at else "",
        "first_no": new.first_no,
        "revision": old.revision + 1,
    }
    table = settings().core_table
    if old.revision == 0:
        item = {"pk": person_key(cid), "sk": STATS_SK, **values}
        return Statement.insert(table, item)
    sets = ", ".join(f'"{name}"=?' for name in values)
    text = f'UPDATE "{table}" SET {sets} WHERE pk=? AND sk=? AND "revision"=?'
    return Statement(text, (*values.values(), person_key(cid), STATS_SK, old.revision))

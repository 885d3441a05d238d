"""An order, and the statistics of a person's purchases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import Cid
from chalicelib.ports.database import Item

STATS_SK = "S"


class Telling(StrEnum):
    """What an order that is told is to us. Of known ones what was entered first stands."""

    NEW = "new"
    SAME = "same"
    OTHERWISE = "otherwise"
    ANOTHERS = "anothers"

    @property
    def problem(self) -> InvalidError | None:
        """Why it was not taken as it was told."""
        match self:
            case Telling.OTHERWISE:
                return InvalidError("order.differs", field="order_no")
            case Telling.ANOTHERS:
                return InvalidError("order.of_another_customer", field="order_no")
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Line:
    """One product of an order. category: the company's own; yen: of the whole line, 0 where it was not told."""

    product: str
    category: str = ""
    quantity: int = 1
    yen: int = 0


def numbered(source: str, order_no: str) -> str:
    """Return the number of an order among all orders: two shops may both have a 1001. source: empty where none was named."""
    return f"{source} {order_no}" if source else order_no  # no system's own number has a space in it


def told_number(number: str) -> tuple[str, str]:
    """Return the source, which may be empty, and the number that it told."""
    source, _, order_no = number.rpartition(" ")
    return source, order_no


@dataclass(frozen=True, slots=True)
class Order:
    """One purchase. order_no: made by `numbered`. products: of `lines`, where those are told."""

    order_no: str
    cid: Cid
    at: datetime
    amount_yen: int
    products: tuple[str, ...] = ()
    shop: str = ""
    lines: tuple[Line, ...] = ()

    def __post_init__(self) -> None:
        if self.lines:
            object.__setattr__(self, "products", tuple(dict.fromkeys(line.product for line in self.lines)))
        else:
            object.__setattr__(self, "lines", tuple(Line(product) for product in self.products))
        # Kept to the millisecond; finer, an order would not equal itself when read back.
        object.__setattr__(self, "at", from_text(to_text(self.at)))


@dataclass(frozen=True, slots=True)
class PurchaseStats:
    """What a person's purchases add up to. revision: grows with every change, guards against lost updates.

    first_no: the first order; of several at one instant (exports carry days without a time) the least number.
    """

    count: int = 0
    total_yen: int = 0
    first_at: datetime | None = None
    last_at: datetime | None = None
    revision: int = 0
    first_no: str = ""

    def with_orders(self, orders: Iterable[Order]) -> PurchaseStats:
        """Return the statistics with more orders counted in."""
        count, total, last = self.count, self.total_yen, self.last_at
        first = (self.first_at, self.first_no) if self.first_at else None
        for order in orders:
            count += 1
            total += order.amount_yen
            place = (order.at, order.order_no)
            first = place if first is None else min(first, place)
            last = order.at if last is None else max(last, order.at)
        first_at, first_no = first or (None, "")
        return PurchaseStats(count, total, first_at, last, self.revision, first_no)


def stats_of(collection: Mapping[str, Item]) -> PurchaseStats:
    """Return a person's purchase statistics from his core items."""
    item = collection.get(STATS_SK)
    if not item:
        return PurchaseStats()
    first, last = item.get("first_at"), item.get("last_at")
    return PurchaseStats(
        count=item.get("count", 0),
        total_yen=item.get("total_yen", 0),
        first_at=from_text(first) if first else None,
        last_at=from_text(last) if last else None,
        revision=item["revision"],
        first_no=item.get("first_no", ""),
    )

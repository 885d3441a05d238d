"""What purchases add up to."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.clock import to_text
from chalicelib.kernel.ids import Cid
from chalicelib.orders.model import STATS_SK, Order, PurchaseStats, stats_of

ORDERS = st.lists(
    st.builds(
        Order,
        st.text("0123456789", min_size=1),
        st.just(Cid(1)),
        st.datetimes(datetime(2000, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)).map(lambda at: at.replace(microsecond=0)),
        st.integers(-10_000, 1_000_000),
    ),
    max_size=6,
)


@given(ORDERS, st.integers(0, 6))
def test_orders_add_up_the_same_however_they_arrive(orders: list[Order], cut: int) -> None:
    whole = PurchaseStats(revision=3).with_orders(orders)
    assert PurchaseStats(revision=3).with_orders(orders[cut:]).with_orders(orders[:cut]) == whole
    assert whole.count == len(orders) and whole.total_yen == sum(order.amount_yen for order in orders)
    assert whole.first_at == min((order.at for order in orders), default=None)
    assert whole.last_at == max((order.at for order in orders), default=None)
    assert whole.revision == 3


@given(ORDERS)
def test_statistics_come_back_from_their_item(orders: list[Order]) -> None:
    stats = PurchaseStats(revision=1).with_orders(orders)
    item = {
        "count": stats.count, "total_yen": stats.total_yen, "revision": 1, "first_no": stats.first_no,
        "first_at": stats.first_at and to_text(stats.first_at), "last_at": stats.last_at and to_text(stats.last_at),
    }  # fmt: skip
    assert stats_of({STATS_SK: item}) == stats


def test_a_person_without_purchases_has_empty_statistics() -> None:
    assert stats_of({}) == stats_of({STATS_SK: {}}) == PurchaseStats()

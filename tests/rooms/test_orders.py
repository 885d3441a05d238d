import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.kernel.ids import Cid
from chalicelib.orders.model import Order, PurchaseStats, Telling, numbered, told_number
from tests.builders import Stage
from tests.rooms.crashes import every_crash, every_intrusion

DAY = datetime(2026, 11, 1, tzinfo=UTC)


def order(number: str, cid: Cid, day: int = 0, yen: int = 1000) -> Order:
    return Order(number, cid, DAY + timedelta(days=day), yen, ("りんご",), "本店")


def fold(orders: list[Order]) -> tuple[int, int, datetime | None, datetime | None]:
    """The same sum, made another way."""
    days = sorted(one.at for one in orders)
    return len(orders), sum(one.amount_yen for one in orders), days[0] if days else None, days[-1] if days else None


def counted(stage: Stage, cid: Cid) -> tuple[int, int, datetime | None, datetime | None]:
    stats = stage.world.orders.stats([cid])[cid]
    return stats.count, stats.total_yen, stats.first_at, stats.last_at


def add_up(stage: Stage, cid: Cid, *orders: Order) -> None:
    assert counted(stage, cid) == fold(list(orders))
    assert sorted(one.order_no for one in stage.world.orders.of(cid)) == sorted(one.order_no for one in orders)


def test_orders_add_up(stage: Stage) -> None:
    cid = stage.customer("M1")
    orders = [order("A", cid, 3, 100), order("B", cid, 1, 250), order("C", cid, 2, -50)]
    facts, tellings = stage.world.orders.take(orders)
    assert tellings == [Telling.NEW] * 3
    assert [fact.fact_id for fact in facts] == ["order|A", "order|B", "order|C"]
    assert [fact.is_first for fact in facts] == [False, True, False]
    add_up(stage, cid, *orders)
    assert stage.world.orders.of(cid) == [orders[1], orders[2], orders[0]]


def test_a_customer_without_orders_has_none(stage: Stage) -> None:
    cid = stage.customer("M1")
    assert stage.world.orders.stats([cid]) == {cid: PurchaseStats()}
    assert stage.world.orders.take([]) == ([], [])


def test_an_order_told_again_counts_once_and_tells_the_same_fact(stage: Stage) -> None:
    cid = stage.customer("M1")
    first = stage.world.orders.take([order("A", cid)])[0]
    assert stage.world.orders.take([order("A", cid)]) == (first, [Telling.SAME])
    assert stage.world.orders.take([order("A", cid), order("A", cid)]) == (first, [Telling.SAME] * 2)
    add_up(stage, cid, order("A", cid))


def test_an_order_told_again_to_the_microsecond_tells_the_same_fact(stage: Stage) -> None:
    cid = stage.customer("M1")
    exact = Order("A", cid, DAY.replace(microsecond=123_456), 100)
    first = stage.world.orders.take([exact])
    assert first[0][0].is_first
    assert stage.world.orders.take([exact]) == (first[0], [Telling.SAME])


def test_what_was_entered_first_stands(stage: Stage) -> None:
    cid = stage.customer("M1")
    stage.world.orders.take([order("A", cid, 0, 100)])
    facts, tellings = stage.world.orders.take([order("A", cid, 5, 999)])
    assert (facts[0].amount_yen, facts[0].at) == (100, DAY)
    assert tellings == [Telling.OTHERWISE]
    add_up(stage, cid, order("A", cid, 0, 100))


def test_an_order_of_another_customer_is_refused_and_counts_for_neither(stage: Stage) -> None:
    mine, thief = stage.customer("M1"), stage.customer("M2")
    stage.world.orders.take([order("A", mine)])
    facts, tellings = stage.world.orders.take([order("A", thief), order("B", thief)])
    assert tellings == [Telling.ANOTHERS, Telling.NEW]
    assert [fact.order_no for fact in facts] == ["B"]
    add_up(stage, mine, order("A", mine))
    add_up(stage, thief, order("B", thief))


def test_two_shops_may_number_alike(stage: Stage) -> None:
    cid, other = stage.customer("M1"), stage.customer("M2")
    told = [order(numbered("ec", "1001"), cid), order(numbered("pos", "1001"), other, 1), order("1001", cid, 2)]
    facts, tellings = stage.world.orders.take(told)
    assert tellings == [Telling.NEW] * 3
    assert len({fact.fact_id for fact in facts}) == 3
    assert stage.world.orders.take(told) == (facts, [Telling.SAME] * 3)
    add_up(stage, cid, told[0], told[2])
    add_up(stage, other, told[1])
    assert [told_number(one.order_no) for one in stage.world.orders.of(cid)] == [("ec", "1001"), ("", "1001")]


def test_a_shops_order_that_is_known_without_the_shop_is_not_counted_again(stage: Stage) -> None:
    cid, other = stage.customer("M1"), stage.customer("M2")
    kept, _ = stage.world.orders.take([order("1001", cid)])
    assert stage.world.orders.take([order("ec 1001", cid)]) == (kept, [Telling.SAME])
    add_up(stage, cid, order("1001", cid))
    facts, tellings = stage.world.orders.take([order("pos 1001", cid, 3), order("till 1001", other)])
    assert [fact.order_no for fact in facts] == ["pos 1001", "till 1001"], "other sales with that number"
    assert tellings == [Telling.NEW] * 2


def test_an_order_that_is_told_again_after_a_merge_is_still_his(stage: Stage) -> None:
    kept, gone, other = (stage.customer(name) for name in ("M1", "M2", "M3"))
    stage.world.orders.take([order("A", gone), order("B", kept, 1)])
    stage.world.duplicates.merge(kept, gone, "test")
    facts, tellings = stage.world.orders.take([order("A", kept), order("C", kept, 2)])
    assert tellings == [Telling.SAME, Telling.NEW]
    assert [(fact.order_no, fact.cid, fact.is_first) for fact in facts] == [("A", kept, True), ("C", kept, False)]
    assert counted(stage, kept) == fold([order("A", kept), order("B", kept, 1), order("C", kept, 2)])
    assert stage.world.orders.compare([order("A", kept), order("A", kept, 0, 7), order("A", other), order("Z", kept)]) == [
        Telling.SAME, Telling.OTHERWISE, Telling.ANOTHERS, Telling.NEW,
    ]  # fmt: skip
    assert len(stage.world.orders.all_of(kept)) == 3, "it lies in one timeline alone"


def test_only_the_earliest_order_is_the_first(stage: Stage) -> None:
    cid = stage.customer("M1")
    assert stage.world.orders.take([order("B", cid, 5)])[0][0].is_first
    assert not stage.world.orders.take([order("C", cid, 6)])[0][0].is_first
    assert stage.world.orders.take([order("A", cid, 1)])[0][0].is_first, "an older one became known later"
    assert not stage.world.orders.take([order("B", cid, 5)])[0][0].is_first


def test_of_two_orders_on_one_day_only_one_is_the_first(stage: Stage) -> None:
    """Exports often carry days without a time: both are at midnight."""
    cid = stage.customer("M1")
    together, _ = stage.world.orders.take([order("A", cid), order("B", cid)])
    assert [fact.is_first for fact in together] == [True, False]
    assert [fact.is_first for fact in stage.world.orders.take([order("A", cid), order("B", cid)])[0]] == [True, False]


def test_many_orders_of_many_customers_are_taken_at_once(stage: Stage) -> None:
    cids = [stage.customer(f"M{i}") for i in range(7)]
    orders = [order(f"N{i}", cids[i % 7], i % 5, i) for i in range(120)]
    facts, tellings = stage.world.orders.take(orders)
    assert len(facts) == 120
    assert {*tellings} == {Telling.NEW}
    for cid in cids:
        add_up(stage, cid, *(one for one in orders if one.cid == cid))
        assert sum(fact.is_first for fact in facts if fact.cid == cid) == 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(calls=st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), min_size=1, max_size=4), min_size=1, max_size=5))
def test_any_calls_in_any_order_with_any_repetition_add_up(stage: Stage, calls: list[list[tuple[int, int]]]) -> None:
    name = f"H{secrets.token_hex(6)}"
    cid = stage.customer(name)
    known: dict[str, Order] = {}
    for call in calls:
        told = [order(f"{name}-{number}", cid, day) for number, day in call]
        _, tellings = stage.world.orders.take(told)
        expected = []
        for one in told:
            first = known.setdefault(one.order_no, one)
            expected.append(Telling.NEW if first is one else Telling.SAME if first == one else Telling.OTHERWISE)
        assert tellings == expected
    add_up(stage, cid, *known.values())


class Shop:
    """For each scene a fresh customer with one order, and three orders that come in, one of them known."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.cid: dict[int, Cid] = {}
        self.orders: dict[int, list[Order]] = {}

    def open(self, number: int) -> None:
        cid = self.cid[number] = self.stage.customer(f"M{self.stage.world.people.highest()}-{number}")
        self.orders[number] = [order(f"{cid}-{i}", cid, i, 10**i) for i in range(4)]
        self.stage.world.orders.take(self.orders[number][:1])

    def take(self, number: int, *which: int) -> Callable[[], Any]:
        return lambda: self.stage.world.orders.take([self.orders[number][i] for i in which])


def test_a_crash_anywhere_while_new_orders_are_taken_is_healed_by_the_next_try(stage: Stage) -> None:
    shop = Shop(stage)

    def scene(number: int) -> Callable[[], Any]:
        shop.open(number)
        return shop.take(number, 1, 2)

    for number, _, again in every_crash(scene):
        assert len(again()[0]) == 2
        add_up(stage, shop.cid[number], *shop.orders[number][:3])


def test_a_crash_anywhere_while_known_and_new_orders_are_taken_is_healed_by_the_next_try(stage: Stage) -> None:
    shop = Shop(stage)

    def scene(number: int) -> Callable[[], Any]:
        shop.open(number)
        return shop.take(number, 0, 1, 2, 3)

    for number, _, again in every_crash(scene):
        again()
        add_up(stage, shop.cid[number], *shop.orders[number])


def test_a_zombie_who_wakes_after_the_same_orders_were_taken_counts_nothing_twice(stage: Stage) -> None:
    shop = Shop(stage)

    def scene(number: int) -> Callable[[], Any]:
        shop.open(number)
        return shop.take(number, 1, 2)

    for number, _, _ in every_intrusion(scene, lambda number: shop.take(number, 1, 2)):
        add_up(stage, shop.cid[number], *shop.orders[number][:3])


def test_other_orders_that_come_in_at_any_point_are_counted_too(stage: Stage) -> None:
    shop = Shop(stage)

    def scene(number: int) -> Callable[[], Any]:
        shop.open(number)
        return shop.take(number, 1)

    for number, _, _ in every_intrusion(scene, lambda number: shop.take(number, 2, 3)):
        add_up(stage, shop.cid[number], *shop.orders[number])


def test_a_recount_that_is_overtaken_at_any_point_ends_right(stage: Stage) -> None:
    shop = Shop(stage)

    def scene(number: int) -> Callable[[], Any]:
        shop.open(number)
        return lambda: stage.world.orders.recount(shop.cid[number])

    for number, _, _ in every_intrusion(scene, lambda number: shop.take(number, 1, 2, 3)):
        add_up(stage, shop.cid[number], *shop.orders[number])


def test_takers_in_threads_count_each_order_once(stage: Stage) -> None:
    cid = stage.customer("M1")
    orders = [order(f"T{i}", cid, i, i) for i in range(24)]
    parts = [orders[i : i + 6] for i in range(0, 24, 3)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(stage.world.orders.take, parts))
    add_up(stage, cid, *orders)

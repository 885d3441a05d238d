"""Take rows about orders: one order a row, or one line of it a row."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from chalicelib.imports.model import ImportJob
from chalicelib.imports.taking import Directory, Outcome, Row, TagBook, is_by_line
from chalicelib.imports.values import OrderRow, order_number, order_of
from chalicelib.kernel.errors import DomainError, InvalidError
from chalicelib.kernel.ids import Cid
from chalicelib.orders.model import Order, Telling, numbered
from chalicelib.orders.service import Orders
from chalicelib.people.service import People
from chalicelib.tags.service import Tags


class OrderRows:
    """Implements taking.Taker for orders. An order is taken whole or not at all."""

    def __init__(self, people: People, orders: Orders, tags: Tags) -> None:
        self._people = people
        self._orders = orders
        self._tags = tags

    def take(self, job: ImportJob, rows: Sequence[Row], outcome: Outcome) -> None:
        """Take rows; see the port."""
        told: dict[str, tuple[list[Row], OrderRow]] = {}
        for group in _groups(job, rows):
            if group[0].given["order_no"].strip() in outcome.broken:
                _refuse(group, InvalidError("order.line_refused", field="order_no"), outcome)
                continue
            try:
                number = order_number(group[0].given)
                if number in told:
                    raise InvalidError("order.scattered" if is_by_line(job) else "order.twice_in_file", field="order_no")
                told[number] = (group, order_of([row.given for row in group], job.options))
            except DomainError as error:
                _refuse_each(job, group, error, outcome)
        directory = Directory(self._people, job.options.account)
        directory.look_up(order.who for _, order in told.values())
        directory.follow()
        good: dict[str, tuple[list[Row], Order]] = {}
        for number, (group, order) in told.items():
            try:
                good[number] = (group, _order(order, directory.find(order.who), job.options.source))
            except DomainError as error:
                _refuse(group, error, outcome)
        if good:
            self._take(job, good, outcome)

    def _take(self, job: ImportJob, good: dict[str, tuple[list[Row], Order]], outcome: Outcome) -> None:
        before = dict(zip(good, self._orders.compare([order for _, order in good.values()]), strict=True))
        taken: list[str] = []
        for number, (group, _) in good.items():
            telling = before[number]
            if telling.problem:
                _refuse(group, telling.problem, outcome)
            if telling is not Telling.ANOTHERS:
                taken.append(number)  # a known one too: whoever entered it may have died before he counted it
            outcome.created += telling is Telling.NEW
            outcome.same += telling is Telling.SAME
        if job.options.dry_run or not taken:
            return
        facts, tellings = self._orders.take([good[number][1] for number in taken])
        outcome.facts += facts
        for number, telling in zip(taken, tellings, strict=True):
            if telling.problem and before[number] is Telling.NEW:  # entered by somebody else since we looked
                _refuse(good[number][0], telling.problem, outcome)
                outcome.created -= 1
        if job.options.tag:
            tag_id = TagBook(self._tags).id_of(job.options.tag, job)
            outcome.facts += self._tags.add_many({fact.cid: job.import_id for fact in facts}, tag_id)


def _groups(job: ImportJob, rows: Sequence[Row]) -> list[list[Row]]:
    if not is_by_line(job):
        return [[row] for row in rows]
    return [list(group) for _, group in groupby(rows, lambda row: row.given["order_no"].strip())]


def _refuse_each(job: ImportJob, group: Sequence[Row], error: DomainError, outcome: Outcome) -> None:
    """Refuse the rows of an order, each that is wrong by itself for what is wrong with it."""
    own: dict[int, DomainError] = {}
    for place, row in enumerate(group if len(group) > 1 else ()):
        try:
            order_of([row.given], job.options)
        except DomainError as found:
            own[place] = found
    # What one row leaves out another may say; then it is all of them together that are wrong.
    rest = InvalidError("order.line_refused", field="order_no") if 0 < len(own) < len(group) else error
    outcome.refusals += [row.refused(own.get(place, rest) if rest is not error else error) for place, row in enumerate(group)]


def _refuse(group: Sequence[Row], error: DomainError, outcome: Outcome) -> None:
    outcome.refusals += [row.refused(error) for row in group]


def _order(row: OrderRow, cid: Cid, source: str) -> Order:
    return Order(numbered(source, row.order_no), cid, row.at, row.amount_yen, row.products, row.shop, row.lines)

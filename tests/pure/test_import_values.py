"""Cells as they come from Excel, shop systems and people."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.imports.model import Options, is_too_many
from chalicelib.imports.refusals import error_line
from chalicelib.imports.values import (
    MOST_LINES,
    Who,
    day,
    event_row,
    is_yes,
    order_of,
    order_time,
    profile_values,
    tag_names,
    who,
    year_first,
    yen,
)
from chalicelib.kernel.errors import InvalidError
from chalicelib.orders.model import Line

HANAKO = "U" + "a" * 32


def test_empty_cells_are_left_out_and_attributes_kept() -> None:
    cells = {"member_no": "A1", "name": " ", "email": "", "attribute.rank": " gold ", "attribute.x": "", "line_user_id": "U"}
    assert profile_values(cells, Options()) == {"attributes": {"rank": "gold"}}


def test_attributes_have_the_type_that_they_are_given() -> None:
    cells = {"attribute.points": "１,２００", "attribute.rate": "0.5", "attribute.vip": "はい", "attribute.since": "令和2年4月1日"}
    types = {"attribute.points": "number", "attribute.rate": "number", "attribute.vip": "flag", "attribute.since": "date"}
    found = profile_values(cells, Options(types=types))["attributes"]
    assert found == {"points": 1200, "rate": 0.5, "vip": True, "since": "2020-04-01"}
    assert [type(value) for value in found.values()] == [int, float, bool, str]
    for name, code in (("points", "number"), ("vip", "flag"), ("since", "date")):
        with pytest.raises(InvalidError, match=f"import.{code}_malformed"):
            profile_values({f"attribute.{name}": "たぶん"}, Options(types=types))


def test_a_row_names_its_person_by_number_or_by_line() -> None:
    line = Options(account="main", member_prefix="lstep-")
    assert who({"member_no": " ７ ", "line_user_id": HANAKO}, line) == Who("lstep-7", HANAKO)
    assert who({"line_user_id": HANAKO}, line) == Who("", HANAKO)
    for cells, options, code in (
        ({"member_no": " "}, line, "customer.member_no_missing"),
        ({"member_no": "A1", "line_user_id": HANAKO}, Options(), "customer.line_user_id_malformed"),
        ({"line_user_id": "U1"}, line, "customer.line_user_id_malformed"),
    ):
        with pytest.raises(InvalidError, match=code):
            who(cells, options)


def test_tags_come_from_a_list_from_columns_and_from_the_import() -> None:
    cells = {"tags": "春、 夏|夏,秋;冬\n", "tag.会員": "1", "tag.退会": "0", "tag.空": "", "name": "春"}
    assert tag_names(cells, Options(tag="取込")) == ["取込", "春", "夏", "秋", "冬", "会員"]
    with pytest.raises(InvalidError, match="import.flag_malformed"):
        tag_names({"tag.会員": "?"}, Options())


@pytest.mark.parametrize(
    ("text", "answer"), [("1", True), ("○", True), ("ＯＮ", True), ("有", True), ("0", False), ("", False), ("×", False)]
)
def test_it_reads_yes_and_no(text: str, answer: bool) -> None:
    assert is_yes(text, "x") is answer


@pytest.mark.parametrize(
    ("text", "order", "first"),
    [("31/01/1990", "dmy", "1990-01-31"), ("1/31/1990 9:05", "mdy", "1990-1-31 9:05"), ("1990-01-31", "dmy", "1990-01-31"),
     ("昭和63年1月7日", "ymd", "1988-1月7日"), ("Ｓ63.1.7", "ymd", "1988-1.7"), ("平成元年1月8日", "ymd", "1989-1月8日"), ("R1/5/1", "mdy", "2019-5/1")],
)  # fmt: skip
def test_it_reads_days_in_other_orders_and_eras(text: str, order: str, first: str) -> None:
    assert year_first(text, order) == first
    day(text, "x", order)
    assert day("31/01/1990", "x", "dmy") == date(1990, 1, 31)
    assert profile_values({"birthday": "昭和63年1月7日"}, Options()) == {"birthday": date(1988, 1, 7)}


# Orders ---------------------------------------------------------------------------------------------------------------------


def order(**cells: str) -> dict[str, str]:
    return {
        "order_no": "N1",
        "member_no": "A1",
        "ordered_at": "2026-11-22",
        **{name.replace("__", "."): text for name, text in cells.items()},
    }


def test_rows_of_one_order_become_its_lines() -> None:
    rows = [
        order(line__product="指輪", line__category="宝飾", line__quantity="2", line__unit_yen="1,500", shop="本店"),
        order(line__product="箱", line__category="", line__quantity="", line__unit_yen="300", shop=""),
        order(line__product="", line__category="", line__quantity="", line__unit_yen="", shop="本店"),
    ]
    found = order_of(rows, Options())
    assert found.lines == (Line("指輪", "宝飾", 2, 3000), Line("箱", "", 1, 300))
    assert (found.amount_yen, found.shop) == (3300, "本店")
    assert (
        order_of([{**row, "amount_yen": text} for row, text in zip(rows, ["3,500", "", ""], strict=True)], Options()).amount_yen
        == 3500
    )


def test_rows_of_one_order_must_agree() -> None:
    with pytest.raises(InvalidError, match="order.rows_differ") as caught:
        order_of([order(line__product="茶", amount_yen="1"), order(line__product="箸", amount_yen="2")], Options())
    assert caught.value.details == {"field": "amount_yen"}
    with pytest.raises(InvalidError, match="order.too_many_lines"):
        order_of([order(line__product="茶", line__yen="1")] * (MOST_LINES + 1), Options())
    with pytest.raises(InvalidError, match="order.amount_malformed"):
        order_of([order(line__product="茶")], Options())


def test_a_line_tells_its_own_sum_or_a_price_and_a_quantity() -> None:
    (line,) = order_of([order(line__product="茶", line__quantity="3", line__unit_yen="100", line__yen="250")], Options()).lines
    assert line == Line("茶", "", 3, 250)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-22", datetime(2026, 11, 21, 15, 0, tzinfo=UTC)),
        ("2026/1/2", datetime(2026, 1, 1, 15, 0, tzinfo=UTC)),
        ("20261122", datetime(2026, 11, 21, 15, 0, tzinfo=UTC)),
        ("２０２６年１１月２２日", datetime(2026, 11, 21, 15, 0, tzinfo=UTC)),
        ("2026年11月22日 9:05", datetime(2026, 11, 22, 0, 5, tzinfo=UTC)),
        ("2026/11/22 10:30:59", datetime(2026, 11, 22, 1, 30, 59, tzinfo=UTC)),
        ("2026-11-22T10:30:00+00:00", datetime(2026, 11, 22, 10, 30, tzinfo=UTC)),
        ("2026-11-22T10:30:00Z", datetime(2026, 11, 22, 10, 30, tzinfo=UTC)),
        ("2026-11-22T10:30:00.500", datetime(2026, 11, 22, 1, 30, 0, 500000, tzinfo=UTC)),
    ],
)
def test_it_reads_times_as_japanese_unless_they_say_otherwise(text: str, moment: datetime) -> None:
    assert order_time(text) == moment


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-02-30", "2026-13-01", "2026-11-22 25:00", "22/11/2026", "0001-01-01", "9999-12-31T23:59:59-09:00", "0999-01-01", "202611", "2026112", "20261-12", "1900-01-00"]
)  # fmt: skip
def test_it_refuses_what_is_no_time_of_an_order(text: str) -> None:
    with pytest.raises(InvalidError, match="order.time_malformed"):
        order_time(text)


@given(st.text(max_size=12))
def test_no_text_whatever_breaks_a_time_or_an_amount(text: str) -> None:
    for reader in (order_time, yen):
        try:
            reader(text)
        except InvalidError as error:
            assert error.code.startswith("order.")


@pytest.mark.parametrize(
    ("text", "amount"),
    [("1980", 1980), ("1,980", 1980), ("¥1,980", 1980), ("￥１，９８０", 1980), ("1,980円", 1980), ("\\1980", 1980), ("1980.00", 1980), ("-500", -500), (" 0 ", 0), ("−500", -500), ("△500", -500), ("▲1,000円", -1000)],
)  # fmt: skip
def test_it_reads_amounts(text: str, amount: int) -> None:
    assert yen(text) == amount


@pytest.mark.parametrize("text", ["", "無料", "1980.5", "1e3", "$5", "--5", "9" * 13, "1 980 x"])
def test_it_refuses_what_is_no_amount(text: str) -> None:
    with pytest.raises(InvalidError, match="order.amount_malformed"):
        yen(text)


def test_it_reads_an_order() -> None:
    row = order_of(
        [
            {
                "order_no": " Ｎ-1 ",
                "member_no": "A1",
                "ordered_at": "2026-11-22",
                "amount_yen": "1,980円",
                "products": "茶|菓子、 箸\n",
                "shop": " 本店 ",
            }
        ],
        Options(),
    )
    assert (row.order_no, row.who.member_no, row.amount_yen, row.products, row.shop) == (
        "N-1",
        "A1",
        1980,
        ("茶", "菓子", "箸"),
        "本店",
    )
    for order_no in ("", "注文1", "x" * 65, "a b"):
        with pytest.raises(InvalidError, match="order.order_no_malformed"):
            order_of([{"order_no": order_no, "member_no": "A1", "ordered_at": "2026-11-22", "amount_yen": "1"}], Options())


# Events ---------------------------------------------------------------------------------------------------------------------


def test_it_reads_an_event_and_knows_it_again_without_an_id() -> None:
    cells = {
        "event": "来店",
        "member_no": "A1",
        "occurred_at": "2026/11/22 10:30",
        "name": "本店",
        "data.table": " 5 ",
        "data.none": "",
    }
    row = event_row(cells, Options())
    assert (row.event, row.name, row.data, row.at) == (
        "reservation_visited",
        "本店",
        {"table": "5"},
        datetime(2026, 11, 22, 1, 30, tzinfo=UTC),
    )
    assert row.event_id == event_row({**cells, "event": "reservation_visited"}, Options()).event_id
    assert row.event_id != event_row({**cells, "member_no": "A2"}, Options()).event_id
    assert event_row({**cells, "event_id": "E-1"}, Options()).event_id == "E-1"


@pytest.mark.parametrize(
    ("change", "code"),
    [({"event": "踊った"}, "import.event_unknown"), ({"event": "custom", "name": ""}, "event.name_missing"), ({"occurred_at": "昨日"}, "import.date_malformed"),
     ({"event_id": "番号"}, "import.event_id_malformed"), ({"member_no": ""}, "customer.member_no_missing")],
)  # fmt: skip
def test_it_refuses_what_is_no_event(change: dict[str, str], code: str) -> None:
    cells = {"event": "custom", "member_no": "A1", "occurred_at": "2026-11-22", "name": "x", **change}
    with pytest.raises(InvalidError, match=code):
        event_row(cells, Options())


# The file of refused rows ---------------------------------------------------------------------------------------------------


def test_it_stops_when_too_many_rows_are_refused() -> None:
    assert not is_too_many(Options(), 10, 10)
    assert [is_too_many(Options(most_refused=5), 10, failed) for failed in (5, 6)] == [False, True]
    ten = Options(most_refused_percent=10)
    assert [is_too_many(ten, rows, failed) for rows, failed in ((999, 999), (1000, 100), (1000, 101))] == [False, False, True]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8), min_size=2, max_size=4))
def test_a_refused_row_comes_back_whole_and_no_cell_is_a_formula(row: list[str]) -> None:
    (back,) = csv.reader(io.StringIO(error_line(row), newline=""))
    assert [cell.removeprefix("'") for cell in back] == [cell.removeprefix("'") for cell in row]
    assert not any(cell[:1] in ("=", "@", "\t", "\r") for cell in back)


@pytest.mark.parametrize(
    ("cell", "safe"),
    [("=1+1", "'=1+1"), ("@SUM(A1)", "'@SUM(A1)"), ("+cmd|'/C calc'!A0", "'+cmd|'/C calc'!A0"), ("-1+1", "'-1+1"), ("\t=1", "'\t=1"), ("\r=1", "'\r=1"), ("-500", "-500"), ("+819012345678", "+819012345678"), ("花子", "花子")],
)  # fmt: skip
def test_formulas_are_disarmed_and_numbers_left(cell: str, safe: str) -> None:
    assert next(csv.reader(io.StringIO(error_line([cell, "x"]), newline="")))[0] == safe

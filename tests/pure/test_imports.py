"""Files as they come from Excel, shop systems and people."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.imports.model import (
    ImportKind,
    cells,
    customer_values,
    decode,
    error_line,
    numbered,
    order_row,
    order_time,
    read,
    yen,
)
from chalicelib.kernel.errors import InvalidError

CUSTOMERS, ORDERS = ImportKind.CUSTOMERS, ImportKind.ORDERS
TEXT = "会員番号,氏名\r\nA1,髙﨑①〜\r\n"


def refused(content: bytes, kind: ImportKind = CUSTOMERS, mapping: dict[str, str] | None = None) -> InvalidError:
    with pytest.raises(InvalidError) as caught:
        read(content, kind, mapping or {})
    return caught.value


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.encode("utf-16"),
        b"\xff\xfe" + TEXT.encode("utf-16-le"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.replace("〜", "～").encode("cp932"),
    ],
)
def test_it_reads_every_encoding_that_japanese_systems_write(content: bytes) -> None:
    sheet = read(content, CUSTOMERS, {})
    assert sheet.header == ["会員番号", "氏名"]
    assert [row[1][:3] for row in sheet.rows] == ["髙﨑①"]
    assert cells(sheet, sheet.rows[0])["member_no"] == "A1"


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\xff\xd8\xff", "会員番号".encode("euc-jp")[:-1] + b"\xff", b"\x80\x81", b"\xff\xfe\x00"]
)
def test_it_refuses_bytes_that_are_no_text(content: bytes) -> None:
    with pytest.raises(InvalidError, match="import.encoding_unknown"):
        decode(content)


@given(st.binary(max_size=300))
@example(b"a\rb")
@example(b"x" * 200_000)
@example(b"a,b\x00")
@example('"会員番号'.encode())
def test_no_file_whatever_does_more_than_be_refused(content: bytes) -> None:
    for kind in ImportKind:
        try:
            read(content, kind, {})
        except InvalidError as error:
            assert error.code.startswith("import.")


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_it_finds_the_delimiter_and_the_line_end(delimiter: str, end: str) -> None:
    text = end.join(
        [
            delimiter.join(["会員番号", "メモ, 長い; もの", "氏名"]).replace("メモ, 長い; もの", '"メモ, 長い; もの"'),
            delimiter.join(["A1", "x", "花子"]),
            "",
        ]
    )
    sheet = read(text.encode(), CUSTOMERS, {})
    assert cells(sheet, sheet.rows[0]) == {"member_no": "A1", "name": "花子"}


def test_it_finds_the_delimiter_below_empty_lines_too() -> None:
    sheet = read("\r\n\r\n会員番号\t氏名\r\nA1\t花子\r\n".encode(), CUSTOMERS, {})
    assert (sheet.header, sheet.lines) == (["会員番号", "氏名"], [4])


def test_it_finds_columns_by_name_however_they_are_written() -> None:
    for name in ("member_no", "Member No", "会員番号", "会員 番号", "顧客ID", "顧客ＩＤ", "CUSTOMER_ID"):
        assert read(f"{name},氏名\nA1,x\n".encode(), CUSTOMERS, {}).columns["member_no"] == 0


def test_a_mapping_outweighs_the_known_names() -> None:
    text = "会員番号,旧番号,ランク\nA1,B2,gold\n".encode()
    sheet = read(text, CUSTOMERS, {"member_no": "旧番号", "attribute.rank": "ランク"})
    assert cells(sheet, sheet.rows[0]) == {"member_no": "B2", "attribute.rank": "gold"}


@pytest.mark.parametrize(
    "mapping", [{"member_no": "ない列"}, {"email": "Ｅメール"}, {"attribute.rank": "ランク"}, {"colour": "氏名"}]
)
def test_a_mapped_column_that_is_not_there_is_no_silent_loss(mapping: dict[str, str]) -> None:
    error = refused(TEXT.encode(), mapping=mapping)
    assert error.code == "import.columns_missing"
    assert error.details["missing"] == list(mapping)
    assert error.details["found"] == ["会員番号", "氏名"]


def test_it_says_which_columns_are_missing() -> None:
    error = refused("注文番号,会員番号\n1,A\n".encode(), ORDERS)
    assert (error.code, error.details["missing"]) == ("import.columns_missing", ["ordered_at", "amount_yen"])


@pytest.mark.parametrize("content", [b"", b"\r\n\r\n", b" , \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_called_so(content: bytes) -> None:
    assert refused(content).code == "import.empty"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('会員番号,氏名\nA1,花子\nA2,"太郎\nA3,次郎\n', 3),
        ('会員番号,氏名\nA1,"花\n子"\n"A2"x,太郎\n', 4),
        ('会員番号,"氏名\n', 1),
        ("会員番号,氏名\nA1," + "x" * 140_000 + "\n", 2),
    ],
)
def test_it_names_the_line_of_a_broken_quote(text: str, line: int) -> None:
    error = refused(text.encode())
    assert (error.code, error.details["line"]) == ("import.quotes_broken", line)


def test_rows_keep_the_number_of_their_line() -> None:
    sheet = read('会員番号,氏名\n\nA1,"花\n子"\n , \nA2,太郎'.encode(), CUSTOMERS, {})
    assert list(numbered(sheet, 0, 10)) == [(3, ["A1", "花\n子"]), (6, ["A2", "太郎"])]
    assert list(numbered(sheet, 1, 10)) == [(6, ["A2", "太郎"])]


def test_a_ragged_row_is_refused_alone() -> None:
    sheet = read("会員番号,氏名\nA1\nA2,太郎\nA3,x,y\n".encode(), CUSTOMERS, {})
    for row, found in ((sheet.rows[0], 1), (sheet.rows[2], 3)):
        with pytest.raises(InvalidError) as caught:
            cells(sheet, row)
        assert caught.value.details == {"expected": 2, "found": found}
    assert cells(sheet, sheet.rows[1])["name"] == "太郎"


def test_empty_cells_are_left_out_and_attributes_kept() -> None:
    values = customer_values(
        {"member_no": "A1", "name": " ", "email": "", "attribute.rank": " gold ", "attribute.x": "", "line_user_id": "U"}
    )
    assert values == {"member_no": "A1", "attributes": {"rank": "gold"}}
    with pytest.raises(InvalidError, match="customer.member_no_missing"):
        customer_values({"name": "花子"})


# Orders ---------------------------------------------------------------------------------------------------------------------


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
    row = order_row(
        {
            "order_no": " Ｎ-1 ",
            "member_no": "A1",
            "ordered_at": "2026-11-22",
            "amount_yen": "1,980円",
            "products": "茶|菓子、 箸\n",
            "shop": " 本店 ",
        }
    )
    assert (row.order_no, row.member_no, row.amount_yen, row.products, row.shop) == (
        "N-1",
        "A1",
        1980,
        ("茶", "菓子", "箸"),
        "本店",
    )
    for order_no in ("", "注文1", "x" * 65, "a b"):
        with pytest.raises(InvalidError, match="order.order_no_malformed"):
            order_row({"order_no": order_no, "member_no": "A1", "ordered_at": "2026-11-22", "amount_yen": "1"})


# The file of refused rows ---------------------------------------------------------------------------------------------------


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

"""Files as they come from Excel, shop systems and other LINE tools, cut anywhere."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.imports.columns import Columns, Sheet, cells, find_columns, missing, open_sheet, propose, sample, settle
from chalicelib.imports.model import ImportKind, Options
from chalicelib.imports.records import WINDOW, Read, Record, encoding_beyond, encoding_of, records
from chalicelib.kernel.errors import InvalidError

CUSTOMERS, ORDERS, EVENTS, TAGS = ImportKind
TEXT = "会員番号,氏名\r\nA1,髙﨑①〜\r\n"


def reader(content: bytes) -> Read:
    return lambda start, length: content[start : start + length]


def opened(content: bytes, kind: ImportKind = CUSTOMERS, **given: object) -> tuple[Sheet, Columns]:
    options = Options(**given)  # type: ignore[arg-type]
    encoding, mark = encoding_of(content, is_whole=True)
    sheet = open_sheet(reader(content), encoding, mark, kind, options.mapping)
    return sheet, find_columns(sheet, kind, settle(sheet, kind, None, options))


def read(content: bytes, kind: ImportKind = CUSTOMERS, **given: object) -> list[dict[str, str]]:
    sheet, columns = opened(content, kind, **given)
    rows = records(reader(content), sheet.encoding, sheet.delimiter, sheet.position, sheet.line)
    return [cells(columns, row.cells, {}) for row in rows if not row.is_blank]


def refused(content: bytes, kind: ImportKind = CUSTOMERS, **given: object) -> InvalidError:
    with pytest.raises(InvalidError) as caught:
        read(content, kind, **given)
    return caught.value


# However a file is cut ------------------------------------------------------------------------------------------------------

LETTERS = st.sampled_from(['"', ",", "\n", "\r", "a", "é", "表", "ｱ", "~", " ", ";", "𠮷", "\u2028", "\x0b"])


@given(
    st.lists(st.lists(st.text(LETTERS, max_size=6), min_size=1, max_size=3), max_size=6),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-16-le", "utf-16-be", "cp932"]),
    st.integers(1, 40),
    st.booleans(),
)
def test_however_it_is_cut_the_rows_are_those_of_the_whole(
    rows: list[list[str]], end: str, encoding: str, window: int, is_open: bool
) -> None:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=end).writerows(rows)
    text = out.getvalue().removesuffix(end) if is_open else out.getvalue()
    content = text.encode(encoding, "ignore")
    whole = list(csv.reader(io.StringIO(content.decode(encoding), newline=""), strict=True))
    found = list(records(reader(content), encoding, ",", 0, 1, window))
    assert [record.cells for record in found] == whole
    assert [record.end for record in found][-1:] == ([len(content)] if whole else [])
    for before, record in zip(found, found[1:], strict=False):
        assert next(records(reader(content), encoding, ",", before.end, before.next_line, window)) == record, "from any row on"


@given(st.binary(max_size=120), st.sampled_from(["utf-8", "cp932", "utf-16-le"]), st.integers(1, 50))
@example(b"\x81", "cp932", 1)
@example(b'a,"\xff\n', "utf-8", 3)
@example(b"\x00\xd8a", "utf-16-le", 2)
def test_whatever_bytes_come_the_rows_stand_where_they_are(content: bytes, encoding: str, window: int) -> None:
    def all_of(size: int) -> list[Record] | str:
        found = []
        try:
            for record in records(reader(content), encoding, ",", 0, 1, size):
                found.append(record)
        except InvalidError as error:
            return str(error)
        assert not found or found[-1].end == len(content)
        return found

    assert all_of(window) == all_of(WINDOW)


def test_letters_that_are_none_are_seen_and_the_next_row_is_whole() -> None:
    content = "A1,花子\nA2,".encode() + b"\x81\xff" + "\nA3,太郎\n".encode()
    assert [(row.cells[0], row.is_broken) for row in records(reader(content), "utf-8", ",", 0, 1)] == [
        ("A1", False),
        ("A2", True),
        ("A3", False),
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [('A1,花子\nA2,"太郎\nA3,次郎\n', 2), ('A1,"花\n子"\n"A2"x,太郎\n', 3), ('会員番号,"氏名\n', 1), ("A1," + "x" * 140_000 + "\n", 1)],
)  # fmt: skip
@pytest.mark.parametrize("window", [7, WINDOW])
def test_it_names_the_line_of_a_broken_quote(text: str, line: int, window: int) -> None:
    with pytest.raises(InvalidError, match="import.quotes_broken") as caught:
        list(records(reader(text.encode()), "utf-8", ",", 0, 1, window))
    assert caught.value.details["line"] == line


def test_a_row_without_an_end_does_not_fill_the_memory() -> None:
    asked: list[int] = []

    def endless(start: int, length: int) -> bytes:
        asked.append(length)
        return b"x," * (length // 2)

    with pytest.raises(InvalidError, match="import.row_too_long"):
        list(records(endless, "utf-8", ",", 0, 1))
    assert max(asked) <= 1 << 23


# Encodings ------------------------------------------------------------------------------------------------------------------


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
    (row,) = read(content)
    assert (row["member_no"], row["name"][:3]) == ("A1", "髙﨑①")


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\xff\xd8\xff", "会員番号".encode("euc-jp")[:-1] + b"\xff", b"\x80\x81", b"\xff\xfe\x00"]
)
def test_it_refuses_bytes_that_are_no_text(content: bytes) -> None:
    with pytest.raises(InvalidError, match="import.encoding_unknown"):
        encoding_of(content, is_whole=True)


@pytest.mark.parametrize("encoding", ["utf-8", "cp932"])
def test_a_beginning_that_is_cut_within_a_letter_says_its_encoding(encoding: str) -> None:
    content = "会員番号".encode(encoding)
    for length in range(2 if encoding == "cp932" else 3, len(content)):
        assert encoding_of(content[:length], is_whole=False) == (encoding, 0)


def test_a_beginning_in_ascii_says_nothing_and_the_rest_does() -> None:
    head = b"member_no,name\n" + b"A1,x\n" * 300_000
    assert encoding_of(head, is_whole=False) == ("ascii", 0)
    assert encoding_beyond(reader(head + "A2,花子\n".encode("cp932")), 0) == "cp932"
    assert encoding_beyond(reader(head + "A2,花子\n".encode()), 0) == "utf-8"
    assert encoding_beyond(reader(head), 0) == "ascii"


@given(st.binary(max_size=300))
@example(b"a\rb")
@example(b"x" * 200_000)
@example(b"a,b\x00")
@example('"会員番号'.encode())
def test_no_file_whatever_does_more_than_be_refused(content: bytes) -> None:
    for kind in ImportKind:
        try:
            read(content, kind)
        except InvalidError as error:
            assert error.code.startswith("import.")


# Columns --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", "\t", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_it_finds_the_delimiter_and_the_line_end(delimiter: str, end: str) -> None:
    head = delimiter.join(["会員番号", '"メモ, 長い; もの"', "氏名"])
    assert read(end.join([head, delimiter.join(["A1", "x", "花子"]), ""]).encode()) == [{"member_no": "A1", "name": "花子"}]


def test_it_finds_the_delimiter_below_empty_lines_too() -> None:
    sheet, _ = opened("\r\n\r\n会員番号\t氏名\r\nA1\t花子\r\n".encode())
    assert (sheet.header, sheet.line) == (("会員番号", "氏名"), 4)


def test_it_finds_columns_by_name_however_they_are_written() -> None:
    for name in ("member_no", "Member No", "会員番号", "会員 番号", "顧客ID", "顧客ＩＤ", "CUSTOMER_ID"):
        assert opened(f"{name},氏名\nA1,x\n".encode())[1].places["member_no"] == 0


def test_a_mapping_outweighs_the_known_names_and_leaves_out() -> None:
    text = "会員番号,旧番号,ランク,メール\nA1,B2,gold,x\n".encode()
    assert read(text, mapping={"member_no": "旧番号", "attribute.rank": "ランク", "email": ""}) == [
        {"member_no": "B2", "attribute.rank": "gold"}
    ]
    assert "email" not in opened(text, mapping={"attribute.mail": "メール"})[1].places, "a column has one meaning"


@pytest.mark.parametrize("mapping", [{"member_no": "ない列"}, {"email": "Ｅメール"}, {"attribute.rank": "ランク"}])
def test_a_mapped_column_that_is_not_there_is_no_silent_loss(mapping: dict[str, str]) -> None:
    error = refused(TEXT.encode(), mapping=mapping)
    assert error.code == "import.columns_missing"
    assert error.details["missing"][0] == next(iter(mapping))
    assert error.details["found"] == ["会員番号", "氏名"]


@pytest.mark.parametrize("name", ["colour", "attribute.", "data.x", "line.yen"])
def test_a_field_that_there_is_not_is_refused(name: str) -> None:
    assert refused(TEXT.encode(), mapping={name: "氏名"}).code == "import.field_unknown"


def test_it_says_which_columns_are_missing() -> None:
    error = refused("注文番号,会員番号\n1,A\n".encode(), ORDERS)
    assert (error.code, error.details["missing"]) == ("import.columns_missing", ["ordered_at", "amount_yen/line.yen/line.unit_yen"])
    assert missing(EVENTS, ["event", "line_user_id"]) == ["occurred_at"]


@pytest.mark.parametrize("content", [b"", b"\r\n\r\n", b" , \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_called_so(content: bytes) -> None:
    assert refused(content).code == "import.empty"


def test_a_ragged_row_is_refused_alone() -> None:
    _, columns = opened("会員番号,氏名\nA1\n".encode())
    for row in (["A1"], ["A3", "x", "y"]):
        with pytest.raises(InvalidError) as caught:
            cells(columns, row, {})
        assert caught.value.details == {"expected": 2, "found": len(row)}
    assert cells(columns, ["A2", " "], {"name": "名無し", "email": "x"}) == {"member_no": "A2", "name": "名無し", "email": "x"}


def test_columns_of_one_name_are_told_apart() -> None:
    assert opened("会員番号,メモ,メモ,\nA1,a,b,c\n".encode())[0].header == ("会員番号", "メモ", "メモ (2)", "列4")


def test_rows_of_lines_are_known_by_their_columns() -> None:
    by_line = propose(
        opened("注文番号,会員番号,注文日,商品名,数量,単価\n1,A,2026-11-22,茶,1,2\n".encode(), ORDERS)[0], ORDERS
    ).mapping
    assert (by_line["line.product"], by_line["line.quantity"], by_line["line.unit_yen"]) == ("商品名", "数量", "単価")
    whole = propose(opened("注文番号,会員番号,注文日,商品名,金額\n1,A,2026-11-22,茶,2\n".encode(), ORDERS)[0], ORDERS).mapping
    assert whole["products"] == "商品名"


# Exports of other tools -----------------------------------------------------------------------------------------------------

LSTEP = (
    "登録ID,,,,タグ_104,友だち情報_27,友だち情報_28,\r\n"
    "ID,表示名,LINE登録名,友だち追加日時,春の会,生年月日,好きな色,ユーザーブロック\r\n"
    '123,"花\n子",はなこ,2024/05/11 14:23:45,1,1990/01/31,赤,0\r\n'
).encode("cp932")
LME = (
    "ID,LINE表示名,,タグ_221,タグ_222,,友だち情報_305\r\n"
    "ユーザーID,LINE表示名,友だち追加日,タグ_春,夏,携帯電話,色\r\n"
    f"U{'a' * 32},はなこ,2024-05-11,1,0,090-1234-5678,赤,メモ1,メモ2\r\n"
).encode("cp932")


def test_an_export_of_lstep_is_recognised() -> None:
    sheet, columns = opened(LSTEP)
    proposed = propose(sheet, CUSTOMERS)
    assert (sheet.preset and sheet.preset.key, proposed.member_prefix, proposed.tag_folder) == ("lstep", "lstep-", "Lステップ")
    (row,) = read(LSTEP)
    assert row == {
        "member_no": "123", "attribute.LINE登録名": "はなこ", "attribute.友だち追加日時": "2024/05/11 14:23:45", "tag.春の会": "1",
        "birthday": "1990/01/31", "attribute.好きな色": "赤", "friend.blocked": "0",
    }  # fmt: skip
    assert sample(reader(LSTEP), sheet, 5)[0][1] == "花\n子"
    own = LSTEP.decode("cp932").replace("好きな色", "会員番号").encode("cp932")
    assert propose(opened(own)[0], CUSTOMERS).mapping["member_no"] == "会員番号"
    assert propose(opened(own)[0], CUSTOMERS).member_prefix == ""


def test_an_export_of_lme_is_recognised_and_its_rows_may_be_longer() -> None:
    sheet, _ = opened(LME)
    assert sheet.preset and sheet.preset.key == "lme"
    (row,) = read(LME)
    assert row == {
        "line_user_id": "U" + "a" * 32, "attribute.LINE登録名": "はなこ", "friend.added_at": "2024-05-11", "tag.春": "1", "tag.夏": "0",
        "phone": "090-1234-5678", "attribute.色": "赤",
    }  # fmt: skip


def test_tags_alone_leave_the_rest_of_an_export() -> None:
    assert set(read(LSTEP, TAGS)[0]) == {"member_no", "tag.春の会"}


def test_what_files_of_a_header_had_last_time_comes_before_our_proposal() -> None:
    sheet, _ = opened("番号,氏名,備考\nA1,x,y\n".encode(), mapping={"member_no": "番号"})
    saved = Options(
        mapping={"member_no": "番号", "attribute.memo": "備考"}, defaults={"city": "札幌"}, types={"attribute.memo": "number"}
    )
    settled = settle(sheet, CUSTOMERS, saved, Options(mapping={"name": ""}, dry_run=True))
    assert settled.mapping == {"member_no": "番号", "attribute.memo": "備考"}
    assert (settled.defaults, settled.types, settled.dry_run) == ({"city": "札幌"}, {"attribute.memo": "number"}, True)

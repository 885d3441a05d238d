"""Import jobs, and the reading of CSV files; pure."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from chalicelib.customers.model import clean
from chalicelib.kernel.clock import aware
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.windows import JST

MOST_BYTES = 100_000_000
# What CP932 decodes from bytes that no text holds: a sign that the file is something else.
_CP932_JUNK = re.compile("[\x80\xa0\uf8f0-\uf8f3]")


class ImportKind(StrEnum):
    """What the rows of a file are."""

    CUSTOMERS = "customers"
    ORDERS = "orders"


class ImportState(StrEnum):
    """CREATED waits for its file; RUNNING may be continued by any worker."""

    CREATED = "created"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ImportJob:
    """One file's way in. mapping: our field to the file's column; position: rows done. trigger: rows may start scenarios."""

    import_id: str
    kind: ImportKind
    state: ImportState
    dry_run: bool
    trigger: bool
    created_at: datetime
    mapping: Mapping[str, str] = field(default_factory=dict)
    account: str = ""
    rows: int = 0
    position: int = 0
    created: int = 0
    changed: int = 0
    failed: int = 0
    problem: str = ""

    @property
    def file_key(self) -> str:
        """Where the file lies."""
        return f"imports/{self.import_id}/file.csv"

    @property
    def errors_key(self) -> str:
        """Where the file of refused rows lies."""
        return f"imports/{self.import_id}/errors.csv"


_NAMES: dict[str, tuple[str, ...]] = {
    "member_no": ("会員番号", "会員ID", "顧客番号", "顧客ID", "customer_id", "member_id"),
    "name": ("氏名", "名前", "お名前", "顧客名"),
    "name_kana": ("フリガナ", "ふりがな", "氏名カナ", "カナ"),
    "birthday": ("生年月日", "誕生日"),
    "gender": ("性別", "sex"),
    "email": ("メールアドレス", "メール", "e-mail", "mail"),
    "phone": ("電話番号", "携帯電話", "携帯番号", "tel"),
    "postal_code": ("郵便番号", "〒", "zip"),
    "prefecture": ("都道府県",),
    "city": ("市区町村",),
    "address": ("番地", "住所", "町名番地", "住所1"),
    "building": ("建物名", "建物", "住所2"),
    "line_user_id": ("LINEユーザーID", "LINE ID", "userId"),
}
_ORDER_NAMES: dict[str, tuple[str, ...]] = {
    "order_no": ("注文番号", "伝票番号", "受注番号", "order_id"),
    "member_no": _NAMES["member_no"],
    "ordered_at": ("注文日時", "注文日", "購入日", "購入日時", "date"),
    "amount_yen": ("金額", "合計金額", "購入金額", "amount"),
    "products": ("商品", "商品名", "商品コード"),
    "shop": ("店舗", "店舗名"),
}
_REQUIRED = {ImportKind.CUSTOMERS: ("member_no",), ImportKind.ORDERS: ("order_no", "member_no", "ordered_at", "amount_yen")}


def decode(content: bytes) -> str:
    """Return the text of a file in UTF-8, UTF-16 or CP932 (Shift_JIS as Japanese systems write it).

    Exact tests on the whole file instead of a guess: detectors take short CP932 files for UTF-16.
    Raises InvalidError(`import.encoding_unknown`).
    """
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16")
        if b"\x00" in content:
            return content.decode("utf-16-le" if content[1::2].count(0) > content[::2].count(0) else "utf-16-be")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        text = content.decode("cp932")
    except UnicodeDecodeError as error:
        raise InvalidError("import.encoding_unknown") from error
    if _CP932_JUNK.search(text):
        raise InvalidError("import.encoding_unknown")
    return text


@dataclass(frozen=True, slots=True)
class Sheet:
    """A file cut into rows. columns: our field to its place; lines: where in the file each row begins."""

    header: list[str]
    columns: Mapping[str, int]
    rows: list[list[str]]
    lines: list[int]


def read(content: bytes, kind: ImportKind, mapping: Mapping[str, str]) -> Sheet:
    """Return the rows of a CSV, TSV or semicolon file, its columns found by name.

    Raises InvalidError(`import.encoding_unknown`, `import.empty`, `import.columns_missing`, `import.quotes_broken`).
    """
    text = decode(content)
    best: tuple[int, str] = (-1, ",")
    first = re.search(r"[^\r\n]+", text)
    for delimiter in (",", "\t", ";"):
        header = next(csv.reader([first[0][:100_000]] if first else [], delimiter=delimiter), [])
        best = max(best, (len(_columns(header, kind, mapping)), delimiter), key=lambda found: found[0])
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=best[1], strict=True)
    rows: list[list[str]] = []
    lines: list[int] = []
    line = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append(row)
                lines.append(line)
            line = reader.line_num + 1
    except csv.Error as error:
        raise InvalidError("import.quotes_broken", line=line) from error
    if not rows:
        raise InvalidError("import.empty")
    columns = _columns(rows[0], kind, mapping)
    # A mapped column too: its data would be left out without a word.
    missing = [name for name in dict.fromkeys((*_REQUIRED[kind], *mapping)) if name not in columns]
    if missing:
        raise InvalidError("import.columns_missing", missing=missing, found=rows[0])
    return Sheet(rows[0], columns, rows[1:], lines[1:])


def _columns(header: Sequence[str], kind: ImportKind, mapping: Mapping[str, str]) -> dict[str, int]:
    known = _NAMES if kind is ImportKind.CUSTOMERS else _ORDER_NAMES
    plain = [_plain(cell) for cell in header]
    columns = {}
    for name, others in known.items():
        wanted = [mapping[name]] if name in mapping else [name, *others]
        places = [plain.index(_plain(word)) for word in wanted if _plain(word) in plain]
        if places:
            columns[name] = places[0]
    for name, column in mapping.items():
        if name.startswith("attribute.") and _plain(column) in plain:
            columns[name] = plain.index(_plain(column))
    return columns


def _plain(text: str) -> str:
    return re.sub(r"[\s_]", "", unicodedata.normalize("NFKC", text)).lower()


def cells(sheet: Sheet, row: Sequence[str]) -> dict[str, str]:
    """Return a row's cells by our field. Raises InvalidError(`import.row_length`)."""
    if len(row) != len(sheet.header):
        raise InvalidError("import.row_length", expected=len(sheet.header), found=len(row))
    return {name: row[place] for name, place in sheet.columns.items()}


def customer_values(given: Mapping[str, str]) -> dict[str, Any]:
    """Return the profile fields of a row, cleaned; empty cells are left out. Raises InvalidError that names the field."""
    values = {}
    attributes = {}
    for name, text in given.items():
        if name == "line_user_id":
            continue
        if name.startswith("attribute."):
            if text.strip():
                attributes[name.removeprefix("attribute.")] = text.strip()
            continue
        value = clean(name, text)
        if value is not None:
            values[name] = value
    if "member_no" not in values:
        raise InvalidError("customer.member_no_missing", field="member_no")
    if attributes:
        values["attributes"] = attributes
    return values


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order as a row tells it."""

    order_no: str
    member_no: str
    at: datetime
    amount_yen: int
    products: tuple[str, ...]
    shop: str


_ORDER_NO = re.compile(r"[\x21-\x7e]{1,64}\Z")
_FIRST_YEAR = 1900
_DATE = re.compile(r"(?=\d{8}(?!\d)|\d{4}\D\d{1,2}\D)(\d{4})\D?(\d{1,2})\D?(\d{1,2})日?(?:[T\s]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?\Z")


def order_row(given: Mapping[str, str]) -> OrderRow:
    """Return the order of a row. Raises InvalidError that names the field."""
    order_no = unicodedata.normalize("NFKC", given["order_no"]).strip()
    if not _ORDER_NO.match(order_no):
        raise InvalidError("order.order_no_malformed", field="order_no")
    member_no = clean("member_no", given["member_no"])
    if member_no is None:
        raise InvalidError("customer.member_no_missing", field="member_no")
    products = tuple(part.strip() for part in re.split(r"[|、\n]", given.get("products", "")) if part.strip())
    return OrderRow(
        order_no, member_no, order_time(given["ordered_at"]), yen(given["amount_yen"]), products, given.get("shop", "").strip()
    )


def order_time(text: str) -> datetime:
    """Return the instant of a date, with or without a time, in JST unless it says otherwise. Raises InvalidError."""
    value = unicodedata.normalize("NFKC", text).strip()
    match = _DATE.match(value)
    try:
        if match:
            year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
            moment = datetime(year, month, day, hour, minute, second, tzinfo=JST)
        else:
            moment = datetime.fromisoformat(value)
        at = aware(moment if moment.tzinfo else moment.replace(tzinfo=JST))
        if at.year < _FIRST_YEAR:
            raise ValueError("a purchase of another age")
    except ValueError as error:
        raise InvalidError("order.time_malformed", field="ordered_at") from error
    return at


def yen(text: str) -> int:
    """Return an amount in yen written with or without ¥, 円 and thousands separators, △ or ▲ for minus. Raises InvalidError."""
    digits = re.sub(r"[¥\\円,\s]", "", unicodedata.normalize("NFKC", text))
    digits = re.sub(r"\A[−△▲]", "-", digits)
    match = re.match(r"(-?\d{1,12})(?:\.0+)?\Z", digits)
    if not match:
        raise InvalidError("order.amount_malformed", field="amount_yen")
    return int(match[1])


def numbered(sheet: Sheet, start: int, most: int) -> Iterator[tuple[int, list[str]]]:
    """Yield (line in the file, row) of a part of the rows."""
    for index in range(start, min(start + most, len(sheet.rows))):
        yield sheet.lines[index], sheet.rows[index]


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def error_line(row: Sequence[str]) -> str:
    """Return one CSV line; a cell that a spreadsheet would run as a formula is disarmed with an apostrophe."""
    out = io.StringIO(newline="")
    safe = [f"'{cell}" if cell.startswith(_FORMULA) and not re.fullmatch(r"[+-]?[\d.,-]+", cell) else cell for cell in row]
    csv.writer(out, lineterminator="\r\n").writerow(safe)
    return out.getvalue()

"""What the cells of a row say: profile fields, days in whatever order, yen, orders of several rows, events; pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from chalicelib.customers.model import PROFILE_FIELDS, Scalar, clean
from chalicelib.imports.columns import ATTRIBUTE, DATA, TAG
from chalicelib.imports.model import Options
from chalicelib.kernel.clock import aware
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import is_line_user_id
from chalicelib.kernel.signing import fingerprint
from chalicelib.kernel.windows import JST
from chalicelib.orders.model import Line

MOST_LINES = 200  # of an order: all of them live in one item
_ORDER_NO = re.compile(r"[\x21-\x7e]{1,64}\Z")
_EVENT_ID = re.compile(r"[!-~]{1,64}\Z")
_DATA_NAME = re.compile(r"(?!(at|name)\Z)[a-z][a-z0-9_]{0,39}\Z")
_FIRST_YEAR = 1900
_DATE = re.compile(r"(?=\d{8}(?!\d)|\d{4}\D\d{1,2}\D)(\d{4})\D?(\d{1,2})\D?(\d{1,2})日?(?:[T\s]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?\Z")
_YEAR_LAST = re.compile(r"(\d{1,2})\D(\d{1,2})\D(\d{4})(?!\d)(.*)\Z", re.DOTALL)
_ERA = re.compile(r"(明治|大正|昭和|平成|令和|[MTSHR])\.?(元|\d{1,2})\D(\d{1,2}\D\d{1,2}.*)\Z", re.DOTALL)
_ERAS = {"明": 1867, "大": 1911, "昭": 1925, "平": 1988, "令": 2018, "M": 1867, "T": 1911, "S": 1925, "H": 1988, "R": 2018}
_YES = {"1", "true", "yes", "y", "on", "はい", "有", "あり", "○", "〇", "◯", "済", "t"}
_NO = {"0", "false", "no", "n", "off", "いいえ", "無", "なし", "×", "-", "未", "f", ""}
_EVENTS = {
    "survey_answered": ("アンケート", "アンケート回答"), "form_submitted": ("フォーム", "フォーム送信"),
    "reservation_made": ("予約",), "reservation_visited": ("来店", "来場"), "reservation_cancelled": ("予約取消", "キャンセル"),
    "custom": (),
}  # fmt: skip


def year_first(text: str, order: str) -> str:
    """Return a day as year, month, day: from the order of a file, from a year of a Japanese era."""
    value = unicodedata.normalize("NFKC", text).strip()
    era = _ERA.match(value)
    if era:
        return f"{_ERAS[era[1][0]] + (1 if era[2] == '元' else int(era[2]))}-{era[3]}"
    last = _YEAR_LAST.match(value) if order != "ymd" else None
    if last:
        day, month = (last[1], last[2]) if order == "dmy" else (last[2], last[1])
        return f"{last[3]}-{month}-{day}{last[4]}"
    return value


def order_time(text: str, order: str = "ymd") -> datetime:
    """Return the instant of a date, with or without a time, in JST unless it says otherwise. Raises InvalidError."""
    value = year_first(text, order)
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


def yen(text: str, field: str = "amount_yen") -> int:
    """Return an amount in yen written with or without ¥, 円 and thousands separators, △ or ▲ for minus. Raises InvalidError."""
    digits = re.sub(r"[¥\\円,\s]", "", unicodedata.normalize("NFKC", text))
    digits = re.sub(r"\A[−△▲]", "-", digits)
    match = re.match(r"(-?\d{1,12})(?:\.0+)?\Z", digits)
    if not match:
        raise InvalidError("order.amount_malformed", field=field)
    return int(match[1])


def is_yes(text: str, field: str) -> bool:
    """Return what a cell that says yes or no says. Raises InvalidError(`import.flag_malformed`)."""
    word = unicodedata.normalize("NFKC", text).strip().lower()
    if word not in _YES and word not in _NO:
        raise InvalidError("import.flag_malformed", field=field)
    return word in _YES


@dataclass(frozen=True, slots=True)
class Who:
    """Whom a row is about: by the company's number, by his LINE user id, or by both."""

    member_no: str = ""
    line_user_id: str = ""


def who(given: Mapping[str, str], options: Options) -> Who:
    """Return the person of a row. Raises InvalidError that names the field."""
    number = given.get("member_no", "").strip()
    member_no = clean("member_no", options.member_prefix + number) if number else ""
    user_id = given.get("line_user_id", "").strip()
    if user_id and (not is_line_user_id(user_id) or not options.account):
        raise InvalidError("customer.line_user_id_malformed", field="line_user_id")
    if not member_no and not user_id:
        raise InvalidError("customer.member_no_missing", field="member_no")
    return Who(member_no, user_id)


def profile_values(given: Mapping[str, str], options: Options) -> dict[str, Any]:
    """Return the profile fields of a row, cleaned; empty cells are left out. Raises InvalidError that names the field."""
    values: dict[str, Any] = {}
    attributes: dict[str, Scalar] = {}
    for name, text in given.items():
        if name.startswith(ATTRIBUTE):
            if text.strip():
                attributes[name.removeprefix(ATTRIBUTE)] = _attribute(name, text.strip(), options)
        elif name in PROFILE_FIELDS and name != "member_no":
            value = clean(name, year_first(text, options.dates) if name == "birthday" else text)
            if value is not None:
                values[name] = value
    if attributes:
        values["attributes"] = attributes
    return values


def _attribute(name: str, text: str, options: Options) -> Scalar:
    match options.types.get(name, "text"):
        case "number":
            digits = re.sub(r"[¥\\円,\s]", "", unicodedata.normalize("NFKC", text))
            if not re.match(r"[+-]?\d{1,15}(\.\d{1,10})?\Z", digits):
                raise InvalidError("import.number_malformed", field=name)
            return float(digits) if "." in digits else int(digits)
        case "flag":
            return is_yes(text, name)
        case "date":
            return day(text, name, options.dates).isoformat()
        case _:
            kept: str = clean(name, text)
            return kept


def day(text: str, field: str, order: str) -> date:
    """Return the JST day of a date. Raises InvalidError(`import.date_malformed`)."""
    try:
        return order_time(text, order).astimezone(JST).date()
    except InvalidError as error:
        raise InvalidError("import.date_malformed", field=field) from error


def tag_names(given: Mapping[str, str], options: Options) -> list[str]:
    """Return the names of the tags that a row asks for. Raises InvalidError(`import.flag_malformed`)."""
    names = [options.tag] if options.tag else []
    for name, text in given.items():
        if name == "tags":
            names += [part.strip() for part in re.split(r"[|｜、,，;；\n]", text)]
        elif name.startswith(TAG) and is_yes(text, name):
            names.append(name.removeprefix(TAG))
    return list(dict.fromkeys(name for name in names if name))


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order as its rows tell it."""

    order_no: str
    who: Who
    at: datetime
    amount_yen: int
    products: tuple[str, ...] = ()
    shop: str = ""
    lines: tuple[Line, ...] = ()


def order_number(given: Mapping[str, str]) -> str:
    """Return the number of a row's order. Raises InvalidError(`order.order_no_malformed`)."""
    number = unicodedata.normalize("NFKC", given.get("order_no", "")).strip()
    if not _ORDER_NO.match(number):
        raise InvalidError("order.order_no_malformed", field="order_no")
    return number


def order_of(rows: Sequence[Mapping[str, str]], options: Options) -> OrderRow:
    """Return the order that these rows tell of, one a line of it.

    What concerns the whole order stands in each of its rows or in one of them. Without an amount of its own it is that of its
    lines together. Raises InvalidError that names the field.
    """
    whole = {name: _of_all(rows, name) for name in rows[0] if not name.startswith("line.") and name != "products"}
    lines = tuple(line for row in rows if (line := _line(row)))
    if len(lines) > MOST_LINES:
        raise InvalidError("order.too_many_lines", field="order_no", most=MOST_LINES)
    amount = whole.get("amount_yen", "")
    if not amount and not any(name in ("line.yen", "line.unit_yen") for name in rows[0]):
        raise InvalidError("order.amount_malformed", field="amount_yen")
    products = () if lines else tuple(_parts(rows[0].get("products", "")))
    return OrderRow(
        order_number(whole),
        who(whole, options),
        order_time(whole.get("ordered_at", ""), options.dates),
        yen(amount) if amount else sum(line.yen for line in lines),
        products,
        clean("shop", whole.get("shop", "")) or "",
        lines,
    )


def _of_all(rows: Sequence[Mapping[str, str]], name: str) -> str:
    told = {text for row in rows if (text := row.get(name, "").strip())}
    if len(told) > 1:
        raise InvalidError("order.rows_differ", field=name)
    return told.pop() if told else ""


def _parts(text: str) -> list[str]:
    return [kept for part in re.split(r"[|、\n]", text) if (kept := clean("products", part))]


def _line(given: Mapping[str, str]) -> Line | None:
    product = clean("line.product", given.get("line.product", ""))
    if not product:
        return None
    quantity = given.get("line.quantity", "").strip()
    number = yen(quantity, "line.quantity") if quantity else 1
    total, unit = given.get("line.yen", "").strip(), given.get("line.unit_yen", "").strip()
    amount = yen(total, "line.yen") if total else yen(unit, "line.unit_yen") * number if unit else 0
    return Line(product, clean("line.category", given.get("line.category", "")) or "", number, amount)


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event as a row tells it. event_id: the same when it is told again."""

    event: str
    event_id: str
    name: str
    who: Who
    at: datetime
    data: Mapping[str, str]


def event_row(given: Mapping[str, str], options: Options) -> EventRow:
    """Return the event of a row. Raises InvalidError that names the field."""
    person, at = who(given, options), _event_time(given.get("occurred_at", ""), options)
    word = unicodedata.normalize("NFKC", given.get("event", "")).strip()
    event = next((known for known, others in _EVENTS.items() if word.lower() == known or word in others), "")
    if not event:
        raise InvalidError("import.event_unknown", field="event", known=list(_EVENTS))
    name = clean("name", given.get("name", "")) or ""
    if event == "custom" and not name:
        raise InvalidError("event.name_missing", field="name")
    data = {key.removeprefix(DATA): text.strip()[:200] for key, text in given.items() if key.startswith(DATA) and text.strip()}
    event_id = given.get("event_id", "").strip()
    if not event_id:
        # The same row is the same event however often it comes.
        event_id = fingerprint(f"{person.member_no}\x1f{person.line_user_id}\x1f{event}\x1f{name}\x1f{at.isoformat()}")[:32]
    elif not _EVENT_ID.match(event_id):
        raise InvalidError("import.event_id_malformed", field="event_id")
    return EventRow(event, event_id, name, person, at, data)


def _event_time(text: str, options: Options) -> datetime:
    try:
        return order_time(text, options.dates)
    except InvalidError as error:
        raise InvalidError("import.date_malformed", field="occurred_at") from error


def are_data_names(names: Sequence[str]) -> bool:
    """Say whether messages can name these data of an event: up to ten short words."""
    return len(names) <= 10 and all(_DATA_NAME.match(name) for name in names)

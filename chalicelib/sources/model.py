"""A system that reports orders, how it proves that it is it, and how its JSON is read; pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, DecimalException
from enum import StrEnum
from typing import Any

from chalicelib.customers.model import clean
from chalicelib.kernel.clock import aware
from chalicelib.kernel.errors import DomainError, InvalidError
from chalicelib.kernel.signing import timed_signature
from chalicelib.kernel.windows import JST
from chalicelib.orders.model import Line

TOLERANCE = timedelta(minutes=5)
FORMER_LIFE = timedelta(days=1)
MOST_ORDERS = 100
_MOST_LINES = 200
_MOST_YEN = 10**12
_ID = re.compile(r"[a-z][a-z0-9_-]{0,39}\Z")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,60}\Z")
_PATH = re.compile(r"[^.\x00-\x1f]{1,60}(\.[^.\x00-\x1f]{1,60}){0,5}\Z")
_ORDER_NO = re.compile(r"[\x21-\x7e]{1,64}\Z")
_STAMP = re.compile(r"[0-9]{1,12}\Z")


class SourceKind(StrEnum):
    """How a system speaks: as we do (docs/behaviour.md), as Shopify does, or by a mapping of its own."""

    ENISHI = "enishi"
    SHOPIFY = "shopify"
    MAPPED = "mapped"


# Where in another system's JSON our words stand. `orders`: the list of them, left out where the body is one order.
# `lines`: of an order, with product, category, quantity, yen or unit_yen of each; the rest are paths from the order.
_OF_AN_ORDER = ("order_no", "member_no", "ordered_at", "amount_yen", "shop", "currency")
_OF_A_LINE = ("product", "category", "quantity", "yen", "unit_yen")
_OF_A_PERSON = ("name", "name_kana", "email", "phone")
WORDS = ("orders", "lines", *_OF_AN_ORDER, *_OF_A_LINE, *_OF_A_PERSON)
_NEEDED = ("order_no", "member_no", "ordered_at", "amount_yen")
# shopify.dev, Order resource of the REST Admin API; `name` is the number that people and exports show, with a # before it.
_SHOPIFY: Mapping[str, str] = {
    "order_no": "name", "member_no": "customer.id", "ordered_at": "created_at", "amount_yen": "total_price",
    "currency": "currency", "lines": "line_items", "product": "title", "category": "vendor", "quantity": "quantity",
    "unit_yen": "price", "email": "customer.email", "phone": "customer.phone", "name": "customer.default_address.name",
}  # fmt: skip
SHOPIFY_TOPICS = ("orders/create", "orders/paid")
_SIGNATURE = {SourceKind.SHOPIFY: "x-shopify-hmac-sha256", SourceKind.ENISHI: "enishi-signature"}


@dataclass(frozen=True, slots=True)
class Source:
    """A system that reports. creates: customers whom we do not know are entered. shop: of orders that name none.

    mapping, header: of the kind `mapped` alone: our words to its paths, and the header that carries its signature.
    """

    source_id: str
    name: str
    kind: SourceKind
    is_enabled: bool = True
    creates: bool = False
    shop: str = ""
    header: str = "X-Signature"
    mapping: Mapping[str, str] = field(default_factory=dict)

    def words(self) -> Mapping[str, str]:
        """Return where our words stand in what it sends."""
        return _SHOPIFY if self.kind is SourceKind.SHOPIFY else self.mapping


@dataclass(frozen=True, slots=True)
class Report:
    """An order as a system told it, and what it told of the customer."""

    order_no: str
    member_no: str
    at: datetime
    amount_yen: int
    lines: tuple[Line, ...] = ()
    shop: str = ""
    profile: Mapping[str, Any] = field(default_factory=dict)


def check(source: Source) -> None:
    """Raise InvalidError(`source.id_malformed`, `source.mapping_malformed`) where a source cannot work."""
    if not _ID.match(source.source_id):
        raise InvalidError("source.id_malformed")
    if source.kind is not SourceKind.MAPPED:
        if source.mapping:
            raise InvalidError("source.mapping_malformed", word="mapping")
        return
    if not _HEADER.match(source.header):
        raise InvalidError("source.mapping_malformed", word="header")
    for word in (*_NEEDED, *source.mapping):
        if word not in WORDS or not _PATH.match(source.mapping.get(word, "")):
            raise InvalidError("source.mapping_malformed", word=word)


def is_proven(source: Source, secrets: Iterable[str], headers: Mapping[str, str], body: bytes, now: datetime) -> bool:
    """Say whether the source itself sent this. headers: names in lower case. Every comparison takes constant time.

    Ours is bound to its moment; the others' are not, and a repetition does no harm because orders count once.
    """
    given = headers.get(_SIGNATURE.get(source.kind, source.header.lower())) or ""
    if source.kind is SourceKind.ENISHI:
        stamp = headers.get("enishi-timestamp") or ""
        if not _STAMP.match(stamp) or abs(now.timestamp() - int(stamp)) > TOLERANCE.total_seconds():
            return False
        return _is_any(given, [timed_signature(secret, stamp, body) for secret in secrets])
    proofs = [hmac.digest(secret.encode(), body, hashlib.sha256) for secret in secrets]
    if source.kind is SourceKind.SHOPIFY:
        return _is_any(given, [base64.b64encode(proof).decode() for proof in proofs])
    return _is_any(_as_hex(given), [proof.hex() for proof in proofs])


def _as_hex(signature: str) -> str:
    """Return a signature in hexadecimal, which others write as Base64 or with `sha256=` before it."""
    text = signature.removeprefix("sha256=")
    if re.fullmatch("[0-9a-fA-F]{64}", text):
        return text.lower()
    try:
        return base64.b64decode(text, validate=True).hex()
    except (binascii.Error, ValueError):
        return ""


def _is_any(given: str, proofs: list[str]) -> bool:
    matches = [hmac.compare_digest(proof.encode(), given.encode("utf-8", "replace")) for proof in proofs]
    return any(matches)


def read(source: Source, document: Any) -> list[Report | DomainError]:
    """Return the orders of a body by the source's mapping, each or why it cannot be taken.

    Raises InvalidError(`source.body_malformed`) where there is no list of orders, or too long a one.
    """
    words = source.words()
    found = at(document, words["orders"]) if "orders" in words else [document]
    if not isinstance(found, list) or len(found) > MOST_ORDERS:
        raise InvalidError("source.body_malformed", most=MOST_ORDERS)
    return [_tried(source, order) for order in found]


def _tried(source: Source, order: Any) -> Report | DomainError:
    try:
        return _report(source, order)
    except DomainError as error:
        return error


def _report(source: Source, order: Any) -> Report:
    words = source.words()
    given = {word: at(order, words[word]) for word in _OF_AN_ORDER if word in words}
    if given.get("currency") not in (None, "JPY"):
        raise InvalidError("source.currency_unknown", field="currency")
    order_no = _text(given["order_no"])
    order_no = order_no.removeprefix("#") if source.kind is SourceKind.SHOPIFY else order_no
    if not _ORDER_NO.match(order_no):
        raise InvalidError("order.order_no_malformed", field="order_no")
    member_no = clean("member_no", _text(given["member_no"]))
    if member_no is None:
        raise InvalidError("customer.member_no_missing", field="member_no")
    return Report(
        order_no=order_no,
        member_no=member_no,
        at=_instant(_text(given["ordered_at"])),
        amount_yen=_yen(given["amount_yen"]),
        lines=tuple(_lines(order, words)),
        shop=_text(given.get("shop"))[:100] or source.shop,
        profile=_profile(order, words),
    )


def _lines(order: Any, words: Mapping[str, str]) -> Iterable[Line]:
    lines = at(order, words["lines"]) if "lines" in words else []
    for line in lines[:_MOST_LINES] if isinstance(lines, list) else []:
        given = {word: at(line, words[word]) for word in _OF_A_LINE if word in words}
        product = _text(given.get("product"))[:100]
        if not product:
            continue
        quantity = given.get("quantity")
        count = quantity if isinstance(quantity, int) and not isinstance(quantity, bool) and abs(quantity) <= 10**6 else 1
        yen = _yen(given["yen"]) if given.get("yen") is not None else 0
        if given.get("unit_yen") is not None:
            yen = _yen(given["unit_yen"]) * count
        yield Line(product, _text(given.get("category"))[:100], count, yen)


def _profile(order: Any, words: Mapping[str, str]) -> Mapping[str, Any]:
    """Return what is told of the customer, cleaned; what is malformed is left out: the order counts all the same."""
    profile = {}
    for word in _OF_A_PERSON:
        if word in words:
            try:
                value = clean(word, _text(at(order, words[word])))
            except InvalidError:
                continue
            if value is not None:
                profile[word] = value
    return profile


def at(document: Any, path: str) -> Any:
    """Return what stands at a path of names and places in lists, `customer.id`; None where there is nothing."""
    for name in path.split("."):
        if isinstance(document, Mapping):
            document = document.get(name)
        elif isinstance(document, list) and name.isascii() and name.isdigit() and len(name) < 5:
            document = document[int(name)] if int(name) < len(document) else None
        else:
            return None
    return document


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _instant(text: str) -> datetime:
    """Return the instant of an ISO 8601 text or one like `2026/11/20 10:00`, Japan's without a zone. Raises InvalidError."""
    try:
        moment = datetime.fromisoformat(text.replace("/", "-"))
        moment = aware(moment if moment.tzinfo else moment.replace(tzinfo=JST))
    except ValueError as wrong:
        raise InvalidError("order.time_malformed", field="ordered_at") from wrong
    if not 1970 <= moment.year < 2200:
        raise InvalidError("order.time_malformed", field="ordered_at")
    return moment


def _yen(value: Any) -> int:
    """Return whole yen of a number, or of a text like `1980.00`. Raises InvalidError(`order.amount_malformed`)."""
    try:
        number = Decimal(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else None
        if number is not None and number.is_finite() and abs(number) <= _MOST_YEN and number == number.to_integral_value():
            return int(number)
    except DecimalException:
        pass
    raise InvalidError("order.amount_malformed", field="amount_yen")

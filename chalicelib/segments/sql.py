"""The condition tree as one question to DuckDB over the tables of lake.model.BASE; predicate.py says the same of one person.

Every leaf is a plain condition on the row of a customer, or "his number is among those of …": a table is then read once for a leaf,
whatever the number of people. A value that is missing makes a leaf NULL, and all and any keep NULL and false apart from true; only
a `not` would turn them differently, so that is the place where NULL becomes false.
"""

from __future__ import annotations

import datetime as dt
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import AccountKey
from chalicelib.kernel.windows import local_date
from chalicelib.segments.expression import (
    All,
    AnyOf,
    DateBetween,
    DaysAgo,
    Delivered,
    Expression,
    FieldBetween,
    FieldIs,
    HasActed,
    HasHappened,
    HasOrdered,
    HasReacted,
    HasReceived,
    HasResponded,
    HasTag,
    InDays,
    InScenario,
    InSegment,
    Not,
    Span,
    asks,
)
from chalicelib.segments.predicate import STATUS
from chalicelib.segments.rfm import DEFAULT
from chalicelib.segments.scope import EVERYBODY, Scope

_FAR = 2**62  # beyond every count and every sum, and still a BIGINT
_ATTRIBUTE = "attribute."
_COUNTED = {"purchase.count": 'coalesce("c"."count", 0)', "purchase.total_yen": 'coalesce("c"."total_yen", 0)'}
_TEXTS = {"profile.gender": '"c"."gender"', "profile.prefecture": '"c"."prefecture"', "profile.city": '"c"."city"'}
_IDENTITY = {"profile.member_no": '"member_no"', "profile.name": '"name"', "profile.postal_code": '"postal_code"'}
_FLAGS = {
    "customer.known": '"c"."known"',
    "line.linked": '"c"."linked"',
    "line.reachable": '"c"."line_reachable"',
    "email.reachable": '"c"."email_reachable"',
    "sms.reachable": '"c"."sms_reachable"',
    "postal.reachable": '"c"."postal_reachable"',
}
_DAYS = {
    "purchase.first": '"c"."first_day"',
    "purchase.last": '"c"."last_day"',
    "friend.since": '"c"."friend_day"',
    "profile.birthday": '"c"."birthday"',
    "activity.last": '"c"."activity_day"',
}
# With an account its friendship is joined to the customer, once for all leaves. greatest() passes over NULL.
_FLAGS_OF_ACCOUNT = _FLAGS | {"line.reachable": '"f"."reachable"'}
_DAYS_OF_ACCOUNT = _DAYS | {
    "friend.since": '"f"."day"',
    "activity.last": 'greatest("c"."acted_day", "c"."last_day", "f"."day")',
}
_COMPARED = re.compile(r'("\w+") = \?\Z')
_OF_ACCOUNT = frozenset({"field:line.reachable", "date:friend.since", "date:activity.last"})
_FRIEND = ' LEFT JOIN "friend" AS "f" ON "f"."account" = ? AND "f"."cid" = "c"."cid"'


@dataclass(frozen=True, slots=True)
class Query:
    """SQL, and what its question marks stand for, in their order."""

    text: str
    parameters: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rows(Query):
    """The condition that some row of his in a table fits."""

    table: str = ""
    fits: Query = Query("TRUE")


NOBODY, ANYBODY = Query("FALSE"), Query("TRUE")


def compile_sql(expression: Expression, now: dt.datetime, account: AccountKey | None = None, scope: Scope = EVERYBODY) -> Query:
    """Return the query for the numbers (`cid`, each once, in no order) of all in the scope who fulfil the expression at `now`.

    account: the LINE account whose friendship counts; None is any. Raises InvalidError(`condition.of_a_run`) where the
    expression asks about a run, ValueError when a saved segment in it has not been looked up.
    """
    where = _all([*_scope(scope, account), _Compiler(local_date(now), account).condition(expression)])
    joins = account is not None and (scope.channel == DeliveryChannel.LINE or not _OF_ACCOUNT.isdisjoint(asks(expression)))
    source = Query(_FRIEND, (account,)) if joins else Query("")
    text = f'SELECT "c"."cid" FROM "customer" AS "c"{source.text} WHERE {where.text}'
    return Query(text, tuple(_speakable(value) for value in source.parameters + where.parameters))


def _speakable(value: Any) -> Any:
    """Return a parameter; NULL, which equals nothing, for a text with half a letter in it (JSON can write one), as nobody has."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return None
    return value


def _scope(scope: Scope, account: AccountKey | None) -> list[Query]:
    parts = []
    if scope.accounts is not None:
        parts.append(_among("friend", [_one_of('"account"', sorted(scope.accounts))]))
    if scope.shops is not None:
        parts.append(_among("purchase", [_one_of('"shop"', sorted(scope.shops))]))
    if scope.channel is not None:
        parts.append(Query((_FLAGS_OF_ACCOUNT if account is not None else _FLAGS)[f"{scope.channel}.reachable"]))
    return parts


@dataclass(frozen=True, slots=True)
class _Compiler:
    """Turns expressions into conditions on "c", the customer, and "f", his friendship with `account`."""

    today: dt.date
    account: AccountKey | None

    def condition(self, expression: Expression) -> Query:
        match expression:
            case All(parts):
                # "None of these" is one question where each of them would be a question by itself.
                nots = [self.condition(part.part) for part in parts if isinstance(part, Not)]
                others = [self.condition(part) for part in parts if not isinstance(part, Not)]
                return _all([*others, _not(_any(nots))] if nots else others)
            case AnyOf(parts):
                return _any([self.condition(part) for part in parts])
            case Not(part):
                return _not(self.condition(part))
            case InSegment(segment_id, condition):
                if condition is None:
                    raise ValueError(f"the saved segment {segment_id} has not been looked up")
                return self.condition(condition)
            case HasTag(tag_id):
                return _among("tag", [_is("tag", tag_id)])
            case FieldIs(field, values):
                return self._field_is(field, values)
            case FieldBetween(field, low, high):
                return self._field_between(field, Span(low, high))
            case DaysAgo(name, least, most):
                return self._date(name, lambda day: _days_ago(day, Span(least, most), self.today, future=most is None))
            case InDays(name, days, yearly):
                return self._date(name, lambda day: _in_days(day, self.today, self.today + dt.timedelta(days=days), yearly))
            case DateBetween(name, first, last):
                return self._date(name, lambda day: _between(day, first, last))
            case HasOrdered():
                return _has_ordered(expression, self.today)
            case HasActed():
                return _has_acted(expression, self.today)
            case HasReceived(what):
                return _among("received", _meant(what))
            case HasReacted(what, link, evidence):
                return _among("reaction", [*_meant(what), *_given(link=link), Query('"evidence" <= ?', (str(evidence),))])
            case InScenario(scenario_id, state, outcome):
                status = STATUS[state]
                return _among("enrollment", [_is("scenario", scenario_id), *_given(status=status, reason=outcome)])
            case HasResponded():
                raise InvalidError("condition.of_a_run", path="responded")
            case HasHappened():
                raise InvalidError("condition.of_a_run", path="happened")
            case _:
                assert_never(expression)

    def _field_is(self, field: str, values: Sequence[Any]) -> Query:
        # True is not 1 and "1" is not 1, but 1 is 1.0, as in Python.
        flags = [value for value in values if isinstance(value, bool)]
        texts = [value for value in values if isinstance(value, str)]
        numbers = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
        flag_of = _FLAGS if self.account is None else _FLAGS_OF_ACCOUNT
        if field in flag_of:
            return _one_of(f"coalesce({flag_of[field]}, FALSE)", flags)
        if field in _TEXTS:
            return _one_of(_TEXTS[field], texts)
        if field in _IDENTITY:
            return _among("identity", [_one_of(_IDENTITY[field], texts)])
        if field == "profile.birthday":
            return _one_of('"c"."birthday"', [day for day in map(_iso_day, texts) if day])
        if field.startswith(_ATTRIBUTE):
            typed = [_one_of('"text"', texts), _one_of('"flag"', flags), _one_of('"number"', _doubles(numbers))]
            return _among("attribute", [_is("name", field.removeprefix(_ATTRIBUTE)), _any(typed)])
        return _any([self._number(field, Span(number, number)) for number in numbers])

    def _field_between(self, field: str, span: Span) -> Query:
        if field.startswith(_ATTRIBUTE):
            low, high = _double(span.low), _double(span.high)
            number = NOBODY if _is_no_number(span) else _between('"number"', low, high)
            return _among("attribute", [_is("name", field.removeprefix(_ATTRIBUTE)), number])
        return self._number(field, span)

    def _number(self, field: str, span: Span) -> Query:
        """Return the condition that a field is a number in the span; other fields never are."""
        if field in _COUNTED:
            return _spans(_COUNTED[field], span)
        if field == "profile.age":
            return _age(self.today, span)
        score = _score(field, self.today)
        if score is None:
            return NOBODY
        wanted = _one_of(score.text, [number for number in range(1, 6) if span.holds(number)])
        return Query(wanted.text, score.parameters + wanted.parameters) if wanted.parameters else NOBODY

    def _date(self, name: str, falls: Callable[[str], Query]) -> Query:
        if name.startswith(_ATTRIBUTE):
            return _among("attribute", [_is("name", name.removeprefix(_ATTRIBUTE)), falls('"day"')])
        return falls((_DAYS if self.account is None else _DAYS_OF_ACCOUNT)[name])


# Orders, acts and what was sent ---------------------------------------------------------------------------------------------


def _has_ordered(asked: HasOrdered, today: dt.date) -> Query:
    fits = [*_given(product=asked.product, category=asked.category, shop=asked.shop), *_spanned('"amount_yen"', asked.amount)]
    if asked.days != Span():
        fits.append(_days_ago('"day"', asked.days, today, future=asked.days.low is None))
    if asked.which:
        fits.append(Query('"is_first"' if asked.which == "first" else '"is_last"'))
    if asked.product or asked.category:  # of one order several lines may fit
        return _so_often("purchase", fits, asked.count, asked.total, each='"cid", "order_no", "amount_yen"')
    return _so_often("purchase", [*fits, Query('"line" = 0')], asked.count, asked.total)


def _has_acted(asked: HasActed, today: dt.date) -> Query:
    fits = [_is("kind", asked.kind), *_given(name=asked.name, link=asked.link)]
    fits.append(Query("coalesce(\"evidence\", '') <= ?", (str(asked.least),)))
    fits += [Query('map_extract_value("data", ?) = ?', pair) for pair in asked.data]
    if asked.days != Span():
        fits.append(_days_ago('"day"', asked.days, today, future=asked.days.low is None))
    return _so_often("event", fits, asked.count, Span())


def _so_often(table: str, fits: Sequence[Query], count: Span, total: Span, *, each: str = "") -> Query:
    """Return the condition that his rows that fit are so many and add up to so much.

    each: the columns that tell what is counted, where several rows may be of one; a row by itself otherwise.
    """
    none_too = count.holds(0) and total.holds(0)  # whoever has no such row belongs here too: ask who does not
    if none_too and count.high is not None and count.high < 1:
        return _not(_among(table, fits))
    if not none_too and total == Span() and count.high is None and (count.low or 0) <= 1:
        return _among(table, fits)
    sums = _all([*_spanned("count(*)", count), *_spanned('sum("amount_yen")', total)])
    found = _all(fits)
    rows = f'"{table}" WHERE {found.text}'
    source = f"(SELECT DISTINCT {each} FROM {rows})" if each else rows
    word, having = ("NOT IN", f"NOT ({sums.text})") if none_too else ("IN", sums.text)
    text = f'("c"."cid" {word} (SELECT "cid" FROM {source} GROUP BY "cid" HAVING {having}))'
    return Query(text, found.parameters + sums.parameters)


def _meant(what: Delivered) -> list[Query]:
    return [_is("kind", what.kind), _is("id", what.id), *_given(node=what.node)]


# Days and numbers -----------------------------------------------------------------------------------------------------------


def _days_ago(day: str, ago: Span, today: dt.date, *, future: bool) -> Query:
    """Return the condition that a day lies so many days before today. future: days to come are not left out."""
    last = None if ago.low is None else today - dt.timedelta(days=math.ceil(ago.low))
    first = None if ago.high is None else today - dt.timedelta(days=math.floor(ago.high))
    if last is None and not future:
        last = today
    return _between(day, first, last)


def _in_days(day: str, today: dt.date, wanted: dt.date, yearly: bool) -> Query:
    that_day = Query(f"{day} = ?", (wanted,))
    if not yearly:
        return that_day
    # Who was born on 29 February has the 28th in other years (segments.model.falls_on).
    days = [28, 29] if (wanted.month, wanted.day) == (2, 28) and (wanted + dt.timedelta(days=1)).month == 3 else [wanted.day]
    before = min(today, wanted - dt.timedelta(days=1))
    parts = [Query(f"{day} <= ?", (before,)), Query(f"month({day}) = ?", (wanted.month,)), _one_of(f"day({day})", days)]
    return _any([that_day, _all(parts)])


def _age(today: dt.date, span: Span) -> Query:
    """Return the condition that his full years lie in the span, as a span of birthdays."""
    if _is_no_number(span):
        return NOBODY
    youngest = _born(today, max(0, _ceil(span.low) or 0))
    oldest = None if span.high is None else _born(today, max(0, (_floor(span.high) or 0) + 1))
    if youngest is None or (span.high is not None and span.high < 0):
        return NOBODY
    parts = [Query('"c"."birthday" <= ?', (youngest,))]
    return _all([*parts, Query('"c"."birthday" > ?', (oldest,))] if oldest else parts)


def _born(today: dt.date, years: int) -> dt.date | None:
    """Return the latest birthday of those who have lived so many full years, None when that is before the calendar."""
    year = today.year - years
    if year < 1:
        return None
    if today + dt.timedelta(days=1) == dt.date(today.year, 3, 1):  # the end of February, be it the 28th or the 29th
        return dt.date(year, 3, 1) - dt.timedelta(days=1)
    return today.replace(year=year)


def _score(field: str, today: dt.date) -> Query | None:
    """Return the value of a field of segments.rfm, NULL for who never ordered; None for other fields."""
    if field == "rfm.recency":
        since = [today - dt.timedelta(days=most) for most in DEFAULT.recency]
        return _five('"c"."last_day"', '"c"."last_day" IS NOT NULL', since)
    if field == "rfm.frequency":
        return _five('"c"."count"', 'coalesce("c"."count", 0) <> 0', DEFAULT.frequency)
    if field == "rfm.monetary":
        return _five('"c"."total_yen"', 'coalesce("c"."count", 0) <> 0', DEFAULT.monetary)
    return None


def _five(column: str, known: str, bounds: Sequence[Any]) -> Query:
    cases = " ".join(f"WHEN {column} >= ? THEN {5 - place}" for place in range(len(bounds)))
    return Query(f"CASE WHEN {known} THEN CASE {cases} ELSE 1 END END", tuple(bounds))


def _spanned(number: str, span: Span) -> list[Query]:
    return [] if span == Span() else [_spans(number, span)]


def _spans(number: str, span: Span) -> Query:
    """Return the condition that a whole number lies in the span."""
    return NOBODY if _is_no_number(span) else _between(number, _ceil(span.low), _floor(span.high))


def _is_no_number(span: Span) -> bool:
    return _is_nan(span.low) or _is_nan(span.high)


def _is_nan(bound: float | None) -> bool:
    return isinstance(bound, float) and math.isnan(bound)  # isnan refuses whole numbers of more than three hundred digits


def _ceil(bound: float | None) -> int | None:
    return None if bound is None else math.ceil(max(-_FAR, min(_FAR, bound)))


def _floor(bound: float | None) -> int | None:
    return None if bound is None else math.floor(max(-_FAR, min(_FAR, bound)))


def _doubles(numbers: Iterable[float]) -> list[float | None]:
    return [_double(number) for number in numbers if not _is_nan(number)]  # DuckDB's NaN equals itself


def _double(number: float | None) -> float | None:
    """Return a number that DuckDB and JSON can hold; nobody has one that lies beyond."""
    return None if number is None else float(max(-sys.float_info.max, min(sys.float_info.max, number)))


def _iso_day(text: str) -> dt.date | None:
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text else None


# Text -----------------------------------------------------------------------------------------------------------------------


def _all(parts: Sequence[Query]) -> Query:
    return _joined(" AND ", parts) if parts else ANYBODY


def _any(parts: Sequence[Query]) -> Query:
    """Return the condition that one of the parts holds; what is asked of one table is asked of it once.

    Each question of its own would cost some ten milliseconds at a million people, and a segment may name a hundred tags.
    """
    rows: dict[str, list[Query]] = {}
    for part in parts:
        if isinstance(part, _Rows):
            rows.setdefault(part.table, []).append(part.fits)
    merged: list[Query] = [_among(table, [_any(fits)]) for table, fits in rows.items()]
    found = merged + [part for part in parts if not isinstance(part, _Rows)]
    if len(found) > 1 and len({part.text for part in found}) == 1 and (column := _COMPARED.match(found[0].text)):
        return _one_of(column[1], list(dict.fromkeys(value for part in found for value in part.parameters)))
    return _joined(" OR ", found) if found else NOBODY


def _not(part: Query) -> Query:
    return Query(f"(NOT coalesce({part.text}, FALSE))", part.parameters)


def _joined(word: str, parts: Sequence[Query]) -> Query:
    if len(parts) == 1:
        return parts[0]
    return Query(f"({word.join(part.text for part in parts)})", tuple(value for part in parts for value in part.parameters))


def _among(table: str, fits: Sequence[Query]) -> Query:
    """Return the condition that a row of his in a table fits."""
    found = _all(fits)
    text = f'("c"."cid" IN (SELECT "cid" FROM "{table}" WHERE {found.text}))'
    return _Rows(text, found.parameters, table, found)


def _is(column: str, value: Any) -> Query:
    return Query(f'"{column}" = ?', (value,))


def _given(**texts: str) -> list[Query]:
    """Return a condition for every column of which something is asked; "" asks nothing."""
    return [_is(column, text) for column, text in texts.items() if text]


def _one_of(column: str, values: Sequence[Any]) -> Query:
    return Query(f"({column} IN ({_marks(values)}))", tuple(values)) if values else NOBODY


def _marks(values: Sequence[Any]) -> str:
    return ", ".join("?" * len(values))


def _between(column: str, low: Any, high: Any) -> Query:
    parts = []
    if low is not None:
        parts.append(Query(f"{column} >= ?", (low,)))
    if high is not None:
        parts.append(Query(f"{column} <= ?", (high,)))
    return _all(parts) if parts else Query(f"({column} IS NOT NULL)")

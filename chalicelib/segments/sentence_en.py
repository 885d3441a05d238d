"""Conditions in English; see sentence.py."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from typing import Any, assert_never

from chalicelib.segments.expression import (
    ENTRY,
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
)
from chalicelib.segments.sentence_words import ACTS, DATES, DONE, EVIDENCE, FIELDS, FLAGS, GENDERS, STATES, UNITS, number, quoted

Name = Callable[[str, str], str]
Clause = tuple[str, str]  # what is true of people, and its opposite: "who …" or "whose …"
_NEVER = Span(None, 0)


def english(expression: Expression, name: Name) -> str:
    """Return whom a condition (sentence.simplified) means, as a noun."""
    match expression:
        case All(()):
            return "everybody"
        case AnyOf(()):
            return "nobody"
        case AnyOf(parts):
            return ", or ".join(english(part, name) for part in parts)
        case All(parts):
            return _together(parts, name)
        case _:
            return _together((expression,), name)


def _together(parts: Sequence[Expression], name: Name) -> str:
    """Return who fulfils every part: "women who have bought within 90 days and who …"."""
    who, rest = "people", list(parts)
    for part in parts:
        match part:
            case FieldIs("profile.gender", (str(word),)) if word in GENDERS:
                who = GENDERS[word][1]
                rest.remove(part)
                break
    clauses = [_clause(part, name)[0] for part in rest]
    return " ".join([who, *([" and ".join(clauses)] if clauses else [])])


def _clause(part: Expression, name: Name) -> Clause:
    match part:
        case Not(inner):
            yes, no = _clause(inner, name)
            return no, yes
        case All(()):
            return _are("anybody")
        case AnyOf(()):
            return _clause(Not(All(())), name)
        case All() | AnyOf():
            return _are(f"among ({english(part, name)})")
        case InSegment(segment_id):
            return _are(f"in the segment {_q(name('segment', segment_id))}")
        case HasTag(tag_id):
            return _who(*(f"{verb} the tag {_q(name('tag', tag_id))}" for verb in ("carry", "do not carry")))
        case FieldIs(field, values):
            return _field_is(field, values)
        case FieldBetween(field, low, high):
            return _whose(_field(field), _range(low, high, UNITS.get(field, ("", ""))[1]))
        case DaysAgo(date, least, most):
            return _days_ago(date, least, most)
        case InDays(date, days, yearly):
            return _whose(f"{_date(date)}{' as an anniversary' if yearly else ''}", _ahead(days))
        case DateBetween(date, first, last):
            return _whose(_date(date), _between(first, last))
        case HasOrdered():
            return _ordered(part)
        case HasActed():
            return _acted(part, name)
        case HasReceived(what):
            return _have(f"received {_delivered(what, name)}")
        case HasReacted(what, link, least):
            return _have(f"reacted to {_delivered(what, name)}{_by(link, name)}{_proof(least)}")
        case InScenario(scenario_id, state, outcome):
            with_outcome = f" with the outcome {_q(outcome)}" if outcome else ""
            yes, no = STATES[state][1]
            scenario = f"the scenario {_q(name('scenario', scenario_id))}{with_outcome}"
            return _who(f"{yes} {scenario}", f"{no} {scenario}")
        case HasResponded(of, link, least):
            send = f"the send {_q(of)}" if of else "a send"
            return _have(f"reacted to {send} of this scenario{_by(link, name)}{_proof(least)}")
        case HasHappened(key, since):
            return _happened(key, since)
        case _:
            assert_never(part)


def _field_is(field: str, values: tuple[Any, ...]) -> Clause:
    match values:
        case (bool(value),) if field in FLAGS:
            yes, no = _who(*FLAGS[field][1])
            return (yes, no) if value else (no, yes)
        case (str(value),) if field == "profile.gender" and value in GENDERS:
            return _are(GENDERS[value][1])
        case ():
            return _whose(_field(field), "one of no values")
        case (value,):
            return _whose(_field(field), _value(value))
        case _:
            return _whose(_field(field), f"one of {', '.join(map(_value, values))}")


def _days_ago(date: str, least: int | None, most: int | None) -> Clause:
    if least is None and date in DONE:
        return _have(f"{DONE[date][1]} within {most} days")
    if least is None:
        return _whose(_date(date), f"within {most} days")
    return _whose(_date(date), f"at least {least} days ago" if most is None else f"between {least} and {most} days ago")


def _ordered(asked: HasOrdered) -> Clause:
    is_narrow = bool(asked.product or asked.category or asked.shop or asked.which) or asked.amount != Span()
    parts = [
        _q(asked.product) if asked.product else "",
        f"in the category {_q(asked.category)}" if asked.category else "",
        f"at {_q(asked.shop)}" if asked.shop else "",
        {"": "", "first": "with their first purchase", "last": "with their last purchase"}[asked.which],
        "" if asked.amount == Span() else f"for {_range(asked.amount.low, asked.amount.high, ' yen')} each time",
        _often(asked.count, goes_without_saying=asked.total == Span() and is_narrow),
        "" if asked.total == Span() else f"for {_range(asked.total.low, asked.total.high, ' yen')} in all",
        _when(asked.days),
    ]
    return _never_or(asked.count, " ".join(["bought", *filter(None, parts)]))


def _acted(asked: HasActed, name: Name) -> Clause:
    data = ", ".join(f"{_q(key)} = {_q(value)}" for key, value in asked.data)
    link = _q(name("link", asked.link)) if asked.link else ""
    taps = asked.kind == "clicked" and link
    parts = [
        f"tapped the link {link}" if taps else ACTS[asked.kind][2],
        f"named {_q(asked.name)}" if asked.name else "",
        f"by the link {link}" if link and not taps else "",
        f"with {data}" if data else "",
        _often(asked.count),
        _when(asked.days),
        EVIDENCE[asked.least][1],
    ]
    return _never_or(asked.count, " ".join(filter(None, parts)))


def _happened(key: str, since: str) -> Clause:
    event, _, detail = (key, "", "") if key in ACTS else key.rpartition("_")
    which = f" (as in {detail})" if detail else ""
    after = "since they entered this scenario" if since == ENTRY else f"since the send {_q(since)} of this scenario"
    return _have(f"{ACTS[event][2]}{which} {after}")


def _delivered(what: Delivered, name: Name) -> str:
    if what.kind == "cmp":
        return f"the campaign {_q(name('campaign', what.id))}"
    scenario = f"the scenario {_q(name('scenario', what.id))}"
    return f"the step {_q(what.node)} of {scenario}" if what.node else f"a message of {scenario}"


def _by(link: str, name: Name) -> str:
    return f" by the link {_q(name('link', link))}" if link else ""


def _proof(least: str) -> str:
    word = EVIDENCE[least][1]
    return f" {word}" if word else ""


def _often(count: Span, *, goes_without_saying: bool = True) -> str:
    """Return how often, with "at least once" only where it does not go without saying."""
    if count == Span(1):
        return "" if goes_without_saying else "at least once"
    return "" if count in (Span(), _NEVER) else f"{_range(count.low, count.high, '')} times"


def _when(days: Span) -> str:
    match days:
        case Span(None, None):
            return ""
        case Span(0, most) if most is not None:
            return f"within {number(most)} days"
        case _:
            return f"{_range(days.low, days.high, ' days')} ago"


def _ahead(days: int) -> str:
    return "today" if days == 0 else f"in {days} days" if days > 0 else f"{-days} days ago"


def _between(first: dt.date | None, last: dt.date | None) -> str:
    return " and ".join(f"{word} {day.isoformat()}" for day, word in ((first, "not before"), (last, "not after")) if day)


def _range(low: float | None, high: float | None, unit: str) -> str:
    if low is None or high is None:
        return (
            f"at least {number(low)}{unit}" if low is not None else f"at most {number(high)}{unit}" if high is not None else "any"
        )
    return f"{number(low)} to {number(high)}{unit}"


def _field(field: str) -> str:
    return FIELDS[field][1] if field in FIELDS else f"attribute {_q(field.partition('.')[2])}"


def _date(date: str) -> str:
    return DATES[date][1] if date in DATES else f"date {_q(date.partition('.')[2])}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if isinstance(value, int | float) else _q(str(value))


def _q(text: str) -> str:
    return quoted(text, "“”") if text else "(blank)"


def _who(yes: str, no: str) -> Clause:
    return f"who {yes}", f"who {no}"


def _are(rest: str) -> Clause:
    return _who(f"are {rest}", f"are not {rest}")


def _have(rest: str) -> Clause:
    return _who(f"have {rest}", f"have not {rest}")


def _never_or(count: Span, rest: str) -> Clause:
    return _who(f"have never {rest}", f"have {rest} at least once") if count == _NEVER else _have(rest)


def _whose(subject: str, rest: str) -> Clause:
    return f"whose {subject} is {rest}", f"whose {subject} is not {rest}"

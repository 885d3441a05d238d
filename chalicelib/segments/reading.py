"""Read a condition's JSON: the tree of expression.py, or the path of the first mistake; pure."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any

from chalicelib.customers.model import Gender
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.facts import Evidence
from chalicelib.segments.expression import (
    ACTS,
    ATTRIBUTE,
    DATES,
    ENTRY,
    EVENTS,
    FIELDS,
    STATES,
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
    event_key,
    is_date,
)

_MOST_DEPTH = 20
_MOST_PARTS = 2_000  # saved segments may name each other, and twenty levels of them could stand for millions of leaves
MOST_DAYS = 36_500
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
# Returns the condition that is saved under an id, None when there is none.
Resolve = Callable[[str], object]


def parse(tree: object, resolve: Resolve | None = None, *, defines: str = "") -> Expression:
    """Return the expression of a JSON tree. Raises InvalidError(`condition.*`) that names the path of the first mistake.

    resolve: looks saved segments up; without it their names are kept unread, which is enough to check a draft.
    defines: the saved segment whose own condition this is; it may not lead back to itself.
    """
    return _Reader(resolve).read(tree, "$", 0, (defines,) if defines else ())


class _Reader:
    """Reads one tree with everything that it refers to."""

    def __init__(self, resolve: Resolve | None) -> None:
        self._resolve = resolve
        self._parts = 0

    def read(self, tree: object, path: str, depth: int, inside: tuple[str, ...]) -> Expression:
        """Return the expression of a part. inside: the saved segments that led here."""
        if depth > _MOST_DEPTH:
            raise InvalidError("condition.too_deep", path=path, most=_MOST_DEPTH)
        if not isinstance(tree, Mapping):
            raise InvalidError("condition.malformed", path=path)
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise InvalidError("condition.too_large", path=path, most=_MOST_PARTS)
        kinds = [kind for kind in KINDS if kind in tree]
        if len(kinds) != 1:
            raise InvalidError("condition.kind", path=path, known=list(KINDS))
        if inside and kinds[0] in OF_A_RUN:
            raise InvalidError("condition.of_a_run", path=f"{path}.{kinds[0]}")
        if kinds[0] in _LEAVES:
            return _LEAVES[kinds[0]](tree, path)
        _only(tree, path, kinds[0])
        below = f"{path}.{kinds[0]}"
        match kinds[0]:
            case "segment":
                return self._segment(tree["segment"], below, depth, inside)
            case "not":
                return Not(self.read(tree["not"], below, depth + 1, inside))
            case kind:
                if not isinstance(tree[kind], list):
                    raise InvalidError("condition.malformed", path=below)
                parts = tuple(self.read(part, f"{below}[{i}]", depth + 1, inside) for i, part in enumerate(tree[kind]))
                return All(parts) if kind == "all" else AnyOf(parts)

    def _segment(self, segment_id: object, path: str, depth: int, inside: tuple[str, ...]) -> Expression:
        if not isinstance(segment_id, str) or not segment_id:
            raise InvalidError("condition.value", path=path)
        if segment_id in inside:
            raise InvalidError("condition.cycle", path=path)
        if self._resolve is None:
            return InSegment(segment_id, None)
        saved = self._resolve(segment_id)
        if saved is None:
            raise InvalidError("condition.segment_unknown", path=path, segment_id=segment_id)
        return InSegment(segment_id, self.read(saved, f"{path}({segment_id})", depth + 1, (*inside, segment_id)))


def _only(tree: Mapping[str, Any], path: str, *allowed: str) -> None:
    extra = sorted(set(tree) - set(allowed))
    if extra:
        raise InvalidError("condition.unknown_key", path=f"{path}.{extra[0]}")


def _inside(tree: Mapping[str, Any], kind: str, path: str, *allowed: str) -> tuple[Mapping[str, Any], str]:
    """Return the object under a leaf's only key, and its path."""
    _only(tree, path, kind)
    inner, inside = tree[kind], f"{path}.{kind}"
    if not isinstance(inner, Mapping):
        raise InvalidError("condition.malformed", path=inside)
    _only(inner, inside, *allowed)
    return inner, inside


def _tag(tree: Mapping[str, Any], path: str) -> Expression:
    _only(tree, path, "tag")
    return HasTag(_text(tree, "tag", path))


def _text(tree: Mapping[str, Any], name: str, path: str, default: str | None = None) -> str:
    value = tree.get(name, default)
    if not isinstance(value, str) or (not value and default is None):
        raise InvalidError("condition.value", path=f"{path}.{name}")
    return value


def _field(tree: Mapping[str, Any], path: str) -> Expression:
    name = tree["field"]
    if name not in FIELDS and not (isinstance(name, str) and name.startswith(ATTRIBUTE) and name != ATTRIBUTE):
        raise InvalidError("condition.field_unknown", path=f"{path}.field", known=list(FIELDS))
    _only(tree, path, "field", "is", "in", "from", "to")
    if "is" in tree and len(tree) == 2:
        return FieldIs(name, (_value(name, tree["is"], f"{path}.is"),))
    if "in" in tree and len(tree) == 2 and isinstance(tree["in"], list):
        return FieldIs(name, tuple(_value(name, value, f"{path}.in[{i}]") for i, value in enumerate(tree["in"])))
    if "is" not in tree and "in" not in tree:
        low, high = _bound(tree, "from", path), _bound(tree, "to", path)
        if low is not None or high is not None:  # no bound at all would hold for everybody
            return FieldBetween(name, low, high)
    raise InvalidError("condition.value", path=path)


def _value(name: object, value: object, path: str) -> Any:
    """Return a value that a field may have: one that it never has would be a condition that nobody fulfils, silently."""
    if name == "profile.gender" and value not in GENDERS:
        raise InvalidError("condition.gender", path=path, given=str(value)[:40])
    if name == "profile.birthday":
        _date_of(value, path)
    return _scalar(value, path)


def _scalar(value: object, path: str) -> Any:
    if isinstance(value, str | int | float | bool):
        return value
    raise InvalidError("condition.value", path=path)


def _bound(tree: Mapping[str, Any], name: str, path: str) -> float | None:
    if name not in tree:
        return None
    value = tree[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidError("condition.value", path=f"{path}.{name}")
    return value


def _purchase(tree: Mapping[str, Any], path: str) -> Expression:
    narrow = ("product", "category", "shop", "amount_from", "amount_to", "within_days", "before_days", "which")
    inner, inside = _inside(tree, "purchase", path, "count_from", "count_to", "total_from", "total_to", *narrow)
    if not inner:
        raise InvalidError("condition.malformed", path=inside)
    count, total = _span(inner, "count", inside), _span(inner, "total", inside)
    if not set(inner) & set(narrow):
        sums = [("purchase.count", count), ("purchase.total_yen", total)]
        return All(tuple(FieldBetween(name, span.low, span.high) for name, span in sums if span != _ANY))
    which = _text(inner, "which", inside, "")
    if which not in ("", "first", "last"):
        raise InvalidError("condition.value", path=f"{inside}.which")
    return HasOrdered(
        product=_text(inner, "product", inside, ""),
        category=_text(inner, "category", inside, ""),
        shop=_text(inner, "shop", inside, ""),
        amount=_span(inner, "amount", inside),
        days=_ago(inner, inside),
        which=which,
        count=_at_least_once(count, total),
        total=total,
    )


def _span(tree: Mapping[str, Any], word: str, path: str) -> Span:
    return Span(_bound(tree, f"{word}_from", path), _bound(tree, f"{word}_to", path))


def _ago(tree: Mapping[str, Any], path: str) -> Span:
    """Return how many days ago something was: with `within_days` neither longer ago nor in days to come."""
    least, most = _days(tree, "before_days", path, 0), _days(tree, "within_days", path, 0)
    return Span(0 if least is None and most is not None else least, most)


def _at_least_once(count: Span, total: Span) -> Span:
    return Span(1) if count == _ANY and total == _ANY else count


def _event(tree: Mapping[str, Any], path: str) -> Expression:
    known = ("kind", "name", "link", "evidence", "data", "within_days", "before_days", "count_from", "count_to")
    inner, inside = _inside(tree, "event", path, *known)
    kind = inner.get("kind")
    if kind not in ACTS:
        raise InvalidError("condition.field_unknown", path=f"{inside}.kind", known=list(ACTS))
    data = inner.get("data", {})
    if not isinstance(data, Mapping) or not all(isinstance(part, str) for pair in data.items() for part in pair):
        raise InvalidError("condition.value", path=f"{inside}.data")
    return HasActed(
        kind=str(kind),
        name=_text(inner, "name", inside, ""),
        link=_text(inner, "link", inside, ""),
        least=_evidence(inner, inside),
        data=tuple(sorted(data.items())),
        days=_ago(inner, inside),
        count=_at_least_once(_span(inner, "count", inside), _ANY),
    )


def _delivered(tree: Mapping[str, Any], path: str) -> Delivered:
    if ("campaign" in tree) == ("scenario" in tree):
        raise InvalidError("condition.value", path=path)
    if "campaign" in tree:
        if "node" in tree:
            raise InvalidError("condition.unknown_key", path=f"{path}.node")
        return Delivered("cmp", _text(tree, "campaign", path), "")
    return Delivered("scn", _text(tree, "scenario", path), _text(tree, "node", path, ""))


def _received(tree: Mapping[str, Any], path: str) -> Expression:
    inner, inside = _inside(tree, "received", path, "campaign", "scenario", "node")
    return HasReceived(_delivered(inner, inside))


def _reacted(tree: Mapping[str, Any], path: str) -> Expression:
    inner, inside = _inside(tree, "reacted", path, "campaign", "scenario", "node", "link", "evidence")
    return HasReacted(_delivered(inner, inside), _text(inner, "link", inside, ""), _evidence(inner, inside))


def _scenario(tree: Mapping[str, Any], path: str) -> Expression:
    inner, inside = _inside(tree, "scenario", path, "id", "state", "outcome")
    state = _text(inner, "state", inside, "in")
    if state not in STATES:
        raise InvalidError("condition.field_unknown", path=f"{inside}.state", known=list(STATES))
    return InScenario(_text(inner, "id", inside), state, _text(inner, "outcome", inside, ""))


def _evidence(tree: Mapping[str, Any], path: str) -> Evidence:
    word = _text(tree, "evidence", path, Evidence.PROBABLE)
    if word not in tuple(Evidence):
        raise InvalidError("condition.value", path=f"{path}.evidence")
    return Evidence(word)


def _date(tree: Mapping[str, Any], path: str) -> Expression:
    name = tree["date"]
    if not is_date(name):
        raise InvalidError("condition.field_unknown", path=f"{path}.date", known=list(DATES))
    _only(tree, path, "date", "before_days", "within_days", "in_days", "anniversary_in_days", "from", "to")
    least, most = _days(tree, "before_days", path, 0), _days(tree, "within_days", path, 0)
    day, anniversary = _days(tree, "in_days", path, -MOST_DAYS), _days(tree, "anniversary_in_days", path, -MOST_DAYS)
    forms: list[Expression] = []
    if least is not None or most is not None:
        forms.append(DaysAgo(name, least, most))
    if day is not None:
        forms.append(InDays(name, day, yearly=False))
    if anniversary is not None:
        forms.append(InDays(name, anniversary, yearly=True))
    first, last = _day(tree, "from", path), _day(tree, "to", path)
    if first is not None or last is not None:
        forms.append(DateBetween(name, first, last))
    if len(forms) != 1:
        raise InvalidError("condition.value", path=path)
    return forms[0]


def _day(tree: Mapping[str, Any], name: str, path: str) -> dt.date | None:
    if name not in tree:
        return None
    return _date_of(tree[name], f"{path}.{name}")


def _date_of(value: object, path: str) -> dt.date:
    try:
        return dt.date.fromisoformat(value if isinstance(value, str) and _DAY.match(value) else "")
    except ValueError as error:
        raise InvalidError("condition.no_such_day", path=path, given=str(value)[:40]) from error


def _days(tree: Mapping[str, Any], name: str, path: str, low: int) -> int | None:
    if name not in tree:
        return None
    value = _bound(tree, name, path)
    if value is None or not low <= value <= MOST_DAYS or value != int(value):
        raise InvalidError("condition.value", path=f"{path}.{name}")
    return int(value)


def _responded(tree: Mapping[str, Any], path: str) -> Expression:
    inner, inside = _inside(tree, "responded", path, "of", "evidence", "link")
    return HasResponded(_text(inner, "of", inside, ""), _text(inner, "link", inside, ""), _evidence(inner, inside))


def _happened(tree: Mapping[str, Any], path: str) -> Expression:
    inner, inside = _inside(tree, "happened", path, "event", "product", "name", "since")
    event = inner.get("event")
    if event not in EVENTS:
        raise InvalidError("condition.field_unknown", path=f"{inside}.event", known=list(EVENTS))
    word, other = ("product", "name") if event == "purchase" else ("name", "product")
    if other in inner:
        raise InvalidError("condition.unknown_key", path=f"{inside}.{other}")
    detail = _text(inner, word, inside, None if event == "custom" else "")
    return HasHappened(event_key(event, detail), _text(inner, "since", inside, ENTRY) or ENTRY)


GENDERS = tuple(str(gender) for gender in Gender)
_ANY = Span()
_LEAVES: dict[str, Callable[[Mapping[str, Any], str], Expression]] = {
    "tag": _tag,
    "field": _field,
    "purchase": _purchase,
    "date": _date,
    "event": _event,
    "received": _received,
    "reacted": _reacted,
    "scenario": _scenario,
    "responded": _responded,
    "happened": _happened,
}
KINDS = ("all", "any", "not", *_LEAVES, "segment")
# Saved segments speak of people. Elsewhere than in a scenario these would be silently false, and a scenario notes for its
# branches only the events that stand in them.
OF_A_RUN = ("responded", "happened")

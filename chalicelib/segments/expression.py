"""The condition tree: all, any, not over leaves; parsed and checked once, pure. docs/segments.md says the same to a marketer.

Written as JSON: {"all": […]}, {"any": […]}, {"not": {…}}, or a leaf with exactly one of these keys:
  {"tag": "tag_…"}                                         carries the tag
  {"field": "profile.gender", "is": "female"}              also in: […], from/to for numbers; see FIELDS
  {"purchase": {"count_from": 2, "total_from": 15000}}     sums over all purchases; count_to, total_to
  {"date": "purchase.last", "before_days": 90}             at least that many JST days ago; within_days: at most
  {"date": "profile.birthday", "anniversary_in_days": 7}   in_days: that very day; negative: ago; see DATES, and attribute.<name>
  {"responded": {"of": "send_a", "evidence": "B"}}         in this run of a scenario; link: by that link; without `of`: to any send
  {"happened": {"event": "purchase", "since": "entry"}}    in this run; product or name; since: also a node that sent; see EVENTS
  {"segment": "seg_…"}                                     fulfils the condition that is saved under this id
A leaf about a value that a person does not have is false, and so is its opposite bound: only `not` turns it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.facts import Evidence

FIELDS = (
    "profile.member_no", "profile.name", "profile.gender", "profile.birthday", "profile.prefecture", "profile.city",
    "profile.postal_code", "line.reachable", "email.reachable", "sms.reachable", "postal.reachable", "line.linked",
    "customer.known", "purchase.count", "purchase.total_yen",
)  # fmt: skip
DATES = ("purchase.first", "purchase.last", "friend.since", "profile.birthday", "activity.last")
EVENTS = (
    "purchase", "custom", "survey_answered", "form_submitted", "reservation_made", "reservation_visited", "reservation_cancelled",
)  # fmt: skip
ENTRY = "entry"
_MOST_DEPTH = 20
_MOST_PARTS = 2_000  # saved segments may name each other, and twenty levels of them could stand for millions of leaves
_MOST_DAYS = 36_500
_ATTRIBUTE = "attribute."
# Returns the condition that is saved under an id, None when there is none.
Resolve = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; an empty one holds for everybody."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Some part holds; an empty one holds for nobody."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Expression


@dataclass(frozen=True, slots=True)
class InSegment:
    """The saved segment's condition holds; None while nobody has looked it up."""

    segment_id: str
    condition: Expression | None


@dataclass(frozen=True, slots=True)
class HasTag:
    """The person carries the tag."""

    tag_id: str


@dataclass(frozen=True, slots=True)
class FieldIs:
    """The field has one of these values."""

    field: str
    values: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class FieldBetween:
    """The field lies in [low, high]; None is open."""

    field: str
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class DaysAgo:
    """The JST day of the date lies between `most` and `least` days before today; None is open. 0 is today."""

    date: str
    least: int | None
    most: int | None


@dataclass(frozen=True, slots=True)
class InDays:
    """The JST day of the date, or one of its anniversaries, is exactly `days` after today; negative: before."""

    date: str
    days: int
    yearly: bool


@dataclass(frozen=True, slots=True)
class HasResponded:
    """In this run he reacted to the send `of` (empty: to any), by `link` (empty: in any way), at least as surely as `least`."""

    of: str
    link: str
    least: Evidence


@dataclass(frozen=True, slots=True)
class HasHappened:
    """In this run the event of this key happened: after he entered (`since` is ENTRY), or since the last send of a node."""

    key: str
    since: str


Expression = (
    All | AnyOf | Not | InSegment | HasTag | FieldIs | FieldBetween | DaysAgo | InDays | HasResponded | HasHappened
)  # fmt: skip


def event_key(event: str, detail: str = "") -> str:
    """Return the name under which a run keeps the latest instant of an event; detail: a product, or a name.

    It becomes part of a path in DynamoDB and so has no letters but [a-z0-9_].
    """
    return f"{event}_{hashlib.sha256(detail.encode()).hexdigest()[:12]}" if detail else event


def is_date(name: object) -> bool:
    """Say whether conditions and waits can ask for a date of this name."""
    return isinstance(name, str) and (name in DATES or (name.startswith(_ATTRIBUTE) and name != _ATTRIBUTE))


def parse(tree: object, resolve: Resolve | None = None, *, defines: str = "") -> Expression:
    """Return the expression of a JSON tree. Raises InvalidError(`condition.*`) that names the path of the first mistake.

    resolve: looks saved segments up; without it their names are kept unread, which is enough to check a draft.
    defines: the saved segment whose own condition this is; it may not lead back to itself.
    """
    return _Reader(resolve).read(tree, "$", 0, (defines,) if defines else ())


def asks(expression: Expression) -> frozenset[str]:
    """Return what an expression depends on, as `kind:name`.

    tag:<id>, field:<name>, date:<name>, responded, happened:<event key>, segment:<id>; what a segment asks that was
    looked up is among them.
    """
    match expression:
        case All(parts) | AnyOf(parts):
            return frozenset().union(*(asks(part) for part in parts))
        case Not(part):
            return asks(part)
        case InSegment(segment_id, condition):
            return frozenset({f"segment:{segment_id}"}) | (asks(condition) if condition else frozenset())
        case HasTag(tag_id):
            return frozenset({f"tag:{tag_id}"})
        case FieldIs(field) | FieldBetween(field):
            return frozenset({f"field:{field}"})
        case DaysAgo(date) | InDays(date):
            return frozenset({f"date:{date}"})
        case HasResponded():
            return frozenset({"responded"})
        case HasHappened(key):
            return frozenset({f"happened:{key}"})
        case _:
            assert_never(expression)


class _Reader:
    """Reads one tree with everything that it refers to."""

    def __init__(self, resolve: Resolve | None) -> None:
        self._resolve = resolve
        self._parts = 0

    def read(self, tree: object, path: str, depth: int, inside: tuple[str, ...]) -> Expression:
        """Return the expression of a part. inside: the saved segments that led here."""
        if not isinstance(tree, Mapping) or depth > _MOST_DEPTH:
            raise InvalidError("condition.malformed", path=path)
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise InvalidError("condition.too_large", path=path, most=_MOST_PARTS)
        kinds = [kind for kind in KINDS if kind in tree]
        if len(kinds) != 1:
            raise InvalidError("condition.kind", path=path, known=list(KINDS))
        if inside and kinds[0] in _OF_A_RUN:
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
    if name not in FIELDS and not (isinstance(name, str) and name.startswith(_ATTRIBUTE)):
        raise InvalidError("condition.field_unknown", path=f"{path}.field", known=list(FIELDS))
    _only(tree, path, "field", "is", "in", "from", "to")
    if "is" in tree and len(tree) == 2:
        return FieldIs(name, (_scalar(tree["is"], f"{path}.is"),))
    if "in" in tree and len(tree) == 2 and isinstance(tree["in"], list):
        return FieldIs(name, tuple(_scalar(value, f"{path}.in[{i}]") for i, value in enumerate(tree["in"])))
    if "is" not in tree and "in" not in tree:
        low, high = _bound(tree, "from", path), _bound(tree, "to", path)
        if low is not None or high is not None:  # no bound at all would hold for everybody
            return FieldBetween(name, low, high)
    raise InvalidError("condition.value", path=path)


def _scalar(value: object, path: str) -> Any:
    if isinstance(value, str | int | float | bool):
        return value
    raise InvalidError("condition.value", path=path)


def _bound(tree: Mapping[str, Any], name: str, path: str) -> float | None:
    value = tree.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidError("condition.value", path=f"{path}.{name}")
    return value


def _purchase(tree: Mapping[str, Any], path: str) -> Expression:
    inner, inside = _inside(tree, "purchase", path, "count_from", "count_to", "total_from", "total_to")
    if not inner:
        raise InvalidError("condition.malformed", path=inside)
    parts: list[Expression] = []
    for word, field in (("count", "purchase.count"), ("total", "purchase.total_yen")):
        low, high = _bound(inner, f"{word}_from", inside), _bound(inner, f"{word}_to", inside)
        if low is not None or high is not None:
            parts.append(FieldBetween(field, low, high))
    if not parts:  # {"count_from": null} would hold for everybody
        raise InvalidError("condition.value", path=inside)
    return All(tuple(parts))


def _date(tree: Mapping[str, Any], path: str) -> Expression:
    name = tree["date"]
    if not is_date(name):
        raise InvalidError("condition.field_unknown", path=f"{path}.date", known=list(DATES))
    _only(tree, path, "date", "before_days", "within_days", "in_days", "anniversary_in_days")
    least, most = _days(tree, "before_days", path, 0), _days(tree, "within_days", path, 0)
    day, anniversary = _days(tree, "in_days", path, -_MOST_DAYS), _days(tree, "anniversary_in_days", path, -_MOST_DAYS)
    forms: list[Expression] = []
    if least is not None or most is not None:
        forms.append(DaysAgo(name, least, most))
    if day is not None:
        forms.append(InDays(name, day, yearly=False))
    if anniversary is not None:
        forms.append(InDays(name, anniversary, yearly=True))
    if len(forms) != 1:
        raise InvalidError("condition.value", path=path)
    return forms[0]


def _days(tree: Mapping[str, Any], name: str, path: str, low: int) -> int | None:
    value = tree.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= _MOST_DAYS:
        raise InvalidError("condition.value", path=f"{path}.{name}")
    return value


def _responded(tree: Mapping[str, Any], path: str) -> Expression:
    inner, inside = _inside(tree, "responded", path, "of", "evidence", "link")
    evidence = _text(inner, "evidence", inside, Evidence.PROBABLE)
    if evidence not in tuple(Evidence):
        raise InvalidError("condition.value", path=f"{inside}.evidence")
    return HasResponded(_text(inner, "of", inside, ""), _text(inner, "link", inside, ""), Evidence(evidence))


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


_LEAVES: dict[str, Callable[[Mapping[str, Any], str], Expression]] = {
    "tag": _tag,
    "field": _field,
    "purchase": _purchase,
    "date": _date,
    "responded": _responded,
    "happened": _happened,
}
KINDS = ("all", "any", "not", *_LEAVES, "segment")
# Saved segments speak of people. Elsewhere than in a scenario these would be silently false, and a scenario notes for its
# branches only the events that stand in them.
_OF_A_RUN = ("responded", "happened")

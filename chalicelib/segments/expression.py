"""The condition tree: all, any, not over leaves; parsed and checked once, pure.

Written as JSON: {"all": […]}, {"any": […]}, {"not": {…}}, or a leaf with exactly one of these keys:
  {"tag": "tag_…"}                                         carries the tag
  {"field": "profile.gender", "is": "female"}              also in: […], from/to for numbers; see FIELDS
  {"purchase": {"count_from": 2, "total_from": 15000}}     sums over all purchases; count_to, total_to
  {"date": "purchase.last", "before_days": 90}             at least that many JST days ago; within_days: at most
A leaf about a value that a person does not have is false, and so is its opposite bound: only `not` turns it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib.kernel.errors import InvalidError

FIELDS = (
    "profile.member_no", "profile.name", "profile.gender", "profile.birthday", "profile.prefecture", "profile.city",
    "profile.postal_code", "line.reachable", "email.reachable", "sms.reachable", "postal.reachable", "line.linked",
    "customer.known", "purchase.count", "purchase.total_yen",
)  # fmt: skip
DATES = ("purchase.first", "purchase.last", "friend.since", "profile.birthday")
_MOST_DEPTH = 20


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


Expression = All | AnyOf | Not | HasTag | FieldIs | FieldBetween | DaysAgo


def parse(tree: object, path: str = "$", depth: int = 0) -> Expression:
    """Return the expression of a JSON tree. Raises InvalidError(`condition.*`) that names the path of the first mistake."""
    if not isinstance(tree, Mapping) or depth > _MOST_DEPTH:
        raise InvalidError("condition.malformed", path=path)
    kinds = [kind for kind in _PARSERS if kind in tree]
    if len(kinds) != 1:
        raise InvalidError("condition.kind", path=path, known=list(_PARSERS))
    return _PARSERS[kinds[0]](tree, path, depth)


def _only(tree: Mapping[str, Any], path: str, *allowed: str) -> None:
    extra = sorted(set(tree) - set(allowed))
    if extra:
        raise InvalidError("condition.unknown_key", path=f"{path}.{extra[0]}")


def _parts(tree: Mapping[str, Any], kind: str, path: str, depth: int) -> tuple[Expression, ...]:
    _only(tree, path, kind)
    parts = tree[kind]
    if not isinstance(parts, list):
        raise InvalidError("condition.malformed", path=f"{path}.{kind}")
    return tuple(parse(part, f"{path}.{kind}[{i}]", depth + 1) for i, part in enumerate(parts))


def _all(tree: Mapping[str, Any], path: str, depth: int) -> Expression:
    return All(_parts(tree, "all", path, depth))


def _any(tree: Mapping[str, Any], path: str, depth: int) -> Expression:
    return AnyOf(_parts(tree, "any", path, depth))


def _not(tree: Mapping[str, Any], path: str, depth: int) -> Expression:
    _only(tree, path, "not")
    return Not(parse(tree["not"], f"{path}.not", depth + 1))


def _tag(tree: Mapping[str, Any], path: str, _: int) -> Expression:
    _only(tree, path, "tag")
    if not isinstance(tree["tag"], str) or not tree["tag"]:
        raise InvalidError("condition.value", path=f"{path}.tag")
    return HasTag(tree["tag"])


def _field(tree: Mapping[str, Any], path: str, _: int) -> Expression:
    name = tree["field"]
    if name not in FIELDS and not (isinstance(name, str) and name.startswith("attribute.")):
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


def _purchase(tree: Mapping[str, Any], path: str, _: int) -> Expression:
    _only(tree, path, "purchase")
    inner = tree["purchase"]
    inside = f"{path}.purchase"
    if not isinstance(inner, Mapping) or not inner:
        raise InvalidError("condition.malformed", path=inside)
    _only(inner, inside, "count_from", "count_to", "total_from", "total_to")
    parts: list[Expression] = []
    for word, field in (("count", "purchase.count"), ("total", "purchase.total_yen")):
        low, high = _bound(inner, f"{word}_from", inside), _bound(inner, f"{word}_to", inside)
        if low is not None or high is not None:
            parts.append(FieldBetween(field, low, high))
    if not parts:  # {"count_from": null} would hold for everybody
        raise InvalidError("condition.value", path=inside)
    return All(tuple(parts))


def _date(tree: Mapping[str, Any], path: str, _: int) -> Expression:
    if tree["date"] not in DATES:
        raise InvalidError("condition.field_unknown", path=f"{path}.date", known=list(DATES))
    _only(tree, path, "date", "before_days", "within_days")
    least, most = _days(tree, "before_days", path), _days(tree, "within_days", path)
    if least is None and most is None:
        raise InvalidError("condition.value", path=path)
    return DaysAgo(tree["date"], least, most)


def _days(tree: Mapping[str, Any], name: str, path: str) -> int | None:
    value = tree.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 36_500:
        raise InvalidError("condition.value", path=f"{path}.{name}")
    return value


_PARSERS: dict[str, Callable[[Mapping[str, Any], str, int], Expression]] = {
    "all": _all,
    "any": _any,
    "not": _not,
    "tag": _tag,
    "field": _field,
    "purchase": _purchase,
    "date": _date,
}

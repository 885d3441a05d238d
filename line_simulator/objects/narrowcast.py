"""Recipient, filter and limit of a narrowcast: what LINE accepts, and whom they mean (messaging-api.yml, NarrowcastRequest)."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from line_simulator.exchange import ApiError
from line_simulator.objects.demographics import AGE_STEPS, APP_TYPES, AREA_LABELS, GENDERS, PERIOD_DAYS
from line_simulator.objects.findings import Findings
from line_simulator.world.state import JsonObject, PersonRecord

AUDIENCES_MAX: Final = 10
FILTERS_MAX: Final = 10
_INT32_MAX: Final = 2**31 - 1
_INT64_MAX: Final = 2**63 - 1
_LIST_MAX: Final = 10_000
# LINE names no bound for nesting; some bound keeps nonsense from exhausting the stack.
_DEPTH_MAX: Final = 50
_OPERATORS: Final = ("and", "or", "not")
_AGES: Final = tuple(f"age_{step}" for step in AGE_STEPS)
_PERIODS: Final = tuple(f"day_{days}" for days in PERIOD_DAYS)
_ONE_OF: Final[dict[str, tuple[str, ...]]] = {"gender": GENDERS, "appType": APP_TYPES, "area": tuple(AREA_LABELS)}
_RANGES: Final[dict[str, tuple[str, ...]]] = {"age": _AGES, "subscriptionPeriod": _PERIODS}

UserTest = Callable[[str], bool]
PersonTest = Callable[[PersonRecord, int], bool]


@dataclass(slots=True)
class Sources:
    """What a recipient refers to."""

    audiences: list[int] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def check_recipient(found: Findings, recipient: Any) -> Sources:
    """Check a recipient object and return what it refers to; no object means all friends."""
    sources = Sources()
    if recipient is None:
        return sources

    def check_leaf(path: str, node: JsonObject) -> None:
        if node["type"] == "redelivery":
            if found.text(f"{path}.requestId", node.get("requestId"), 100):
                sources.requests.append(node["requestId"])
        else:
            if found.number(f"{path}.audienceGroupId", node.get("audienceGroupId"), 0, _INT64_MAX):
                sources.audiences.append(node["audienceGroupId"])

    _walk(found, "recipient", recipient, ("audience", "redelivery"), check_leaf)
    if len(sources.audiences) + len(sources.requests) > AUDIENCES_MAX:
        found.add("recipient", f"Size must be between 1 and {AUDIENCES_MAX}")
    return sources


def check_filter(found: Findings, value: Any) -> JsonObject | None:
    """Check the filter object and return its demographic filter, if it has one."""
    content = found.mapping("filter", value, required=False)
    demographic = content.get("demographic") if content else None
    if demographic is None:
        return None
    leaves = 0

    def check_leaf(path: str, node: JsonObject) -> None:
        nonlocal leaves
        leaves += 1
        kind = node["type"]
        if kind in _ONE_OF:
            for index, one in enumerate(found.items(f"{path}.oneOf", node.get("oneOf"), 1, _LIST_MAX)):
                found.one_of(f"{path}.oneOf[{index}]", one, _ONE_OF[kind])
        else:
            _check_range(found, path, node, _RANGES[kind])

    _walk(found, "filter.demographic", demographic, (*_ONE_OF, *_RANGES), check_leaf)
    if leaves > FILTERS_MAX:
        found.add("filter.demographic", f"Size must be between 1 and {FILTERS_MAX}")
    return demographic if isinstance(demographic, dict) else None


def check_limit(found: Findings, value: Any) -> JsonObject:
    """Check the limit object and return it, empty if there is none."""
    limit = found.mapping("limit", value, required=False) or {}
    if limit.get("max") is not None:
        found.number("limit.max", limit["max"], 1, _INT32_MAX)
    for name in ("upToRemainingQuota", "forbidPartialDelivery"):
        found.boolean(f"limit.{name}", limit.get(name))
    return limit


def refuse_lone_option(limit: JsonObject) -> None:
    """Raise ApiError 400 if forbidPartialDelivery stands without upToRemainingQuota."""
    if limit.get("forbidPartialDelivery") and not limit.get("upToRemainingQuota"):
        raise ApiError(400, "The option forbidPartialDelivery must be used with upToRemainingQuota.")


def recipient_test(
    node: JsonObject, audience: Callable[[int], Container[str]], delivered: Callable[[str], Container[str]]
) -> UserTest:
    """Return a test of user ids. `audience` and `delivered` give the members of an audience and those a narrowcast reached."""
    if node["type"] == "operator":
        tests = [recipient_test(child, audience, delivered) for child in _children(node)]
        if node.get("not") is not None:
            return lambda user: not tests[0](user)
        if node.get("and") is not None:
            return lambda user: all(test(user) for test in tests)
        return lambda user: any(test(user) for test in tests)
    if node["type"] == "redelivery":
        people = delivered(node["requestId"])
    else:
        people = audience(node["audienceGroupId"])
    return lambda user: user in people


def filter_test(node: JsonObject) -> PersonTest:
    """Return a test of a person and the days they have been a friend. Nobody of whom LINE knows nothing fits a single filter."""
    match node["type"]:
        case "operator":
            tests = [filter_test(child) for child in _children(node)]
            if node.get("not") is not None:
                return lambda person, days: not tests[0](person, days)
            if node.get("and") is not None:
                return lambda person, days: all(test(person, days) for test in tests)
            return lambda person, days: any(test(person, days) for test in tests)
        case "gender":
            return lambda person, _: person.gender in node["oneOf"]
        case "appType":
            return lambda person, _: person.app in node["oneOf"]
        case "area":
            return lambda person, _: person.area in node["oneOf"]
    lowest, highest = _bound(node, "gte", 0), _bound(node, "lt", _INT32_MAX)
    if node["type"] == "age":
        return lambda person, _: person.age is not None and lowest <= person.age < highest
    return lambda _, days: lowest <= days < highest


def _walk(found: Findings, path: str, node: Any, kinds: tuple[str, ...], check_leaf: Callable[[str, JsonObject], None]) -> None:
    """Check a tree of operators with leaves of these types."""
    waiting: list[tuple[str, Any, int]] = [(path, node, 0)]
    while waiting:
        place, one, depth = waiting.pop(0)
        content = found.mapping(place, one)
        if content is None or not found.one_of(f"{place}.type", content.get("type"), (*kinds, "operator")):
            continue
        if content["type"] != "operator":
            check_leaf(place, content)
        elif depth >= _DEPTH_MAX:
            found.add(place, "Must not be nested that deeply")
        else:
            waiting += [(inner, child, depth + 1) for inner, child in _checked_children(found, place, content)]


def _checked_children(found: Findings, path: str, node: JsonObject) -> Iterator[tuple[str, Any]]:
    given = [name for name in _OPERATORS if node.get(name) is not None]
    if len(given) != 1:
        found.add(path, "Must have exactly one of the following properties: [and, or, not]")
    elif given == ["not"]:
        yield f"{path}.not", node["not"]
    else:
        for index, child in enumerate(found.items(f"{path}.{given[0]}", node[given[0]], 1, _LIST_MAX)):
            yield f"{path}.{given[0]}[{index}]", child


def _check_range(found: Findings, path: str, node: JsonObject, steps: tuple[str, ...]) -> None:
    if node.get("gte") is None and node.get("lt") is None:
        found.add(path, "Must have at least one of the following properties: [gte, lt]")
        return
    usable = [found.one_of(f"{path}.{name}", node[name], steps) for name in ("gte", "lt") if node.get(name) is not None]
    if len(usable) == 2 and all(usable) and steps.index(node["gte"]) >= steps.index(node["lt"]):
        found.add(f"{path}.gte", "Must be smaller than lt")


def _children(node: JsonObject) -> list[JsonObject]:
    children: list[JsonObject] = node.get("and") or node.get("or") or [node["not"]]
    return children


def _bound(node: JsonObject, name: str, default: int) -> int:
    value = node.get(name)
    return default if value is None else int(value.partition("_")[2])

"""Parts that the linter looks at in several places: lengths, clock times, dates, occasions, conditions; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.windows import parse_duration, parse_hhmm
from chalicelib.messages.model import Template
from chalicelib.scenarios.graph import Occasion, Scenario, SendNode
from chalicelib.segments.expression import (
    ENTRY,
    All,
    AnyOf,
    Delivered,
    Expression,
    HasActed,
    HasHappened,
    HasReacted,
    HasReceived,
    HasResponded,
    HasTag,
    InScenario,
    Not,
    is_date,
)
from chalicelib.segments.reading import parse as parse_condition

Problem = dict[str, str]
Kind = Literal["account", "tag", "link", "template", "segment", "live_segment", "webhook", "scenario", "action"]
# What the trigger brought, e.g. `trigger.starts_at`.
OF_TRIGGER = "trigger."
# Far waits are parked outside an execution (cohorts.py); three years is as far as a marketer may plan.
LONGEST_WAIT = timedelta(days=1100)
_PURCHASE = ("product", "shop", "min_amount_yen")
# By event: how it may be narrowed. A word that is not here would be silently ignored.
_NARROWED = {
    "purchase": _PURCHASE, "first_purchase": _PURCHASE, "tag_added": ("tag",), "tag_removed": ("tag",),
    "segment_entered": ("segment",), "segment_left": ("segment",), "clicked": ("link",),
    "postback": ("data",), "message": ("contains",), "survey_answered": ("name",), "form_submitted": ("name",),
    "reservation_made": ("name",), "reservation_visited": ("name",), "reservation_cancelled": ("name",), "visited": ("name",),
    "custom": ("name",),
}  # fmt: skip
_WORDS = ("tag", "segment", "link", "product", "shop", "data", "contains", "name", "min_amount_yen")


class Known(Protocol):
    """The house that a scenario is published in: what there is of all that a graph may name."""

    @property
    def scenario_id(self) -> str:
        """The scenario's own id."""
        ...

    @property
    def now(self) -> datetime:
        """The moment of publishing."""
        ...

    def has(self, kind: Kind, name: str) -> bool:
        """Say whether there is something of this name; an `action` is there when it can be done."""
        ...

    def template(self, template_id: str) -> Template | None:
        """Return a template, None when there is none."""
        ...

    def segment(self, segment_id: str) -> object:
        """Return the condition of a saved segment, None when there is none."""
        ...


@dataclass(slots=True)
class Found:
    """The problems of one node, or of the scenario as a whole."""

    node: str
    problems: list[Problem] = field(default_factory=list)

    def add(self, code: str, path: str = "", **details: object) -> None:
        """Note a problem. path: where inside."""
        where = {"path": path} if path else {}
        self.problems.append({"node": self.node, "code": code, **where, **{name: str(value) for name, value in details.items()}})


def length_of(text: str) -> timedelta:
    """Return the length of a duration. Raises InvalidError."""
    return parse_duration(text)


def check_length(text: str, path: str, most: timedelta, found: Found, *, may_be_nothing: bool = False) -> None:
    """Look at a duration."""
    try:
        length = length_of(text)
    except InvalidError:
        found.add("duration_malformed", path, given=text[:100])
        return
    if length > most:
        found.add("too_long", path, most_days=most.days)
    elif not length and not may_be_nothing:
        found.add("wait_empty", path)


def check_time(text: str, path: str, found: Found) -> None:
    """Look at a clock time."""
    try:
        parse_hhmm(text)
    except InvalidError:
        found.add("time_malformed", path, given=text[:100])


def check_date(name: str, path: str, found: Found, *, may_be_of_trigger: bool) -> None:
    """Look at the name of a person's date."""
    of_trigger = may_be_of_trigger and name.startswith(OF_TRIGGER) and name != OF_TRIGGER
    if not is_date(name) and not of_trigger:
        found.add("date_unknown", path, given=name[:100])


def check_named(kind: Kind, name: str, path: str, found: Found, knows: Known | None) -> None:
    """Look whether what a graph names is there; what it does not name is."""
    if name and knows is not None and not knows.has(kind, name):
        found.add(f"{kind}_unknown", path, name=name[:100])


def check_occasion(occasion: Occasion, path: str, found: Found, knows: Known | None) -> None:
    """Look at an occasion: narrowed only as its event can be, and by things that there are."""
    allowed = _NARROWED.get(occasion.event, ())
    for word in _WORDS:
        if getattr(occasion, word) and word not in allowed:
            found.add("occasion_word", f"{path}.{word}", event=occasion.event, known=", ".join(allowed) or "-")
    if occasion.event == "custom" and not occasion.name:
        found.add("occasion_name_missing", f"{path}.name")
    if occasion.min_amount_yen < 0:
        found.add("amount_negative", f"{path}.min_amount_yen")
    if "tag" in allowed:
        check_named("tag", occasion.tag, f"{path}.tag", found, knows)
    if "link" in allowed:
        check_named("link", occasion.link, f"{path}.link", found, knows)
    if "segment" in allowed:
        _check_segment(occasion.segment, f"{path}.segment", found, knows)


def _check_segment(segment_id: str, path: str, found: Found, knows: Known | None) -> None:
    if not segment_id:
        found.add("occasion_segment_missing", path)
        return
    check_named("segment", segment_id, path, found, knows)
    if knows is not None and knows.has("segment", segment_id):
        check_named("live_segment", segment_id, path, found, knows)


def read_condition(
    condition: Mapping[str, Any], path: str, found: Found, knows: Known | None, *, in_run: bool
) -> Expression | None:
    """Return a condition's expression, None when it is none. in_run: whether it may ask about a run of this scenario."""
    try:
        # The reader refuses what asks about a run wherever a saved segment is being defined: nobody is in a run there either.
        return parse_condition(condition, knows.segment if knows else None, defines="" if in_run else "#")
    except InvalidError as error:
        details = {name: str(error.details[name]) for name in ("segment_id", "most", "given") if name in error.details}
        found.add(error.code.replace(".", "_"), f"{path}{str(error.details.get('path', '$'))[1:]}", **details)
        return None


def check_names(expression: Expression, path: str, scenario: Scenario, found: Found, knows: Known | None) -> None:
    """Look whether what a condition names is there: tags, links, and sends of this scenario."""
    for leaf in leaves(expression):
        match leaf:
            case HasTag(tag_id):
                check_named("tag", tag_id, path, found, knows)
            case HasActed(link=link):
                check_named("link", link, path, found, knows)
            case HasReacted(what, link):
                check_named("link", link, path, found, knows)
                _check_scenario(what, path, found, knows)
            case HasReceived(what):
                _check_scenario(what, path, found, knows)
            case InScenario(scenario_id):
                check_named("scenario", scenario_id, path, found, knows)
            case HasResponded(of, link):
                check_named("link", link, path, found, knows)
                if of and not isinstance(scenario.nodes.get(of), SendNode):
                    found.add("condition_no_send", path, target=of[:100])
            case HasHappened(_, since) if since != ENTRY and not isinstance(scenario.nodes.get(since), SendNode):
                found.add("condition_no_send", path, target=since[:100])
            case _:
                pass


def _check_scenario(what: Delivered, path: str, found: Found, knows: Known | None) -> None:
    if what.kind == "scn":
        check_named("scenario", what.id, path, found, knows)


def leaves(expression: Expression) -> Iterator[Expression]:
    """Yield the leaves of an expression; a saved segment is one, for what it says is its own business."""
    match expression:
        case All(parts) | AnyOf(parts):
            for part in parts:
                yield from leaves(part)
        case Not(part):
            yield from leaves(part)
        case leaf:
            yield leaf


def holds_always(expression: Expression) -> bool:
    """Say whether everybody fulfils an expression, whatever is known of him."""
    match expression:
        case All(parts):
            return all(holds_always(part) for part in parts)
        case AnyOf(parts):
            return any(holds_always(part) for part in parts)
        case Not(part):
            return holds_never(part)
        case _:
            return False


def holds_never(expression: Expression) -> bool:
    """Say whether nobody fulfils an expression."""
    match expression:
        case All(parts):
            return any(holds_never(part) for part in parts)
        case AnyOf(parts):
            return all(holds_never(part) for part in parts)
        case Not(part):
            return holds_always(part)
        case _:
            return False

"""The graph that a marketer draws: its grammar, and where each node leads; pure.

Grammar `scenario/1`: docs/scenario-format.md. Nodes are a map by stable id; edges are ids. What keeps a graph from being
published is lint.py's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.windows import DeliveryWindow, at_local, due_after, local_date, parse_duration, parse_hhmm
from chalicelib.messages.model import canonical

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Channel = Literal["line", "email", "sms", "postal"]
Evidenced = Literal["A", "B", "C"]
Event = Literal[
    "follow", "linked", "unlinked", "blocked", "opted_out", "purchase", "first_purchase", "tag_added", "tag_removed",
    "segment_entered", "segment_left", "clicked", "postback", "message", "video", "email_opened", "responded",
    "survey_answered", "form_submitted", "reservation_made", "reservation_visited", "reservation_cancelled", "visited",
    "custom",
]  # fmt: skip


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Occasion(_Strict, frozen=True, kw_only=True):
    """Something that happens to a person, narrowed by what is given.

    tag, segment, link, product, shop: ids and names; data: a postback's; contains: in a message's text; name: of a survey, form,
    booking menu, page or custom event; min_amount_yen: of a purchase.
    """

    event: Event
    tag: str = ""
    segment: str = ""
    link: str = ""
    product: str = ""
    shop: str = ""
    data: str = ""
    contains: str = ""
    name: str = ""
    min_amount_yen: int = 0


_REFUSALS = {"blocked": Occasion(event="blocked"), "opted_out": Occasion(event="opted_out")}


class _Node(_Strict, frozen=True, kw_only=True):
    label: str = ""


class SendNode(_Node, tag="send", frozen=True, kw_only=True):
    """Send a template; `unreachable` is where those go who cannot be sent to, by default on with the others.

    account: another LINE account than the scenario's. best_hour: at the hour at which the person usually acts.
    important: neither quiet hours nor caps hold it back (what the person himself asked for: a booking).
    """

    channel: Channel
    template: str
    next: str
    unreachable: str = ""
    account: str = ""
    best_hour: bool = False
    important: bool = False


class UntilDate(_Strict, frozen=True, kw_only=True):
    """A day in a person's life: a date of segments.expression, or `trigger.<name>` of what started the scenario.

    offset_days: from that day, negative before it; yearly: its next anniversary. before: instead of a clock time so long
    before the very instant that the trigger brought, e.g. `PT2H` before a booking.
    """

    date: str
    offset_days: int = 0
    yearly: bool = False
    before: str = ""


class WaitNode(_Node, tag="wait", frozen=True, kw_only=True):
    """Wait for a `duration`, then for a clock time `at`, then for one of `weekdays`; or `until` a person's own date.

    missing, past: where those go who have no such date, or for whom it is over before they come; by default on with the others.
    """

    next: str
    duration: str = ""
    at: str = ""
    weekdays: list[Weekday] = []
    until: UntilDate | None = None
    missing: str = ""
    past: str = ""


class WaitForResponseNode(_Node, tag="wait_for_response", frozen=True, kw_only=True):
    """Wait until the person reacts to a send `of` the scenario, at most `timeout`.

    evidence: the weakest reaction that counts (A, B or C). on: wait for this occasion instead of any reaction.
    """

    of: str
    timeout: str
    responded: str
    timed_out: str
    at: str = ""
    weekdays: list[Weekday] = []
    evidence: Evidenced = "B"
    on: Occasion | None = None


class Case(_Strict, frozen=True, kw_only=True):
    """One way out of a branch."""

    when: dict[str, Any]
    next: str
    label: str = ""


class BranchNode(_Node, tag="branch", frozen=True, kw_only=True):
    """The first case that holds decides; `otherwise` takes the rest."""

    cases: list[Case]
    otherwise: str


class Share(_Strict, frozen=True, kw_only=True):
    """One way out of a split."""

    weight: int
    next: str
    label: str = ""


class SplitNode(_Node, tag="split", frozen=True, kw_only=True):
    """Divide people at random, the same person always the same way."""

    shares: list[Share]


class ActionNode(_Node, tag="action", frozen=True, kw_only=True):
    """Do something else than send. What each verb needs is lint.py's; `target` names a webhook, rich menu or coupon."""

    do: Literal[
        "tag_add", "tag_remove", "attribute_set", "attribute_add", "score_add", "scenario_start", "scenario_stop",
        "notify_staff", "webhook", "rich_menu", "coupon", "points",
    ]  # fmt: skip
    next: str
    tag: str = ""
    attribute: str = ""
    value: str | int | float | bool | None = None
    by: int = 0
    scenario: str = ""
    target: str = ""
    text: str = ""
    data: dict[str, str] = {}


class EndNode(_Node, tag="end", frozen=True, kw_only=True):
    """The scenario is over for the person."""

    outcome: str = ""


Node = SendNode | WaitNode | WaitForResponseNode | BranchNode | SplitNode | ActionNode | EndNode


class Schedule(_Strict, frozen=True, kw_only=True):
    """JST instants: `at` a clock time daily, on weekdays, on a day of the month (its last if it has fewer), or once `on` a day."""

    at: str
    every: Literal["day", "week", "month", "once"] = "day"
    weekdays: list[Weekday] = []
    day: int = 0
    on: str = ""


class EventTrigger(Occasion, tag="event", frozen=True, kw_only=True):
    """Something happens to one person."""


class SegmentTrigger(_Strict, tag="segment", frozen=True, kw_only=True):
    """At each instant of the schedule everybody who fulfils the condition then; with `enters` who did not the time before."""

    condition: dict[str, Any]
    schedule: Schedule
    enters: bool = False


class DateTrigger(_Strict, tag="date", frozen=True, kw_only=True):
    """A date of the person, e.g. a week before his birthday: `profile.birthday`, -7, yearly."""

    date: str
    at: str
    offset_days: int = 0
    yearly: bool = False


class DormantTrigger(_Strict, tag="dormant", frozen=True, kw_only=True):
    """Neither purchase nor reaction for exactly `days` JST days or more."""

    days: int
    at: str


class ManualTrigger(_Strict, tag="manual", frozen=True, kw_only=True):
    """Somebody enters a person through the API, or another scenario does."""


Trigger = EventTrigger | SegmentTrigger | DateTrigger | DormantTrigger | ManualTrigger


class Reentry(_Strict, frozen=True, kw_only=True):
    """Whether a person may enter again: never, after his last run ended and `cooldown` has passed, or for every occurrence.

    key: with `always`, what tells occurrences apart, e.g. `order_no` of the trigger's data; empty: every fact is one.
    """

    mode: Literal["never", "after_exit", "always"] = "never"
    cooldown: str = "P1D"
    key: str = ""


class Goal(Occasion, frozen=True, kw_only=True):
    """What the scenario is for. window: counted only so long after entry; exit: whether who reaches it leaves."""

    window: str = ""
    exit: bool = True


class QuietHours(_Strict, frozen=True, kw_only=True):
    """The JST hours in which nothing leaves."""

    start: str
    end: str
    policy: Literal["delay", "skip"] = "delay"


class FrequencyCap(_Strict, frozen=True, kw_only=True):
    """At most `most` sends to a person in `per`: counting everything, this scenario's, or this node's delivery channel's."""

    most: int
    per: str
    scope: Literal["all", "scenario", "channel"] = "all"
    policy: Literal["delay", "skip"] = "delay"


class Scenario(_Strict, frozen=True, kw_only=True):
    """A whole scenario as it is drawn. account: the LINE account that sends; empty: any that reaches the person.

    filter: who may enter; stays_while: who no longer fulfils it leaves at the next step (セグメントから外れた).
    """

    schema: Literal["scenario/1"]
    name: str
    trigger: Trigger
    start: str
    nodes: dict[str, Node]
    account: str = ""
    filter: dict[str, Any] | None = None
    stays_while: dict[str, Any] | None = None
    reentry: Reentry = Reentry()
    goal: Goal | None = None
    exits: list[Literal["blocked", "opted_out"] | Occasion] = []
    quiet_hours: QuietHours | None = None
    caps: list[FrequencyCap] = []
    description: str = ""
    layout: dict[str, Any] = {}

    def node(self, node_id: str) -> Node:
        """Return a node that the linter has seen."""
        return self.nodes[node_id]

    def window(self) -> DeliveryWindow | None:
        """Return the hours in which promotional messages may leave."""
        return DeliveryWindow.parse(self.quiet_hours.end, self.quiet_hours.start) if self.quiet_hours else None

    def leaves_on(self) -> Iterator[Occasion]:
        """Yield the occasions that take a person out, the goal's not among them."""
        for way in self.exits:
            yield way if isinstance(way, Occasion) else _REFUSALS[way]


def parse(data: object) -> Scenario:
    """Return the scenario in a JSON value. Raises InvalidError(`scenario.malformed`) with the path of the first mistake."""
    try:
        return msgspec.convert(data, Scenario)
    except msgspec.ValidationError as error:
        sentence, _, path = str(error).partition(" - at ")
        raise InvalidError("scenario.malformed", path=path.strip("`") or "$", problem=sentence) from error
    except RecursionError as error:
        raise InvalidError("scenario.malformed", path="$", problem="nested without end") from error


def to_json(scenario: Scenario) -> dict[str, Any]:
    """Return the JSON value of a scenario."""
    data: dict[str, Any] = msgspec.to_builtins(scenario)
    return data


_ORDER = (
    "schema", "name", "description", "account", "trigger", "filter", "stays_while", "reentry", "goal", "exits", "quiet_hours",
    "caps", "start", "nodes", "layout",
)  # fmt: skip


def to_plain(scenario: Scenario) -> dict[str, Any]:
    """Return the JSON value of a scenario as a person would write it: in reading order, without what goes without saying."""
    plain = _plain(scenario)
    return {name: plain[name] for name in _ORDER if name in plain}


def _plain(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        config = value.__struct_config__
        made = {config.tag_field: config.tag} if config.tag_field else {}
        for part in msgspec.structs.fields(value):
            inner = getattr(value, part.name)
            usual = part.default if part.default_factory is msgspec.NODEFAULT else part.default_factory()
            if inner != usual or part.required or type(inner) is not type(usual):
                made[part.name] = _plain(inner)
        return made
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list) else value


def structure_hash(scenario: Scenario) -> str:
    """Return the fingerprint of what makes a version: everything but layout, description and labels."""

    def bare(part: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in part.items() if key != "label"}

    data = {key: value for key, value in to_json(scenario).items() if key not in ("layout", "description")}
    nodes = {node_id: bare(node) for node_id, node in data.pop("nodes").items()}
    for node in nodes.values():
        # Only where a label is ours: a condition or a webhook's data may have a word of that name.
        node.update({name: [bare(way) for way in node[name]] for name in ("cases", "shares") if name in node})
    return hashlib.sha256(canonical({**data, "nodes": nodes}).encode()).hexdigest()


def exits_of(node: Node) -> list[str]:
    """Return the ids of the nodes that may follow."""
    match node:
        case SendNode():
            return [node.next, *([node.unreachable] if node.unreachable else [])]
        case WaitNode():
            return [node.next, *([node.missing] if node.missing else []), *([node.past] if node.past else [])]
        case ActionNode():
            return [node.next]
        case WaitForResponseNode():
            return [node.responded, node.timed_out]
        case BranchNode():
            return [*(case.next for case in node.cases), node.otherwise]
        case SplitNode():
            return [share.next for share in node.shares]
        case EndNode():
            return []


def main_exit(node: Node) -> str:
    """Return where a cohort itself goes on; who leaves by another exit joins another cohort."""
    match node:
        case SendNode() | WaitNode() | ActionNode():
            return node.next
        case WaitForResponseNode():
            return node.timed_out
        case BranchNode():
            return node.otherwise
        case SplitNode():
            return max(node.shares, key=lambda share: share.weight).next
        case EndNode():
            return ""


def is_timed(node: Node) -> bool:
    """Say whether a cohort as a whole waits at a node; at a person's own date each has his own (engine.py)."""
    return isinstance(node, WaitForResponseNode) or (isinstance(node, WaitNode) and node.until is None)


def reached_at(node: Node, moment: datetime) -> datetime:
    """Return the instant of the cohort that does a node which is reached at `moment`: a wait's end, else that moment."""
    if isinstance(node, WaitForResponseNode) or (isinstance(node, WaitNode) and node.until is None):
        return wait_ends(node, moment)
    return moment


def wait_ends(node: WaitNode | WaitForResponseNode, begins_at: datetime) -> datetime:
    """Return when a wait of a length that begins at an instant is over."""
    length = node.duration if isinstance(node, WaitNode) else node.timeout
    at = parse_hhmm(node.at) if node.at else None
    end = due_after(begins_at, parse_duration(length or "P0D"), at)
    if not node.weekdays:
        return end
    allowed = {WEEKDAYS.index(day) for day in node.weekdays}
    day = local_date(end)
    if day.weekday() in allowed:
        return end
    while day.weekday() not in allowed:
        day += timedelta(days=1)
    return at_local(day, at or parse_hhmm("00:00"))


def share_of(node: SplitNode, scenario_id: str, node_id: str, cid: int) -> str:
    """Return where a split sends a person: by a hash of person and node, so the same in every version."""
    digest = hashlib.sha256(f"{cid}|{scenario_id}|{node_id}".encode()).digest()
    point = int.from_bytes(digest[:8]) % sum(share.weight for share in node.shares)
    for share in node.shares:
        point -= share.weight
        if point < 0:
            return share.next
    raise AssertionError("the shares of a split add up to less than their sum")

"""The engine in the memory runner against a naive interpreter (naive.py): the same ways, the same messages, the same times."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from chalicelib.customers.model import Customer, Profile
from chalicelib.delivery.model import Cap
from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.facts import (
    Evidence,
    Fact,
    FriendBlocked,
    LinkClicked,
    Occurred,
    OptedOut,
    OrderPlaced,
    Responded,
    TagAdded,
    TagRemoved,
)
from chalicelib.kernel.ids import AccountKey, Cid, CohortId, LineUserId, ScenarioId, TagId
from chalicelib.orders.model import PurchaseStats
from chalicelib.scenarios import engine, hearing, nodes
from chalicelib.scenarios.graph import parse
from chalicelib.scenarios.lint import lint
from chalicelib.scenarios.model import EnrollmentStatus, Move, Version, from_minute
from chalicelib.scenarios.nodes import until_ends
from chalicelib.scenarios.rehearsal import Assumptions, Rehearsal
from chalicelib.segments.model import Person
from tests.pure.naive import Deed, Life, Naive, Somebody

MAIN = AccountKey("main")
BEGIN = datetime(2027, 2, 24, 1, 0, tzinfo=UTC)
DAYS = 45
SAMPLES = 320

# Graphs -----------------------------------------------------------------------------------------------------------------------

LENGTHS = st.sampled_from(["PT20M", "PT3H", "P1D", "P2DT6H", "P7D"])
SPANS = st.sampled_from(["PT3H", "P1D", "P1D", "P4D", "P7D"])
CLOCKS = st.sampled_from(["", "", "09:00", "20:30"])
WEEKDAYS = st.sampled_from([[], [], [], ["mon"], ["sat", "sun"]])
CONDITIONS = st.sampled_from(
    [
        {"tag": "tag_a"},
        {"not": {"tag": "tag_b"}},
        {"responded": {}},
        {"responded": {"evidence": "A"}},
        {"happened": {"event": "purchase", "since": "entry"}},
        {"happened": {"event": "custom", "name": "x", "since": "entry"}},
    ]
)


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, Any]:
    """A scenario of up to nine nodes that the linter lets pass; edges lead on, waits also back."""
    count = draw(st.integers(3, 9))
    ids = [f"n{i}" for i in range(count)]
    sends = ["n0", *(node for node in ids[1:-1] if draw(st.integers(0, 2)) == 0)]
    found: dict[str, Any] = {}
    for place, node in enumerate(ids):
        ahead = st.sampled_from([*ids[place + 1 : place + 3] * 3, *ids[place + 1 :], "done", "out"])
        anywhere = st.sampled_from([*ids, "done"]) if draw(st.integers(0, 3)) == 0 else ahead
        kinds = ["send"] if node in sends else ["wait", "answer", "answer", "answer", "branch", "split", "action", "until"]
        found[node] = _node(draw, draw(st.sampled_from(kinds)), ahead, anywhere, [one for one in sends if one < node])
    graph: dict[str, Any] = {
        "schema": "scenario/1",
        "name": "x",
        "account": "main",
        "trigger": {"type": "event", "event": "custom", "name": "start"},
        "start": "n0",
        "nodes": {**found, "done": {"type": "end"}, "out": {"type": "end", "outcome": "o"}},
    }
    for name, values in _FRAME.items():
        value = draw(st.sampled_from(values))
        if value is not None:
            graph[name] = value
    _prune(graph)
    return graph


_FRAME: dict[str, list[Any]] = {
    "goal": [None, {"event": "purchase"}, {"event": "purchase", "window": "P3D"}, {"event": "purchase", "exit": False}],
    "exits": [None, ["blocked"], ["blocked", "opted_out"], [{"event": "custom", "name": "y"}]],
    "quiet_hours": [None, None, {"start": "21:00", "end": "08:00"}, {"start": "21:00", "end": "08:00", "policy": "skip"}],
    "caps": [None, None, [{"most": 1, "per": "P2D"}], [{"most": 2, "per": "P3D", "scope": "channel", "policy": "skip"}]],
    "stays_while": [None, None, None, {"not": {"tag": "tag_out"}}],
}


def _node(draw: st.DrawFn, kind: str, ahead: Any, anywhere: Any, sends: list[str]) -> dict[str, Any]:
    def some(**values: Any) -> dict[str, Any]:
        return {name: value for name, value in values.items() if value not in ("", [])}

    match kind:
        case "send":
            channel = draw(st.sampled_from(["line", "line", "sms"]))
            aside = draw(st.just("") | ahead)
            return some(type="send", channel=channel, template="t", next=draw(ahead), unreachable=aside)
        case "wait":
            span = draw(LENGTHS)
            following = draw(ahead if span == "PT20M" else anywhere)  # a loop of minutes shows nothing more than one of days
            return some(type="wait", duration=span, at=draw(CLOCKS), weekdays=draw(WEEKDAYS), next=following)
        case "until":
            name = draw(st.sampled_from(["profile.birthday", "trigger.day"]))
            yearly = draw(st.booleans())
            until = {"date": name, "offset_days": draw(st.integers(-2, 2)), "yearly": yearly}
            return some(type="wait", until=until, at=draw(CLOCKS), missing=draw(st.just("") | ahead), next=draw(ahead))
        case "answer":
            on = draw(st.sampled_from([None, None, None, {"event": "purchase"}, {"event": "custom", "name": "x"}]))
            node = some(
                type="wait_for_response", of=draw(st.sampled_from(sends)), timeout=draw(SPANS), at=draw(CLOCKS),
                evidence=draw(st.sampled_from("ABC")), responded=draw(ahead), timed_out=draw(anywhere),
            )  # fmt: skip
            return node | ({"on": on} if on else {})
        case "branch":
            cases = [{"when": draw(CONDITIONS), "next": draw(ahead)} for _ in range(draw(st.integers(1, 2)))]
            return some(type="branch", cases=cases, otherwise=draw(ahead))
        case "split":
            return some(type="split", shares=[{"weight": draw(st.integers(1, 3)), "next": draw(ahead)} for _ in range(2)])
        case _:
            return some(type="action", do=draw(st.sampled_from(["tag_add", "tag_remove"])), tag="tag_a", next=draw(ahead))


def _prune(graph: dict[str, Any]) -> None:
    """Leave out what nobody can reach, as the linter asks."""
    seen, todo = set(), ["n0"]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += [target for target in _targets(graph["nodes"][node]) if target]
    graph["nodes"] = {node: value for node, value in graph["nodes"].items() if node in seen}


def _targets(node: dict[str, Any]) -> list[str]:
    names = ("next", "unreachable", "missing", "responded", "timed_out", "otherwise")
    return [node.get(name, "") for name in names] + [part["next"] for part in (*node.get("cases", []), *node.get("shares", []))]


# People and what they do ------------------------------------------------------------------------------------------------------

NOBODYS = LineUserId("U" + "0" * 32)


@st.composite
def people(draw: st.DrawFn, graph: dict[str, Any]) -> list[tuple[Somebody, datetime, list[Deed]]]:
    sends = [name for name, node in graph["nodes"].items() if node["type"] == "send"] or ["n0"]
    found = []
    for number in range(draw(st.integers(1, 4))):
        reach = draw(st.sampled_from([{"line", "sms"}, {"line"}, {"line"}, {"sms"}, set()]))
        born = draw(st.sampled_from([None, date(1990, 3, 1), date(1988, 2, 29)]))
        person = Somebody(
            number + 1, set(reach), set(draw(st.sampled_from([(), ("tag_a",), ("tag_b",)]))), born,
            draw(st.sampled_from(["", "2027-03-02", "2027-02-20"])),
        )  # fmt: skip
        entered = BEGIN + timedelta(seconds=draw(st.integers(0, 86_000)))
        found.append((person, entered, draw(st.lists(_deeds(entered, sends), min_size=1, max_size=6))))
    return sorted(found, key=lambda one: one[1])


@st.composite
def _deeds(draw: st.DrawFn, entered: datetime, sends: list[str]) -> Deed:
    # At half minutes: nothing of the scenario happens then, so what comes first is never a question.
    longest = draw(st.sampled_from([20, 180, 1440, 1440, 5760, 5760, 20_000]))
    minutes = draw(st.integers(-longest // 20, longest))
    at = entered.replace(second=30) + timedelta(minutes=minutes)
    what = draw(st.sampled_from(["message"] * 4 + ["click"] * 4 + ["buy", "custom", "block", "opt_out", "tag", "untag"]))
    match what:
        case "message":
            return Deed(what, at)
        case "click":
            return Deed(what, at, draw(st.sampled_from(sends)), draw(st.sampled_from("BC")))
        case "custom":
            return Deed(what, at, draw(st.sampled_from("xy")))
        case "tag" | "untag":
            return Deed(what, at, draw(st.sampled_from(["tag_a", "tag_b", "tag_out"])))
        case _:
            return Deed(what, at)


def person_of(one: Somebody) -> Person:
    cid = Cid(one.cid)
    friends = {MAIN: Friend(cid, MAIN, NOBODYS, FollowState.FOLLOWING, BEGIN)} if "line" in one.reach else {}
    profile = Profile(phone="+819012345678" if "sms" in one.reach else "", birthday=one.born)
    return Person(Customer(cid, profile), PurchaseStats(), frozenset(one.tags), friends)


def fact_of(cid: int, deed: Deed, number: int) -> Fact:
    given: dict[str, Any] = {"fact_id": f"{cid}-{number}", "cid": Cid(cid), "at": deed.at}
    line = {"account": MAIN, "line_user_id": NOBODYS}
    match deed.what:
        case "message":
            return Responded(**given, **line, kind="message")
        case "click":
            return LinkClicked(**given, link_id="l", source=f"scn|x|{deed.detail}", evidence=Evidence(deed.evidence))
        case "buy":
            return OrderPlaced(**given, order_no="1", is_first=False, amount_yen=1)
        case "custom":
            return Occurred(**given, event="custom", name=deed.detail)
        case "block":
            return FriendBlocked(**given, **line)
        case "opt_out":
            return OptedOut(**given, channel="line")
        case "tag":
            return TagAdded(**given, tag_id=TagId(deed.detail))
        case _:
            return TagRemoved(**given, tag_id=TagId(deed.detail))


# Both of them -----------------------------------------------------------------------------------------------------------------

Cast = list[tuple[Somebody, datetime, list[Deed]]]


def by_engine(graph: dict[str, Any], cast: Cast) -> dict[int, tuple[Life, set[str]]]:
    """Return what became of each, and the names of the cohorts that he joined."""
    known = {Cid(one.cid): person_of(one) for one, _, _ in cast}
    runner = Rehearsal(Version(ScenarioId("x"), 1, parse(graph)), known, {}, [MAIN], Assumptions(BEGIN))
    joined = watch(runner)
    for one, _, deeds in cast:
        for number, deed in enumerate(deeds):
            runner.tell(fact_of(one.cid, deed, number))
    for one, entered, _ in cast:
        runner.until(entered)
        runner.let_in(Cid(one.cid), entered, {"day": one.day} if one.day else {})
    runner.until(BEGIN + timedelta(days=DAYS))
    found = {}
    for member in runner.records.members_by_cid.values():
        life = Life()
        for visit, note in member.path.items():
            if note.startswith(("sent", "skipped")):
                node, _, text = visit.rpartition("__")
                life.visits.append((node, from_minute(text), note))
        if member.status is EnrollmentStatus.ACTIVE:
            header = runner.records.cohort(member.cohort)
            assert header is not None
            life.stands = (header.at_node, header.at_due)
        else:
            assert member.ended_at is not None
            life.ended = (str(member.status), member.reason, member.ended_at)
        found[int(member.cid)] = (life, joined[member.cid])
    return found


def watch(runner: Rehearsal) -> dict[Cid, set[str]]:
    """Remember the cohorts that each joins."""
    joined: dict[Cid, set[str]] = defaultdict(set)
    move = runner.records.move_pointers

    def moving(moves: Sequence[Move], target: CohortId, **more: Any) -> list[bool]:
        for one in moves:
            joined[one.one.cid].add(target)
        return move(moves, target, **more)

    runner.records.move_pointers = moving  # type: ignore[method-assign]
    return joined


def by_hand(graph: dict[str, Any], cast: Cast, seen: dict[int, tuple[Life, set[str]]]) -> dict[int, Life]:
    found = {}
    for one, entered, deeds in cast:

        def late(node: str, due: datetime, names: set[str] = seen[one.cid][1]) -> int:
            """How late the cohort was that took him there; alone, nobody was there before him."""
            if len(cast) == 1:
                return 0
            for times in range(len(cast)):
                if f"x-v1-{node}-{due + timedelta(minutes=5) * times:%Y%m%d%H%M}" in names:
                    return times
            return 0

        person = replace(one, reach=set(one.reach), tags=set(one.tags))
        found[one.cid] = Naive(graph, "x", person, deeds, late).live(entered, BEGIN + timedelta(days=DAYS))
    return found


def differ(graph: dict[str, Any], cast: Cast) -> list[Any]:
    seen = by_engine(graph, cast)
    told = by_hand(graph, cast, seen)
    return [(one.cid, seen[one.cid][0], told[one.cid]) for one, _, _ in cast if seen[one.cid][0] != told[one.cid]]


@st.composite
def stories(draw: st.DrawFn) -> tuple[dict[str, Any], Cast]:
    graph = draw(graphs())
    return graph, draw(people(graph))


RUN = settings(max_examples=SAMPLES, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


def is_drawn_well(graph: dict[str, Any]) -> bool:
    """of_never_before: whom a wait waits for may have come by another way; the engine copes with those too."""
    return all(problem["code"] == "of_never_before" for problem in lint(parse(graph)))


@RUN
@given(stories())
def test_the_engine_does_to_everybody_what_the_format_says(story: tuple[dict[str, Any], Cast]) -> None:
    graph, cast = story
    assume(is_drawn_well(graph))
    assert differ(graph, cast) == []


# What chance seldom draws -----------------------------------------------------------------------------------------------------


def drawing(nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    trigger = {"type": "event", "event": "custom", "name": "start"}
    return {"schema": "scenario/1", "name": "x", "account": "main", "trigger": trigger, "start": "n0", "nodes": nodes, **more}


def speak(following: str) -> dict[str, Any]:
    return {"type": "send", "channel": "line", "template": "t", "next": following}


def answer(timeout: str, responded: str, timed_out: str) -> dict[str, Any]:
    return {"type": "wait_for_response", "of": "n0", "timeout": timeout, "responded": responded, "timed_out": timed_out}


def pause(length: str, following: str) -> dict[str, Any]:
    return {"type": "wait", "duration": length, "next": following}


def alone(graph: dict[str, Any], *deeds: tuple[str, float]) -> tuple[dict[str, Any], Cast]:
    did = [Deed(what, BEGIN + timedelta(hours=hours, seconds=30)) for what, hours in deeds]
    return graph, [(Somebody(1, {"line"}), BEGIN, did)]


ENDS = {"done": {"type": "end"}, "out": {"type": "end", "outcome": "o"}}
BOUGHT = {"happened": {"event": "purchase", "since": "entry"}}
TWO_WAYS = {"type": "branch", "cases": [{"when": BOUGHT, "next": "out"}], "otherwise": "done"}
BEFORE_THE_WAIT = alone(
    drawing({"n0": speak("n1"), "n1": pause("P1D", "n2"), "n2": answer("P1D", "out", "done"), **ENDS}), ("message", 5)
)
BOUGHT_BEFORE = alone(drawing({"n0": speak("n1"), "n1": pause("P1D", "n2"), "n2": TWO_WAYS, **ENDS}), ("buy", 5))


@pytest.mark.parametrize("story", [BEFORE_THE_WAIT, BOUGHT_BEFORE])
def test_what_he_did_before_it_was_asked_for_counts(story: tuple[dict[str, Any], Cast]) -> None:
    assert by_engine(*story)[1][0].ended == ("done", "o", BEGIN + timedelta(days=2 if story is BEFORE_THE_WAIT else 1))
    assert differ(*story) == []


def test_who_reacts_again_at_once_is_not_led_past_what_follows_his_reaction() -> None:
    nodes = {
        "n0": speak("n1"), "n1": answer("P1D", "n2", "done"), "n2": {"type": "action", "do": "tag_add", "tag": "tag_a", "next": "n3"},
        "n3": answer("P1D", "n4", "done"), "n4": {"type": "branch", "cases": [{"when": {"tag": "tag_a"}, "next": "out"}], "otherwise": "done"},
        "out": {"type": "end", "outcome": "o"}, "done": {"type": "end"},
    }  # fmt: skip
    deeds = [Deed("message", BEGIN + timedelta(minutes=minute, seconds=30)) for minute in (60, 61, 90)]
    assert differ(drawing(nodes), [(Somebody(1, {"line"}), BEGIN, deeds)]) == []


def test_who_reacts_while_a_repeated_message_is_held_still_gets_it() -> None:
    nodes = {"n0": speak("n1"), "n1": answer("PT3H", "done", "n0"), "done": {"type": "end"}}
    graph = drawing(nodes, quiet_hours={"start": "12:00", "end": "08:00"})
    deeds = [Deed("message", BEGIN + timedelta(hours=6, seconds=30))]
    assert differ(graph, [(Somebody(1, {"line"}), BEGIN, deeds)]) == []


# The engine broken on purpose -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def corpus() -> list[tuple[dict[str, Any], Cast]]:
    found = [BEFORE_THE_WAIT, BOUGHT_BEFORE]

    @settings(RUN, derandomize=True, phases=[Phase.generate], database=None)
    @given(stories())
    def collect(story: tuple[dict[str, Any], Cast]) -> None:
        if is_drawn_well(story[0]):
            found.append(story)

    collect()
    return found


BREAKS: dict[str, tuple[Any, str, Any]] = {
    "a wait is over as soon as it begins": (engine, "reached_at", lambda _node, moment: moment),
    "a late reaction is not looked at": (nodes, "has_responded", lambda *_: False),
    "what the person did is told to nobody": (hearing, "why_leaving", lambda *_: ""),
    "a reaction before the message counts": (hearing, "is_awaited", lambda _graph, _waiting, _one, fact: isinstance(fact, hearing.Reaction)),
    "everybody goes the first share's way": (nodes, "share_of", lambda node, *_: node.shares[0].next),
    "a person's own day is the day after": (nodes, "until_ends", lambda *given: until_ends(*given) + timedelta(days=1)),
    "caps are forgotten": (nodes, "_cap", lambda cap: Cap("all", 100, timedelta(minutes=1), cap.policy)),
    "what happened is not noted": (hearing, "keys_of", lambda _fact: iter(())),
}  # fmt: skip


@pytest.mark.parametrize("name", BREAKS)
def test_an_engine_that_is_broken_is_found_out(
    name: str, corpus: list[tuple[dict[str, Any], Cast]], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, attribute, wrong = BREAKS[name]
    monkeypatch.setattr(module, attribute, wrong)
    assert any(differ(graph, cast) for graph, cast in corpus)

"""A person's way is found again from the few notes on his enrollment: whatever was drawn and whatever people did."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.model import Row
from chalicelib.kernel.clock import from_text
from chalicelib.kernel.ids import AccountKey, Cid, ScenarioId, TemplateId
from chalicelib.messages.model import Template
from chalicelib.scenarios.graph import WaitForResponseNode, is_timed, parse
from chalicelib.scenarios.model import INLINE, Enrollment, Version
from chalicelib.scenarios.paths import Path, path_of
from chalicelib.scenarios.rehearsal import Assumptions, Rate, Rehearsal
from chalicelib.scenarios.telling import tell
from tests.pure.send_outside import person

NOON = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
LENGTHS = ("PT5M", "PT3H", "P1D", "P3D", "P10D")
VERB = {"type": "action", "do": "tag_add", "tag": "tag_a"}


def template(channel: str) -> Template:
    content: dict[str, Any] = {"messages": [{"type": "text", "text": "x"}]} if channel == "line" else {"text": "x"}
    return Template(TemplateId(f"tpl_{channel}"), "x", DeliveryChannel(channel), content, 1, NOON)


TEMPLATES = {f"tpl_{channel}": template(channel) for channel in ("line", "sms")}


@st.composite
def drawings(draw: st.DrawFn) -> dict[str, Any]:
    """Any graph: forward edges, and back only out of a wait of a day or more."""
    count = draw(st.integers(2, 8))
    kinds = [draw(st.sampled_from(["send", "wait", "answer", "branch", "split", "action", "day"])) for _ in range(count)]
    kinds[draw(st.integers(0, count - 1))] = "send"
    sends = [f"n{i}" for i, kind in enumerate(kinds) if kind == "send"]
    nodes: dict[str, Any] = {"e1": {"type": "end", "outcome": "one"}, "e2": {"type": "end"}}
    for i, kind in enumerate(kinds):
        ahead = st.sampled_from([f"n{j}" for j in range(i + 1, count)] * 3 + ["e1", "e2"])
        nodes[f"n{i}"] = draw(node_of(kind, i, ahead, sends))
    graph: dict[str, Any] = {
        "schema": "scenario/1", "name": "x", "start": "n0", "nodes": nodes,
        "trigger": draw(st.sampled_from([
            {"type": "event", "event": "follow"},
            {"type": "segment", "condition": {"field": "customer.known", "is": True}, "schedule": {"at": "13:00"}},
        ])),
    }  # fmt: skip
    if draw(st.booleans()):
        graph["quiet_hours"] = {"start": "20:00", "end": "09:00", "policy": draw(st.sampled_from(["delay", "skip"]))}
    if draw(st.booleans()):
        graph["caps"] = [{"most": 1, "per": "P1D", "policy": draw(st.sampled_from(["delay", "skip"]))}]
    if draw(st.booleans()):
        graph["goal"] = {"event": "purchase"}
    return graph


def node_of(kind: str, i: int, ahead: st.SearchStrategy[str], sends: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    optional = st.one_of(st.just(""), ahead)
    match kind:
        case "send":
            channel = st.sampled_from(["line", "sms"])
            return st.builds(
                lambda to, next, other: {"type": "send", "channel": to, "template": f"tpl_{to}", "next": next, "unreachable": other},
                channel, ahead, optional,
            )  # fmt: skip
        case "wait":
            back = st.sampled_from([f"n{j}" for j in range(i + 1)])
            return st.one_of(
                st.builds(lambda next, long, at: {"type": "wait", "duration": long, "next": next, "at": at},
                          ahead, st.sampled_from(LENGTHS), st.sampled_from(["", "10:00"])),
                st.builds(lambda next, long: {"type": "wait", "duration": long, "next": next}, back, st.sampled_from(["P3D", "P10D"])),
            )  # fmt: skip
        case "answer":
            return st.builds(
                lambda of, long, yes, no: {"type": "wait_for_response", "of": of, "timeout": long, "responded": yes, "timed_out": no},
                st.sampled_from(sends), st.sampled_from(LENGTHS), ahead, ahead,
            )  # fmt: skip
        case "branch":
            return st.builds(
                lambda yes, no: {"type": "branch", "cases": [{"when": {"tag": "tag_a"}, "next": yes}], "otherwise": no},
                ahead,
                ahead,
            )
        case "split":
            return st.builds(
                lambda a, b: {"type": "split", "shares": [{"weight": 3, "next": a}, {"weight": 2, "next": b}]}, ahead, ahead
            )
        case "action":
            return st.builds(lambda next: {**VERB, "next": next}, ahead)
    return st.builds(
        lambda next, missing: {
            "type": "wait", "until": {"date": "profile.birthday", "yearly": True}, "at": "09:00", "next": next, "missing": missing
        },
        ahead, optional,
    )  # fmt: skip


class Watched(Rehearsal):
    """A rehearsal that writes down who was at which node when."""

    def watch(self) -> dict[Cid, list[tuple[str, datetime]]]:
        seen: dict[Cid, list[tuple[str, datetime]]] = {cid: [] for cid in self.crowd.people}
        original = self.nodes.do

        def do(task: Any, ones: Any, owed: Any) -> Any:
            for one in ones:
                seen[one.cid].append((task.node_id, task.due))
            return original(task, ones, owed)

        self.nodes.do = do  # type: ignore[method-assign]
        return seen


def crowd() -> dict[Cid, Any]:
    found = {Cid(number): person(number, "main") for number in range(1, 7)}
    bare = replace(found[Cid(2)].customer, profile=replace(found[Cid(2)].customer.profile, phone=""))
    found[Cid(2)] = replace(found[Cid(2)], customer=bare)
    found[Cid(3)] = replace(found[Cid(3)], friends={})
    born = replace(found[Cid(4)].customer, profile=replace(found[Cid(4)].customer.profile, birthday=date(1990, 12, 20)))
    found[Cid(4)] = replace(found[Cid(4)], customer=born, tags=frozenset({"tag_a"}))
    return found


def told(path: Path, graph: Any) -> list[tuple[str, datetime]]:
    """The visits of a path at which the engine looks at a person himself."""
    silent = ("entered", "exited", "stands")
    steps = [step for step in path.steps if step.what not in silent and not is_timed(graph.nodes[step.node])]
    if steps and steps[-1].what == "waiting" and steps[-1].target == "":
        steps.pop()
    return [(step.node, (step.until or step.at) if step.what == "waited" else step.at) for step in steps]


def show(member: Any, position: Any, path: Path, happened: Any) -> str:
    lines = [f"{step.what} {step.why} {step.node}->{step.target} {step.at:%m%d%H%M} {step.until}" for step in path.steps]
    seen = [f"{node} {at:%m%d%H%M}" for node, at in happened]
    return "\n".join([f"{member.status} {member.reason} {member.ended_at} at {position}", str(dict(member.path)), *lines, *seen])


@settings(max_examples=300, deadline=None)
@given(drawing=drawings(), seed=st.integers(0, 9), days=st.integers(1, 40))
def test_the_path_is_what_happened(drawing: dict[str, Any], seed: int, days: int) -> None:
    graph = parse(drawing)
    rates = {name: Rate(0.5, (0.02, 80.0)) for name, node in drawing["nodes"].items() if node["type"] == "send"}
    assumed = Assumptions(NOON, days, {**rates, "goal": Rate(0.3, (0.1, 200.0))}, arrive_hours=30, seed=str(seed))
    version = Version(ScenarioId("x"), 1, graph)
    rehearsal = Watched(version, crowd(), TEMPLATES, [AccountKey("main")], assumed)
    seen = rehearsal.watch()
    rehearsal.run()
    for cid, member in rehearsal.records.members_by_cid.items():
        header = rehearsal.records.cohort(member.cohort)
        position = (header.at_node, header.at_due) if header else None
        path = path_of(member.enrollment, {1: graph}, position)
        happened = [(node, at) for node, at in seen[cid] if not isinstance(graph.nodes[node], WaitForResponseNode)]
        assert (path.is_whole, told(path, graph)) == (True, happened), show(member, position, path, seen[cid])
        assert all(tell(step, graph).ja and tell(step, graph).en for step in path.steps)


# What a rehearsal seldom brings about ----------------------------------------------------------------------------------------


def one_of(path: dict[str, str], status: str, ended: str = "", reason: str = "", cohort: str = INLINE, **more: Any) -> Enrollment:
    row = Row("C#1", "ENR#x#", Cid(1), cohort, status, "", "")
    ended_at = from_text(ended) if ended else None
    return Enrollment(row, ScenarioId("x"), 1, 1, "o", NOON, ended_at=ended_at, reason=reason, path=path, **more)


CHAIN = {
    "schema": "scenario/1", "name": "x", "start": "a", "trigger": {"type": "segment", "condition": {}, "schedule": {"at": "12:00"}},
    "nodes": {
        "a": {"type": "send", "channel": "line", "template": "t", "next": "w", "unreachable": "b"},
        "w": {"type": "wait_for_response", "of": "a", "timeout": "P3D", "responded": "e", "timed_out": "b"},
        "b": {"type": "branch", "cases": [{"when": {"tag": "t"}, "next": "w2"}], "otherwise": "e"},
        "w2": {"type": "wait", "duration": "P1D", "next": "b"},
        "e": {"type": "end"},
    },
}  # fmt: skip


def steps_of(one: Enrollment, position: tuple[str, datetime] | None = None) -> list[tuple[str, str, str]]:
    path = path_of(one, {1: parse(CHAIN)}, position)
    assert path.is_whole
    return [(step.node, step.what, f"{step.at:%d %H:%M}") for step in path.steps]


def test_who_came_to_a_cohort_that_was_closed_already_went_with_the_next_one() -> None:
    one = one_of({"a__202612010300": "skipped blocked"}, "done", "2026-12-01T03:10:00Z", "e")
    expected = [
        ("a", "entered", "01 03:00"),
        ("a", "skipped", "01 03:00"),
        ("b", "otherwise", "01 03:10"),
        ("e", "ended", "01 03:10"),
    ]
    assert steps_of(one) == expected


def test_who_reacts_while_his_cohort_still_stands_at_the_message_goes_on_from_its_wait() -> None:
    notes = {"a__202612010300": "sent", "w__202612010300": "moved e responded 202612010305"}
    answers = {"a": "2026-12-01T03:01:00.000Z A postback"}
    one = one_of(notes, "done", "2026-12-01T03:05:00Z", "e", responses=answers)
    assert steps_of(one)[2:] == [("w", "responded", "01 03:01"), ("e", "ended", "01 03:05")]


def test_a_pause_that_put_a_cohort_off_is_seen_by_where_it_stands() -> None:
    one = one_of({"a__202612010300": "sent"}, "active", cohort="x-v1-a-202612010300")
    late = NOON + timedelta(days=5)
    assert steps_of(one, ("w", late))[-1] == ("w", "waiting", "01 03:00")


def test_what_cannot_be_explained_is_told_as_it_stands() -> None:
    one = one_of({"gone__202612010300": "sent", "a__202612010300": "sent"}, "exited", "2026-12-02T00:00:00Z", "blocked")
    path = path_of(one, {1: parse(CHAIN)}, None)
    assert not path.is_whole
    assert [step.what for step in path.steps][-2:] == ["sent", "exited"]


def test_who_was_erased_leaves_no_way_to_tell() -> None:
    one = one_of({}, "exited", "2026-12-02T00:00:00Z", "erased")
    assert [step.what for step in path_of(one, {}, None).steps] == ["entered", "exited"]


def test_what_was_noted_after_a_pause_says_how_long_everything_was_put_off() -> None:
    notes = {"a__202612010300": "sent", "b__202612060300": "moved w2 case 1 202612070300"}
    one = one_of(notes, "active", cohort="x-v1-w2-202612070300")
    assert steps_of(one, ("w2", NOON + timedelta(days=6)))[-2:] == [("b", "case", "06 03:00"), ("w2", "waiting", "06 03:00")]

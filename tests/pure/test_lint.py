"""What keeps a drawing from being published: each code with an example, its sentence, and the node where it stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.ids import TemplateId
from chalicelib.messages.model import Template
from chalicelib.scenarios import actions, lint_nodes
from chalicelib.scenarios.graph import ActionNode, Occasion, parse
from chalicelib.scenarios.known import Here
from chalicelib.scenarios.lint import LONGEST_NAME, MOST_NODES, lint
from chalicelib.scenarios.lint_words import SENTENCES, explained
from tests.pure.test_graph import END, answer, branch, graph, send, split, wait

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
SEEN = {
    "account": {"main"}, "tag": {"tag_a"}, "link": {"shop"}, "live_segment": {"seg_a"}, "webhook": {"crm"}, "scenario": {"other"},
    "action": {"tag_add", "webhook", "scenario_start", "notify_staff", "attribute_set", "attribute_add", "score_add"},
}  # fmt: skip
SEGMENTS = {"seg_a": {"tag": "tag_a"}, "seg_still": {"tag": "tag_a"}, "seg_loop": {"not": {"segment": "seg_loop"}}}


def template(template_id: str, channel: str, content: dict[str, Any]) -> Template:
    return Template(TemplateId(template_id), template_id, DeliveryChannel(channel), content, 1, NOW)


TEMPLATES = {
    "tpl_a": template("tpl_a", "line", {"messages": [{"type": "text", "text": "{{link.shop}}"}]}),
    "tpl_lost": template("tpl_lost", "line", {"messages": [{"type": "text", "text": "{{link.gone}}"}]}),
    "tpl_mail": template("tpl_mail", "email", {"subject": "x", "text": "x"}),
    "tpl_letter": template("tpl_letter", "postal", {"heading": "x", "body": "x", "link": "gone"}),
}


def look_up(kind: str, name: str) -> object:
    if kind in ("template", "segment"):
        return {"template": TEMPLATES, "segment": SEGMENTS}[kind].get(name)
    return name if name in SEEN[kind] else None


def here() -> Here:
    return Here(look_up, "itself", NOW)


def until(date: str = "profile.birthday", to: str = "done", **more: Any) -> dict[str, Any]:
    node = {name: more.pop(name) for name in list(more) if name not in ("offset_days", "yearly", "before")}
    return {"type": "wait", "until": {"date": date, **more}, "next": to, **node}


def act(do: str, **more: Any) -> dict[str, Any]:
    return {"type": "action", "do": do, "next": "done", **more}


def one(node: dict[str, Any]) -> dict[str, Any]:
    return {"a": node, "done": END}


def asks(when: Any) -> dict[str, Any]:
    return one(branch("done", when=when))


def to_all(*whens: Any) -> dict[str, Any]:
    return one({"type": "branch", "cases": [{"when": when, "next": "done"} for when in whens], "otherwise": "done"})


def on(**occasion: Any) -> dict[str, Any]:
    return {"hello": send("a"), "a": answer(on=occasion), "done": END}


def segment(condition: Any = None, **schedule: Any) -> dict[str, Any]:
    return {"trigger": {"type": "segment", "condition": condition or {"tag": "tag_a"}, "schedule": {"at": "10:00", **schedule}}}


DONE = {"done": END}
WHOLE = ""
DEEP: dict[str, Any] = {"tag": "tag_a"}
for _ in range(25):
    DEEP = {"not": DEEP}

# (code, nodes, more of the scenario, node, path)
CASES: list[tuple[str, dict[str, Any], dict[str, Any], str, str]] = [
    # The drawing
    ("name_empty", DONE, {"name": " "}, WHOLE, ""),
    ("name_too_long", DONE, {"name": "x" * (LONGEST_NAME + 1)}, WHOLE, ""),
    ("label_too_long", {"done": {"type": "end", "label": "x" * 101}}, {}, "done", ""),
    ("label_too_long", {"a": {"type": "branch", "cases": [{"when": {"tag": "tag_a"}, "next": "done", "label": "x" * 101}], "otherwise": "done"},
                        "done": END}, {}, "a", ""),
    ("wrong_number_of_nodes", {f"n{i}": END for i in range(MOST_NODES + 1)}, {}, WHOLE, ""),
    ("id_malformed", {"A": send(), "done": END}, {}, "A", ""),
    ("id_malformed", {"a.b": send(), "done": END}, {}, "a.b", ""),
    ("id_malformed", {"a" * 21: send(), "done": END}, {}, "a" * 21, ""),
    ("id_malformed", {"a\n": send(), "done": END}, {}, "a\n", ""),
    ("start_unknown", DONE, {"start": "nowhere"}, WHOLE, ""),
    ("dangling_edge", one(send("nowhere")), {}, "a", ""),
    ("dangling_edge", one(send("done", unreachable="nowhere")), {}, "a", ""),
    ("dangling_edge", one(branch("nowhere")), {}, "a", ""),
    ("dangling_edge", one(branch("done", otherwise="nowhere")), {}, "a", ""),
    ("dangling_edge", one(split((1, "done"), (1, "nowhere"))), {}, "a", ""),
    ("dangling_edge", one(until(missing="nowhere")), {}, "a", ""),
    ("dangling_edge", one(until(past="nowhere")), {}, "a", ""),
    ("unreachable", {"a": send(), "done": END, "island": send()}, {}, "island", ""),
    ("loop_without_wait", {"a": send("a")}, {}, "a", ""),
    ("loop_without_wait", {"a": branch("b"), "b": send("a"), "done": END}, {}, "a", ""),
    # "At 10:00 today" that begins at 10:00 is over at once: the loop would turn for ever at one instant.
    ("loop_without_wait", {"a": send("b"), "b": wait("a", "P0D", at="10:00")}, {}, "a", ""),
    ("loop_without_wait", {"a": send("b"), "b": wait("a", "", weekdays=["mon"])}, {}, "a", ""),
    ("loop_without_wait", {"a": send("b"), "b": until(to="a")}, {}, "a", ""),
    ("loop_without_wait", {"a": send("b"), "b": until(to="a", yearly=True)}, {}, "a", ""),
    ("loop_without_wait", {"hello": send("b"), "b": answer(timeout="PT0M", at="10:00", responded="hello", timed_out="hello")}, {}, "b", ""),
    # Sends
    ("template_unknown", one(send(template="tpl_none")), {}, "a", "template"),
    ("template_of_other_channel", one(send(template="tpl_mail")), {}, "a", "template"),
    ("link_unknown", one(send(template="tpl_lost")), {}, "a", "template"),
    ("link_unknown", one(send(template="tpl_letter", channel="postal")), {}, "a", "template"),
    ("account_unknown", one(send(account="sub")), {}, "a", "account"),
    ("account_unknown", DONE, {"account": "sub"}, WHOLE, "account"),
    ("account_without_line", one(send(template="tpl_mail", channel="email", account="main")), {}, "a", "account"),
    # Waits
    ("too_long", one(wait("done", "P1101D")), {}, "a", "duration"),
    ("too_long", {"hello": send("a"), "a": answer(timeout="P1101D"), "done": END}, {}, "a", "timeout"),
    ("too_long", DONE, {"reentry": {"mode": "after_exit", "cooldown": "P9999999D"}}, WHOLE, "reentry.cooldown"),
    ("too_long", DONE, {"goal": {"event": "purchase", "window": "P9999D"}}, WHOLE, "goal.window"),
    ("too_long", one(until("trigger.starts_at", before="P9999D")), {}, "a", "until.before"),
    ("wait_empty", one(wait("done", "PT0M")), {}, "a", "duration"),
    ("wait_empty", one(wait("done", "")), {}, "a", "duration"),
    ("wait_empty", {"hello": send("a"), "a": answer(timeout="P0D"), "done": END}, {}, "a", "timeout"),
    ("wait_empty", DONE, {"goal": {"event": "purchase", "window": "P0D"}}, WHOLE, "goal.window"),
    ("duration_malformed", one(wait("done", "3 days")), {}, "a", "duration"),
    ("duration_malformed", one(wait("done", "P99999999999999D")), {}, "a", "duration"),
    ("duration_malformed", {"hello": send("a"), "a": answer(timeout=""), "done": END}, {}, "a", "timeout"),
    ("duration_malformed", DONE, {"reentry": {"mode": "after_exit", "cooldown": "soon"}}, WHOLE, "reentry.cooldown"),
    ("duration_malformed", DONE, {"caps": [{"most": 1, "per": "week"}]}, WHOLE, "caps[0].per"),
    ("time_malformed", one(wait("done", at="25:00")), {}, "a", "at"),
    ("time_malformed", one(until(at="9:00")), {}, "a", "at"),
    ("time_malformed", {"hello": send("a"), "a": answer(at="noon"), "done": END}, {}, "a", "at"),
    ("time_malformed", DONE, segment(at=""), WHOLE, "trigger.schedule.at"),
    ("time_malformed", DONE, {"quiet_hours": {"start": "9", "end": "21:00"}}, WHOLE, "quiet_hours.start"),
    ("time_malformed", DONE, {"trigger": {"type": "dormant", "days": 9, "at": "x"}}, WHOLE, "trigger.at"),
    ("wait_two_ways", one(until(duration="P1D")), {}, "a", "until"),
    ("wait_two_ways", one(until(weekdays=["mon"])), {}, "a", "until"),
    ("way_without_until", one(wait(missing="done")), {}, "a", "missing"),
    ("way_without_until", one(wait(past="done")), {}, "a", "past"),
    ("date_unknown", one(until("profile.name")), {}, "a", "until.date"),
    ("date_unknown", one(until("trigger.")), {}, "a", "until.date"),
    ("date_unknown", DONE, {"trigger": {"type": "date", "date": "trigger.x", "at": "10:00"}}, WHOLE, "trigger.date"),
    ("offset_too_far", one(until(offset_days=-1101)), {}, "a", "until.offset_days"),
    ("offset_too_far", DONE, {"trigger": {"type": "date", "date": "profile.birthday", "at": "10:00", "offset_days": 3651}}, WHOLE, "trigger.offset_days"),
    ("before_without_instant", one(until(before="PT2H")), {}, "a", "until.before"),
    ("before_without_instant", one(until("trigger.starts_at", before="PT2H", at="10:00")), {}, "a", "until.before"),
    # Reactions
    ("of_is_no_send", {"hello": send("a"), "a": answer(of="done"), "done": END}, {}, "a", ""),
    ("of_is_no_send", {"hello": send("a"), "a": answer(of="nowhere"), "done": END}, {}, "a", ""),
    ("of_never_before", {"a": answer(of="hello", responded="done", timed_out="hello"), "hello": send(), "done": END}, {}, "a", ""),
    # Who comes by `unreachable` alone was sent nothing.
    ("of_never_before", {"hello": send(unreachable="a"), "a": answer(), "done": END}, {}, "a", ""),
    ("occasion_word", on(event="purchase", tag="tag_a"), {}, "a", "on.tag"),
    ("occasion_word", DONE, {"goal": {"event": "follow", "min_amount_yen": 1}}, WHOLE, "goal.min_amount_yen"),
    ("occasion_word", DONE, {"exits": ["blocked", {"event": "clicked", "name": "x"}]}, WHOLE, "exits[1].name"),
    ("occasion_name_missing", on(event="custom"), {}, "a", "on.name"),
    ("occasion_name_missing", DONE, {"trigger": {"type": "event", "event": "custom"}}, WHOLE, "trigger.name"),
    ("amount_negative", DONE, {"goal": {"event": "purchase", "min_amount_yen": -1}}, WHOLE, "goal.min_amount_yen"),
    ("tag_unknown", on(event="tag_added", tag="tag_z"), {}, "a", "on.tag"),
    ("occasion_segment_missing", on(event="segment_left"), {}, "a", "on.segment"),
    ("segment_unknown", DONE, {"exits": [{"event": "segment_left", "segment": "seg_z"}]}, WHOLE, "exits[0].segment"),
    ("live_segment_unknown", DONE, {"trigger": {"type": "event", "event": "segment_entered", "segment": "seg_still"}}, WHOLE, "trigger.segment"),
    ("occasion_word", on(event="tag_added", tag="tag_a", segment="seg_a"), {}, "a", "on.segment"),
    ("tag_unknown", one(act("tag_add", tag="tag_z")), {}, "a", "tag"),
    ("tag_unknown", asks({"not": {"tag": "tag_z"}}), {}, "a", "cases[0].when"),
    ("tag_unknown", DONE, {"filter": {"any": [{"tag": "tag_z"}]}}, WHOLE, "filter"),
    ("tag_unknown", DONE, segment({"tag": "tag_z"}), WHOLE, "trigger.condition"),
    ("link_unknown", DONE, {"exits": [{"event": "clicked", "link": "gone"}]}, WHOLE, "exits[0].link"),
    ("link_unknown", asks({"responded": {"link": "gone"}}), {}, "a", "cases[0].when"),
    # Ways
    ("no_cases", one(branch()), {}, "a", "cases"),
    ("case_never_reached", to_all({"any": [{"tag": "tag_a"}, {"all": []}]}, {"tag": "tag_a"}), {}, "a", "cases[1].when"),
    ("case_never_reached", to_all({"not": {"all": [{"tag": "tag_a"}, {"any": []}]}}, {"tag": "tag_a"}), {}, "a", "cases[1].when"),
    ("case_never_reached", to_all({"all": []}, {"tag": "tag_a"}), {}, "a", "cases[1].when"),
    ("case_never_reached", to_all({"not": {"any": [{"not": {"all": []}}]}}, {"tag": "tag_a"}), {}, "a", "cases[1].when"),
    ("case_never_reached", to_all({"tag": "tag_a"}, {"field": "line.reachable", "is": True}, {"tag": "tag_a"}), {}, "a", "cases[2].when"),
    ("shares_malformed", one(split((1, "done"))), {}, "a", ""),
    ("shares_malformed", one(split((1, "done"), (0, "done"))), {}, "a", ""),
    ("shares_malformed", one(split((1, "done"), (10**7, "done"))), {}, "a", ""),
    ("condition_value", asks({"tag": ""}), {}, "a", "cases[0].when.tag"),
    ("condition_value", DONE, {"filter": {"all": [{"tag": 1}]}}, WHOLE, "filter.all[0].tag"),
    ("condition_kind", asks({"all": [{"colour": 1}]}), {}, "a", "cases[0].when.all[0]"),
    ("condition_malformed", asks({"all": 1}), {}, "a", "cases[0].when.all"),
    ("condition_unknown_key", asks({"tag": "tag_a", "not_there": 1}), {}, "a", "cases[0].when.not_there"),
    ("condition_field_unknown", asks({"field": "profile.shoe", "is": 1}), {}, "a", "cases[0].when.field"),
    ("condition_too_deep", asks(DEEP), {}, "a", "cases[0].when" + ".not" * 21),
    ("condition_gender", asks({"field": "profile.gender", "is": "女性"}), {}, "a", "cases[0].when.is"),
    ("condition_too_large", asks({"any": [{"tag": "tag_a"}] * 2001}), {}, "a", "cases[0].when.any[1999]"),
    ("link_unknown", asks({"event": {"kind": "clicked", "link": "lnk_z"}}), {}, "a", "cases[0].when"),
    ("link_unknown", asks({"reacted": {"campaign": "cmp_z", "link": "lnk_z"}}), {}, "a", "cases[0].when"),
    ("scenario_unknown", asks({"received": {"scenario": "z"}}), {}, "a", "cases[0].when"),
    ("scenario_unknown", asks({"reacted": {"scenario": "z"}}), {}, "a", "cases[0].when"),
    ("scenario_unknown", asks({"scenario": {"id": "z"}}), {}, "a", "cases[0].when"),
    ("condition_no_such_day", asks({"date": "purchase.first", "from": "2026-02-30"}), {}, "a", "cases[0].when.from"),
    ("condition_of_a_run", DONE, {"filter": {"responded": {}}}, WHOLE, "filter.responded"),
    ("condition_of_a_run", DONE, {"stays_while": {"not": {"happened": {"event": "purchase"}}}}, WHOLE, "stays_while.not.happened"),
    ("condition_of_a_run", DONE, segment({"responded": {}}), WHOLE, "trigger.condition.responded"),
    ("condition_segment_unknown", asks({"segment": "seg_z"}), {}, "a", "cases[0].when.segment"),
    ("condition_cycle", asks({"segment": "seg_loop"}), {}, "a", "cases[0].when.segment(seg_loop).not.segment"),
    ("condition_no_send", asks({"responded": {"of": "done"}}), {}, "a", "cases[0].when"),
    ("condition_no_send", asks({"happened": {"event": "purchase", "since": "a"}}), {}, "a", "cases[0].when"),
    # Actions
    *[("action_incomplete", one(act(do)), {}, "a", needed[0]) for do, (needed, _) in lint_nodes.ACTIONS.items()],
    ("action_incomplete", one(act("attribute_set", attribute="x")), {}, "a", "value"),
    ("action_word", one(act("tag_add", tag="tag_a", text="x")), {}, "a", "text"),
    ("action_unknown", one(act("coupon", target="c10")), {}, "a", "do"),
    ("webhook_unknown", one(act("webhook", target="erp")), {}, "a", "target"),
    ("scenario_unknown", one(act("scenario_start", scenario="nowhere")), {}, "a", "scenario"),
    ("scenario_itself", one(act("scenario_start", scenario="itself")), {}, "a", "scenario"),
    ("attribute_malformed", one(act("attribute_set", attribute='a"b', value=1)), {}, "a", "attribute"),
    ("attribute_malformed", one(act("attribute_add", attribute="x" * 101, by=1)), {}, "a", "attribute"),
    ("text_too_long", one(act("notify_staff", text="x" * 501)), {}, "a", "text"),
    ("text_too_long", one(act("attribute_set", attribute="x", value="x" * 501)), {}, "a", "value"),
    ("number_too_large", one(act("score_add", by=10**12 + 1)), {}, "a", "by"),
    ("number_too_large", one(act("attribute_set", attribute="x", value=-1e300)), {}, "a", "value"),
    # The whole
    ("trigger_tag_missing", DONE, {"trigger": {"type": "event", "event": "tag_added"}}, WHOLE, "trigger.tag"),
    ("days_out_of_range", DONE, {"trigger": {"type": "dormant", "days": 0, "at": "10:00"}}, WHOLE, "trigger.days"),
    ("schedule_weekdays", DONE, segment(every="week"), WHOLE, "trigger.schedule.weekdays"),
    ("schedule_weekdays", DONE, segment(weekdays=["mon"]), WHOLE, "trigger.schedule.weekdays"),
    ("schedule_day", DONE, segment(every="month"), WHOLE, "trigger.schedule.day"),
    ("schedule_day", DONE, segment(every="month", day=32), WHOLE, "trigger.schedule.day"),
    ("schedule_day", DONE, segment(day=3), WHOLE, "trigger.schedule.day"),
    ("schedule_date", DONE, segment(every="once"), WHOLE, "trigger.schedule.on"),
    ("schedule_date", DONE, segment(every="once", on="9999-12-31"), WHOLE, "trigger.schedule.on"),
    ("schedule_date", DONE, segment(on="2026-12-24"), WHOLE, "trigger.schedule.on"),
    ("schedule_past", DONE, segment(every="once", on="2026-12-01"), WHOLE, "trigger.schedule.on"),  # ten o'clock is past at noon
    ("key_without_always", DONE, {"reentry": {"mode": "never", "key": "order_no"}}, WHOLE, "reentry.key"),
    ("window_empty", DONE, {"quiet_hours": {"start": "09:00", "end": "09:00"}}, WHOLE, "quiet_hours"),
    ("cap_malformed", DONE, {"caps": [{"most": 0, "per": "P7D"}]}, WHOLE, "caps[0]"),
    ("cap_malformed", DONE, {"caps": [{"most": 3, "per": "P7D"}, {"most": 3, "per": "P367D"}]}, WHOLE, "caps[1]"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "nodes", "more", "node", "path"), CASES, ids=[f"{case[0]}-{i}" for i, case in enumerate(CASES)])
def test_the_linter_finds_it_where_it_is(code: str, nodes: dict[str, Any], more: dict[str, Any], node: str, path: str) -> None:
    found = lint(parse(graph(nodes, **more)), here())
    problem = next((one for one in found if (one["node"], one["code"]) == (node, code)), None)
    assert problem is not None, found
    assert problem.get("path", "") == path
    sentences = explained(problem)
    assert not re.search(r"\{[a-z_]+\}", sentences["ja"] + sentences["en"]), sentences


@pytest.mark.parametrize(
    ("nodes", "more"),
    [
        ({"a": send("b"), "b": wait("a")}, {}),
        ({"hello": send("b"), "b": answer(responded="hello", timed_out="hello")}, {}),
        ({"hello": send("a", unreachable="a"), "a": answer(), "done": END}, {}),
        (one(wait("done", "P0D", at="10:00")), {}),
        (one(wait("done", "", weekdays=["sat", "sun"], at="10:00")), {}),
        (one(wait("done", "P1100D")), {}),
        (one(until("attribute.収穫日", offset_days=-3, at="18:00", missing="done", past="done")), {}),
        (one(until("trigger.starts_at", before="PT2H")), {}),
        (on(event="custom", name="quote"), {}),
        (asks({"all": [{"segment": "seg_a"}, {"tag": "tag_a"}]}), {}),
        ({"hello": send("a"), **asks({"any": [{"responded": {"of": "hello"}}, {"happened": {"event": "purchase", "since": "hello"}}]})}, {}),
        (to_all({"any": [{"tag": "tag_a"}]}, {"not": {"any": [{"tag": "tag_a"}, {"any": []}]}}, {"all": [{"all": []}, {"segment": "seg_a"}]}, {"all": []}), {}),
        (one(act("webhook", target="crm", data={"label": "x"})), {}),
        (one(act("attribute_set", attribute="member", value=False)), {}),
        (one(act("attribute_set", attribute="points", value=0)), {}),
        (one(send(account="main")), {"account": "main", "caps": [{"most": 3, "per": "P7D", "scope": "scenario"}]}),
        (DONE, segment(every="once", on="2026-12-02")),
        (DONE, segment(every="month", day=31)),
        (DONE, {"trigger": {"type": "manual"}, "reentry": {"mode": "after_exit", "cooldown": "P0D"}}),
        ({f"n{i}": send(f"n{i + 1}") for i in range(MOST_NODES - 1)} | {f"n{MOST_NODES - 1}": END}, {}),
    ],
)  # fmt: skip
def test_what_can_run_has_no_problem(nodes: dict[str, Any], more: dict[str, Any]) -> None:
    assert lint(parse(graph(nodes, **more)), here()) == []


def test_without_a_house_what_is_named_is_taken_to_be_there() -> None:
    nodes = {"hello": send("a", template="tpl_none", account="sub"), **asks({"segment": "seg_z"})}
    assert lint(parse(graph(nodes, account="sub"))) == []
    assert len(lint(parse(graph(nodes, account="sub")), here())) == 4


def test_nothing_is_asked_for_under_a_name_that_no_key_could_have() -> None:
    @dataclass
    class Asked:
        names: list[str]

        def __call__(self, kind: str, name: str) -> object:
            self.names.append(name)
            return look_up(kind, name)

    asked = Asked([])
    lint(parse(graph(one(send(template="x" * 5000)) | {}, account="")), Here(asked, "itself", NOW))
    assert asked.names == []


# Codes and sentences ---------------------------------------------------------------------------------------------------------

SOURCES = [Path(lint_nodes.__file__).parent / f"{name}.py" for name in ("lint", "lint_nodes", "lint_parts", "lint_whole")]


def emitted() -> set[str]:
    text = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    written = set(re.findall(r'(?:add\(|"code": )"([a-z_]+)"', text))
    kinds = set(re.findall(r'check_named\("([a-z_]+)"', text))
    reader = Path(lint_nodes.__file__).parents[1] / "segments" / "reading.py"
    conditions = set(re.findall(r'InvalidError\("condition\.([a-z_]+)"', reader.read_text(encoding="utf-8")))
    return written | {f"{kind}_unknown" for kind in kinds} | {f"condition_{code}" for code in conditions}


def test_every_code_has_its_sentence_and_its_example_and_no_sentence_is_left_over() -> None:
    assert emitted() == set(SENTENCES) == {case[0] for case in CASES}


@pytest.mark.parametrize("code", SENTENCES)
def test_a_sentence_is_japanese_and_english(code: str) -> None:
    japanese, english = SENTENCES[code]
    assert re.search("[ぁ-ん]", japanese) and japanese.endswith("。")
    assert english.isascii() and english.endswith(".")


def test_every_verb_of_the_grammar_is_looked_at() -> None:
    (verbs,) = [field.type for field in __import__("msgspec").structs.fields(ActionNode) if field.name == "do"]
    assert set(lint_nodes.ACTIONS) == set(verbs.__args__)
    assert set(actions.OPEN_VERBS) < set(lint_nodes.ACTIONS)


def test_every_narrowing_of_an_occasion_is_looked_at() -> None:
    from chalicelib.scenarios import lint_parts

    assert {"event", *lint_parts._WORDS} == {field.name for field in __import__("msgspec").structs.fields(Occasion)}

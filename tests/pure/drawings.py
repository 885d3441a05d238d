"""Random drawings: some that a marketer could publish, most that he could not."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.pure.test_graph import END

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
IDS = [f"n{i}" for i in range(6)]
LENGTHS = st.sampled_from(["P1D", "PT30M", "P2W", "PT1H30M", "P0D"])
TIMES = st.sampled_from(["00:00", "09:30", "10:00", "23:59"])
DAYS = st.lists(st.sampled_from(["mon", "wed", "sun"]), unique=True, max_size=3)
DATES = st.sampled_from(["profile.birthday", "purchase.last", "attribute.会員日", "trigger.starts_at"])


def given(draw: st.DrawFn, **parts: st.SearchStrategy[Any]) -> dict[str, Any]:
    """Return some of these parts."""
    return {name: draw(values) for name, values in parts.items() if draw(st.booleans())}


@st.composite
def conditions(draw: st.DrawFn, depth: int = 0, *, in_run: bool = True) -> dict[str, Any]:
    of_a_run = [{"responded": {"of": "n0"}}, {"happened": {"event": "purchase"}}]
    leaf = st.sampled_from(
        [
            *(of_a_run if in_run else []),
            {"tag": "tag_a"}, {"field": "line.reachable", "is": True}, {"field": "purchase.count", "from": 2},
            {"purchase": {"count_from": 1}}, {"date": "purchase.last", "before_days": 30},
            {"segment": "seg_a"}, {"field": "attribute.色", "in": ["赤", 1, True]},
        ]
    )  # fmt: skip
    if depth == 2 or draw(st.booleans()):
        return draw(leaf)
    word = draw(st.sampled_from(["all", "any", "not"]))
    inner = conditions(depth + 1, in_run=in_run)
    return {word: draw(inner) if word == "not" else draw(st.lists(inner, max_size=3))}


OCCASIONS = st.sampled_from(
    [
        {"event": "purchase", "product": "茶碗", "min_amount_yen": 3000}, {"event": "first_purchase"}, {"event": "clicked", "link": "shop"},
        {"event": "message", "contains": "予約"}, {"event": "custom", "name": "coupon_used"}, {"event": "tag_added", "tag": "tag_a"},
        {"event": "survey_answered"}, {"event": "postback", "data": "yes"}, {"event": "blocked"},
    ]
)  # fmt: skip
WRONG_OCCASIONS = st.sampled_from([{"event": "custom"}, {"event": "follow", "tag": "tag_a"}])
ACTIONS = st.sampled_from(
    [
        {"do": "tag_add", "tag": "tag_a"}, {"do": "attribute_set", "attribute": "色", "value": "赤"}, {"do": "score_add", "by": -3},
        {"do": "notify_staff", "text": "ご確認ください"}, {"do": "webhook", "target": "crm", "data": {"on": "10:00"}},
        {"do": "scenario_start", "scenario": "other"}, {"do": "attribute_add", "attribute": "回数", "by": 1},
    ]
)  # fmt: skip
WRONG_ACTIONS = st.sampled_from([{"do": "tag_add"}, {"do": "score_add", "by": 0}, {"do": "tag_add", "tag": "tag_a", "text": "x"}])


@st.composite
def nodes(draw: st.DrawFn, to: st.SearchStrategy[str], *, wild: bool) -> dict[str, Any]:
    kind = draw(st.sampled_from(["send", "wait", "until", "answer", "branch", "split", "action", *(["end"] if wild else [])]))
    label = given(draw, label=WORDS)
    match kind:
        case "send":
            more = given(draw, unreachable=to, best_hour=st.booleans(), important=st.booleans())
            channel = draw(st.sampled_from(["line", "email", "sms", "postal"]))
            return {"type": "send", "channel": channel, "template": "tpl_a", "next": draw(to), **more, **label}
        case "wait":
            length = {} if wild else {"duration": "P1D"}
            return {"type": "wait", "next": draw(to), **length, **given(draw, duration=LENGTHS, at=TIMES, weekdays=DAYS), **label}
        case "until":
            date = draw(DATES)
            until = {"date": date, **given(draw, offset_days=st.integers(-9, 9), yearly=st.booleans())}
            if wild or (date == "trigger.starts_at" and until == {"date": date}):
                until |= given(draw, before=st.sampled_from(["PT2H", "P1D"]))
            at = {} if "before" in until else given(draw, at=TIMES)
            return {"type": "wait", "next": draw(to), "until": until, **at, **given(draw, missing=to, past=to), **label}
        case "answer":
            more = given(
                draw,
                at=TIMES,
                weekdays=DAYS,
                evidence=st.sampled_from("ABC"),
                on=OCCASIONS | WRONG_OCCASIONS if wild else OCCASIONS,
            )
            timeout, of = (draw(LENGTHS), draw(to)) if wild else ("P3D", "n0")
            return {"type": "wait_for_response", "of": of, "timeout": timeout, "responded": draw(to), "timed_out": draw(to), **more}
        case "branch":
            whens = draw(st.lists(conditions(), min_size=0 if wild else 1, max_size=3))
            return {"type": "branch", "cases": [{"when": when, "next": draw(to)} for when in whens], "otherwise": draw(to), **label}
        case "split":
            weights = draw(st.lists(st.integers(0 if wild else 1, 5), min_size=1 if wild else 2, max_size=3))
            return {"type": "split", "shares": [{"weight": weight, "next": draw(to)} for weight in weights], **label}
        case "action":
            return {"type": "action", "next": draw(to), **draw(ACTIONS | WRONG_ACTIONS if wild else ACTIONS), **label}
        case _:
            return {**END, **given(draw, outcome=WORDS)}


TRIGGERS = [
    {"type": "event", "event": "follow"}, {"type": "manual"}, {"type": "dormant", "days": 90, "at": "10:00"},
    {"type": "date", "date": "profile.birthday", "at": "09:00", "offset_days": -7, "yearly": True},
    {"type": "segment", "condition": {"tag": "tag_a"}, "schedule": {"at": "10:00", "every": "week", "weekdays": ["mon"]}},
    {"type": "event", "event": "custom", "name": "booked"},
]  # fmt: skip
WRONG_TRIGGERS = [
    {"type": "segment", "condition": {"responded": {}}, "schedule": {"at": "10:00", "every": "once", "on": "2027-01-01"}},
    {"type": "event", "event": "tag_added"},
]  # fmt: skip


@st.composite
def drawings(draw: st.DrawFn) -> dict[str, Any]:
    """Return a drawing that can be read; every other one is `wild`: its edges go anywhere and its parts may be wrong."""
    wild = draw(st.booleans())
    ids = IDS[: draw(st.integers(1, len(IDS)))]
    made: dict[str, Any] = {}
    for index, node_id in enumerate(ids):
        following = (*ids[index + 1 :], "done")[0]
        to = (
            st.sampled_from([*ids, "done"])
            if wild
            else st.just(following) | st.sampled_from([following, *ids[index + 2 :], "done"])
        )
        made[node_id] = draw(nodes(to, wild=wild))
        if not wild and index == 0:
            made[node_id] = {"type": "send", "channel": "line", "template": "tpl_a", "next": following}
    more = given(
        draw,
        description=WORDS,
        account=st.just("main"),
        filter=conditions(in_run=wild),
        stays_while=conditions(in_run=wild),
        reentry=st.sampled_from([{"mode": "always", "key": "no"}, {"mode": "after_exit", "cooldown": "P9D"}, {"mode": "never"}]),
        goal=st.sampled_from([{"event": "purchase", "window": "P30D", "exit": False}, {"event": "linked"}]),
        exits=st.lists(st.sampled_from(["blocked", "opted_out"]) | OCCASIONS, max_size=3),
        quiet_hours=st.sampled_from([{"start": "21:00", "end": "09:00"}, {"start": "00:00", "end": "06:00", "policy": "skip"}]),
        caps=st.lists(st.sampled_from([{"most": 2, "per": "P7D"}, {"most": 1, "per": "P1D", "scope": "channel"}]), max_size=2),
        layout=st.sampled_from([{}, {"n0": [0, 1.5, None]}]),
    )
    trigger = draw(st.sampled_from([*TRIGGERS, *WRONG_TRIGGERS] if wild else TRIGGERS))
    name = draw(WORDS.filter(str.strip))
    return {"schema": "scenario/1", "name": name, "trigger": trigger, "start": ids[0], "nodes": {**made, "done": END}, **more}

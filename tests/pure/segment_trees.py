"""Any condition as JSON, as Hypothesis draws it: every leaf in every way it can be written."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import strategies as st

from chalicelib.customers.model import Gender
from chalicelib.segments.expression import ACTS, DATES, EVENTS, FIELDS, STATES

TEXT = st.text(max_size=6) | st.sampled_from(
    ["", "「」", "」が付いている人", "“a”", "a”", "-", "札幌市", "東京都", "、または", "（）"]
)
NAMED = TEXT.filter(bool)
NUMBER = st.integers(-5, 40) | st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([15000, 10**20, 0.5])
DAYS = st.integers(0, 36_500)
DAY = st.dates(min_value=date(1, 1, 1)).map(date.isoformat)
SCALAR = TEXT | NUMBER | st.booleans() | st.sampled_from(["female", "male", "other"])
ATTRIBUTE = NAMED.map("attribute.{}".format)
FIELD = st.sampled_from(FIELDS) | ATTRIBUTE
OPEN = st.sampled_from([name for name in FIELDS if name not in ("profile.gender", "profile.birthday")]) | ATTRIBUTE
DATE = st.sampled_from(DATES) | ATTRIBUTE
EVIDENCE = st.sampled_from("ABC")


def some(required: dict[str, Any], optional: dict[str, Any], least: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional).filter(lambda made: len(made) >= least)


def leaf(word: str, required: dict[str, Any], optional: dict[str, Any], least: int = 0) -> st.SearchStrategy[dict[str, Any]]:
    return some(required, optional, least).map(lambda inner: {word: inner})


AGO = {"within_days": DAYS, "before_days": DAYS}
CAMPAIGN, SCENARIO = {"campaign": NAMED}, {"scenario": NAMED}
OF_PEOPLE = st.one_of(
    some({"tag": NAMED}, {}),
    some({"segment": NAMED}, {}),
    some({"field": OPEN, "is": SCALAR}, {}),
    some({"field": OPEN, "in": st.lists(SCALAR, max_size=3)}, {}),
    some({"field": st.just("profile.gender"), "in": st.lists(st.sampled_from(Gender), max_size=3)}, {}),
    some({"field": st.just("profile.birthday"), "is": DAY}, {}),
    some({"field": FIELD}, {"from": NUMBER, "to": NUMBER}, 2),
    some({"field": st.just("profile.age"), "from": st.sampled_from([10, 20, 30])}, {"to": st.sampled_from([19, 29, 39, 49])}),
    some({"date": DATE}, AGO, 2),
    some({"date": DATE, "in_days": st.integers(-36_500, 36_500)}, {}),
    some({"date": DATE, "anniversary_in_days": st.integers(-36_500, 36_500)}, {}),
    some({"date": DATE}, {"from": DAY, "to": DAY}, 2),
    leaf("purchase", {}, {
        **{f"{word}_{end}": NUMBER for word in ("count", "total", "amount") for end in ("from", "to")},
        "product": TEXT, "category": TEXT, "shop": TEXT, "which": st.sampled_from(["", "first", "last"]), **AGO,
    }, 1),
    leaf("event", {"kind": st.sampled_from(ACTS)}, {
        "name": TEXT, "link": TEXT, "evidence": EVIDENCE, "data": st.dictionaries(TEXT, TEXT, max_size=2), **AGO,
        "count_from": NUMBER, "count_to": NUMBER | st.just(0),
    }),
    leaf("received", CAMPAIGN, {}),
    leaf("received", SCENARIO, {"node": TEXT}),
    leaf("reacted", CAMPAIGN, {"link": TEXT, "evidence": EVIDENCE}),
    leaf("reacted", SCENARIO, {"node": TEXT, "link": TEXT, "evidence": EVIDENCE}),
    leaf("scenario", {"id": NAMED}, {"state": st.sampled_from(STATES), "outcome": TEXT}),
)  # fmt: skip
OF_A_RUN = st.one_of(
    leaf("responded", {}, {"of": TEXT, "link": TEXT, "evidence": EVIDENCE}),
    leaf("happened", {"event": st.just("purchase")}, {"product": TEXT, "since": TEXT}),
    leaf("happened", {"event": st.just("custom"), "name": NAMED}, {"since": TEXT}),
    leaf("happened", {"event": st.sampled_from([event for event in EVENTS if event not in ("purchase", "custom")])},
         {"name": TEXT, "since": TEXT}),
)  # fmt: skip


def trees(leaves: st.SearchStrategy[Any] = OF_PEOPLE | OF_A_RUN) -> st.SearchStrategy[Any]:
    def around(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
        group = st.lists(inner, max_size=4)
        return st.one_of(group.map(lambda parts: {"all": parts}), group.map(lambda parts: {"any": parts}),
                         inner.map(lambda part: {"not": part}))  # fmt: skip

    return st.recursive(leaves, around, max_leaves=8)

"""Conditions in sentences and in the schema: total, true to the grammar, and as docs and golden files have them."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chalicelib.kernel.errors import InvalidError
from chalicelib.segments.expression import ACTS, DATES, EVENTS, FIELDS, STATES, All, AnyOf, Expression, InSegment, Not
from chalicelib.segments.reading import KINDS, parse
from chalicelib.segments.schema import schema
from chalicelib.segments.sentence import describe, simplified
from tests.pure.segment_trees import OF_A_RUN, OF_PEOPLE, trees

WORDS_OF_THE_GRAMMAR = ("is", "in", "from", "to", "before_days", "within_days", "in_days", "anniversary_in_days", "product", "category",
                        "shop", "amount_from", "amount_to", "which", "count_from", "count_to", "total_from", "total_to", "link", "evidence",
                        "data", "node", "outcome", "since", "of")  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "docs" / "segment.schema.json"
GUIDE = ROOT / "docs" / "segments.md"
SENTENCES = ROOT / "tests" / "golden" / "segment_sentences.json"
NAMES = {("tag", "tag_vip"): "VIP", ("link", "spring"): "春のカタログ", ("campaign", "cmp_1"): "春の新作", ("campaign", "cmp_spring"): "春の新作", ("scenario", "welcome"): "ようこそ",
         ("segment", "seg_staff"): "社員"}  # fmt: skip
EDITOR = jsonschema_rs.Draft202012Validator(schema(), validate_formats=True)


def told(tree: Any) -> tuple[str, str]:
    said = describe(parse(tree), lambda kind, name: NAMES.get((kind, name), ""))
    return said.ja, said.en


# Sentences --------------------------------------------------------------------------------------------------------------------


def golden() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads(SENTENCES.read_text(encoding="utf-8"))
    return cases


@pytest.mark.parametrize("case", golden(), ids=lambda case: case["ja"])
def test_the_usual_ones_read_as_they_are_written_down(case: dict[str, Any]) -> None:
    assert told(case["tree"]) == (case["ja"], case["en"])


def test_there_are_enough_of_them_and_the_file_is_kept_as_it_is_written() -> None:
    cases = [{"tree": case["tree"], **dict(zip(("ja", "en"), told(case["tree"]), strict=True))} for case in golden()]
    text = "[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]\n"
    if os.environ.get("ENISHI_GOLDEN") == "write":
        SENTENCES.write_text(text, encoding="utf-8")
    assert len(cases) >= 40 and SENTENCES.read_text(encoding="utf-8") == text


@given(trees())
def test_any_condition_can_be_told(tree: Any) -> None:
    for sentence in told(tree):
        assert sentence and sentence == sentence.strip()
        outside = re.sub("「(?:[^」]|」」)+」|“(?:[^”]|””)+”", "_", sentence)  # what people wrote themselves
        assert not re.search("「」|“”|（）|\\(\\)|None|、、|  ", outside), sentence


@settings(max_examples=200)
@given(OF_PEOPLE | OF_A_RUN, OF_PEOPLE | OF_A_RUN)
@example({"field": "profile.city", "is": "札幌市"}, {"field": "profile.prefecture", "is": "札幌市"})
@example({"field": "profile.age", "from": 30, "to": 39}, {"field": "profile.age", "in": [30, 39]})
@example({"field": "profile.age", "from": 30, "to": 30}, {"field": "profile.age", "is": 30})
@example({"date": "purchase.last", "within_days": 90}, {"purchase": {"within_days": 90}})
@example({"field": "attribute.a", "is": 1}, {"field": "attribute.a", "is": "1"})
@example({"field": "attribute.a", "in": ["b」、「c"]}, {"field": "attribute.a", "in": ["b", "c"]})
@example({"event": {"kind": "clicked", "link": "x"}}, {"event": {"kind": "clicked", "name": "x"}})
@example({"purchase": {"shop": "x", "count_to": 0}}, {"purchase": {"shop": "x", "count_from": 0, "count_to": 0}})
@example({"purchase": {"shop": "x", "total_to": 9}}, {"purchase": {"shop": "x", "total_to": 9, "count_from": 1}})
@example({"field": "profile.city", "is": ""}, {"field": "profile.city", "is": "（空欄）"})
@example({"date": "purchase.last", "before_days": 0}, {"date": "purchase.last", "within_days": 0})
def test_two_leaves_that_differ_are_told_differently(one: Any, other: Any) -> None:
    if same(parse(one), parse(other)):
        return
    for first, second in zip(told(one), told(other), strict=True):
        assert first != second


def same(one: Expression, other: Expression) -> bool:
    return repr(as_numbers(one)) == repr(as_numbers(other))


def as_numbers(expression: Expression) -> str:
    """Return an expression in which 1 and 1.0 are one number, and True is none."""
    return re.sub(
        r"(?<![\w.])(-?\d+)\.0(?![\w.])",
        r"\1",
        re.sub(r"-?\d+(\.\d+)?e\+\d+", lambda n: str(int(float(n[0]))), repr(simplified(expression))),
    )


@given(trees())
def test_what_says_nothing_is_left_out(tree: Any) -> None:
    def is_simple(part: Expression) -> bool:
        match part:
            case All(parts) | AnyOf(parts):
                return len(parts) != 1 and all(type(inner) is not type(part) and is_simple(inner) for inner in parts)
            case Not(inner):
                return not isinstance(inner, Not) and is_simple(inner)
        return True

    assert is_simple(simplified(parse(tree)))


def shown() -> list[tuple[str, str, str]]:
    """Return the examples of the marketers' guide, each with its sentences."""
    text = GUIDE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\{.+\})` \| (.+) \| (.+) \|$", text, re.MULTILINE)
    return [*re.findall(r"```json\n(.+?)\n```\n\n> (.+?)  \n> (.+?)\n", text, re.DOTALL), *rows]


@pytest.mark.parametrize(("example", "ja", "en"), shown())
def test_the_guide_shows_conditions_and_what_they_say(example: str, ja: str, en: str) -> None:
    assert told(json.loads(example)) == (ja, en)


def test_the_guide_shows_every_leaf_and_names_every_word() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    used = {key for example, _, _ in shown() for place in objects(json.loads(example)) for key in place}
    assert set(KINDS) <= used and len(shown()) == text.count("```json") + text.count("| `{") >= 50
    for word in (*FIELDS, *DATES, *ACTS, *EVENTS, *STATES):
        assert f"`{word}`" in text, word
    for word in WORDS_OF_THE_GRAMMAR:
        assert word in text, word


# The schema -------------------------------------------------------------------------------------------------------------------


def test_the_schema_is_the_one_in_the_docs() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    text = json.dumps(schema(), ensure_ascii=False, indent=1) + "\n"
    if os.environ.get("ENISHI_GOLDEN") == "write":
        SCHEMA.write_text(text, encoding="utf-8")
    assert text == SCHEMA.read_text(encoding="utf-8")


def fits(tree: Any) -> bool:
    return bool(EDITOR.is_valid({"schema": "segment/1", "condition": tree}))


def is_read(tree: Any) -> bool:
    try:
        parse(tree, defines="seg_own")
    except InvalidError as error:
        assert error.code.startswith("condition.") and error.details["path"].startswith("$")
        return False
    return True


@given(trees(OF_PEOPLE))
def test_what_the_reader_takes_the_schema_takes(tree: Any) -> None:
    assert is_read(tree) and fits(tree)


@given(trees(OF_A_RUN))
def test_what_asks_about_a_run_is_no_segment(tree: Any) -> None:
    assert is_read(tree) == fits(tree)


JUNK = st.none() | st.booleans() | st.integers() | st.floats(-1e6, 1e6) | st.text(max_size=5) | st.just([]) | st.just({}) | st.sampled_from(
    ["2026-02-30", "2026-W01-1", "20260131", 36_501, -1, 1.5, 30.0, "attribute.", "attribute.x", "profile.name", "first", "in", "A"]
)  # fmt: skip
WORDS = ("all", "any", "not", "tag", "field", "is", "in", "from", "to", "date", "within_days", "in_days", "purchase", "which", "event", "kind",
         "data", "received", "campaign", "scenario", "node", "id", "state", "reacted", "link", "count_to", "name", "other", "segment")  # fmt: skip


@settings(max_examples=200)
@given(st.data())
def test_the_schema_and_the_reader_agree_about_what_is_wrong(data: st.DataObject) -> None:
    tree = copy.deepcopy(data.draw(trees(OF_PEOPLE)))
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from(list(objects(tree))))
        match data.draw(st.sampled_from(["put", "drop", "change"])):
            case "put":
                place[data.draw(st.sampled_from(WORDS))] = data.draw(JUNK)
            case "drop" if place:
                del place[data.draw(st.sampled_from(sorted(place)))]
            case "change" if place:
                place[data.draw(st.sampled_from(sorted(place)))] = data.draw(JUNK)
    assert fits(tree) == is_read(tree), tree


def objects(tree: Any) -> list[dict[str, Any]]:
    if isinstance(tree, dict):
        return [tree, *(found for inner in tree.values() for found in objects(inner))]
    return [found for inner in tree for found in objects(inner)] if isinstance(tree, list) else []


def test_a_segment_is_told_by_its_name_whatever_it_says() -> None:
    assert describe(InSegment("seg_a", None)).ja == "セグメント「seg_a」に入っている人"

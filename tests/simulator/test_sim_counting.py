"""Counting as LINE counts: UTF-16 code units for text, grapheme clusters for labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from line_simulator.objects.findings import Findings, grapheme_length, utf16_length
from line_simulator.objects.messages import check_messages


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_utf16_length_is_that_of_the_encoding(text: str) -> None:
    assert utf16_length(text) == len(text.encode("utf-16-le")) // 2
    assert utf16_length(text) == len(text) + sum(character > "\uffff" for character in text)


@given(st.text(), st.text())
def test_utf16_lengths_add_up(one: str, other: str) -> None:
    assert utf16_length(one + other) == utf16_length(one) + utf16_length(other)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_graphemes_are_never_more_than_code_points(text: str) -> None:
    assert grapheme_length(text) <= len(text)


@pytest.mark.parametrize(
    ("text", "units", "clusters"),
    [
        ("花", 1, 1),
        ("😀", 2, 1),
        ("👨‍👩‍👧‍👦", 11, 1),
        ("が", 1, 1),
        ("か\u3099", 2, 1),
        ("🇯🇵", 4, 1),
        ("", 0, 0),
        ("𠮷野家", 4, 3),
    ],
)
def test_known_lengths(text: str, units: int, clusters: int) -> None:
    assert (utf16_length(text), grapheme_length(text)) == (units, clusters)


@given(st.integers(0, 30), st.integers(0, 30))
def test_the_limit_is_inclusive(emojis: int, letters: int) -> None:
    found = Findings()
    usable = found.text("x", "😀" * emojis + "a" * letters, 40)
    assert usable == (0 < 2 * emojis + letters <= 40)
    assert usable == (not found.details)


WORDS = st.sampled_from(
    """type text action actions template flex bubble carousel contents box body layout vertical baseline buttons confirm
    columns uri postback message data label altText quickReply items imagemap baseSize width area emojis index textV2
    substitution sender name video image url image_carousel datetimepicker mode camera button hero span location""".split()
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=25,
)
KINDS = st.sampled_from(
    ["text", "textV2", "image", "video", "audio", "location", "sticker", "imagemap", "template", "flex", "coupon"]
)


@given(KINDS, st.dictionaries(WORDS, ANYTHING, max_size=8))
def test_no_message_breaks_the_checks(kind: str, parts: dict[str, object]) -> None:
    found = Findings()
    check_messages(found, [{**parts, "type": kind}])
    assert all(set(one) == {"message", "property"} for one in found.details)


@given(st.sampled_from(["buttons", "confirm", "carousel", "image_carousel"]), st.dictionaries(WORDS, ANYTHING))
def test_no_template_breaks_the_checks(kind: str, parts: dict[str, object]) -> None:
    found = Findings()
    check_messages(found, [{"type": "template", "altText": "a", "template": {**parts, "type": kind}}])


@given(st.sampled_from(["bubble", "carousel"]), st.dictionaries(WORDS, ANYTHING))
def test_no_flex_breaks_the_checks(kind: str, parts: dict[str, object]) -> None:
    check_messages(Findings(), [{"type": "flex", "altText": "a", "contents": {**parts, "type": kind}}])

"""Text as LINE counts it, and placeholders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.text import fill, placeholders, utf16_length


@given(st.text())
def test_it_counts_utf16_units_as_line_does(text: str) -> None:
    # LINE's rule: a character beyond the basic plane counts as two (docs: Character counting in a text).
    assert utf16_length(text) == sum(2 if ord(char) > 0xFFFF else 1 for char in text)


@pytest.mark.parametrize(("text", "length"), [("", 0), ("あ", 1), ("𠮷", 2), ("👨‍👩‍👧", 8), ("\ud800", 1)])
def test_it_counts_these(text: str, length: int) -> None:
    assert utf16_length(text) == length


def test_it_finds_placeholders_with_and_without_a_fallback() -> None:
    text = "{{name|お客}}様 {{ attribute.rank }} {{city|}} {{Name}} {name} {{}} {{link.top}}"
    assert placeholders(text) == [("name", "お客"), ("attribute.rank", None), ("city", ""), ("link.top", None)]


@pytest.mark.parametrize(
    ("text", "values", "filled"),
    [
        ("{{name|お客}}様", {"name": "花子"}, "花子様"),
        ("{{name|お客}}様", {"name": ""}, "お客様"),
        ("{{name|お客}}様", {}, "お客様"),
        ("{{name}}様", {}, "様"),
        ("{{name|}}様", {}, "様"),
        ("{{name}}{{name}}", {"name": "あ"}, "ああ"),
        ("{{name}}", {"name": "{{city}}", "city": "x"}, "{{city}}"),  # what a person typed is no placeholder
        (r"\1 {{name}}", {"name": r"\g<0>"}, r"\1 \g<0>"),
    ],
)
def test_it_fills_placeholders(text: str, values: dict[str, str], filled: str) -> None:
    assert fill(text, values) == filled


@given(st.text())
def test_it_leaves_text_without_placeholders_alone(text: str) -> None:
    if not placeholders(text):
        assert fill(text, {"name": "x"}) == text

"""LINE's limits: at each one it is quiet, one over it says so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.messages.limits import check_content, check_messages

FAMILY = "👨‍👩‍👧"  # one grapheme, eight UTF-16 units
URL = "https://shop.test/"


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "text": value}


def buttons(**more: Any) -> dict[str, Any]:
    return {"type": "template", "altText": "x", "template": {"type": "buttons", "text": "x", "actions": [uri()], **more}}


def confirm(**more: Any) -> dict[str, Any]:
    return {"type": "template", "altText": "x", "template": {"type": "confirm", "text": "x", "actions": [uri(), uri()], **more}}


def uri(**more: Any) -> dict[str, Any]:
    return {"type": "uri", "label": "x", "uri": URL, **more}


def image(**more: Any) -> dict[str, Any]:
    return {"type": "image", "originalContentUrl": URL, "previewImageUrl": URL, **more}


def flex(contents: Any, **more: Any) -> dict[str, Any]:
    return {"type": "flex", "altText": "x", "contents": contents, **more}


def bubble(*components: Any, **more: Any) -> dict[str, Any]:
    return {"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": list(components)}, **more}


def quick(count: int) -> dict[str, Any]:
    return text("x") | {"quickReply": {"items": [{"type": "action", "action": uri()}] * count}}


def filled_bubble(size: int) -> dict[str, Any]:
    """A bubble of exactly `size` bytes."""
    parts = [{"type": "text", "text": "x" * 2000}] * (size // 2100)
    empty = bubble(*parts, {"type": "separator", "margin": ""})
    import json

    rest = size - len(json.dumps(empty, ensure_ascii=False).encode())
    return bubble(*parts, {"type": "separator", "margin": "x" * rest})


def codes(message: Any) -> list[tuple[str, str]]:
    return [(problem["path"], problem["code"]) for problem in check_messages([message])]


TABLE: list[tuple[str, Any, Any, str, str]] = [
    ("text", text("あ" * 5000), text("あ" * 5001), "messages[0].text", "too_long"),
    ("text in UTF-16", text("𠮷" * 2500), text("𠮷" * 2500 + "a"), "messages[0].text", "too_long"),
    ("text, families", text(FAMILY * 625), text(FAMILY * 625 + "a"), "messages[0].text", "too_long"),
    ("text with a name", text("あ" * 4980 + "{{name}}"), text("あ" * 4981 + "{{name}}"), "messages[0].text", "too_long"),
    ("text with a link", text("あ" * 4750 + "{{link.top}}"), text("あ" * 4751 + "{{link.top}}"), "messages[0].text", "too_long"),
    ("image", image(originalContentUrl=URL + "x" * 1982), image(originalContentUrl=URL + "x" * 1983), "messages[0].originalContentUrl", "too_long"),
    ("preview", image(previewImageUrl=URL + "x" * 1982), image(previewImageUrl=URL + "x" * 1983), "messages[0].previewImageUrl", "too_long"),
    ("altText", buttons() | {"altText": "x" * 1500}, buttons() | {"altText": "x" * 1501}, "messages[0].altText", "too_long"),
    ("buttons title", buttons(title="x" * 40), buttons(title="x" * 41), "messages[0].template.title", "too_long"),
    ("title in graphemes", buttons(title=FAMILY * 40), buttons(title=FAMILY * 41), "messages[0].template.title", "too_long"),
    ("buttons text", buttons(text="x" * 160), buttons(text="x" * 161), "messages[0].template.text", "too_long"),
    ("buttons text with title", buttons(title="t", text="x" * 60), buttons(title="t", text="x" * 61), "messages[0].template.text", "too_long"),
    ("buttons text with image", buttons(thumbnailImageUrl=URL, text="x" * 60), buttons(thumbnailImageUrl=URL, text="x" * 61), "messages[0].template.text", "too_long"),
    ("buttons actions", buttons(actions=[uri()] * 4), buttons(actions=[uri()] * 5), "messages[0].template.actions", "wrong_number"),
    ("confirm text", confirm(text="x" * 240), confirm(text="x" * 241), "messages[0].template.text", "too_long"),
    ("confirm actions", confirm(), confirm(actions=[uri()] * 3), "messages[0].template.actions", "wrong_number"),
    ("confirm actions", confirm(), confirm(actions=[uri()]), "messages[0].template.actions", "wrong_number"),
    ("label", buttons(actions=[uri(label="x" * 20)]), buttons(actions=[uri(label="x" * 21)]), "messages[0].template.actions[0].label", "too_long"),
    ("label in graphemes", buttons(actions=[uri(label=FAMILY * 20)]), buttons(actions=[uri(label=FAMILY * 21)]), "messages[0].template.actions[0].label", "too_long"),
    ("uri", buttons(actions=[uri(uri=URL + "x" * 982)]), buttons(actions=[uri(uri=URL + "x" * 983)]), "messages[0].template.actions[0].uri", "too_long"),
    ("message action", buttons(actions=[{"type": "message", "label": "x", "text": "x" * 300}]), buttons(actions=[{"type": "message", "label": "x", "text": "x" * 301}]), "messages[0].template.actions[0].text", "too_long"),
    ("postback data", buttons(actions=[{"type": "postback", "label": "x", "data": "x" * 300}]), buttons(actions=[{"type": "postback", "label": "x", "data": "x" * 301}]), "messages[0].template.actions[0].data", "too_long"),
    ("displayText", buttons(actions=[{"type": "postback", "label": "x", "data": "x", "displayText": "x" * 300}]), buttons(actions=[{"type": "postback", "label": "x", "data": "x", "displayText": "x" * 301}]), "messages[0].template.actions[0].displayText", "too_long"),
    ("quick reply", quick(13), quick(14), "messages[0].quickReply.items", "wrong_number"),
    ("bubble", flex(filled_bubble(30_000)), flex(filled_bubble(30_001)), "messages[0].contents", "too_large"),
    ("bubbles", flex({"type": "carousel", "contents": [bubble({"type": "separator"})] * 12}), flex({"type": "carousel", "contents": [bubble({"type": "separator"})] * 13}), "messages[0].contents.contents", "wrong_number"),
    ("carousel", flex({"type": "carousel", "contents": [filled_bubble(24_000)] * 2}), flex({"type": "carousel", "contents": [filled_bubble(25_000)] * 2}), "messages[0].contents", "too_large"),
    ("flex button label", flex(bubble({"type": "button", "action": uri(label="x" * 40)})), flex(bubble({"type": "button", "action": uri(label="x" * 41)})), "messages[0].contents.body.contents[0].action.label", "too_long"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "at", "over", "path", "code"), TABLE, ids=[row[0] for row in TABLE])
def test_it_is_quiet_at_the_limit_and_speaks_one_over(name: str, at: Any, over: Any, path: str, code: str) -> None:
    assert codes(at) == []
    assert (path, code) in codes(over)


def test_five_messages_are_the_most() -> None:
    assert check_messages([text("x")] * 5) == []
    assert [problem["code"] for problem in check_messages([text("x")] * 6)] == ["too_many"]


@pytest.mark.parametrize("messages", [[], None, {}, "text"])
def test_there_must_be_a_message(messages: object) -> None:
    assert [problem["code"] for problem in check_messages(messages)] == ["empty"]


@pytest.mark.parametrize(
    ("message", "path", "code"),
    [
        (text(""), "messages[0].text", "empty"),
        (text(" 　\n"), "messages[0].text", "empty"),
        ({"type": "hologram"}, "messages[0].type", "unknown_type"),
        ({}, "messages[0].type", "unknown_type"),
        (7, "messages[0].type", "unknown_type"),
        ({"type": []}, "messages[0].type", "unknown_type"),
        (image(originalContentUrl="http://shop.test/a.png"), "messages[0].originalContentUrl", "not_a_url"),
        (image(originalContentUrl="https://shop.test/写真.png"), "messages[0].originalContentUrl", "not_a_url"),
        (image(originalContentUrl=None), "messages[0].originalContentUrl", "empty"),
        (buttons(actions=[uri(uri="javascript:alert(1)")]), "messages[0].template.actions[0].uri", "not_a_url"),
        (buttons(actions=[uri(label="")]), "messages[0].template.actions[0].label", "empty"),
        (buttons(actions=[]), "messages[0].template.actions", "wrong_number"),
        (buttons(actions=[{"type": ["uri"]}]), "messages[0].template.actions[0].type", "unknown_type"),
        (buttons(type="imagemap"), "messages[0].template.type", "unknown_type"),
        (quick(0), "messages[0].quickReply.items", "wrong_number"),
        (flex({"type": "bubble"}), "messages[0].contents", "empty"),
        (flex(bubble({"type": "hologram"})), "messages[0].contents.body.contents[0].type", "unknown_type"),
        (flex(bubble({"type": ["box"]})), "messages[0].contents.body.contents[0].type", "unknown_type"),
        (
            flex({"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": 5}}),
            "messages[0].contents.body.contents",
            "wrong_type",
        ),
        (
            flex({"type": "bubble", "body": {"type": "box", "layout": "sideways", "contents": []}}),
            "messages[0].contents.body.layout",
            "unknown_type",
        ),
        (flex(bubble({"type": "button"})), "messages[0].contents.body.contents[0].action.type", "unknown_type"),
        (
            flex(bubble({"type": "button", "action": {"type": "uri", "uri": URL}})),
            "messages[0].contents.body.contents[0].action.label",
            "empty",
        ),
    ],
)
def test_it_names_the_place_of_what_line_would_refuse(message: Any, path: str, code: str) -> None:
    assert (path, code) in codes(message)


@pytest.mark.parametrize(
    "message",
    [
        text("{{name|お客}}様"),
        buttons(actions=[uri(uri="{{link.top}}")]),
        buttons(actions=[uri(uri="https://shop.test/?u={{member_no}}")]),
        buttons(actions=[uri(uri="tel:0312345678"), uri(uri="line://nv/location"), uri(uri="http://shop.test")]),
        image(originalContentUrl="https://shop.test/%E5%86%99.png"),
        # Outside buttons an action's label is optional (docs: Action objects, "label").
        flex(bubble({"type": "image", "url": URL, "action": {"type": "uri", "uri": URL}})),
        flex(bubble({"type": "box", "layout": "vertical", "contents": [], "action": {"type": "message", "text": "x"}})),
        flex(bubble({"type": "text", "contents": [{"type": "span", "text": "x"}]})),
    ],
)
def test_it_has_nothing_against_what_line_takes(message: Any) -> None:
    assert codes(message) == []


KEYS = [
    "type",
    "text",
    "altText",
    "template",
    "actions",
    "contents",
    "body",
    "layout",
    "action",
    "label",
    "uri",
    "quickReply",
    "items",
    "messages",
    "subject",
]
WORDS = st.sampled_from(
    ["text", "image", "template", "flex", "buttons", "confirm", "bubble", "carousel", "box", "button", "uri", "vertical", "x", ""]
)
JUNK = st.recursive(
    st.none() | st.integers() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(["line", "email", "sms", "postal"]), st.dictionaries(st.sampled_from(KEYS), JUNK), JUNK)
def test_no_content_whatever_does_more_than_be_refused(channel: str, content: dict[str, Any], message: Any) -> None:
    check_content(channel, content)
    check_messages([message])
    check_messages([flex(bubble(message))])


@pytest.mark.parametrize(
    ("channel", "content", "problems"),
    [
        ("email", {"subject": "x" * 200, "text": "x"}, []),
        ("email", {"subject": "x" * 201, "text": "x"}, [("content.subject", "too_long")]),
        ("email", {"subject": "a\r\nBcc: x", "text": "x"}, [("content.subject", "one_line")]),
        ("email", {"subject": "a"}, [("content.text", "empty")]),
        ("sms", {"text": "あ" * 660}, []),
        ("sms", {"text": "あ" * 661}, [("content.text", "too_long")]),
        ("postal", {"heading": "x" * 60, "body": "あ" * 1200}, []),
        ("postal", {"heading": "x" * 61, "body": "あ" * 1201}, [("content.heading", "too_long"), ("content.body", "too_long")]),
        ("postal", {"heading": "a\nb", "body": "x"}, [("content.heading", "one_line")]),
        ("postal", {"heading": "x", "body": "\n".join("あ" * 22)}, []),
        ("postal", {"heading": "x", "body": "\n".join("あ" * 23)}, [("content.body", "too_many_lines")]),
    ],
)
def test_the_other_channels_have_their_limits(channel: str, content: dict[str, Any], problems: list[tuple[str, str]]) -> None:
    assert [(problem["path"], problem["code"]) for problem in check_content(channel, content)] == problems


@pytest.mark.parametrize("broken", ["{{Name}}様", "{{ name }様", "{{氏名}}様", "{{name|{{city}}}}", "{{name"])
def test_a_broken_placeholder_is_not_sent_to_people(broken: str) -> None:
    assert ("messages[0].text", "placeholder_malformed") in codes(text(broken))
    assert [problem["code"] for problem in check_content("sms", {"text": broken})] == ["placeholder_malformed"]

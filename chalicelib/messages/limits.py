"""LINE's limits on message objects, with LINE's own counting: UTF-16 units for text, grapheme clusters for labels.

Source: line-openapi messaging-api.yml and docs "Message objects", "Text character count"; summed up in docs/line-limits.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import grapheme

from chalicelib.kernel.text import PLACEHOLDER, utf16_length

MOST_MESSAGES = 5
_URI = re.compile(r"(https?|line|tel):[\x21-\x7e]+\Z")
_HTTPS = re.compile(r"https://[\x21-\x7e]+\Z")
# A filled placeholder is counted as this many characters: LINE names have at most 20, our own addresses carry a token.
_NAME_RESERVE, _ADDRESS_RESERVE = 20, 250
_LETTER_LINE, _LETTER_LINES = 58, 22  # what fits at the smallest size that can be read (delivery/letters.py)


@dataclass(slots=True)
class _Check:
    problems: list[dict[str, str]] = field(default_factory=list)

    def add(self, path: str, code: str, **details: Any) -> None:
        self.problems.append({"path": path, "code": code, **{key: str(value) for key, value in details.items()}})

    def text(
        self, holder: Mapping[str, Any], name: str, path: str, most: int, *, units: bool = False, required: bool = True
    ) -> None:
        value = holder.get(name)
        if value is None and not required:
            return
        if not isinstance(value, str) or not value.strip():
            self.add(f"{path}.{name}", "empty")
            return
        longest = PLACEHOLDER.sub(_reserve, value)
        if "{{" in longest:  # would be read by people
            self.add(f"{path}.{name}", "placeholder_malformed")
        length = utf16_length(longest) if units else grapheme.length(longest)
        if length > most:
            self.add(f"{path}.{name}", "too_long", most=most, length=length)

    def url(self, holder: Mapping[str, Any], name: str, path: str, most: int, *, https: bool = True) -> None:
        value = holder.get(name)
        if not isinstance(value, str) or not value:
            self.add(f"{path}.{name}", "empty")
            return
        plain = PLACEHOLDER.sub("https://x" if value.startswith("{{") else "x", value)
        if not (_HTTPS if https else _URI).match(plain):
            self.add(f"{path}.{name}", "not_a_url")
        elif len(plain) > most:
            self.add(f"{path}.{name}", "too_long", most=most, length=len(plain))


def _reserve(match: re.Match[str]) -> str:
    is_address = match[1] == "opt_out_url" or match[1].startswith("link.")
    return "あ" * (_ADDRESS_RESERVE if is_address else _NAME_RESERVE)


def check_messages(messages: object) -> list[dict[str, str]]:
    """Return what LINE would refuse in a list of message objects: path, code and figures of each problem."""
    check = _Check()
    if not isinstance(messages, list) or not messages:
        return [{"path": "messages", "code": "empty"}]
    if len(messages) > MOST_MESSAGES:
        check.add("messages", "too_many", most=MOST_MESSAGES)
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        kind = message.get("type") if isinstance(message, Mapping) else None
        checker = _MESSAGES.get(str(kind))
        if checker is None:
            check.add(f"{path}.type", "unknown_type", known=", ".join(_MESSAGES))
        else:
            checker(check, message, path)
            _quick_reply(check, message, path)
    return check.problems


def _text_message(check: _Check, message: Mapping[str, Any], path: str) -> None:
    check.text(message, "text", path, 5000, units=True)


def _image_message(check: _Check, message: Mapping[str, Any], path: str) -> None:
    check.url(message, "originalContentUrl", path, 2000)
    check.url(message, "previewImageUrl", path, 2000)


def _template_message(check: _Check, message: Mapping[str, Any], path: str) -> None:
    check.text(message, "altText", path, 1500, units=True)
    template = message.get("template")
    if not isinstance(template, Mapping) or template.get("type") not in ("buttons", "confirm"):
        check.add(f"{path}.template.type", "unknown_type", known="buttons, confirm")
        return
    inside = f"{path}.template"
    if template["type"] == "confirm":
        check.text(template, "text", inside, 240)
        _actions(check, template, inside, 2, 2)
        return
    has_head = bool(template.get("title") or template.get("thumbnailImageUrl"))
    check.text(template, "title", inside, 40, required=False)
    check.text(template, "text", inside, 60 if has_head else 160)
    if template.get("thumbnailImageUrl"):
        check.url(template, "thumbnailImageUrl", inside, 2000)
    _actions(check, template, inside, 1, 4)


def _actions(check: _Check, holder: Mapping[str, Any], path: str, least: int, most: int) -> None:
    actions = holder.get("actions")
    if not isinstance(actions, list) or not least <= len(actions) <= most:
        check.add(f"{path}.actions", "wrong_number", least=least, most=most)
        return
    for index, action in enumerate(actions):
        _action(check, action, f"{path}.actions[{index}]")


def _action(check: _Check, action: object, path: str, *, label: int = 20, labelled: bool = True) -> None:
    kind = action.get("type") if isinstance(action, Mapping) else None
    if not isinstance(action, Mapping) or kind not in ("uri", "message", "postback"):
        check.add(f"{path}.type", "unknown_type", known="uri, message, postback")
        return
    check.text(action, "label", path, label, required=labelled)
    if kind == "uri":
        check.url(action, "uri", path, 1000, https=False)
    elif kind == "message":
        check.text(action, "text", path, 300)
    else:
        check.text(action, "data", path, 300)
        check.text(action, "displayText", path, 300, required=False)


def _quick_reply(check: _Check, message: Mapping[str, Any], path: str) -> None:
    quick = message.get("quickReply")
    if quick is None:
        return
    items = quick.get("items") if isinstance(quick, Mapping) else None
    if not isinstance(items, list) or not 1 <= len(items) <= 13:
        check.add(f"{path}.quickReply.items", "wrong_number", least=1, most=13)
        return
    for index, item in enumerate(items):
        _action(check, item.get("action") if isinstance(item, Mapping) else None, f"{path}.quickReply.items[{index}].action")


def _flex_message(check: _Check, message: Mapping[str, Any], path: str) -> None:
    check.text(message, "altText", path, 1500, units=True)
    contents = message.get("contents")
    kind = contents.get("type") if isinstance(contents, Mapping) else None
    if not isinstance(contents, Mapping) or kind not in ("bubble", "carousel"):
        check.add(f"{path}.contents.type", "unknown_type", known="bubble, carousel")
        return
    bubbles = contents.get("contents") if kind == "carousel" else [contents]
    if not isinstance(bubbles, list) or not 1 <= len(bubbles) <= 12:
        check.add(f"{path}.contents.contents", "wrong_number", least=1, most=12)
        return
    for index, bubble in enumerate(bubbles):
        inside = f"{path}.contents" + (f".contents[{index}]" if kind == "carousel" else "")
        _bubble(check, bubble, inside)
    _size(check, contents, f"{path}.contents", 50_000 if kind == "carousel" else 30_000)


def _bubble(check: _Check, bubble: object, path: str) -> None:
    if not isinstance(bubble, Mapping) or bubble.get("type") != "bubble":
        check.add(f"{path}.type", "unknown_type", known="bubble")
        return
    blocks = [name for name in ("header", "hero", "body", "footer") if bubble.get(name)]
    if not blocks:
        check.add(path, "empty")
    for name in blocks:
        _component(check, bubble[name], f"{path}.{name}")
    _size(check, bubble, path, 30_000)


def _size(check: _Check, value: object, path: str, most: int) -> None:
    length = len(json.dumps(value, ensure_ascii=False).encode())
    if length > most:
        check.add(path, "too_large", most=most, length=length)


_COMPONENTS = {"box", "button", "image", "video", "icon", "text", "span", "separator", "filler"}


def _component(check: _Check, component: object, path: str) -> None:
    kind = component.get("type") if isinstance(component, Mapping) else None
    if not isinstance(component, Mapping) or not isinstance(kind, str) or kind not in _COMPONENTS:
        check.add(f"{path}.type", "unknown_type", known=", ".join(sorted(_COMPONENTS)))
        return
    if kind == "box":
        if component.get("layout") not in ("horizontal", "vertical", "baseline"):
            check.add(f"{path}.layout", "unknown_type", known="horizontal, vertical, baseline")
        contents = component.get("contents") or []
        if not isinstance(contents, list):
            check.add(f"{path}.contents", "wrong_type", known="list")
            return
        for index, inner in enumerate(contents):
            _component(check, inner, f"{path}.contents[{index}]")
    if kind == "image":
        check.url(component, "url", path, 2000)
    if kind == "text" and not component.get("contents"):
        check.text(component, "text", path, 2000)
    if kind == "button" or component.get("action") is not None:
        is_button = kind == "button"  # only a button shows its label (docs: Flex Message, action objects)
        _action(check, component.get("action"), f"{path}.action", label=40 if is_button else 20, labelled=is_button)


_MESSAGES: dict[str, Callable[[_Check, Mapping[str, Any], str], None]] = {
    "text": _text_message,
    "image": _image_message,
    "template": _template_message,
    "flex": _flex_message,
}


def _letter_lines(check: _Check, content: Mapping[str, Any]) -> None:
    if "\n" in str(content.get("heading", "")):
        check.add("content.heading", "one_line")
    paragraphs = PLACEHOLDER.sub(_reserve, str(content.get("body", ""))).split("\n")
    lines = sum(1 + len(paragraph) // _LETTER_LINE for paragraph in paragraphs)
    if lines > _LETTER_LINES:
        check.add("content.body", "too_many_lines", most=_LETTER_LINES, length=lines)


def check_content(channel: str, content: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what is wrong with a template's content for its channel."""
    if channel == "line":
        return check_messages(content.get("messages"))
    check = _Check()
    if channel == "email":
        check.text(content, "subject", "content", 200)
        check.text(content, "text", "content", 30_000)
        check.text(content, "html", "content", 100_000, required=False)
        if "\n" in str(content.get("subject", "")) or "\r" in str(content.get("subject", "")):
            check.add("content.subject", "one_line")
    elif channel == "sms":
        check.text(content, "text", "content", 660, units=True)  # ten joined parts of 66 UCS-2 units, Japan's common maximum
    else:
        check.text(content, "heading", "content", 60)
        check.text(content, "body", "content", 1200)
        _letter_lines(check, content)
    return check.problems

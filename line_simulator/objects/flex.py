"""Checking of flex messages: bubbles, carousels and their components."""

from __future__ import annotations

import json
from typing import Any, Final

from line_simulator.objects.actions import FLEX, FLEX_BUTTON, check_action
from line_simulator.objects.findings import Findings

# Sizes of the JSON in bytes (Messaging API reference, Flex Message).
BUBBLE_MAX_BYTES: Final = 30 * 1024
CAROUSEL_MAX_BYTES: Final = 50 * 1024
CAROUSEL_MAX_BUBBLES: Final = 12

_BUBBLE_SIZES: Final = ("nano", "micro", "deca", "hecto", "kilo", "mega", "giga")
_IN_BOX: Final = ("box", "button", "image", "text", "icon", "separator", "filler", "span")
_IN_BASELINE: Final = ("icon", "text", "filler", "span")


def check_flex(found: Findings, path: str, value: Any) -> None:
    """Note everything wrong with the flex container at `path`."""
    container = found.mapping(path, value)
    if container is None or not found.one_of(f"{path}.type", container.get("type"), ("bubble", "carousel")):
        return
    if container["type"] == "bubble":
        _bubble(found, path, container)
        return
    _size(found, path, container, CAROUSEL_MAX_BYTES)
    bubbles = found.items(f"{path}.contents", container.get("contents"), 1, CAROUSEL_MAX_BUBBLES)
    for index, item in enumerate(bubbles):
        here = f"{path}.contents[{index}]"
        bubble = found.mapping(here, item)
        if bubble is not None and found.one_of(f"{here}.type", bubble.get("type"), ("bubble",)):
            _bubble(found, here, bubble)


def _size(found: Findings, path: str, container: dict[str, Any], most: int) -> None:
    if len(json.dumps(container, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")) > most:
        found.add(path, f"Size must be at most {most // 1024} KB")


def _bubble(found: Findings, path: str, bubble: dict[str, Any]) -> None:
    _size(found, path, bubble, BUBBLE_MAX_BYTES)
    found.one_of(f"{path}.size", bubble.get("size"), _BUBBLE_SIZES, required=False)
    found.one_of(f"{path}.direction", bubble.get("direction"), ("ltr", "rtl"), required=False)
    if not any(bubble.get(block) for block in ("header", "hero", "body", "footer")):
        found.add(path, "At least one block must be specified")
    for block in ("header", "body", "footer"):
        if bubble.get(block) is not None:
            _component(found, f"{path}.{block}", bubble[block], ("box",))
    if bubble.get("hero") is not None:
        _component(found, f"{path}.hero", bubble["hero"], ("box", "image", "video"))
    if bubble.get("action") is not None:
        check_action(found, f"{path}.action", bubble["action"], FLEX)


def _component(found: Findings, path: str, value: Any, allowed: tuple[str, ...]) -> None:
    component = found.mapping(path, value)
    if component is None or not found.one_of(f"{path}.type", component.get("type"), allowed):
        return
    if component.get("action") is not None and component["type"] != "button":
        check_action(found, f"{path}.action", component["action"], FLEX)
    check = _CHECKS.get(component["type"])
    if check is not None:
        check(found, path, component)


def _box(found: Findings, path: str, box: dict[str, Any]) -> None:
    if not found.one_of(f"{path}.layout", box.get("layout"), ("horizontal", "vertical", "baseline")):
        return
    contents = box.get("contents")
    if not isinstance(contents, list):
        found.add(f"{path}.contents", "May not be empty")
        return
    allowed = _IN_BASELINE if box["layout"] == "baseline" else _IN_BOX
    for index, item in enumerate(contents):
        _component(found, f"{path}.contents[{index}]", item, allowed)


def _text(found: Findings, path: str, text: dict[str, Any]) -> None:
    spans = text.get("contents")
    if not isinstance(spans, list) or not spans:
        found.text(f"{path}.text", text.get("text"), 2000)
        return
    for index, item in enumerate(spans):
        _component(found, f"{path}.contents[{index}]", item, ("span",))


def _button(found: Findings, path: str, button: dict[str, Any]) -> None:
    check_action(found, f"{path}.action", button.get("action"), FLEX_BUTTON)
    found.one_of(f"{path}.style", button.get("style"), ("primary", "secondary", "link"), required=False)
    found.one_of(f"{path}.height", button.get("height"), ("sm", "md"), required=False)


def _picture(found: Findings, path: str, picture: dict[str, Any]) -> None:
    found.https_url(f"{path}.url", picture.get("url"))


def _video(found: Findings, path: str, video: dict[str, Any]) -> None:
    found.https_url(f"{path}.url", video.get("url"))
    found.https_url(f"{path}.previewUrl", video.get("previewUrl"))
    _component(found, f"{path}.altContent", video.get("altContent"), ("box", "image"))


_CHECKS: Final = {
    "box": _box,
    "text": _text,
    "button": _button,
    "image": _picture,
    "icon": _picture,
    "video": _video,
}

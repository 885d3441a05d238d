"""Checking of flex messages: bubbles, carousels and their components (Messaging API reference, Flex Message)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from line_simulator.objects.actions import FLEX_ACTION, FLEX_BUTTON, FLEX_VIDEO, check_action
from line_simulator.objects.findings import Findings
from line_simulator.objects.flex_values import INVALID, check_values

# Sizes of the JSON in bytes.
BUBBLE_MAX_BYTES: Final = 30 * 1024
CAROUSEL_MAX_BYTES: Final = 50 * 1024
CAROUSEL_MAX_BUBBLES: Final = 12
ANIMATED_MAX: Final = 10

_SIZES_WITH_VIDEO: Final = ("kilo", "mega", "giga")
_IN_BOX: Final = ("box", "button", "image", "text", "separator", "filler")
_IN_BASELINE: Final = ("icon", "text", "filler")
_BLOCKS: Final = {"header": ("box",), "hero": ("box", "image", "video"), "body": ("box",), "footer": ("box",)}
# A component still to be checked: its path, itself, and what it may be there.
Waiting = tuple[str, Any, tuple[str, ...]]


def check_flex(found: Findings, value: Any) -> None:
    """Note everything wrong with a flex container; paths start at the container."""
    container = found.mapping("", value)
    if container is None or not found.one_of(".type", container.get("type"), ("bubble", "carousel")):
        return
    if container["type"] == "bubble":
        animated = _bubble(found, "", container)
    else:
        animated = _carousel(found, container)
    if animated > ANIMATED_MAX:
        # The rule is documented, its text and place are not.
        found.add("", f"must not have more than {ANIMATED_MAX} animated images")


def _carousel(found: Findings, carousel: dict[str, Any]) -> int:
    _size(found, "", carousel, "carousel", CAROUSEL_MAX_BYTES)
    animated, sizes = 0, []
    for index, item in enumerate(found.items(".contents", carousel.get("contents"), 1, CAROUSEL_MAX_BUBBLES)):
        here = f".contents[{index}]"
        bubble = found.mapping(here, item)
        if bubble is None or not found.one_of(f"{here}.type", bubble.get("type"), ("bubble",)):
            continue
        animated += _bubble(found, here, bubble, in_carousel=True)
        sizes.append(bubble.get("size") or "mega")
        # "A carousel can't contain bubbles of different widths"; that LINE refuses them is our reading.
        if sizes[-1] != sizes[0]:
            found.add(f"{here}.size", INVALID)
    return animated


def _size(found: Findings, path: str, container: dict[str, Any], kind: str, most: int) -> None:
    if len(json.dumps(container, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")) > most:
        # The first sentence is quoted by users, the rest is that of the reference.
        text = f"The maximum size of JSON data that defines a {kind} is {most // 1024} KB."
        found.add(path, f"Too large flex message. {text}")


def _bubble(found: Findings, path: str, bubble: dict[str, Any], *, in_carousel: bool = False) -> int:
    """Check one bubble; returns how many animated images it has."""
    _size(found, path, bubble, "bubble", BUBBLE_MAX_BYTES)
    check_values(found, path, bubble, "bubble")
    if all(bubble.get(block) is None for block in _BLOCKS):
        found.add(path, "At least one block must be specified")
    styles = found.mapping(f"{path}.styles", bubble.get("styles"), required=False) or {}
    for block in _BLOCKS:
        style = found.mapping(f"{path}.styles.{block}", styles.get(block), required=False)
        if style is not None:
            check_values(found, f"{path}.styles.{block}", style, "block style")
    if bubble.get("action") is not None:
        check_action(found, f"{path}.action", bubble["action"], FLEX_ACTION)
    hero = bubble.get("hero")
    if isinstance(hero, dict) and hero.get("type") == "video" and (in_carousel or _narrow(bubble)):
        found.add(f"{path}.hero", INVALID)
    blocks = [(f"{path}.{block}", bubble[block], kinds) for block, kinds in _BLOCKS.items() if bubble.get(block) is not None]
    return _components(found, blocks)


def _narrow(bubble: dict[str, Any]) -> bool:
    return (bubble.get("size") or "mega") not in _SIZES_WITH_VIDEO


def _components(found: Findings, waiting: list[Waiting]) -> int:
    """Check components and all within them, without recursion; returns how many animated images there are."""
    animated = 0
    waiting.reverse()
    while waiting:
        path, value, allowed = waiting.pop()
        component = found.mapping(path, value)
        if component is None:
            continue
        kind = component.get("type")
        if kind is None:
            found.missing(f"{path}.type")
            continue
        if kind not in allowed:
            # The component itself is named, as for the abolished spacer in line-bot-sdk-go 657.
            found.add(path, INVALID)
            continue
        check_values(found, path, component, kind)
        animated += kind == "image" and component.get("animated") is True
        if component.get("action") is not None and kind in ("box", "image", "text", "video"):
            check_action(found, f"{path}.action", component["action"], FLEX_VIDEO if kind == "video" else FLEX_ACTION)
        inner = list(_INNER[kind](found, path, component)) if kind in _INNER else []
        waiting += reversed(inner)
    return animated


def _box(found: Findings, path: str, box: dict[str, Any]) -> Iterator[Waiting]:
    _background(found, f"{path}.background", box.get("background"))
    layout = box.get("layout")
    if not found.one_of(f"{path}.layout", layout, ("horizontal", "vertical", "baseline")):
        return
    contents = box.get("contents")
    if contents is None:
        found.missing(f"{path}.contents")
    elif not isinstance(contents, list):
        found.wrong_kind(f"{path}.contents", "an array")
    else:
        allowed = _IN_BASELINE if layout == "baseline" else _IN_BOX
        for index, item in enumerate(contents):
            yield f"{path}.contents[{index}]", item, allowed


def _background(found: Findings, path: str, value: Any) -> None:
    background = found.mapping(path, value, required=False)
    if background is None or not found.one_of(f"{path}.type", background.get("type"), ("linearGradient",)):
        return
    for name in ("angle", "startColor", "endColor"):
        if background.get(name) is None:
            found.missing(f"{path}.{name}")
    check_values(found, path, background, "linearGradient")


def _text(found: Findings, path: str, text: dict[str, Any]) -> Iterator[Waiting]:
    spans = text.get("contents")
    if spans is not None and not isinstance(spans, list):
        found.wrong_kind(f"{path}.contents", "an array")
    elif spans:
        for index, item in enumerate(spans):
            yield f"{path}.contents[{index}]", item, ("span",)
    else:
        _some_text(found, f"{path}.text", text.get("text"))


def _some_text(found: Findings, path: str, value: Any) -> None:
    # No document limits the text of a component; the size of its bubble does.
    found.text(path, value, BUBBLE_MAX_BYTES)


def _span(found: Findings, path: str, span: dict[str, Any]) -> Iterator[Waiting]:
    if span.get("text") is not None:
        _some_text(found, f"{path}.text", span["text"])
    return iter(())


def _button(found: Findings, path: str, button: dict[str, Any]) -> Iterator[Waiting]:
    check_action(found, f"{path}.action", button.get("action"), FLEX_BUTTON)
    return iter(())


def _picture(found: Findings, path: str, picture: dict[str, Any]) -> Iterator[Waiting]:
    found.https_url(f"{path}.url", picture.get("url"))
    return iter(())


def _video(found: Findings, path: str, video: dict[str, Any]) -> Iterator[Waiting]:
    found.https_url(f"{path}.url", video.get("url"))
    found.https_url(f"{path}.previewUrl", video.get("previewUrl"))
    if video.get("altContent") is None:
        found.missing(f"{path}.altContent")
    else:
        yield f"{path}.altContent", video["altContent"], ("box", "image")


_INNER: Final = {
    "box": _box,
    "text": _text,
    "span": _span,
    "button": _button,
    "image": _picture,
    "icon": _picture,
    "video": _video,
}

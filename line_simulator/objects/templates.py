"""Checking of template messages (Messaging API reference, Template messages); paths start at the message."""

from __future__ import annotations

from typing import Any, Final

from line_simulator.objects.actions import IMAGE_CAROUSEL, TEMPLATE_ACTION, check_action
from line_simulator.objects.findings import Findings
from line_simulator.objects.flex_values import COLOR


def check_template(found: Findings, value: Any) -> None:
    """Note everything wrong with the template of a message."""
    template = found.mapping("template", value)
    if template is not None and found.one_of("template.type", template.get("type"), tuple(_TEMPLATES)):
        _TEMPLATES[template["type"]](found, "template", template)


def _actions(found: Findings, path: str, value: Any, fewest: int, most: int) -> None:
    for index, action in enumerate(found.items(path, value, fewest, most)):
        check_action(found, f"{path}[{index}]", action, TEMPLATE_ACTION)


def _card(found: Findings, path: str, card: dict[str, Any], longest: tuple[int, int]) -> None:
    """Check the part that a buttons template and a carousel column share; `longest` is without and with image or title."""
    found.label(f"{path}.title", card.get("title"), 40, required=False)
    found.https_url(f"{path}.thumbnailImageUrl", card.get("thumbnailImageUrl"), required=False)
    if card.get("imageBackgroundColor") is not None:
        COLOR(found, f"{path}.imageBackgroundColor", card["imageBackgroundColor"])
    plain = not card.get("title") and not card.get("thumbnailImageUrl")
    found.label(f"{path}.text", card.get("text"), longest[0] if plain else longest[1])
    if card.get("defaultAction") is not None:
        # Its label is never seen, but the reference asks for one in every template except the image carousel.
        check_action(found, f"{path}.defaultAction", card["defaultAction"], TEMPLATE_ACTION)


def _image_shape(found: Findings, path: str, template: dict[str, Any]) -> None:
    found.one_of(f"{path}.imageAspectRatio", template.get("imageAspectRatio"), ("rectangle", "square"), required=False)
    found.one_of(f"{path}.imageSize", template.get("imageSize"), ("cover", "contain"), required=False)


def _buttons(found: Findings, path: str, template: dict[str, Any]) -> None:
    _card(found, path, template, (160, 60))
    _image_shape(found, path, template)
    _actions(found, f"{path}.actions", template.get("actions"), 1, 4)


def _confirm(found: Findings, path: str, template: dict[str, Any]) -> None:
    found.label(f"{path}.text", template.get("text"), 240)
    _actions(found, f"{path}.actions", template.get("actions"), 2, 2)


def _carousel(found: Findings, path: str, template: dict[str, Any]) -> None:
    _image_shape(found, path, template)
    shapes = set()
    for index, item in enumerate(found.items(f"{path}.columns", template.get("columns"), 1, 10)):
        here = f"{path}.columns[{index}]"
        column = found.mapping(here, item)
        if column is None:
            continue
        _card(found, here, column, (120, 60))
        _actions(found, f"{here}.actions", column.get("actions"), 1, 3)
        count = len(column["actions"]) if isinstance(column.get("actions"), list) else 0
        shapes.add((count, bool(column.get("title")), bool(column.get("thumbnailImageUrl"))))
    if len(shapes) > 1:
        # That all three must agree is LINE's answer according to bottenderjs/messaging-apis 283; its words are a picture there.
        found.add(f"{path}.columns", "title, image and the number of actions must be consistent in all columns")


def _image_carousel(found: Findings, path: str, template: dict[str, Any]) -> None:
    for index, item in enumerate(found.items(f"{path}.columns", template.get("columns"), 1, 10)):
        here = f"{path}.columns[{index}]"
        column = found.mapping(here, item)
        if column is not None:
            found.https_url(f"{here}.imageUrl", column.get("imageUrl"))
            check_action(found, f"{here}.action", column.get("action"), IMAGE_CAROUSEL)


_TEMPLATES: Final = {
    "buttons": _buttons,
    "confirm": _confirm,
    "carousel": _carousel,
    "image_carousel": _image_carousel,
}

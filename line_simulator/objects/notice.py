"""LINE notification messages (template): LINE's catalogue of keys, and the message that a request makes of them.

LINE shows its catalogue only inside a page of its documentation. Known here are the keys of the reference's examples, with
wordings of our own, and what add_keys adds. The checks are those of the reference (send-line-notification-message-template).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from line_simulator.exchange import ApiError, SimulatorError
from line_simulator.objects.findings import Findings
from line_simulator.world.state import JsonObject, World, part

_ITEMS_MAX: Final = 15
_BUTTONS_MAX: Final = 2
_TEMPLATES: Final = {"shipment_completed_ja": "発送完了のお知らせ"}
_ITEMS: Final = {
    "date_002_ja": "お届け予定日",
    "time_range_001_ja": "時間帯",
    "number_001_ja": "お問い合わせ番号",
    "price_001_ja": "金額",
    "name_010_ja": "商品名",
}
_BUTTONS: Final = {"check_delivery_status_ja": "配送状況を確認する", "contact_ja": "お問い合わせ"}


@part("notices")
@dataclass(slots=True)
class NoticeBook:
    """Title of each template, name of each item, label of each button, by key."""

    templates: dict[str, str] = field(default_factory=lambda: dict(_TEMPLATES))
    items: dict[str, str] = field(default_factory=lambda: dict(_ITEMS))
    buttons: dict[str, str] = field(default_factory=lambda: dict(_BUTTONS))


def add_keys(world: World, /, **more: dict[str, str]) -> NoticeBook:
    """Add keys with their Japanese wording: templates, items, buttons. Returns the catalogue. Raises SimulatorError."""
    book = world.part(NoticeBook)
    for name, words in more.items():
        if name not in ("templates", "items", "buttons"):
            raise SimulatorError(f"Keys are of templates, items or buttons, not of {name!r}.")
        if not isinstance(words, dict) or not all(isinstance(one, str) and one for pair in words.items() for one in pair):
            raise SimulatorError(f"{name} must map keys to wordings.")
    for name, words in more.items():
        getattr(book, name).update(words)
    world.state.next_sequence()
    return book


def written(world: World, found: Findings, template_key: Any, body: Any) -> JsonObject:
    """Return the message that the reader sees, a flex message. Raises ApiError 400; `found` holds what is wrong so far."""
    book = world.part(NoticeBook)
    found.text("templateKey", template_key, 1000)
    content = found.mapping("body", body, required=False) or {}
    emphasized = found.mapping("body.emphasizedItem", content.get("emphasizedItem"), required=False)
    items = found.items("body.items", content.get("items", []), 0, _ITEMS_MAX)
    buttons = found.items("body.buttons", content.get("buttons", []), 0, _BUTTONS_MAX)
    if emphasized is not None:
        _item(found, "body.emphasizedItem", emphasized, 15)
    for index, item in enumerate(items):
        _item(found, f"body.items[{index}]", item, 300)
    for index, button in enumerate(buttons):
        _button(found, f"body.buttons[{index}]", button)
    found.raise_if_any()
    if template_key not in book.templates:
        reason = "The specified template doesn't exist, or you don't have the permission"
        raise ApiError(400, f"Invalid templateKey: {template_key}", [{"message": reason, "property": "templateKey"}])
    _check_keys(book, emphasized, items, buttons)
    _check_once(found, emphasized, items, buttons)
    return _drawn(book, template_key, emphasized, items, buttons)


def _item(found: Findings, path: str, value: Any, longest: int) -> None:
    item = found.mapping(path, value)
    if item is not None:
        found.text(f"{path}.itemKey", item.get("itemKey"), 1000)
        found.text(f"{path}.content", item.get("content"), longest)


def _button(found: Findings, path: str, value: Any) -> None:
    button = found.mapping(path, value)
    if button is not None:
        found.text(f"{path}.buttonKey", button.get("buttonKey"), 1000)
        if found.text(f"{path}.url", button.get("url"), 1000):
            # Which schemes LINE takes here no document says; those of a uri action are taken.
            found.url_scheme(f"{path}.url", button["url"], ("http", "https", "line", "tel"))


def _check_keys(book: NoticeBook, emphasized: JsonObject | None, items: list[JsonObject], buttons: list[JsonObject]) -> None:
    placed = [("body.emphasizedItem", emphasized)] if emphasized is not None else []
    placed += [(f"body.items[{index}]", item) for index, item in enumerate(items)]
    unknown = [
        {"message": f"The specified item key does not exist: {item['itemKey']}", "property": f"{path}.itemKey"}
        for path, item in placed
        if item["itemKey"] not in book.items
    ]
    unknown += [
        {"message": f"The specified button key does not exist: {one['buttonKey']}", "property": f"body.buttons[{index}].buttonKey"}
        for index, one in enumerate(buttons)
        if one["buttonKey"] not in book.buttons
    ]
    if unknown:
        raise ApiError(400, f"The request body has {len(unknown)} invalid key(s).", unknown)


def _check_once(found: Findings, emphasized: JsonObject | None, items: list[JsonObject], buttons: list[JsonObject]) -> None:
    told = "Duplicate itemKey in items or between emphasizedItem and items are not allowed: {}"
    keys = [item["itemKey"] for item in items]
    if emphasized is not None and emphasized["itemKey"] in keys:
        found.add("body.emphasizedItem.itemKey", told.format(emphasized["itemKey"]))
    for index, key in enumerate(keys):
        if key in keys[:index]:
            found.add(f"body.items[{index}].itemKey", told.format(key))
    if len(buttons) == 2 and buttons[0]["buttonKey"] == buttons[1]["buttonKey"]:
        found.add("body.buttons[1].buttonKey", f"Duplicate buttonKey in buttons are not allowed: {buttons[1]['buttonKey']}")
    found.raise_if_any()


def _drawn(
    book: NoticeBook, template_key: str, emphasized: JsonObject | None, items: list[JsonObject], buttons: list[JsonObject]
) -> JsonObject:
    title = book.templates[template_key]
    lines: list[JsonObject] = [{"type": "text", "text": title, "weight": "bold", "size": "lg", "wrap": True}]
    if emphasized is not None:
        lines.append({"type": "text", "text": book.items[emphasized["itemKey"]], "size": "sm", "color": "#777777"})
        lines.append({"type": "text", "text": emphasized["content"], "weight": "bold", "size": "xl", "wrap": True})
    for item in items:
        name = {"type": "text", "text": book.items[item["itemKey"]], "size": "sm", "color": "#777777", "flex": 2}
        value = {"type": "text", "text": item["content"], "size": "sm", "wrap": True, "flex": 3}
        lines.append({"type": "box", "layout": "baseline", "contents": [name, value]})
    bubble: JsonObject = {"type": "bubble", "body": {"type": "box", "layout": "vertical", "spacing": "md", "contents": lines}}
    if buttons:
        taps = [{"type": "uri", "label": book.buttons[one["buttonKey"]], "uri": one["url"]} for one in buttons]
        drawn = [{"type": "button", "action": action} for action in taps]
        bubble["footer"] = {"type": "box", "layout": "vertical", "contents": drawn}
    return {"type": "flex", "altText": title, "contents": bubble}

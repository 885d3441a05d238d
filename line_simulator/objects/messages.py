"""Checking of message objects against LINE's limits, with complaints in LINE's shape."""

from __future__ import annotations

import re
from typing import Any, Final

from line_simulator.objects.actions import (
    IMAGE_CAROUSEL,
    QUICK_REPLY,
    TEMPLATE,
    TEMPLATE_DEFAULT,
    check_action,
)
from line_simulator.objects.findings import Findings
from line_simulator.objects.flex import check_flex

MESSAGES_MAX: Final = 5
TEXT_MAX: Final = 5000
ALT_TEXT_MAX: Final = 1500

# Messages that a person can quote, so sentMessages carries a quoteToken (Messaging API, Get quote tokens).
QUOTABLE: Final = frozenset({"text", "textV2", "sticker", "image", "video", "template"})

_TRACKING_ID = re.compile(r"[A-Za-z0-9\-.=,+*()%$&;:@{}!?<>\[\]]+")
_DELIVERY_TAG = re.compile(r"[A-Za-z0-9_]+")
_PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([A-Za-z0-9_]{1,20})\}")


def check_messages(found: Findings, value: Any, path: str = "messages") -> None:
    """Note everything wrong with a list of one to five message objects."""
    for index, message in enumerate(found.items(path, value, 1, MESSAGES_MAX)):
        check_message(found, f"{path}[{index}]", message)


def check_message(found: Findings, path: str, value: Any) -> None:
    """Note everything wrong with one message object."""
    message = found.mapping(path, value)
    if message is None or not found.one_of(f"{path}.type", message.get("type"), tuple(_CHECKS)):
        return
    _CHECKS[message["type"]](found, path, message)
    if message.get("quickReply") is not None:
        _quick_reply(found, f"{path}.quickReply", message["quickReply"])
    if message.get("sender") is not None:
        _sender(found, f"{path}.sender", message["sender"])


def _quick_reply(found: Findings, path: str, value: Any) -> None:
    quick_reply = found.mapping(path, value)
    if quick_reply is None:
        return
    for index, item in enumerate(found.items(f"{path}.items", quick_reply.get("items"), 1, 13)):
        here = f"{path}.items[{index}]"
        button = found.mapping(here, item)
        if button is None:
            continue
        found.one_of(f"{here}.type", button.get("type"), ("action",), required=False)
        found.https_url(f"{here}.imageUrl", button.get("imageUrl"), required=False)
        check_action(found, f"{here}.action", button.get("action"), QUICK_REPLY)


def _sender(found: Findings, path: str, value: Any) -> None:
    sender = found.mapping(path, value)
    if sender is None:
        return
    name = sender.get("name")
    if found.label(f"{path}.name", name, 20, required=False) and "LINE" in str(name).upper():
        found.add(f"{path}.name", "Sender name contains a word that may not be used")
    found.https_url(f"{path}.iconUrl", sender.get("iconUrl"), required=False)


def _text(found: Findings, path: str, message: dict[str, Any]) -> None:
    if not found.text(f"{path}.text", message.get("text"), TEXT_MAX, shortest=0):
        return
    if message.get("emojis") is None:
        return
    for index, item in enumerate(found.items(f"{path}.emojis", message["emojis"], 0, 20)):
        here = f"{path}.emojis[{index}]"
        emoji = found.mapping(here, item)
        if emoji is None:
            continue
        found.text(f"{here}.productId", emoji.get("productId"), 100)
        found.text(f"{here}.emojiId", emoji.get("emojiId"), 100)
        position: Any = emoji.get("index")
        units = message["text"].encode("utf-16-le", "surrogatepass")
        if found.number(f"{here}.index", position, 0, TEXT_MAX) and units[position * 2 : position * 2 + 2] != b"$\0":
            found.add(f"{here}.index", "The character at the index must be $")


def _text_v2(found: Findings, path: str, message: dict[str, Any]) -> None:
    if not found.text(f"{path}.text", message.get("text"), TEXT_MAX, shortest=0):
        return
    substitution = found.mapping(f"{path}.substitution", message.get("substitution"), required=False) or {}
    if len(substitution) > 100:
        found.add(f"{path}.substitution", "Size must be between 0 and 100")
    names = {name for name in _PLACEHOLDER.findall(message["text"]) if name}
    for name in sorted(names - set(substitution)):
        found.add(f"{path}.substitution", f"Placeholder {name} has no substitution")
    for name, item in substitution.items():
        here = f"{path}.substitution.{name}"
        entry = found.mapping(here, item)
        if entry is None or not found.one_of(f"{here}.type", entry.get("type"), ("emoji", "mention")):
            continue
        if entry["type"] == "emoji":
            found.text(f"{here}.productId", entry.get("productId"), 100)
            found.text(f"{here}.emojiId", entry.get("emojiId"), 100)
        else:
            _mentionee(found, f"{here}.mentionee", entry.get("mentionee"))


def _mentionee(found: Findings, path: str, value: Any) -> None:
    target = found.mapping(path, value)
    if target is not None and found.one_of(f"{path}.type", target.get("type"), ("user", "all")) and target["type"] == "user":
        found.text(f"{path}.userId", target.get("userId"), 100)


def _sticker(found: Findings, path: str, message: dict[str, Any]) -> None:
    for name in ("packageId", "stickerId"):
        if found.text(f"{path}.{name}", message.get(name), 20) and not message[name].isdigit():
            found.add(f"{path}.{name}", "Must be a number")


def _image(found: Findings, path: str, message: dict[str, Any]) -> None:
    found.https_url(f"{path}.originalContentUrl", message.get("originalContentUrl"))
    found.https_url(f"{path}.previewImageUrl", message.get("previewImageUrl"))


def _video(found: Findings, path: str, message: dict[str, Any]) -> None:
    _image(found, path, message)
    tracking = message.get("trackingId")
    usable = found.text(f"{path}.trackingId", tracking, 100, required=False)
    if usable and not _TRACKING_ID.fullmatch(str(tracking)):
        found.add(f"{path}.trackingId", "Contains characters that may not be used")


def _audio(found: Findings, path: str, message: dict[str, Any]) -> None:
    found.https_url(f"{path}.originalContentUrl", message.get("originalContentUrl"))
    found.number(f"{path}.duration", message.get("duration"), 1, 2**53)


def _location(found: Findings, path: str, message: dict[str, Any]) -> None:
    found.label(f"{path}.title", message.get("title"), 100)
    found.label(f"{path}.address", message.get("address"), 100)
    found.number(f"{path}.latitude", message.get("latitude"), -90, 90, whole=False)
    found.number(f"{path}.longitude", message.get("longitude"), -180, 180, whole=False)


def _imagemap(found: Findings, path: str, message: dict[str, Any]) -> None:
    found.https_url(f"{path}.baseUrl", message.get("baseUrl"))
    found.label(f"{path}.altText", message.get("altText"), ALT_TEXT_MAX)
    size = found.mapping(f"{path}.baseSize", message.get("baseSize"))
    if size is not None:
        found.number(f"{path}.baseSize.width", size.get("width"), 1040, 1040)
        found.number(f"{path}.baseSize.height", size.get("height"), 1, 2**31 - 1)
    for index, item in enumerate(found.items(f"{path}.actions", message.get("actions"), 1, 50)):
        _imagemap_action(found, f"{path}.actions[{index}]", item)


def _imagemap_action(found: Findings, path: str, value: Any) -> None:
    action = found.mapping(path, value)
    if action is None or not found.one_of(f"{path}.type", action.get("type"), ("uri", "message", "clipboard")):
        return
    found.label(f"{path}.label", action.get("label"), 50, required=False)
    if action["type"] == "uri":
        if found.text(f"{path}.linkUri", action.get("linkUri"), 1000):
            found.url_scheme(f"{path}.linkUri", action["linkUri"], ("http", "https", "line", "tel"))
    elif action["type"] == "message":
        found.text(f"{path}.text", action.get("text"), 400)
    else:
        found.text(f"{path}.clipboardText", action.get("clipboardText"), 1000)
    area = found.mapping(f"{path}.area", action.get("area"))
    for name in ("x", "y", "width", "height") if area is not None else ():
        found.number(f"{path}.area.{name}", (area or {}).get(name), 0, 2**31 - 1)


def _flex(found: Findings, path: str, message: dict[str, Any]) -> None:
    found.label(f"{path}.altText", message.get("altText"), ALT_TEXT_MAX)
    check_flex(found, f"{path}.contents", message.get("contents"))


def _coupon(found: Findings, path: str, message: dict[str, Any]) -> None:
    found.text(f"{path}.couponId", message.get("couponId"), 100)
    tag = message.get("deliveryTag")
    if found.text(f"{path}.deliveryTag", tag, 30, required=False) and not _DELIVERY_TAG.fullmatch(str(tag)):
        found.add(f"{path}.deliveryTag", "Contains characters that may not be used")


def _template(found: Findings, path: str, message: dict[str, Any]) -> None:
    found.label(f"{path}.altText", message.get("altText"), ALT_TEXT_MAX)
    here = f"{path}.template"
    template = found.mapping(here, message.get("template"))
    if template is not None and found.one_of(f"{here}.type", template.get("type"), tuple(_TEMPLATES)):
        _TEMPLATES[template["type"]](found, here, template)


def _actions(found: Findings, path: str, value: Any, fewest: int, most: int) -> None:
    for index, action in enumerate(found.items(path, value, fewest, most)):
        check_action(found, f"{path}[{index}]", action, TEMPLATE)


def _card(found: Findings, path: str, card: dict[str, Any], longest: tuple[int, int]) -> None:
    """Check the part that a buttons template and a carousel column share; `longest` is without and with image or title."""
    found.label(f"{path}.title", card.get("title"), 40, required=False)
    found.https_url(f"{path}.thumbnailImageUrl", card.get("thumbnailImageUrl"), required=False)
    plain = not card.get("title") and not card.get("thumbnailImageUrl")
    found.label(f"{path}.text", card.get("text"), longest[0] if plain else longest[1])
    if card.get("defaultAction") is not None:
        check_action(found, f"{path}.defaultAction", card["defaultAction"], TEMPLATE_DEFAULT)


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
    counts = set()
    for index, item in enumerate(found.items(f"{path}.columns", template.get("columns"), 1, 10)):
        here = f"{path}.columns[{index}]"
        column = found.mapping(here, item)
        if column is None:
            continue
        _card(found, here, column, (120, 60))
        _actions(found, f"{here}.actions", column.get("actions"), 1, 3)
        counts.add(len(column["actions"]) if isinstance(column.get("actions"), list) else 0)
    if len(counts) > 1:
        found.add(f"{path}.columns", "The number of actions must be the same in all columns")


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

_CHECKS: Final = {
    "text": _text,
    "textV2": _text_v2,
    "sticker": _sticker,
    "image": _image,
    "video": _video,
    "audio": _audio,
    "location": _location,
    "imagemap": _imagemap,
    "template": _template,
    "flex": _flex,
    "coupon": _coupon,
}

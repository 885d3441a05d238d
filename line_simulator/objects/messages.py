"""Checking of message objects against LINE's limits, with complaints in LINE's shape (Messaging API reference, Message objects)."""

from __future__ import annotations

import re
from typing import Any, Final

from line_simulator.objects.actions import QUICK_REPLY, check_action
from line_simulator.objects.findings import FLEX, TEMPLATE, Findings
from line_simulator.objects.flex import check_flex
from line_simulator.objects.imagemap import check_imagemap
from line_simulator.objects.templates import check_template
from line_simulator.objects.texts import check_text, check_text_v2

MESSAGES_MAX: Final = 5
ALT_TEXT_MAX: Final = 1500
QUICK_REPLIES_MAX: Final = 13

# Messages that a person can quote, so sentMessages carries a quoteToken (Messaging API, Get quote tokens).
QUOTABLE: Final = frozenset({"text", "textV2", "sticker", "image", "video", "template"})

_TRACKING_ID = re.compile(r"[A-Za-z0-9\-.=,+*()%$&;:@{}!?<>\[\]]+")
_DELIVERY_TAG = re.compile(r"[A-Za-z0-9_]+")
_DIGITS = re.compile("[0-9]+")


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
    for index, item in enumerate(found.items(f"{path}.items", quick_reply.get("items"), 1, QUICK_REPLIES_MAX)):
        here = f"{path}.items[{index}]"
        button = found.mapping(here, item)
        if button is None:
            continue
        # Required says the reference, "action" by default says line-openapi: leaving it out is accepted.
        found.one_of(f"{here}.type", button.get("type"), ("action",), required=False)
        found.media_url(f"{here}.imageUrl", button.get("imageUrl"), required=False)
        check_action(found, f"{here}.action", button.get("action"), QUICK_REPLY)


def _sender(found: Findings, path: str, value: Any) -> None:
    sender = found.mapping(path, value)
    if sender is None:
        return
    name = sender.get("name")
    # "Certain words such as LINE": no document lists the others.
    if found.text(f"{path}.name", name, 20, required=False) and "LINE" in str(name).upper():
        found.add(f"{path}.name", "Sender name contains a word that may not be used")
    found.media_url(f"{path}.iconUrl", sender.get("iconUrl"), required=False)


def _sticker(found: Findings, path: str, message: dict[str, Any]) -> None:
    for name in ("packageId", "stickerId"):
        if found.text(f"{path}.{name}", message.get(name), 20) and not _DIGITS.fullmatch(message[name]):
            found.add(f"{path}.{name}", "Must be a number")
    found.text(f"{path}.quoteToken", message.get("quoteToken"), 10_000, required=False)


def _image(found: Findings, path: str, message: dict[str, Any]) -> None:
    found.media_url(f"{path}.originalContentUrl", message.get("originalContentUrl"))
    found.media_url(f"{path}.previewImageUrl", message.get("previewImageUrl"))


def _video(found: Findings, path: str, message: dict[str, Any]) -> None:
    _image(found, path, message)
    tracking = message.get("trackingId")
    usable = found.text(f"{path}.trackingId", tracking, 100, required=False)
    if usable and not _TRACKING_ID.fullmatch(str(tracking)):
        found.add(f"{path}.trackingId", "Contains characters that may not be used")


def _audio(found: Findings, path: str, message: dict[str, Any]) -> None:
    found.media_url(f"{path}.originalContentUrl", message.get("originalContentUrl"))
    duration = message.get("duration")
    if isinstance(duration, int) and not isinstance(duration, bool) and duration < 1:
        found.add(f"{path}.duration", "Must be a positive value")
    else:
        found.number(f"{path}.duration", duration, 1, 2**63 - 1)


def _location(found: Findings, path: str, message: dict[str, Any]) -> None:
    found.text(f"{path}.title", message.get("title"), 100)
    found.text(f"{path}.address", message.get("address"), 100)
    found.number(f"{path}.latitude", message.get("latitude"), -90, 90, whole=False)
    found.number(f"{path}.longitude", message.get("longitude"), -180, 180, whole=False)


def _alt_text(found: Findings, path: str, message: dict[str, Any]) -> None:
    found.text(f"{path}.altText", message.get("altText"), ALT_TEXT_MAX)


def _imagemap(found: Findings, path: str, message: dict[str, Any]) -> None:
    _alt_text(found, path, message)
    check_imagemap(found, path, message)


def _flex(found: Findings, path: str, message: dict[str, Any]) -> None:
    _alt_text(found, path, message)
    if found.mapping(f"{path}.contents", message.get("contents")) is not None:
        check_flex(found.inside(path, FLEX), message["contents"])


def _template(found: Findings, path: str, message: dict[str, Any]) -> None:
    _alt_text(found, path, message)
    if found.mapping(f"{path}.template", message.get("template")) is not None:
        check_template(found.inside(path, TEMPLATE), message["template"])


def _coupon(found: Findings, path: str, message: dict[str, Any]) -> None:
    found.text(f"{path}.couponId", message.get("couponId"), 100)
    tag = message.get("deliveryTag")
    if found.text(f"{path}.deliveryTag", tag, 30, required=False) and not _DELIVERY_TAG.fullmatch(str(tag)):
        found.add(f"{path}.deliveryTag", "Contains characters that may not be used")


_CHECKS: Final = {
    "text": check_text,
    "textV2": check_text_v2,
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

"""Checking of imagemap messages (Messaging API reference, Imagemap message)."""

from __future__ import annotations

from typing import Any, Final

from line_simulator.objects.actions import URI_SCHEMES
from line_simulator.objects.findings import Findings

_INT_MAX: Final = 2**31 - 1
_WIDTH: Final = 1040
_ACTIONS_MAX: Final = 50


def check_imagemap(found: Findings, path: str, message: dict[str, Any]) -> None:
    """Note everything wrong with an imagemap message at `path`, except for its altText."""
    found.media_url(f"{path}.baseUrl", message.get("baseUrl"))
    size = found.mapping(f"{path}.baseSize", message.get("baseSize"))
    if size is not None:
        found.number(f"{path}.baseSize.width", size.get("width"), _WIDTH, _WIDTH)
        found.number(f"{path}.baseSize.height", size.get("height"), 1, _INT_MAX)
    if message.get("video") is not None:
        _video(found, f"{path}.video", message["video"])
    # No action at all is not documented; neither is that areas have to lie within the image.
    for index, item in enumerate(found.items(f"{path}.actions", message.get("actions"), 1, _ACTIONS_MAX)):
        _action(found, f"{path}.actions[{index}]", item)


def _video(found: Findings, path: str, value: Any) -> None:
    video = found.mapping(path, value)
    if video is None:
        return
    found.media_url(f"{path}.originalContentUrl", video.get("originalContentUrl"))
    found.media_url(f"{path}.previewImageUrl", video.get("previewImageUrl"))
    _area(found, f"{path}.area", video.get("area"))
    link = found.mapping(f"{path}.externalLink", video.get("externalLink"), required=False)
    if link is not None:
        _link(found, f"{path}.externalLink.linkUri", link.get("linkUri"))
        found.text(f"{path}.externalLink.label", link.get("label"), 30)


def _action(found: Findings, path: str, value: Any) -> None:
    action = found.mapping(path, value)
    if action is None or not found.one_of(f"{path}.type", action.get("type"), ("uri", "message", "clipboard")):
        return
    found.label(f"{path}.label", action.get("label"), 100, required=False)
    if action["type"] == "uri":
        _link(found, f"{path}.linkUri", action.get("linkUri"))
    elif action["type"] == "message":
        found.text(f"{path}.text", action.get("text"), 400)
    else:
        found.text(f"{path}.clipboardText", action.get("clipboardText"), 1000)
    _area(found, f"{path}.area", action.get("area"))


def _link(found: Findings, path: str, value: Any) -> None:
    if found.text(path, value, 1000):
        found.url_scheme(path, value, URI_SCHEMES)


def _area(found: Findings, path: str, value: Any) -> None:
    area = found.mapping(path, value)
    for name in ("x", "y", "width", "height") if area is not None else ():
        found.number(f"{path}.{name}", (area or {}).get(name), 0, _INT_MAX)

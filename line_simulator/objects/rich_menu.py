"""Checking of rich menu objects and their images."""

from __future__ import annotations

import io
import re
from typing import Any, Final

from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from line_simulator.exchange import ApiError
from line_simulator.objects.actions import RICH_MENU, check_action
from line_simulator.objects.findings import Findings
from line_simulator.world.state import JsonObject

NAME_MAX: Final = 300
CHAT_BAR_MAX: Final = 14
AREAS_MAX: Final = 20
IMAGE_MAX_BYTES: Final = 1024 * 1024
WIDTHS: Final = (800, 2500)
HEIGHT_MIN: Final = 250
RATIO_MIN: Final = 1.45
_INT_MAX: Final = 2**31 - 1
_PROPERTIES: Final = ("size", "selected", "name", "chatBarText", "areas")
_BOUNDS: Final = {"x": 0, "y": 0, "width": 1, "height": 1}
_MENU_ID: Final = re.compile(r"richmenu-[0-9a-f]{32}")
_ALIAS_ID: Final = re.compile(r"[a-z0-9_-]{1,32}")
_MISSING: Final = "must be specified"
_BAD_IMAGE: Final = "The image size is not allowed for richmenu"
_IMAGES: Final[dict[str, type[ImageFile]]] = {"image/jpeg": JpegImageFile, "image/png": PngImageFile}
_KEPT: Final = {
    "postback": ("data", "displayText", "text", "inputOption", "fillInText"),
    "message": ("text",),
    "uri": ("uri", "altUri"),
    "datetimepicker": ("data", "mode", "initial", "max", "min"),
    "clipboard": ("clipboardText",),
    "richmenuswitch": ("richMenuAliasId", "data"),
}


def read_rich_menu(body: JsonObject) -> JsonObject:
    """Return the rich menu object with only the properties LINE knows. Raises ApiError 400 with what is wrong."""
    found = Findings()
    for name in _PROPERTIES:
        if body.get(name) is None:
            found.add(name, _MISSING)
        else:
            _CHECKS[name](found, body[name])
    # For rich menus the reference shows this text for a wrong scheme too (Create rich menu, error response).
    for detail in found.details:
        if detail["message"] == "invalid uri scheme":
            detail["message"] = "invalid uri"
    found.raise_if_any()
    return {
        "name": body["name"],
        "size": {name: body["size"][name] for name in ("width", "height")},
        "chatBarText": body["chatBarText"],
        "selected": body["selected"],
        "areas": [_plain_area(area) for area in body["areas"]],
    }


def check_menu_id(found: Findings, path: str, value: object) -> bool:
    """Note a rich menu id that no menu could have. Returns whether it is good."""
    good = isinstance(value, str) and _MENU_ID.fullmatch(value) is not None
    if not good:
        found.add(path, _MISSING if value is None else "invalid richMenuId")
    return good


def check_alias_id(found: Findings, path: str, value: object) -> None:
    """Note an alias id that no alias could have; that this is refused is documented, its text is not."""
    if not isinstance(value, str) or _ALIAS_ID.fullmatch(value) is None:
        found.add(path, _MISSING if value is None else "invalid richMenuAliasId")


def check_image(data: bytes, content_type: str) -> None:
    """Check that `data` is the kind of image its type says, whole, and within LINE's limits. Raises ApiError.

    415 for another type; 400 for everything else. That it may differ from the size of the menu object is guessed.
    """
    kind = _IMAGES.get(content_type)
    if kind is None:
        raise ApiError(415, "Unsupported media type")
    if not data or len(data) > IMAGE_MAX_BYTES:
        raise ApiError(400, _BAD_IMAGE)
    try:
        # The class itself, not Image.open: no other format is tried, and a size that is a bomb is merely refused.
        image = kind(io.BytesIO(data))
        width, height = image.size
        fits = WIDTHS[0] <= width <= WIDTHS[1] and height >= HEIGHT_MIN and width / height >= RATIO_MIN
        if fits:
            image.load()
    except Exception:  # noqa: BLE001 - a broken file makes Pillow raise nearly anything
        fits = False
    if not fits:
        raise ApiError(400, _BAD_IMAGE)


def _size(found: Findings, value: Any) -> None:
    size = found.mapping("size", value) or {}
    lowest = {"width": WIDTHS[0], "height": HEIGHT_MIN}
    highest = {"width": WIDTHS[1], "height": _INT_MAX}
    good = _numbers(found, "size", size, lowest, highest) if isinstance(value, dict) else False
    if good and size["width"] / size["height"] < RATIO_MIN:
        # The rule is documented, its text is not.
        found.add("size", f"The aspect ratio (width / height) must be at least {RATIO_MIN}")


def _numbers(found: Findings, path: str, value: JsonObject, lowest: dict[str, int], highest: dict[str, int]) -> bool:
    good = True
    for name, least in lowest.items():
        if value.get(name) is None:
            found.add(f"{path}.{name}", _MISSING)
            good = False
        else:
            good = found.number(f"{path}.{name}", value[name], least, highest.get(name, _INT_MAX)) and good
    return good


def _areas(found: Findings, value: Any) -> None:
    # No area at all is accepted: line/line-bot-sdk-php issue 347 shows such a menu.
    for index, item in enumerate(found.items("areas", value, 0, AREAS_MAX)):
        path = f"areas[{index}]"
        area = found.mapping(path, item)
        if area is None:
            continue
        for name in ("bounds", "action"):
            if area.get(name) is None:
                found.add(f"{path}.{name}", _MISSING)
        bounds = found.mapping(f"{path}.bounds", area.get("bounds"), required=False)
        if bounds is not None:
            # They may reach beyond the menu; those in LINE's own guide do (Use rich menus, step 2).
            _numbers(found, f"{path}.bounds", bounds, _BOUNDS, {})
        if area.get("action") is not None:
            check_action(found, f"{path}.action", area["action"], RICH_MENU)


_CHECKS: Final[dict[str, Any]] = {
    "size": _size,
    "selected": lambda found, value: found.boolean("selected", value),
    "name": lambda found, value: found.label("name", value, NAME_MAX),
    "chatBarText": lambda found, value: found.label("chatBarText", value, CHAT_BAR_MAX),
    "areas": _areas,
}


def _plain_area(area: JsonObject) -> JsonObject:
    action = area["action"]
    names = ("type", "label", *_KEPT[action["type"]])
    plain = {name: action[name] for name in names if action.get(name) not in (None, "")}
    desktop = plain.pop("altUri", {}).get("desktop")
    if desktop:
        plain["altUri"] = {"desktop": desktop}
    return {"bounds": {name: area["bounds"][name] for name in _BOUNDS}, "action": plain}

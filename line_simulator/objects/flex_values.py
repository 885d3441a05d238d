"""What each property of a flex container or component may be (Messaging API reference, Flex Message; line-openapi, Flex*).

Properties that no document knows are ignored, as in the reference's own example of a bubble with styles.comment.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from line_simulator.objects.findings import Findings

Rule = Callable[[Findings, str, Any], None]

INVALID: Final = "invalid property"
_INT_MAX: Final = 2**31 - 1
_PIXELS: Final = r"[0-9]{1,9}(?:\.[0-9]{1,9})?px"
_PERCENT: Final = r"[0-9]{1,9}(?:\.[0-9]{1,9})?%"
_STEPS: Final = "none|xs|sm|md|lg|xl|xxl"
_FONT: Final = "xxs|xs|sm|md|lg|xl|xxl|3xl|4xl|5xl"
_RATIO: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,9})?):([0-9]{1,6}(?:\.[0-9]{1,9})?)")
_RATIO_MAX: Final = 100_000


def _matching(pattern: str) -> Rule:
    shape = re.compile(pattern)

    def check(found: Findings, path: str, value: Any) -> None:
        if not isinstance(value, str) or shape.fullmatch(value) is None:
            found.add(path, INVALID)

    return check


def _boolean(found: Findings, path: str, value: Any) -> None:
    found.boolean(path, value)


def _whole(found: Findings, path: str, value: Any) -> None:
    found.number(path, value, 0, _INT_MAX)


def _ratio(found: Findings, path: str, value: Any) -> None:
    parts = _RATIO.fullmatch(value) if isinstance(value, str) else None
    width, height = (float(parts[1]), float(parts[2])) if parts else (0.0, 0.0)
    if not (1 <= width <= _RATIO_MAX and 1 <= height <= _RATIO_MAX and height <= 3 * width):
        found.add(path, INVALID)


def _angle(found: Findings, path: str, value: Any) -> None:
    good = isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}(?:\.[0-9]{1,9})?deg", value) is not None
    if not good or not 0 <= float(value.removesuffix("deg")) < 360:
        found.add(path, INVALID)


def _stop(found: Findings, path: str, value: Any) -> None:
    good = isinstance(value, str) and re.fullmatch(_PERCENT, value) is not None
    if not good or float(value.removesuffix("%")) > 100:
        found.add(path, INVALID)


# #RGB is refused (quoted by users); an alpha channel is documented for some colours only, and accepted for all.
COLOR: Final = _matching("#[0-9A-Fa-f]{6}(?:[0-9A-Fa-f]{2})?")
_MARGIN: Final = _matching(f"{_PIXELS}|{_STEPS}")
_PADDING: Final = _matching(f"{_PIXELS}|{_PERCENT}|{_STEPS}")
# Nothing says whether an offset can be negative; it can be in CSS, which these layouts follow.
_OFFSET: Final = _matching(f"-?{_PIXELS}|-?{_PERCENT}|{_STEPS}")
_LENGTH: Final = _matching(f"{_PIXELS}|{_PERCENT}")
_ALIGN: Final = _matching("start|end|center")
_GRAVITY: Final = _matching("top|bottom|center")
_FONT_SIZE: Final = _matching(f"{_PIXELS}|{_FONT}")

_PLACED: Final[dict[str, Rule]] = {
    "margin": _MARGIN,
    "position": _matching("relative|absolute"),
    **dict.fromkeys(("offsetTop", "offsetBottom", "offsetStart", "offsetEnd"), _OFFSET),
}
_WRITTEN: Final[dict[str, Rule]] = {
    "size": _FONT_SIZE,
    "color": COLOR,
    "weight": _matching("regular|bold"),
    "style": _matching("normal|italic"),
    "decoration": _matching("none|underline|line-through"),
}
RULES: Final[dict[str, dict[str, Rule]]] = {
    "bubble": {
        "size": _matching("nano|micro|deca|hecto|kilo|mega|giga"),
        "direction": _matching("ltr|rtl"),
    },
    "block style": {"backgroundColor": COLOR, "separator": _boolean, "separatorColor": COLOR},
    "linearGradient": {
        "angle": _angle,
        "startColor": COLOR,
        "endColor": COLOR,
        "centerColor": COLOR,
        "centerPosition": _stop,
    },
    "box": {
        **_PLACED,
        "flex": _whole,
        "spacing": _MARGIN,
        **dict.fromkeys(("backgroundColor", "borderColor"), COLOR),
        "borderWidth": _matching(f"{_PIXELS}|none|light|normal|medium|semi-bold|bold"),
        "cornerRadius": _MARGIN,
        **dict.fromkeys(("width", "maxWidth", "height", "maxHeight"), _LENGTH),
        **dict.fromkeys(("paddingAll", "paddingTop", "paddingBottom", "paddingStart", "paddingEnd"), _PADDING),
        "justifyContent": _matching("center|flex-start|flex-end|space-between|space-around|space-evenly"),
        "alignItems": _matching("center|flex-start|flex-end"),
    },
    "button": {
        **_PLACED,
        "flex": _whole,
        "height": _matching("sm|md"),
        "style": _matching("primary|secondary|link"),
        "color": COLOR,
        "gravity": _GRAVITY,
        "adjustMode": _matching("shrink-to-fit"),
        "scaling": _boolean,
    },
    "image": {
        **_PLACED,
        "flex": _whole,
        "align": _ALIGN,
        "gravity": _GRAVITY,
        "size": _matching(f"{_PIXELS}|{_PERCENT}|{_FONT}|full"),
        "aspectRatio": _ratio,
        "aspectMode": _matching("cover|fit"),
        "backgroundColor": COLOR,
        "animated": _boolean,
    },
    "video": {"aspectRatio": _ratio},
    "icon": {**_PLACED, "size": _matching(f"{_PIXELS}|{_PERCENT}|{_FONT}"), "scaling": _boolean, "aspectRatio": _ratio},
    "text": {
        **_PLACED,
        **_WRITTEN,
        "adjustMode": _matching("shrink-to-fit"),
        "flex": _whole,
        "scaling": _boolean,
        "align": _ALIGN,
        "gravity": _GRAVITY,
        "wrap": _boolean,
        "lineSpacing": _matching(_PIXELS),
        "maxLines": _whole,
    },
    "span": _WRITTEN,
    "separator": {"margin": _MARGIN, "color": COLOR},
    "filler": {"flex": _whole},
}


def check_values(found: Findings, path: str, content: dict[str, Any], kind: str) -> None:
    """Note every property of `content` whose value is none that its kind may have."""
    rules = RULES[kind]
    for name, value in content.items():
        rule = rules.get(name)
        if rule is not None and value is not None:
            rule(found, f"{path}.{name}", value)

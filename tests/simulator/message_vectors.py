"""Every message object furnished with all its properties at their limits, and each limit overstepped by one.

Limits and values are those of the Messaging API reference (Message objects, Action objects), counted as its page
"Character counting in a text" says: 😀 is two UTF-16 code units and one grapheme cluster.
"""

from __future__ import annotations

from typing import Any

FAMILY = "👨‍👩‍👧‍👦"
EMPTY, MISSING, INVALID, EMPTY_TEXT = "May not be empty", "must be specified", "invalid property", "must be non-empty text"
HTTPS = "Must be a valid HTTPS URL"
SCHEME, URI_FAULT, DATETIME = "invalid uri scheme", "invalid uri", "Invalid datetime format"
GONE: Any = object()


def url(length: int) -> str:
    return "https://example.com/".ljust(length, "a")


def length(most: int) -> str:
    return f"Length must be between 0 and {most}"


def longer(most: int) -> str:
    return f"must not be longer than {most} characters"


def sized(most: int) -> str:
    return f"size must be between 0 and {most}"


AREA = {"x": 0, "y": 0, "width": 1040, "height": 585}
POSTBACK = {"type": "postback", "label": FAMILY * 20, "data": "d" * 300, "displayText": FAMILY * 300} | {
    "inputOption": "openKeyboard",
    "fillInText": FAMILY * 300,
}
MESSAGE = {"type": "message", "label": "a", "text": FAMILY * 300}
URI = {"type": "uri", "label": "a", "uri": url(1000), "altUri": {"desktop": url(1000)}}
PICK = {"type": "datetimepicker", "label": "a", "data": "d" * 300, "mode": "datetime"} | {
    "initial": "2026-11-22t10:00",
    "max": "2100-12-31T23:59",
    "min": "1900-01-01T00:00",
}
CLIPBOARD = {"type": "clipboard", "label": "a", "clipboardText": "c" * 1000}
COLUMN = {
    "thumbnailImageUrl": url(2000),
    "imageBackgroundColor": "#FFFFFF",
    "title": FAMILY * 40,
    "text": FAMILY * 60,
    "defaultAction": URI,
    "actions": [POSTBACK, CLIPBOARD, PICK],
}
PLACED = {"margin": "xxl", "position": "absolute"} | {f"offset{side}": "10px" for side in ("Top", "Bottom", "Start", "End")}
WRITTEN = {"size": "5xl", "color": "#0000ff", "weight": "bold", "style": "italic", "decoration": "line-through"}
IMAGE = {
    **{"type": "image", "url": url(2000), "flex": 0, "align": "end", "gravity": "center", "size": "full"},
    **{"aspectRatio": "1:3", "aspectMode": "cover", "backgroundColor": "#00ff00", "action": {**URI, "label": FAMILY * 40}},
    **{"animated": True, **PLACED},
}
TEXT = {
    **{"type": "text", "text": "花", "adjustMode": "shrink-to-fit", "flex": 1, "scaling": True, "align": "start", "gravity": "top"},
    **{"wrap": True, "lineSpacing": "23.5px", "maxLines": 0, "action": CLIPBOARD, **PLACED, **WRITTEN},
    "contents": [{"type": "span", "text": "蛙", **WRITTEN}],
}
BUTTON = {
    **{"type": "button", "action": {**CLIPBOARD, "label": FAMILY * 40}, "flex": 3, "height": "sm", "style": "primary"},
    **{"color": "#0000ffff", "gravity": "bottom", "adjustMode": "shrink-to-fit", "scaling": False, **PLACED},
}
ICON = {"type": "icon", "url": url(2000), "size": "50%", "scaling": True, "aspectRatio": "1.91:1", **PLACED}
BOX = {
    **{"type": "box", "layout": "vertical", "backgroundColor": "#00000000", "borderColor": "#123456", "borderWidth": "semi-bold"},
    **{"cornerRadius": "xxl", "width": "30px", "maxWidth": "100%", "height": "30.5px", "maxHeight": "50%", "flex": 2},
    **{"spacing": "md", "paddingAll": "5%", "paddingTop": "1px", "paddingBottom": "none", "paddingStart": "xs"},
    **{"paddingEnd": "xl", "action": CLIPBOARD, "justifyContent": "space-evenly", "alignItems": "flex-end", **PLACED},
    "background": {"type": "linearGradient", "angle": "359.9deg", "startColor": "#FFFF00", "endColor": "#0080ff80"}
    | {"centerColor": "#00ff00", "centerPosition": "100%"},
    "contents": [
        TEXT,
        BUTTON,
        IMAGE,
        {"type": "separator", "margin": "10px", "color": "#000000"},
        {"type": "filler", "flex": 1},
        {"type": "box", "layout": "baseline", "contents": [ICON, {"type": "text", "text": "花"}, {"type": "filler"}]},
        {"type": "box", "layout": "horizontal", "contents": []},
    ],
}
VIDEO = {"type": "video", "url": url(2000), "previewUrl": url(2000), "altContent": IMAGE, "aspectRatio": "100000:100000"} | {
    "action": URI
}
STYLE = {"backgroundColor": "#00ffff", "separator": True, "separatorColor": "#000000"}
BUBBLE = {
    **{
        "type": "bubble",
        "size": "giga",
        "direction": "rtl",
        "header": {**BOX, "contents": []},
        "hero": VIDEO,
        "body": BOX,
        "action": URI,
    },
    "footer": {"type": "box", "layout": "vertical", "contents": []},
    "styles": dict.fromkeys(("header", "hero", "body", "footer"), STYLE),
}
SMALL = {
    "type": "bubble",
    "size": "nano",
    "body": {"type": "box", "layout": "vertical", "contents": [{"type": "text", "text": "花"}]},
}


def template(**parts: Any) -> dict[str, Any]:
    return {"type": "template", "altText": "😀" * 750, "template": parts}


def flex(contents: Any) -> dict[str, Any]:
    return {"type": "flex", "altText": "😀" * 750, "contents": contents}


def quick(*items: Any) -> dict[str, Any]:
    return {"type": "text", "text": "a", "quickReply": {"items": list(items)}}


def item(action: Any, **more: Any) -> dict[str, Any]:
    return {"type": "action", "action": action, **more}


EMOJI = {"productId": "5ac1bfd5040ab15980c9b435", "emojiId": "001"}
KEY = "k" * 20
MENTION = {"type": "mention", "mentionee": {"type": "user", "userId": "U" + "0" * 32}}
PAIRS = {f"e{n}": {"type": "emoji", **EMOJI} for n in range(20)} | {f"m{n}": MENTION for n in range(20)}
SPARE = {f"s{n}": {"type": "mention", "mentionee": {"type": "all"}} for n in range(60)}

FURNISHED: dict[str, Any] = {
    "text": {
        **{"type": "text", "text": "$" * 20 + "😀" * 2490, "emojis": [{"index": n, **EMOJI} for n in range(20)]},
        "sender": {"name": "😀" * 10, "iconUrl": url(2000)},
    },
    "textV2": {
        **{"type": "textV2", "text": ("{{}}" + "".join(f"{{{name}}}" for name in PAIRS)).ljust(5000, "a")},
        "substitution": {**PAIRS, **SPARE},
    },
    "sticker": {"type": "sticker", "packageId": "446", "stickerId": "1988"},
    "image": {"type": "image", "originalContentUrl": url(2000), "previewImageUrl": url(2000)},
    "video": {"type": "video", "originalContentUrl": url(2000), "previewImageUrl": url(2000)}
    | {"trackingId": "azAZ09-.=,+*()%$&;:@{}!?<>[]".ljust(100, "a")},
    "audio": {"type": "audio", "originalContentUrl": url(2000), "duration": 1},
    "location": {"type": "location", "title": "😀" * 50, "address": "😀" * 50, "latitude": -90, "longitude": 180.0},
    "imagemap": {
        **{"type": "imagemap", "baseUrl": url(2000), "altText": "😀" * 750, "baseSize": {"width": 1040, "height": 1}},
        "video": {"originalContentUrl": url(2000), "previewImageUrl": url(2000), "area": AREA}
        | {"externalLink": {"linkUri": url(1000), "label": "a" * 30}},
        "actions": [
            {"type": "uri", "label": FAMILY * 100, "linkUri": url(1000), "area": AREA},
            {"type": "message", "label": "a", "text": "a" * 400, "area": AREA},
            {"type": "clipboard", "label": "a", "clipboardText": "a" * 1000, "area": AREA},
        ]
        + [{"type": "uri", "linkUri": "tel:0312345678", "area": AREA}] * 47,
    },
    "buttons": template(
        **{"type": "buttons", "thumbnailImageUrl": url(2000), "imageAspectRatio": "square", "imageSize": "contain"},
        **{"imageBackgroundColor": "#000000", "title": FAMILY * 40, "text": FAMILY * 60, "defaultAction": URI},
        actions=[POSTBACK, MESSAGE, URI, PICK],
    ),
    "plain buttons": template(type="buttons", text=FAMILY * 160, actions=[CLIPBOARD]),
    "confirm": template(type="confirm", text=FAMILY * 240, actions=[MESSAGE, {**PICK, "mode": "time"} | {"initial": "23:59"}
        | {"max": "23:59", "min": "00:00"}]),
    "carousel": template(type="carousel", columns=[COLUMN] * 10, imageAspectRatio="rectangle", imageSize="cover"),
    "plain carousel": template(type="carousel", columns=[{"text": FAMILY * 120, "actions": [URI]}]),
    "image_carousel": template(
        type="image_carousel", columns=[{"imageUrl": url(2000), "action": {**URI, "label": FAMILY * 12}}] * 10
    ),
    "bubble": flex(BUBBLE),
    "flex carousel": flex({"type": "carousel", "contents": [SMALL] * 12}),
    "animated": flex({"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": [
        {"type": "image", "url": url(30), "animated": True}] * 10 + [{"type": "image", "url": url(30)}]}}),
    "quick reply": quick(
        *(item(POSTBACK, imageUrl=url(2000)), item(MESSAGE), item(URI), item(PICK), item(CLIPBOARD)),
        *(item({"type": kind, "label": "a" * 20}) for kind in ("camera", "cameraRoll", "location")),
        *[item(MESSAGE)] * 5,
    ),
}  # fmt: skip

# Of which object, what is changed, to what (GONE: left out), and what LINE says.
OVER: list[tuple[str, str, Any, str]] = [
    ("text", "type", "fax", "Must be one of the following values"),
    ("text", "type", {}, "Must be one of the following values"),
    ("text", "text", "", EMPTY),
    ("text", "text", 5, "Must be a string"),
    ("text", "text", "$" * 20 + "😀" * 2490 + "a", length(5000)),
    ("text", "emojis[20]", {"index": 0, **EMOJI}, "Size must be between 0 and 20"),
    ("text", "emojis[0].index", 20, "The character at the index must be $"),
    ("text", "emojis[0].index", 5000, "The character at the index must be $"),
    ("text", "emojis[0].emojiId", GONE, EMPTY),
    ("text", "quoteToken", 5, "Must be a string"),
    ("text", "sender.name", "😀" * 10 + "a", length(20)),
    ("text", "sender.name", "公式Line", "Sender name contains a word that may not be used"),
    ("text", "sender.iconUrl", "http://example.com/", HTTPS),
    ("sticker", "stickerId", "１", "Must be a number"),
    ("sticker", "packageId", GONE, EMPTY),
    ("sticker", "quoteToken", [], "Must be a string"),
    *((kind, "originalContentUrl", url(2001), length(2000)) for kind in ("image", "video", "audio")),
    *((kind, "originalContentUrl", "http://example.com/", HTTPS) for kind in ("image", "video", "audio")),
    *(("image", "previewImageUrl", f"https://example.com/{one}", HTTPS) for one in ("花", " ", "|", "%", '"', "%zz")),
    ("image", "previewImageUrl", GONE, EMPTY),
    ("video", "trackingId", "a" * 101, length(100)),
    ("video", "trackingId", "a_b", "Contains characters that may not be used"),
    ("audio", "duration", 0, "Must be a positive value"),
    ("audio", "duration", 1.5, "Must be a number"),
    ("location", "title", "😀" * 50 + "a", length(100)),
    ("location", "address", "a" * 101, length(100)),
    ("location", "latitude", 90.1, "Must be between -90 and 90"),
    ("location", "longitude", True, "Must be a number"),
    ("imagemap", "altText", "😀" * 750 + "a", length(1500)),
    ("imagemap", "baseUrl", url(2001), length(2000)),
    ("imagemap", "baseSize.width", 1039, "Must be between 1040 and 1040"),
    ("imagemap", "actions[50]", {}, "Size must be between 1 and 50"),
    ("imagemap", "actions[0].label", "a" * 101, length(100)),
    ("imagemap", "actions[0].linkUri", url(1001), length(1000)),
    ("imagemap", "actions[0].linkUri", "ftp://example.com", SCHEME),
    ("imagemap", "actions[1].text", "a" * 401, length(400)),
    ("imagemap", "actions[2].clipboardText", "a" * 1001, length(1000)),
    ("imagemap", "actions[2].area.x", -1, "Must be between 0 and 2147483647"),
    ("imagemap", "video.previewImageUrl", GONE, EMPTY),
    ("imagemap", "video.area", GONE, EMPTY),
    ("imagemap", "video.externalLink.label", "a" * 31, length(30)),
    ("imagemap", "video.externalLink.linkUri", url(1001), length(1000)),
    ("textV2", "text", "a" * 5001, length(5000)),
    ("buttons", "altText", "😀" * 750 + "a", length(1500)),
    ("buttons", "template.type", "poster", INVALID),
    ("buttons", "template.thumbnailImageUrl", url(2001), longer(2000)),
    ("buttons", "template.thumbnailImageUrl", "http://example.com/", SCHEME),
    ("buttons", "template.imageAspectRatio", "1:1", INVALID),
    ("buttons", "template.imageSize", "fit", INVALID),
    ("buttons", "template.imageBackgroundColor", "white", INVALID),
    ("buttons", "template.title", FAMILY * 41, longer(40)),
    ("buttons", "template.text", FAMILY * 61, longer(60)),
    ("buttons", "template.text", "", MISSING),
    ("buttons", "template.actions[4]", URI, "must not be more than 4 items"),
    ("buttons", "template.actions", [], MISSING),
    ("buttons", "template.defaultAction.label", GONE, MISSING),
    ("plain buttons", "template.text", FAMILY * 161, longer(160)),
    ("confirm", "template.text", FAMILY * 241, longer(240)),
    ("confirm", "template.actions[2]", URI, "must not be more than 2 items"),
    ("confirm", "template.actions", [URI], "must not be less than 2 items"),
    ("carousel", "template.columns[10]", COLUMN, "must not be more than 10 items"),
    ("carousel", "template.columns[9].actions[3]", URI, "must not be more than 3 items"),
    ("carousel", "template.columns[9].text", FAMILY * 61, longer(60)),
    ("carousel", "template.columns[5].title", FAMILY * 41, longer(40)),
    ("plain carousel", "template.columns[0].text", FAMILY * 121, longer(120)),
    ("image_carousel", "template.columns[10]", {}, "must not be more than 10 items"),
    ("image_carousel", "template.columns[0].imageUrl", "http://example.com/", SCHEME),
    ("image_carousel", "template.columns[0].action.label", FAMILY * 13, longer(12)),
    # Actions
    ("buttons", "template.actions[0].type", "camera", INVALID),
    ("buttons", "template.actions[0].type", "richmenuswitch", INVALID),
    ("buttons", "template.actions[0].label", FAMILY * 21, longer(20)),
    ("buttons", "template.actions[0].label", GONE, MISSING),
    ("buttons", "template.actions[0].data", "d" * 301, sized(300)),
    ("buttons", "template.actions[0].displayText", FAMILY * 301, longer(300)),
    ("buttons", "template.actions[0].fillInText", FAMILY * 301, longer(300)),
    ("buttons", "template.actions[0].inputOption", "openDoor", INVALID),
    ("buttons", "template.actions[1].text", FAMILY * 301, longer(300)),
    ("buttons", "template.actions[2].uri", url(1001), sized(1000)),
    ("buttons", "template.actions[2].uri", "https://example.com/花", URI_FAULT),
    ("buttons", "template.actions[2].uri", "ftp://example.com/", SCHEME),
    ("buttons", "template.actions[2].altUri.desktop", url(1001), sized(1000)),
    ("buttons", "template.actions[2].altUri.desktop", "javascript:0", SCHEME),
    ("buttons", "template.actions[3].data", "d" * 301, sized(300)),
    ("buttons", "template.actions[3].mode", "year", INVALID),
    *(("buttons", "template.actions[3].initial", one, DATETIME) for one in ("2026-02-29T10:00", "2026-11-22 10:00", "10:00")),
    ("buttons", "template.actions[3].max", "2101-01-01T00:00", DATETIME),
    ("buttons", "template.actions[3].max", "1900-01-01t00:00", "max must be greater than min"),
    ("buttons", "template.actions[3].min", "1899-12-31T23:59", DATETIME),
    ("confirm", "template.actions[1].max", "24:00", DATETIME),
    ("plain buttons", "template.actions[0].clipboardText", "c" * 1001, sized(1000)),
    ("quick reply", "quickReply.items[13]", item(MESSAGE), "Size must be between 1 and 13"),
    ("quick reply", "quickReply.items[0].type", "button", "Must be one of the following values"),
    ("quick reply", "quickReply.items[0].imageUrl", url(2001), length(2000)),
    ("quick reply", "quickReply.items[0].action.label", FAMILY * 21, length(20)),
    ("quick reply", "quickReply.items[0].action.type", "richmenuswitch", "Must be one of the following values"),
    ("quick reply", "quickReply.items[7].action.label", "a" * 21, length(20)),
    # Flex
    ("bubble", "contents.type", "balloon", INVALID),
    ("bubble", "contents.size", "huge", INVALID),
    ("bubble", "contents.direction", "ttb", INVALID),
    ("bubble", "contents.header", {"type": "image", "url": url(30)}, INVALID),
    ("bubble", "contents.hero.url", "http://example.com/", SCHEME),
    ("bubble", "contents.hero.previewUrl", GONE, MISSING),
    ("bubble", "contents.hero.altContent", GONE, MISSING),
    ("bubble", "contents.hero.altContent", {"type": "text", "text": "a"}, INVALID),
    ("bubble", "contents.hero.aspectRatio", "1:3.01", INVALID),
    ("bubble", "contents.hero.aspectRatio", "100001:100000", INVALID),
    ("bubble", "contents.hero.action.type", "message", INVALID),
    ("bubble", "contents.styles.body.backgroundColor", "#fff", INVALID),
    ("bubble", "contents.styles.hero.separator", "true", INVALID),
    ("bubble", "contents.body.layout", "diagonal", INVALID),
    ("bubble", "contents.body.contents", GONE, MISSING),
    ("bubble", "contents.body.contents[0]", {"type": "spacer"}, INVALID),
    ("bubble", "contents.body.contents[0]", ICON, INVALID),
    ("bubble", "contents.body.contents[0]", {"type": "span", "text": "a"}, INVALID),
    ("bubble", "contents.body.contents[0]", VIDEO, INVALID),
    ("bubble", "contents.body.contents[5].contents[0]", BUTTON, INVALID),
    ("bubble", "contents.body.contents[5].contents[1].text", "", EMPTY_TEXT),
    ("bubble", "contents.body.contents[5].contents[1].text", GONE, MISSING),
    ("bubble", "contents.body.contents[5].contents[1].color", "#444", INVALID),
    ("bubble", "contents.body.contents[0].contents[0].text", "", EMPTY_TEXT),
    ("bubble", "contents.body.contents[0].contents[0].type", GONE, MISSING),
    *(
        ("bubble", f"contents.body.contents[0].{name}", value, INVALID)
        for name, value in {
            **{"size": "6xl", "weight": "heavy", "style": "oblique", "decoration": "overline", "wrap": 1, "flex": -1},
            **{"lineSpacing": "10", "maxLines": -1, "align": "left", "gravity": "middle", "adjustMode": "grow", "margin": "5%"},
            **{"position": "fixed", "offsetTop": "top", "scaling": "yes"},
        }.items()
    ),
    ("bubble", "contents.body.contents[1].action", GONE, MISSING),
    ("bubble", "contents.body.contents[1].action.label", GONE, MISSING),
    ("bubble", "contents.body.contents[1].action.label", FAMILY * 41, INVALID),
    ("bubble", "contents.body.contents[1].action.clipboardText", "c" * 1001, sized(1000)),
    ("bubble", "contents.body.contents[1].height", "lg", INVALID),
    ("bubble", "contents.body.contents[1].style", "ghost", INVALID),
    ("bubble", "contents.body.contents[2].url", GONE, MISSING),
    ("bubble", "contents.body.contents[2].url", "https://example.com/?a|b", SCHEME),
    ("bubble", "contents.body.contents[2].size", "6xl", INVALID),
    ("bubble", "contents.body.contents[2].aspectRatio", "0:1", INVALID),
    ("bubble", "contents.body.contents[2].aspectMode", "fill", INVALID),
    ("bubble", "contents.body.contents[2].animated", 1, INVALID),
    *(
        ("bubble", f"contents.body.{name}", value, INVALID)
        for name, value in {
            **{"borderWidth": "thin", "cornerRadius": "10%", "width": "xl", "maxHeight": "10", "spacing": "3xl", "flex": 1.5},
            **{"paddingAll": "5", "justifyContent": "start", "alignItems": "stretch", "backgroundColor": "#12345"},
            **{"background.type": "radialGradient", "background.angle": "360deg", "background.centerPosition": "100.1%"},
        }.items()
    ),
    ("bubble", "contents.body.background.startColor", GONE, MISSING),
    ("flex carousel", "contents.contents[12]", SMALL, INVALID),
    ("flex carousel", "contents.contents[3].size", "kilo", INVALID),
    ("flex carousel", "contents.contents[3].hero", VIDEO, INVALID),
    ("flex carousel", "contents.contents[3].body", GONE, "At least one block must be specified"),
]

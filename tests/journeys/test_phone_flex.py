"""Flex Messages on the page: their geometry by bounding boxes, in the numbers of LINE's simulator."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.journeys.conftest import PICTURE

Part = dict[str, Any]


def box(*contents: Part, layout: str = "vertical", **more: Any) -> Part:
    return {"type": "box", "layout": layout, "contents": list(contents), **more}


def text(content: str, **more: Any) -> Part:
    return {"type": "text", "text": content, **more}


class Drawn:
    """Bubbles on a phone; parts are found by CSS and measured."""

    def __init__(self, desk: Any, *contents: Part) -> None:
        person = desk.friend("花子")
        for one in contents:
            desk.push(person, {"type": "flex", "altText": "x", "contents": one})
        desk.open()
        self.phone = desk.phone(person)
        self.bubble = self.phone.locator(".fx-bubble").first
        expect(self.bubble).to_be_visible()

    def at(self, css: str, index: int = 0) -> dict[str, float]:
        found: dict[str, float] = self.phone.locator(css).nth(index).bounding_box()
        return found

    def style(self, css: str, name: str, index: int = 0) -> str:
        return str(self.phone.locator(css).nth(index).evaluate(f"node => getComputedStyle(node).{name}"))


def test_bubble_widths(desk: Any) -> None:
    widths = {"nano": 120, "micro": 160, "deca": 220, "hecto": 241, "kilo": 260, "": 300, "mega": 300, "giga": 361}
    drawn = Drawn(desk, *({"type": "bubble", "body": box(text("幅")), **({"size": size} if size else {})} for size in widths))
    assert [drawn.at(".fx-bubble", index)["width"] for index in range(len(widths))] == list(widths.values())
    screen, widest = drawn.at(".scroll"), drawn.at(".fx-bubble", 7)
    assert (widest["x"] - screen["x"], screen["x"] + screen["width"] - widest["x"] - 361) == (7, 7)


def test_rows_share_their_width(desk: Any) -> None:
    row = box(*(box(text("x"), flex=share) for share in (1, 2)), layout="horizontal", spacing="lg")
    own = box(text("なし", flex=0), text("残り"), box(text("x"), width="40px"), layout="horizontal")
    drawn = Drawn(desk, {"type": "bubble", "body": box(row, own, paddingAll="0px")})
    one, two = drawn.at(".fx-box.horizontal > .fx-box", 0), drawn.at(".fx-box.horizontal > .fx-box", 1)
    assert (one["width"], two["width"]) == ((300 - 12) / 3, 2 * (300 - 12) / 3)
    assert two["x"] - (one["x"] + one["width"]) == 12
    second = ".fx-box.vertical > .fx-box.horizontal:nth-child(2) > "
    assert drawn.at(second + ".fx-box")["width"] == 40
    assert drawn.at(second + ".fx-text", 0)["width"] < 40
    assert drawn.at(second + ".fx-text", 0)["width"] + drawn.at(second + ".fx-text", 1)["width"] == 260


def test_margins_and_spacing(desk: Any) -> None:
    gaps = {"none": 0, "xs": 2, "sm": 4, "md": 8, "lg": 12, "xl": 16, "xxl": 20, "7px": 7}
    drawn = Drawn(
        desk, {"type": "bubble", "body": box(text("一"), text("二"), *(text("三", margin=word) for word in gaps), spacing="xl")}
    )
    places = [drawn.at(".fx-text", index) for index in range(len(gaps) + 2)]
    found = [round(b["y"] - a["y"] - a["height"], 1) for a, b in zip(places, places[1:], strict=False)]
    assert found == [16, *gaps.values()]


def test_font_sizes_and_looks(desk: Any) -> None:
    sizes = {"xxs": 11, "xs": 13, "sm": 14, "md": 16, "lg": 19, "xl": 22, "xxl": 29, "3xl": 35, "4xl": 48, "5xl": 74, "17px": 17}
    look = {"weight": "bold", "color": "#FF0000", "decoration": "underline"}
    drawn = Drawn(desk, {"type": "bubble", "body": box(*(text("字", size=word, **look) for word in sizes))})
    assert [drawn.style(".fx-text p", "fontSize", index) for index in range(len(sizes))] == [
        f"{pixels}px" for pixels in sizes.values()
    ]
    assert (drawn.style(".fx-text p", "fontWeight"), drawn.style(".fx-text p", "color")) == ("700", "rgb(255, 0, 0)")
    assert "underline" in drawn.style(".fx-text p", "textDecoration")


def test_blocks_have_their_paddings_styles_and_order(desk: Any) -> None:
    action = {"type": "message", "label": "はい", "text": "はい"}
    bubble = {
        "type": "bubble",
        "header": box(text("頭")),
        "hero": {"type": "image", "url": PICTURE, "size": "full", "aspectRatio": "2:1"},
        "body": box(text("体")),
        "footer": box(
            {"type": "button", "action": action}, {"type": "button", "style": "primary", "height": "sm", "action": action}
        ),
        "styles": {
            "header": {"backgroundColor": "#00FF00", "separator": True},
            "footer": {"separator": True, "separatorColor": "#0000FF"},
        },
    }
    drawn = Drawn(desk, bubble)
    tops = [drawn.at(f".fx-block.{name}")["y"] for name in ("header", "hero", "body", "footer")]
    assert tops == sorted(tops)
    assert drawn.at(".fx-block.hero img") == {**drawn.at(".fx-block.hero"), "width": 300, "height": 150}
    paddings = [drawn.style(f".fx-block.{name} > .fx-box", "padding") for name in ("header", "body", "footer")]
    assert paddings == ["20px", "19px 20px 10px", "10px"]
    # No separator stands above the first block.
    assert drawn.phone.locator(".fx-bubble > .fx-separator").count() == 1
    assert drawn.style(".fx-separator", "backgroundColor") == "rgb(0, 0, 255)"
    assert [drawn.at(".fx-button button", index)["height"] for index in (0, 1)] == [52, 40]
    assert drawn.style(".fx-button button", "backgroundColor", 1) == "rgb(23, 201, 80)"
    assert drawn.style(".fx-block.header", "backgroundColor") == "rgb(0, 255, 0)"


def test_text_wraps_clamps_shrinks_and_aligns(desk: Any) -> None:
    long = "花束を贈る" * 20
    body = box(
        text(long), text(long, wrap=True, maxLines=2), text(long, wrap=True),
        text(long[:30], adjustMode="shrink-to-fit"), text("右", align="end"),
        {"type": "text", "text": "", "contents": [{"type": "span", "text": "赤", "color": "#FF0000"}, {"type": "span", "text": "大", "size": "xl"}]},
    )  # fmt: skip
    drawn = Drawn(desk, {"type": "bubble", "body": body})
    heights = [drawn.at(".fx-text", index)["height"] for index in range(3)]
    assert heights[0] == pytest.approx(22.4, abs=1)
    assert heights[1] == pytest.approx(44.8, abs=1)
    assert heights[2] > 60
    shrunk = drawn.phone.locator(".fx-text p").nth(3)
    assert shrunk.evaluate(
        "node => [node.scrollWidth <= node.clientWidth + 1, parseFloat(getComputedStyle(node).fontSize) < 16]"
    ) == [True, True]
    assert drawn.style(".fx-text p", "textAlign", 4) == "end"
    assert drawn.style(".fx-text span", "color") == "rgb(255, 0, 0)"
    assert drawn.style(".fx-text span", "fontSize", 1) == "22px"


def test_pictures_icons_and_absolute_boxes(desk: Any) -> None:
    badge = box(text("NEW"), position="absolute", offsetTop="10px", offsetStart="12px", backgroundColor="#FF0000")
    hero = box({"type": "image", "url": PICTURE, "size": "full", "aspectRatio": "20:13", "aspectMode": "cover"}, badge)
    line = box({"type": "icon", "url": PICTURE, "size": "xl", "aspectRatio": "2:1"}, text("星", margin="md"), layout="baseline")
    picture = {"type": "image", "url": PICTURE, "size": "sm", "aspectRatio": "1:2", "align": "end"}
    drawn = Drawn(desk, {"type": "bubble", "hero": hero, "body": box(line, picture, {"type": "image", "url": PICTURE})})
    bubble, label = drawn.at(".fx-bubble"), drawn.at(".fx-block.hero .fx-box .fx-box")
    assert (label["x"] - bubble["x"], label["y"] - bubble["y"]) == (12, 10)
    assert drawn.style(".fx-block.hero img", "objectFit") == "cover"
    assert drawn.at(".fx-icon img")["width"] == 44
    frames = [drawn.at(".fx-block.body .frame", index) for index in (0, 1)]
    assert [(frame["width"], frame["height"]) for frame in frames] == [(80, 160), (100, 100)]
    assert frames[0]["x"] + 80 == bubble["x"] + 280
    assert frames[1]["x"] + 50 == bubble["x"] + 150


def test_box_looks(desk: Any) -> None:
    ground = {"type": "linearGradient", "angle": "90deg", "startColor": "#FF0000", "endColor": "#0000FF", "centerColor": "#00FF00"}
    looks = box(
        text("x"), background=ground, borderWidth="bold", borderColor="#333333", cornerRadius="xl", width="50%", height="80px",
        justifyContent="center", alignItems="flex-end", paddingAll="md", paddingStart="20px", offsetStart="5px",
    )  # fmt: skip
    half = box(box(width="70%", height="6px", backgroundColor="#0D8186"), height="6px", backgroundColor="#9FD8E36E")
    drawn = Drawn(desk, {"type": "bubble", "body": box(looks, half, {"type": "filler"}, paddingAll="20px")})
    css = ".fx-block.body > .fx-box > .fx-box"
    place = drawn.at(css)
    assert (place["width"], place["height"], place["x"] - drawn.at(".fx-bubble")["x"]) == (130, 80, 25)
    assert drawn.style(css, "borderTopWidth") == "4px"
    assert drawn.style(css, "borderRadius") == "16px"
    assert drawn.style(css, "padding") == "8px 8px 8px 20px"
    assert drawn.style(css, "backgroundImage").startswith("linear-gradient(90deg, rgb(255, 0, 0) 0%, rgb(0, 255, 0) 50%")
    assert drawn.at(css + " > .fx-box")["width"] == pytest.approx(0.7 * 260, abs=0.1)


def test_right_to_left(desk: Any) -> None:
    row = box(text("一", flex=0), text("二", flex=0, margin="md"), layout="horizontal")
    drawn = Drawn(desk, {"type": "bubble", "direction": "rtl", "body": box(row)})
    first, second = drawn.at(".fx-text", 0), drawn.at(".fx-text", 1)
    assert first["x"] - (second["x"] + second["width"]) == 8


def test_bubbles_of_a_carousel_are_equally_high_and_tapped_as_a_whole(desk: Any) -> None:
    action = {"type": "postback", "label": "開く", "data": "open=2"}
    short, long = (
        {"type": "bubble", "size": "micro", "body": box(text(words, wrap=True)), "footer": box(text("足"))}
        for words in ("短", "長い" * 40)
    )
    drawn = Drawn(desk, {"type": "carousel", "contents": [short, {**long, "action": action}]})
    one, two = drawn.at(".fx-bubble", 0), drawn.at(".fx-bubble", 1)
    assert one["height"] == two["height"]
    assert two["x"] - one["x"] - one["width"] == 8
    assert drawn.at(".fx-block.footer", 0)["y"] == drawn.at(".fx-block.footer", 1)["y"]
    drawn.phone.locator(".fx-bubble").nth(1).click(position={"x": 20, "y": 20})
    assert desk.heard("postback")[0]["postback"]["data"] == "open=2"


def test_a_video_in_the_hero(desk: Any) -> None:
    video = {
        "type": "video", "url": "https://img.example/a.mp4", "previewUrl": PICTURE, "aspectRatio": "16:9",
        "altContent": {"type": "image", "url": PICTURE}, "action": {"type": "uri", "label": "もっと見る", "uri": desk.bot.origin + "/"},
    }  # fmt: skip
    drawn = Drawn(desk, {"type": "bubble", "size": "mega", "hero": video})
    assert round(drawn.at(".fx-video")["height"]) == round(300 * 9 / 16)
    drawn.phone.get_by_role("button", name="動画を再生").click()
    drawn.phone.get_by_role("button", name="最後まで再生したことにする").click()
    drawn.phone.get_by_role("button", name="もっと見る").click()
    expect(drawn.phone.frame_locator("iframe").get_by_role("heading")).to_have_text("お店のページ")


def test_nonsense_is_drawn_as_far_as_it_goes(desk: Any) -> None:
    """LINE refuses such messages; a bot that never asked LINE must still not break the page."""
    person = desk.friend("花子")
    page = desk.open()
    nonsense = [None, {}, {"type": "carousel"}, {"type": "bubble", "size": ["x"], "body": {"type": "box", "contents": "x", "layout": 5}},
                {"type": "bubble", "body": box({"type": "text", "size": "expression(1)", "color": "red;background:url(x)"}, None, {"type": "what"}, 5)},
                {"type": "bubble", "hero": {"type": "image", "url": "javascript:alert(1)", "aspectRatio": "0:0"}, "styles": {"hero": {"backgroundColor": "url(x)"}}}]  # fmt: skip
    count = page.evaluate(
        """async (all) => { const flex = await import('/_phone/flex.js');
           return all.map((one) => flex.drawFlex(one, { tap() {}, watch() {} })).filter((node) => node instanceof HTMLElement).length; }""",
        nonsense,
    )
    assert count == len(nonsense)
    assert person.status(desk.shop) == "friend"

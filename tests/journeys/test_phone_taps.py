"""What taps on the page do: each kind of action, quick replies, rich menus, pictures, videos, pages in the in-app browser."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import urllib3
from playwright.sync_api import expect

from line_simulator.world.activity import Activity
from tests.journeys.conftest import PICTURE, picture


def buttons(*actions: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "template",
        "altText": "選ぶ",
        "template": {"type": "buttons", "text": "お選びください", "actions": list(actions)},
    }


def flex(*actions: dict[str, Any]) -> dict[str, Any]:
    contents = [{"type": "button", "action": action} for action in actions]
    body = {"type": "box", "layout": "vertical", "contents": contents}
    return {"type": "flex", "altText": "選ぶ", "contents": {"type": "bubble", "body": body}}


def quick(*actions: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "text",
        "text": "どれにしますか",
        "quickReply": {"items": [{"type": "action", "action": one} for one in actions]},
    }


POSTBACK = {"type": "postback", "label": "はい", "data": "answer=yes", "displayText": "はい！"}
SAY = {"type": "message", "label": "いいえ", "text": "いいえです"}


@pytest.mark.parametrize("make", [buttons, flex, quick])
def test_messages_and_postbacks(desk: Any, make: Any) -> None:
    hanako = desk.friend("花子")
    phone = (desk.open(), desk.phone(hanako))[1]
    desk.push(hanako, make(POSTBACK, SAY))
    phone.get_by_role("button", name="はい", exact=True).click()
    event = desk.heard("postback")[0]
    assert event["postback"] == {"data": "answer=yes"}
    assert event["source"]["userId"] == hanako.user_id(desk.shop)
    expect(phone.locator(".line.mine .text")).to_have_text("はい！")
    if make is quick:
        # Tapped once, the buttons are gone.
        expect(phone.locator(".quick button")).to_have_count(0)
        return
    phone.get_by_role("button", name="いいえ").click()
    assert desk.heard("message")[0]["message"]["text"] == "いいえです"


def test_a_link_opens_in_the_app_and_counts_as_a_click(desk: Any) -> None:
    hanako = desk.friend("花子")
    phone = (desk.open(), desk.phone(hanako))[1]
    desk.push(hanako, buttons({"type": "uri", "label": "お店へ", "uri": desk.bot.origin + "/sale"}))
    phone.get_by_role("button", name="お店へ").click()
    expect(phone.frame_locator("iframe").get_by_role("heading")).to_have_text("お店のページ")
    phone.get_by_role("button", name="アプリ内ブラウザを閉じる").click()
    expect(phone.locator("iframe")).to_have_count(0)
    desk.push(hanako, {"type": "text", "text": f"見てね {desk.bot.origin}/text です"})
    phone.get_by_role("link", name=desk.bot.origin + "/text").click()
    expect(phone.frame_locator("iframe").get_by_role("heading")).to_have_text("お店のページ")
    clicks = [click.url for one in desk.line.world.part(Activity).sendings.values() for click in one.clicks]
    assert clicks == [desk.bot.origin + "/sale", desk.bot.origin + "/text"]


@pytest.mark.parametrize(
    ("mode", "given", "typed", "sent"),
    [
        ("date", {"initial": "2026-12-24", "max": "2026-12-31"}, None, "2026-12-24"),
        ("time", {}, "18:30", "18:30"),
        ("datetime", {"initial": "2026-12-24t10:00"}, "2026-12-25T11:15", "2026-12-25T11:15"),
    ],
)
def test_dates_and_times_are_picked(desk: Any, mode: str, given: dict[str, str], typed: str | None, sent: str) -> None:
    hanako = desk.friend("花子")
    phone = (desk.open(), desk.phone(hanako))[1]
    desk.push(hanako, quick({"type": "datetimepicker", "label": "選ぶ", "data": "when", "mode": mode, **given}))
    phone.get_by_role("button", name="選ぶ").click()
    field = phone.locator(".picker input")
    assert field.get_attribute("max") == given.get("max", "")
    if typed:
        field.fill(typed)
    phone.locator(".picker").get_by_role("button", name="送信").click()
    assert desk.heard("postback")[0]["postback"] == {"data": "when", "params": {mode: sent}}


def test_the_clipboard(desk: Any) -> None:
    hanako = desk.friend("花子")
    page = desk.open()
    phone = desk.phone(hanako)
    desk.push(hanako, buttons({"type": "clipboard", "label": "コードをコピー", "clipboardText": "KOTONOHA-10"}))
    phone.get_by_role("button", name="コードをコピー").click()
    expect(phone.locator(".toast")).to_have_text("コピーしました")
    assert page.evaluate("navigator.clipboard.readText()") == "KOTONOHA-10"


def test_keyboard_and_menu_options_of_a_postback(desk: Any) -> None:
    hanako = desk.friend("花子")
    phone = (desk.open(), desk.phone(hanako))[1]
    desk.push(hanako, buttons({**POSTBACK, "label": "問い合わせ", "inputOption": "openKeyboard", "fillInText": "注文番号: "}))
    phone.get_by_role("button", name="問い合わせ").click()
    desk.heard("postback")
    expect(phone.get_by_role("textbox", name="メッセージを入力")).to_have_value("注文番号: ")
    expect(phone.get_by_role("textbox", name="メッセージを入力")).to_be_focused()


def test_people_send_places_stickers_and_pictures(desk: Any, tmp_path: Any) -> None:
    hanako = desk.friend("花子")
    page = desk.open()
    phone = desk.phone(hanako)
    desk.push(hanako, quick({"type": "location", "label": "場所"}, {"type": "cameraRoll", "label": "写真"}))
    phone.get_by_role("button", name="場所").click()
    phone.get_by_role("button", name="東京駅").click()
    place = desk.heard("message")[0]["message"]
    assert (place["type"], place["title"], round(place["latitude"], 2)) == ("location", "東京駅", 35.68)
    phone.get_by_role("button", name="スタンプを送る").click()
    phone.get_by_role("button", name="スタンプ 446/1988").click()
    sticker = desk.heard("message", 2)[1]["message"]
    assert (sticker["type"], sticker["packageId"], sticker["stickerId"]) == ("sticker", "446", "1988")
    file = tmp_path / "flower.png"
    file.write_bytes(picture(color="#3060c0"))
    phone.get_by_role("button", name="写真・位置情報などを送る").click()
    with page.expect_file_chooser() as chooser:
        phone.get_by_role("button", name="写真を選ぶ").click()
    chooser.value.set_files(file)
    sent = desk.heard("message", 3)[2]["message"]
    assert (sent["type"], sent["contentProvider"]) == ("image", {"type": "line"})
    shown = phone.locator(".line.mine .picture img")
    expect(shown).to_have_js_property("naturalWidth", 60)
    assert base64.b64encode(desk.line.world.state.contents[sent["id"]].data) == base64.b64encode(file.read_bytes())


def test_a_video_played_to_its_end(desk: Any) -> None:
    hanako = desk.friend("花子")
    phone = (desk.open(), desk.phone(hanako))[1]
    video = {"type": "video", "originalContentUrl": "https://img.example/a.mp4", "previewImageUrl": PICTURE}
    desk.push(hanako, {**video, "trackingId": "spring-1"}, video)
    phone.get_by_role("button", name="動画を再生").first.click()
    phone.get_by_role("button", name="最後まで再生したことにする").click()
    assert desk.heard("videoPlayComplete")[0]["videoPlayComplete"] == {"trackingId": "spring-1"}
    phone.get_by_role("button", name="閉じる").click()
    phone.get_by_role("button", name="動画を再生").last.click()
    phone.get_by_role("button", name="最後まで再生したことにする").click()
    phone.get_by_role("button", name="閉じる").click()
    (activity,) = desk.line.world.part(Activity).sendings.values()
    desk.until(lambda: len(activity.plays) == 2)
    assert [(one.index, one.percent) for one in activity.plays] == [(0, 100), (1, 100)]
    assert len(desk.heard("videoPlayComplete")) == 1


def test_imagemap_areas_lie_where_they_are_told_to(desk: Any) -> None:
    hanako = desk.friend("花子")
    page = desk.open()
    phone = desk.phone(hanako)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    left = {"type": "message", "text": "左です", "area": {"x": 0, "y": 0, "width": 520, "height": 1040}}
    right = {"type": "uri", "linkUri": "https://shop.example/r", "area": {"x": 520, "y": 520, "width": 520, "height": 520}}
    size = {"width": 1040, "height": 1040}
    desk.push(
        hanako,
        {"type": "imagemap", "baseUrl": "https://img.example/map", "altText": "地図", "baseSize": size, "actions": [left, right]},
    )
    whole = phone.locator(".imagemap").bounding_box()
    area = phone.get_by_role("button", name="https://shop.example/r").bounding_box()
    assert whole["width"] == whole["height"] == 300
    assert (round(area["x"] - whole["x"]), round(area["y"] - whole["y"]), round(area["width"])) == (150, 150, 150)
    phone.locator(".imagemap").click(position={"x": 40, "y": 200})
    assert desk.heard("message")[0]["message"]["text"] == "左です"
    assert {url for url in asked if "/map/" in url} <= {f"https://img.example/map/{w}" for w in (240, 300, 460, 700, 1040)}


def test_carousels_confirm_and_text_of_the_second_kind(desk: Any) -> None:
    hanako = desk.friend("花子")
    phone = (desk.open(), desk.phone(hanako))[1]
    column = {
        "thumbnailImageUrl": PICTURE,
        "title": "春",
        "text": "春の花束",
        "actions": [{**SAY, "label": "春にする", "text": "春"}],
    }
    emoji = {"type": "emoji", "productId": "5ac1bfd5040ab15980c9b435", "emojiId": "001"}
    desk.push(
        hanako,
        {"type": "template", "altText": "a", "template": {"type": "carousel", "columns": [column, {**column, "title": "夏"}]}},
        {"type": "template", "altText": "b", "template": {"type": "image_carousel", "columns": [{"imageUrl": PICTURE, "action": POSTBACK}]}},
        {"type": "template", "altText": "c", "template": {"type": "confirm", "text": "よいですか", "actions": [SAY, {**SAY, "label": "う", "text": "う"}]}},
        {"type": "textV2", "text": "{{名前}} {e}さん", "substitution": {"e": emoji}, "sender": {"name": "店長"}},
    )  # fmt: skip
    expect(phone.locator(".card h3")).to_have_text(["春", "夏"])
    expect(phone.locator(".line .text")).to_have_text("{名前} さん")
    expect(phone.locator(".line .text .emoji")).to_have_count(1)
    expect(phone.locator(".sender")).to_have_text("店長")
    phone.get_by_role("button", name="春にする").first.click()
    phone.locator(".tile").click()
    phone.get_by_role("button", name="う", exact=True).click()
    assert [one["message"]["text"] for one in desk.heard("message", 2)] == ["春", "う"]
    desk.heard("postback")


def rich_menu(desk: Any, alias: str, areas: list[dict[str, Any]], *, selected: bool = True) -> str:
    bounds = [{"x": 1250 * (i % 2), "y": 843 * (i // 2), "width": 1250, "height": 843} for i in range(len(areas))]
    menu = {
        "size": {"width": 2500, "height": 1686}, "selected": selected, "name": alias, "chatBarText": f"{alias}の一覧",
        "areas": [{"bounds": box, "action": action} for box, action in zip(bounds, areas, strict=True)],
    }  # fmt: skip
    menu_id = desk.api("POST", "/v2/bot/richmenu", menu)["richMenuId"]
    desk.api("POST", f"/v2/bot/richmenu/{menu_id}/content", picture(1250, 843), **{"Content-Type": "image/png"})
    desk.api("POST", "/v2/bot/richmenu/alias", {"richMenuAliasId": alias, "richMenuId": menu_id})
    return str(menu_id)


def test_a_rich_menu_with_tabs(desk: Any) -> None:
    hanako = desk.friend("花子")
    other = {"type": "richmenuswitch", "richMenuAliasId": "b", "data": "tab=b"}
    first = rich_menu(
        desk,
        "a",
        [SAY, other, {**POSTBACK, "inputOption": "closeRichMenu"}, {"type": "uri", "label": "店", "uri": desk.bot.origin + "/"}],
    )
    rich_menu(desk, "b", [{"type": "datetimepicker", "label": "予約", "data": "book", "mode": "date", "initial": "2026-12-24"}])
    desk.api("POST", f"/v2/bot/user/{hanako.user_id(desk.shop)}/richmenu/{first}")
    phone = (desk.open(), desk.phone(hanako))[1]
    menu = phone.locator(".richmenu")
    box = menu.bounding_box()
    assert (box["width"], round(box["height"])) == (375, 253)
    expect(menu.locator("img")).to_have_js_property("naturalWidth", 1250)
    # Where LINE would say what was tapped: the lower left quarter is the postback that closes the menu.
    menu.click(position={"x": 80, "y": 200})
    assert desk.heard("postback")[0]["postback"]["data"] == "answer=yes"
    expect(menu).to_be_hidden()
    phone.get_by_role("button", name="aの一覧").click()
    phone.get_by_role("button", name="店", exact=True).click()
    expect(phone.frame_locator("iframe").get_by_role("heading")).to_have_text("お店のページ")
    phone.get_by_role("button", name="アプリ内ブラウザを閉じる").click()
    menu.click(position={"x": 300, "y": 60})
    switched = desk.heard("postback", 2)[1]["postback"]
    assert switched == {"data": "tab=b", "params": {"newRichMenuAliasId": "b", "status": "SUCCESS"}}
    expect(phone.get_by_role("button", name="bの一覧")).to_be_visible()
    phone.get_by_role("button", name="予約").click()
    phone.locator(".picker").get_by_role("button", name="送信").click()
    assert desk.heard("postback", 3)[2]["postback"]["params"] == {"date": "2026-12-24"}
    phone.get_by_role("button", name="キーボードを表示").click()
    phone.get_by_role("textbox").fill("手で書く")
    phone.get_by_role("button", name="送信", exact=True).click()
    assert desk.heard("message")[0]["message"]["text"] == "手で書く"
    phone.get_by_role("button", name="メニューを表示").click()
    expect(menu).to_be_visible()


def test_a_menu_that_is_not_selected_waits_to_be_opened(desk: Any) -> None:
    hanako = desk.friend("花子")
    menu_id = rich_menu(desk, "c", [SAY], selected=False)
    desk.api("POST", f"/v2/bot/user/all/richmenu/{menu_id}")
    phone = (desk.open(), desk.phone(hanako))[1]
    expect(phone.get_by_role("button", name="cの一覧")).to_have_attribute("aria-expanded", "false")
    expect(phone.locator(".richmenu")).to_be_hidden()
    phone.get_by_role("button", name="cの一覧").click()
    phone.get_by_role("button", name="いいえ").click()
    desk.heard("message")


def test_each_phone_links_its_own_person(desk: Any) -> None:
    hanako, taro = desk.friend("花子"), desk.friend("太郎")
    page = desk.open()
    for index, person in enumerate((taro, hanako)):
        # Hanako's link on both phones: only she may use it.
        token = desk.api("POST", f"/v2/bot/user/{hanako.user_id(desk.shop)}/linkToken")["linkToken"]
        nonce = f"nonce-{index}-0123456789"
        desk.bot.pages["/link"] = f"{desk.line.url}/dialog/bot/accountLink?linkToken={token}&nonce={nonce}"
        desk.push(person, buttons({"type": "uri", "label": f"連携{index}", "uri": desk.bot.origin + "/link"}))
        phone = desk.phone(person)
        phone.get_by_role("button", name=f"連携{index}").click()
        dialog = phone.frame_locator("iframe")
        dialog.locator("button[value=allow]").click()
        assert desk.heard("accountLink", index + 1)[index]["link"] == {"nonce": nonce, "result": ["failed", "ok"][index]}
        phone.get_by_role("button", name="アプリ内ブラウザを閉じる").click()
    assert page.locator("iframe").count() == 0


def test_line_login_in_the_app_is_the_login_of_this_phone(desk: Any) -> None:
    hanako, taro = desk.friend("花子"), desk.friend("太郎")
    callback = desk.bot.origin + "/callback"
    login = desk.line.login_channel("会員サイト", callback_urls=[callback], bot=desk.shop)
    query = {"response_type": "code", "client_id": login.id, "redirect_uri": callback, "state": "s1", "scope": "profile openid"}
    page = desk.open()
    for person in (taro, hanako):
        desk.push(
            person,
            buttons({"type": "uri", "label": "ログイン", "uri": f"{desk.line.url}/oauth2/v2.1/authorize?{urlencode(query)}"}),
        )
        phone = desk.phone(person)
        phone.get_by_role("button", name="ログイン").click()
        screen = phone.frame_locator("iframe")
        expect(screen.locator("body")).to_contain_text(person.name)
        screen.locator("button[value=allow]").click()
        expect(screen.get_by_role("heading")).to_have_text("お店のページ")
        (came,) = [frame.url for frame in page.frames if frame.url.startswith(callback)]
        given = dict(parse_qsl(urlsplit(came).query))
        assert given["state"] == "s1"
        form = {"grant_type": "authorization_code", "code": given["code"], "redirect_uri": callback}
        body = urlencode({**form, "client_id": login.id, "client_secret": login.secret})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = urllib3.request("POST", desk.line.url + "/oauth2/v2.1/token", body=body, headers=kind)
        profile = urllib3.request(
            "GET", desk.line.url + "/v2/profile", headers={"Authorization": f"Bearer {answer.json()['access_token']}"}
        )
        assert profile.json()["displayName"] == person.name
        phone.get_by_role("button", name="アプリ内ブラウザを閉じる").click()


def test_a_coupon_is_taken_and_used(desk: Any) -> None:
    hanako = desk.friend("花子")
    now = int(desk.line.clock.time())
    coupon = {
        "title": "100円引き", "startTimestamp": now - 10, "endTimestamp": now + 86_400, "timezone": "ASIA_TOKYO", "visibility": "UNLISTED",
        "maxUseCountPerTicket": 1, "acquisitionCondition": {"type": "normal"},
        "reward": {"type": "discount", "priceInfo": {"type": "fixed", "fixedAmount": 100}},
    }  # fmt: skip
    coupon_id = desk.api("POST", "/v2/bot/coupon", coupon)["couponId"]
    desk.push(hanako, {"type": "coupon", "couponId": coupon_id})
    phone = (desk.open(), desk.phone(hanako))[1]
    for button, told in (("受け取る", "クーポンを受け取りました。"), ("使う", "クーポンを使いました（1回目）。")):
        phone.get_by_role("button", name="クーポンを開く").click()
        expect(phone.get_by_role("dialog", name="100円引き")).to_be_visible()
        phone.get_by_role("button", name=button).click()
        expect(phone.locator(".toast")).to_have_text(told)


def test_a_message_is_taken_back(desk: Any) -> None:
    hanako = desk.friend("花子")
    message_id = hanako.say(desk.shop, "間違えました")
    phone = (desk.open(), desk.phone(hanako))[1]
    phone.get_by_role("button", name="このメッセージの送信を取り消す").click()
    expect(phone.get_by_text("メッセージの送信を取り消しました")).to_be_visible()
    expect(phone.get_by_text("間違えました")).to_have_count(0)
    assert desk.heard("unsend")[0]["unsend"] == {"messageId": message_id}


def test_raw_json_beside_a_bubble(desk: Any) -> None:
    hanako = desk.friend("花子")
    page = desk.open()
    phone = desk.phone(hanako)
    desk.push(hanako, {"type": "text", "text": "一"}, {"type": "text", "text": "二"})
    raw = phone.locator(".json")
    expect(raw).to_have_count(2)
    expect(raw.first).to_be_hidden()
    phone.get_by_role("button", name="このメッセージのJSON").first.click()
    expect(raw.first).to_contain_text('"text": "一"')
    expect(raw.nth(1)).to_be_hidden()
    # A new message leaves what was opened open.
    desk.push(hanako, {"type": "text", "text": "三"})
    expect(raw).to_have_count(3)
    expect(raw.first).to_be_visible()
    page.get_by_role("button", name="すべてのメッセージのJSONを表示").click()
    expect(raw.nth(2)).to_be_visible()

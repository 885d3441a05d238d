"""The phone page in a real browser: people add the account, talk, read, block; what LINE would tell the bot is told."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from line_simulator import LineSimulator


def test_the_first_visit_takes_three_steps(chromium: Any, desk: Any) -> None:
    desk.line.reset()
    page = desk.open()
    page.get_by_label("アカウント名").fill("はじめての店")
    page.get_by_label("Webhook URL").fill(desk.bot.origin + "/webhook")
    page.get_by_role("button", name="作成する").click()
    page.get_by_role("button", name="3人のスマートフォンを用意する").click()
    expect(page.locator(".phone")).to_have_count(3)
    (channel,) = desk.line.world.state.channels.values()
    desk.bot.secret = channel.secret
    desk.bot.events.clear()
    first = page.locator(".phone").first
    first.get_by_role("button", name="追加").click()
    expect(first.get_by_text("まだ友だちではありません。")).to_be_hidden()
    assert desk.heard("follow")[0]["follow"] == {"isUnblocked": False}
    assert channel.chats[desk.line.person("佐藤 花子").user_id(channel)].status == "friend"


def test_a_person_talks_and_the_bot_answers(desk: Any) -> None:
    hanako = desk.friend("花子")

    def react(event: Any) -> None:
        if event["type"] == "message":
            answer = {"type": "text", "text": f"「{event['message']['text']}」ですね。"}
            desk.api("POST", "/v2/bot/message/reply", {"replyToken": event["replyToken"], "messages": [answer]})

    desk.bot.react = react
    page = desk.open()
    phone = desk.phone(hanako)
    phone.get_by_role("textbox", name="メッセージを入力").fill("こんにちは")
    phone.get_by_role("textbox").press("Enter")
    expect(phone.locator(".line.mine .text")).to_have_text("こんにちは")
    expect(phone.locator(".line.mine .read")).to_have_text("既読")
    expect(phone.locator(".line.theirs .text")).to_have_text("「こんにちは」ですね。")
    expect(phone.locator(".day")).to_have_text("今日")
    assert re.fullmatch(r"\d\d:\d\d", phone.locator(".line.theirs time").inner_text())
    own, theirs = phone.locator(".line.mine .text").bounding_box(), phone.locator(".line.theirs .text").bounding_box()
    assert own["x"] > theirs["x"]
    assert phone.locator(".line.mine .text").evaluate("node => getComputedStyle(node).backgroundColor") == "rgb(141, 224, 85)"
    # Another visit shows the same phone in the same chat.
    page.reload()
    expect(phone.locator(".line.theirs .text")).to_have_text("「こんにちは」ですね。")


def test_block_and_unblock(desk: Any) -> None:
    hanako = desk.friend("花子")
    desk.open()
    phone = desk.phone(hanako)
    phone.get_by_role("button", name="トークのメニュー").click()
    phone.get_by_role("button", name="ブロック", exact=True).click()
    expect(phone.get_by_text("この公式アカウントをブロックしています。")).to_be_visible()
    expect(phone.get_by_role("textbox")).to_be_disabled()
    desk.heard("unfollow")
    desk.push(hanako, {"type": "text", "text": "届かない"})
    phone.get_by_role("button", name="ブロック解除").click()
    assert desk.heard("follow")[0]["follow"] == {"isUnblocked": True}
    expect(phone.get_by_role("textbox")).to_be_enabled()
    expect(phone.get_by_text("届かない")).to_have_count(0)


def test_the_list_counts_unread_and_looking_is_an_impression(desk: Any) -> None:
    hanako = desk.friend("花子")
    desk.line.channel("珈琲みなと")
    page = desk.open()
    phone = desk.phone(hanako)
    chat = desk.shop.chats[hanako.user_id(desk.shop)]
    desk.push(hanako, {"type": "text", "text": "一"}, {"type": "text", "text": "二"})
    expect(phone.locator(".badge")).to_have_text("2")
    expect(phone.locator(".talk small").first).to_have_text("二")
    assert chat.seen == 0
    phone.get_by_role("button", name="花屋ことのは").click()
    expect(phone.locator(".line .text")).to_have_text(["一", "二"])
    assert chat.seen == 1
    desk.push(hanako, {"type": "text", "text": "三"})
    expect(phone.locator(".line .text")).to_have_text(["一", "二", "三"])
    desk.until(lambda: chat.seen == 2)
    phone.get_by_role("button", name="トーク一覧へ").click()
    expect(phone.locator(".badge")).to_have_count(0)
    phone.get_by_role("button", name="珈琲みなとを友だち追加").click()
    expect(phone.locator(".head h2")).to_have_text("珈琲みなと")
    desk.until(lambda: hanako.status(desk.line.channel("珈琲みなと")) == "friend")


def test_names_and_messages_are_text_and_never_markup(desk: Any) -> None:
    evil = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>'
    desk.line.channel(evil)
    person = desk.friend(evil)
    action = {"type": "message", "label": "<b>x</b>", "text": evil}
    desk.push(
        person,
        {"type": "text", "text": evil, "sender": {"name": "<i>s</i>"}, "quickReply": {"items": [{"type": "action", "action": action}]}},
        {"type": "template", "altText": evil, "template": {"type": "buttons", "text": evil, "actions": [action]}},
        {"type": "flex", "altText": evil, "contents": {"type": "bubble", "body": {"type": "box", "layout": "vertical", "contents": [
            {"type": "text", "text": evil}, {"type": "button", "action": action},
        ]}}},
        {"type": "text", "text": "javascript:alert(1) https://x.example/\"><script>window.hurt=1</script>"},
        {"type": "location", "title": evil[:100], "address": evil[:100], "latitude": 1, "longitude": 1,
         "quickReply": {"items": [{"type": "action", "action": {**action, "label": "<b>q</b>"}}]}},
    )  # fmt: skip
    page = desk.open()
    phone = desk.phone(person)
    phone.locator(".talk .open").first.click()
    expect(phone.locator(".quick")).to_have_text("<b>q</b>")
    phone.get_by_role("button", name="<b>q</b>").click()
    expect(phone.locator(".line.mine .text")).to_have_text(evil)
    phone.get_by_role("button", name="トーク一覧へ").click()
    page.get_by_role("button", name="設定").click()
    assert page.evaluate("window.hurt") is None
    assert page.locator("script").count() == 1
    assert page.locator("#phones i, #phones u, #phones img[onerror]").count() == 0


def test_loading_dots_and_read_marks(desk: Any) -> None:
    hanako = desk.friend("花子")
    desk.line.channel("花屋ことのは", chat_mode="chat")
    hanako.say(desk.shop, "一")
    token = desk.heard("message")[0]["message"]["markAsReadToken"]
    desk.open()
    phone = desk.phone(hanako)
    expect(phone.locator(".line.mine .text")).to_be_visible()
    expect(phone.locator(".read")).to_have_count(0)
    desk.api("POST", "/v2/bot/chat/markAsRead", {"markAsReadToken": token})
    expect(phone.locator(".read")).to_have_text("既読")
    desk.api("POST", "/v2/bot/chat/loading/start", {"chatId": hanako.user_id(desk.shop), "loadingSeconds": 60})
    expect(phone.get_by_label("入力中")).to_be_visible()
    desk.push(hanako, {"type": "text", "text": "お待たせしました"})
    expect(phone.get_by_label("入力中")).to_have_count(0)


def test_people_are_added_and_put_away(desk: Any) -> None:
    page = desk.open()
    page.get_by_role("button", name="3人のスマートフォンを用意する").click()
    expect(page.locator(".phone")).to_have_count(3)
    page.get_by_role("button", name="人を追加").click()
    page.get_by_label("新しい人の名前").fill("次郎")
    page.keyboard.press("Enter")
    expect(page.get_by_role("article", name="次郎さんのスマートフォン")).to_be_visible()
    page.get_by_role("button", name="次郎さんのスマートフォンを片付ける").click()
    expect(page.locator(".phone")).to_have_count(3)
    page.get_by_role("button", name="次郎さんの電話を並べる").click()
    expect(page.locator(".phone")).to_have_count(4)


def test_three_phones_fit_a_desk_and_one_a_small_window(desk: Any) -> None:
    people = [desk.friend(name) for name in ("花子", "太郎", "さくら")]
    page = desk.open()
    boxes = [desk.phone(one).bounding_box() for one in people]
    assert [box["width"] for box in boxes] == [391, 391, 391]
    assert boxes[0]["x"] >= 0
    assert boxes[2]["x"] + boxes[2]["width"] <= 1440
    page.set_viewport_size({"width": 390, "height": 720})
    assert desk.phone(people[0]).bounding_box()["width"] <= 390
    desk.phone(people[2]).scroll_into_view_if_needed()
    desk.phone(people[2]).get_by_role("textbox").fill("小さな窓から")
    page.keyboard.press("Enter")
    assert desk.heard("message")[0]["message"]["text"] == "小さな窓から"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_page_says_when_the_simulator_is_gone(chromium: Any) -> None:
    page = chromium.new_page()
    with LineSimulator(seed=1) as line:
        line.channel("店")
        line.person("花子")
        page.goto(f"{line.url}/_phone")
        expect(page.locator(".phone")).to_have_count(1)
    expect(page.get_by_role("alert")).to_contain_text("模擬環境に接続できません")
    page.close()

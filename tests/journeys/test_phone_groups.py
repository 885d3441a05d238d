"""Groups, profiles, memberships, statistics and coverage on the phone page, in a real browser."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import expect

from line_simulator import Person
from line_simulator.people.group import GroupChat
from line_simulator.world.group_chats import GroupBook


def gather(desk: Any, *names: str) -> tuple[GroupChat, list[Person]]:
    """Return a group of new friends with the account in it."""
    people = [desk.friend(name) for name in names]
    group = desk.line.group("町内会", people, desk.shop)
    desk.line.drain()
    desk.bot.events.clear()
    return group, people


def to_list(phone: Any) -> None:
    phone.get_by_role("button", name="トーク一覧へ").click()


def enter(desk: Any, person: Person, name: str = "町内会") -> Any:
    """Open the group on a person's phone, which shows the chat with the only account at first."""
    phone = desk.phone(person)
    to_list(phone)
    phone.locator(".talk", has_text=name).get_by_role("button").click()
    return phone


def test_a_group_is_made_talked_in_and_left(desk: Any) -> None:
    hanako, taro, sakura = (desk.friend(name) for name in ("花子", "太郎", "さくら"))
    page = desk.open()
    phone = desk.phone(hanako)
    to_list(phone)
    phone.get_by_role("button", name="グループを作成").click()
    phone.get_by_label("グループ名").fill("花見の会")
    phone.get_by_role("checkbox", name="太郎").check()
    phone.get_by_label("招待する公式アカウント").select_option(desk.shop.id)
    phone.get_by_role("button", name="作成する").click()
    expect(phone.locator(".head h2")).to_have_text("花見の会 (3)")
    (group,) = desk.line.world.part(GroupBook).groups.values()
    assert (group.members, group.channel_id) == ([hanako.record.id, taro.record.id], desk.shop.id)
    assert desk.heard("join")[0]["source"] == {"type": "group", "groupId": group.id}
    phone.get_by_role("textbox", name="メッセージを入力").fill("日曜に行きましょう")
    page.keyboard.press("Enter")
    said = desk.heard("message")[0]
    assert said["source"] == {"type": "group", "groupId": group.id, "userId": hanako.user_id(desk.shop)}
    # The other member finds it in his list, with her name.
    other = desk.phone(taro)
    to_list(other)
    row = other.locator(".talk", has_text="花見の会 (3)")
    expect(row.locator("small")).to_have_text("花子: 日曜に行きましょう")
    expect(row.locator(".badge")).to_have_text("1")
    row.get_by_role("button").click()
    expect(other.locator(".line.theirs .sender")).to_have_text("花子")
    expect(other.locator(".line.theirs .text")).to_have_text("日曜に行きましょう")
    expect(phone.locator(".line.mine .read")).to_have_text("既読 1")
    assert other.locator(".line.theirs .text").bounding_box()["x"] - other.bounding_box()["x"] < 100
    # He invites a third, and goes.
    other.locator(".head .name").click()
    other.get_by_role("button", name="メンバーを招待").click()
    other.get_by_role("checkbox", name="さくら").check()
    other.get_by_role("button", name="招待する", exact=True).click()
    expect(phone.locator(".note").last).to_have_text("さくらが参加しました")
    assert desk.heard("memberJoined")[0]["joined"]["members"] == [{"type": "user", "userId": sakura.user_id(desk.shop)}]
    other.get_by_role("button", name="トークのメニュー").click()
    other.get_by_role("button", name="グループを退会").click()
    expect(other.get_by_role("heading", name="トーク")).to_be_visible()
    expect(other.locator(".talk", has_text="花見の会")).to_have_count(0)
    assert desk.heard("memberLeft")[0]["left"]["members"][0]["userId"] == taro.user_id(desk.shop)
    expect(phone.locator(".head h2")).to_have_text("花見の会 (3)")


def test_what_the_account_says_in_a_group_is_tapped(desk: Any) -> None:
    group, (hanako, taro) = gather(desk, "花子", "太郎")
    desk.open()
    phone, other = enter(desk, hanako), enter(desk, taro)
    yes = {"type": "postback", "label": "はい", "data": "yes", "displayText": "行きます"}
    no = {"type": "message", "label": "いいえ", "text": "行けません"}
    template = {"type": "confirm", "text": "来られますか", "actions": [yes, no]}
    message = {"type": "template", "altText": "出欠", "template": template}
    quick = [{"type": "action", "action": {"type": "message", "label": "何時？", "text": "何時からですか"}}]
    sent = {"to": group.id, "messages": [message, {"type": "text", "text": "日曜です", "quickReply": {"items": quick}}]}
    desk.api("POST", "/v2/bot/message/push", sent)
    expect(phone.locator(".line.theirs .sender")).to_have_text("花屋ことのは")
    phone.get_by_role("button", name="何時？").click()
    expect(phone.locator(".quick button")).to_have_count(0)
    phone.get_by_role("button", name="はい").click()
    postback = desk.heard("postback")[0]
    assert (postback["postback"], postback["source"]["groupId"]) == ({"data": "yes"}, group.id)
    other.get_by_role("button", name="いいえ").click()
    assert [one["message"]["text"] for one in desk.heard("message", 2)] == ["何時からですか", "行けません"]
    expect(other.locator(".line .text")).to_have_text(["日曜です", "何時からですか", "行きます", "行けません"])
    # Only what the bot heard can be taken back.
    expect(phone.locator(".line.mine")).to_have_count(2)
    expect(phone.get_by_role("button", name="送信を取り消す")).to_have_count(1)
    phone.get_by_role("button", name="送信を取り消す").click(force=True)
    assert desk.heard("unsend")[0]["source"]["groupId"] == group.id
    expect(other.get_by_text("花子がメッセージの送信を取り消しました")).to_be_visible()


def test_the_account_is_mentioned_and_members_send_stickers_and_pictures(desk: Any) -> None:
    # One name begins like the other.
    group, (hanako, _, taro) = gather(desk, "花子", "太", "太郎")
    page = desk.open()
    phone = enter(desk, hanako)
    other = enter(desk, taro)
    box = phone.get_by_role("textbox", name="メッセージを入力")
    box.press_sequentially("ねえ @")
    expect(phone.locator(".mentions button")).to_have_text(["花花屋ことのは", "太太", "太太郎", "AAll"])
    box.press_sequentially("花")
    expect(phone.locator(".mentions button")).to_have_count(1)
    phone.get_by_role("button", name="花屋ことのはをメンション").click()
    expect(box).to_have_value("ねえ @花屋ことのは ")
    expect(phone.locator(".mentions")).to_be_hidden()
    box.press_sequentially("と@太郎さん、いますか")
    page.keyboard.press("Enter")
    account, person = desk.heard("message")[0]["message"]["mention"]["mentionees"]
    assert account == {"index": 3, "length": 7, "type": "user", "userId": desk.shop.bot_user_id, "isSelf": True}
    assert (person["userId"], person["isSelf"]) == (taro.user_id(desk.shop), False)
    expect(other.locator(".mention")).to_have_text(["@花屋ことのは", "@太郎"])
    phone.get_by_role("button", name="スタンプを送る").click()
    phone.get_by_role("button", name="スタンプ 446/1988").click()
    sticker = desk.heard("message", 2)[1]
    assert (sticker["message"]["stickerId"], sticker["source"]["groupId"]) == ("1988", group.id)
    expect(other.locator(".line.theirs .sticker")).to_be_visible()
    phone.get_by_role("button", name="写真・位置情報などを送る").click()
    phone.get_by_role("button", name="カメラ").click()
    desk.heard("message", 3)
    # The others see the very picture.
    expect(other.locator(".line.theirs .picture img")).to_have_js_property("naturalWidth", 480)


def test_rooms_and_groups_without_the_account(desk: Any) -> None:
    hanako, taro = desk.friend("花子"), desk.friend("太郎")
    page = desk.open()
    phone = desk.phone(hanako)
    to_list(phone)
    phone.get_by_role("button", name="グループを作成").click()
    phone.get_by_label("種類").select_option("room")
    phone.get_by_role("checkbox", name="太郎").check()
    phone.get_by_label("招待する公式アカウント").select_option("")
    phone.get_by_role("button", name="作成する").click()
    expect(phone.locator(".head h2")).to_have_text("太郎 (2)")
    phone.get_by_role("textbox", name="メッセージを入力").fill("ふたりだけ")
    page.keyboard.press("Enter")
    expect(phone.locator(".line.mine .text")).to_have_text("ふたりだけ")
    phone.get_by_role("button", name="トークのメニュー").click()
    phone.get_by_role("button", name="公式アカウントを招待").click()
    phone.get_by_role("button", name="花屋ことのはを招待").click()
    expect(phone.locator(".note").last).to_have_text("花屋ことのはが参加しました")
    # A room tells the account only when something happens there.
    assert [event["type"] for event in desk.bot.events] == []
    desk.phone(taro).get_by_role("button", name="トーク一覧へ").click()
    desk.phone(taro).locator(".talk", has_text="花子 (3)").get_by_role("button").click()
    desk.phone(taro).get_by_role("textbox").fill("三人です")
    page.keyboard.press("Enter")
    assert desk.heard("join")[0]["source"]["type"] == "room"
    assert desk.heard("message")[0]["message"]["text"] == "三人です"
    phone.get_by_role("button", name="トークのメニュー").click()
    phone.get_by_role("button", name="花屋ことのはを退会させる").click()
    assert desk.heard("leave")[0]["source"]["type"] == "room"
    expect(phone.locator(".head h2")).to_have_text("太郎 (2)")
    # Another visit shows the same room.
    page.reload()
    expect(phone.locator(".head h2")).to_have_text("太郎 (2)")


def test_a_group_that_is_gone_leads_back_to_the_list(desk: Any) -> None:
    group, (hanako, _) = gather(desk, "花子", "太郎")
    desk.open()
    phone = enter(desk, hanako)
    expect(phone.locator(".head h2")).to_have_text("町内会 (3)")
    group.leave(hanako)
    expect(phone.get_by_role("heading", name="トーク")).to_be_visible()
    expect(desk.page.get_by_role("alert")).to_be_hidden()


def test_names_in_groups_are_never_markup(desk: Any) -> None:
    evil = '<img src=x onerror="window.hurt=1">'
    people = [desk.friend(evil), desk.friend("花子")]
    group = desk.line.group(evil, people, desk.shop)
    desk.line.membership(desk.shop, evil, description=evil, benefits=[evil])
    page = desk.open()
    group.say(people[0], f"@{evil} {evil}", mention=[people[0]])
    phone = enter(desk, people[1], evil)
    expect(phone.locator(".line.theirs .sender")).to_have_text(evil)
    phone.locator(".head .name").click()
    phone.get_by_role("button", name="花屋ことのはのプロフィール").click()
    expect(phone.locator(".plan h4")).to_contain_text(evil)
    assert page.evaluate("window.hurt") is None
    assert page.locator("#phones img[onerror]").count() == 0


def test_the_profile_of_an_account(desk: Any) -> None:
    hanako = desk.line.person("花子")
    desk.friend("太郎")
    desk.open()
    phone = desk.phone(hanako)
    phone.locator(".head .name").click()
    sheet = phone.get_by_role("dialog", name="プロフィール")
    expect(sheet.get_by_role("heading", name="花屋ことのは")).to_contain_text("認証済")
    expect(sheet).to_contain_text(f"{desk.shop.basic_id} ・ 友だち 1人")
    expect(sheet.locator(".relation")).to_have_text("友だちではありません")
    sheet.get_by_role("button", name="友だち追加").click()
    expect(sheet.locator(".relation")).to_have_text("友だち")
    expect(sheet).to_contain_text("友だち 2人")
    assert desk.heard("follow")[0]["source"]["userId"] == hanako.user_id(desk.shop)
    sheet.get_by_role("button", name="ブロック", exact=True).click()
    expect(sheet.locator(".relation")).to_have_text("ブロック中")
    desk.heard("unfollow")
    sheet.get_by_role("button", name="ブロック解除").click()
    expect(sheet.locator(".relation")).to_have_text("友だち")
    sheet.get_by_role("button", name="トーク").click()
    expect(sheet).to_have_count(0)


def test_a_membership_is_joined_renewed_and_left(desk: Any) -> None:
    plan = desk.line.membership(
        desk.shop, "花のある暮らし", description="毎月の花", benefits=["花", "割引"], price=1200, member_limit=1
    )
    hanako, taro = desk.friend("花子"), desk.friend("太郎")
    desk.open()
    phone, other = desk.phone(hanako), desk.phone(taro)
    phone.locator(".head .name").click()
    card = phone.get_by_role("region", name="花のある暮らし")
    expect(card).to_contain_text("1,200 / 月")
    expect(card.get_by_role("listitem")).to_have_text(["花", "割引"])
    card.get_by_role("button", name="加入する").click()
    expect(card).to_contain_text("会員番号 1 ・ 1か月目")
    event = desk.heard("membership")[0]
    assert event["membership"] == {"type": "joined", "membershipId": plan.id}
    assert event["source"]["userId"] == hanako.user_id(desk.shop)
    card.get_by_role("button", name="更新する").click()
    expect(card).to_contain_text("2か月目")
    # One place, and it is taken.
    other.locator(".head .name").click()
    expect(other.get_by_role("region", name="花のある暮らし")).to_contain_text("満員です")
    expect(other.get_by_role("button", name="加入する")).to_have_count(0)
    card.get_by_role("button", name="退会する").click()
    expect(card.get_by_role("button", name="加入する")).to_be_visible()
    assert [one["membership"]["type"] for one in desk.heard("membership", 3)] == ["joined", "renewed", "left"]
    assert plan.members == {}


def test_public_coupons_are_in_the_profile(desk: Any) -> None:
    now = int(desk.line.clock.time())
    desk.api("POST", "/v2/bot/coupon", {
        "title": "花束100円引き", "startTimestamp": now - 10, "endTimestamp": now + 86_400, "maxUseCountPerTicket": 1, "timezone": "ASIA_TOKYO",
        "visibility": "PUBLIC", "acquisitionCondition": {"type": "normal"}, "reward": {"type": "others"},
    })  # fmt: skip
    hanako = desk.friend("花子")
    desk.open()
    phone = desk.phone(hanako)
    for choice, told in (("受け取る", "受け取り済み"), ("使う", "使用済み（1回）")):
        phone.locator(".head .name").click()
        phone.get_by_role("button", name="花束100円引き").click()
        phone.get_by_role("button", name=choice).click()
        phone.get_by_role("dialog", name="プロフィール").get_by_role("button", name="閉じる").click()
        phone.locator(".head .name").click()
        expect(phone.get_by_role("button", name="花束100円引き")).to_contain_text(told)
        phone.get_by_role("dialog", name="プロフィール").get_by_role("button", name="閉じる").click()


def test_the_text_of_a_tap_cannot_be_taken_back(desk: Any) -> None:
    hanako = desk.friend("花子")
    desk.open()
    phone = desk.phone(hanako)
    action = {"type": "postback", "label": "はい", "data": "yes", "displayText": "はい！"}
    desk.push(hanako, {"type": "template", "altText": "a", "template": {"type": "buttons", "text": "a", "actions": [action]}})
    phone.get_by_role("button", name="はい", exact=True).click()
    expect(phone.locator(".line.mine .text")).to_have_text("はい！")
    expect(phone.get_by_role("button", name="送信を取り消す")).to_have_count(0)
    hanako.say(desk.shop, "本文")
    expect(phone.get_by_role("button", name="送信を取り消す")).to_have_count(1)


def test_statistics_are_bars(desk: Any) -> None:
    hanako, taro = desk.friend("花子"), desk.friend("太郎")
    desk.api("POST", "/v2/bot/message/broadcast", {"messages": [{"type": "text", "text": "https://shop.example/"}]})
    taro.block(desk.shop)
    desk.line.clock.advance(86_400)
    page = desk.open()
    expect(desk.phone(hanako).locator(".line .text")).to_be_visible()
    page.get_by_role("button", name="設定").click()
    page.get_by_role("tab", name="統計").click()
    drawer = page.get_by_role("complementary", name="設定")

    def chart(key: str) -> Any:
        return drawer.locator(f'.chart[data-key="{key}"]')

    expect(chart("sent").locator(".number")).to_have_text("2通")
    # Both phones opened the chat on the second day.
    expect(chart("looks").locator(".number")).to_have_text("2回")
    expect(chart("looks").locator(".rate")).to_have_text("100%")
    expect(chart("taps").locator(".number")).to_have_text("0回")
    expect(chart("friends").locator(".number")).to_have_text("1人")
    expect(chart("blocked").locator(".number")).to_have_text("1人")
    heights = chart("sent").locator("rect").evaluate_all("bars => bars.map((one) => Number(one.getAttribute('height')))")
    assert (len(heights), heights[-2], heights[-1]) == (14, 64, 1)
    assert re.fullmatch(r"配信: \d+/\d+ 2通", chart("sent").get_by_role("img").get_attribute("aria-label"))
    desk.push(hanako, {"type": "text", "text": "もう一通"})
    expect(chart("sent").locator(".number")).to_have_text("3通")
    expect(chart("looks").locator(".number")).to_have_text("3回")


def test_the_coverage_is_a_table(desk: Any) -> None:
    page = desk.open()
    operations = desk.line.api.coverage()
    page.get_by_role("button", name="設定").click()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="対応しているAPI").click()
    table = opened.value
    rows = table.locator("tbody tr")
    expect(rows).to_have_count(len(operations))
    partial = [one for one in operations if one["level"] == "partial"]
    table.get_by_role("button", name="一部").click()
    expect(rows).to_have_count(len(partial))
    expect(rows.first).to_contain_text(partial[0]["note"])
    table.get_by_role("button", name="すべて").click()
    table.get_by_label("検索").fill("post bot/message/push")
    expect(rows).to_have_count(sum(one["method"] == "POST" and "/bot/message/push" in one["path"] for one in operations))
    expect(rows.first).to_contain_text("対応")
    table.get_by_label("検索").fill("そんなものはない")
    expect(table.get_by_text("当てはまるAPIはありません。")).to_be_visible()
    table.set_viewport_size({"width": 390, "height": 844})
    assert table.evaluate("document.documentElement.scrollWidth") <= 390
    table.close()


def test_groups_and_profiles_fit_a_small_window(desk: Any) -> None:
    _, (hanako, _) = gather(desk, "花子", "太郎")
    desk.line.membership(desk.shop, "花のある暮らし")
    page = desk.open()
    page.set_viewport_size({"width": 390, "height": 844})
    phone = enter(desk, hanako)
    phone.locator(".head .name").click()
    assert phone.locator(".sheet").evaluate("node => node.scrollWidth - node.clientWidth") == 0
    phone.get_by_role("button", name="花屋ことのはのプロフィール").click()
    expect(phone.locator(".plan")).to_be_visible()
    assert phone.locator(".sheet").evaluate("node => node.scrollWidth - node.clientWidth") == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    nameless = page.evaluate(
        "() => [...document.querySelectorAll('button, input, select, a')].filter((node) => node.checkVisibility()"
        " && !(node.ariaLabel || node.innerText.trim() || node.labels?.[0]?.textContent.trim())).map((node) => node.outerHTML)"
    )
    assert nameless == []

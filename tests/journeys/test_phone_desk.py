"""Around the phones: the log of webhooks, accounts, time, faults."""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import expect


def test_the_log_shows_webhooks_and_sends_them_again(desk: Any) -> None:
    hanako = desk.friend("花子")
    page = desk.open()
    hanako.say(desk.shop, "もしもし")
    row = page.locator(".hook").first
    expect(row).to_contain_text("message")
    expect(row).to_contain_text("花子")
    expect(row).to_contain_text("もしもし")
    expect(row).to_contain_text("HTTP 200")
    expect(row.locator(".latency")).to_contain_text("ms")
    row.locator("summary").click()
    expect(row).to_contain_text(desk.line.webhooks[-1].signature)
    expect(row.locator("pre")).to_contain_text('"text": "もしもし"')
    page.get_by_role("button", name=f"#{desk.line.webhooks[-1].id}をもう一度送る").click()
    first, again = desk.heard("message", 2)
    assert first["webhookEventId"] == again["webhookEventId"]
    # The opened one stays open while new ones arrive above it.
    expect(page.locator(".hook[open] pre")).to_contain_text("もしもし")
    desk.bot.status = 500
    hanako.say(desk.shop, "だめ")
    expect(page.locator(".hook").first).to_contain_text("失敗")
    expect(page.locator(".hook").first).to_contain_text("HTTP 500")
    page.get_by_role("button", name="記録を閉じる").click()
    expect(page.locator("#log")).to_be_hidden()
    page.get_by_role("button", name="Webhook", exact=True).click()
    expect(page.locator("#log")).to_be_visible()


def test_an_account_is_connected_from_the_drawer(desk: Any) -> None:
    hanako = desk.friend("花子")
    page = desk.open()
    page.get_by_role("button", name="設定").click()
    drawer = page.get_by_role("complementary", name="設定")
    expect(drawer).to_contain_text(desk.shop.id)
    assert desk.shop.secret not in drawer.locator(".copyable").nth(1).inner_text()
    drawer.get_by_role("button", name="チャネルシークレットを表示").click()
    expect(drawer.get_by_text(desk.shop.secret, exact=True)).to_be_visible()
    drawer.get_by_role("button", name="チャネルアクセストークンをコピー").click()
    expect(drawer.get_by_role("button", name="チャネルアクセストークンをコピー")).to_have_text("コピーしました")
    assert page.evaluate("navigator.clipboard.readText()") == desk.shop.access_token
    expect(drawer.locator(".snippet pre").first).to_contain_text(f'host="{desk.line.url}"')
    drawer.get_by_role("button", name="接続確認").click()
    expect(drawer.get_by_text("成功しました（HTTP 200")).to_be_visible()
    drawer.get_by_text("Webhookの利用").click()
    desk.until(lambda: desk.shop.webhook_active is False)
    drawer.get_by_text("Webhookの再送").click()
    desk.until(lambda: desk.shop.redelivery is True)
    hanako.say(desk.shop, "届かない")
    expect(page.locator(".hook").first).to_contain_text("送信先なし")
    drawer.get_by_label("Webhook URL").first.fill(desk.bot.origin + "/other")
    drawer.get_by_role("button", name="保存").click()
    desk.until(lambda: desk.shop.webhook_url == desk.bot.origin + "/other")
    drawer.get_by_text("公式アカウントを増やす").click()
    drawer.get_by_label("アカウント名").fill("珈琲みなと")
    drawer.get_by_role("button", name="作成する").click()
    desk.until(lambda: len(desk.line.world.state.channels) == 2)
    drawer.get_by_role("button", name="設定を閉じる").click()
    expect(drawer).to_be_hidden()


def test_time_moves_on_all_phones(desk: Any) -> None:
    hanako = desk.friend("花子")
    page = desk.open()
    hanako.say(desk.shop, "きょう")
    before = desk.line.clock.time()
    page.get_by_role("button", name="模擬時刻").click()
    page.get_by_role("button", name="+1日").click()
    desk.until(lambda: desk.line.clock.time() > before + 86_000)
    hanako.say(desk.shop, "あす")
    expect(desk.phone(hanako).locator(".day")).to_have_text(["昨日", "今日"])


def test_faults_are_set_and_taken_back(desk: Any) -> None:
    desk.friend("花子")
    page = desk.open()
    page.get_by_role("button", name="設定").click()
    page.get_by_role("tab", name="障害").click()
    page.get_by_label("障害の種類").select_option("unauthorized")
    page.get_by_label("回数").fill("2")
    page.get_by_role("button", name="障害を起こす").click()
    row = page.locator(".faults li")
    expect(row).to_contain_text("401 トークンの期限切れ")
    expect(row).to_contain_text("0 / 2回")
    (rule,) = desk.line.faults.describe()
    assert (rule["kind"], rule["times"]) == ("unauthorized", 2)
    row.get_by_role("button", name="取り消す").click()
    expect(row).to_have_text("ありません")
    assert desk.line.faults.describe() == []


def test_everything_can_be_reached_by_keyboard_and_has_a_name(desk: Any) -> None:
    hanako = desk.friend("花子")
    desk.push(hanako, {"type": "text", "text": "はい", "quickReply": {"items": [
        {"type": "action", "action": {"type": "message", "label": "選ぶ", "text": "選びました"}}]}})  # fmt: skip
    page = desk.open()
    expect(desk.phone(hanako).locator(".quick button")).to_be_visible()
    page.get_by_role("button", name="設定").click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll('button, input, select, textarea, iframe, a, summary')]
             .filter((node) => node.checkVisibility() && !(node.ariaLabel || node.textContent.trim() || node.labels?.[0]?.textContent.trim() || node.title))
             .map((node) => node.outerHTML.slice(0, 120))"""
    )
    assert json.dumps(nameless) == "[]"
    page.keyboard.press("Escape")
    desk.phone(hanako).locator(".quick button").focus()
    page.keyboard.press("Enter")
    assert desk.heard("message")[0]["message"]["text"] == "選びました"
    desk.phone(hanako).get_by_role("button", name="スタンプを送る").focus()
    page.keyboard.press("Enter")
    expect(desk.phone(hanako).get_by_role("dialog", name="スタンプ")).to_be_visible()
    page.keyboard.press("Escape")
    expect(desk.phone(hanako).get_by_role("dialog")).to_have_count(0)
    expect(desk.phone(hanako).get_by_role("button", name="スタンプを送る")).to_be_focused()

"""The phones in a real browser keep their shape, whatever an account sends."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DATE = {"type": "datetimepicker", "label": "日付を選ぶ", "data": "d", "mode": "date"}


@pytest.fixture
def view() -> Iterator[Any]:
    if CHROMIUM is None:
        # On CI a missing browser is a failure, not an excuse (.ci/run installs it).
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--no-first-run"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(10_000)
        yield page
        browser.close()


@pytest.fixture
def chat(view: Any, line: LineSimulator, hanako: Person, shop: Channel, api: Any) -> Any:
    """Hanako's chat in the browser, the newest message with as many quick replies as LINE allows."""
    actions = [DATE, *({"type": "message", "label": f"とても長い答え その{number}", "text": "a"} for number in range(12))]
    message = {
        "type": "text",
        "text": "選んでください",
        "quickReply": {"items": [{"type": "action", "action": one} for one in actions]},
    }
    assert api("POST", "/v2/bot/message/push", {"to": hanako.user_id(shop), "messages": [message]})[0] == 200
    view.goto(f"{line.url}/_phone")
    view.locator(".quick button").first.wait_for()
    return view


def test_thirteen_quick_replies_leave_the_phone_as_wide_as_it_was(chat: Any) -> None:
    assert chat.locator(".phone").first.bounding_box()["width"] == pytest.approx(391)
    assert chat.locator(".quick button").count() == 13
    # Whoever has neither a finger nor a wheel that goes sideways needs the bar.
    assert chat.locator(".quick").evaluate("node => getComputedStyle(node).scrollbarWidth") == "thin"


def test_quick_replies_stay_until_a_date_is_sent(chat: Any, line: LineSimulator, receiver: Any) -> None:
    chat.locator(".quick button", has_text="日付を選ぶ").click()
    chat.locator(".picker button", has_text="キャンセル").click()
    assert chat.locator(".quick button").count() == 13
    chat.locator(".quick button", has_text="日付を選ぶ").click()
    chat.locator(".picker button.main").click()
    chat.locator(".quick button").first.wait_for(state="detached")
    line.drain()
    assert receiver.events[-1]["type"] == "postback"


def test_a_coupon_says_what_it_is_worth(chat: Any, api: Any, shop: Channel, hanako: Person, line: LineSimulator) -> None:
    now = int(line.clock.time())
    content = {
        "title": "100円引き",
        "startTimestamp": now,
        "endTimestamp": now + 86_400,
        "maxUseCountPerTicket": 1,
        "timezone": "ASIA_TOKYO",
        "visibility": "UNLISTED",
        "acquisitionCondition": {"type": "normal"},
        "reward": {"type": "discount", "priceInfo": {"type": "fixed", "fixedAmount": 100}},
    }
    coupon = api("POST", "/v2/bot/coupon", content)[1]["couponId"]
    message = {"type": "coupon", "couponId": coupon}
    assert api("POST", "/v2/bot/message/push", {"to": hanako.user_id(shop), "messages": [message]})[0] == 200
    chat.locator(".ticket h3", has_text="100円引き").wait_for()


def test_the_log_tells_a_failing_bot_from_an_absent_one(
    chat: Any, line: LineSimulator, hanako: Person, shop: Channel, receiver: Any
) -> None:
    receiver.answers = ["no status"]
    hanako.say(shop, "a")
    chat.locator(".hook .answer", has_text="応答せずに切断").wait_for()
    shop.webhook_url = "http://127.0.0.1:9/hook"
    hanako.say(shop, "b")
    chat.locator(".hook .answer", has_text="接続できません").wait_for()
    line.drain()


def test_the_last_card_of_a_carousel_keeps_off_the_edge(chat: Any, api: Any, shop: Channel, hanako: Person) -> None:
    columns = [{"text": f"商品{number}", "actions": [{"type": "message", "label": "買う", "text": "a"}]} for number in range(10)]
    message = {"type": "template", "altText": "商品", "template": {"type": "carousel", "columns": columns}}
    assert api("POST", "/v2/bot/message/push", {"to": hanako.user_id(shop), "messages": [message]})[0] == 200
    chat.locator(".swipe").wait_for()
    gap = """row => { row.scrollLeft = 1e6;
        return row.getBoundingClientRect().right - row.lastElementChild.getBoundingClientRect().right; }"""
    assert chat.locator(".swipe").evaluate(gap) == pytest.approx(10, abs=1)

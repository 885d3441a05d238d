"""The phone page in a real browser: add the account, read, tap, block; what LINE would tell the bot is told."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from line_simulator import LineSimulator

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def page() -> Iterator[Any]:
    if CHROMIUM is None:
        # On CI a missing browser is a failure, not an excuse (.ci/run installs it).
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        view = browser.new_page(viewport={"width": 1200, "height": 800})
        troubles: list[str] = []
        view.on("pageerror", lambda error: troubles.append(str(error)))
        yield view
        assert troubles == []
        browser.close()


def test_a_person_adds_the_account_reads_taps_and_blocks(page: Any) -> None:
    with LineSimulator(seed=1) as line:
        channel = line.channel("縁商店", webhook_url="http://127.0.0.1:9/webhook")
        person = line.person("花子")
        page.goto(f"{line.url}/_phone")
        page.get_by_role("button", name="友だち追加").first.click()
        page.wait_for_function("() => document.body.innerText.includes('（友だち）')")
        assert person.status(channel) == "friend"

        action = {"type": "postback", "label": "はい", "data": "answer=yes", "displayText": "はい！"}
        template = {"type": "buttons", "text": "<b>新作</b>が入りました", "actions": [action]}
        body = {"to": person.user_id(channel), "messages": [{"type": "template", "altText": "新作", "template": template}]}
        headers = {"Authorization": f"Bearer {channel.access_token}"}
        assert urllib3.request("POST", f"{line.url}/v2/bot/message/push", json=body, headers=headers).status == 200
        # Escaped: what a shop writes is text, never markup.
        page.get_by_text("<b>新作</b>が入りました").first.wait_for()
        page.get_by_text("はい", exact=True).first.click()
        page.get_by_text("はい！").first.wait_for()
        page.get_by_role("button", name="ブロック").first.click()
        page.wait_for_function("() => !document.body.innerText.includes('（友だち）')")
        assert person.status(channel) == "blocked"
        assert [kind for delivery in line.webhooks for kind in delivery.events] == ["follow", "postback", "unfollow"]

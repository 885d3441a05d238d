"""The pages of LINE Login, account linking and LIFF in a real browser: a finger finds its way, the app knows its user."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import pytest

from line_simulator import Channel, LineSimulator, Person

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# What an app written for LINE's SDK does; only the address of the script differs.
APP = """<!doctype html><meta charset="utf-8"><title>会員証</title><body>
<script src="{sdk}"></script><script>
liff.init({{ liffId: "{liff_id}", withLoginOnExternalBrowser: true }}).then(async () => {{
  const [profile, friendship] = await Promise.all([liff.getProfile(), liff.getFriendship()]);
  const claims = liff.getDecodedIDToken();
  await liff.sendMessages([{{ type: "text", text: "会員証を開きました" }}]);
  let missing = "";
  try {{ await liff.scanCodeV2(); }} catch (error) {{ missing = error.code; }}
  document.body.append(JSON.stringify([profile.displayName, claims.name, friendship.friendFlag, missing, location.search]));
  document.title = "ready";
}}).catch((error) => document.body.append("failed " + error.message));
</script>"""


@pytest.fixture
def view() -> Iterator[Any]:
    if CHROMIUM is None:
        # On CI a missing browser is a failure, not an excuse (.ci/run installs it).
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        page = browser.new_page(viewport={"width": 390, "height": 780})
        page.set_default_timeout(10_000)
        troubles: list[str] = []
        page.on("pageerror", lambda error: troubles.append(str(error)))
        yield page
        assert troubles == []
        browser.close()


@pytest.fixture
def site() -> Iterator[tuple[str, dict[str, str]]]:
    """A web server on an origin of its own: its URL, and the page it shows."""
    pages = {"text": "ok"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = pages["text"].encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/app", pages
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_liff_app_knows_its_user(
    view: Any, site: tuple[str, dict[str, str]], line: LineSimulator, shop: Channel, hanako: Person, api: Any, receiver: Any
) -> None:
    url, pages = site
    channel = line.login_channel("会員証", callback_urls=[url], bot=shop)
    from tests.simulator.test_sim_liff import Liff

    scopes = ["profile", "openid", "chat_message.write"]
    liff_id = Liff(line, channel).add(view={"type": "full", "url": url}, scope=scopes)
    pages["text"] = APP.format(sdk=f"{line.url}/liff/sdk.js", liff_id=liff_id)
    # Straight to the app, as in an external browser: liff.init logs in.
    view.goto(f"{url}?table=7")
    view.get_by_role("combobox").select_option(hanako.id)
    view.get_by_role("button", name="許可する").click()
    view.wait_for_function("() => document.title === 'ready'")
    assert '["花子","花子",true,"FORBIDDEN","?table=7"]' in view.inner_text("body")
    # The tokens are not left in the address.
    assert "access_token" not in view.url
    line.drain()
    assert receiver.events[-1]["message"]["text"] == "会員証を開きました"


def test_consent_and_friend_pages_by_hand(
    view: Any, site: tuple[str, dict[str, str]], line: LineSimulator, shop: Channel, hanako: Person
) -> None:
    url, _ = site
    channel = line.login_channel("会員証", callback_urls=[url], bot=shop)
    jiro = line.person("次郎")
    given = {"response_type": "code", "client_id": channel.id, "redirect_uri": url, "state": "s", "scope": "profile openid email"}
    view.goto(f"{line.url}/oauth2/v2.1/authorize?" + urlencode({**given, "bot_prompt": "aggressive", "response_mode": "form_post"}))
    view.get_by_role("combobox").select_option(jiro.id)
    view.get_by_role("button", name="ログイン").click()
    # Nothing is wider than the phone, and buttons are large enough for a finger.
    assert view.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert all(box["height"] >= 44 for box in (one.bounding_box() for one in view.get_by_role("button").all()))
    view.get_by_label("メールアドレス").uncheck()
    view.get_by_role("button", name="許可する").click()
    view.get_by_role("button", name="友だち追加する").click()
    view.wait_for_url(url)
    assert view.inner_text("body") == "ok"
    assert jiro.status(shop) == "friend"


def test_linking_an_account_by_hand(view: Any, line: LineSimulator, shop: Channel, hanako: Person, api: Any, receiver: Any) -> None:
    token = api("POST", f"/v2/bot/user/{hanako.user_id(shop)}/linkToken")[1]["linkToken"]
    view.goto(f"{line.url}/dialog/bot/accountLink?" + urlencode({"linkToken": token, "nonce": "n" * 20}))
    assert view.evaluate("document.documentElement.scrollWidth <= innerWidth")
    view.get_by_role("button", name="連携する").click()
    view.get_by_text("連携が完了しました").wait_for()
    line.drain()
    assert receiver.events[-1]["link"] == {"result": "ok", "nonce": "n" * 20}

"""A desk with phones in a real browser: a running simulator, a small real bot, and the page."""

from __future__ import annotations

import base64
import hashlib
import hmac
import io
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import urllib3

from line_simulator import Channel, LineSimulator, Person

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PICTURE = "https://img.example/picture.png"


class Bot:
    """Takes signed webhooks and keeps their events; `react` may answer one; `pages` are its web pages: path to redirect or text."""

    def __init__(self) -> None:
        self.secret = ""
        self.events: list[dict[str, Any]] = []
        self.status = 200
        self.react: Callable[[dict[str, Any]], None] = lambda _: None
        self.pages: dict[str, str] = {}
        bot = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                mac = base64.b64encode(hmac.new(bot.secret.encode(), body, hashlib.sha256).digest()).decode()
                known = self.headers["x-line-signature"] == mac
                events = json.loads(body)["events"] if known and bot.status == 200 else []
                bot.events += events
                self.send_response(bot.status if known else 403)
                self.send_header("Content-Length", "0")
                self.end_headers()
                for event in events:
                    bot.react(event)

            def do_GET(self) -> None:
                page = bot.pages.get(self.path.partition("?")[0], "お店のページ")
                self.send_response(302 if page.startswith("http") else 200)
                if page.startswith("http"):
                    self.send_header("Location", page)
                body = f"<!doctype html><meta charset=utf-8><h1>{page}</h1>".encode()
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Desk:
    """What a test of the page holds: the simulator, one account with its bot, and the browser's page."""

    def __init__(self, line: LineSimulator, bot: Bot, page: Any) -> None:
        self.line, self.bot, self.page = line, bot, page
        self.shop: Channel = line.channel("花屋ことのは", webhook_url=bot.origin + "/webhook")
        bot.secret = self.shop.secret

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Call LINE as the account; raises AssertionError unless it is accepted."""
        given = {"Authorization": f"Bearer {self.shop.access_token}", **headers}
        content = {"body": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        answer = urllib3.request(method, self.line.url + path, headers=given, **content)
        assert answer.status < 300, answer.data.decode()
        return json.loads(answer.data or b"{}")

    def push(self, person: Person, *messages: dict[str, Any]) -> list[str]:
        """Push messages and return their ids."""
        sent = self.api("POST", "/v2/bot/message/push", {"to": person.user_id(self.shop), "messages": list(messages)})
        return [one["id"] for one in sent["sentMessages"]]

    def friend(self, name: str) -> Person:
        """Return a new friend of the account."""
        person = self.line.person(name)
        person.follow(self.shop)
        self.line.drain()
        self.bot.events.clear()
        return person

    def open(self) -> Any:
        """Load the page and return it."""
        self.page.goto(f"{self.line.url}/_phone")
        return self.page

    def phone(self, person: Person) -> Any:
        """Return the locator of a person's phone."""
        return self.page.locator(f'.phone[data-person="{person.id}"]')

    def heard(self, kind: str, count: int = 1) -> list[dict[str, Any]]:
        """Return the events of a kind that the bot received, once there are `count`."""
        self.until(lambda: sum(event["type"] == kind for event in self.bot.events) >= count)
        return [event for event in self.bot.events if event["type"] == kind]

    def until(self, holds: Callable[[], bool]) -> None:
        """Let the page go on until this holds; fails after some seconds."""
        for _ in range(600):
            if holds():
                return
            self.page.wait_for_timeout(25)
        raise AssertionError(f"It did not come about; the bot heard {self.bot.events}.")


def picture(width: int = 60, height: int = 40, color: str = "#e0457b") -> bytes:
    """Return a PNG of one colour."""
    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (width, height), color).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    if CHROMIUM is None:
        # On CI a missing browser is a failure, not an excuse (.ci/run installs it).
        (pytest.fail if os.environ.get("CI") else pytest.skip)("Chromium is not installed: apt-get install chromium")
    from playwright.sync_api import expect, sync_playwright

    # A machine that runs the whole suite on two cores is slow at times.
    expect.set_options(timeout=15_000)
    quiet = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)
        yield browser
        browser.close()


@pytest.fixture
def desk(chromium: Any) -> Iterator[Desk]:
    """A desk; fails the test when the page had an error of its own."""
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, permissions=["clipboard-read", "clipboard-write"])
    context.set_default_timeout(15_000)
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda said: troubles.append(said.text) if "Content Security Policy" in said.text else None)
    page.route("https://img.example/**", lambda route: route.fulfill(body=picture(), content_type="image/png"))
    bot = Bot()
    with LineSimulator(seed=1) as line:
        yield Desk(line, bot, page)
        context.close()
    bot.stop()
    assert troubles == []

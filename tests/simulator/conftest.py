"""A running simulator, an account with two people, and a receiver for webhooks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from line_simulator import Channel, LineSimulator, Person, Request, Settings

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("error"))


class Receiver:
    """Takes webhooks; `answers` are the statuses of the next ones, then 200; `delay` real seconds before each."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self.delay = 0.0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                time.sleep(receiver.delay)
                self.send_response(receiver.answers.pop(0) if receiver.answers else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hook"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for _, body in self.received for event in json.loads(body)["events"]]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Caller:
    """Calls LINE as one channel, without a socket."""

    def __init__(self, line: LineSimulator, channel: Channel) -> None:
        self.line = line
        self.channel = channel

    def __call__(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        path, _, query = target.partition("?")
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {"authorization": f"Bearer {self.channel.access_token}", "content-type": "application/json"}
        request = Request(method, path, query, {**given, **(headers or {})}, raw)
        response = self.line.handle(request)
        content = json.loads(response.body) if response.body and response.content_type == "application/json" else response.body
        return response.status, content, response.headers

    def push(self, to: str, text: str = "こんにちは", key: str | None = None) -> tuple[int, Any, dict[str, str]]:
        headers = {"x-line-retry-key": key} if key else {}
        return self("POST", "/v2/bot/message/push", {"to": to, "messages": [{"type": "text", "text": text}]}, headers)

    def multicast(self, to: list[str], text: str = "こんにちは") -> tuple[int, Any, dict[str, str]]:
        return self("POST", "/v2/bot/message/multicast", {"to": to, "messages": [{"type": "text", "text": text}]})

    def reply(self, token: str, text: str = "はい") -> tuple[int, Any, dict[str, str]]:
        body = {"replyToken": token, "messages": [{"type": "text", "text": text}]}
        return self("POST", "/v2/bot/message/reply", body)


@pytest.fixture
def line() -> Iterator[LineSimulator]:
    with LineSimulator(seed=1, settings=Settings(redelivery_delays=(0.05, 0.05))) as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    running = Receiver()
    yield running
    running.stop()


@pytest.fixture
def shop(line: LineSimulator, receiver: Receiver) -> Channel:
    return line.channel("花屋", webhook_url=receiver.url)


@pytest.fixture
def hanako(line: LineSimulator, shop: Channel) -> Person:
    person = line.person("花子")
    person.follow(shop)
    line.drain()
    return person


@pytest.fixture
def taro(line: LineSimulator, shop: Channel) -> Person:
    person = line.person("太郎")
    person.follow(shop)
    person.block(shop)
    line.drain()
    return person


@pytest.fixture
def api(line: LineSimulator, shop: Channel) -> Caller:
    return Caller(line, shop)


@pytest.fixture
def caller() -> type[Caller]:
    return Caller

"""Everything at once: callers, people, a bot that calls back, faults, a jumping clock, saving; nothing is lost or stuck."""

from __future__ import annotations

import http.client
import json
import random
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from line_simulator import Channel, Habits, LineSimulator, Settings
from line_simulator.world import snapshot

SECONDS = 3.0
THREADS = 12
TEXT = [{"type": "text", "text": "はい"}]
BUTTONS = {"type": "buttons", "text": "t", "actions": [{"type": "postback", "label": "l", "data": "d"}]}
MESSAGES = [*TEXT, {"type": "template", "altText": "q", "template": BUTTONS}]
HARMLESS = ["webhook_duplicate", "webhook_delay", "webhook_reorder", "webhook_batch", "webhook_escaped", "webhook_split"]


class Caller:
    """Asks the simulator over sockets, one connection for each thread, and counts the statuses."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._own = threading.local()
        self._all: list[http.client.HTTPConnection] = []
        self.statuses: Counter[int] = Counter()

    def __call__(self, method: str, target: str, body: Any = None, token: str = "", **headers: str) -> None:
        connection = getattr(self._own, "connection", None)
        if connection is None:
            connection = self._own.connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
            self._all.append(connection)
        given = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **headers}
        connection.request(method, target, None if body is None else json.dumps(body), given)
        response = connection.getresponse()
        response.read()
        self.statuses[response.status] += 1

    def close(self) -> None:
        for one in self._all:
            one.close()


class Bot:
    """Answers, pushes, links, looks and moves the clock from within its webhook."""

    def __init__(self) -> None:
        self.call: Caller | None = None
        self.tokens: dict[str, str] = {}
        self.menus: dict[str, str] = {}
        self.seen: Counter[str] = Counter()
        bot = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                for event in json.loads(self.rfile.read(int(self.headers["content-length"])))["events"]:
                    bot.react(self.path, event)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def react(self, path: str, event: dict[str, Any]) -> None:
        assert self.call is not None
        token, user_id = self.tokens[path], event.get("source", {}).get("userId")
        self.seen[event["webhookEventId"]] += 1
        chance = random.random()
        if "replyToken" in event and chance < 0.5:
            self.call("POST", "/v2/bot/message/reply", {"replyToken": event["replyToken"], "messages": TEXT}, token)
        if user_id and chance < 0.4:
            key = {"X-Line-Retry-Key": str(uuid.uuid4())}
            self.call("POST", "/v2/bot/message/push", {"to": user_id, "messages": TEXT}, token, **key)
            self.call("POST", f"/v2/bot/user/{user_id}/richmenu/{self.menus[path]}", None, token)
            self.call("POST", f"/_sim/people/{user_id}/look", {"channel": path[1:]})
        if chance > 0.9:
            self.call("POST", "/_sim/clock", {"advance": 30})


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LineSimulator]:
    monkeypatch.setattr(snapshot, "_PERIOD_SECONDS", 0.1)
    settings = Settings(redelivery_delays=(0.02, 0.05, 0.1, 0.2), webhook_timeout_seconds=10)
    with LineSimulator(seed=1, data=tmp_path, rate_limits=False, settings=settings) as running:
        yield running


def deeds(line: LineSimulator, bot: Bot, call: Caller, luck: random.Random, channel: Channel) -> list[Callable[[], None]]:
    people = list(line.world.state.people.values())
    person, token = luck.choice(people), channel.access_token
    user_id, menu = line.people.user_id(person, channel), bot.menus[f"/{channel.name}"]

    def api(path: str, body: Any) -> Callable[[], None]:
        return lambda: call("POST", f"/v2/bot/{path}", body, token)

    def verb(name: str, **body: Any) -> Callable[[], None]:
        return lambda: call("POST", f"/_sim/people/{person.id}/{name}", {"channel": channel.id, **body})

    def sim(path: str, body: Any = None, method: str = "POST") -> Callable[[], None]:
        return lambda: call(method, f"/_sim/{path}", body)

    def see(path: str) -> Callable[[], None]:
        return sim(path, method="GET")

    everybody = [line.people.user_id(one, channel) for one in people]
    return [
        *(verb(name) for name in ("block", "unblock", "follow", "look", "tap", "tap_menu")),
        *(verb("say", text="こんにちは"), verb("say", message={"type": "image"}), verb("postback", data="x", displayText="q")),
        *(api("message/push", {"to": user_id, "messages": MESSAGES}), api("message/broadcast", {"messages": MESSAGES})),
        *(api("message/multicast", {"to": everybody, "messages": MESSAGES}), api("message/narrowcast", {"messages": MESSAGES})),
        api("richmenu/bulk/link", {"richMenuId": menu, "userIds": [user_id]}),
        api("richmenu/batch", {"operations": [{"type": "unlink", "from": menu}]}),
        api("audienceGroup/upload", {"description": str(luck.random()), "audiences": [{"id": user_id}]}),
        sim("clock", {"advance": luck.choice([1, 60, 3600])}),
        sim("faults", {"kind": luck.choice(HARMLESS), "times": 3, "seconds": 0.05}),
        sim("faults", method="DELETE"),
        sim("groups/home/say", {"person": people[0].id, "text": "x"}),
        sim(f"groups/home/{luck.choice(['join', 'leave'])}", {"people": [person.id]}),
        sim("actors", {"channel": channel.id, "people": [person.id]}),
        sim("actors", method="DELETE"),
        sim("people", {"name": f"新{luck.randrange(9)}", "follow": channel.id}),
        *(see(path) for path in ("channels", "people", "status", "webhooks?limit=9", "requests?limit=9", "actors", "groups")),
        *(see(f"chats?person={person.id}&channel={channel.id}"), see("version?wait=0.1&since=x"), see("invariants")),
        *(see("await?event=message&timeout=0.05"), see("await?operation=pushMessage&timeout=0.05")),
    ]


def furnish(line: LineSimulator, bot: Bot) -> None:
    areas = [{"bounds": {"x": 0, "y": 0, "width": 9, "height": 9}, "action": {"type": "postback", "data": "z"}}]
    menu = {"size": {"width": 2500, "height": 843}, "selected": True, "name": "x", "chatBarText": "y", "areas": areas}
    from line_simulator.api.rich_menus import add_menu

    for name in ("a", "b"):
        shop = line.channel(name, f"http://127.0.0.1:{bot.server.server_port}/{name}", redelivery=True)
        bot.tokens[f"/{name}"] = shop.access_token
        added = add_menu(line.world, shop, menu)
        added.image = b"x"
        bot.menus[f"/{name}"] = added.id
        line.act(Habits(), shop)
        for number in range(20):
            line.person(f"人{number}").follow(shop)
    line.group("home", [line.person("人0")], line.world.channel("a"))


@pytest.mark.off_contract
def test_everything_at_once(line: LineSimulator, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bot, errors = Bot(), []
    bot.call = call = Caller(int(line.url.rpartition(":")[2]))
    furnish(line, bot)
    until = time.monotonic() + SECONDS

    def work(number: int) -> None:
        luck = random.Random(number)
        try:
            while time.monotonic() < until:
                channel = luck.choice(list(line.world.state.channels.values()))
                luck.choice(deeds(line, bot, call, luck, channel))()
        except Exception as error:  # noqa: BLE001 - told by the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        for one in threads:
            one.start()
        for one in threads:
            one.join(60)
        assert not any(one.is_alive() for one in threads)
        line.faults.remove()
        line.drain(30)
        line.live(86_400, 30)
    finally:
        sys.setswitchinterval(interval)
        bot.server.shutdown()
        bot.server.server_close()
        call.close()
    assert errors == []
    assert max(call.statuses) < 500, call.statuses
    assert {one.state for one in line.webhooks} == {"delivered"}
    assert set(bot.seen) == {event["webhookEventId"] for one in line.webhooks for event in json.loads(one.body)["events"]}
    verdict = line.invariants()
    assert verdict.ok, verdict.broken[:3]
    assert verdict.delivered > 100
    line.stop()
    assert capsys.readouterr().err == ""
    with LineSimulator(data=tmp_path) as again:
        assert again.invariants() == verdict

"""What a delivered message costs us, with the network stubbed: our own CPU and requests, from the page of rows to marked.

Sockets are replaced below urllib3, so that building, signing, sending and reading of every request count as ours; the time
that the stub itself takes is counted apart and taken off. The rate of pushes is measured against a real server in a process
of its own that answers after fifty milliseconds (`python -m local.bench_delivery PORT`).
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from math import ceil
from typing import Any

from chalicelib.kernel.ids import AccountKey, Cid, LineUserId, TemplateId

STUB = "http://127.0.0.1:9"  # whatever is said to this address the stub answers
_LATENCY_SECONDS = 0.05
NOW = datetime(2026, 12, 1, 1, 0, tzinfo=UTC)
_SAME = {"messages": [{"type": "text", "text": "新作のチョコレートが入荷しました。" * 3}]}
_PERSONAL = {
    "messages": [
        {"type": "text", "text": "{{name}}様、いつもありがとうございます。\n{{link.shop}}"},
        {
            "type": "template",
            "altText": "{{name}}様へのおすすめ",
            "template": {
                "type": "buttons",
                "title": "{{name}}様へ",
                "text": "先日のご注文に合う新作です。",
                "actions": [{"type": "uri", "label": "見る", "uri": "{{link.item}}"}],
            },
        },
    ]
}


class Stub:
    """DynamoDB and LINE as prepared bytes behind every socket. cpu: what the stub itself has used.

    units: DynamoDB's `read` and `write` units that were asked for, with strong reads and items of these sizes. latency_seconds:
    how long DynamoDB lets every request wait.
    """

    def __init__(self, people: int, latency_seconds: float = 0.0) -> None:
        self.requests: Counter[str] = Counter()
        self.units: Counter[str] = Counter()
        self.cpu = 0.0
        self._latency_seconds = latency_seconds
        self._lock = threading.Lock()
        self._items = {key: text for n in range(1, people + 1) for key, text in _items(n)}

    def answer(self, request: bytes) -> bytes:
        started = time.thread_time()
        head, _, body = request.partition(b"\r\n\r\n")
        name, answer = self._answer(head, body)
        reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-line-request-id: 0f3c1f0e-7a0b-4d51-9f3e-2b8a6f0c1d2e\r\n"
        reply += b"Content-Length: %d\r\n\r\n%s" % (len(answer), answer)
        with self._lock:
            self.requests[name] += 1
            self.cpu += time.thread_time() - started
        if b"DynamoDB_" in head:
            time.sleep(self._latency_seconds)
        return reply

    def _answer(self, head: bytes, body: bytes) -> tuple[str, bytes]:
        if b"DynamoDB_" not in head:
            path = head.split(b" ", 2)[1].decode()
            if path.startswith("/oauth2"):
                return path, b'{"access_token":"t","token_type":"Bearer","expires_in":900}'
            if "/quota" in path:
                return path, b'{"type":"none","totalUsage":0}'
            if path.endswith("/push"):
                return path, b'{"sentMessages":[{"id":"461230966842064897","quoteToken":"IStG5h1Tz7b"}]}'
            return path, b"{}"
        name = head.partition(b"DynamoDB_20120810.")[2].partition(b"\r\n")[0].decode()
        asked = json.loads(body)
        match name:
            case "BatchGetItem":
                ((table, wanted),) = asked["RequestItems"].items()
                found = [self._items.get((key["pk"]["S"], key["sk"]["S"])) for key in wanted["Keys"]]
                self._use("read", (ceil(len(item or "") / 4096) for item in found))  # what is not there costs a unit too
                items = ",".join(item for item in found if item)
                return name, f'{{"Responses":{{"{table}":[{items}]}},"UnprocessedKeys":{{}}}}'.encode()
            case "BatchExecuteStatement":
                self._use("write", (ceil(len(json.dumps(one["Parameters"])) / 1024) for one in asked["Statements"]))
                return name, json.dumps({"Responses": [{"TableName": "engine"} for _ in asked["Statements"]]}).encode()
            case "UpdateItem":
                self._use("write", [1])
                return name, b'{"Attributes":{"pk":{"S":"RATE"},"sk":{"S":"0"},"used":{"N":"45"}}}'
            case "Query":
                self._use("read", [1])
                return name, b'{"Items":[],"Count":0,"ScannedCount":0}'
            case _:
                puts = [put for table in asked.get("RequestItems", {}).values() for put in table]
                self._use("write", (ceil(len(json.dumps(put)) / 1024) for put in puts))
                return name, b'{"UnprocessedItems":{}}'

    def _use(self, kind: str, units: Iterable[int]) -> None:
        used = sum(max(1, each) for each in units)
        with self._lock:
            self.units[kind] += used


def _items(number: int) -> Iterator[tuple[tuple[str, str], str]]:
    pk = _pk(number)
    profile = {
        "name": "山田 花子",
        "name_kana": "ヤマダ ハナコ",
        "member_no": f"M{number:07d}",
        "email": f"hanako{number}@example.jp",
        "phone": f"+8190{number:08d}",
        "prefecture": "東京都",
        "city": "千代田区",
        "birthday": "1990-04-01",
        "gender": "female",
        "consent_line": "in 2026-01-01T00:00:00.000Z import",
        "created_at": "2026-01-01T00:00:00.000Z",
    }
    stats = {"first_at": "2026-01-05T03:00:00.000Z", "last_at": "2026-11-05T03:00:00.000Z", "first_no": "O1"}
    friend = {
        "line_user_id": f"U{number:032x}",
        "state": "following",
        "first_seen_at": "2026-01-01T00:00:00.000Z",
        "state_at": "2026-01-01T00:00:00.000Z",
        "display_name": "花子",
        "picture_url": "https://profile.line-scdn.net/0h0123456789abcdef",
    }
    numbers = {"count": {"N": "4"}, "total_yen": {"N": "24800"}, "revision": {"N": "4"}}
    sends = {f"v|{pk}|ENR#{n}": {"S": f"2026-11-{6 * n:02d}T01:00:00.000Z line scn|other"} for n in range(1, 5)}
    caps = {"rv": {"N": "4"}, "sends": {"M": sends}}
    tags = {"tag_a": {"N": "1"}}
    for sk, values, more in (
        ("P", profile, {}), ("S", stats, numbers), ("T", {}, tags), ("FR#main", friend, {}), ("CAP", {}, caps),
    ):  # fmt: skip
        wire: dict[str, Any] = {name: {"S": value} for name, value in {"pk": pk, "sk": sk, **values}.items()} | more
        yield (pk, sk), json.dumps(wire, ensure_ascii=False)


def _pk(number: int) -> str:
    from chalicelib.people.model import person_key

    return person_key(Cid(number))


class _Socket(socket.socket):
    """A socket that never connects: what is sent is answered by the stub. It has a descriptor, for urllib3 asks for one."""

    def __init__(self, stub: Stub) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self._stub = stub
        self._sent = bytearray()

    def sendall(self, data: Any, flags: int = 0) -> None:
        self._sent += data

    def makefile(self, *_: Any, **__: Any) -> Any:
        request, self._sent = bytes(self._sent), bytearray()
        return BytesIO(self._stub.answer(request))

    def setsockopt(self, *_: Any) -> None:
        pass


@contextmanager
def stubbed(stub: Stub) -> Iterator[None]:
    """Let DynamoDB, and LINE if it is asked for at STUB, be the stub."""
    import urllib3.connection

    from chalicelib.adapters import aws, line
    from chalicelib.delivery.table import RateItem

    kind: Any = urllib3.connection.HTTPConnection
    original = kind._new_conn
    kind._new_conn = lambda connection: _Socket(stub) if connection.port == 9 else original(connection)
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    os.environ["AWS_ENDPOINT_URL"] = STUB

    def forget() -> None:
        aws.client.cache_clear()
        line._pool.cache_clear()
        RateItem._connection = None

    forget()
    try:
        yield
    finally:
        kind._new_conn = original
        os.environ["AWS_ENDPOINT_URL"] = endpoint
        forget()


def delivery_of(line_url: str) -> Any:
    """Return the real Delivery on the real adapters; only templates, secrets and LINE's address are the bench's."""
    from chalicelib.adapters.line import LineApi
    from chalicelib.kernel.clock import SystemClock
    from chalicelib.settings import settings
    from chalicelib.wiring import World

    here = World(settings(), SystemClock())
    here.__dict__["line"] = LineApi(line_url)
    here.__dict__["secrets"] = _Secrets()
    here.__dict__["messages"] = _Templates()
    return here.delivery


class _Secrets:
    def get(self, name: str) -> dict[str, Any]:
        return {"key": "k" * 40, "channel_id": "1234567890", "channel_secret": "8" * 32, "bot_user_id": "U" + "b" * 32}


class _Templates:
    def get(self, template_id: str) -> Any:
        from chalicelib.customers.model import DeliveryChannel
        from chalicelib.messages.model import Template

        content = _SAME if template_id == "tpl_same" else _PERSONAL
        return Template(TemplateId(template_id), "bench", DeliveryChannel.LINE, content, 1, NOW)


def page(lane: str, number: int, size: int) -> tuple[Any, list[Any]]:
    """Return the job and the rows of a page of `size` members; the lane `capped` is multicast under a cap that lets all pass."""
    from chalicelib.customers.model import DeliveryChannel
    from chalicelib.delivery.model import ACTIVE, Cap, Job, Row

    rows = [Row(_pk(n), "ENR#bench#", Cid(n), "bench", ACTIVE, "", "") for n in range(1, size + 1)]
    template = "tpl_personal" if lane == "push" else "tpl_same"
    caps = (Cap("all", 10, timedelta(days=7), "delay"),) if lane == "capped" else ()
    job = Job(f"bench|{lane}|{number}|", "bench", f"v{number}", DeliveryChannel.LINE, template, "scn|bench|a", NOW, caps=caps)
    return job, rows


def cpu_and_requests(lane: str, size: int, pages: int = 5) -> tuple[float, Counter[str]]:
    """Return the least CPU seconds a person of some pages of one lane costs, and the requests of a page."""
    stub = Stub(size)
    best = float("inf")
    with stubbed(stub):
        delivery = delivery_of(STUB)
        for number in range(pages + 1):
            stub.cpu, stub.requests = 0.0, Counter()
            started = time.process_time()
            deliver(delivery, lane, number, size)
            if number:  # the first page warms up: clients, tokens, connections
                best = min(best, (time.process_time() - started - stub.cpu) / size)
    return best, stub.requests


def push_rate(size: int = 500, pages: int = 11, latency_seconds: float = 0.0) -> tuple[float, float]:
    """Return personal pushes a second and CPU seconds for each, of the best page, against a LINE with fifty milliseconds of latency.

    latency_seconds: of DynamoDB.
    """
    stub = Stub(size, latency_seconds)
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    server = subprocess.Popen([sys.executable, "-m", "local.bench_delivery", str(port)])  # noqa: S603
    try:
        with stubbed(stub):
            delivery = delivery_of(f"http://127.0.0.1:{port}")
            _wait_for(port)
            deliver(delivery, "push", 0, size)
            rate, used = 0.0, float("inf")
            for number in range(1, pages):
                stub.cpu, started, cpu = 0.0, time.monotonic(), time.process_time()
                deliver(delivery, "push", number, size)
                rate = max(rate, size / (time.monotonic() - started))
                used = min(used, (time.process_time() - cpu - stub.cpu) / size)
            return rate, used
    finally:
        server.terminate()
        server.wait()


def deliver(delivery: Any, lane: str, number: int, size: int) -> None:
    """Bring one page its message; it must reach everybody."""
    job, rows = page(lane, number, size)
    report = delivery.deliver(job, rows, [AccountKey("main")])
    if len(report.sent) != size or report.failed or report.pending:
        raise AssertionError(report)


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the slow LINE did not start")


class _SlowLine(asyncio.Protocol):
    """Answers every request after the latency."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
        if end and len(body) >= int(length or b"0"):
            self._received = b""
            answer = b'{"access_token":"t","type":"none","totalUsage":0,"sentMessages":[{"id":"461230966842064897"}]}'
            reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nx-line-request-id: 0f3c1f0e-7a0b-4d51\r\n"
            whole = reply + b"Content-Length: %d\r\n\r\n%s" % (len(answer), answer)
            asyncio.get_running_loop().call_later(_LATENCY_SECONDS, self._transport.write, whole)


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_SlowLine, "127.0.0.1", port, backlog=256)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))

"""Every operation of LINE's specification is known, exact paths only, and never answered by a silent 200."""

from __future__ import annotations

import re
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from line_simulator import LineSimulator
from line_simulator.api.operations import OPERATIONS
from tests.simulator.contract.drift import KNOWN_DRIFT

SPECIFICATION = Path(__file__).parents[3] / "shared" / "line-openapi"


@pytest.mark.skipif(not SPECIFICATION.is_dir(), reason="the official OpenAPI files are not beside the repository")
def test_the_table_of_operations_is_the_official_one() -> None:
    yaml = pytest.importorskip("yaml")
    official = set()
    for file in SPECIFICATION.glob("*.yml"):
        if file.name == "webhook.yml":
            continue
        for path, methods in yaml.safe_load(file.read_text(encoding="utf-8"))["paths"].items():
            official |= {
                (method.upper(), path, content["operationId"])
                for method, content in methods.items()
                if method in ("get", "post", "put", "delete", "patch")
            }
    assert set(OPERATIONS) == official


def _target(path: str) -> str:
    return re.sub(r"\{\w+\}", "1234", path)


@pytest.mark.parametrize(("method", "path", "operation_id"), OPERATIONS, ids=[one[2] for one in OPERATIONS])
def test_each_operation_is_answered_or_says_it_is_missing(
    api: Any, line: LineSimulator, method: str, path: str, operation_id: str
) -> None:
    level = next(one["level"] for one in line.api.coverage() if one["operationId"] == operation_id)
    status, body, headers = api(method, _target(path), {} if method in ("POST", "PUT") else None)
    assert headers["x-line-request-id"]
    if level == "none":
        assert (status, body) == (501, {"message": f"linesim: not implemented: {operation_id}"})
    else:
        assert status in (200, 400, 403, 404, 415)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/bot/info/", 404),
        ("GET", "//v2/bot/info", 404),
        ("GET", "/v2//bot/info", 404),
        ("GET", "/v2/bot/INFO", 404),
        ("GET", "/v2/bot", 404),
        ("GET", "/", 404),
        ("POST", "/v2/bot/info", 405),
        ("GET", "/v2/bot/message/push", 405),
        ("DELETE", "/v2/bot/message/push", 405),
        ("GET", "/oauth2/v3/token", 405),
        ("GET", "/v2/bot/profile/U1/x", 404),
    ],
)
def test_paths_and_methods_are_exact(api: Any, method: str, path: str, status: int) -> None:
    assert api(method, path)[0] == status


def _raw(line: LineSimulator, text: bytes) -> bytes:
    port = int(line.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=3) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    return answer


def test_every_answer_is_marked(line: LineSimulator) -> None:
    answer = _raw(line, b"GET /v2/bot/info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").lower()
    assert answer.startswith(b"http/1.1 401 unauthorized")
    assert b"x-linesim: 1" in answer
    assert b"x-line-request-id: " in answer


def test_several_requests_share_a_connection(line: LineSimulator) -> None:
    answer = _raw(line, b"GET /_sim/status HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
    assert answer.count(b"HTTP/1.1 200") == 3


def test_chunked_bodies_are_read(line: LineSimulator) -> None:
    body = b'{"name":"x"}'
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:])) + b"0\r\n\r\n"
    head = b"POST /_sim/people HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert b'"name":"x"' in _raw(line, head + chunks)


@pytest.mark.parametrize(
    "text",
    [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"],
)
def test_nonsense_is_refused(line: LineSimulator, text: bytes) -> None:
    assert _raw(line, text).startswith((b"HTTP/1.1 400", b"HTTP/1.1 413"))


def test_the_server_listens_on_this_machine_only(line: LineSimulator) -> None:
    assert line.url.startswith("http://127.0.0.1:")


def test_the_same_seed_gives_the_same_ids() -> None:
    def ids() -> list[str]:
        with LineSimulator(seed=7) as line:
            shop = line.channel("花屋")
            hanako = line.person("花子")
            hanako.follow(shop)
            return [shop.id, shop.secret, shop.bot_user_id, hanako.user_id(shop), hanako.say(shop, "a")]

    first = ids()
    assert first == ids()
    for value, shape in zip(first, (r"\d{10}", r"[0-9a-f]{32}", r"U[0-9a-f]{32}", r"U[0-9a-f]{32}", r"\d{18}"), strict=True):
        assert re.fullmatch(shape, value)


def test_the_page_names_what_is_missing_or_differs(line: LineSimulator) -> None:
    page = (Path(__file__).parents[2] / "docs" / "line-simulator.md").read_text(encoding="utf-8")
    unfinished = [one["operationId"] for one in line.api.coverage() if one["level"] != "full"]
    assert [one for one in unfinished if f"`{one}`" not in page] == []
    rests = Counter(one["evidence"] for one in line.api.coverage())
    assert f"{rests['guessed']} of {rests.total()} operations *guessed*" in page
    assert f"{rests['contradicted']} *contradicted*" in page
    assert [one for one in KNOWN_DRIFT if f"| {one.subject} | {one.reason} |" not in page] == []

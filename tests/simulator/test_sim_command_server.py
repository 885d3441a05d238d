"""What the server does with bytes that no polite client sends."""

from __future__ import annotations

import json
import socket

import pytest

from line_simulator import LineSimulator, Request, Response


def _raw(line: LineSimulator, text: bytes, *, ends: bool = True) -> bytes:
    with socket.create_connection(("127.0.0.1", int(line.url.rpartition(":")[2])), timeout=3) as connection:
        connection.sendall(text)
        if ends:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65_536):
            answer += part
    return answer


HEAD = b" HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"G\x00T / HTTP/1.1\r\n\r\n", 400),
        (b"GET /" + b"a" * 70_000 + HEAD + b"\r\n", 414),
        (b"GET /" + HEAD + b"a: " + b"b" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /" + HEAD + b"a: b\r\n" * 300 + b"\r\n", 431),
        (b"GET /" + HEAD + b"no colon\r\n\r\n", 400),
        (b"GET /" + HEAD + b" folded: x\r\n\r\n", 400),
        (b"POST /" + HEAD + b"Content-Length: -1\r\n\r\n", 400),
        (b"POST /" + HEAD + "Content-Length: ²\r\n\r\n".encode("latin-1"), 400),
        (b"POST /" + HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 400),
        (b"POST /" + HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
        (b"POST /" + HEAD + b"Content-Length: 99999999\r\n\r\n", 413),
        (b"POST /" + HEAD + b"Transfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST /" + HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (b"POST /" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n\r\n", 400),
        (b"POST /" + HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", 400),
        (b"POST /" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", 413),
        (b"OPTIONS *" + HEAD + b"Connection: close\r\n\r\n", 404),
        (b"HEAD /v2/bot/info" + HEAD + b"Connection: close\r\n\r\n", 405),
        (b"OPTIONS /v2/bot/info" + HEAD + b"Connection: close\r\n\r\n", 405),
        (b"GET /v2/bot/%00/%ff" + HEAD + b"Connection: close\r\n\r\n", 404),
        ("GET /v2/bot/花 HTTP/1.1\r\nConnection: close\r\n\r\n".encode(), 404),
        (b"GET /v2/bot/\xff\xa0 HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
        (b"GET http://api.line.me/v2/bot/info" + HEAD + b"Connection: close\r\n\r\n", 401),
        (b"\r\n\r\nGET /v2/bot/info" + HEAD + b"Connection: close\r\n\r\n", 401),
    ],
)
def test_rude_requests(line: LineSimulator, text: bytes, status: int) -> None:
    answer = _raw(line, text)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:80]
    head, _, body = answer.partition(b"\r\n\r\n")
    assert text.startswith(b"HEAD") or json.loads(body)["message"]
    assert b"x-linesim: 1" in head


def test_half_a_request_asks_nothing(line: LineSimulator) -> None:
    for body in (b'Content-Length: 50\r\n\r\n{"name":"x"}', b'Transfer-Encoding: chunked\r\n\r\nc\r\n{"name":"x"}'):
        assert _raw(line, b"POST /_sim/people" + HEAD + body) == b""
    assert line.world.state.people == {}


def test_old_clients_see_the_end(line: LineSimulator) -> None:
    answer = _raw(line, b"GET /_sim/status HTTP/1.0\r\n\r\n", ends=False)
    assert b"Connection: close" in answer
    twice = b"GET /_sim/status HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n" * 2
    assert _raw(line, twice).count(b"HTTP/1.1 200") == 2


def test_large_bodies_and_pipelines_share_a_connection(line: LineSimulator) -> None:
    body = json.dumps({"name": "x" * 1_000_000}).encode()
    one = b"POST /_sim/people" + HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    answer = _raw(line, one * 3)
    assert answer.count(b"HTTP/1.1 100 Continue") == answer.count(b"HTTP/1.1 200") == 3


def test_mistakes_of_the_simulator_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    from line_simulator.server import _guarded

    def fail(_: Request) -> Response:
        raise ZeroDivisionError

    assert _guarded(fail, Request("GET", "/")).status == 500
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_headers_stay_on_their_line(line: LineSimulator) -> None:
    from line_simulator.server import _one_line

    assert _one_line("a\r\nSet-Cookie: b") == "a  Set-Cookie: b"


def test_a_refused_client_that_goes_on_sending_reads_why(line: LineSimulator) -> None:
    with socket.create_connection(("127.0.0.1", int(line.url.rpartition(":")[2])), timeout=3) as connection:
        connection.sendall(b"POST /" + HEAD + b"Content-Length: 99999999\r\n\r\n")
        connection.recv(1, socket.MSG_PEEK)
        for _ in range(20):
            connection.sendall(b"x" * 100_000)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413")

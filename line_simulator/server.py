"""A small HTTP/1.1 server on 127.0.0.1 that hands plain requests to a function."""

from __future__ import annotations

import re
import socket
import socketserver
import sys
import threading
import time
import traceback
from collections.abc import Callable
from http import HTTPStatus
from io import BufferedIOBase
from typing import Any, Final

from line_simulator.exchange import Request, Response

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_MAX_LINE: Final = 65_536
_MAX_HEADERS: Final = 200
_LINGER_SECONDS: Final = 2.0
_MAX_HEADER_BYTES: Final = 1_048_576
_VERSION: Final = re.compile(r"HTTP/1\.[0-9]")
_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}")
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CHUNK_SIZE: Final = re.compile(rb"[0-9A-Fa-f]{1,8}")
_LENGTH: Final = re.compile(r"[0-9]{1,12}")
_PHRASES: Final = {status.value: status.phrase for status in HTTPStatus}


class Server(socketserver.ThreadingTCPServer):
    """Serves `handle` on a free or given port; knows how many requests are being answered."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, handle: Callable[[Request], Response]) -> None:
        self.answer = handle
        self.busy = 0
        self._busy_lock = threading.Lock()
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Connection)

    @property
    def port(self) -> int:
        """The port in use."""
        return int(self.server_address[1])

    def count(self, change: int) -> None:
        """Add to the number of requests being answered."""
        with self._busy_lock:
            self.busy += change

    def remember(self, connection: socket.socket, *, is_open: bool) -> None:
        """Keep track of open connections, to end idle ones on close."""
        with self._busy_lock:
            (self._open.add if is_open else self._open.discard)(connection)

    def close_connections(self) -> None:
        """Wake all connection threads by shutting their sockets."""
        with self._busy_lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Leave out the traceback for clients that went away; print the others as usual."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Connection(socketserver.StreamRequestHandler):
    """One client. Written by hand: the standard handler spends most of its time in the e-mail parser."""

    server: Server
    disable_nagle_algorithm = True
    rbufsize = 65_536
    wbufsize = 0

    def handle(self) -> None:
        self.server.remember(self.connection, is_open=True)
        try:
            while self._exchange():
                pass
        except (ConnectionError, TimeoutError):
            return
        finally:
            self.server.remember(self.connection, is_open=False)

    def _exchange(self) -> bool:
        line = self.rfile.readline(_MAX_LINE)
        if not line.strip(b"\r\n"):
            # A blank line before a request is allowed (RFC 9112, 2.2); end of stream is the end.
            return bool(line)
        try:
            return self._answer(line)
        except _Refused as refused:
            self._send(Response(refused.status, refused.body()), keep=False, head=False)
            self._linger()
            return False

    def _linger(self) -> None:
        """Take in a little of what the client still sends: closing at once would reset the connection before it reads."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_LINGER_SECONDS)
        deadline = time.monotonic() + _LINGER_SECONDS
        while time.monotonic() < deadline and self.rfile.read1(_MAX_LINE):
            continue

    def _answer(self, line: bytes) -> bool:
        method, target, version = _request_line(line)
        headers = _read_headers(self.rfile)
        length = _length(headers)
        if headers.get("expect", "").lower() == "100-continue" and version != "HTTP/1.0":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = _read_body(self.rfile, length)
        if body is None:
            # The client went away in the middle: nothing was asked.
            return False
        wish = [word.strip() for word in headers.get("connection", "").lower().split(",")]
        keep = "close" not in wish if version != "HTTP/1.0" else "keep-alive" in wish
        path, _, query = target.partition("?")
        request = Request(method, path, query, headers, body)
        # The simulator's own pages live under /_; somebody waiting for quiet asks them, and must not count.
        weight = 0 if path.startswith("/_") else 1
        self.server.count(weight)
        try:
            return self._respond(request, keep=keep)
        finally:
            self.server.count(-weight)

    def _respond(self, request: Request, *, keep: bool) -> bool:
        response = _guarded(self.server.answer, request)
        if response.delay:
            time.sleep(response.delay)
        if response.drop:
            return False
        self._send(response, keep=keep, head=request.method == "HEAD")
        return keep

    def _send(self, response: Response, *, keep: bool, head: bool) -> None:
        lines = [
            f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, 'Unknown')}",
            f"Content-Type: {response.content_type}",
            f"Content-Length: {len(response.body)}",
            "x-linesim: 1",
        ]
        lines += [f"{name}: {_one_line(value)}" for name, value in response.headers.items()]
        # Clients that speak HTTP/1.0 wait for the end of the connection unless told otherwise.
        lines.append("Connection: keep-alive" if keep else "Connection: close")
        start = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        self.connection.sendall(start if head else start + response.body)


class _Refused(Exception):
    """The bytes are no request; `status` says why."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    def body(self) -> bytes:
        """Return the answer in LINE's shape."""
        return f'{{"message":"{self}"}}'.encode()


def _guarded(answer: Callable[[Request], Response], request: Request) -> Response:
    """Return the answer; a mistake of the simulator itself is told honestly, and printed for whoever mends it."""
    try:
        return answer(request)
    except Exception:  # noqa: BLE001 - a door: the client must get an answer
        traceback.print_exc(file=sys.stderr)
        return Response(500, b'{"message":"linesim: a mistake of the simulator, see its standard error"}')


def _one_line(value: str) -> str:
    return value.replace("\r", " ").replace("\n", " ")


def _request_line(line: bytes) -> tuple[str, str, str]:
    """Return method, target and version. Raises _Refused."""
    if not line.endswith(b"\n"):
        raise _Refused(414 if len(line) >= _MAX_LINE else 400, "URI Too Long" if len(line) >= _MAX_LINE else "Bad Request")
    try:
        text = line.rstrip(b"\r\n").decode("utf-8")
    except UnicodeDecodeError:
        text = line.rstrip(b"\r\n").decode("latin-1")
    words = text.split(" ")
    if len(words) != 3 or _METHOD.fullmatch(words[0]) is None or _VERSION.fullmatch(words[2]) is None:
        raise _Refused(400, "Bad Request")
    method, target, version = words
    if target.lower().startswith(("http://", "https://")):
        # The absolute form, which every server must take (RFC 9112, 3.2.2).
        target = "/" + target.split("//", 1)[1].partition("/")[2]
    return method, target, version


def _read_headers(stream: BufferedIOBase) -> dict[str, str]:
    """Return the headers by lower-case name. Raises _Refused."""
    headers: dict[str, str] = {}
    size = 0
    for _ in range(_MAX_HEADERS + 1):
        line = stream.readline(_MAX_LINE)
        if line in (b"\r\n", b"\n", b""):
            return headers
        size += len(line)
        if len(line) >= _MAX_LINE or size > _MAX_HEADER_BYTES:
            break
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon or _HEADER_NAME.fullmatch(name) is None:
            raise _Refused(400, "Bad Request")
        key, value = name.lower(), value.strip(" \t\r\n")
        if key == "content-length" and headers.get(key, value) != value:
            raise _Refused(400, "Bad Request")
        headers[key] = value
    raise _Refused(431, "Request Header Fields Too Large")


def _length(headers: dict[str, str]) -> int | None:
    """Return the length of the body, None when it comes in chunks. Raises _Refused."""
    if "transfer-encoding" in headers:
        if "content-length" in headers or headers["transfer-encoding"].lower() != "chunked":
            raise _Refused(400, "Bad Request")
        return None
    text = headers.get("content-length", "0")
    if _LENGTH.fullmatch(text) is None:
        raise _Refused(400, "Bad Request")
    if int(text) > MAX_BODY_BYTES:
        raise _Refused(413, "Request entity too large")
    return int(text)


def _read_body(stream: BufferedIOBase, length: int | None) -> bytes | None:
    """Return the body, or None when the client stopped in the middle. Raises _Refused."""
    if length is None:
        return _read_chunks(stream)
    body = stream.read(length) if length else b""
    return body if len(body) == length else None


def _read_chunks(stream: BufferedIOBase) -> bytes | None:
    body = bytearray()
    while line := stream.readline(_MAX_LINE):
        text = line.partition(b";")[0].strip()
        if _CHUNK_SIZE.fullmatch(text) is None:
            raise _Refused(400, "Bad Request")
        size = int(text, 16)
        if size == 0:
            while stream.readline(_MAX_LINE).strip():
                continue
            return bytes(body)
        if len(body) + size > MAX_BODY_BYTES:
            raise _Refused(413, "Request entity too large")
        chunk = stream.read(size)
        if len(chunk) != size or not stream.readline(_MAX_LINE):
            return None
        body += chunk
    return None

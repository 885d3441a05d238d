"""A small HTTP/1.1 server on 127.0.0.1 that hands plain requests to a function."""

from __future__ import annotations

import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from io import BufferedIOBase
from typing import Any, Final

from line_simulator.exchange import Request, Response

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
_MAX_LINE: Final = 65_536
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
        if not line.strip():
            # A blank line before a request is allowed (RFC 9112, 2.2); end of stream is the end.
            return bool(line)
        return self._answer(line)

    def _answer(self, line: bytes) -> bool:
        words = line.decode("latin-1").split()
        headers = _read_headers(self.rfile)
        if len(words) != 3 or headers is None:
            self._send(Response(400, b'{"message":"Bad Request"}'), keep=False, head=False)
            return False
        method, target, version = words
        if headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = _read_body(self.rfile, headers)
        if body is None:
            self._send(Response(413, b'{"message":"Request entity too large"}'), keep=False, head=False)
            return False
        keep = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
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
        response = self.server.answer(request)
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
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        if not keep:
            lines.append("Connection: close")
        start = "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")
        self.connection.sendall(start if head else start + response.body)


def _read_headers(stream: BufferedIOBase) -> dict[str, str] | None:
    headers: dict[str, str] = {}
    for _ in range(200):
        line = stream.readline(_MAX_LINE)
        if line in (b"\r\n", b"\n", b""):
            return headers
        name, colon, value = line.decode("latin-1").partition(":")
        if not colon:
            return None
        headers[name.strip().lower()] = value.strip()
    return None


def _read_body(stream: BufferedIOBase, headers: dict[str, str]) -> bytes | None:
    """Return the body, or None when it is too large or its length makes no sense."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return _read_chunks(stream)
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > MAX_BODY_BYTES:
        return None
    return stream.read(int(length)) if length != "0" else b""


def _read_chunks(stream: BufferedIOBase) -> bytes | None:
    body = bytearray()
    while True:
        try:
            size = int(stream.readline(_MAX_LINE).partition(b";")[0], 16)
        except ValueError:
            return None
        if size == 0:
            while stream.readline(_MAX_LINE).strip():
                continue
            return bytes(body)
        if len(body) + size > MAX_BODY_BYTES:
            return None
        body += stream.read(size)
        stream.readline(_MAX_LINE)

"""One webhook on the wire: its bytes, its signature, its POST."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import ssl
import time
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from line_simulator.exchange import json_bytes
from line_simulator.world.state import Channel, JsonObject

# Nothing documents this name; bots in the field have logged it.
USER_AGENT: Final = "LineBotWebhook/2.0"
CLOSED: Final = "Connection closed without a response"
_ANSWER_MAX: Final = 65_536


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a POST: `status` 0 without an answer, LINE's `reason`, a `detail` for people, milliseconds.

    Reasons: OK, COULD_NOT_CONNECT, REQUEST_TIMEOUT, ERROR_STATUS_CODE, UNCLASSIFIED (TestWebhookEndpointResponse.reason).
    """

    status: int
    reason: str
    detail: str
    latency_ms: float


def sign(secret: str, body: bytes) -> str:
    """Return x-line-signature: Base64 of HMAC-SHA256 over the raw body."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode("ascii")


def encode(channel: Channel, events: list[JsonObject], *, escaped: bool = False) -> bytes:
    """Return the raw body for these events."""
    content = {"destination": channel.bot_user_id, "events": events}
    return json_bytes(content, escaped=escaped)


def post(
    url: str, body: bytes, signature: str | None, timeout: float, *, pause: float | None = None, verify: bool = True
) -> Outcome:
    """POST one webhook within `timeout` real seconds; redirects are not followed. No signature: no such header.

    pause: the body goes in two pieces, so many seconds apart. verify False takes any TLS certificate.
    """
    started = time.perf_counter()
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": USER_AGENT, "Connection": "close"}
    if signature is not None:
        headers["x-line-signature"] = signature
    try:
        status, reason, detail = _exchange(url, body, headers, started + timeout, pause, verify=verify)
    except ssl.SSLError:
        status, reason, detail = 0, "COULD_NOT_CONNECT", f"TLS handshake failure: {url}"
    except TimeoutError:
        status, reason, detail = 0, "REQUEST_TIMEOUT", "Request timeout"
    except (ConnectionResetError, BrokenPipeError):
        # What a bot that fails in the middle looks like; LINE counts it among the connections that failed.
        status, reason, detail = 0, "COULD_NOT_CONNECT", CLOSED
    except OSError:
        status, reason, detail = 0, "COULD_NOT_CONNECT", "Failure to connect"
    except (http.client.HTTPException, ValueError):
        status, reason, detail = 0, "UNCLASSIFIED", "N/A"
    return Outcome(status, reason, detail, (time.perf_counter() - started) * 1000)


def _exchange(
    url: str, body: bytes, headers: dict[str, str], deadline: float, pause: float | None, *, verify: bool
) -> tuple[int, str, str]:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, deadline, verify=verify)
    try:
        connection.connect()
        _limit(connection, deadline)
        connection.putrequest("POST", target)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            connection.putheader(name, value)
        half = len(body) // 2 if pause is not None else len(body)
        connection.endheaders(body[:half])
        if pause is not None:
            time.sleep(pause)
            connection.send(body[half:])
        _limit(connection, deadline)
        response = connection.getresponse()
        _limit(connection, deadline)
        response.read(_ANSWER_MAX)
    finally:
        connection.close()
    if time.perf_counter() > deadline:
        raise TimeoutError
    accepted = 200 <= response.status < 300
    return response.status, "OK" if accepted else "ERROR_STATUS_CODE", str(response.status)


def _connection(scheme: str, host: str, port: int | None, deadline: float, *, verify: bool) -> http.client.HTTPConnection:
    left = max(deadline - time.perf_counter(), 0.001)
    if scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=left)
    context = ssl.create_default_context()
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=left, context=context)


def _limit(connection: http.client.HTTPConnection, deadline: float) -> None:
    # One deadline for the whole exchange, as LINE's two seconds are.
    if connection.sock is not None:
        connection.sock.settimeout(max(deadline - time.perf_counter(), 0.001))

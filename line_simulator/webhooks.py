"""Delivery of webhooks: signed raw bytes, in order per channel, two seconds to answer, redelivery when it is switched on."""

from __future__ import annotations

import base64
import hashlib
import heapq
import hmac
import http.client
import json
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from line_simulator.faults import Fault, Faults
from line_simulator.state import Channel, JsonObject, World

# Every event that may carry a reply token carries it here (line-openapi webhook.yml).
USER_AGENT = "LineBotWebhook/2.0"
_REORDER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: `status` 0 when there was no answer; `reason` as in LINE's webhook error statistics."""

    at: float
    status: int
    reason: str
    latency_ms: float


@dataclass(slots=True)
class Delivery:
    """One webhook body on its way. `state` is waiting, delivered, failed, lost or not_sent."""

    id: int
    channel_id: str
    body: bytes
    signature: str
    events: tuple[str, ...]
    lane: str
    created_at: float
    reply_tokens: tuple[str, ...] = ()
    state: str = "waiting"
    fault: str = ""
    attempts: list[Attempt] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        """Return the delivery as JSON values."""
        last = self.attempts[-1] if self.attempts else None
        return {
            "id": self.id,
            "channel": self.channel_id,
            "events": list(self.events),
            "state": self.state,
            "status": last.status if last else None,
            "reason": last.reason if last else None,
            "latencyMs": round(last.latency_ms, 1) if last else None,
            "fault": self.fault,
            "createdAt": datetime.fromtimestamp(self.created_at, UTC).isoformat(),
            "attempts": [
                {
                    "at": datetime.fromtimestamp(one.at, UTC).isoformat(),
                    "status": one.status,
                    "reason": one.reason,
                    "latencyMs": round(one.latency_ms, 1),
                }
                for one in self.attempts
            ],
            "signature": self.signature,
            "body": self.body.decode("utf-8", "replace"),
        }


def sign(secret: str, body: bytes) -> str:
    """Return x-line-signature: Base64 of HMAC-SHA256 over the raw body."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode("ascii")


def encode(channel: Channel, events: list[JsonObject], *, escaped: bool = False) -> bytes:
    """Return the raw body for these events."""
    content = {"destination": channel.bot_user_id, "events": events}
    return json.dumps(content, ensure_ascii=escaped, separators=(",", ":")).encode("utf-8", "surrogatepass")


def post(url: str, body: bytes, signature: str, timeout: float) -> tuple[int, str, float]:
    """POST one webhook; returns status (0 for none), LINE's reason, and milliseconds.

    Reasons: OK, COULD_NOT_CONNECT, REQUEST_TIMEOUT, ERROR_STATUS_CODE, UNCLASSIFIED (TestWebhookEndpointResponse.reason).
    """
    started = time.perf_counter()
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "User-Agent": USER_AGENT,
        "x-line-signature": signature,
        "Connection": "close",
    }
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    status, reason = 0, "UNCLASSIFIED"
    try:
        connection.connect()
        left = timeout - (time.perf_counter() - started)
        if connection.sock is not None:
            connection.sock.settimeout(max(left, 0.001))
        connection.request("POST", target, body, headers)
        response = connection.getresponse()
        response.read()
        status = response.status
        reason = "OK" if 200 <= status < 300 else "ERROR_STATUS_CODE"
    except TimeoutError:
        reason = "REQUEST_TIMEOUT"
    except OSError:
        reason = "COULD_NOT_CONNECT"
    except (http.client.HTTPException, ValueError):
        reason = "UNCLASSIFIED"
    finally:
        connection.close()
    return status, reason, (time.perf_counter() - started) * 1000


class Webhooks:
    """Queues of webhooks, one ordered queue per channel (or several lanes, each keeping a person's order)."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults
        self._lanes: dict[tuple[str, int], queue.SimpleQueue[Delivery | None]] = {}
        self._log: deque[Delivery] = deque(maxlen=20_000)
        self._held: dict[str, Delivery] = {}
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._changed = threading.Condition()
        self._timer: threading.Thread | None = None
        self._stopped = False
        self.total = 0
        self.pending = 0

    def emit(self, channel: Channel, event: JsonObject) -> None:
        """Queue one event, with whatever fault is in force for it."""
        fault = self._faults.for_webhook(str(event.get("type")), (channel.id, channel.name))
        events, escaped = _disturbed(event, fault)
        delivery = self._delivery(channel, events, escaped=escaped)
        delivery.fault = fault.kind if fault else ""
        match delivery.fault:
            case "webhook_wrong_destination":
                body = delivery.body.replace(channel.bot_user_id.encode(), ("U" + "f" * 32).encode(), 1)
                delivery.body, delivery.signature = body, sign(channel.secret, body)
            case "webhook_bad_signature":
                delivery.signature = sign("0" * 32, delivery.body)
            case "webhook_lost":
                delivery.state = "lost"
                return
            case "webhook_delay":
                self._after(fault.seconds if fault else 0.0, lambda: self._put(delivery))
                return
            case "webhook_reorder":
                self._hold(channel, delivery)
                return
        self._put(delivery)
        if delivery.fault == "webhook_duplicate":
            self._put(self._copy(delivery))
        self._release(channel.id)

    def send(self, channel: Channel, events: list[JsonObject]) -> Delivery:
        """Queue one body with exactly these events, untouched by faults."""
        delivery = self._delivery(channel, events)
        self._put(delivery)
        return delivery

    def replay(self, delivery_id: int) -> Delivery:
        """Queue the same bytes again as a new entry. Raises KeyError if the entry is forgotten."""
        for one in self.log():
            if one.id == delivery_id:
                again = self._copy(one)
                self._put(again)
                return again
        raise KeyError(delivery_id)

    def log(self) -> list[Delivery]:
        """Return the remembered deliveries, oldest first."""
        with self._changed:
            return list(self._log)

    def clear(self) -> None:
        """Forget the log; what is on its way still goes out."""
        with self._changed:
            self._log.clear()

    def wait(self, timeout: float) -> bool:
        """Wait until nothing is on its way; False after `timeout` real seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self.pending == 0, timeout)

    def stop(self) -> None:
        """End the worker threads; what has not been delivered is dropped."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.put(None)

    def test(self, channel: Channel, url: str) -> tuple[int, str, float]:
        """Send LINE's connectivity check, a signed body without events, and return the outcome."""
        body = encode(channel, [])
        return post(url, body, sign(channel.secret, body), self._world.settings.webhook_timeout_seconds)

    def _delivery(self, channel: Channel, events: list[JsonObject], *, escaped: bool = False) -> Delivery:
        body = encode(channel, events, escaped=escaped)
        source = events[-1].get("source") if events else None
        with self._changed:
            self.total += 1
            delivery = Delivery(
                id=self.total,
                channel_id=channel.id,
                body=body,
                signature=sign(channel.secret, body),
                events=tuple(str(event.get("type")) for event in events),
                lane=str(source.get("userId", "")) if isinstance(source, dict) else "",
                created_at=self._world.clock.time(),
                reply_tokens=tuple(event["replyToken"] for event in events if "replyToken" in event),
            )
            self._log.append(delivery)
        return delivery

    def _copy(self, original: Delivery) -> Delivery:
        with self._changed:
            self.total += 1
            again = Delivery(
                id=self.total,
                channel_id=original.channel_id,
                body=original.body,
                signature=original.signature,
                events=original.events,
                lane=original.lane,
                created_at=self._world.clock.time(),
                reply_tokens=original.reply_tokens,
            )
            self._log.append(again)
        return again

    def _put(self, delivery: Delivery) -> None:
        channel = self._world.state.channels.get(delivery.channel_id)
        if channel is None or not channel.webhook_url or not channel.webhook_active:
            delivery.state = "not_sent"
            return
        lane = hash(delivery.lane) % max(1, self._world.settings.webhook_lanes)
        with self._changed:
            if self._stopped:
                return
            self.pending += 1
            found = self._lanes.get((channel.id, lane))
            if found is None:
                found = self._lanes[(channel.id, lane)] = queue.SimpleQueue()
                threading.Thread(target=self._work, args=(found,), name=f"linesim-webhook-{channel.id}", daemon=True).start()
        found.put(delivery)

    def _work(self, lane: queue.SimpleQueue[Delivery | None]) -> None:
        while (delivery := lane.get()) is not None:
            if self._stopped:
                return
            try:
                self._attempt(delivery)
            finally:
                self._settle()

    def _settle(self) -> None:
        with self._changed:
            self.pending -= 1
            self._changed.notify_all()

    def _attempt(self, delivery: Delivery) -> None:
        channel = self._world.state.channels.get(delivery.channel_id)
        if channel is None or not channel.webhook_url:
            delivery.state = "not_sent"
            return
        now = self._world.clock.time()
        for token in delivery.reply_tokens:
            held = self._world.state.reply_tokens.get(token)
            if held is not None:
                # One minute counts from each delivery, until twenty after the event (Messaging API, Send reply message).
                held.received_at = now
        timeout = self._world.settings.webhook_timeout_seconds
        status, reason, latency = post(channel.webhook_url, delivery.body, delivery.signature, timeout)
        delivery.attempts.append(Attempt(now, status, reason, latency))
        if reason == "OK":
            delivery.state = "delivered"
            return
        delays = self._world.settings.redelivery_delays
        tries = len(delivery.attempts)
        if not channel.redelivery or tries > len(delays):
            delivery.state = "failed"
            return
        self._after(delays[tries - 1], lambda: self._redeliver(delivery, channel))

    def _redeliver(self, delivery: Delivery, channel: Channel) -> None:
        content = json.loads(delivery.body)
        for event in content["events"]:
            event["deliveryContext"] = {"isRedelivery": True}
        delivery.body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
        delivery.signature = sign(channel.secret, delivery.body)
        self._put(delivery)

    def _hold(self, channel: Channel, delivery: Delivery) -> None:
        self._release(channel.id)
        with self._changed:
            self._held[channel.id] = delivery
        self._after(_REORDER_SECONDS, lambda: self._release(channel.id, delivery))

    def _release(self, channel_id: str, only: Delivery | None = None) -> None:
        with self._changed:
            held = self._held.get(channel_id)
            if held is None or only not in (None, held):
                return
            del self._held[channel_id]
        self._put(held)

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        with self._changed:
            self.pending += 1
            self.total += 1
            heapq.heappush(self._later, (time.monotonic() + seconds, self.total, act))
            if self._timer is None:
                self._timer = threading.Thread(target=self._run_later, name="linesim-later", daemon=True)
                self._timer.start()
            self._changed.notify_all()

    def _run_later(self) -> None:
        while True:
            with self._changed:
                if self._stopped:
                    return
                wait = self._later[0][0] - time.monotonic() if self._later else None
                if wait is None or wait > 0:
                    self._changed.wait(wait)
                    continue
                act = heapq.heappop(self._later)[2]
            act()
            self._settle()


def _disturbed(event: JsonObject, fault: Fault | None) -> tuple[list[JsonObject], bool]:
    """Return the events to send instead of `event`, and whether to escape non-ASCII characters."""
    if fault is None:
        return [event], False
    changed = dict(event)
    match fault.kind:
        case "webhook_unknown_event":
            stranger = {**event, "type": "linesimUnknown", "webhookEventId": event["webhookEventId"][:-1] + "0"}
            stranger.pop("replyToken", None)
            return [stranger, event], False
        case "webhook_extra_fields":
            changed["linesimExtra"] = {"nested": [1, 2, 3]}
            changed["source"] = {**event.get("source", {"type": "user"}), "linesimExtra": True}
        case "webhook_no_user_id":
            changed["source"] = {"type": "user"}
        case "webhook_no_is_unblocked":
            changed.pop("follow", None)
        case "webhook_standby":
            changed["mode"] = "standby"
            changed.pop("replyToken", None)
    return [changed], fault.kind == "webhook_escaped"

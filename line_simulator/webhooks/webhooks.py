"""Delivery of webhooks: signed raw bytes, in order per channel, two seconds to answer, redelivery when it is switched on."""

from __future__ import annotations

import heapq
import json
import queue
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from line_simulator.exchange import json_bytes
from line_simulator.faults.faults import Fault, Faults
from line_simulator.webhooks.disturbances import Parcel, disturbed, parcel
from line_simulator.webhooks.wire import Outcome, encode, post, sign
from line_simulator.world.state import Channel, JsonObject, World

_REORDER_SECONDS: Final = 1.0
_BATCH: Final = 5
_LOG_SIZE: Final = 20_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try: `status` 0 when there was no answer; `reason` as in LINE's webhook error statistics, `detail` for people."""

    at: float
    status: int
    reason: str
    latency_ms: float
    detail: str = ""


@dataclass(slots=True)
class Delivery:
    """One webhook body on its way. `state` is waiting, delivered, failed, lost, stopped, not_sent or forgotten (by a reset)."""

    id: int
    channel_id: str
    lane: str
    created_at: float
    parcel: Parcel
    state: str = "waiting"
    fault: str = ""
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def body(self) -> bytes:
        """The raw body."""
        return self.parcel.body

    @property
    def signature(self) -> str | None:
        """What x-line-signature says; None when the header is missing."""
        return self.parcel.signature

    @property
    def events(self) -> tuple[str, ...]:
        """The types of the events in the body."""
        return self.parcel.events

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
            "detail": last.detail if last else None,
            "latencyMs": round(last.latency_ms, 1) if last else None,
            "fault": self.fault,
            "createdAt": datetime.fromtimestamp(self.created_at, UTC).isoformat(),
            "attempts": [
                {
                    "at": datetime.fromtimestamp(one.at, UTC).isoformat(),
                    "status": one.status,
                    "reason": one.reason,
                    "detail": one.detail,
                    "latencyMs": round(one.latency_ms, 1),
                }
                for one in self.attempts
            ],
            "signature": self.signature,
            "body": self.body.decode("utf-8", "replace"),
        }


@dataclass(slots=True)
class _Batch:
    """Events of one channel that wait to be sent in one body."""

    events: list[JsonObject] = field(default_factory=list)
    wanted: int = _BATCH


class Webhooks:
    """Queues of webhooks, one ordered queue per channel (or several lanes, each keeping a person's order)."""

    def __init__(self, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults
        self._lanes: dict[tuple[str, int], queue.SimpleQueue[Delivery | None]] = {}
        self._log: deque[Delivery] = deque(maxlen=_LOG_SIZE)
        self._held: dict[str, Delivery] = {}
        self._batches: dict[str, _Batch] = {}
        self._failing: dict[str, float] = {}
        self._later: list[tuple[float, int, Callable[[], None]]] = []
        self._changed = threading.Condition()
        self._timer: threading.Thread | None = None
        self._stopped = False
        self.total = 0
        self.pending = 0

    def emit(self, channel: Channel, event: JsonObject) -> None:
        """Queue one event, with whatever fault is in force for it."""
        fault = self._faults.for_webhook(str(event.get("type")), (channel.id, channel.name))
        if fault is not None and fault.kind == "webhook_batch":
            self._collect(channel, event, fault)
            return
        for events in disturbed(event, fault, self._world.ids):
            delivery = self._delivery(channel, events, fault, event)
            self._dispatch(channel, delivery, fault)

    def _dispatch(self, channel: Channel, delivery: Delivery, fault: Fault | None) -> None:
        match delivery.fault:
            case "webhook_lost":
                delivery.state = "lost"
            case "webhook_stopped":
                delivery.state = "stopped"
            case "webhook_delay":
                self._after(fault.seconds if fault else 0.0, lambda: self._put(delivery))
            case "webhook_reorder":
                self._hold(channel, delivery)
            case _:
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
        """Forget the log and all that has not left yet: it tells of a world that is gone."""
        with self._changed:
            for one in self._log:
                if one.state == "waiting":
                    one.state = "forgotten"
            self._log.clear()
            self._batches.clear()
            self._held.clear()
            self.pending -= len(self._later)
            self._later.clear()
            self._changed.notify_all()
            self._failing.clear()

    def wait(self, timeout: float) -> bool:
        """Wait until nothing is on its way, or ever will be; False after `timeout` real seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self.pending == 0 or self._stopped, timeout)

    def waiting(self) -> list[Delivery]:
        """Return what is on its way, oldest first."""
        with self._changed:
            return [one for one in self._log if one.state == "waiting"]

    def resume(self, deliveries: list[Delivery]) -> None:
        """Send what was on its way when the world was kept. Its last try may have arrived: webhooks can come twice."""
        for one in deliveries:
            with self._changed:
                self.total += 1
                one.id = self.total
                self._log.append(one)
            channel = self._world.state.channels.get(one.channel_id)
            if one.attempts and channel is not None:
                self._redeliver(one, channel)
            else:
                self._put(one)

    def stop(self) -> None:
        """End the worker threads; what has not been delivered is dropped."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
            lanes = list(self._lanes.values())
        for lane in lanes:
            lane.put(None)

    def test(self, channel: Channel, url: str) -> Outcome:
        """Send LINE's connectivity check, a signed body without events, and return the outcome."""
        body = encode(channel, [])
        return self._post(url, body, sign(channel.secret, body))

    def _post(self, url: str, body: bytes, signature: str | None, pause: float | None = None) -> Outcome:
        settings = self._world.settings
        return post(url, body, signature, settings.webhook_timeout_seconds, pause=pause, verify=settings.webhook_verify_tls)

    def _delivery(
        self, channel: Channel, events: list[JsonObject], fault: Fault | None = None, cause: JsonObject | None = None
    ) -> Delivery:
        cause = cause or (events[-1] if events else {})
        source = cause.get("source")
        with self._changed:
            self.total += 1
            delivery = Delivery(
                id=self.total,
                channel_id=channel.id,
                lane=str(source.get("userId", "")) if isinstance(source, dict) else "",
                created_at=self._world.clock.time(),
                parcel=parcel(channel, events, fault),
                fault=fault.kind if fault else "",
            )
            self._log.append(delivery)
        return delivery

    def _copy(self, original: Delivery) -> Delivery:
        with self._changed:
            self.total += 1
            again = replace(original, id=self.total, created_at=self._world.clock.time(), state="waiting", fault="", attempts=[])
            self._log.append(again)
        return again

    def _put(self, delivery: Delivery) -> None:
        channel = self._world.state.channels.get(delivery.channel_id)
        if channel is None or not channel.webhook_url or not channel.webhook_active:
            delivery.state = "not_sent"
            return
        lane = hash(delivery.lane) % max(1, self._world.settings.webhook_lanes)
        with self._changed:
            if self._stopped or delivery.state != "waiting":
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
                if delivery.state == "waiting":
                    self._attempt(delivery)
            except Exception:  # noqa: BLE001 - a door: the webhooks behind this one must still go out
                delivery.state = "failed"
                traceback.print_exc(file=sys.stderr)
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
        for token in delivery.parcel.reply_tokens:
            held = self._world.state.reply_tokens.get(token)
            if held is not None:
                # One minute counts from each delivery, until twenty after the event (Messaging API, Send reply message).
                held.received_at = now
        outcome = self._post(channel.webhook_url, delivery.body, delivery.signature, delivery.parcel.pause)
        delivery.attempts.append(Attempt(now, outcome.status, outcome.reason, outcome.latency_ms, outcome.detail))
        if outcome.reason == "OK":
            delivery.state = "delivered"
            self._failing.pop(channel.id, None)
            return
        self._suspend(channel, now)
        delays = self._world.settings.redelivery_delays
        tries = len(delivery.attempts)
        if not channel.redelivery or tries > len(delays):
            delivery.state = "failed"
            return
        self._after(delays[tries - 1], lambda: self._redeliver(delivery, channel))

    def _suspend(self, channel: Channel, now: float) -> None:
        """Switch the webhooks of a server off that has failed for long, if the settings say so; LINE does not say when."""
        since = self._failing.setdefault(channel.id, now)
        limit = self._world.settings.webhook_suspend_seconds
        if limit is not None and now - since >= limit:
            channel.webhook_active = False

    def _redeliver(self, delivery: Delivery, channel: Channel) -> None:
        try:
            content = json.loads(delivery.body)
        except (ValueError, RecursionError):
            # A body that a fault made unreadable is repeated as it is.
            self._put(delivery)
            return
        for event in content["events"]:
            event["deliveryContext"] = {"isRedelivery": True}
        body = json_bytes(content)
        delivery.parcel = replace(delivery.parcel, body=body, signature=sign(channel.secret, body))
        self._put(delivery)

    def _collect(self, channel: Channel, event: JsonObject, fault: Fault) -> None:
        with self._changed:
            batch = self._batches.get(channel.id)
            is_new = batch is None
            if batch is None:
                batch = self._batches[channel.id] = _Batch(wanted=fault.count or _BATCH)
            batch.events.append(event)
            is_full = len(batch.events) >= batch.wanted
        if is_full:
            self._let_go(channel, batch)
        elif is_new:
            self._after(fault.seconds, lambda: self._let_go(channel, batch))

    def _let_go(self, channel: Channel, batch: _Batch) -> None:
        with self._changed:
            if self._batches.get(channel.id) is not batch:
                return
            del self._batches[channel.id]
        delivery = self._delivery(channel, batch.events)
        delivery.fault = "webhook_batch"
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
            try:
                act()
            finally:
                self._settle()


def restore_delivery(plain: object) -> Delivery:
    """Return a delivery that msgspec.to_builtins made plain. Raises ValueError."""
    return msgspec.convert(plain, Delivery, strict=False)

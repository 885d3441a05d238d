"""What a webhook fault does to an event and to the bytes that carry it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from line_simulator.faults.faults import Fault
from line_simulator.webhooks.wire import encode, sign
from line_simulator.world.ids import Ids
from line_simulator.world.state import Channel, JsonObject

_BURST: Final = 30
_OVERSIZED: Final = "あ" * 100_000
_NOBODY: Final = "U" + "f" * 32


@dataclass(slots=True)
class Parcel:
    """A body ready to be sent. `signature` None: no such header. `pause`: seconds between its two halves."""

    body: bytes
    signature: str | None
    events: tuple[str, ...]
    reply_tokens: tuple[str, ...]
    pause: float | None = None


def parcel(channel: Channel, events: list[JsonObject], fault: Fault | None = None) -> Parcel:
    """Return the body for these events, spoilt as the fault says."""
    kind = fault.kind if fault else ""
    body = encode(channel, events, escaped=kind == "webhook_escaped")
    if kind == "webhook_wrong_destination":
        body = body.replace(channel.bot_user_id.encode(), _NOBODY.encode(), 1)
    elif kind == "webhook_malformed":
        body = body[: len(body) // 2]
    made = Parcel(
        body,
        sign("0" * 32 if kind == "webhook_bad_signature" else channel.secret, body),
        tuple(str(event.get("type")) for event in events),
        tuple(str(event["replyToken"]) for event in events if "replyToken" in event),
    )
    if kind == "webhook_no_signature":
        made.signature = None
    if kind == "webhook_split" and fault is not None:
        made.pause = min(fault.seconds, 1.0)
    return made


def disturbed(event: JsonObject, fault: Fault | None, ids: Ids) -> list[list[JsonObject]]:
    """Return the bodies to send instead of `event`, each a list of events."""
    match fault.kind if fault else "":
        case "webhook_empty":
            return [[]]
        case "webhook_burst":
            count = _BURST if fault is None or fault.count is None else fault.count
            return [[{**event, "webhookEventId": ids.ulid(event["timestamp"] / 1000)}] for _ in range(count)]
        case "webhook_unknown_event":
            stranger = {**event, "type": "linesimUnknown", "webhookEventId": ids.ulid(event["timestamp"] / 1000)}
            stranger.pop("replyToken", None)
            return [[stranger, event]]
    return [[_changed(event, fault)]] if fault else [[event]]


def _changed(event: JsonObject, fault: Fault) -> JsonObject:
    changed = dict(event)
    match fault.kind:
        case "webhook_unknown_mode":
            changed["mode"] = "linesimUnknown"
        case "webhook_unknown_value":
            for name, value in event.items():
                if isinstance(value, dict) and "type" in value:
                    changed[name] = {**value, "type": "linesimUnknown"}
        case "webhook_extra_fields":
            changed["linesimExtra"] = {"nested": [1, 2, 3]}
            changed["source"] = {**event.get("source", {"type": "user"}), "linesimExtra": True}
        case "webhook_no_user_id" if "source" in event:
            changed["source"] = {name: value for name, value in event["source"].items() if name != "userId"}
        case "webhook_no_is_unblocked":
            changed.pop("follow", None)
        case "webhook_standby":
            changed["mode"] = "standby"
            changed.pop("replyToken", None)
        case "webhook_redelivery":
            changed["deliveryContext"] = {"isRedelivery": True}
        case "webhook_clock_skew":
            changed["timestamp"] = event["timestamp"] + int(fault.seconds * 1000)
        case "webhook_oversized_text" if isinstance(event.get("message"), dict) and "text" in event["message"]:
            changed["message"] = {**event["message"], "text": _OVERSIZED}
    return changed

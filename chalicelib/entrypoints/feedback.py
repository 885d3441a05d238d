"""What SES tells about our e-mail: it left, it arrived, it bounced, somebody complained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from chalicelib import observability
from chalicelib.customers.model import DeliveryChannel
from chalicelib.entrypoints.batches import work_through
from chalicelib.kernel.clock import from_text
from chalicelib.wiring import World


def handle(event: Mapping[str, Any], here: World) -> dict[str, Any]:
    """Work through an SQS batch of what SNS delivered raw; return the messages to be tried again."""
    return work_through(event, lambda body, _attributes: _handle(body, here))


def _handle(body: str, here: World) -> None:
    message = _read(body)
    if message is None:
        # SES greets a new topic with a sentence ("Successfully validated SNS topic …"), not with JSON.
        observability.count("MailEvents", Kind="unreadable")
        return
    handle_message(message, here)


def _read(text: str) -> Mapping[str, Any] | None:
    try:
        message = json.loads(text)
    except ValueError:
        return None
    return message if isinstance(message, Mapping) else None


def handle_message(message: Mapping[str, Any], here: World) -> None:
    """Keep one event of SES (developer guide: event publishing, contents of event data)."""
    kind = str(message.get("eventType") or message.get("notificationType") or "").lower()
    mail = message.get("mail") or {}
    for key in (mail.get("tags") or {}).get("delivery") or []:
        at = from_text(mail["timestamp"]) if mail.get("timestamp") else here.clock.now()
        here.delivery.note_event(key, kind, at)
    match kind:
        case "bounce":
            bounce = message["bounce"]
            # A full mailbox or a server that is down is no reason to give an address up.
            if bounce.get("bounceType") == "Permanent":
                _suppress([entry["emailAddress"] for entry in bounce["bouncedRecipients"]], "bounced", here)
        case "complaint":
            _suppress([entry["emailAddress"] for entry in message["complaint"]["complainedRecipients"]], "complained", here)
    observability.count("MailEvents", Kind=kind or "unknown")


def _suppress(addresses: list[str], reason: str, here: World) -> None:
    for address in addresses:
        here.customers.suppress(DeliveryChannel.EMAIL, address.lower(), reason)

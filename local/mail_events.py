"""Lets MiniStack's SES report what became of an e-mail, as a configuration set in AWS does through SNS.

MiniStack stores event destinations and never uses them, so the product's feedback door would stay closed on this machine.
The addresses of Amazon's own mailbox simulator decide the outcome (SES guide, "Using the mailbox simulator manually").
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

_SIMULATOR = "@simulator.amazonses.com"
_BOUNCES = {"bounce", "suppressionlist"}


def events_of(request: dict[str, Any], message_id: str, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield SES's events of one SendEmail request: Send, then Delivery, Bounce or Complaint for each address."""
    addresses = request.get("Destination", {}).get("ToAddresses", [])
    moment = now.strftime("%Y-%m-%dT%H:%M:%S.") + f"{now.microsecond // 1000:03d}Z"
    mail = {
        "timestamp": moment,
        "messageId": message_id,
        "source": request.get("FromEmailAddress", ""),
        "destination": addresses,
        "tags": {tag["Name"]: [tag["Value"]] for tag in request.get("EmailTags", [])},
    }
    yield {"eventType": "Send", "mail": mail, "send": {}}
    for address in addresses:
        yield {"mail": mail, **_outcome(address, moment)}


def _outcome(address: str, moment: str) -> dict[str, Any]:
    mailbox = address.removesuffix(_SIMULATOR).partition("+")[0] if address.endswith(_SIMULATOR) else ""
    if mailbox in _BOUNCES:
        recipients = [{"emailAddress": address, "action": "failed", "status": "5.1.1"}]
        detail = {"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": recipients, "timestamp": moment}
        return {"eventType": "Bounce", "bounce": detail}
    delivered = {"timestamp": moment, "recipients": [address], "smtpResponse": "250 2.6.0 Message received"}
    if mailbox == "complaint":
        detail = {"complainedRecipients": [{"emailAddress": address}], "complaintFeedbackType": "abuse", "timestamp": moment}
        return {"eventType": "Complaint", "complaint": detail}
    return {"eventType": "Delivery", "delivery": delivered}


def report_mail_events(mail: Any, topics: Any, now: Callable[[], datetime]) -> None:
    """Make MiniStack's SES v2 publish the events of every accepted e-mail to the SNS topics of its configuration set."""
    handle = mail.handle_request

    async def reporting(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
        answer = await handle(method, path, headers, body, query)
        if method == "POST" and path.endswith("/outbound-emails") and answer[0] == 200:
            request, accepted = json.loads(body), json.loads(answer[2])
            _publish(mail, topics, request, list(events_of(request, accepted["MessageId"], now())))
        return answer

    mail.handle_request = reporting


def _publish(mail: Any, topics: Any, request: dict[str, Any], events: list[dict[str, Any]]) -> None:
    configuration = mail._config_sets.get(request.get("ConfigurationSetName", "")) or {}
    for destination in (configuration.get("EventDestinations") or {}).values():
        topic = (destination.get("SnsDestination") or {}).get("TopicArn")
        wanted = set(destination.get("MatchingEventTypes", []))
        if topic and destination.get("Enabled"):
            for event in events:
                if event["eventType"].upper() in wanted:
                    # Subject as AWS sets it; MiniStack leaves the field out of the record when there is none.
                    topics.publish_internal(topic, json.dumps(event), subject="Amazon SES Email Event Notification")

"""SMS through Amazon SNS."""

from __future__ import annotations

from chalicelib.adapters.aws import client, translated


class SnsSms:
    """Implements ports.sms.SmsSender. SNS keeps no reference of ours, so an unclear call is never repeated (delivery)."""

    def __init__(self, sender_id: str) -> None:
        self._sender_id = sender_id

    def send(self, to: str, text: str, reference: str) -> str:  # noqa: ARG002 - SNS has no place for it
        """Send one SMS; see the port."""
        attributes = {"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Promotional"}}
        if self._sender_id:
            attributes["AWS.SNS.SMS.SenderID"] = {"DataType": "String", "StringValue": self._sender_id}
        with translated("Publish", maybe_done=True):
            answer = client("sns").publish(PhoneNumber=to, Message=text, MessageAttributes=attributes)
        return str(answer["MessageId"])

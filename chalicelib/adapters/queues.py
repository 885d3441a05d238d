"""SQS."""

from __future__ import annotations

from chalicelib.adapters.aws import client, translated
from chalicelib.ports.queues import DeadLetter


class SqsQueue:
    """Implements ports.queues.Queue and, over a dead-letter queue, ports.queues.DeadLetters."""

    def __init__(self, url: str) -> None:
        self._url = url

    def put(self, body: str, attributes: dict[str, str], delay_seconds: int = 0) -> None:
        """Add a message; see the port."""
        arguments: dict[str, object] = {"QueueUrl": self._url, "MessageBody": body}
        if attributes:
            arguments["MessageAttributes"] = {
                name: {"DataType": "String", "StringValue": value} for name, value in attributes.items() if value
            }
        if delay_seconds:
            arguments["DelaySeconds"] = min(delay_seconds, 900)  # SQS waits at most fifteen minutes
        with translated("SendMessage"):
            client("sqs").send_message(**arguments)

    def depth(self) -> int:
        """Return about how many messages are in the queue; see the port."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"]
        with translated("GetQueueAttributes"):
            answer = client("sqs").get_queue_attributes(QueueUrl=self._url, AttributeNames=names)
        return sum(int(answer["Attributes"].get(name, 0)) for name in names)

    def peek(self, most: int) -> list[DeadLetter]:
        """Return up to `most` messages; see the port."""
        letters: dict[str, DeadLetter] = {}
        while len(letters) < most:
            with translated("ReceiveMessage"):
                answer = client("sqs").receive_message(
                    QueueUrl=self._url,
                    MaxNumberOfMessages=min(10, most - len(letters)),
                    # Long enough to read them all, short enough that who has just listed them can replay them.
                    VisibilityTimeout=5,
                    WaitTimeSeconds=1,  # asks every server of the queue; without it a queue with messages may look empty
                    MessageAttributeNames=["All"],
                )
            messages = answer.get("Messages", [])
            if all(message["MessageId"] in letters for message in messages):
                break
            for message in messages:
                attributes = {name: value.get("StringValue", "") for name, value in message.get("MessageAttributes", {}).items()}
                letters[message["MessageId"]] = DeadLetter(
                    message["MessageId"], message["Body"], attributes, message["ReceiptHandle"]
                )
        return list(letters.values())

    def remove(self, letter: DeadLetter) -> None:
        """Delete a message; see the port."""
        with translated("DeleteMessage"):
            client("sqs").delete_message(QueueUrl=self._url, ReceiptHandle=letter.receipt)

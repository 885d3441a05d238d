"""Queue batches: each message on its own, and what failed goes back to the queue (Powertools' partial batch response)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from chalicelib import observability

Work = Callable[[str, dict[str, str]], None]


def work_through(event: Mapping[str, Any], work: Work) -> dict[str, Any]:
    """Call `work` with body and attributes of every message; return those that are to be tried again."""

    def handle(record: SQSRecord) -> None:
        given = record.raw_event.get("messageAttributes") or {}
        attributes = {name: value.get("stringValue", "") for name, value in given.items()}
        try:
            work(record.body, attributes)
        except Exception:
            observability.error("a queued message failed", message_id=record.message_id, account=attributes.get("account"))
            raise

    # All of a batch failing is an answer too; raising would hide which messages they were.
    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    answer: Any = process_partial_response(event=dict(event), record_handler=handle, processor=processor)
    return dict(answer)

"""DynamoDB in bulk: PartiQL batches, BatchGet, BatchWrite, whole collections and parallel scans."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeVar

from chalicelib.adapters.aws import client, translated
from chalicelib.kernel.each import Mapper, in_turn
from chalicelib.kernel.errors import PermanentError, TemporaryError
from chalicelib.kernel.wire import plain, to_wire
from chalicelib.ports.database import CONDITION_FAILED, DUPLICATE, Item, Statement

_STATEMENTS = 25  # BatchExecuteStatement and BatchWriteItem take at most 25
_KEYS = 100  # BatchGetItem takes at most 100
REQUESTS_AT_ONCE = 8  # a page's reading and claiming in three to five rounds; far below the client's twenty connections
_LOST = {CONDITION_FAILED, DUPLICATE}
_THROTTLED = {
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
    "RequestLimitExceeded",
    "TransactionConflict",
}
T = TypeVar("T")


class DynamoDatabase:
    """Implements ports.database.Database. each: how the batches of one call are worked through; none waits for another."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep, each: Mapper = in_turn) -> None:
        self._sleep = sleep
        self._each = each

    def execute(self, statements: Sequence[Statement]) -> list[str | None]:
        """Run independent conditional writes; see the port."""
        client("dynamodb", once=True)  # here, or each thread would make one of its own
        return list(chain.from_iterable(self._each(self._execute_batch, _batches(statements, _STATEMENTS))))

    def _execute_batch(self, batch: list[Statement]) -> list[str | None]:
        outcomes: dict[int, str | None] = {}
        todo = list(range(len(batch)))
        for attempt in range(8):
            statements = [
                {"Statement": batch[i].text, "Parameters": [to_wire(value) for value in batch[i].parameters]} for i in todo
            ]
            try:
                # Once: a write that took place although its answer was lost would lose its condition to itself when repeated.
                with translated("BatchExecuteStatement", maybe_done=True):
                    answer = client("dynamodb", once=True).batch_execute_statement(Statements=statements)
            except TemporaryError as error:
                if error.maybe_done:
                    raise
                self._sleep(min(0.05 * 2**attempt, 2.0))
                continue
            again = []
            for i, response in zip(todo, answer["Responses"], strict=True):
                code = response.get("Error", {}).get("Code")
                if code is None or code in _LOST:
                    outcomes[i] = code
                elif code in _THROTTLED:
                    again.append(i)
                elif code == "InternalServerError":
                    raise TemporaryError(f"BatchExecuteStatement: {code}", maybe_done=True)
                else:
                    raise PermanentError(f"BatchExecuteStatement: {code}")
            if not again:
                return [outcomes[i] for i in range(len(batch))]
            todo = again
            self._sleep(min(0.05 * 2**attempt, 2.0))
        raise TemporaryError("BatchExecuteStatement: throttled")

    def get_many(self, table: str, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Item]:
        """Return the items of these keys; see the port."""
        client("dynamodb")
        batches = _batches(dict.fromkeys(keys), _KEYS)
        found = chain.from_iterable(self._each(lambda batch: self._get_batch(table, batch), batches))
        return {(item["pk"], item["sk"]): item for item in found}

    def _get_batch(self, table: str, batch: list[tuple[str, str]]) -> list[Item]:
        found: list[Item] = []
        todo: list[dict[str, Any]] = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in batch]
        for attempt in range(8):
            with translated("BatchGetItem"):
                answer = client("dynamodb").batch_get_item(RequestItems={table: {"Keys": todo, "ConsistentRead": True}})
            found += [plain(item) for item in answer["Responses"].get(table, [])]
            todo = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", [])
            if not todo:
                return found
            self._sleep(min(0.05 * 2**attempt, 2.0))
        raise TemporaryError("BatchGetItem: throttled")

    def put_many(self, table: str, items: Iterable[Item]) -> None:
        """Write items without a condition; see the port."""
        client("dynamodb")
        self._each(lambda batch: self._put_batch(table, batch), _batches(items, _STATEMENTS))

    def _put_batch(self, table: str, batch: list[Item]) -> None:
        todo: list[dict[str, Any]] = [
            {"PutRequest": {"Item": {name: to_wire(value) for name, value in item.items()}}} for item in batch
        ]
        for attempt in range(8):
            with translated("BatchWriteItem"):
                answer = client("dynamodb").batch_write_item(RequestItems={table: todo})
            todo = answer.get("UnprocessedItems", {}).get(table, [])
            if not todo:
                return
            self._sleep(min(0.05 * 2**attempt, 2.0))
        raise TemporaryError("BatchWriteItem: throttled")

    def query(self, table: str, pk: str, *, prefix: str = "", after: str = "", limit: int = 0) -> list[Item]:
        """Return the items of a collection; see the port."""
        values = {":pk": {"S": pk}}
        condition = "pk = :pk"
        if prefix:
            condition += " AND begins_with(sk, :sk)"
            values[":sk"] = {"S": prefix}
        arguments: dict[str, Any] = {
            "TableName": table,
            "KeyConditionExpression": condition,
            "ExpressionAttributeValues": values,
            "ConsistentRead": True,
        }
        if after:
            arguments["ExclusiveStartKey"] = {"pk": {"S": pk}, "sk": {"S": after}}
        items: list[Item] = []
        while True:
            if limit:
                arguments["Limit"] = limit - len(items)
            with translated("Query"):
                answer = client("dynamodb").query(**arguments)
            items += [plain(item) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer or (limit and len(items) >= limit):
                return items
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def scan(self, table: str, *, segment: int, segments: int) -> Iterator[Mapping[str, Any]]:
        """Yield every item of one part; see the port."""
        arguments: dict[str, Any] = {"TableName": table, "Segment": segment, "TotalSegments": segments, "ConsistentRead": True}
        while True:
            with translated("Scan"):
                answer = client("dynamodb").scan(**arguments)
            for item in answer["Items"]:
                yield plain(item)
            if "LastEvaluatedKey" not in answer:
                return
            arguments["ExclusiveStartKey"] = answer["LastEvaluatedKey"]


def _batches(entries: Iterable[T], size: int) -> list[list[T]]:
    iterator = iter(entries)
    return list(iter(lambda: list(islice(iterator, size)), []))

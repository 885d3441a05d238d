"""The faults that journeys order: they strike as often as asked, and say what AWS says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import urllib3
from urllib3.connectionpool import HTTPConnectionPool

from local.faults import FaultFile, Faults, Mortality, Refusals, deaths, half, patch_services

TARGET = "DynamoDB_20120810."


class Service:
    """A service that does everything it is asked for and remembers it."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    async def handle_request(self, method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Any:
        request = json.loads(body)
        self.seen.append(request)
        number = len(request.get("Statements", ()))
        return 200, {}, json.dumps({"Responses": [{"TableName": f"done {n}"} for n in range(number)]}).encode()


def disturbed(tmp_path: Path, faults: Faults) -> tuple[Service, Refusals]:
    faults.write(tmp_path / "faults.json")
    service, refusals = Service(), Refusals(FaultFile(tmp_path / "faults.json"))
    patch_services(refusals, service, Service(), Service(), Service())
    return service, refusals


def ask(service: Any, operation: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    headers = {"x-amz-target": TARGET + operation}
    answer = asyncio.run(service.handle_request("POST", "/", headers, json.dumps(body).encode(), {}))
    return answer[0], json.loads(answer[2])


def test_a_share_of_calls_is_refused_and_nothing_is_done_then(tmp_path: Path) -> None:
    service, refusals = disturbed(tmp_path, Faults(seed=3, shares={"dynamodb.throttled": 0.25}))
    answers = [ask(service, "PutItem", {"Item": {"n": n}}) for n in range(200)]
    refused = [body for status, body in answers if status == 400]
    assert 30 < len(refused) < 70
    assert {body["__type"] for body in refused} == {"ProvisionedThroughputExceededException"}
    assert len(service.seen) == 200 - len(refused)
    assert refusals.counts == {"dynamodb": 200, "dynamodb.throttled": len(refused)}


def test_an_answer_can_be_lost_after_the_deed(tmp_path: Path) -> None:
    service, _ = disturbed(tmp_path, Faults(shares={"dynamodb.answer_lost": 1.0}))
    assert ask(service, "PutItem", {"Item": {}})[0] == 500
    assert len(service.seen) == 1


def test_without_a_file_all_is_well_and_a_new_file_is_noticed(tmp_path: Path) -> None:
    service, refusals = Service(), Refusals(FaultFile(tmp_path / "faults.json"))
    patch_services(refusals, service, Service(), Service(), Service())
    assert ask(service, "PutItem", {})[0] == 200
    Faults(shares={"dynamodb.failed": 1.0}).write(tmp_path / "faults.json")
    assert ask(service, "PutItem", {})[0] == 500
    Faults(shares={"dynamodb.throttled": 1.0}).write(tmp_path / "faults.json")
    assert ask(service, "PutItem", {})[0] == 400
    assert len(service.seen) == 1


def test_half_of_a_batch_of_statements_is_left_out_in_its_place(tmp_path: Path) -> None:
    service, _ = disturbed(tmp_path, Faults(shares={"dynamodb.partly": 1.0}))
    _, body = ask(service, "BatchExecuteStatement", {"Statements": [{"Statement": str(n)} for n in range(5)]})
    assert [entry.get("TableName", "left out") for entry in body["Responses"]] == [
        "done 0",
        "left out",
        "done 1",
        "left out",
        "done 2",
    ]
    assert body["Responses"][1]["Error"]["Code"] == "ProvisionedThroughputExceeded"
    assert service.seen == [{"Statements": [{"Statement": "0"}, {"Statement": "2"}, {"Statement": "4"}]}]


def test_keys_and_items_that_were_left_out_are_handed_back() -> None:
    async def act(body: bytes) -> Any:
        return 200, {}, json.dumps({"did": json.loads(body)}).encode()

    answer = asyncio.run(half("BatchWriteItem", {"RequestItems": {"t": [1, 2, 3]}}, act))
    assert json.loads(answer[2]) == {"did": {"RequestItems": {"t": [1, 3]}}, "UnprocessedItems": {"t": [2]}}
    request = {"RequestItems": {"t": {"Keys": [1, 2], "ConsistentRead": True}}}
    answer = asyncio.run(half("BatchGetItem", request, act))
    assert json.loads(answer[2])["UnprocessedKeys"] == {"t": {"Keys": [2], "ConsistentRead": True}}


def test_a_handler_dies_no_more_often_than_ordered_and_each_death_is_on_record(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "faults.json"
    Faults(deaths={"app.ticks": 1.0}, most_deaths=2).write(path)
    killed: list[str] = []

    def live(name: str) -> None:
        """One life of the process, with one call of one handler."""
        monkeypatch.setattr(HTTPConnectionPool, "urlopen", lambda *_: None)
        mortality = Mortality(FaultFile(path), path, kill=lambda: killed.append(name))
        mortality.watch()
        mortality.call(name, lambda: urllib3.HTTPConnectionPool("127.0.0.1").urlopen("POST", "/queue"))

    for name in ("app.app", "app.ticks", "app.ticks", "app.ticks"):
        live(name)
    assert killed == ["app.ticks", "app.ticks"]
    assert deaths(path) == {"app.ticks": 2}

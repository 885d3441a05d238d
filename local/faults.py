"""Faults on order: functions that are killed at any call they make, and services of AWS that refuse, fail, or act and then fail.

For journeys, outside the product. `ENISHI_FAULTS` names a JSON file of `Faults`; MiniStack and the functions' process look at it
again whenever it changes, and every death is a line in `deaths.jsonl` beside it. Seeded: the same calls draw the same lots.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from urllib3.connectionpool import HTTPConnectionPool

VARIABLE = "ENISHI_FAULTS"
_Answer = tuple[int, dict[str, str], bytes]
_JSON = {"Content-Type": "application/x-amz-json-1.0"}
_XML = {"Content-Type": "text/xml"}
# What DynamoDB says of single statements, keys and items of a batch that it did not come to.
_BATCHES = {"BatchExecuteStatement", "BatchGetItem", "BatchWriteItem"}


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong. deaths: by handler (`app.ticks`), the chance at each call it makes over the network; most_deaths: of each.

    shares: of the calls to a service, by `service.kind`. Kinds: `throttled` (refused, nothing done), `failed` (500, nothing done),
    `answer_lost` (done, then 500); `dynamodb.partly` leaves out half of a batch.
    """

    seed: int = 1
    deaths: Mapping[str, float] = field(default_factory=dict)
    most_deaths: int = 3
    shares: Mapping[str, float] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Put these faults into force."""
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(self)), encoding="utf-8")
        draft.replace(path)


class FaultFile:
    """The faults in force; none while the file is not there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at = (0, 0)
        self._faults = Faults()

    def now(self) -> Faults:
        """Return the faults in force."""
        try:
            status = self._path.stat()
        except OSError:
            return Faults()
        changed_at = (status.st_mtime_ns, status.st_ino)
        if changed_at != self._read_at:
            self._faults = Faults(**json.loads(self._path.read_text(encoding="utf-8")))
            self._read_at = changed_at
        return self._faults


def fault_file() -> FaultFile | None:
    """Return what the environment names, None in a world without faults."""
    path = os.environ.get(VARIABLE, "")
    return FaultFile(Path(path)) if path else None


def deaths(path: Path) -> Counter[str]:
    """Return how often each handler died. path: of the faults."""
    try:
        lines = path.with_name("deaths.jsonl").read_text(encoding="utf-8").splitlines()
    except OSError:
        return Counter()
    return Counter(json.loads(line)["handler"] for line in lines)


class Mortality:
    """Kills this process at a call over the network, before or after it, as a function's host may vanish at any moment."""

    def __init__(self, file: FaultFile, path: Path, kill: Callable[[], None] | None = None) -> None:
        self._file = file
        self._record = path.with_name("deaths.jsonl")
        self._died = deaths(path)
        self._kill = kill or (lambda: os.kill(os.getpid(), signal.SIGKILL))
        self._lock = threading.Lock()
        self._lots: dict[str, random.Random] = {}
        self._running: list[str] = []

    def watch(self) -> None:
        """Let every request of urllib3 be a danger: boto3's and those to LINE go through it alike."""
        urlopen = HTTPConnectionPool.urlopen

        def dangerous(pool: Any, method: str, url: str, *arguments: Any, **named: Any) -> Any:
            moment = self._lot()
            if moment == "before":
                self._die(f"before {method} {url}")
            answer = urlopen(pool, method, url, *arguments, **named)
            if moment == "after":
                self._die(f"after {method} {url}")
            return answer

        HTTPConnectionPool.urlopen = dangerous  # type: ignore[method-assign, assignment]

    def call(self, name: str, work: Callable[[], Any]) -> Any:
        """Run a handler, so that its calls are known as its own (it may make them on threads)."""
        self._running.append(name)
        try:
            return work()
        finally:
            self._running.remove(name)

    def _lot(self) -> str:
        faults, running = self._file.now(), self._running[-1:]
        if not running or not faults.deaths.get(running[0]) or self._died[running[0]] >= faults.most_deaths:
            return ""
        with self._lock:
            # Another life draws other lots: the same ones would kill it at the same call for ever.
            lots = self._lots.setdefault(running[0], random.Random(f"{faults.seed}|{self._died.total()}|{running[0]}"))
            if lots.random() >= faults.deaths[running[0]]:
                return ""
            return lots.choice(("before", "after"))

    def _die(self, where: str) -> None:
        with self._lock:  # nobody dies twice
            name = (self._running or ["-"])[-1]
            with self._record.open("a", encoding="utf-8") as record:
                record.write(json.dumps({"handler": name, "where": where}) + "\n")
            self._kill()


class Refusals:
    """Makes MiniStack's services refuse some calls. counts: what was done so far, by `service.kind`, and calls by service."""

    def __init__(self, file: FaultFile) -> None:
        self._file = file
        self._lots: dict[str, random.Random] = {}
        self.counts: Counter[str] = Counter()

    def patch(self, name: str, module: Any, concerns: Callable[[Mapping[str, str], bytes], bool], refuse: _Refusal) -> None:
        """Disturb one service. concerns: which of its calls; refuse: how it says that it was asked too much."""
        handle = module.handle_request

        async def disturbed(method: str, path: str, headers: Any, body: bytes, query: Any) -> Any:
            async def act(content: bytes = body) -> Any:
                return await handle(method, path, headers, content, query)

            if not concerns(headers, body):
                return await act()
            self.counts[name] += 1
            if self._strikes(name, "throttled"):
                return refuse(headers)
            if self._strikes(name, "failed"):
                return _failure(headers)
            if self._strikes(name, "answer_lost"):
                await act()
                return _failure(headers)
            operation = headers.get("x-amz-target", "").rpartition(".")[2]
            if operation in _BATCHES and self._strikes(name, "partly"):
                return await half(operation, json.loads(body), act)
            return await act()

        module.handle_request = disturbed

    def _strikes(self, name: str, kind: str) -> bool:
        faults = self._file.now()
        share = faults.shares.get(f"{name}.{kind}", 0.0)
        lots = self._lots.setdefault(f"{name}.{kind}", random.Random(f"{faults.seed}|{name}.{kind}"))
        if not share or lots.random() >= share:
            return False
        self.counts[f"{name}.{kind}"] += 1
        return True


_Refusal = Callable[[Mapping[str, str]], _Answer]


def patch_services(refusals: Refusals, dynamodb: Any, mail: Any, topics: Any, machines: Any) -> None:
    """Disturb what a send needs: the tables, SES, SMS through SNS, and the start of executions."""
    refusals.patch("dynamodb", dynamodb, lambda headers, _: _is_data(headers), _too_much("ProvisionedThroughputExceededException"))
    refusals.patch("ses", mail, lambda _, body: b'"Destination"' in body, _too_many_mails)
    refusals.patch("sns", topics, lambda _, body: b"PhoneNumber=" in body, _too_many_texts)
    is_start = _target("StartExecution")
    refusals.patch("states", machines, lambda headers, _: is_start(headers), _too_much("ThrottlingException"))


async def half(operation: str, request: dict[str, Any], act: Callable[[bytes], Awaitable[Any]]) -> Any:
    """Do the even entries of a batch and leave the odd ones out, as DynamoDB may (API reference of the three operations)."""
    if operation == "BatchExecuteStatement":
        statements = request["Statements"]
        if len(statements) == 1:
            return _json(200, {"Responses": [_throttled_statement()]})
        answer = await act(json.dumps({**request, "Statements": statements[::2]}).encode())
        done = iter(json.loads(answer[2])["Responses"]) if answer[0] == 200 else iter(())
        mixed = [next(done) if number % 2 == 0 else _throttled_statement() for number in range(len(statements))]
        return _json(200, {"Responses": mixed}) if answer[0] == 200 else answer
    # RequestItems of one table: our adapter never asks for two at once.
    ((table, entry),) = request["RequestItems"].items()
    entries = entry["Keys"] if operation == "BatchGetItem" else entry
    if len(entries) == 1:
        return await act(json.dumps(request).encode())
    part, rest = entries[::2], entries[1::2]
    wrap = (lambda some: {**entry, "Keys": some}) if operation == "BatchGetItem" else (lambda some: some)
    answer = await act(json.dumps({**request, "RequestItems": {table: wrap(part)}}).encode())
    if answer[0] != 200:
        return answer
    left = "UnprocessedKeys" if operation == "BatchGetItem" else "UnprocessedItems"
    return _json(200, {**json.loads(answer[2]), left: {table: wrap(rest)}})


def _throttled_statement() -> dict[str, Any]:
    return {"Error": {"Code": "ProvisionedThroughputExceeded", "Message": "The level of configured throughput was exceeded"}}


def _is_data(headers: Mapping[str, str]) -> bool:
    return headers.get("x-amz-target", "").startswith("DynamoDB_20120810.")


def _target(operation: str) -> Callable[[Mapping[str, str]], bool]:
    return lambda headers: headers.get("x-amz-target", "").endswith("." + operation)


def _json(status: int, body: dict[str, Any], **headers: str) -> _Answer:
    return status, {**_JSON, **headers}, json.dumps(body).encode()


def _too_much(code: str) -> _Refusal:
    return lambda _: _json(400, {"__type": code, "message": "Rate exceeded"}, **{"x-amzn-errortype": code})


def _too_many_mails(_: Mapping[str, str]) -> _Answer:
    code = "TooManyRequestsException"
    sentence = "Maximum sending rate exceeded."
    return _json(429, {"__type": code, "message": sentence}, **{"x-amzn-errortype": code})


def _too_many_texts(_: Mapping[str, str]) -> _Answer:
    error = "<Error><Type>Sender</Type><Code>Throttled</Code><Message>Rate exceeded</Message></Error>"
    return 400, dict(_XML), f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>".encode()


def _failure(headers: Mapping[str, str]) -> _Answer:
    if headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        error = "<Error><Type>Receiver</Type><Code>InternalFailure</Code><Message>Internal failure</Message></Error>"
        return 500, dict(_XML), f"<ErrorResponse>{error}<RequestId>0</RequestId></ErrorResponse>".encode()
    code = "InternalServerError"
    return _json(500, {"__type": code, "message": "Internal server error"}, **{"x-amzn-errortype": code})

"""Doors are knocked at as API Gateway and Lambda knock: Chalice's test client over a stage whose edges are fakes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from chalice.test import Client

from chalicelib import wiring
from chalicelib.kernel.clock import to_millis
from chalicelib.kernel.signing import line_signature
from tests.builders import HANAKO, Stage, make_stage

ROOT = Path(__file__).parents[2]
SECRET = "f" * 32
BOT = "U" + "b" * 32


@pytest.fixture
def stage(tables: str) -> Iterator[Stage]:
    made = make_stage()
    wiring.use_world(made.world)
    yield made
    wiring.use_world(None)


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    from app import app

    with Client(app, stage_name="test", project_dir=str(ROOT)) as made:
        yield made


class Knock:
    """Calls the HTTP side. `headers` may overrule what is sent by default."""

    def __init__(self, client: Client, stage: Stage) -> None:
        self._client = client
        self._stage = stage
        self._tokens: dict[tuple[str, ...], str] = {}

    def __call__(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        given = {"Content-Type": "application/json", **(headers or {})}
        return self._client.http.request(method, path, headers={k: v for k, v in given.items() if v}, body=content)

    def token(self, *scopes: str) -> str:
        if scopes not in self._tokens:
            self._tokens[scopes] = self._stage.world.staff.issue("試験", scopes or ("*",))[1]
        return self._tokens[scopes]

    def api(self, method: str, path: str, body: Any = None, *, scopes: tuple[str, ...] = ("*",), **headers: str) -> Any:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return self(method, "/v1" + path, body, {"Authorization": f"Bearer {self.token(*scopes)}", **names})


@pytest.fixture
def knock(client: Client, stage: Stage) -> Knock:
    return Knock(client, stage)


def event(stage: Stage, kind: str, number: int = 1, **more: Any) -> dict[str, Any]:
    """Return a webhook event as LINE writes it; keyword None leaves a part out."""
    made: dict[str, Any] = {
        "type": kind,
        "mode": "active",
        "timestamp": to_millis(stage.clock.now()),
        "source": {"type": "user", "userId": HANAKO},
        "webhookEventId": f"01J{number:023d}",
        "deliveryContext": {"isRedelivery": False},
        "replyToken": f"reply{number}",
        **more,
    }
    return {name: value for name, value in made.items() if value is not None}


def envelope(*events: dict[str, Any], destination: str = BOT) -> bytes:
    return json.dumps({"destination": destination, "events": list(events)}, ensure_ascii=False).encode()


def signed(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"x-line-signature": line_signature(secret, body), "Content-Type": "application/json; charset=utf-8"}


def records(*messages: tuple[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return an SQS event as Lambda gets it."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "r",
                "body": body,
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {
                    name: {"stringValue": value, "binaryListValues": [], "stringListValues": [], "dataType": "String"}
                    for name, value in attributes.items()
                },
                "eventSource": "aws:sqs",
            }
            for number, (body, attributes) in enumerate(messages)
        ]
    }

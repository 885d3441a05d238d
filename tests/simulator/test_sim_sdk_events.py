"""LINE's official Python SDK, unmodified, understands every webhook the simulator can send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from linebot.v3 import WebhookParser
from linebot.v3.exceptions import InvalidSignatureError
from linebot.v3.models.events import UnknownEvent
from linebot.v3.webhooks.models import Event, MessageContent

from line_simulator.webhooks.webhooks import Delivery
from tests.simulator.contract.events import everything_happens
from tests.simulator.contract.stage import Stage, staged


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as opened:
        yield opened


def _raw(webhooks: list[Delivery]) -> list[dict[str, Any]]:
    return [event for one in webhooks for event in json.loads(one.body)["events"]]


def _known(kind: Any) -> set[str]:
    """What the SDK tells apart by `type`."""
    return set(kind._Event__discriminator_value_class_map if kind is Event else kind._MessageContent__discriminator_value_class_map)


def test_the_sdk_knows_every_event_and_every_event_happens(stage: Stage) -> None:
    everything_happens(stage)
    parser = WebhookParser(stage.shop.secret)
    parsed = [event for one in stage.line.webhooks for event in parser.parse(one.body.decode(), one.signature)]
    raw = _raw(stage.line.webhooks)
    assert [given["type"] for given, event in zip(raw, parsed, strict=True) if isinstance(event, UnknownEvent)] == []
    assert [event.type for event in parsed] == [given["type"] for given in raw]
    assert {given["type"] for given in raw} == _known(Event)
    assert {given["message"]["type"] for given in raw if given["type"] == "message"} == _known(MessageContent)
    assert {given["source"]["type"] for given in raw if "source" in given} == {"user", "group", "room"}
    assert {given["membership"]["type"] for given in raw if given["type"] == "membership"} == {"joined", "left", "renewed"}


def test_the_sdk_reads_what_was_sent(stage: Stage) -> None:
    """Nothing that the simulator writes gets lost or changed on the way through the SDK's models."""
    everything_happens(stage)
    parser = WebhookParser(stage.shop.secret)
    for one in stage.line.webhooks:
        payload = parser.parse(one.body.decode(), one.signature, as_payload=True)
        assert payload.destination == stage.shop.bot_user_id
        for given, event in zip(json.loads(one.body)["events"], payload.events, strict=True):
            read = json.loads(event.to_json())
            assert _missing(given, read) == [], given["type"]


def _missing(given: Any, read: Any, where: str = "$") -> list[str]:
    if isinstance(given, dict):
        return [
            found
            for name, value in given.items()
            for found in (_missing(value, read[name], f"{where}.{name}") if name in read else [f"{where}.{name}"])
        ]
    if isinstance(given, list):
        return [found for one, two in zip(given, read, strict=True) for found in _missing(one, two, f"{where}[]")]
    return [] if given == read else [where]


def test_what_the_sdk_does_not_know_is_noticed(stage: Stage) -> None:
    stage.hanako.raw_event(stage.shop, {"type": "novel"})
    one = stage.line.webhooks[-1]
    (event,) = WebhookParser(stage.shop.secret).parse(one.body.decode(), one.signature)
    assert isinstance(event, UnknownEvent)
    assert _missing({"a": [{"b": 1}]}, {"a": [{}]}) == ["$.a[].b"]


def test_every_signature_holds_for_its_bytes_only(stage: Stage) -> None:
    everything_happens(stage)
    parser = WebhookParser(stage.shop.secret)
    for one in stage.line.webhooks:
        with pytest.raises(InvalidSignatureError):
            parser.parse(one.body.decode() + " ", one.signature)

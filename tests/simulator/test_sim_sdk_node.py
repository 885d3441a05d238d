"""LINE's official Node SDK, unmodified, through every operation and every event the simulator has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache

import pytest

from line_simulator import sign
from tests.simulator.contract.coverage import NOT_DRIVEN, missing, simulated
from tests.simulator.contract.events import everything_happens
from tests.simulator.contract.node_sdk import INSTALLED, SCENARIOS, Bridge, NodeSdk, Refused
from tests.simulator.contract.stage import Stage, staged


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    if not INSTALLED.is_file():
        pytest.fail("LINE's Node SDK is not installed: run `make test`, which installs it first.", pytrace=False)
    opened = Bridge()
    yield opened
    opened.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    with staged() as opened:
        yield opened


@cache
def accepted(bridge: Bridge, name: str, *, single: bool) -> frozenset[str]:
    """Play a scenario and return the operations it got a 2xx from."""
    with staged() as stage:
        SCENARIOS[name][0](stage, NodeSdk(bridge, stage, single=single))
        return frozenset(call.operation_id for call in stage.line.requests if 200 <= call.status < 300)


@pytest.mark.parametrize("single", [False, True], ids=["LineBotClient", "the client of each API"])
@pytest.mark.parametrize("name", SCENARIOS)
def test_the_node_sdk_is_at_home(bridge: Bridge, name: str, single: bool) -> None:
    lacking = missing(SCENARIOS[name][1])
    if lacking:
        pytest.skip(f"not simulated: {', '.join(lacking)}")
    assert accepted(bridge, name, single=single)


@pytest.mark.parametrize("single", [False, True], ids=["LineBotClient", "the client of each API"])
def test_every_simulated_operation_was_driven(bridge: Bridge, single: bool) -> None:
    playable = [name for name, (_, needs) in SCENARIOS.items() if not missing(needs)]
    driven = frozenset().union(*(accepted(bridge, name, single=single) for name in playable))
    assert simulated() - driven == set(NOT_DRIVEN)


def test_refusals_arrive_as_the_sdk_expects_them(bridge: Bridge, stage: Stage) -> None:
    sdk = NodeSdk(bridge, stage, single=False)
    with pytest.raises(Refused) as refused:
        sdk("validatePush", {"messages": [{"type": "text", "text": ""}]})
    assert (refused.value.name, refused.value.status) == ("HTTPFetchError", 400)
    assert json.loads(str(refused.value.body))["details"][0]["property"] == "messages[0].text"
    with pytest.raises(Refused) as unknown:
        sdk.with_token("nonsense")("getBotInfo")
    assert unknown.value.status == 401


def test_the_middleware_takes_every_webhook(bridge: Bridge, stage: Stage) -> None:
    stage.shop.webhook_url = bridge.ask(serve=stage.shop.secret)["url"]
    everything_happens(stage)
    stage.line.drain()
    bodies = bridge.ask(received=True)["received"]
    sent = [json.loads(one.body) for one in stage.line.webhooks if one.state == "delivered"]
    assert len(bodies) > 30
    assert bodies == sent


def test_the_middleware_refuses_a_wrong_signature(bridge: Bridge, stage: Stage) -> None:
    stage.shop.webhook_url = bridge.ask(serve=stage.shop.secret)["url"]
    stage.line.fault("webhook_bad_signature")
    stage.hanako.say(stage.shop, "a")
    stage.line.drain()
    assert bridge.ask(received=True)["received"] == [{"error": "SignatureValidationFailed"}]
    assert stage.line.webhooks[-1].attempts[-1].status == 401
    assert sign(stage.shop.secret, b"") != stage.line.webhooks[-1].signature

"""Whatever is asked, the simulator answers as LINE's documents allow: generated requests, and real ones with one value spoiled."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from line_simulator import LineSimulator, Request
from tests.simulator.contract import official
from tests.simulator.contract.coverage import OFFICIAL, missing
from tests.simulator.contract.generated import requests_of
from tests.simulator.contract.judge import judge_call
from tests.simulator.contract.python_sdk import SCENARIOS, Clients
from tests.simulator.contract.spoiled import Spoiler
from tests.simulator.contract.stage import Stage, staged

pytestmark = [pytest.mark.skipif(not official.present(), reason=official.MISSING)]

# More for a long night: SIM_EXAMPLES=500.
EXAMPLES = int(os.environ.get("SIM_EXAMPLES", "8"))
QUIET = settings(
    max_examples=EXAMPLES,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
)


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with staged() as opened:
        opened.line.limits.unlimited = True
        opened.group()
        yield opened


def _token(stage: Stage, operation_id: str) -> str:
    file = official.operations()[operation_id].file
    if file == "module":
        module = stage.line.channel("予約モジュール", options=["module"])
        stage.line.attach_module(module, stage.shop)
        return module.access_token
    if file != "liff":
        return stage.shop.access_token
    login = stage.line.login_channel("花屋ログイン", bot=stage.shop)
    body = f"grant_type=client_credentials&client_id={login.id}&client_secret={login.secret}".encode()
    form = {"content-type": "application/x-www-form-urlencoded"}
    return str(json.loads(stage.line.handle(Request("POST", "/oauth2/v3/token", "", form, body)).body)["access_token"])


def _judge(line: LineSimulator, request: Request) -> None:
    line.handle(request)
    call = line.journal.calls()[-1]
    violations = judge_call(call)
    assert not violations, (violations, request)


@pytest.mark.parametrize("operation_id", sorted(OFFICIAL))
def test_generated_requests_are_answered_as_documented(stage: Stage, operation_id: str) -> None:
    token = _token(stage, operation_id)

    @QUIET
    @given(st.one_of(*(requests_of(operation_id, mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE))))
    def send(request: Request) -> None:
        _judge(
            stage.line,
            replace(
                request, headers={**request.headers, "x-line-bot-id": stage.shop.bot_user_id, "authorization": f"Bearer {token}"}
            ),
        )

    send()


@pytest.mark.parametrize("name", SCENARIOS)
def test_real_requests_with_one_value_spoiled(name: str) -> None:
    lacking = missing(SCENARIOS[name][1])
    if lacking:
        pytest.skip(f"not simulated: {', '.join(lacking)}")
    with staged() as stage:
        spoiler = Spoiler(stage.line)
        SCENARIOS[name][0](stage, Clients(stage))
        assert not stage.line.world.due.errors
    assert spoiler.sent
    assert not spoiler.violations, "\n".join(dict.fromkeys(one[:400] for one in spoiler.violations[:4000]))

"""The check of an account's settings, by LINE's unmodified SDK, against the simulator."""

from __future__ import annotations

import pytest

from chalicelib.adapters.line import LineApi
from chalicelib.adapters.line_setup import SdkInspector
from chalicelib.kernel.errors import PermanentError
from chalicelib.line_accounts.model import setup_problems
from chalicelib.ports.line import LineCredentials
from line_simulator import LineSimulator


def test_it_tells_what_is_set_up_and_what_is_wrong() -> None:
    with LineSimulator(seed=1) as line:
        channel = line.channel("縁商店", webhook_url="http://127.0.0.1:9/elsewhere", monthly_limit=200)
        inspector = SdkInspector(line.url, LineApi(line.url))
        setup = inspector.inspect(LineCredentials(channel.id, channel.secret))
    assert (setup.display_name, setup.webhook_url, setup.quota, setup.used) == ("縁商店", "http://127.0.0.1:9/elsewhere", 200, 0)
    assert not setup.webhook_answers
    problems = setup_problems(setup, "https://crm.test/webhook/main")
    assert len(problems) == 2
    assert "https://crm.test/webhook/main" in problems[0]
    assert setup_problems(setup, setup.webhook_url)[0].startswith("Webhookのテストが失敗しました")


def test_it_tells_that_no_webhook_is_set() -> None:
    with LineSimulator(seed=1) as line:
        channel = line.channel("縁商店", monthly_limit="none")
        setup = SdkInspector(line.url, LineApi(line.url)).inspect(LineCredentials(channel.id, channel.secret))
    assert (setup.webhook_url, setup.webhook_active, setup.quota) == ("", False, None)


def test_wrong_credentials_are_refused() -> None:
    with LineSimulator(seed=1) as line:
        channel = line.channel("縁商店")
        with pytest.raises(PermanentError):
            SdkInspector(line.url, LineApi(line.url)).inspect(LineCredentials(channel.id, "0" * 32))

"""The send protocol where there are no retry keys: e-mail, SMS and letters; see test_send_protocol.py."""

from __future__ import annotations

import pytest

from tests.pure.send_lives import MAIL_LANES, Parts, violations


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.print", lambda *_, **__: None)


def test_elsewhere_nobody_is_lost_or_doubled_and_unknown_is_only_what_nobody_can_know() -> None:
    assert list(violations(range(10_000), MAIL_LANES, Parts())) == []

"""The second half of the random lives of a scenario; see test_join_protocol.py."""

from __future__ import annotations

import pytest

from tests.pure.join_model import Parts, violations


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("builtins.print", lambda *_, **__: None)


def test_everybody_goes_his_way_once_or_leaves_in_other_lives_too() -> None:
    assert list(violations(range(5_000, 10_000), Parts())) == []

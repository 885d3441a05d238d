"""Joining cohorts under every schedule that chance finds: crashes, zombies, pauses, late comers; nobody lost, nobody doubled.

The lives are made and judged in join_model.py; the other half of them run in test_engine_protocol.py, and
test_join_protocol_broken.py proves that the checker is no rubber stamp. A file each, so that they run side by side.
"""

from __future__ import annotations

import pytest

from tests.pure.join_model import Parts, violations


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of lives would print hundreds of thousands of log lines."""
    monkeypatch.setattr("builtins.print", lambda *_, **__: None)


def test_everybody_goes_his_way_once_or_leaves() -> None:
    assert list(violations(range(5_000), Parts())) == []

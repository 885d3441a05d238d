"""The send protocol under every schedule that chance finds: crashes, zombies, outages, exits; nobody lost, nobody doubled.

The lives are made and judged in send_lives.py; here are LINE's, in test_send_protocol_mail.py e-mail, SMS and letters, and in
test_send_protocol_broken.py the proof that the checker is no rubber stamp. A file each, so that they run side by side.
"""

from __future__ import annotations

import pytest

from tests.pure.send_lives import LINE_LANES, Parts, violations


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of lives would print hundreds of thousands of log lines."""
    monkeypatch.setattr("builtins.print", lambda *_, **__: None)


def test_on_line_nobody_is_lost_or_doubled_and_unknown_is_only_what_time_has_run_out_for() -> None:
    assert list(violations(range(12_000), LINE_LANES, Parts())) == []

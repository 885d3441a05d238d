"""Each documented error is reproduced to the letter, and the published table is the tested one."""

from __future__ import annotations

from pathlib import Path

import pytest

from line_simulator import LineSimulator
from tests.simulator.errors import Case, Stage, cases, page

CASES = cases()


@pytest.mark.parametrize("case", CASES, ids=[f"{one.where}: {one.when}" for one in CASES])
def test_the_documented_error_is_answered(line: LineSimulator, case: Case) -> None:
    stage = Stage(line)
    status, body = case.play(stage)
    assert (status, body) == (case.status, case.body(stage) if callable(case.body) else case.body)


def test_the_published_table_is_the_tested_one() -> None:
    written = Path(__file__).parents[2] / "docs" / "line-errors.md"
    assert written.read_text(encoding="utf-8") == page()

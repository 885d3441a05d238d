"""What a cold start may not drag in."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def loaded_by(module: str) -> set[str]:
    """Import a module in a fresh process; return what came with it."""
    code = f"import sys, {module}; print(' '.join(sys.modules))"
    answer = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]}
    )
    return {name.partition(".")[0] for name in answer.stdout.split()}


@pytest.mark.parametrize("module", ["chalicelib.entrypoints.line_webhook", "app"])
def test_a_cold_start_brings_in_nothing_heavy_and_needs_no_settings(module: str) -> None:
    # LINE waits two seconds for a webhook; linebot alone takes 1.3 to 2.2 of them (line-platform.md 0).
    loaded = loaded_by(module)
    assert "chalice" in loaded
    assert loaded & {"pynamodb", "jinja2", "linebot", "reportlab", "boto3", "botocore", "segno", "pydantic", "aiohttp"} == set()

"""`make rehearse`: what the guide shows is what it prints."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from chalicelib.scenarios.costs import Prices
from local.rehearse import _wide, drawing, options, prices_of, rehearse, table
from chalicelib.scenarios.graph import parse

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "scenarios.md"


def test_the_example_of_the_guide_is_what_its_command_prints() -> None:
    found = re.search(
        r"make rehearse FILE=(\S+) ARGS=\"(.*)\"\n```\n\n```\n(.*?)\n```\n", GUIDE.read_text(encoding="utf-8"), re.DOTALL
    )
    assert found
    name, arguments, shown = found.groups()
    given = options().parse_args([name, *shlex.split(arguments)])
    printed = "\n".join(table(rehearse(parse(drawing(name)), name, given))).strip("\n")
    assert printed == shown, "run the command of docs/scenarios.md and put what it prints there"


def test_prices_are_read_from_words() -> None:
    assert prices_of(["sms_part=8.5", "line_included=3000", "line_used=7"]) == Prices(sms_part=8.5, line_included=3000, line_used=7)
    with pytest.raises(ValueError, match="line_included"):
        prices_of(["line_included=x"])


def test_a_japanese_letter_takes_the_room_of_two() -> None:
    assert (_wide("通数a", 7), _wide("通数a", -7)) == ("  通数a", "通数a  ")

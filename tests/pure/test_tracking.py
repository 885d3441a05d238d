"""What a visit proves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.facts import Evidence
from chalicelib.kernel.ids import Cid
from chalicelib.kernel.signing import sign_token
from chalicelib.tracking.model import CLICK, OPT_OUT, Origin, grade_click, make_token, read_origin

SENT = datetime(2026, 11, 22, 1, 0, tzinfo=UTC)
LATER = SENT + timedelta(minutes=5)
IN_LINE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/604.1 Line/15.1.0"
CHROME = "Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36"


@pytest.mark.parametrize(
    ("method", "agent", "is_crawler", "at", "grade"),
    [
        ("GET", IN_LINE, False, LATER, Evidence.PROBABLE),
        ("GET", CHROME, False, LATER, Evidence.PROBABLE),
        ("GET", CHROME, False, SENT + timedelta(seconds=2), Evidence.PROBABLE),
        ("GET", CHROME, False, SENT + timedelta(seconds=1.9), Evidence.WEAK),
        ("GET", CHROME, False, SENT - timedelta(seconds=1), Evidence.WEAK),
        ("GET", "SomeApp/1.0", False, LATER, Evidence.WEAK),
        ("HEAD", CHROME, False, LATER, None),
        ("GET", "", False, LATER, None),
        ("GET", "curl/8.5.0", False, LATER, None),
        ("GET", "python-requests/2.32", False, LATER, None),
        ("GET", "facebookexternalhit/1.1;line-poker/1.0", False, LATER, None),
        ("GET", "Mozilla/5.0 (compatible; Linespider/1.1; +https://lin.ee/4dwXkTH)", False, LATER, None),
        ("GET", CHROME, True, LATER, None),
    ],
)
def test_it_grades_a_visit(method: str, agent: str, is_crawler: bool, at: datetime, grade: Evidence | None) -> None:
    assert grade_click(method, agent, is_crawler, SENT, at) is grade


def test_the_kept_list_of_crawlers_knows_lines_preview_and_no_browser() -> None:
    from crawleruseragents import is_crawler

    assert is_crawler("facebookexternalhit/1.1;line-poker/1.0")
    assert not is_crawler(IN_LINE)
    assert not is_crawler(CHROME)


def test_a_token_brings_its_origin_back_to_the_second() -> None:
    origin = Origin(Cid(7), "scn|dormant|send_a", SENT, "top")
    token = make_token(b"k", CLICK, origin)
    assert read_origin(b"k", CLICK, token) == origin
    with pytest.raises(InvalidError, match="token.invalid"):
        read_origin(b"k", OPT_OUT, token)


@pytest.mark.parametrize("payload", [[], [1], ["1", "s", 1, ""], [1, "s", 1, "", 2], [1, 2, 3, 4]])
def test_a_token_of_another_shape_is_refused(payload: list[object]) -> None:
    with pytest.raises(InvalidError, match="token.invalid"):
        read_origin(b"k", CLICK, sign_token(b"k", CLICK, payload))


def test_stronger_evidence_counts_as_weaker() -> None:
    assert Evidence.EXPLICIT.counts_as(Evidence.PROBABLE) and Evidence.PROBABLE.counts_as(Evidence.PROBABLE)
    assert not Evidence.WEAK.counts_as(Evidence.PROBABLE)

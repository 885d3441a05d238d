"""Errors speak by code, settings fail with one sentence that names everything."""

from __future__ import annotations

from dataclasses import MISSING, fields

import pytest

from chalicelib.entrypoints.problems import problem_of
from chalicelib.kernel.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    NotFoundError,
    PermanentError,
    QuotaExceededError,
    TemporaryError,
    UnauthenticatedError,
)
from chalicelib.settings import Settings, SettingsError, parse

WHOLE = {
    field.name.upper(): "https://crm.test" if field.name == "public_url" else "x"
    for field in fields(Settings)
    if field.default is MISSING
}


@pytest.mark.parametrize(
    ("kind", "status"),
    [(NotFoundError, 404), (ConflictError, 409), (InvalidError, 422), (DeniedError, 403), (UnauthenticatedError, 401)],
)
def test_each_refusal_has_its_status(kind: type, status: int) -> None:
    problem = problem_of(kind("tag.unknown", tag_id="tag_1"))
    assert problem["status"] == status
    assert problem["title"] == "タグ「tag_1」はありません。"
    assert problem["detail"] == "There is no tag tag_1."
    assert problem["code"] == "tag.unknown"


def test_a_problem_shows_lists_and_cuts_what_is_long() -> None:
    problem = problem_of(InvalidError("import.columns_missing", missing=["member_no", "name"], found=["x" * 1000]))
    assert "member_no、name" in problem["title"]
    assert len(problem["title"]) < 400
    assert problem["missing"] == ["member_no", "name"]


def test_an_unknown_code_still_says_something() -> None:
    assert problem_of(InvalidError("no.such_code"))["title"]


def test_the_outside_says_whether_to_try_again() -> None:
    error = TemporaryError("throttled", retry_after_seconds=3, maybe_done=True)
    assert (error.reason, error.retry_after_seconds, error.maybe_done) == ("throttled", 3, True)
    assert isinstance(QuotaExceededError("month"), PermanentError)


def test_every_missing_variable_is_named_in_one_sentence() -> None:
    with pytest.raises(SettingsError) as caught:
        parse({})
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert WHOLE
    for variable in WHOLE:
        assert f"{variable} is missing" in sentence


def test_every_malformed_variable_is_named_in_one_sentence() -> None:
    with pytest.raises(SettingsError) as caught:
        parse({**WHOLE, "RAW_EVENT_DAYS": "many", "PUBLIC_URL": "http://crm.test", "LINE_API_URL": "ftp://x", "STAGE": ""})
    for variable in ("RAW_EVENT_DAYS", "PUBLIC_URL", "LINE_API_URL", "STAGE"):
        assert variable in str(caught.value)


def test_what_is_not_set_has_its_default_and_addresses_end_without_a_slash() -> None:
    found = parse({**WHOLE, "PUBLIC_URL": "https://crm.test/api/", "RAW_EVENT_DAYS": "7"})
    assert found.public_url == "https://crm.test/api"
    assert found.raw_event_days == 7
    assert found.line_api_url == "https://api.line.me"


@pytest.mark.parametrize("url", ["http://localhost:8000", "http://127.0.0.1:1"])
def test_a_local_address_may_be_plain_http(url: str) -> None:
    assert parse({**WHOLE, "PUBLIC_URL": url}).public_url == url


@pytest.mark.parametrize("url", ["http://localhost.evil.test", "http://127.0.0.1.evil.test", "crm.test"])
def test_no_other_address_may(url: str) -> None:
    with pytest.raises(SettingsError, match="PUBLIC_URL"):
        parse({**WHOLE, "PUBLIC_URL": url})

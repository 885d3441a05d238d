from datetime import timedelta
from typing import Any

import pytest

from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError, PermanentError, TemporaryError
from chalicelib.line_accounts.model import secret_to_json
from tests.builders import Stage
from tests.rooms.crashes import every_crash

OLD, NEW, NEWEST = "f" * 32, "1" * 32, "2" * 32


def accepted(stage: Stage, key: str = "main") -> tuple[str, ...]:
    return stage.world.line_accounts.secret(key).accepted(stage.clock.now())


def everything(stage: Stage) -> Any:
    return stage.world.line_accounts.everyone(), {name: dict(value) for name, value in stage.secrets.kept.items()}


def test_a_connected_account_signs_in_with_its_own_secret(stage: Stage) -> None:
    account = stage.world.line_accounts.get("main")
    assert (account.key, account.name, account.channel_id) == ("main", "縁商店", "1234567890")
    assert account.bot_user_id == "U" + "b" * 32
    credentials = stage.world.line_accounts.credentials("main")
    assert (credentials.channel_id, credentials.channel_secret) == ("1234567890", OLD)
    assert accepted(stage) == (OLD,)


def test_a_secret_is_never_shown(stage: Stage) -> None:
    stage.world.line_accounts.rotate_secret("main", NEW)
    shown = repr(stage.world.line_accounts.secret("main")) + repr(stage.world.line_accounts.get("main"))
    shown += repr(stage.world.line_accounts.credentials("main"))
    assert OLD not in shown
    assert NEW not in shown


def test_rotation_accepts_both_secrets_for_a_day_and_then_one(stage: Stage) -> None:
    stage.world.line_accounts.rotate_secret("main", NEW)
    assert accepted(stage) == (NEW, OLD)
    assert stage.world.line_accounts.credentials("main").channel_secret == NEW
    stage.clock.advance(hours=23, minutes=59, seconds=59)
    assert accepted(stage) == (NEW, OLD)
    stage.clock.advance(seconds=1)
    assert accepted(stage) == (NEW,)


def test_rotating_to_the_same_secret_again_changes_nothing(stage: Stage) -> None:
    stage.world.line_accounts.rotate_secret("main", NEW)
    before = everything(stage)
    stage.clock.advance(hours=5)
    stage.world.line_accounts.rotate_secret("main", NEW)
    assert everything(stage) == before


def test_a_second_rotation_keeps_the_one_before(stage: Stage) -> None:
    stage.world.line_accounts.rotate_secret("main", NEW)
    stage.clock.advance(hours=1)
    stage.world.line_accounts.rotate_secret("main", NEWEST)
    assert accepted(stage) == (NEWEST, NEW)


@pytest.mark.parametrize("problem", [PermanentError("LINE 400: invalid_client"), TemporaryError("LINE 503")])
def test_credentials_that_line_does_not_accept_change_nothing(stage: Stage, problem: Exception) -> None:
    before = everything(stage)
    stage.line.problems += [problem, problem]
    with pytest.raises((InvalidError, TemporaryError)):
        stage.world.line_accounts.rotate_secret("main", NEW)
    with pytest.raises((InvalidError, TemporaryError)):
        stage.world.line_accounts.connect("second", "二号店", "1234567891", NEW)
    assert everything(stage) == before


def test_refused_credentials_are_the_callers_fault(stage: Stage) -> None:
    stage.line.problems.append(PermanentError("LINE 400: invalid_client"))
    with pytest.raises(InvalidError, match="account.credentials_refused"):
        stage.world.line_accounts.connect("second", "二号店", "1234567891", NEW)


def test_a_key_belongs_to_one_channel(stage: Stage) -> None:
    before = everything(stage)
    with pytest.raises(ConflictError, match="account.key_taken"):
        stage.world.line_accounts.connect("main", "別", "9999999999", NEW)
    assert everything(stage) == before


def test_connecting_again_changes_name_and_page_and_keeps_its_day(stage: Stage) -> None:
    first = stage.world.line_accounts.get("main")
    stage.clock.advance(days=3)
    stage.world.line_accounts.connect("main", "新店名", "1234567890", OLD, "https://new.test/")
    again = stage.world.line_accounts.get("main")
    assert (again.name, again.member_login_url, again.created_at) == ("新店名", "https://new.test/", first.created_at)


@pytest.mark.parametrize("key", ["", "a", "Main", "1main", "main\n", "ma in", "x" * 21, "日本"])
def test_a_key_must_fit_into_an_address(stage: Stage, key: str) -> None:
    with pytest.raises(InvalidError, match="account.key_malformed"):
        stage.world.line_accounts.connect(key, "x", "1", NEW)
    with pytest.raises(NotFoundError, match="account.unknown"):
        stage.world.line_accounts.get(key)


def test_an_unknown_account_has_no_secret(stage: Stage) -> None:
    with pytest.raises(NotFoundError, match="account.unknown"):
        stage.world.line_accounts.secret("second")
    with pytest.raises(NotFoundError, match="account.unknown"):
        stage.world.line_accounts.rotate_secret("second", NEW)


def test_a_secret_left_by_a_connection_that_died_does_not_spoil_the_next_one(stage: Stage) -> None:
    died = stage.world.line_accounts.secret("main")
    stage.secrets.put("line/second", secret_to_json(died))  # of channel 1234567890, and here the process died
    stage.world.line_accounts.connect("second", "二号店", "1234567891", NEW)
    credentials = stage.world.line_accounts.credentials("second")
    assert (credentials.channel_id, credentials.channel_secret) == ("1234567891", NEW)
    assert accepted(stage, "second") == (NEW,)


def test_a_crash_anywhere_while_connecting_is_healed_by_the_next_try(stage: Stage) -> None:
    def scene(number: int):
        return lambda: stage.world.line_accounts.connect(f"shop-{number}", "店", f"2{number}", NEW)

    for number, _, again in every_crash(scene):
        again()
        assert accepted(stage, f"shop-{number}") == (NEW,)
        assert stage.world.line_accounts.get(f"shop-{number}").channel_id == f"2{number}"


def test_accounts_are_listed_by_key(stage: Stage) -> None:
    stage.world.line_accounts.connect("another", "別店", "1234567891", NEW)
    assert [account.key for account in stage.world.line_accounts.everyone()] == ["another", "main"]
    assert stage.clock.now() - stage.world.line_accounts.get("main").created_at == timedelta(0)

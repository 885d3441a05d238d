import json

import pytest

from chalicelib.adapters.aws import client
from chalicelib.kernel.errors import InvalidError, NotFoundError, UnauthenticatedError
from chalicelib.settings import settings
from chalicelib.staff import model
from chalicelib.staff.service import Staff
from tests.builders import Stage


def refusal(staff: Staff, header: str) -> tuple[str, int, dict[str, object]]:
    with pytest.raises(UnauthenticatedError) as caught:
        staff.authenticate(header)
    return caught.value.code, caught.value.status, caught.value.details


def test_a_key_lets_its_holder_in_with_its_scopes_alone(stage: Stage) -> None:
    key, token = stage.world.staff.issue("基幹システム", ["orders:write", "orders:read", "orders:read"])
    caller = stage.world.staff.authenticate(f"Bearer {token}")
    assert (caller.key_id, caller.name) == (key.key_id, "基幹システム")
    assert caller.may("orders:read")
    assert caller.may("orders:write")
    assert not caller.may("keys:write")
    assert stage.world.staff.authenticate(f"bearer  {token} ").key_id == key.key_id


def test_a_star_may_everything(stage: Stage) -> None:
    _, token = stage.world.staff.issue("店長", ["*"])
    assert stage.world.staff.authenticate(f"Bearer {token}").may("keys:write")


@pytest.mark.parametrize("scopes", [[], ["everything"], ["orders:read", "orders:delete"], [""]])
def test_a_key_with_an_unknown_scope_or_none_is_not_issued(stage: Stage, scopes: list[str]) -> None:
    with pytest.raises(InvalidError, match="key.scope_unknown"):
        stage.world.staff.issue("x", scopes)
    assert stage.world.staff.everyone() == []


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic enk_x.y", "Bearer x.y", "Bearer enk_x", "Bearer enk_x.", "enk_x.y", "Bearer .enk_x"]
)
def test_a_header_without_a_key_says_that_it_is_missing(stage: Stage, header: str) -> None:
    assert refusal(stage.world.staff, header)[0] == "auth.missing"


def test_a_key_id_too_long_for_the_table_is_no_key(stage: Stage) -> None:
    assert refusal(stage.world.staff, f"Bearer enk_{'A' * 3000}.x")[1] == 401


def test_wrong_revoked_unknown_and_other_keys_are_refused_in_one_shape(stage: Stage) -> None:
    staff = stage.world.staff
    key, token = staff.issue("a", ["orders:read"])
    other, other_token = staff.issue("b", ["*"])
    gone, gone_token = staff.issue("c", ["*"])
    staff.revoke(gone.key_id)
    secret, other_secret = token.partition(".")[2], other_token.partition(".")[2]
    attempts = [
        f"{key.key_id}.{secret[:-1]}",
        f"{key.key_id}.{secret}x",
        f"{key.key_id}.{other_secret}",
        f"{other.key_id}.{secret}",
        f"{key.key_id}.{model.hash_of(secret)}",
        f"{key.key_id}.署名",
        gone_token,
        f"enk_{'0' * 26}.{secret}",
    ]
    assert {str(refusal(staff, f"Bearer {attempt}")) for attempt in attempts} == {"('auth.refused', 401, {})"}
    assert staff.authenticate(f"Bearer {token}").key_id == key.key_id


def test_only_the_hash_of_a_secret_is_stored_and_shown_nowhere(stage: Stage) -> None:
    key, token = stage.world.staff.issue("a", ["*"])
    secret = token.partition(".")[2]
    assert len(secret) >= 43
    tables = (settings().config_table, settings().core_table, settings().engine_table, settings().timeline_table)
    kept = json.dumps([client("dynamodb").scan(TableName=name)["Items"] for name in tables])
    assert secret not in kept
    assert model.hash_of(secret) in kept
    assert secret not in repr(key)
    assert model.hash_of(secret) not in repr(stage.world.staff.everyone())


def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []
    monkeypatch.setattr(model.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or a == b)
    assert model.matches("a", model.hash_of("a"))
    assert not model.matches("b", model.hash_of("a"))
    assert len(compared) == 2


def test_a_revoked_key_dies_at_once_here_and_within_half_a_minute_elsewhere(stage: Stage) -> None:
    now = 0.0
    elsewhere = Staff(stage.clock, monotonic=lambda: now)
    key, token = stage.world.staff.issue("a", ["*"])
    stage.world.staff.authenticate(f"Bearer {token}")
    elsewhere.authenticate(f"Bearer {token}")
    stage.world.staff.revoke(key.key_id)
    assert refusal(stage.world.staff, f"Bearer {token}")[0] == "auth.refused"
    now = 30.0
    assert refusal(elsewhere, f"Bearer {token}")[0] == "auth.refused"
    assert [(one.key_id, one.is_revoked) for one in stage.world.staff.everyone()] == [(key.key_id, True)]


def test_an_unknown_key_cannot_be_revoked(stage: Stage) -> None:
    with pytest.raises(NotFoundError, match="key.unknown"):
        stage.world.staff.revoke("enk_unknown")
    assert stage.world.staff.everyone() == []

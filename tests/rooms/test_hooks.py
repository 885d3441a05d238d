"""Webhooks out: signed, told again under the same key until they are taken, given up after a day, never in each other's way."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from chalicelib.delivery.hooks import Hook, Hooks
from chalicelib.delivery.model import ACTIVE, BatchState, Job, MachineChannel, Report, row_of
from chalicelib.kernel.errors import InvalidError, NotFoundError, PermanentError, TemporaryError
from chalicelib.settings import settings
from tests.builders import Stage

PAGE = "c|v__202612010100|0|"
POS = Hook("pos", "店舗のPOS", "https://pos.test/hook?shop=1")


def told(stage: Stage, count: int = 1, hook: str = "pos") -> Report:
    """Bring a page of customers to the webhook; the same page every time."""
    keys = [(f"C#{n}", "ENR#s#") for n in range(1, count + 1)]
    database = stage.world.database
    if not database.get_many(settings().engine_table, keys):
        for n in range(1, count + 1):
            cid = stage.customer(f"m{n}")
            assert cid == n
            row = {"pk": f"C#{n}", "sk": "ENR#s#", "cid": n, "cohort": "c", "status": ACTIVE, "last": "", "claim": "", "path": {}}
            database.put_many(settings().engine_table, [row])
    found = database.get_many(settings().engine_table, keys)
    job = Job(PAGE, "c", "v__202612010100", MachineChannel.WEBHOOK, hook, "scn|s|tell", stage.clock.now(), data={"coupon": "春"})
    return stage.world.delivery.deliver(job, [row_of(found[key]) for key in keys], [])


def reconcile(stage: Stage, **later: int) -> None:
    stage.clock.advance(**later)
    stage.world.delivery.reconcile(timedelta(minutes=15))


def test_a_call_says_who_and_what_and_proves_where_it_comes_from(stage: Stage) -> None:
    secret = stage.world.hooks.save(POS)
    told(stage)
    told(stage)
    ((url, content, headers),) = stage.hook_caller.sent
    payload = json.loads(content)
    assert url == POS.url
    assert payload == {
        "id": headers["Idempotency-Key"],
        "customer_id": "cus_0000000001",
        "member_no": "m1",
        "source": "scn|s|tell",
        "due": payload["due"],
        "data": {"coupon": "春"},
    }
    assert headers["Content-Type"] == "application/json"
    stamp = headers["Enishi-Timestamp"]
    assert int(stamp) == int(stage.clock.now().timestamp())
    proof = hmac.new(secret.encode(), f"{stamp}.".encode() + content, hashlib.sha256).hexdigest()
    assert headers["Enishi-Signature"] == f"v1={proof}"


def test_the_secret_is_shown_once_and_survives_changes(stage: Stage) -> None:
    secret = stage.world.hooks.save(POS)
    assert secret.startswith("whs_")
    assert stage.world.hooks.save(replace(POS, name="新しい名前", is_enabled=False)) == ""
    assert stage.world.hooks.get("pos") == replace(POS, name="新しい名前", is_enabled=False)
    assert stage.world.hooks.everyone() == [replace(POS, name="新しい名前", is_enabled=False)]
    assert secret not in json.dumps(list(stage.world.database.query(settings().config_table, "HOOK")))
    stage.world.hooks.delete("pos")
    stage.world.hooks.delete("pos")
    with pytest.raises(NotFoundError):
        stage.world.hooks.get("pos")
    assert "webhook/pos" not in stage.secrets.kept
    assert stage.world.hooks.save(POS) not in ("", secret)


@pytest.mark.parametrize(
    "url", ["http://pos.test/", "https://a:b@pos.test/", "https://", "ftp://pos.test/", "https://pos.test/ x", "x" * 3000]
)
def test_only_an_https_address_without_a_password_is_taken(stage: Stage, url: str) -> None:
    with pytest.raises(InvalidError):
        stage.world.hooks.save(replace(POS, url=url))
    with pytest.raises(InvalidError):
        stage.world.hooks.save(replace(POS, hook_id="POS"))


def test_one_that_is_not_taken_yet_comes_again_under_its_key_and_holds_nobody_up(stage: Stage) -> None:
    stage.world.hooks.save(POS)
    stage.hook_caller.problems = [TemporaryError("webhook: HTTP 503", maybe_done=True), None, PermanentError("webhook: HTTP 410")]
    report = told(stage, 3)
    assert (len(report.sent), report.pending, len(stage.hook_caller.sent)) == (3, 1, 1)
    frozen = stage.world.ledger.batches(PAGE)[0].calls
    reconcile(stage, hours=1)
    assert [json.loads(content)["member_no"] for _, content, _ in stage.hook_caller.sent] == ["m2", "m1"]
    assert stage.hook_caller.sent[1][2]["Idempotency-Key"] == frozen[0].key
    batch = stage.world.ledger.batches(PAGE)[0]
    assert (batch.state, batch.results) == (BatchState.SENT, ("accepted 200", "accepted 200", "failed webhook: HTTP 410"))


def test_it_is_given_up_after_a_day(stage: Stage) -> None:
    stage.world.hooks.save(POS)
    stage.hook_caller.problems = [TemporaryError("webhook: ReadTimeoutError", maybe_done=True)] * 30
    told(stage)
    for _ in range(23):
        reconcile(stage, hours=1)
    assert stage.world.ledger.batches(PAGE)[0].state is BatchState.FROZEN
    reconcile(stage, hours=1)
    assert stage.world.ledger.batches(PAGE)[0].results == ("failed webhook: no answer for 24 hours",)
    assert len(stage.hook_caller.problems) == 30 - 24


def test_it_comes_again_no_sooner_than_the_other_side_has_asked_for(stage: Stage) -> None:
    stage.world.hooks.save(POS)
    stage.hook_caller.problems = [TemporaryError("webhook: HTTP 429", retry_after_seconds=1800)]
    told(stage, 2)
    reconcile(stage, minutes=29)
    assert stage.hook_caller.sent == []
    reconcile(stage, minutes=1)
    assert len(stage.hook_caller.sent) == 2


def test_after_three_silences_in_a_row_the_rest_is_left_for_later(stage: Stage) -> None:
    stage.world.hooks.save(POS)
    silence = TemporaryError("webhook: ConnectTimeoutError", maybe_done=True)
    stage.hook_caller.problems = [silence, silence, None, silence, silence, silence]
    assert told(stage, 8).pending == 7
    assert stage.hook_caller.problems == []
    reconcile(stage, minutes=16)
    assert len(stage.hook_caller.sent) == 8


def test_one_that_was_switched_off_or_deleted_meanwhile_is_not_called(stage: Stage) -> None:
    assert told(stage, hook="none").failed == {1}
    stage.world.hooks.save(replace(POS, is_enabled=False))
    hooks: Hooks = stage.world.hooks
    call = stage.world.ledger.batches(PAGE)[0].calls[0]
    open_call = replace(call, body={"hook": "pos", "payload": {}})
    assert hooks.call(open_call, stage.clock.now(), stage.clock.now()) == "failed webhook: switched off"
    assert stage.hook_caller.sent == []

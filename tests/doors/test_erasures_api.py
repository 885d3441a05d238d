"""Erasing a person, and the lake as operators see it, over the admin API."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from chalicelib.entrypoints import lake_keeper, workers
from chalicelib.kernel.ids import customer_id
from chalicelib.lake.service import Lake
from tests.builders import Stage
from tests.doors.conftest import Knock, records
from tests.doors.test_admin_api import is_problem
from tests.doors.test_hooks_door import ORDER, codes, send, source

PURE = ("customers:erase",)
REASON = {"reason": "本人の申し出"}


def work(stage: Stage) -> None:
    while stage.work.messages:
        assert workers.handle(records(stage.work.messages.pop(0)), stage.world) == {"batchItemFailures": []}


def test_a_person_is_erased_and_stays_away_until_it_is_his_own_wish(stage: Stage, knock: Knock, tmp_path: Path) -> None:
    stage.world.__dict__["lake"] = Lake(stage.world.database, stage.files, stage.clock, tmp_path)
    profile = {"member_no": "M1", "name": "花子", "email": "hanako@example.jp"}
    path = f"/customers/{knock.api('POST', '/customers', profile).json_body['customer_id']}"
    knock.api("POST", "/orders", {"order_no": "N1", "member_no": "M1", "ordered_at": "2026-11-01T00:00:00Z", "amount_yen": 1})
    made = knock.api("POST", f"{path}/erase", REASON, scopes=PURE, Idempotency_Key="e1")
    receipt = made.json_body
    assert (made.status_code, receipt["state"], receipt["reason"]) == (202, "running", "本人の申し出")
    assert receipt["by"].startswith("enk_") and "30日" in receipt["told"] and "花子" not in made.body.decode()
    work(stage)
    again = knock.api("POST", f"{path}/erase", REASON, scopes=PURE, Idempotency_Key="e2")
    assert again.json_body == receipt
    is_problem(knock.api("GET", path), 404, "customer.unknown")
    for method, end, body in (
        ("PATCH", "", {"name": "花子"}),
        ("PUT", "/consents/email", {"is_opted_out": False, "source": "x"}),
        ("GET", "/timeline", None),
    ):
        is_problem(knock.api(method, path + end, body), 404, "customer.unknown")
    order = {"order_no": "N2", "member_no": "M1", "ordered_at": "2026-11-01T00:00:00Z", "amount_yen": 1}
    is_problem(knock.api("POST", "/orders", order), 404, "customer.unknown")
    for event in ({"member_no": "M1"}, {"customer_id": path.removeprefix("/customers/")}):
        is_problem(knock.api("POST", "/events", {"event": "visited", "event_id": "e", **event}), 404, "customer.unknown")
    refused = knock.api("POST", "/customers", profile)
    is_problem(refused, 409, "customer.erased")
    assert receipt["receipt_id"] in refused.json_body["title"]
    assert codes(send(stage, knock, source(knock, creates=True), {"orders": [ORDER]})) == ["customer.erased"]

    is_problem(knock.api("DELETE", f"/erasures/{receipt['receipt_id']}", scopes=PURE), 409, "erasure.runs")
    lake_keeper.handle({"kind": "fold"}, stage.world)
    stage.clock.set(stage.clock.now() + timedelta(hours=1))
    workers.tick({"kind": "reconcile"}, stage.world)
    work(stage)
    assert knock.api("GET", f"/erasures/{receipt['receipt_id']}").json_body["state"] == "done"
    assert knock.api("DELETE", f"/erasures/{receipt['receipt_id']}", scopes=PURE).status_code == 204
    (kept,) = knock.api("GET", "/erasures").json_body["items"]
    assert (kept["state"], kept["lifted_by"][:4], kept["reason"]) == ("lifted", "enk_", "本人の申し出")
    assert knock.api("POST", "/customers", profile).status_code == 200


def test_a_page_of_receipts(stage: Stage, knock: Knock) -> None:
    for number in range(3):
        path = f"/customers/{customer_id(stage.customer(f'M{number}'))}/erase"
        assert knock.api("POST", path, REASON, Idempotency_Key=f"e{number}").status_code == 202
    first = knock.api("GET", "/erasures?limit=2").json_body
    rest = knock.api("GET", f"/erasures?limit=2&cursor={first['next_cursor']}").json_body
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)
    is_problem(knock.api("GET", "/erasures?cursor=MQ"), 422, "cursor.malformed")


def test_who_may_and_what_is_refused(stage: Stage, knock: Knock) -> None:
    path = f"/customers/{customer_id(stage.customer('M1'))}/erase"
    is_problem(knock.api("POST", path, REASON, scopes=("customers:write",), Idempotency_Key="e"), 403, "auth.scope_missing")
    is_problem(knock.api("POST", path, REASON), 422, "idempotency.key_missing")
    is_problem(knock.api("POST", path, {"reason": " "}, Idempotency_Key="e"), 422, "erasure.no_reason")
    is_problem(knock.api("POST", "/customers/cus_x/erase", REASON, Idempotency_Key="e"), 404, "customer.unknown")
    is_problem(knock.api("GET", "/erasures/era_1"), 404, "erasure.unknown")


def test_an_operator_sees_the_lake_and_has_it_made_anew(stage: Stage, knock: Knock, tmp_path: Path) -> None:
    stage.world.__dict__["lake"] = Lake(stage.world.database, stage.files, stage.clock, tmp_path)
    empty = knock.api("GET", "/lake", scopes=("operations:read",)).json_body
    assert (empty["generation"], empty["folded_at"], empty["age_seconds"], empty["rebuild"]) == (0, None, None, None)
    stage.customer("M1")
    is_problem(knock.api("POST", "/lake/rebuild", scopes=("operations:read",)), 403, "auth.scope_missing")
    ordered = knock.api("POST", "/lake/rebuild", scopes=("operations:write",))
    assert (ordered.status_code, ordered.json_body["rebuild"]["share_done"]) == (202, 0.0)
    is_problem(knock.api("POST", "/lake/rebuild"), 409, "lake.rebuild_runs")
    is_problem(knock.api("POST", "/dead-letters/lake/replay", {}, Idempotency_Key="r"), 422, "lake.not_replayed")
    lake_keeper.handle({"kind": "fold"}, stage.world)
    stage.clock.set(stage.clock.now() + timedelta(seconds=90))
    seen = knock.api("GET", "/lake").json_body
    assert seen["rows"]["customer"] >= 1 and seen["files"]["customer"] == 1
    assert (seen["age_seconds"], seen["waiting_files"], seen["erased_waiting"], seen["marked_at"]) == (90, 0, 0, None)
    assert seen["rebuild"] is None and seen["rebuilt_at"]

"""Duplicates by the API."""

from __future__ import annotations

from chalicelib.kernel.ids import customer_id
from tests.builders import Stage
from tests.doors.conftest import Knock
from tests.doors.test_admin_api import is_problem


def test_two_are_found_made_one_and_two_again(stage: Stage, knock: Knock) -> None:
    one, other = (customer_id(stage.customer(number, email="a@example.com")) for number in ("A", "B"))
    (pair,) = knock.api("GET", "/duplicates").json_body["items"]
    assert pair == {"first": one, "second": other, "reasons": ["email"], "confidence": "high"}
    made = knock.api("POST", "/merges", {"kept": one, "gone": other})
    (merge,) = made.json_body["items"]
    assert (made.status_code, merge["kept"], merge["gone"], merge["fields"]) == (201, one, other, [])
    assert merge["by"].startswith("enk_")
    assert knock.api("POST", "/merges", {"kept": one, "gone": other}).status_code == 201
    assert knock.api("GET", f"/customers/{other}").json_body["customer_id"] == one
    assert knock.api("GET", f"/customers/{one}/merges").json_body["items"] == [merge]
    assert knock.api("GET", "/duplicates").json_body["items"] == []
    parted = knock.api("DELETE", f"/customers/{one}/merges/{other}")
    assert (parted.status_code, parted.json_body["accounts_returned"], parted.json_body["accounts_kept"]) == (200, [], [])
    assert parted.json_body["kept"] == one and "統合後" in parted.json_body["told"]
    is_problem(knock.api("DELETE", f"/customers/{one}/merges/{other}"), 404, "merge.unknown")
    assert knock.api("GET", f"/customers/{other}").json_body["customer_id"] == other
    assert knock.api("POST", "/duplicates/denials", {"first": other, "second": one}).status_code == 204
    assert knock.api("GET", "/duplicates").json_body["items"] == []


def test_what_cannot_be_merged_is_refused(stage: Stage, knock: Knock) -> None:
    one = customer_id(stage.customer("A"))
    is_problem(knock.api("POST", "/merges", {"kept": one, "gone": one}), 409, "merge.one_already")
    is_problem(knock.api("POST", "/merges", {"kept": one, "gone": "cus_x"}), 404, "customer.unknown")
    is_problem(knock.api("POST", "/merges", {"kept": one, "gone": one}, scopes=("customers:read",)), 403, "auth.scope_missing")


def test_merging_across_line_accounts_is_off_until_it_is_switched_on(knock: Knock) -> None:
    assert knock.api("GET", "/merge-settings").json_body == {"crosses_accounts": False}
    assert knock.api("PUT", "/merge-settings", {"crosses_accounts": True}).json_body == {"crosses_accounts": True}
    is_problem(
        knock.api("PUT", "/merge-settings", {"crosses_accounts": True}, scopes=("customers:write",)), 403, "auth.scope_missing"
    )

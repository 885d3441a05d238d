"""Limits, webhooks and notices over the admin API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import Stage
from tests.doors.conftest import Knock

CAP = {"scope": "all", "most": 3, "per": "P7D", "policy": "delay", "channel": ""}


def test_the_companys_limits_are_kept_as_they_were_given(knock: Knock) -> None:
    assert knock.api("GET", "/delivery-limits").json_body == {"caps": [], "hours": None}
    limits = {
        "caps": [CAP, {**CAP, "per": "PT12H", "channel": "line", "policy": "skip"}],
        "hours": {"start": "09:00", "end": "21:00"},
    }
    answer = knock.api("PUT", "/delivery-limits", limits)
    assert (answer.status_code, answer.json_body) == (200, limits)
    assert knock.api("GET", "/delivery-limits").json_body == limits
    assert knock.api("PUT", "/delivery-limits", {}).json_body == {"caps": [], "hours": None}


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        ({"caps": [{**CAP, "per": "P32D"}]}, "cap.malformed"),
        ({"caps": [{**CAP, "per": "soon"}]}, "duration.malformed"),
        ({"caps": [{**CAP, "most": 0}]}, "api.body_malformed"),
        ({"caps": [{**CAP, "channel": "fax"}]}, "api.body_malformed"),
        ({"hours": {"start": "09:00", "end": "09:00"}}, "window.empty"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused(knock: Knock, limits: Any, code: str) -> None:
    answer = knock.api("PUT", "/delivery-limits", limits)
    assert (answer.status_code, answer.json_body["code"]) == (422, code)


def test_a_webhooks_secret_is_shown_once(knock: Knock, stage: Stage) -> None:
    body = {"name": "POS", "url": "https://pos.test/hook"}
    made = knock.api("PUT", "/webhooks/pos", body).json_body
    assert made["secret"].startswith("whs_")
    assert stage.secrets.kept["webhook/pos"] == {"secret": made["secret"]}
    again = knock.api("PUT", "/webhooks/pos", {**body, "enabled": False}).json_body
    assert again == {"webhook_id": "pos", **body, "enabled": False, "secret": ""}
    assert knock.api("GET", "/webhooks/pos").json_body == again
    assert knock.api("GET", "/webhooks").json_body == {"items": [again]}
    assert knock.api("DELETE", "/webhooks/pos").status_code == 204
    assert knock.api("GET", "/webhooks/pos").json_body["code"] == "webhook.unknown"


def test_a_webhook_to_nowhere_is_refused(knock: Knock) -> None:
    assert knock.api("PUT", "/webhooks/POS", {"name": "x", "url": "https://a.test/"}).json_body["code"] == "webhook.id_malformed"
    assert knock.api("PUT", "/webhooks/pos", {"name": "x", "url": "http://a.test/"}).json_body["code"] == "webhook.url_malformed"


def test_notices_are_listed_with_whom_they_go_to(knock: Knock, stage: Stage) -> None:
    answer = knock.api("PUT", "/staff-notices", {"emails": ["A@shop.test"]})
    assert answer.json_body == {"emails": ["a@shop.test"], "items": []}
    hanako = stage.customer("m1", name="花子")
    stage.world.notices.tell("k", "休眠のお客様", "ご連絡ください", [hanako])
    (notice,) = knock.api("GET", "/staff-notices").json_body["items"]
    assert (notice["title"], notice["count"], notice["customers"]) == ("休眠のお客様", 1, ["cus_0000000001"])
    assert knock.api("PUT", "/staff-notices", {"emails": ["nobody"]}).json_body["code"] == "customer.email_malformed"
    assert knock.api("PUT", "/staff-notices", {"emails": [""]}).json_body["code"] == "notice.addresses"

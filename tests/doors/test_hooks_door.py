"""Webhooks in: signed by their source, taken once, and each report answered for itself."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest

from chalicelib.kernel.ids import customer_id
from chalicelib.kernel.signing import timed_signature
from chalicelib.orders.model import Line
from tests.builders import Stage
from tests.doors.conftest import Knock, records
from tests.doors.test_admin_api import is_problem

ORDER = {
    "order_no": "A-1", "member_no": "M1", "ordered_at": "2026-11-20T10:00:00+09:00", "amount_yen": 5000,
    "lines": [{"product": "ピアスA", "category": "ピアス", "quantity": 2, "yen": 5000}],
}  # fmt: skip
SHOPIFY = {
    "id": 450789469, "name": "#1001", "created_at": "2026-11-20T10:00:00+09:00", "total_price": "3980.00", "currency": "JPY",
    "customer": {"id": 207119551, "email": "Bob@Example.com", "phone": "x", "default_address": {"name": "山田 花子"}},
    "line_items": [{"title": "リング", "vendor": "縁", "quantity": 2, "price": "1990"}, {"title": "", "price": "0"}],
}  # fmt: skip


def source(knock: Knock, kind: str = "enishi", **more: Any) -> str:
    """Make the source `pos`; return its secret."""
    answer = knock.api("PUT", "/sources/pos", {"name": "店舗POS", "kind": kind, **more})
    assert answer.status_code == 200, answer.json_body
    assert answer.json_body["url"] == "https://crm.test/hooks/pos"
    return str(answer.json_body["secret"])


def send(stage: Stage, knock: Knock, secret: str, body: Any, *, ago: int = 0, **headers: str) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    stamp = str(int(stage.clock.now().timestamp()) - ago)
    given = {"Enishi-Timestamp": stamp, "Enishi-Signature": timed_signature(secret, stamp, content)}
    return knock("POST", "/hooks/pos", content, given | {name.replace("_", "-"): value for name, value in headers.items()})


def shopify(knock: Knock, body: Any, topic: str = "orders/create", secret: str = "shpss", **headers: str) -> Any:
    content = json.dumps(body).encode()
    proof = base64.b64encode(hmac.digest(secret.encode(), content, hashlib.sha256)).decode()
    given = {"X-Shopify-Hmac-Sha256": proof, "X-Shopify-Topic": topic}
    return knock("POST", "/hooks/pos", content, given | {name.replace("_", "-"): value for name, value in headers.items()})


def codes(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.json_body
    return [item["problem"]["code"] if item["problem"] else "" for item in answer.json_body["items"]]


def test_orders_and_events_are_taken_once_however_often_they_are_told(stage: Stage, knock: Knock, client: Any) -> None:
    secret, cid = source(knock, shop="銀座"), stage.customer("M1")
    event = {"event": "reservation_visited", "event_id": "v1", "member_no": "M1"}
    for _ in range(2):
        answer = send(stage, knock, secret, {"orders": [ORDER], "events": [event]})
        assert answer.json_body["items"] == [
            {"id": "A-1", "customer_id": customer_id(cid), "problem": None},
            {"id": "v1", "customer_id": customer_id(cid), "problem": None},
        ]
        client.lambda_.invoke("webhook_worker", records(*stage.events.messages))
    (order,) = stage.world.orders.of(cid)
    assert (order.amount_yen, order.shop, order.lines) == (5000, "銀座", (Line("ピアスA", "ピアス", 2, 5000),))
    assert stage.world.orders.stats([cid])[cid].count == 1
    assert [item["kind"] for item in stage.world.tracking.timeline(cid)] == ["reservation_visited"]
    (shown,) = knock.api("GET", f"/customers/{customer_id(cid)}/orders").json_body["items"]
    assert shown["lines"] == [{"product": "ピアスA", "category": "ピアス", "quantity": 2, "yen": 5000}]


def test_each_report_is_answered_for_itself(stage: Stage, knock: Knock) -> None:
    secret = source(knock)
    stage.customer("M1")
    stage.customer("M2")
    orders = [ORDER, {**ORDER, "member_no": "M2"}, {**ORDER, "order_no": "A-2", "member_no": "M9"},
              {**ORDER, "order_no": "A-3", "member_no": ""}, {**ORDER, "order_no": "A-4", "ordered_at": "2026-11-20T10:00:00"}]  # fmt: skip
    events = [{"event": "custom", "event_id": "e", "member_no": "M1"}]
    send(stage, knock, secret, {"orders": orders[:1]})
    assert codes(send(stage, knock, secret, {"orders": orders[1:], "events": events})) == [
        "order.of_another_customer", "customer.unknown", "customer.member_no_missing", "order.time_malformed", "event.name_missing",
    ]  # fmt: skip


def test_two_sources_that_number_alike_do_not_meet(stage: Stage, knock: Knock) -> None:
    assert source(knock, "shopify", secret="shpss", creates=True) == ""
    cid = stage.customer("M1")
    taken = {**ORDER, "order_no": "1001"}
    del taken["lines"]
    for sent in (taken, {**taken, "source": "till"}):
        assert knock.api("POST", "/orders", sent).status_code == 201
    assert codes(shopify(knock, SHOPIFY)) == [""]
    (order,) = stage.world.orders.of(stage.world.customers.by_member_no("207119551").cid)
    assert order.order_no == "pos 1001"
    shown = knock.api("GET", f"/customers/{customer_id(cid)}/orders").json_body["items"]
    assert sorted((one["source"], one["order_no"]) for one in shown) == [("", "1001")], (
        "told twice, the second time with its source"
    )


def test_a_source_speaks_for_no_other(stage: Stage, knock: Knock) -> None:
    is_problem(send(stage, knock, source(knock), {"orders": [{**ORDER, "source": "ec"}]}), 422, "api.body_malformed")


def test_a_repetition_with_other_content_is_told_of(stage: Stage, knock: Knock) -> None:
    secret, cid = source(knock), stage.customer("M1")
    other = {**ORDER, "amount_yen": 6000}
    assert codes(send(stage, knock, secret, {"orders": [ORDER, other]})) == ["", "order.differs"]
    assert codes(send(stage, knock, secret, {"orders": [other, ORDER]})) == ["order.differs", ""]
    plain = {**ORDER, "order_no": "P-1"}
    assert [knock.api("POST", "/orders", plain).status_code for _ in range(2)] == [201, 201]
    is_problem(knock.api("POST", "/orders", {**plain, "amount_yen": 1}), 422, "order.differs")
    assert sorted(order.amount_yen for order in stage.world.orders.of(cid)) == [5000, 5000]


def test_an_order_that_comes_in_starts_a_scenario(stage: Stage, knock: Knock) -> None:
    nodes = {"w": {"type": "wait", "duration": "P3D", "next": "e"}, "e": {"type": "end"}}
    stage.scenario("thanks", nodes, trigger={"type": "event", "event": "purchase", "product": "ピアスA"})
    secret, cid = source(knock), stage.customer("M1")
    send(stage, knock, secret, {"orders": [ORDER]})
    assert len(stage.world.scenario_people.of(cid)) == 1


@pytest.mark.parametrize("ago", [-301, 301, 10**9])
def test_what_is_older_than_five_minutes_is_refused(stage: Stage, knock: Knock, ago: int) -> None:
    secret = source(knock)
    assert send(stage, knock, secret, {}, ago=299).status_code == 200
    is_problem(send(stage, knock, secret, {}, ago=ago), 401, "source.signature_refused")


@pytest.mark.parametrize(
    "headers",
    [{"Enishi_Signature": ""}, {"Enishi_Signature": "v1=" + "0" * 64}, {"Enishi_Timestamp": ""}, {"Enishi_Timestamp": "1e9"},
     {"Enishi_Timestamp": "9" * 12}, {"Enishi_Signature": "署名".encode().decode("latin1")}],
)  # fmt: skip
def test_what_is_not_signed_is_refused(stage: Stage, knock: Knock, headers: dict[str, str]) -> None:
    secret = source(knock)
    stage.customer("M1")
    is_problem(send(stage, knock, secret, {"orders": [ORDER]}, **headers), 401, "source.signature_refused")
    is_problem(send(stage, knock, "other", {"orders": [ORDER]}), 401, "source.signature_refused")
    is_problem(send(stage, knock, "", {"orders": [ORDER]}), 401, "source.signature_refused")
    assert stage.world.orders.of(stage.customer("M1")) == []


def test_a_source_that_is_off_or_unknown_takes_nothing(stage: Stage, knock: Knock) -> None:
    is_problem(send(stage, knock, "x", {}), 404, "source.unknown")
    secret = source(knock)
    assert source(knock, enabled=False) == ""
    is_problem(send(stage, knock, secret, {}), 404, "source.unknown")
    assert source(knock) == ""
    assert send(stage, knock, secret, {}).status_code == 200
    assert [one["source_id"] for one in knock.api("GET", "/sources").json_body["items"]] == ["pos"]
    assert knock.api("DELETE", "/sources/pos").status_code == 204
    is_problem(send(stage, knock, secret, {}), 404, "source.unknown")
    is_problem(knock.api("GET", "/sources/pos"), 404, "source.unknown")
    assert stage.secrets.get("source/pos") is None


def test_nobody_makes_a_source_that_may_more_than_he(stage: Stage, knock: Knock) -> None:
    body = {"name": "x", "kind": "enishi", "creates": True}
    scopes = ("sources:write", "orders:write", "events:write", "customers:write")
    for missing in scopes:
        refused = knock.api("PUT", "/sources/pos", body, scopes=tuple(scope for scope in scopes if scope != missing))
        is_problem(refused, 403, "auth.scope_missing")
    assert stage.secrets.get("source/pos") is None
    assert knock.api("PUT", "/sources/pos", body, scopes=scopes).status_code == 200
    is_problem(knock.api("POST", "/sources/pos/secret", scopes=scopes[:3]), 403, "auth.scope_missing")
    assert knock.api("POST", "/sources/pos/secret", scopes=scopes).status_code == 201
    till = {"name": "x", "kind": "mapped", "mapping": MAPPING}
    assert knock.api("PUT", "/sources/till", till, scopes=scopes[:2]).status_code == 200, "which tells of orders alone"
    assert knock.api("DELETE", "/sources/till", scopes=scopes[:1]).status_code == 204


def test_a_renewed_secret_leaves_the_former_a_day(stage: Stage, knock: Knock) -> None:
    old = source(knock)
    new = knock.api("POST", "/sources/pos/secret").json_body["secret"]
    assert [send(stage, knock, secret, {}).status_code for secret in (old, new)] == [200, 200]
    stage.clock.advance(hours=25)
    assert [send(stage, knock, secret, {}).status_code for secret in (old, new)] == [401, 200]


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", "api.not_json"), (b"\xff", "api.not_json"), (b"[]", "api.body_malformed"), ({"order": []}, "api.body_malformed"),
     ({"orders": [{**ORDER, "amount_yen": "5000"}]}, "api.body_malformed"), ({"orders": [{}]}, "api.body_malformed"),
     ({"orders": [ORDER] * 101}, "api.body_malformed"), (b" " * 300_001, "api.body_malformed")],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_as_a_whole(stage: Stage, knock: Knock, body: Any, code: str) -> None:
    is_problem(send(stage, knock, source(knock), body), 422, code)


def test_shopify_is_understood_as_it_speaks(stage: Stage, knock: Knock) -> None:
    assert source(knock, "shopify", secret="shpss", creates=True) == ""
    for _ in range(2):
        assert codes(shopify(knock, SHOPIFY)) == [""]
    customer = stage.world.customers.by_member_no("207119551")
    profile = customer.profile
    assert (profile.email, profile.phone, profile.name) == ("bob@example.com", "", "山田 花子")
    (order,) = stage.world.orders.of(customer.cid)
    assert (order.order_no, order.amount_yen, order.lines) == ("pos 1001", 3980, (Line("リング", "縁", 2, 3980),))
    stage.world.customers.change(customer.cid, {"name": "山田 華子"})
    shopify(knock, {**SHOPIFY, "name": "#1002"}, topic="orders/paid")
    assert stage.world.customers.get(customer.cid).profile.name == "山田 華子", "what the company has written stays"


def test_shopify_gets_200_for_what_we_cannot_take(knock: Knock) -> None:
    source(knock, "shopify", secret="shpss")
    assert codes(shopify(knock, SHOPIFY)) == ["customer.unknown"]
    assert codes(shopify(knock, {**SHOPIFY, "customer": None})) == ["customer.member_no_missing"]
    assert codes(shopify(knock, {**SHOPIFY, "currency": "USD"})) == ["source.currency_unknown"]
    assert codes(shopify(knock, {**SHOPIFY, "total_price": "19.80"})) == ["order.amount_malformed"]
    assert codes(shopify(knock, {**SHOPIFY, "total_price": "1e9999999"})) == ["order.amount_malformed"]
    assert codes(shopify(knock, SHOPIFY, topic="products/create")) == []
    assert codes(shopify(knock, SHOPIFY, X_Shopify_Test="true")) == []
    is_problem(shopify(knock, SHOPIFY, secret="other"), 401, "source.signature_refused")


MAPPING = {
    "orders": "data.receipts", "order_no": "no", "member_no": "card.0.code", "ordered_at": "time", "amount_yen": "sum",
    "shop": "store", "lines": "rows", "product": "sku", "yen": "amount",
}  # fmt: skip
RECEIPT = {
    "no": 77,
    "card": [{"code": "M1"}],
    "time": "2026/11/20 10:00",
    "sum": 1200.0,
    "store": "札幌",
    "rows": [{"sku": "S-1", "amount": 1200}],
}


@pytest.mark.parametrize("form", ["hex", "base64", "sha256=hex"])
def test_another_systems_own_json_is_read_by_a_mapping(stage: Stage, knock: Knock, form: str) -> None:
    secret, cid = source(knock, "mapped", mapping=MAPPING, header="X-Pos-Sign"), stage.customer("M1")
    content = json.dumps({"data": {"receipts": [RECEIPT, {**RECEIPT, "no": None}, 5]}}).encode()
    proof = hmac.digest(secret.encode(), content, hashlib.sha256)
    signed = {"hex": proof.hex(), "base64": base64.b64encode(proof).decode(), "sha256=hex": f"sha256={proof.hex()}"}[form]
    answer = knock("POST", "/hooks/pos", content, {"X-Pos-Sign": signed})
    assert codes(answer) == ["", "order.order_no_malformed", "order.order_no_malformed"]
    (order,) = stage.world.orders.of(cid)
    assert (order.order_no, order.amount_yen, order.shop, order.lines) == ("pos 77", 1200, "札幌", (Line("S-1", "", 1, 1200),))
    assert stage.clock.now() - order.at > timedelta(0)
    wrong = knock("POST", "/hooks/pos", b"{}", {"X-Pos-Sign": signed})
    is_problem(wrong, 401, "source.signature_refused")
    body = json.dumps({"data": 1}).encode()
    is_problem(
        knock("POST", "/hooks/pos", body, {"X-Pos-Sign": hmac.digest(secret.encode(), body, hashlib.sha256).hex()}),
        422, "source.body_malformed",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "more", "code"),
    [("/sources/POS", {}, "source.id_malformed"), ("/sources/pos", {"kind": "shopify"}, "source.secret_missing"),
     ("/sources/pos", {"mapping": {"order_no": "x"}}, "source.mapping_malformed"),
     ("/sources/pos", {"kind": "mapped"}, "source.mapping_malformed"),
     ("/sources/pos", {"kind": "mapped", "mapping": {**MAPPING, "order_no": "a..b"}}, "source.mapping_malformed"),
     ("/sources/pos", {"kind": "mapped", "mapping": {**MAPPING, "else": "b"}}, "source.mapping_malformed"),
     ("/sources/pos", {"kind": "mapped", "mapping": MAPPING, "header": "a b"}, "source.mapping_malformed")],
)  # fmt: skip
def test_a_source_that_could_not_work_is_refused(stage: Stage, knock: Knock, path: str, more: dict[str, Any], code: str) -> None:
    is_problem(knock.api("PUT", path, {"name": "x", "kind": "enishi", **more}), 422, code)
    assert knock.api("GET", "/sources").json_body["items"] == []
    assert stage.secrets.get("source/pos") is None

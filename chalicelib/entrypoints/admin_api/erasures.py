"""People who want to be forgotten (docs/operations.md)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from chalicelib.entrypoints.admin_api.framework import Body, Call, View, endpoint
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.ids import Cid, customer_id, parse_customer_id
from chalicelib.lake.erasure import Receipt


class EraseBody(Body, kw_only=True):
    """Why, for the record: no name, no address, for it is kept."""

    reason: str


class ErasureView(View, kw_only=True):
    """A receipt. customers: all numbers that the person has had. state: `running`, `done`, or `lifted` when he may come back.

    told: what is gone, and what goes when, Japanese and English.
    """

    receipt_id: str
    state: str
    at: datetime
    by: str
    reason: str
    customers: list[str]
    done_at: datetime | None
    lifted_at: datetime | None
    lifted_by: str
    told: str


class ErasureList(View, kw_only=True):
    """A page of receipts."""

    items: list[ErasureView]
    next_cursor: str | None


_TOLD = (
    "顧客情報・注文・行動・配信の記録はただちに消え、分析用ファイルと集計対象からは約1時間以内に消えます。"
    "配信中に確定した文面は40日、LINEの受信記録は{days}日、取り込みファイルは30日、郵送データは90日、全データの書き出しは7日、"
    "AWSの時点復元は35日で期限切れになります。 / "
    "Profile, orders, acts and messages are gone at once, the files for analysis within about an hour; frozen messages expire "
    "after 40 days, LINE's raw events after {days}, import files after 30, letters after 90, archives after 7, AWS's recovery "
    "to a point in time after 35."
)


def _view(call: Call[Any], receipt: Receipt) -> ErasureView:
    return ErasureView(
        receipt_id=receipt.receipt_id,
        state="lifted" if receipt.lifted_at else "done" if receipt.done_at else "running",
        at=receipt.at,
        by=receipt.by,
        reason=receipt.reason,
        customers=[customer_id(cid) for cid in receipt.cids],
        done_at=receipt.done_at,
        lifted_at=receipt.lifted_at,
        lifted_by=receipt.lifted_by,
        told=_TOLD.replace("{days}", str(call.world.settings.raw_event_days)),
    )


@endpoint(
    "POST", "/customers/{customer_id}/erase", scope="customers:erase", request=EraseBody, response=ErasureView, status=202,
    idempotent=True, summary="顧客を消去（元に戻せません） / Erase a customer, for good",
)  # fmt: skip
def erase_customer(call: Call[EraseBody]) -> ErasureView:
    """Erase a customer."""
    cid = parse_customer_id(call.path["customer_id"]) or Cid(0)
    receipt = call.world.erasures.order(cid, call.body.reason, call.principal.key_id)
    enqueue([{"op": "erasure", "receipt_id": receipt.receipt_id}], call.world)
    return _view(call, receipt)


@endpoint(
    "GET", "/erasures", scope="customers:read", summary="消去の受領証の一覧 / List receipts of erasures", response=ErasureList,
    query=("cursor", "limit"),
)  # fmt: skip
def list_erasures(call: Call[None]) -> ErasureList:
    """List receipts."""
    page = call.world.erasures.page(call.query.get("cursor"), call.size())
    return ErasureList(items=[_view(call, receipt) for receipt in page.items], next_cursor=page.next_cursor)


@endpoint(
    "GET", "/erasures/{receipt_id}", scope="customers:read", summary="消去の受領証 / The receipt of an erasure",
    response=ErasureView,
)  # fmt: skip
def get_erasure(call: Call[None]) -> ErasureView:
    """Return a receipt."""
    return _view(call, call.world.erasures.receipt(call.path["receipt_id"]))


@endpoint(
    "DELETE", "/erasures/{receipt_id}", scope="customers:erase", status=204,
    summary="本人の希望で再登録を認める（受領証は残ります） / Let an erased person be entered again by his own wish",
)  # fmt: skip
def lift_erasure(call: Call[None]) -> None:
    """Lift the refusal; the receipt stays."""
    call.world.erasures.lift(call.path["receipt_id"], call.principal.key_id)

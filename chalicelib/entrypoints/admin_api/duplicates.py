"""Two records of one person: found, made one, made two again (docs/duplicates.md)."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from chalicelib.duplicates.model import Merge, Pair
from chalicelib.entrypoints.admin_api.customers import cid_in
from chalicelib.entrypoints.admin_api.framework import Body, Call, View, endpoint
from chalicelib.kernel.errors import NotFoundError
from chalicelib.kernel.ids import Cid, customer_id, parse_customer_id
from chalicelib.reactions import react


class PairView(View, kw_only=True):
    """Two customers who may be one person. reasons: email, phone, name_birthday; confidence: high, medium."""

    first: str
    second: str
    reasons: list[str]
    confidence: str


class PairList(View, kw_only=True):
    """Up to five hundred, the surest first."""

    items: list[PairView]


class PairBody(Body, kw_only=True):
    """Two customers."""

    first: str
    second: str


class MergeBody(Body, kw_only=True):
    """gone becomes part of kept. consent: when and where the person agreed, where his friends are of different LINE accounts."""

    kept: str
    gone: str
    consent: Annotated[str, msgspec.Meta(max_length=200)] = ""


class MergeView(View, kw_only=True):
    """A merge, and what came along by it."""

    kept: str
    gone: str
    at: str
    by: str
    consent: str
    fields: list[str]
    attributes: list[str]
    tags: list[str]
    accounts: list[str]


class MergeList(View, kw_only=True):
    """Who became part of a customer."""

    items: list[MergeView]


class PartedView(View, kw_only=True):
    """Two customers again. accounts_returned, accounts_kept: LINE accounts whose friend went back, and whose friend stayed.

    told: what stays with the one who was kept, Japanese and English.
    """

    kept: str
    gone: str
    accounts_returned: list[str]
    accounts_kept: list[str]
    told: str


_TOLD = (
    "統合のときに移ったものだけを戻しました。統合後の注文・行動・タグ・連携は、統合先の顧客に残ります。 / "
    "What came along by the merge went back; orders, acts, tags and links since then stay with the one who was kept."
)


class CrossingBody(Body, kw_only=True):
    """Whether customers may be merged who are friends of different LINE accounts."""

    crosses_accounts: bool


class CrossingView(View, kw_only=True):
    """Whether customers may be merged who are friends of different LINE accounts."""

    crosses_accounts: bool


def _cid(text: str) -> Cid:
    cid = parse_customer_id(text)
    if cid is None:
        raise NotFoundError("customer.unknown")
    return cid


def _pair(pair: Pair) -> PairView:
    return PairView(
        first=customer_id(pair.first), second=customer_id(pair.second), reasons=list(pair.reasons), confidence=pair.confidence
    )


def _merge(merge: Merge) -> MergeView:
    return MergeView(
        kept=customer_id(merge.kept),
        gone=customer_id(merge.gone),
        at=merge.at,
        by=merge.by,
        consent=merge.consent,
        fields=sorted(merge.filled),
        attributes=sorted(merge.attributes),
        tags=list(merge.tags),
        accounts=sorted(merge.accounts),
    )


@endpoint("GET", "/duplicates", scope="customers:read", summary="重複の可能性がある顧客 / Likely duplicates", response=PairList)
def list_duplicates(call: Call[None]) -> PairList:
    """List pairs."""
    return PairList(items=[_pair(pair) for pair in call.world.duplicates.find()])


@endpoint(
    "POST", "/duplicates/denials", scope="customers:write", request=PairBody, status=204,
    summary="別人であると記録（一覧に出なくなります） / Say that two customers are two people",
)  # fmt: skip
def deny_duplicate(call: Call[PairBody]) -> None:
    """Deny a pair."""
    one, other = (call.world.customers.get(_cid(text)).cid for text in (call.body.first, call.body.second))
    call.world.duplicates.deny(one, other)


@endpoint(
    "POST", "/merges", scope="customers:write", request=MergeBody, response=MergeList, status=201,
    summary="2人の顧客を1人にまとめる / Make two customers one",
)  # fmt: skip
def merge_customers(call: Call[MergeBody]) -> MergeList:
    """Merge."""
    kept, gone = _cid(call.body.kept), _cid(call.body.gone)
    react(call.world.duplicates.merge(kept, gone, call.principal.key_id, call.body.consent), call.world)
    return MergeList(items=[_merge(merge) for merge in call.world.duplicates.merges(kept)])


@endpoint(
    "GET", "/customers/{customer_id}/merges", scope="customers:read", response=MergeList,
    summary="顧客にまとめられた記録 / Who became part of a customer",
)  # fmt: skip
def list_merges(call: Call[None]) -> MergeList:
    """List merges."""
    return MergeList(items=[_merge(merge) for merge in call.world.duplicates.merges(cid_in(call))])


@endpoint(
    "DELETE", "/customers/{customer_id}/merges/{gone}", scope="customers:write", response=PartedView,
    summary="まとめた顧客を元の2人に戻す / Make two customers of one again",
)  # fmt: skip
def undo_merge(call: Call[None]) -> PartedView:
    """Undo a merge."""
    # Not followed: he whom somebody else has taken in since is refused, and not taken for that one.
    kept, gone = _cid(call.path["customer_id"]), _cid(call.path["gone"])
    parted = call.world.duplicates.undo(kept, gone)
    return PartedView(
        kept=customer_id(kept),
        gone=customer_id(gone),
        accounts_returned=list(parted.returned),
        accounts_kept=list(parted.stayed),
        told=_TOLD,
    )


def _crossing(call: Call[Any]) -> CrossingView:
    return CrossingView(crosses_accounts=call.world.duplicates.crosses_accounts())


@endpoint(
    "GET", "/merge-settings", scope="customers:read", response=CrossingView,
    summary="LINEアカウントをまたぐ統合の設定 / Whether merges may cross LINE accounts",
)  # fmt: skip
def get_crossing(call: Call[None]) -> CrossingView:
    """Return the setting."""
    return _crossing(call)


@endpoint(
    "PUT", "/merge-settings", scope="operations:write", request=CrossingBody, response=CrossingView,
    summary="LINEアカウントをまたぐ統合を許すか（初期値は不可） / Let merges cross LINE accounts, or not",
)  # fmt: skip
def set_crossing(call: Call[CrossingBody]) -> CrossingView:
    """Set it."""
    call.world.duplicates.let_cross_accounts(call.body.crosses_accounts)
    return _crossing(call)

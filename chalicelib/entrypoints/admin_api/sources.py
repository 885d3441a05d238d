"""Systems that report orders and events by signed webhooks (docs/behaviour.md)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from chalicelib.entrypoints.admin_api.framework import Body, Call, Name, View, endpoint
from chalicelib.kernel.errors import DeniedError
from chalicelib.sources.model import Source, SourceKind


class SourceBody(Body, kw_only=True):
    """A system that reports. secret: the one that it made, of Shopify always; the others get one of ours.

    creates: customers whom nobody knows are entered. shop: of orders that name none. header, mapping: of the kind `mapped`.
    """

    name: Name
    kind: Literal["enishi", "shopify", "mapped"]
    enabled: bool = True
    creates: bool = False
    shop: Annotated[str, msgspec.Meta(max_length=100)] = ""
    header: str = "X-Signature"
    mapping: dict[str, str] = {}
    secret: Annotated[str, msgspec.Meta(max_length=200)] = ""


class SourceView(View, kw_only=True):
    """A system that reports. url: where it sends to. secret: shown once, when it is made."""

    source_id: str
    name: str
    kind: str
    enabled: bool
    creates: bool
    shop: str
    header: str
    mapping: dict[str, str]
    url: str
    secret: str = ""


class SourceList(View, kw_only=True):
    """All of them."""

    items: list[SourceView]


class SecretView(View, kw_only=True):
    """A new secret, shown this once; the former is accepted for a day."""

    secret: str


def _view(call: Call[None] | Call[SourceBody], source: Source, secret: str = "") -> SourceView:
    return SourceView(
        source_id=source.source_id,
        name=source.name,
        kind=source.kind,
        enabled=source.is_enabled,
        creates=source.creates,
        shop=source.shop,
        header=source.header,
        mapping=dict(source.mapping),
        url=f"{call.world.settings.public_url}/hooks/{source.source_id}",
        secret=secret,
    )


def _check_scopes(call: Call[Any], kind: SourceKind, *, creates: bool) -> None:
    """Whoever holds a source's secret reports what it may: nobody makes one who may not do that himself. Raises DeniedError."""
    needed = ["orders:write"]
    if kind is SourceKind.ENISHI:
        needed.append("events:write")
    if creates:
        needed.append("customers:write")
    for scope in needed:
        if not call.principal.may(scope):
            raise DeniedError("auth.scope_missing", scope=scope)


@endpoint("GET", "/sources", scope="sources:read", summary="受信Webhookの連携元の一覧 / List sources", response=SourceList)
def list_sources(call: Call[None]) -> SourceList:
    """List sources."""
    return SourceList(items=[_view(call, source) for source in call.world.sources.everyone()])


@endpoint("GET", "/sources/{source_id}", scope="sources:read", summary="受信Webhookの連携元 / One source", response=SourceView)
def get_source(call: Call[None]) -> SourceView:
    """Return a source."""
    return _view(call, call.world.sources.get(call.path["source_id"]))


@endpoint(
    "PUT", "/sources/{source_id}", scope="sources:write", request=SourceBody, response=SourceView,
    summary="受信Webhookの連携元を作る・変更する（署名鍵は作成時に一度だけ表示） / Make or change a source",
)  # fmt: skip
def put_source(call: Call[SourceBody]) -> SourceView:
    """Make or change a source."""
    given = call.body
    source = Source(
        call.path["source_id"],
        given.name,
        SourceKind(given.kind),
        given.enabled,
        given.creates,
        given.shop,
        given.header,
        given.mapping,
    )
    _check_scopes(call, source.kind, creates=source.creates)
    return _view(call, source, call.world.sources.save(source, given.secret))


@endpoint(
    "POST", "/sources/{source_id}/secret", scope="sources:write", response=SecretView, status=201,
    summary="受信Webhookの署名鍵を作り直す（前の鍵は1日有効） / Renew a source's secret",
)  # fmt: skip
def renew_secret(call: Call[None]) -> SecretView:
    """Renew a secret."""
    source = call.world.sources.get(call.path["source_id"])
    _check_scopes(call, source.kind, creates=source.creates)
    return SecretView(secret=call.world.sources.renew(call.path["source_id"]))


@endpoint(
    "DELETE", "/sources/{source_id}", scope="sources:write", summary="受信Webhookの連携元を消す / Delete a source", status=204
)
def delete_source(call: Call[None]) -> None:
    """Delete a source and its secret."""
    call.world.sources.delete(call.path["source_id"])

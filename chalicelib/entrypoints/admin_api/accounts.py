"""LINE accounts and API keys."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from chalicelib.entrypoints.admin_api.framework import Body, Call, Name, View, endpoint
from chalicelib.kernel.errors import DeniedError
from chalicelib.line_accounts.model import LineAccount, setup_problems
from chalicelib.staff.model import ApiKey


class AccountBody(Body, kw_only=True):
    """A Messaging API channel; the secret goes to Secrets Manager and is never shown again."""

    key: str
    name: Name
    channel_id: Name
    channel_secret: Name
    # Goes onto a button in LINE: 1,000 characters at most (line-openapi, URIAction.uri), of which the link token needs some.
    member_login_url: Annotated[str, msgspec.Meta(pattern=r"^(https?://\S+)?$", max_length=700)] = ""


class SecretBody(Body, kw_only=True):
    """The secret that LINE has reissued."""

    channel_secret: str


class AccountView(View, kw_only=True):
    """A connected account. webhook_path: to be entered at LINE behind the API's address."""

    key: str
    name: str
    channel_id: str
    bot_user_id: str
    basic_id: str
    webhook_path: str
    member_login_url: str
    is_active: bool


class AccountList(View, kw_only=True):
    """All accounts."""

    items: list[AccountView]


def _account(account: LineAccount) -> AccountView:
    return AccountView(
        key=account.key,
        name=account.name,
        channel_id=account.channel_id,
        bot_user_id=account.bot_user_id,
        basic_id=account.basic_id,
        webhook_path=f"/webhook/{account.key}",
        member_login_url=account.member_login_url,
        is_active=account.is_active,
    )


@endpoint("GET", "/line-accounts", scope="accounts:read", summary="LINEアカウントの一覧 / List LINE accounts", response=AccountList)
def list_line_accounts(call: Call[None]) -> AccountList:
    """List LINE accounts."""
    return AccountList(items=[_account(account) for account in call.world.line_accounts.everyone()])


@endpoint(
    "POST", "/line-accounts", scope="accounts:write", summary="LINEアカウントを接続 / Connect a LINE account",
    request=AccountBody, response=AccountView, status=201,
)  # fmt: skip
def connect_line_account(call: Call[AccountBody]) -> AccountView:
    """Connect an account after LINE has accepted its credentials."""
    given = call.body
    account = call.world.line_accounts.connect(
        given.key, given.name, given.channel_id, given.channel_secret, given.member_login_url
    )
    return _account(account)


@endpoint("GET", "/line-accounts/{key}", scope="accounts:read", summary="LINEアカウント / One LINE account", response=AccountView)
def get_line_account(call: Call[None]) -> AccountView:
    """Return an account."""
    return _account(call.world.line_accounts.get(call.path["key"]))


@endpoint(
    "POST", "/line-accounts/{key}/secret", scope="accounts:write", request=SecretBody, response=AccountView,
    summary="再発行したチャネルシークレットを登録（旧シークレットも24時間有効） / Take a reissued channel secret",
)  # fmt: skip
def rotate_line_account_secret(call: Call[SecretBody]) -> AccountView:
    """Take a reissued secret."""
    return _account(call.world.line_accounts.rotate_secret(call.path["key"], call.body.channel_secret))


class CheckView(View, kw_only=True):
    """How an account is set up at LINE; problems: Japanese sentences with English beside them, empty when all is well."""

    display_name: str
    webhook_url: str
    quota: int | None
    used: int
    problems: list[str]


@endpoint(
    "POST", "/line-accounts/{key}/check", scope="accounts:write", response=CheckView,
    summary="LINE側の設定を確認（Webhookのテスト送信を含む） / Check the settings at LINE, with a test call of the webhook",
)  # fmt: skip
def check_line_account(call: Call[None]) -> CheckView:
    """Check an account's settings at LINE."""
    account = call.world.line_accounts.get(call.path["key"])
    setup = call.world.line_inspector.inspect(call.world.line_accounts.credentials(account.key))
    ours = f"{call.world.settings.public_url}/webhook/{account.key}"
    return CheckView(
        display_name=setup.display_name,
        webhook_url=setup.webhook_url,
        quota=setup.quota,
        used=setup.used,
        problems=setup_problems(setup, ours),
    )


class QuotaView(View, kw_only=True):
    """An account's messages of this month as LINE counts them, at most a minute old; null: the plan has no limit."""

    limit: int | None
    used: int
    left: int | None


@endpoint(
    "GET", "/line-accounts/{key}/quota", scope="accounts:read", response=QuotaView,
    summary="今月の配信数と残り / The messages of this month, sent and left",
)  # fmt: skip
def get_line_account_quota(call: Call[None]) -> QuotaView:
    """Return what an account may still send this month."""
    quota = call.world.delivery.quota(call.world.line_accounts.get(call.path["key"]).key)
    return QuotaView(limit=quota.limit, used=quota.used, left=quota.left)


class KeyBody(Body, kw_only=True):
    """A key for one system or person."""

    name: Name
    scopes: list[str]


class KeyView(View, kw_only=True):
    """A key without its secret."""

    key_id: str
    name: str
    scopes: list[str]
    created_at: datetime
    is_revoked: bool


class NewKeyView(View, kw_only=True):
    """A new key; `token` is shown this once."""

    key: KeyView
    token: str


class KeyList(View, kw_only=True):
    """All keys."""

    items: list[KeyView]


def _key(key: ApiKey) -> KeyView:
    return KeyView(key_id=key.key_id, name=key.name, scopes=list(key.scopes), created_at=key.created_at, is_revoked=key.is_revoked)


@endpoint("GET", "/api-keys", scope="keys:read", summary="APIキーの一覧 / List API keys", response=KeyList)
def list_api_keys(call: Call[None]) -> KeyList:
    """List keys."""
    return KeyList(items=[_key(key) for key in call.world.staff.everyone()])


@endpoint(
    "POST",
    "/api-keys",
    scope="keys:write",
    summary="APIキーを発行 / Issue an API key",
    request=KeyBody,
    response=NewKeyView,
    status=201,
)
def issue_api_key(call: Call[KeyBody]) -> NewKeyView:
    """Issue a key; nobody can give more than he has."""
    for scope in call.body.scopes:
        if not call.principal.may(scope):
            raise DeniedError("auth.scope_missing", scope=scope)
    key, token = call.world.staff.issue(call.body.name, call.body.scopes)
    return NewKeyView(key=_key(key), token=token)


@endpoint("DELETE", "/api-keys/{key_id}", scope="keys:write", summary="APIキーを取り消す / Revoke an API key", status=204)
def revoke_api_key(call: Call[None]) -> None:
    """Revoke a key."""
    call.world.staff.revoke(call.path["key_id"])

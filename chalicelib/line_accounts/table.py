"""Accounts in the config table: `ACC` / key."""

from __future__ import annotations

from pynamodb.attributes import BooleanAttribute, UnicodeAttribute

from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.ids import AccountKey
from chalicelib.line_accounts.model import LineAccount
from chalicelib.storage import ConfigItem, saved


class AccountItem(ConfigItem):
    """One LINE account."""

    name = UnicodeAttribute()
    channel_id = UnicodeAttribute()
    bot_user_id = UnicodeAttribute()
    basic_id = UnicodeAttribute()
    created_at = UnicodeAttribute()
    member_login_url = UnicodeAttribute(default="")
    is_active = BooleanAttribute(default=True)


def _model(item: AccountItem) -> LineAccount:
    return LineAccount(
        key=AccountKey(item.sk),
        name=item.name,
        channel_id=item.channel_id,
        bot_user_id=item.bot_user_id,
        basic_id=item.basic_id,
        created_at=from_text(item.created_at),
        member_login_url=item.member_login_url,
        is_active=item.is_active,
    )


def save(account: LineAccount, *, new: bool) -> bool:
    """Write an account; return False when `new` and the key is taken."""
    item = AccountItem(
        "ACC",
        account.key,
        name=account.name,
        channel_id=account.channel_id,
        bot_user_id=account.bot_user_id,
        basic_id=account.basic_id,
        created_at=to_text(account.created_at),
        member_login_url=account.member_login_url,
        is_active=account.is_active,
    )
    return saved(item, AccountItem.pk.does_not_exist() if new else None)


def get(key: str) -> LineAccount | None:
    """Return an account."""
    try:
        return _model(AccountItem.get("ACC", key, consistent_read=True))
    except AccountItem.DoesNotExist:
        return None


def everyone() -> list[LineAccount]:
    """Return all accounts by key."""
    return [_model(item) for item in AccountItem.query("ACC")]

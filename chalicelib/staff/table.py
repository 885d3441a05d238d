"""Keys in the config table: `KEY` / key id."""

from __future__ import annotations

from pynamodb.attributes import BooleanAttribute, ListAttribute, UnicodeAttribute

from chalicelib.kernel.clock import from_text, to_text
from chalicelib.staff.model import ApiKey
from chalicelib.storage import ConfigItem


class KeyItem(ConfigItem):
    """One API key."""

    name = UnicodeAttribute()
    scopes: ListAttribute[str] = ListAttribute()
    secret_hash = UnicodeAttribute()
    created_at = UnicodeAttribute()
    is_revoked = BooleanAttribute(default=False)


def _model(item: KeyItem) -> ApiKey:
    return ApiKey(item.sk, item.name, tuple(item.scopes), from_text(item.created_at), item.is_revoked)


def put(key: ApiKey, secret_hash: str) -> None:
    """Write a new key."""
    KeyItem(
        "KEY", key.key_id, name=key.name, scopes=list(key.scopes), secret_hash=secret_hash, created_at=to_text(key.created_at)
    ).save()


def get(key_id: str) -> tuple[ApiKey, str] | None:
    """Return a key and the hash of its secret."""
    try:
        item = KeyItem.get("KEY", key_id)
    except KeyItem.DoesNotExist:
        return None
    return _model(item), item.secret_hash


def revoke(key_id: str) -> None:
    """Close a key for good."""
    KeyItem("KEY", key_id).update(actions=[KeyItem.is_revoked.set(True)])


def everyone() -> list[ApiKey]:
    """Return all keys, oldest first."""
    return [_model(item) for item in KeyItem.query("KEY")]

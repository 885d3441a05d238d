"""Keys in the engine table."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from chalicelib.kernel.clock import to_text
from chalicelib.ports.database import Database, Statement
from chalicelib.settings import settings


def _key(caller: str, key: str) -> tuple[str, str]:
    return f"IDEM#{caller}#{key}", "#"


def insert(database: Database, caller: str, key: str, fingerprint: str, now: datetime, keep: timedelta) -> bool:
    """Write a new key; return False when it is there."""
    pk, sk = _key(caller, key)
    item = {
        "pk": pk,
        "sk": sk,
        "fingerprint": fingerprint,
        "status": 0,
        "body": "",
        "begun_at": to_text(now),
        "ttl": int((now + keep).timestamp()),
    }
    statement = Statement.insert(settings().engine_table, item)
    return database.execute([statement]) == [None]


def get(database: Database, caller: str, key: str) -> dict[str, Any] | None:
    """Return what is kept under a key."""
    return database.get_many(settings().engine_table, [_key(caller, key)]).get(_key(caller, key))


def take_over(database: Database, caller: str, key: str, begun_at: str, now: str) -> bool:
    """Begin anew a call that never ended; return False when somebody else has."""
    text = f'UPDATE "{settings().engine_table}" SET "begun_at"=? WHERE pk=? AND sk=? AND "begun_at"=?'
    return database.execute([Statement(text, (now, *_key(caller, key), begun_at))]) == [None]


def finish(database: Database, caller: str, key: str, status: int, body: str) -> None:
    """Keep an answer."""
    text = f'UPDATE "{settings().engine_table}" SET "status"=? SET "body"=? WHERE pk=? AND sk=?'
    database.execute([Statement(text, (status, body, *_key(caller, key)))])


def delete(database: Database, caller: str, key: str) -> None:
    """Forget a key."""
    database.execute([Statement(f'DELETE FROM "{settings().engine_table}" WHERE pk=? AND sk=?', _key(caller, key))])

"""Events in the timeline table: `WEV#id` / `#`, with a time to live."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from chalicelib.ports.database import Database
from chalicelib.settings import settings


def put(database: Database, event_id: str, values: dict[str, Any], expires: datetime) -> None:
    """Write an event."""
    item = {"pk": f"WEV#{event_id}", "sk": "#", **values, "ttl": int(expires.timestamp())}
    database.put_many(settings().timeline_table, [item])


def get(database: Database, event_id: str) -> dict[str, Any] | None:
    """Return an event."""
    key = (f"WEV#{event_id}", "#")
    return database.get_many(settings().timeline_table, [key]).get(key)

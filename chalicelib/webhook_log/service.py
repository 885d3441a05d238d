"""The log of webhook events in the timeline table: `WEV#event id`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from chalicelib.kernel.clock import Clock, to_text
from chalicelib.ports.database import Database
from chalicelib.webhook_log import table

_MOST_RAW = 300_000  # bytes: an item takes 400 KB; a longer event is kept cut, with its length


class WebhookLog:
    """Which events are done, and their raw bodies."""

    def __init__(self, database: Database, clock: Clock, keep_days: int) -> None:
        self._database = database
        self._clock = clock
        self._keep = timedelta(days=keep_days)

    def is_done(self, event_id: str) -> bool:
        """Say whether an event has been worked through."""
        return table.get(self._database, event_id) is not None

    def mark_done(
        self, account: str, event_id: str, kind: str, at: datetime, received_at: datetime, raw: Mapping[str, Any]
    ) -> None:
        """Keep an event as worked through; the same when repeated."""
        # Half a surrogate pair, which JSON allows and UTF-8 does not, becomes a question mark.
        text = json.dumps(raw, ensure_ascii=False).encode("utf-8", "replace")
        expires = self._clock.now() + self._keep
        values = {"account": account, "kind": kind, "at": to_text(at), "received_at": to_text(received_at)}
        kept = text[:_MOST_RAW].decode("utf-8", "ignore")
        table.put(self._database, event_id, {**values, "raw": kept, "length": len(text)}, expires)

    def get(self, event_id: str) -> dict[str, Any] | None:
        """Return an event as it came, None when it is unknown or too old."""
        return table.get(self._database, event_id)

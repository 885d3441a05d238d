"""How far the tables' streams have come in the lake: marks are items of ours that travel with everything else.

A stream keeps the order of one partition of a table and says nothing across partitions, so marks are spread over many: when all
of them have come, everything that was written before has come, but for a partition on which no mark happened to lie. AWS shows
nobody where partitions begin. Of the forty of a table that was warmed up to its quota (1,000 writes a second each), some one holds
none of NUMBER marks once in ten thousand times: 40 x (39/40)^512. Of a new table's four it does not happen. Such a partition does
harm only when its stream is slower than all others, by less than a minute. An ask costs 1,536 write units, a tenth of a cent.
"""

from __future__ import annotations

from datetime import datetime

from chalicelib.kernel.clock import to_text
from chalicelib.lake import manifest as manifests
from chalicelib.ports.database import Database
from chalicelib.ports.files import Files
from chalicelib.settings import settings

NUMBER = 512
TABLES = ("core", "timeline", "engine")


class Marks:
    """Writes marks and says whether they have come."""

    def __init__(self, database: Database, files: Files) -> None:
        self._database = database
        self._files = files

    def ask(self, now: datetime) -> None:
        """Write marks into the tables; those of an earlier ask are written over, for later ones say more.

        Of two asks at one moment the earlier instant may be written over the later one: whoever waits asks again.
        """
        items = [{"pk": f"MARK#{number}", "sk": "#", "asked_at": to_text(now)} for number in range(NUMBER)]
        for table in (settings().core_table, settings().timeline_table, settings().engine_table):
            self._database.put_many(table, items)

    def reached(self, asked_at: datetime) -> bool:
        """Say whether the lake holds all that was written before the marks of an instant, or of a later one."""
        at = self.reached_at()
        return at is not None and at >= asked_at

    def reached_at(self) -> datetime | None:
        """Return the latest asked-for instant before which the lake holds all that was written; None before the first."""
        manifest, _ = manifests.load(self._files)
        come = [manifest.marks.get(f"{table}#{number}") for table in TABLES for number in range(NUMBER)]
        return None if None in come else min(at for at in come if at is not None)

"""What an archive holds: a zip with one gzip file of JSON Lines a part of a table, and a manifest; pure.

A line is `{"Item": …}` in DynamoDB's own JSON, as AWS's table exports and imports have it. What is bound to this installation is
left out: API keys, what has its secret in Secrets Manager and could not work without, jobs whose files stay behind, and what
lives for minutes only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

FORMAT = "enishi-archive/1"
MANIFEST = "manifest.json"
TABLES = ("config", "core", "timeline", "engine")
_LEFT_OUT: Mapping[str, tuple[str, ...]] = {
    "config": ("KEY", "HOOK", "SRC", "IMP"),
    "core": ("MARK#",),
    "timeline": ("MARK#",),
    "engine": ("MARK#", "RATE#", "IDEM#", "NON#"),
}


class ArchiveState(StrEnum):
    """CREATED: an import that waits for its file."""

    CREATED = "created"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of an archive. sha256: of its bytes as they lie in the zip, in hexadecimal."""

    name: str
    table: str
    count: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive holds. lost: what has to be made again by hand, e.g. `HOOK crm`, because its secret stays behind."""

    format: str
    made_at: datetime
    entries: Sequence[Entry]
    lost: Sequence[str] = ()

    def counts(self) -> dict[str, int]:
        """Return how many items there are by table."""
        return {table: sum(entry.count for entry in self.entries if entry.table == table) for table in TABLES}


@dataclass(frozen=True, slots=True)
class Order:
    """An archive, or an import of one, as it was ordered. by: the API key."""

    is_import: bool
    by: str
    ordered_at: datetime


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it ended. problem: a refusal's code; details: what its sentence speaks of."""

    problem: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    lost: Sequence[str] = ()
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Standing:
    """How an archive, or an import of one, stands."""

    archive_id: str
    order: Order
    state: ArchiveState
    share_done: float
    outcome: Outcome | None = None


def is_left_out(table: str, pk: str) -> bool:
    """Say whether an item stays with its installation; in the config table by its whole key, elsewhere by how that begins."""
    return pk in _LEFT_OUT[table] or (table != "config" and pk.startswith(_LEFT_OUT[table]))


def lost_word(table: str, pk: str, sk: str) -> str:
    """Return what the staff has to make again because of an item that is left out, empty for nothing."""
    return f"{pk} {sk}" if table == "config" and pk in ("HOOK", "SRC") else ""

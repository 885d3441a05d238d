"""Import jobs: what a file is, how it is to be read, and how far it has come; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

# S3 takes so much by one PUT.
MOST_BYTES = 5_000_000_000


class ImportKind(StrEnum):
    """What the rows of a file are. tags: labels for people whom we know."""

    CUSTOMERS = "customers"
    ORDERS = "orders"
    EVENTS = "events"
    TAGS = "tags"


class ImportState(StrEnum):
    """CREATED waits for its file; RUNNING may be continued by any worker."""

    CREATED = "created"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a file is to be read and what becomes of it.

    mapping: our field (columns.py) to the file's column, an empty column leaves the field out. types: of attributes: text,
    number, flag, date. defaults: our field to the text for empty cells. dates: the order in which days are written, ymd, dmy
    or mdy. member_prefix: goes before every member number. tag: for everybody in the file. tag_folder: of tags made on the
    way. source: the shop or till whose order numbers these are. trigger: rows may start scenarios. most_refused,
    most_refused_percent: stop there; 0 is never.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    account: str = ""
    dry_run: bool = False
    trigger: bool = False
    encoding: str = ""
    dates: str = "ymd"
    member_prefix: str = ""
    tag: str = ""
    tag_folder: str = ""
    source: str = ""
    most_refused: int = 0
    most_refused_percent: int = 0


@dataclass(frozen=True, slots=True)
class ImportJob:
    """One file's way in.

    position: the byte at which the next row begins, 0 before the header was read; line: that row's. rows: done so far;
    of people and orders in them created, changed and same, failed is rows. size: bytes of the file. kept: bytes of refused
    rows in the file of them. run: which one, the file may be gone through again after a dry run.
    """

    import_id: str
    kind: ImportKind
    state: ImportState
    created_at: datetime
    options: Options = Options()
    run: int = 0
    size: int = 0
    position: int = 0
    line: int = 1
    rows: int = 0
    created: int = 0
    changed: int = 0
    same: int = 0
    failed: int = 0
    kept: int = 0
    encoding: str = ""
    preset: str = ""
    problem: str = ""

    @property
    def file_key(self) -> str:
        """Where the file lies."""
        return f"imports/{self.import_id}/file.csv"

    @property
    def errors_prefix(self) -> str:
        """Where the parts of the file of refused rows lie."""
        return f"imports/{self.import_id}/errors/{self.run}/"

    @property
    def errors_key(self) -> str:
        """Where the file of refused rows lies."""
        return f"imports/{self.import_id}/errors{self.run}.csv"

    @property
    def percent(self) -> int:
        """How much of the file is done."""
        if self.state is ImportState.DONE:
            return 100
        return 100 * self.position // self.size if self.size else 0


@dataclass(frozen=True, slots=True)
class Tally:
    """What some rows came to."""

    rows: int = 0
    created: int = 0
    changed: int = 0
    same: int = 0
    failed: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Return both together."""
        return Tally(
            self.rows + other.rows,
            self.created + other.created,
            self.changed + other.changed,
            self.same + other.same,
            self.failed + other.failed,
        )


def is_too_many(options: Options, rows: int, failed: int) -> bool:
    """Say whether so many rows were refused that the import is to stop; a share counts from a thousand rows on."""
    if options.most_refused and failed > options.most_refused:
        return True
    percent = options.most_refused_percent
    return bool(percent) and rows >= 1_000 and failed * 100 > rows * percent

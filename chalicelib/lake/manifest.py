"""Which files are the lake at one moment; one small file names them, replaced as a whole and only by who has read it last.

A reader takes the manifest, then the files that it names; they stay for GRACE after a later manifest has forgotten them.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from chalicelib.kernel.ids import Cid
from chalicelib.lake.model import LAKE
from chalicelib.ports.files import Files

MANIFEST = f"{LAKE}manifest.json"
BASE_FILES = f"{LAKE}base/"
MIRROR_FILES = f"{LAKE}mirror/"
DELTA_FILES = f"{LAKE}delta/"
GRACE = timedelta(minutes=15)  # as long as a function lives: who has read an old manifest is done by then
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The lake's files, by their whole keys.

    base: by table of lake.model.BASE; they are read together, no row stands twice. A table without files is empty.
    mirror: by kind of lake.model.CHANGES, for folding alone. rows: how many each file has. generation: grows by one with
    every manifest. marks: by `table#number`, until when everything of that table that lies near the mark has come (lake.marks).
    rebuilt_at: changes older than the last rebuild are in it already. erased: numbers that no answer may name,
    in the order in which they were erased; purged: how many of them are in no file any more. forgotten:
    since when a file that is still there is in no manifest.
    """

    base: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    mirror: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows: Mapping[str, int] = field(default_factory=dict)
    generation: int = 0
    folded_at: datetime | None = None
    marks: Mapping[str, datetime] = field(default_factory=dict)
    rebuilt_at: datetime | None = None
    erased: tuple[Cid, ...] = ()
    purged: int = 0
    forgotten: Mapping[str, datetime] = field(default_factory=dict)

    def files(self) -> set[str]:
        """Return every file that it names."""
        return {name for part in (self.base, self.mirror) for names in part.values() for name in names}

    def unpurged(self) -> tuple[Cid, ...]:
        """Return the numbers of those who were erased and may still be in files."""
        return self.erased[self.purged :]


def to_json(manifest: Manifest) -> bytes:
    """Return the manifest as it is kept."""
    return msgspec.json.encode(manifest, order="sorted")


def from_json(text: bytes) -> Manifest:
    """Return the manifest that was kept. Raises msgspec.ValidationError when it is none."""
    return msgspec.json.decode(text, type=Manifest)


def load(files: Files) -> tuple[Manifest, str]:
    """Return the manifest of now and its tag; an empty one and "" before the first."""
    found = files.get_tagged(MANIFEST)
    return (from_json(found[0]), found[1]) if found else (Manifest(), "")


def replace(files: Files, manifest: Manifest, tag: str) -> bool:
    """Put a manifest in the place of the one with this tag; return False when somebody else has been there."""
    return files.put_if(MANIFEST, to_json(manifest), _JSON, tag) is not None


def new_name(folder: str, generation: int, now: datetime) -> str:
    """Return a key that nobody has used and nobody will: a file's content never changes under its name."""
    return f"{folder}/{generation:010}-{now:%Y%m%dT%H%M%S}-{secrets.token_hex(6)}.parquet"


def written_at(key: str) -> datetime | None:
    """Return when a file of `new_name` was begun; None for other files."""
    parts = key.rpartition("/")[2].split("-")
    try:
        return datetime.strptime(f"{parts[1]}+0000", "%Y%m%dT%H%M%S%z")
    except (IndexError, ValueError):
        return None

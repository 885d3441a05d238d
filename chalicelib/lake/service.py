"""The lake as its keeper sees it: folding, tidying, rebuilding, for which it needs DuckDB; anybody may look how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from chalicelib.kernel.clock import Clock
from chalicelib.kernel.each import Mapper, in_turn
from chalicelib.kernel.errors import TemporaryError
from chalicelib.lake import erasure, folding
from chalicelib.lake import manifest as manifests
from chalicelib.lake.manifest import DELTA_FILES, Manifest
from chalicelib.lake.rebuild import Progress, Rebuild
from chalicelib.ports.database import Database
from chalicelib.ports.files import Files

_MOST_AT_ONCE = 20  # foldings in one call: whoever always loses leaves the rest to the winner


@dataclass(frozen=True, slots=True)
class Standing:
    """How the lake stands. waiting_files: changes that are to be folded."""

    manifest: Manifest
    waiting_files: int
    rebuild: Progress | None


class Lake:
    """Keeps the lake. folder: on this machine, with room for all of its files."""

    def __init__(self, database: Database, files: Files, clock: Clock, folder: Path, each: Mapper = in_turn) -> None:
        self._database = database
        self._files = files
        self._clock = clock
        self._folder = folder
        self._each = each

    def fold(self) -> int:
        """Fold everything that has come; return how many changes. Raises TemporaryError."""
        changes = 0
        for _ in range(_MOST_AT_ONCE):
            try:
                done = folding.fold(self._files, self._folder, self._clock.now(), self._each)
            except TemporaryError:
                if not self._files.list(DELTA_FILES):
                    return changes  # somebody else has folded them under our hands
                raise
            changes += done.changes
            if not done.rest:
                break
        return changes

    def purge(self) -> int:
        """Write those out of the files who were erased; return how many people. Raises TemporaryError."""
        return erasure.purge(self._files, self._folder, self._clock.now(), self._each)

    def standing(self) -> Standing:
        """Return how the lake stands."""
        manifest, _ = manifests.load(self._files)
        return Standing(manifest, len(self._files.list(DELTA_FILES)), self.rebuild.progress())

    def tidy(self) -> int:
        """Delete files that no manifest has named for a while; return how many."""
        return folding.tidy(self._files, self._clock.now())

    @cached_property
    def rebuild(self) -> Rebuild:
        """The lake anew out of the tables."""
        return Rebuild(self._database, self._files, self._folder, self._each)

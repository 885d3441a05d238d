"""What is published at this moment, remembered for seconds: most events concern no scenario and must learn so cheaply."""

from __future__ import annotations

import time
from collections.abc import Callable

from chalicelib.scenarios import table
from chalicelib.scenarios.model import ScenarioState, Version
from chalicelib.scenarios.occasions import cares_for
from chalicelib.scenarios.records import Records

_REMEMBER_SECONDS = 5.0


class Published:
    """Versions that people may enter, and the events that anybody who is in one may care for; at most seconds old."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._monotonic: Callable[[], float] = time.monotonic
        self._read_at = -_REMEMBER_SECONDS
        self._open: list[Version] = []
        self._heard: frozenset[str] = frozenset()

    def forget(self) -> None:
        """Look again: something was published, paused or called off."""
        self._read_at = -_REMEMBER_SECONDS

    def open_to_entry(self) -> list[Version]:
        """Return the versions that people may enter now."""
        self._refresh()
        return self._open

    def is_heard(self, event: str) -> bool:
        """Say whether an event may change something for anybody who is in a scenario."""
        self._refresh()
        return event in self._heard

    def _refresh(self) -> None:
        if self._monotonic() - self._read_at < _REMEMBER_SECONDS:
            return
        heads = table.heads()
        entered = ((head, self._records.version(head.scenario_id, head.version)) for head in heads if head.version)
        self._open = [version for head, version in entered if version and head.state is ScenarioState.ACTIVE]
        heard: frozenset[str] = frozenset()
        for head in heads:
            known = (self._records.version(head.scenario_id, number) for number in range(1, head.version + 1))
            heard = heard.union(*(cares_for(version.graph) for version in known if version is not None))
        self._heard = heard
        self._read_at = self._monotonic()

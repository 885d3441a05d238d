"""Begin, finish and repeat API calls in the engine table: `IDEM#caller#key`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from chalicelib.idempotency import table
from chalicelib.kernel.clock import Clock, from_text, to_text
from chalicelib.kernel.errors import ConflictError, InvalidError
from chalicelib.ports.database import Database

_STUCK = timedelta(seconds=60)  # longer than API Gateway lets any call live
KEEP = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the first call answered."""

    status: int
    body: str


class Idempotency:
    """Calls by the key that their caller chose."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def begin(self, caller: str, key: str, fingerprint: str) -> Answer | None:
        """Return None for a new call, or the answer of the one that was made before.

        Raises InvalidError(`idempotency.other_request`) when the key was used for something else and
        ConflictError(`idempotency.in_progress`) while the first call runs.
        """
        now = self._clock.now()
        if table.insert(self._database, caller, key, fingerprint, now, KEEP):
            return None
        kept = table.get(self._database, caller, key)
        if kept is None:
            # Forgotten since, because that call failed: the caller may try again at once.
            raise ConflictError("idempotency.in_progress")
        if kept["fingerprint"] != fingerprint:
            raise InvalidError("idempotency.other_request")
        if kept["status"]:
            return Answer(kept["status"], kept["body"])
        begun = from_text(kept["begun_at"])
        if now - begun < _STUCK or not table.take_over(self._database, caller, key, kept["begun_at"], to_text(now)):
            raise ConflictError("idempotency.in_progress")
        return None

    def finish(self, caller: str, key: str, answer: Answer) -> None:
        """Keep the answer."""
        table.finish(self._database, caller, key, answer.status, answer.body)

    def forget(self, caller: str, key: str) -> None:
        """Let a call that failed be made again under the same key."""
        table.delete(self._database, caller, key)

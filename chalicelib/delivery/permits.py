"""Leave to call LINE, leased in blocks, so that any number of workers together stay under LINE's rate limits."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from chalicelib.delivery import table
from chalicelib.kernel.errors import TemporaryError

# LINE allows a channel 2,000 pushes and 200 multicasts a second (docs: rate limits). They are given out by the tenth of a
# second, and of each tenth 9 % of a second's calls: whichever second one looks at, it touches eleven tenths, 99 % at most.
_MOMENT_SECONDS = 0.1
_A_MOMENT = {"push": 180, "multicast": 18}
# What a worker leases at once; what it does not use within the moment is lost, so never more than it wants.
_BLOCK = {"push": 45, "multicast": 1}
# A page and its retries must end well within a Lambda's fifteen minutes; its caller comes again.
_PATIENCE_SECONDS = 30.0
_COME_AGAIN_SECONDS = 5.0


class Permits:
    """Leases. now: seconds of the wall, because LINE counts by those even when this product lives by a virtual clock."""

    def __init__(self, now: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep) -> None:
        self._now = now
        self._sleep = sleep
        self._lock = threading.RLock()
        self._leased: dict[str, tuple[int, int]] = {}

    def take(self, account: str, verb: str, wanted: int) -> None:
        """Wait until one call may be made. wanted: how many the caller is about to make, this one included.

        Raises TemporaryError when others have taken everything for half a minute. A reply needs no leave.
        """
        if verb not in _A_MOMENT:
            return
        waited = 0.0
        while not self._taken(f"{account}#{verb}", verb, wanted):
            if waited >= _PATIENCE_SECONDS:
                raise TemporaryError(f"every {verb} of the moment is given out", retry_after_seconds=_COME_AGAIN_SECONDS)
            pause = _MOMENT_SECONDS - self._now() % _MOMENT_SECONDS + random.uniform(0.001, _MOMENT_SECONDS / 4)
            self._sleep(pause)
            waited += pause

    def _taken(self, name: str, verb: str, wanted: int) -> bool:
        with self._lock:  # whoever waits here shares what the first one leases
            now = self._now()
            moment = int(now / _MOMENT_SECONDS)
            leased_for, left = self._leased.get(name, (0, 0))
            if leased_for != moment or not left:
                left = max(1, min(_BLOCK[verb], wanted))
                if not table.take(name, moment, left, _A_MOMENT[verb], now):
                    return False
            self._leased[name] = (moment, left - 1)
            return True

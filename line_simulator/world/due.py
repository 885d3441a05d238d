"""What happens by itself at virtual instants: each act runs in order of time and sees its own instant on the clock."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from typing import Final

from line_simulator.world.clock import Clock

Act = Callable[[], None]
# Another process may move a shared clock at any time, so a sleeper looks again this often (real seconds).
_GLANCE_SECONDS: Final = 0.05
_ERRORS_KEPT: Final = 100


class Due:
    """A heap of acts by virtual instant. Acts run with `lock` held, so they must not wait for another call to this simulator.

    run() is called before every request is answered, whenever the clock was moved, and by a thread as time goes by.
    """

    def __init__(self, clock: Clock, lock: threading.RLock) -> None:
        self._clock = clock
        self._lock = lock
        self._heap: list[tuple[float, int, Act]] = []
        self._changed = threading.Condition()
        self._count = 0
        self._busy = False
        self._stopped = False
        self.errors: list[Exception] = []
        # How many acts were done, whatever came of them.
        self.done = 0
        clock.moved = self.run

    def at(self, moment: float, act: Act) -> None:
        """Let `act` happen at `moment` (virtual epoch seconds), or as soon as possible if that has passed."""
        with self._changed:
            # What an act causes cannot happen before the act.
            moment = max(moment, self._clock.pretended or moment)
            self._count += 1
            heapq.heappush(self._heap, (moment, self._count, act))
            self._changed.notify_all()

    def next(self) -> float | None:
        """Return the virtual instant of the next act, None when nothing waits."""
        with self._changed:
            return self._heap[0][0] if self._heap else None

    def run(self) -> None:
        """Do all that is due by now, in order of time; when it returns, all of it has been done."""
        if not (self._heap or self._busy) or self._clock.pretended is not None:
            return
        now = self._clock.time()
        moment = self.next()
        if not self._busy and (moment is None or moment > now):
            return
        with self._lock:
            self._busy = True
            while (found := self._take(now)) is not None:
                self._do(*found)
            self._busy = False

    def clear(self) -> None:
        """Forget all that waits."""
        with self._changed:
            self._heap.clear()

    def serve(self) -> None:
        """Run what falls due as time goes by, until stop(); the work of a thread."""
        while not self._stopped:
            with self._changed:
                if not self._heap:
                    self._changed.wait_for(lambda: self._heap or self._stopped)
                else:
                    left = (self._heap[0][0] - self._clock.time()) / self._clock.scale
                    self._changed.wait(min(max(left, 0.0), _GLANCE_SECONDS))
            if not self._stopped:
                self.run()

    def stop(self) -> None:
        """End serve()."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _take(self, now: float) -> tuple[float, Act] | None:
        with self._changed:
            if not self._heap or self._heap[0][0] > now:
                return None
            moment, _, act = heapq.heappop(self._heap)
            return moment, act

    def _do(self, moment: float, act: Act) -> None:
        self._clock.pretended = moment
        try:
            act()
        except Exception as error:  # noqa: BLE001 - kept and raised again by drain()
            if len(self.errors) < _ERRORS_KEPT:
                self.errors.append(error)
        finally:
            self.done += 1
            self._clock.pretended = None

"""Calls that wait for the network, many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Threads:
    """Implements kernel.each.Mapper. Work must not come back to its own threads: they would wait for each other."""

    def __init__(self, most: int) -> None:
        self._pool = ThreadPoolExecutor(max_workers=most, thread_name_prefix="call")

    def __call__(self, work: Callable[[T], R], entries: Sequence[T]) -> list[R]:
        """Work through entries at once, as far as there are threads; an error is raised when all have come to their end."""
        if len(entries) == 1:
            return [work(entries[0])]
        under_way = [self._pool.submit(work, entry) for entry in entries]
        wait(under_way)
        return [one.result() for one in under_way]

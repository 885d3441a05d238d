"""Calls that wait for the network, many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from chalicelib.adapters.line import CALLS_AT_ONCE

T = TypeVar("T")
R = TypeVar("R")


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=CALLS_AT_ONCE, thread_name_prefix="call")


def in_threads(work: Callable[[T], R], entries: Sequence[T]) -> list[R]:
    """Work through entries at once, as far as there are threads; implements delivery.senders.Mapper."""
    if len(entries) == 1:
        return [work(entries[0])]
    return list(_pool().map(work, entries))

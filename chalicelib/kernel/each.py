"""Working through entries: one after the other, or at once where an adapter offers it (adapters/threads.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")
# Applies a function to entries and returns the results in their order; raises the first error in that order.
Mapper = Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]


def in_turn(work: Callable[[T], R], entries: Sequence[T]) -> list[R]:
    """Work through entries one after the other."""
    return [work(entry) for entry in entries]

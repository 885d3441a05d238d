"""Break in at any DynamoDB call that a room makes: die there, or let somebody else act first. Hooked into botocore, not into ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from botocore.client import BaseClient


class Crash(Exception):
    """The process is gone."""


@dataclass
class Watch:
    made: int = 0


def die() -> None:
    raise Crash


@contextmanager
def interrupted(at: int, act: Callable[[], Any] = die, *, after: bool = False) -> Iterator[Watch]:
    """Run `act` before (or after) the call numbered `at`, counting from 0; its own calls are not counted."""
    watch = Watch()
    original = BaseClient._make_api_call
    busy = False

    def call(self: BaseClient, operation: str, arguments: dict[str, Any]) -> Any:
        nonlocal busy
        if busy:
            return original(self, operation, arguments)
        number, watch.made = watch.made, watch.made + 1
        if number != at:
            return original(self, operation, arguments)
        if not after:
            intrude()
            return original(self, operation, arguments)
        try:
            return original(self, operation, arguments)
        finally:
            intrude()

    def intrude() -> None:
        nonlocal busy
        busy = True
        try:
            act()
        finally:
            busy = False

    BaseClient._make_api_call = call
    try:
        yield watch
    finally:
        BaseClient._make_api_call = original


def every_crash(scene: Callable[[int], Callable[[], Any]]) -> Iterator[tuple[int, bool, Callable[[], Any]]]:
    """Yield (scene number, after, act) for a scene whose act has died once at each of its calls, before it and after it.

    scene: sets a fresh scene for a number and returns the act to be played in it.
    """
    yield from every_intrusion(scene, lambda _: die)


def every_intrusion(
    scene: Callable[[int], Callable[[], Any]], intruder: Callable[[int], Callable[[], Any]]
) -> Iterator[tuple[int, bool, Callable[[], Any]]]:
    """Yield as `every_crash` does, after an act into which the intruder of that scene broke at one call."""
    number = 0
    for after in (False, True):
        for at in count():
            act = scene(number)
            breaks_in = intruder(number)
            with interrupted(at, breaks_in, after=after) as watch:
                try:
                    act()
                except Crash:
                    pass
            if watch.made <= at:
                assert at > 0, "the act made no call at all"
                number += 1
                break
            yield number, after, act
            number += 1

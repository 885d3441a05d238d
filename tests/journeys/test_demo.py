"""The demo as a journey: the whole system, its promises, a worker that is killed in the middle of its sends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from local import checks
from local.demo import START, Demo


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    from chalicelib import wiring
    from chalicelib.adapters import aws
    from chalicelib.settings import settings

    forget = (settings.cache_clear, aws.client.cache_clear, lambda: wiring.use_world(None))
    for step in forget:
        step()
    play = Demo(tmp_path, seed=7, people=40, member_count=35, quiet=True)
    try:
        yield play
    finally:
        play.stop()
        for step in forget:
            step()


def test_it_keeps_every_promise_when_the_worker_is_killed_in_the_middle_of_its_sends(demo: Demo) -> None:
    demo.start()
    kills = [0]
    wanted = {"hello": 3, "dormant": 2, "dormant_again": 1}
    seen: dict[str, int] = {}

    def kill_once(kind: str) -> None:
        # From the reaction thread, while the function that has just called LINE still holds its batch unmarked.
        seen[kind] = seen.get(kind, 0) + 1
        if wanted.get(kind) == seen[kind]:
            kills[0] += 1
            demo.stack.kill_host()
            threading.Timer(0.5, demo.stack.restart_host).start()

    demo.on_delivery = kill_once
    demo.live(days=12)
    outcome = checks.collect(demo)
    assert kills[0] == 3
    assert checks.check(demo, outcome) == []
    # The checks looked at something.
    assert sum(len(messages) for messages in outcome.line.values()) > 100
    assert {kind for messages in outcome.line.values() for kind, _ in messages} >= {"hello", "story", "dormant", "dormant_again", "voices"}
    assert demo.machine.now() >= START + timedelta(days=12)


def test_it_notices_a_message_that_was_sent_twice(demo: Demo) -> None:
    demo.start()
    demo.live(days=1)
    outcome = checks.collect(demo)
    assert checks.check(demo, outcome) == []
    user_id, messages = next(iter(outcome.line.items()))
    outcome.line[user_id] = [*messages, messages[0]]
    assert checks.check(demo, outcome) != []

from datetime import timedelta

from chalicelib.friends.model import FollowState
from tests.builders import HANAKO, MAIN, Stage


def test_a_block_that_arrives_before_the_earlier_follow_stays(stage: Stage) -> None:
    now = stage.clock.now()
    stage.world.friends.block(MAIN, HANAKO, now + timedelta(seconds=5), event_id="b")
    facts = stage.world.friends.follow(MAIN, HANAKO, now, event_id="f", is_unblocked=False, reply=None)
    assert facts == []
    assert stage.world.friends.get(MAIN, HANAKO).state is FollowState.BLOCKED


def test_a_follow_told_twice_tells_its_fact_twice_and_changes_nothing(stage: Stage) -> None:
    now = stage.clock.now()
    first = stage.world.friends.follow(MAIN, HANAKO, now, event_id="f", is_unblocked=False, reply=None)
    second = stage.world.friends.follow(MAIN, HANAKO, now, event_id="f", is_unblocked=False, reply=None)
    assert first == second
    assert len(first) == 1

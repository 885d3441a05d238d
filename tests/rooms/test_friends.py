from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.errors import NotFoundError
from chalicelib.kernel.ids import Cid, LineUserId
from chalicelib.people.model import line_identity
from chalicelib.ports.line import Profile
from tests.builders import HANAKO, MAIN, Stage
from tests.rooms.crashes import every_crash, every_intrusion

_everybody = count()
_EVENTS = st.lists(st.tuples(st.sampled_from(["follow", "unfollow", "message"]), st.integers(0, 4)), min_size=1, max_size=8)


def somebody() -> LineUserId:
    return LineUserId(f"U{next(_everybody):032x}")


def told(stage: Stage, user_id: LineUserId, kind: str, second: int) -> list[Any]:
    at = stage.clock.now() + timedelta(seconds=second)
    friends, event_id = stage.world.friends, f"{kind}-{second}"
    match kind:
        case "follow":
            return friends.follow(MAIN, user_id, at, event_id=event_id, is_unblocked=False, reply=None)
        case "unfollow":
            return friends.block(MAIN, user_id, at, event_id=event_id)
        case _:
            friends.observe(MAIN, user_id, at)
            return []


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


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(events=_EVENTS, repeats=st.lists(st.integers(0, 7), max_size=4))
def test_events_in_any_order_and_number_end_in_the_state_of_the_latest(
    stage: Stage, events: list[tuple[str, int]], repeats: list[int]
) -> None:
    user_id = somebody()
    for kind, second in [*events, *(events[i % len(events)] for i in repeats)]:
        told(stage, user_id, kind, second)
    spoken = [(second, kind == "unfollow") for kind, second in events if kind != "message"]
    friend = stage.world.friends.get(MAIN, user_id)
    if not spoken:
        assert (friend.state, friend.state_at) == (FollowState.UNKNOWN, None)
        return
    # Of two events of one millisecond the block counts.
    second, is_blocked = max(spoken)
    assert friend.state is (FollowState.BLOCKED if is_blocked else FollowState.FOLLOWING)
    assert friend.state_at == stage.clock.now() + timedelta(seconds=second)
    assert friend.is_reachable is not is_blocked


def test_the_event_that_decided_tells_its_fact_and_a_later_overruled_one_does_not(stage: Stage) -> None:
    assert [fact.fact_id for fact in told(stage, HANAKO, "follow", 1)] == ["follow-1"]
    assert [fact.fact_id for fact in told(stage, HANAKO, "unfollow", 2)] == ["unfollow-2"]
    assert told(stage, HANAKO, "follow", 1) == []
    assert [fact.fact_id for fact in told(stage, HANAKO, "unfollow", 2)] == ["unfollow-2"]
    assert [fact.fact_id for fact in told(stage, HANAKO, "follow", 3)] == ["follow-3"]
    assert told(stage, HANAKO, "unfollow", 2) == []


def test_of_a_follow_and_a_block_in_one_millisecond_the_block_counts(stage: Stage) -> None:
    for order in (("follow", "unfollow"), ("unfollow", "follow")):
        user_id = somebody()
        for kind in order:
            told(stage, user_id, kind, 1)
        assert stage.world.friends.get(MAIN, user_id).state is FollowState.BLOCKED


def test_an_old_friend_enters_with_any_event_and_can_be_reached(stage: Stage) -> None:
    now = stage.clock.now()
    friend = stage.world.friends.observe(MAIN, HANAKO, now)
    assert (friend.state, friend.state_at, friend.is_reachable) == (FollowState.UNKNOWN, None, True)
    assert friend.first_seen_at == now
    assert stage.world.friends.observe(MAIN, HANAKO, now + timedelta(days=1)) == friend


def test_a_friend_whom_nobody_has_seen_is_unknown(stage: Stage) -> None:
    assert stage.world.friends.find(MAIN, HANAKO) is None
    try:
        stage.world.friends.get(MAIN, HANAKO)
    except NotFoundError as error:
        assert error.code == "friend.unknown"
    else:
        raise AssertionError


def test_a_crash_anywhere_while_an_event_is_recorded_is_healed_by_the_next_try(stage: Stage) -> None:
    people: dict[int, LineUserId] = {}

    def scene(number: int) -> Callable[[], Any]:
        people[number] = somebody()
        return lambda: told(stage, people[number], "unfollow", 1)

    for number, _, again in every_crash(scene):
        assert [fact.fact_id for fact in again()] == ["unfollow-1"]
        assert stage.world.friends.get(MAIN, people[number]).state is FollowState.BLOCKED


def test_a_profile_is_kept_and_changes_no_state(stage: Stage) -> None:
    stage.friend()
    stage.line.profiles[HANAKO] = Profile("花子", "https://p.test/1", "ja")
    friend = stage.world.friends.fetch_profile(stage.world.friends.get(MAIN, HANAKO))
    assert (friend.display_name, friend.picture_url, friend.language) == ("花子", "https://p.test/1", "ja")
    assert friend.state is FollowState.FOLLOWING
    stage.line.profiles.clear()
    assert stage.world.friends.fetch_profile(friend) == friend


def test_an_imported_friend_belongs_to_his_customer_and_to_no_second_one(stage: Stage) -> None:
    one, two = stage.customer("M1"), stage.customer("M2")
    friends, now = stage.world.friends, stage.clock.now()
    assert friends.enter(MAIN, HANAKO, one, now)
    assert friends.enter(MAIN, HANAKO, one, now), "told twice"
    assert not friends.enter(MAIN, HANAKO, two, now)
    assert friends.get(MAIN, HANAKO).cid == one
    told(stage, HANAKO, "unfollow", 1)
    assert friends.enter(MAIN, HANAKO, one, now)
    assert friends.get(MAIN, HANAKO).state is FollowState.BLOCKED


class Move:
    """A friend on his way from his own number to a customer's."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.friends: dict[int, Friend] = {}
        self.targets: dict[int, Cid] = {}

    def scene(self, number: int) -> Callable[[], Any]:
        user_id = somebody()
        told(self.stage, user_id, "follow", 0)
        self.friends[number] = self.stage.world.friends.get(MAIN, user_id)
        self.targets[number] = self.stage.customer(f"M{number}-{user_id[-4:]}")
        return lambda: self.stage.world.friends.move(self.friends[number], self.targets[number])

    def is_moved(self, number: int) -> None:
        before, target = self.friends[number], self.targets[number]
        after = self.stage.world.friends.get(MAIN, before.line_user_id)
        assert after.cid == target
        assert after.line_user_id == before.line_user_id
        old = self.stage.world.segments.load([before.cid], [MAIN])[before.cid]
        assert old.friend(MAIN) is None, "the former number is nobody's friend any more"


def test_a_crash_anywhere_while_a_friend_moves_is_healed_by_the_next_try(stage: Stage) -> None:
    move = Move(stage)
    for number, _, again in every_crash(move.scene):
        again()
        move.is_moved(number)
        assert stage.world.friends.get(MAIN, move.friends[number].line_user_id).state is FollowState.FOLLOWING


def test_a_block_that_arrives_anywhere_in_a_move_is_not_lost(stage: Stage) -> None:
    move = Move(stage)

    def blocked(number: int) -> Callable[[], Any]:
        return lambda: told(stage, move.friends[number].line_user_id, "unfollow", 9)

    for number, after, _ in every_intrusion(move.scene, blocked):
        move.is_moved(number)
        state = stage.world.friends.get(MAIN, move.friends[number].line_user_id).state
        assert state is FollowState.BLOCKED, (number, after)


def test_a_block_is_not_lost_when_the_friend_moves_while_it_is_recorded(stage: Stage) -> None:
    move = Move(stage)

    def scene(number: int) -> Callable[[], Any]:
        move.scene(number)
        return lambda: told(stage, move.friends[number].line_user_id, "unfollow", 9)

    def moves(number: int) -> Callable[[], Any]:
        return lambda: stage.world.friends.move(move.friends[number], move.targets[number])

    for number, after, _ in every_intrusion(scene, moves):
        move.is_moved(number)
        state = stage.world.friends.get(MAIN, move.friends[number].line_user_id).state
        assert state is FollowState.BLOCKED, (number, after)


def test_a_block_is_not_lost_to_a_second_mover_who_comes_late(stage: Stage) -> None:
    move = Move(stage)

    def moved_and_blocked(number: int) -> Callable[[], Any]:
        def act() -> None:
            stage.world.friends.move(move.friends[number], move.targets[number])
            told(stage, move.friends[number].line_user_id, "unfollow", 9)

        return act

    for number, after, _ in every_intrusion(move.scene, moved_and_blocked):
        move.is_moved(number)
        state = stage.world.friends.get(MAIN, move.friends[number].line_user_id).state
        assert state is FollowState.BLOCKED, (number, after)


def test_two_movers_to_different_people_do_not_both_succeed(stage: Stage) -> None:
    other: dict[int, Cid] = {}
    move = Move(stage)

    def elsewhere(number: int) -> Callable[[], Any]:
        other[number] = stage.customer(f"X{number}-{move.friends[number].line_user_id[-4:]}")
        return lambda: stage.world.friends.move(move.friends[number], other[number])

    def scene(number: int) -> Callable[[], Any]:
        act = move.scene(number)

        def careful() -> None:
            try:
                act()
            except Exception:  # noqa: BLE001 - refused is fine: the queue tells it again
                refused.add(number)

        return careful

    refused: set[int] = set()
    for number, after, _ in every_intrusion(scene, elsewhere):
        user_id = move.friends[number].line_user_id
        cid = stage.world.people.find(line_identity(MAIN, user_id))
        loser = other[number] if cid == move.targets[number] else move.targets[number]
        assert number in refused or stage.world.segments.load([loser], [MAIN])[loser].friend(MAIN) is None, (number, after)

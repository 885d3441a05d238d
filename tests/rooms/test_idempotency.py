import pytest

from chalicelib.idempotency.service import KEEP, Answer
from chalicelib.kernel.errors import ConflictError, InvalidError
from tests.builders import Stage
from tests.rooms.crashes import every_crash, every_intrusion


def test_the_same_key_and_body_replays_the_first_answer(stage: Stage) -> None:
    calls = stage.world.idempotency
    assert calls.begin("enk_1", "k", "print") is None
    calls.finish("enk_1", "k", Answer(201, '{"名":"前"}'))
    for _ in range(2):
        assert calls.begin("enk_1", "k", "print") == Answer(201, '{"名":"前"}')


def test_an_answer_without_a_body_is_replayed_too(stage: Stage) -> None:
    stage.world.idempotency.begin("enk_1", "k", "print")
    stage.world.idempotency.finish("enk_1", "k", Answer(204, ""))
    assert stage.world.idempotency.begin("enk_1", "k", "print") == Answer(204, "")


def test_another_body_under_the_same_key_is_refused(stage: Stage) -> None:
    calls = stage.world.idempotency
    calls.begin("enk_1", "k", "print")
    with pytest.raises(InvalidError, match="idempotency.other_request"):
        calls.begin("enk_1", "k", "other")
    calls.finish("enk_1", "k", Answer(200, ""))
    with pytest.raises(InvalidError, match="idempotency.other_request"):
        calls.begin("enk_1", "k", "other")


def test_keys_of_two_callers_have_nothing_to_do_with_each_other(stage: Stage) -> None:
    assert stage.world.idempotency.begin("enk_1", "k", "print") is None
    assert stage.world.idempotency.begin("enk_2", "k", "other") is None


def test_a_call_in_progress_is_a_conflict(stage: Stage) -> None:
    calls = stage.world.idempotency
    calls.begin("enk_1", "k", "print")
    stage.clock.advance(seconds=59)
    with pytest.raises(ConflictError, match="idempotency.in_progress") as caught:
        calls.begin("enk_1", "k", "print")
    assert caught.value.status == 409


def test_a_stuck_call_is_taken_over_by_one(stage: Stage) -> None:
    calls = stage.world.idempotency
    calls.begin("enk_1", "k", "print")
    stage.clock.advance(seconds=60)
    assert calls.begin("enk_1", "k", "print") is None
    with pytest.raises(ConflictError, match="idempotency.in_progress"):
        calls.begin("enk_1", "k", "print")


def test_of_two_who_take_over_at_once_only_one_does(stage: Stage) -> None:
    calls = stage.world.idempotency

    def tried(number: int, won: list[int]) -> None:
        try:
            if calls.begin("enk_1", f"k{number}", "print") is None:
                won.append(number)
        except ConflictError:
            pass

    won: list[int] = []

    def scene(number: int):
        calls.begin("enk_1", f"k{number}", "print")
        stage.clock.advance(seconds=60)
        return lambda: tried(number, won)

    for number, _, _ in every_intrusion(scene, lambda number: lambda: tried(number, won)):
        assert won.count(number) == 1


def test_a_call_that_failed_may_be_made_again(stage: Stage) -> None:
    calls = stage.world.idempotency
    calls.begin("enk_1", "k", "print")
    calls.forget("enk_1", "k")
    assert calls.begin("enk_1", "k", "other") is None


def test_a_key_that_is_forgotten_while_somebody_looks_is_new_or_in_progress(stage: Stage) -> None:
    calls = stage.world.idempotency
    outcomes: dict[int, object] = {}

    def scene(number: int):
        calls.begin("enk_1", f"k{number}", "print")

        def act() -> None:
            try:
                outcomes[number] = calls.begin("enk_1", f"k{number}", "print")
            except ConflictError:
                outcomes[number] = "in progress"

        return act

    for number, _, _ in every_intrusion(scene, lambda number: lambda: calls.forget("enk_1", f"k{number}")):
        assert outcomes[number] in (None, "in progress")


def test_a_crash_anywhere_while_beginning_is_free_again_after_a_minute(stage: Stage) -> None:
    for _, _, again in every_crash(lambda number: lambda: stage.world.idempotency.begin("enk_1", f"k{number}", "print")):
        stage.clock.advance(seconds=60)
        assert again() is None


def test_answers_are_kept_for_two_days(stage: Stage) -> None:
    from chalicelib.idempotency import table

    stage.world.idempotency.begin("enk_1", "k", "print")
    kept = table.get(stage.world.database, "enk_1", "k")
    assert kept is not None
    assert kept["ttl"] == int((stage.clock.now() + KEEP).timestamp())

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from chalicelib.kernel.errors import TemporaryError
from chalicelib.kernel.ids import Cid
from chalicelib.people import service, table
from chalicelib.people.model import cid_of, line_identity, member_identity, person_key
from chalicelib.people.service import People
from tests.builders import HANAKO, MAIN, Stage
from tests.rooms.crashes import every_crash, every_intrusion


def test_it_gives_threads_that_share_a_process_different_numbers(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    people = stage.world.people

    def slow_range(*bounds: int) -> range:
        time.sleep(0.002)  # another thread gets its turn while a block is being taken in
        return range(*bounds)

    monkeypatch.setattr(service, "range", slow_range, raising=False)
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda i: people.find_or_number(f"member#{i}")[0], range(120)))
    assert len(set(numbers)) == 120
    assert max(numbers) <= people.highest()


def test_it_gives_two_who_ask_at_once_for_one_person_the_same_number(stage: Stage) -> None:
    rooms = [People(stage.world.database, stage.clock) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for round_ in range(5):
            answers = list(pool.map(lambda room, i=round_: room.find_or_number(f"member#{i}"), rooms))
            assert len({cid for cid, _ in answers}) == 1
            assert sum(is_new for _, is_new in answers) == 1


def test_it_numbers_many_who_are_asked_for_at_once_each_only_once(stage: Stage) -> None:
    identities = [member_identity(str(i)) for i in range(60)]
    rooms = [People(stage.world.database, stage.clock) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda room: room.find_or_number_many([*identities, identities[0]]), rooms))
    assert all(answer == answers[0] for answer in answers)
    assert len(set(answers[0].values())) == 60
    assert stage.world.people.find_many(identities) == answers[0]


def test_it_finds_nobody_behind_an_unknown_identity(stage: Stage) -> None:
    assert stage.world.people.find("member#unknown") is None
    assert stage.world.people.find_many(["member#unknown"]) == {}
    assert stage.world.people.highest() == 0


def test_a_crash_anywhere_while_numbering_leaves_one_number(stage: Stage) -> None:
    def scene(number: int):
        room = People(stage.world.database, stage.clock)
        return lambda: room.find_or_number(f"member#{number}")

    for number, _, again in every_crash(scene):
        cid, _ = again()
        assert stage.world.people.find(f"member#{number}") == cid


def test_a_pointer_moves_only_from_where_it_is_expected(stage: Stage) -> None:
    people = stage.world.people
    identity = line_identity(MAIN, HANAKO)
    one, _ = people.find_or_number(identity)
    two, _ = people.find_or_number("member#2")
    three, _ = people.find_or_number("member#3")
    assert people.move(identity, one, two)
    assert people.move(identity, one, two), "told twice"
    assert not people.move(identity, one, three)
    assert people.find(identity) == two


def test_an_identity_can_be_given_to_a_known_person_once(stage: Stage) -> None:
    people = stage.world.people
    cid, _ = people.find_or_number("member#1")
    assert people.number_identity("line#main#U1", cid)
    assert people.number_identity("line#main#U1", cid), "told twice"
    assert not people.number_identity("line#main#U1", people.find_or_number("member#2")[0])


def test_merge_marks_stand_on_both_profiles_and_can_be_taken_back(stage: Stage) -> None:
    people = stage.world.people
    member = stage.customer("M1")
    one, two = (people.find_or_number(f"line#main#{i}")[0] for i in range(2))
    for old in (one, two, one):
        people.mark_merged(old, member)
    assert stage.world.customers.get(one).cid == member
    assert stage.world.customers.get(member).aliases == (one, two)
    people.unmark_merged(one, member)
    people.unmark_merged(one, member)
    assert stage.world.customers.get(one).cid == one
    assert stage.world.customers.get(member).aliases == (two,)


def test_of_two_who_become_part_of_one_person_at_once_neither_is_forgotten(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    people = stage.world.people
    kept, *others = (stage.customer(f"M{number}") for number in range(5))
    people.mark_merged(others[3], kept)
    real = table.aliases
    meanwhile = [lambda: people.mark_merged(others[1], kept), lambda: people.unmark_merged(others[3], kept)]

    def slow(cid: Cid) -> list[int]:
        found = real(cid)
        if meanwhile:
            meanwhile.pop()()
        return found

    monkeypatch.setattr(table, "aliases", slow)
    people.mark_merged(others[0], kept)
    meanwhile.append(lambda: people.mark_merged(others[2], kept))
    people.unmark_merged(others[0], kept)
    assert people.aliases(kept) == [others[1], others[2]]


def test_taking_back_an_old_merge_leaves_a_newer_one(stage: Stage) -> None:
    people = stage.world.people
    first, second = stage.customer("M1"), stage.customer("M2")
    friend, _ = people.find_or_number("line#main#1")
    people.mark_merged(friend, first)
    people.mark_merged(friend, second)
    people.unmark_merged(friend, first)
    assert stage.world.customers.get(friend).cid == second


def test_a_person_key_can_be_read_back() -> None:
    assert cid_of(person_key(987)) == 987


def test_only_one_joins_parts_or_erases_at_a_time_but_the_same_act_goes_on(stage: Stage) -> None:
    people = stage.world.people
    with people.alone("merge 1 2"):
        with pytest.raises(TemporaryError), people.alone("erase 1"):
            pass
        with people.alone("merge 1 2"):  # asked again, because nobody heard how it ended
            pass
    with people.alone("erase 1"):
        stage.clock.advance(minutes=2)  # he has died on the way
        with people.alone("merge 1 2"):
            pass
    with people.alone("erase 1"):
        pass


def test_of_all_who_break_in_one_alone_acts(stage: Stage) -> None:
    people, inside = stage.world.people, list[str]()

    def scene(number: int):
        inside.clear()

        def act() -> None:
            with people.alone(f"one {number}"):
                inside.append("one")

        return act

    def intruder(number: int):
        def act() -> None:
            try:
                with people.alone(f"other {number}"):
                    inside.append("other")
            except TemporaryError:
                pass

        return act

    for _, _, _ in every_intrusion(scene, intruder):
        with people.alone("afterwards"):
            assert inside

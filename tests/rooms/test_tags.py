from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.facts import TagAdded, TagRemoved
from chalicelib.settings import settings
from chalicelib.tags.model import MOST_TAGS
from tests.builders import Stage
from tests.rooms.crashes import every_crash, every_intrusion, interrupted


def make(stage: Stage, count: int) -> list[str]:
    return [stage.world.tags.create(f"タグ{i}", tag_id=f"tag_{i}").tag_id for i in range(count)]


def test_a_tag_is_put_on_once_and_taken_off(stage: Stage) -> None:
    cid = stage.customer("M1")
    make(stage, 2)
    tags = stage.world.tags
    assert [(type(fact), fact.cid, fact.tag_id) for fact in tags.add(cid, "tag_0", "test")] == [(TagAdded, cid, "tag_0")]
    assert tags.add(cid, "tag_0", "somebody else") == []
    assert len(tags.add(cid, "tag_1", "test")) == 1
    assert tags.of(cid) == {"tag_0", "tag_1"}
    assert [(type(fact), fact.tag_id) for fact in tags.remove(cid, "tag_0", "test")] == [(TagRemoved, "tag_0")]
    assert tags.remove(cid, "tag_0", "somebody else") == []
    assert tags.of(cid) == {"tag_1"}
    stage.clock.advance(minutes=1)
    (again,) = tags.add(cid, "tag_0", "test")
    assert again.at == stage.clock.now(), "put on again is news again"


def test_who_asks_again_hears_the_same_fact_again(stage: Stage) -> None:
    """He may have died before he could react to it."""
    cid = stage.customer("M1")
    make(stage, 1)
    tags = stage.world.tags
    for act in (tags.add, tags.remove):
        first = act(cid, "tag_0", "scenario x 1")
        assert len(first) == 1
        stage.clock.advance(days=1)
        assert act(cid, "tag_0", "scenario x 1") == first
        assert act(cid, "tag_0", "scenario x 2") == []


def test_many_are_tagged_by_the_batch_and_who_is_full_is_passed_over(stage: Stage) -> None:
    cids = [stage.customer(f"M{i}") for i in range(30)]
    make(stage, 2)
    tags = stage.world.tags
    full = {"pk": f"C#{cids[0]}", "sk": "T", **{f"tag_x{i}": "2026-01-01T00:00:00.000Z x" for i in range(MOST_TAGS)}}
    stage.world.database.put_many(settings().core_table, [full])
    tags.add(cids[1], "tag_0", "staff")
    with interrupted(10**9) as watch:
        facts = tags.add_many(dict.fromkeys(cids, "rule"), "tag_0")
    assert watch.made == 1 + 1 + 2, "the tag, who carries it, two batches of people without tags"
    assert {fact.cid for fact in facts} == set(cids[2:])
    assert tags.add_many(dict.fromkeys(cids, "rule"), "tag_0") == facts
    removed = tags.remove_many(dict.fromkeys(cids, "rule"), "tag_0")
    assert {fact.cid for fact in removed} == set(cids[1:])
    assert tags.remove_many(dict.fromkeys(cids, "rule"), "tag_0") == removed


def test_what_was_taken_off_long_ago_is_forgotten(stage: Stage) -> None:
    cid = stage.customer("M1")
    ids = make(stage, 3)
    for tag_id in ids:
        stage.world.tags.add(cid, tag_id, "test")
    stage.world.tags.remove(cid, "tag_0", "test")
    stage.clock.advance(days=30)
    stage.world.tags.remove(cid, "tag_1", "test")
    stage.clock.advance(days=30)
    stage.world.tags.remove(cid, "tag_2", "test")
    item = stage.world.people.collections([cid], ["T"])[cid]["T"]
    assert set(item) == {"pk", "sk", "off_tag_1", "off_tag_2"}


def test_nobody_carries_anything_at_first_and_taking_off_nothing_is_harmless(stage: Stage) -> None:
    cid = stage.customer("M1")
    assert stage.world.tags.of(cid) == frozenset()
    for tag_id in ("tag_0", "", 'tag_0" REMOVE "sk', "pk"):
        assert stage.world.tags.remove(cid, tag_id, "test") == []
    assert stage.world.tags.of(cid) == frozenset()


@pytest.mark.parametrize("tag_id", ["tag_unknown", "", "x" * 2000, 'tag_0" = 1'])
def test_an_unknown_tag_cannot_be_put_on(stage: Stage, tag_id: str) -> None:
    with pytest.raises(NotFoundError, match="tag.unknown"):
        stage.world.tags.add(stage.customer("M1"), tag_id, "test")


def test_two_writers_never_undo_each_other(stage: Stage) -> None:
    cid = stage.customer("M1")
    ids = make(stage, 12)
    with ThreadPoolExecutor(6) as pool:
        facts = list(pool.map(lambda tag_id: stage.world.tags.add(cid, tag_id, "test"), ids + ids))
    assert stage.world.tags.of(cid) == set(ids)
    assert len({fact.fact_id for told in facts for fact in told}) == 12, "each is one piece of news"


def test_a_tag_taken_off_while_another_is_put_on_leaves_the_other(stage: Stage) -> None:
    make(stage, 2)
    cids: dict[int, Any] = {}

    def scene(number: int) -> Callable[[], Any]:
        cids[number] = stage.customer(f"M{number}")
        stage.world.tags.add(cids[number], "tag_0", "test")
        return lambda: stage.world.tags.add(cids[number], "tag_1", "test")

    for number, _, _ in every_intrusion(scene, lambda number: lambda: stage.world.tags.remove(cids[number], "tag_0", "x")):
        assert stage.world.tags.of(cids[number]) == {"tag_1"}


def test_a_crash_anywhere_while_a_tag_is_put_on_leaves_it_on_after_the_next_try(stage: Stage) -> None:
    make(stage, 1)

    def scene(number: int) -> Callable[[], Any]:
        cid = stage.customer(f"M{number}")
        return lambda: (cid, stage.world.tags.add(cid, "tag_0", "test"))

    for _, _, again in every_crash(scene):
        cid, facts = again()
        assert stage.world.tags.of(cid) == {"tag_0"}
        assert len(facts) == 1, "who was not told of it is told now"


def test_a_crash_anywhere_while_a_tag_is_taken_off_tells_of_it_at_the_next_try(stage: Stage) -> None:
    make(stage, 1)

    def scene(number: int) -> Callable[[], Any]:
        cid = stage.customer(f"M{number}")
        stage.world.tags.add(cid, "tag_0", "test")
        return lambda: (cid, stage.world.tags.remove(cid, "tag_0", "test"))

    for _, _, again in every_crash(scene):
        cid, facts = again()
        assert stage.world.tags.of(cid) == frozenset()
        assert len(facts) == 1


def test_too_many_tags_are_refused_but_not_one_that_is_there(stage: Stage) -> None:
    cid = stage.customer("M1")
    ids = make(stage, MOST_TAGS + 1)
    for tag_id in ids[:-1]:
        stage.world.tags.add(cid, tag_id, "test")
    with pytest.raises(InvalidError, match="tag.too_many"):
        stage.world.tags.add(cid, ids[-1], "test")
    assert stage.world.tags.add(cid, ids[0], "another") == []
    stage.world.tags.remove(cid, ids[0], "test")
    assert len(stage.world.tags.add(cid, ids[-1], "test")) == 1


def test_a_name_belongs_to_one_tag(stage: Stage) -> None:
    tags = stage.world.tags
    tag = tags.create(" 常連 ", "来店")
    assert (tag.name, tag.folder, tags.get(tag.tag_id)) == ("常連", "来店", tag)
    with pytest.raises(ConflictError, match="tag.name_taken"):
        tags.create("常連")
    assert tags.create("常連", "別", tag_id=tag.tag_id).tag_id == tag.tag_id, "made again under its id"
    tags.delete(tag.tag_id)
    assert tags.everyone() == []
    with pytest.raises(NotFoundError):
        tags.delete(tag.tag_id)
    assert tags.create("常連").tag_id != tag.tag_id


@pytest.mark.parametrize(("name", "tag_id"), [("", ""), ("  ", ""), ("良", "bad"), ("良", "tag_a-b"), ("良", "tag_")])
def test_a_tag_needs_a_name_and_a_plain_id(stage: Stage, name: str, tag_id: str) -> None:
    with pytest.raises(InvalidError):
        stage.world.tags.create(name, tag_id=tag_id)


def test_a_name_that_is_too_long_for_a_key_is_refused(stage: Stage) -> None:
    with pytest.raises(InvalidError):
        stage.world.tags.create("長" * 400)


def test_a_crash_anywhere_while_a_tag_is_made_does_not_lock_its_name(stage: Stage) -> None:
    def scene(number: int) -> Callable[[], Any]:
        return lambda: stage.world.tags.create(f"名前{number}")

    for number, _, again in every_crash(scene):
        try:
            again()
        except ConflictError:
            pass
        assert [tag.name for tag in stage.world.tags.everyone() if tag.name == f"名前{number}"] == [f"名前{number}"]


def test_a_crash_anywhere_while_a_tag_is_deleted_does_not_lock_its_name(stage: Stage) -> None:
    def scene(number: int) -> Callable[[], Any]:
        tag = stage.world.tags.create(f"名前{number}")
        return lambda: stage.world.tags.delete(tag.tag_id)

    for number, _, again in every_crash(scene):
        try:
            again()
        except NotFoundError:
            pass
        stage.world.tags.create(f"名前{number}")

"""What follows from a note about a live segment, and which facts may concern one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib.kernel.facts import (
    EmailOpened,
    Evidence,
    Fact,
    LinkClicked,
    Occurred,
    OptedOut,
    OrderPlaced,
    ProfileChanged,
    SegmentEntered,
    SegmentLeft,
    TagAdded,
)
from chalicelib.kernel.ids import Cid
from chalicelib.segments.expression import asks
from chalicelib.segments.membership import Looked, Note, Standing, concerns, is_as_noted, step_of, words_of
from chalicelib.segments.reading import parse

AT = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
BASE: dict[str, Any] = {"fact_id": "f", "cid": Cid(1), "at": AT}
CLICK = LinkClicked(**BASE, link_id="shop", source="cmp|cmp_a|x", evidence=Evidence.PROBABLE)
NOTES = st.none() | st.builds(
    Note,
    st.integers(1, 3),
    st.integers(1, 9),
    st.sampled_from([Standing.IN, Standing.OUT, Standing.MOVED]),
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)).map(lambda at: at.replace(microsecond=0, tzinfo=UTC)),
    st.booleans(),
)


@given(NOTES.filter(lambda note: note is not None))
def test_a_note_is_read_as_it_was_written(note: Note) -> None:
    assert Note.parse(str(note)) == note


@given(NOTES, st.booleans(), st.none() | st.booleans())
def test_what_is_as_noted_has_no_step(note: Note | None, is_in: bool, was_in: bool | None) -> None:
    notes = {Cid(1): {"seg_a": note} if note else {}}
    step = step_of(Looked(Cid(1), ()), notes, "seg_a", 2, is_in, AT, was_in=was_in)
    if is_as_noted(note, 2, is_in, is_preparing=was_in is not None):
        assert step is None


@given(NOTES, NOTES, NOTES, st.booleans(), st.none() | st.booleans())
def test_the_steps_end_at_a_note_that_is_true_and_time_and_turn_grow(
    own: Note | None, alias: Note | None, origin: Note | None, is_in: bool, was_in: bool | None
) -> None:
    who = Looked(Cid(1), (Cid(2),), Cid(3))
    notes = {Cid(n): {"seg_a": note} if note else {} for n, note in ((1, own), (2, alias), (3, origin))}
    for _ in range(8):
        step = step_of(who, notes, "seg_a", 2, is_in, AT, was_in=was_in)
        if step is None:
            break
        assert step.old == notes[step.cid].get("seg_a")
        if step.old and step.new is not step.old:
            assert step.new.turn > step.old.turn and (step.new.at > step.old.at or step.cid != 1)
        told = Note(step.new.generation, step.new.turn, step.new.standing, step.new.at)
        notes[step.cid] = {"seg_a": told}
    else:
        pytest.fail("there is always one more step")
    known = [notes[Cid(n)].get("seg_a") for n in (1, 2, 3)]
    if any(note is not None and note.generation > 2 for note in known):
        return  # prepared anew since
    final = notes[Cid(1)].get("seg_a")
    assert (final is not None and final.generation == 2 and final.standing is Standing.IN) == is_in


def test_what_is_told_is_known_by_person_segment_and_turn() -> None:
    step = step_of(Looked(Cid(1), ()), {Cid(1): {}}, "seg_a", 2, True, AT)
    assert step is not None
    assert step.fact() == SegmentEntered(fact_id="segment|1|seg_a|2.1", cid=Cid(1), at=AT, segment_id="seg_a")
    after = step_of(Looked(Cid(1), ()), {Cid(1): {"seg_a": step.new}}, "seg_a", 2, True, AT)
    assert after is not None and after.fact() == step.fact()  # nobody has said that he was told
    note = Note(2, 1, Standing.IN, AT)
    left = step_of(Looked(Cid(1), ()), {Cid(1): {"seg_a": note}}, "seg_a", 2, False, AT)
    assert left is not None
    fact = left.fact()
    assert isinstance(fact, SegmentLeft) and fact.at == AT + timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("condition", "fact", "expected"),
    [
        ({"tag": "tag_a"}, TagAdded(**BASE, tag_id="tag_a"), True),
        ({"tag": "tag_a"}, TagAdded(**BASE, tag_id="tag_b"), False),
        ({"not": {"purchase": {"count_from": 2}}}, OrderPlaced(**BASE, order_no="n", is_first=True, amount_yen=1), True),
        ({"field": "rfm.monetary", "from": 4}, OrderPlaced(**BASE, order_no="n", is_first=True, amount_yen=1), True),
        ({"date": "activity.last", "before_days": 90}, CLICK, True),
        ({"reacted": {"campaign": "cmp_a"}}, CLICK, True),
        ({"reacted": {"campaign": "cmp_b"}}, CLICK, False),
        ({"reacted": {"campaign": "cmp_a", "evidence": "C"}}, EmailOpened(**BASE, source="cmp|cmp_a|x"), True),
        ({"event": {"kind": "visited"}}, Occurred(**BASE, event="visited"), True),
        ({"event": {"kind": "visited"}}, Occurred(**BASE, event="custom", name="x"), False),
        ({"field": "email.reachable", "is": True}, OptedOut(**BASE, channel="email"), True),
        ({"field": "email.reachable", "is": True}, OptedOut(**BASE, channel="sms"), False),
        ({"field": "attribute.rank", "is": "gold"}, ProfileChanged(**BASE), True),
        ({"tag": "tag_a"}, ProfileChanged(**BASE), False),
        ({"scenario": {"id": "welcome"}}, Occurred(**BASE, event="custom", name="x"), True),
        ({"scenario": {"id": "welcome"}}, SegmentEntered(**BASE, segment_id="seg_b"), False),
    ],
)
def test_a_fact_concerns_what_asks_about_such_things(condition: dict[str, Any], fact: Fact, expected: bool) -> None:
    words = words_of(fact)
    assert (bool(words) and concerns(asks(parse(condition)), words)) == expected

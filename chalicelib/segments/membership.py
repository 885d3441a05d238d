"""Who was in a live segment when he was last looked at, and what follows from his being in it now or not; pure.

A person's notes are the attributes of his item `C#cid` / `SG`, one by the id of each live segment. A note is written before anybody
is told, and says whether that has still to be done: whoever finds it undone tells the same fact again. So a crash loses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.facts import (
    CustomersMerged,
    EmailOpened,
    Fact,
    FriendBlocked,
    FriendFollowed,
    IdentityLinked,
    IdentityUnlinked,
    LinkClicked,
    Occurred,
    OptedOut,
    OrderPlaced,
    ProfileChanged,
    Responded,
    SegmentEntered,
    SegmentLeft,
    TagAdded,
    TagRemoved,
)
from chalicelib.kernel.ids import Cid

NOTES_SK = "SG"
_TICK = timedelta(milliseconds=1)
_EVERYTHING = ("",)
_ACTED = ("date:activity.last",)
_PROFILE = (
    "field:profile.", "field:attribute.", "field:customer.", "field:email.", "field:sms.", "field:postal.", "field:line.",
    "date:profile.", "date:attribute.", "date:friend.since", *_ACTED,  # an import may bring a friend
)  # fmt: skip
_FRIENDSHIP = ("field:line.", "date:friend.since", *_ACTED)


class Standing(StrEnum):
    """Whether somebody is in; `moved`: what was true of this number is now noted under the one that it became part of."""

    IN = "in"
    OUT = "out"
    MOVED = "moved"


@dataclass(frozen=True, slots=True)
class Note:
    """What is known of a number and a live segment.

    generation: of the segment's preparation; an older one says nothing about the condition of today. turn: grows with each change.
    is_due: nobody has been told of it yet. at: when it was found; later than the note before.
    """

    generation: int
    turn: int
    standing: Standing
    at: datetime
    is_due: bool = False

    @classmethod
    def parse(cls, text: str) -> Note:
        """Return the note in a text."""
        generation, turn, standing, due, at = text.split(" ")
        return cls(int(generation), int(turn), Standing(standing), from_text(at), due == "due")

    def __str__(self) -> str:
        return f"{self.generation} {self.turn} {self.standing} {'due' if self.is_due else 'told'} {to_text(self.at)}"


Notes = Mapping[Cid, Mapping[str, Note]]


@dataclass(frozen=True, slots=True)
class Step:
    """A note in place of another. old: None where there was none. When `new` is due it is told, and then marked."""

    cid: Cid
    segment_id: str
    old: Note | None
    new: Note

    def fact(self) -> Fact:
        """Return what is told: the same however often, for it is derived from the note."""
        fact_id = f"segment|{self.cid}|{self.segment_id}|{self.new.generation}.{self.new.turn}"
        kind = SegmentEntered if self.new.standing is Standing.IN else SegmentLeft
        return kind(fact_id=fact_id, cid=self.cid, at=self.new.at, segment_id=self.segment_id)


@dataclass(frozen=True, slots=True)
class Looked:
    """A person who was looked at. aliases: the numbers that have become part of his; origin: the one that he was part of."""

    cid: Cid
    aliases: Sequence[Cid]
    origin: Cid | None = None

    def numbers(self) -> list[Cid]:
        """Return the numbers whose notes say what he was."""
        return [self.cid, *self.aliases, *([self.origin] if self.origin else [])]


def is_as_noted(note: Note | None, generation: int, is_in: bool, *, is_preparing: bool) -> bool:
    """Say whether the note of somebody who never had another number says what is true, so that there is no step to be done."""
    if note is None:
        return not (is_in or is_preparing)
    is_current = note.generation == generation and not note.is_due
    return is_current and note.standing is (Standing.IN if is_in else Standing.OUT)


def step_of(
    who: Looked, notes: Notes, segment_id: str, generation: int, is_in: bool, now: datetime, *, was_in: bool | None = None
) -> Step | None:
    """Return what is to be done next about a person and a live segment, None when his note says what is true.

    One thing at a time: what is due is told first; then what was noted under numbers that he had before is brought under his own,
    silently, for he has neither come nor gone by it; then he comes or goes. was_in: while the segment is prepared, whether he was
    in when it was made live, which counts where nothing was noted of him; None from then on. What he is is written down even
    when nobody is told, so that the preparation does not write what it read earlier.
    """
    known = {cid: notes.get(cid, {}).get(segment_id) for cid in who.numbers()}
    for cid in (who.cid, *who.aliases):
        note = known[cid]
        if note is not None and note.is_due:
            return Step(cid, segment_id, note, note)
    if any(note is not None and note.generation > generation for note in known.values()):
        return None  # prepared anew since; whoever knows of it looks at him
    own = known[who.cid]
    current = {cid: note for cid, note in known.items() if note is not None and note.generation == generation}
    was = current.get(who.cid)

    def written(standing: Standing, *, is_due: bool = False) -> Step:
        at = max(now, own.at + _TICK) if own else now
        return Step(who.cid, segment_id, own, Note(generation, own.turn + 1 if own else 1, standing, at, is_due))

    for alias in who.aliases:
        note = current.get(alias)
        if note is None or note.standing is Standing.MOVED:
            continue
        if note.standing is Standing.IN and (was is None or was.standing is not Standing.IN):
            return written(Standing.IN)
        return Step(alias, segment_id, note, replace(note, turn=note.turn + 1, standing=Standing.MOVED))
    if was is None or was.standing is Standing.MOVED:
        origin = current.get(who.origin) if who.origin else None
        if origin is not None and origin.standing is Standing.IN:
            return written(Standing.IN)
        if was_in is not None:
            return written(Standing.IN if is_in else Standing.OUT, is_due=is_in != was_in)
    if is_in != (was is not None and was.standing is Standing.IN):
        return written(Standing.IN if is_in else Standing.OUT, is_due=True)
    return None


def words_of(fact: Fact) -> tuple[str, ...]:
    """Return how the words begin (expression.asks) of conditions that a fact may change the answer to; "" is any of them.

    Whatever happens may bring somebody into a scenario or out of it, what a scenario's message was answered with among it.
    """
    match fact:
        case SegmentEntered() | SegmentLeft():
            return ()  # a condition that names a segment asks for its condition
        case IdentityLinked() | IdentityUnlinked() | CustomersMerged():
            return _EVERYTHING
        case TagAdded(tag_id=tag_id) | TagRemoved(tag_id=tag_id):
            words: tuple[str, ...] = (f"tag:{tag_id}",)
        case OrderPlaced():
            words = ("purchase", "field:purchase.", "field:rfm.", "date:purchase.", *_ACTED)
        case FriendFollowed():
            words = ("event:followed", *_FRIENDSHIP)
        case FriendBlocked():
            words = ("event:blocked", *_FRIENDSHIP)
        case Responded(kind=kind):
            words = (f"event:{kind}", "delivered:scn|", *_ACTED)
        case LinkClicked(source=source):
            words = ("event:clicked", _delivered(source), *_ACTED)
        case EmailOpened(source=source):
            words = ("event:email_opened", _delivered(source))
        case ProfileChanged():
            words = _PROFILE
        case OptedOut(channel=channel):
            words = ("event:opted_out", f"field:{channel}.")
        case Occurred(event=event):
            words = (f"event:{event}", *_ACTED)
        case _:
            words = ()
    return (*words, "scenario:")


def _delivered(source: str) -> str:
    kind, _, rest = source.partition("|")
    return f"delivered:{kind}|{rest.partition('|')[0]}"


def concerns(asked: Iterable[str], words: tuple[str, ...]) -> bool:
    """Say whether what changes the answers to these words (words_of) may change who fulfils a condition that asks so."""
    return any(word.startswith(words) for word in asked)

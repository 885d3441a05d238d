"""Live segments: people are looked at when something happens to them, and it is told who came into a segment and who left.

Whoever was in when a segment was made live is noted silently by the preparation, and counts as in; who has come since is told of
(past.as_of). It begins when every process has heard of the segment, so that it sees whatever happened before that and everybody
sees what happens after. From then on a fact picks the segments that it may concern (membership.concerns), the person is loaded
once, and where his note does not say what is true, it is replaced by one conditional write; then he is told of, then the note is
marked. The note was read before the person, so that it cannot be older news than he is; and he is looked at once more after each
write, so that of two who look at once the one who saw the past is put right. The preparation notes only those of whom nothing is
noted: while it goes on, every look writes down what it finds, so that nobody is noted as in who has gone since the preparation read
him.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError, to_each
from chalicelib.kernel.facts import Fact, IdentityUnlinked, LineFact
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.kernel.windows import local_date
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.observability import count, warning
from chalicelib.people.model import person_key
from chalicelib.people.service import People
from chalicelib.ports.database import Database, Statement
from chalicelib.segments import ended, table
from chalicelib.segments.candidates import WAIT_SECONDS, Candidates, Wanted
from chalicelib.segments.expression import Expression, asks
from chalicelib.segments.history import asks_history, asks_since
from chalicelib.segments.membership import NOTES_SK, Looked, Note, Notes, Standing, Step, concerns, is_as_noted, step_of, words_of
from chalicelib.segments.model import Live, LiveState, Person, SavedSegment
from chalicelib.segments.past import ASKS_ORDERS, as_of
from chalicelib.segments.predicate import Predicate, compile_predicate
from chalicelib.segments.service import ADDRESS_FIELDS, Segments
from chalicelib.settings import settings

_REMEMBER_SECONDS = 5.0
# After so long every process goes by what is live and by the bounds of RFM as they are: it remembers those for half a minute.
_HEARD_SECONDS = 40
_BATCH = 100
_TRIES = 12
Tell = Callable[[list[Fact]], None]
Work = dict[str, Any]
# What is being told just now by whom we were called: he marks it himself, and looks again when he has.
_TELLING: ContextVar[frozenset[tuple[Cid, str]]] = ContextVar("telling", default=frozenset())


@dataclass(frozen=True, slots=True)
class Watched:
    """A live segment as people are looked at for it.

    asked: what its condition asks (expression.asks). since: from when on it asks for people's timelines (history.asks_since).
    """

    live: Live
    predicate: Predicate
    asked: frozenset[str]
    since: datetime

    @classmethod
    def of(cls, live: Live, expression: Expression, now: datetime) -> Watched:
        """Return a segment by its condition at `now`."""
        return cls(live, compile_predicate(expression, now), asks(expression), asks_since(expression, now))

    def was_in(self, person: Person, note: Note | None) -> bool | None:
        """Say whether somebody was in when a segment was made live that is being prepared; None when it is prepared.

        note: his note. One of the preparation before that is younger was told by who had not heard of this one.
        """
        at = self.live.at
        if self.live.state is not LiveState.PREPARING:
            return None
        if note is not None and note.generation < self.live.generation and note.at > at:
            return note.standing is Standing.IN
        before = as_of(person, at)
        return before is not None and self.predicate(before)


class LiveSegments:
    """Makes segments live, and tells who comes into them and goes."""

    def __init__(
        self,
        segments: Segments,
        candidates: Candidates,
        accounts: LineAccounts,
        people: People,
        database: Database,
        clock: Clock,
    ) -> None:
        self._segments = segments
        self._candidates = candidates
        self._accounts = accounts
        self._people = people
        self._database = database
        self._clock = clock
        self._monotonic: Callable[[], float] = time.monotonic
        self._read_at = -_REMEMBER_SECONDS
        self._known: object = None
        self._watched: list[Watched] = []
        self._by_words: dict[tuple[str, ...], list[Watched]] = {}
        self._keys: Collection[AccountKey] = ()
        self._keys_until = self._monotonic()

    # Going live ---------------------------------------------------------------------------------------------------------------

    def state(self, segment_id: str) -> Live | None:
        """Return whether a segment is live, None when it never was. Raises NotFoundError(`segment.unknown`)."""
        return table.live(self._segments.saved(segment_id).segment_id)

    def is_live(self, segment_id: str) -> bool:
        """Say whether a segment is live or is being prepared. Raises NotFoundError(`segment.unknown`)."""
        live = self.state(segment_id)
        return live is not None and live.state is not LiveState.OFF

    def start(self, segment_id: str) -> tuple[Live, list[Work]]:
        """Prepare a segment, and anew when its condition has changed; return the work that does it. The same when repeated.

        Raises NotFoundError(`segment.unknown`), InvalidError(`condition.*`), ConflictError(`segment.changed_meanwhile`).
        """
        meaning = _meaning(self._segments.read(self._segments.saved(segment_id).condition, anew=True))
        old = table.live(segment_id)
        if old is not None and old.state is not LiveState.OFF and old.meaning == meaning:
            return old, [_prepare(old)] if old.state is LiveState.PREPARING else []
        generation = old.generation + 1 if old else 1
        new = Live(segment_id, LiveState.PREPARING, generation, meaning, self._clock.now())
        self._put(new, old)
        return new, [_prepare(new)]

    def end(self, segment_id: str) -> None:
        """Look at nobody for a segment any more; the same when repeated. Raises ConflictError(`segment.changed_meanwhile`)."""
        old = table.live(segment_id)
        if old is not None and old.state is not LiveState.OFF:
            self._put(replace(old, state=LiveState.OFF, at=self._clock.now()), old)

    def overdue(self) -> list[Work]:
        """Return the work for live segments whose condition, or one that it names, is not what they were prepared for.

        Those that are still being prepared begin again, for their work may have been lost. What names something that there is
        no more is live no more.
        """
        works: list[Work] = []
        for live in table.lives():
            if live.state is LiveState.OFF:
                continue
            try:
                works += self.start(live.segment_id)[1]
            except (NotFoundError, InvalidError):
                self.end(live.segment_id)
        return works

    def ended(self) -> list[Work]:
        """Return the work that deletes what is noted about segments that are live no more."""
        return ended.works(self._clock.now())

    def forget_notes(self, work: Work) -> list[Work]:
        """Delete the notes of one part of the people; return the work that follows."""
        return ended.forget(work, self._database)

    def prepare(self, work: Work, tell: Tell) -> list[Work]:
        """Note one part of those who are in; return the work that follows."""
        live = table.live(work["segment_id"])
        if live is None or live.state is not LiveState.PREPARING or live.generation != work["generation"]:
            return []
        condition = self._segments.saved(live.segment_id).condition
        expression = self._segments.read(condition, anew=True)
        if live.meaning != _meaning(expression):
            return self.start(live.segment_id)[1]
        now, part = self._clock.now(), work["part"]
        wanted = Wanted(f"{live.segment_id}-live-{live.generation}", condition, live.at, None)
        plan = self._candidates.plan(wanted, now)
        if plan is None:
            return [{**work, "delay_seconds": WAIT_SECONDS}]
        watched = Watched.of(live, expression, now)
        found = self._candidates.find(plan, wanted, part)
        while batch := list(islice(found, _BATCH)):
            self._note_all(batch, watched, tell)
        if part + 1 < plan.parts:
            return [{"op": work["op"], "segment_id": live.segment_id, "generation": live.generation, "part": part + 1}]
        table.put_live(replace(live, state=LiveState.LIVE, at=self._clock.now()), live)  # or somebody else has, or has ended it
        self.forget()
        return []

    def _note_all(self, people: Sequence[Person], watched: Watched, tell: Tell) -> None:
        """Note that people are in of whom nothing is noted in this generation; look at who may have come in since."""
        live, now = watched.live, self._clock.now()
        notes = self._notes((person.cid for person in people), [watched])
        steps, others = [], []
        for person in people:
            cid = person.cid
            old = notes[cid].get(live.segment_id)
            if old is not None and old.is_due:
                others.append(cid)  # what has still to be told of the generation before is told first
            elif old is not None and old.generation >= live.generation:
                continue
            elif as_of(person, live.at) is person:
                turn = old.turn + 1 if old else 1
                steps.append(Step(cid, live.segment_id, old, Note(live.generation, turn, Standing.IN, now)))
            else:
                others.append(cid)
        self._write(steps, {cid for cid, known in notes.items() if not known})
        if others:
            self._look(others, [watched], {}, now, tell)

    def _put(self, new: Live, old: Live | None) -> None:
        if not table.put_live(new, old):
            raise ConflictError("segment.changed_meanwhile", segment_id=new.segment_id)
        self.forget()

    # Facts --------------------------------------------------------------------------------------------------------------------

    def forget(self) -> None:
        """Look again which segments are live."""
        self._read_at = -_REMEMBER_SECONDS

    def on_facts(self, facts: Sequence[Fact], now: datetime, tell: Tell) -> None:
        """Look at the people to whom something happened, for those segments that it concerns; tell who came and who left.

        Harmless when repeated. A fact that concerns no live segment reads nothing.
        """
        self._watch(now)
        kinds: dict[tuple[str, ...], list[Fact]] = {}
        for fact in facts:
            kinds.setdefault(words_of(fact), []).append(fact)
        concerned = {words: found for words in kinds if (found := self._concerned(words))}
        if not concerned:
            return
        wanted = [fact for words in concerned for fact in kinds[words]]
        if any(fact.account not in self._keys for fact in wanted if isinstance(fact, LineFact)):
            self._keys_until = self._monotonic()  # it was connected just now
        chosen = list({one.live.segment_id: one for found in concerned.values() for one in found}.values())
        origins = {fact.cid: fact.customer_cid for fact in wanted if isinstance(fact, IdentityUnlinked)}
        cids = list(dict.fromkeys([*(fact.cid for fact in wanted), *origins.values()]))
        to_each(_batches(cids), lambda batch: self._look(batch, chosen, origins, now, tell))

    def _concerned(self, words: tuple[str, ...]) -> list[Watched]:
        """Return the segments that facts of these words (membership.words_of) may concern."""
        if words not in self._by_words:
            self._by_words[words] = [one for one in self._watched if concerns(one.asked, words)]
        return self._by_words[words]

    def _watch(self, now: datetime) -> None:
        if self._monotonic() - self._read_at >= _REMEMBER_SECONDS:
            read_at = self._monotonic()
            lives = [live for live in table.lives() if live.state is not LiveState.OFF]
            saved = self._segments.all_saved() if lives else []
            known = (lives, saved, self._segments.bounds() if lives else None, local_date(now))
            if known != self._known:
                self._watched = list(self._compiled(lives, saved, now))
                self._by_words = {}
                self._known = known
            self._read_at = read_at

    def _compiled(self, lives: Iterable[Live], saved: Iterable[SavedSegment], now: datetime) -> Iterator[Watched]:
        conditions = {segment.segment_id: segment.condition for segment in saved}
        for live in lives:
            if live.segment_id not in conditions:
                continue
            try:
                expression = self._segments.read(conditions[live.segment_id])
            except InvalidError:
                continue  # it names something that there is no more
            # One that has changed is prepared anew before anybody is looked at for it.
            if _meaning(expression) == live.meaning:
                yield Watched.of(live, expression, now)

    # Looking ------------------------------------------------------------------------------------------------------------------

    def _look(self, cids: Sequence[Cid], watched: Sequence[Watched], origins: Mapping[Cid, Cid], now: datetime, tell: Tell) -> None:
        """Bring the notes of people in line with what is true of them, and tell what is new."""
        people = self._load(cids, watched)
        for attempt in range(_TRIES):
            if not people:
                return
            looked = {cid: Looked(cid, person.customer.aliases, origins.get(cid)) for cid, person in people.items()}
            notes = self._notes((number for who in looked.values() for number in who.numbers()), watched)
            if attempt:  # after the notes: they must not be newer than he is
                people = self._load(list(people), watched)
            steps = []
            left: dict[Cid, Person] = {}
            for cid, person in people.items():
                who = looked.get(cid)
                if who is None or not set(person.customer.aliases) <= set(who.aliases):
                    left[cid] = person  # he has become one with somebody just now
                    continue
                own = self._steps(who, person, notes, watched, now)
                if own:
                    left[cid] = person
                    steps += own
            if attempt:
                self._take(steps, {cid for cid, known in notes.items() if not known}, tell)
            people = left
        warning("people came into live segments and left them without end", people=len(people))
        count("SegmentsUnsettled")

    def _load(self, cids: Sequence[Cid], watched: Sequence[Watched]) -> dict[Cid, Person]:
        asked = frozenset[str]().union(*(one.asked for one in watched))
        if any(one.live.state is LiveState.PREPARING for one in watched) and any(word.startswith(ASKS_ORDERS) for word in asked):
            asked |= {"purchase"}
        people = self._segments.load(
            cids,
            self._account_keys(),
            addresses=not ADDRESS_FIELDS.isdisjoint(asked),
            asked=asks_history(asked),
            since=min(one.since for one in watched),
        )
        return {person.cid: person for person in people.values()}

    def _account_keys(self) -> Collection[AccountKey]:
        if self._monotonic() >= self._keys_until:
            until = self._monotonic() + _REMEMBER_SECONDS
            self._keys, self._keys_until = {account.key for account in self._accounts.everyone()}, until
        return self._keys

    def _steps(self, who: Looked, person: Person, notes: Notes, watched: Sequence[Watched], now: datetime) -> list[Step]:
        telling = _TELLING.get()
        numbers, own = who.numbers(), notes[who.cid]
        found = []
        for one in watched:
            live = one.live
            is_in, is_preparing = one.predicate(person), live.state is LiveState.PREPARING
            if len(numbers) == 1 and is_as_noted(own.get(live.segment_id), live.generation, is_in, is_preparing=is_preparing):
                continue  # said at once, for that is what most looks find
            if telling and any((number, live.segment_id) in telling for number in numbers):
                continue
            was_in = one.was_in(person, own.get(live.segment_id))
            step = step_of(who, notes, live.segment_id, live.generation, is_in, now, was_in=was_in)
            if step is not None:
                found.append(step)
        return found

    def _take(self, steps: Sequence[Step], blank: set[Cid], tell: Tell) -> None:
        new = [step for step in steps if step.new is not step.old]
        won = self._write(new, blank)
        due = [step for step in (*won, *(step for step in steps if step.new is step.old)) if step.new.is_due]

        def tell_one(step: Step) -> None:
            around = _TELLING.set(_TELLING.get() | {(step.cid, step.segment_id)})
            try:
                tell([step.fact()])
            finally:
                _TELLING.reset(around)
            self._write([Step(step.cid, step.segment_id, step.new, replace(step.new, is_due=False))], set())

        to_each(due, tell_one)

    # Notes --------------------------------------------------------------------------------------------------------------------

    def _notes(self, cids: Iterable[Cid], watched: Iterable[Watched]) -> dict[Cid, dict[str, Note]]:
        """Return what is noted of numbers and these segments."""
        names = {one.live.segment_id for one in watched}
        found = self._people.collections(cids, [NOTES_SK])
        return {
            cid: {name: Note.parse(text) for name, text in items.get(NOTES_SK, {}).items() if name in names}
            for cid, items in found.items()
        }

    def _write(self, steps: Sequence[Step], blank: set[Cid]) -> list[Step]:
        """Write notes in place of those that were read; return those that were written. blank: who may have no item for them."""
        core = settings().core_table
        bare = list(dict.fromkeys(step.cid for step in steps if step.cid in blank))
        # The item first: an UPDATE writes nothing where there is none.
        self._database.execute([Statement.insert(core, {"pk": person_key(cid), "sk": NOTES_SK}) for cid in bare])
        outcomes = self._database.execute([_statement(core, step) for step in steps])
        return [step for step, outcome in zip(steps, outcomes, strict=True) if outcome is None]


def _meaning(expression: Expression) -> str:
    """Return a fingerprint of a condition with all that it names."""
    return hashlib.sha256(repr(expression).encode()).hexdigest()[:16]


def _statement(core: str, step: Step) -> Statement:
    change = f'UPDATE "{core}" SET "{step.segment_id}"=? WHERE pk=? AND sk=? AND "{step.segment_id}"'
    values = (str(step.new), person_key(step.cid), NOTES_SK)
    return Statement(f"{change}=?", (*values, str(step.old))) if step.old else Statement(f"{change} IS MISSING", values)


def _prepare(live: Live) -> Work:
    step = {"op": "segment_live", "segment_id": live.segment_id, "generation": live.generation, "part": 0}
    return {**step, "delay_seconds": _HEARD_SECONDS}


def _batches(cids: Sequence[Cid]) -> Iterator[Sequence[Cid]]:
    for start in range(0, len(cids), _BATCH):
        yield cids[start : start + _BATCH]

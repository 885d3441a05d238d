"""Caps kept exactly, whoever sends at the same time and wherever he dies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count

from chalicelib.customers.model import Customer, DeliveryChannel, Profile
from chalicelib.delivery.caps import Caps
from chalicelib.delivery.model import ACTIVE, Cap, Decision, Hold, Job, Limits, Row, Send, Skip
from chalicelib.kernel.ids import Cid
from chalicelib.kernel.windows import DeliveryWindow
from chalicelib.orders.model import PurchaseStats
from chalicelib.ports.database import Item, Statement
from chalicelib.segments.model import Person
from chalicelib.settings import settings
from tests.fakes.database import FakeDatabase

NOON = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)
ONE_A_DAY = Cap("all", 1, DAY, "delay")
TWO_A_DAY = Cap("all", 2, DAY, "delay")
HANAKO = Person(Customer(Cid(1), Profile(email="a@b.test")), PurchaseStats(), frozenset(), {})
PEOPLE = {Cid(1): HANAKO}


class Crash(Exception):
    """The process is gone."""


def row(scenario: str, cid: int = 1) -> Row:
    return Row(f"C#{cid}", f"ENR#{scenario}#", Cid(cid), "c", ACTIVE, "", "")


def job(scenario: str = "s", cap: Cap | None = ONE_A_DAY) -> Job:
    return Job("b", "c", "v", DeliveryChannel.EMAIL, "tpl", f"scn|{scenario}|a", NOON, caps=(cap,) if cap else ())


def sends(database: FakeDatabase, cid: int = 1) -> list[str]:
    item = database.items(settings().core_table).get((f"C#{cid}", "CAP"))
    return sorted(item["sends"]) if item else []


def decide(database: FakeDatabase, scenario: str = "s", cap: Cap | None = ONE_A_DAY, at: datetime = NOON) -> Decision:
    return Caps(database).decide(job(scenario, cap), [row(scenario)], PEOPLE, at)[0]


def test_a_place_is_booked_once_however_often_the_page_runs() -> None:
    database = FakeDatabase()
    assert [decide(database), decide(database)] == [Send(), Send()]
    assert sends(database) == ["v|C#1|ENR#s#"]
    assert decide(database, "other") == Hold(NOON + DAY, "cap")
    assert decide(database, "other", at=NOON + DAY) == Send()


def test_a_page_that_comes_again_books_for_the_moment_in_which_it_really_sends() -> None:
    database = FakeDatabase()
    decide(database)
    decide(database, at=NOON + timedelta(hours=6))
    assert decide(database, "other", at=NOON + DAY) == Hold(NOON + DAY + timedelta(hours=6), "cap")


def test_nothing_is_written_where_no_cap_is_in_force() -> None:
    database = FakeDatabase()
    assert decide(database, cap=None) == Send()
    important = replace(job(), important=True)
    assert Caps(database).decide(important, [row("s")], PEOPLE, NOON) == [Send()]
    assert database.items(settings().core_table) == {}


def test_the_companys_own_limits_bind_every_job() -> None:
    database = FakeDatabase()
    limits = Limits((Cap("all", 1, DAY, "skip"),), DeliveryWindow.parse("13:00", "20:00"))
    Caps(database).set_limits(limits)
    assert Caps(database).limits() == limits
    assert decide(database, cap=None) == Hold(NOON + timedelta(hours=1), "quiet_hours")
    assert decide(database, cap=None, at=NOON + timedelta(hours=1)) == Send()
    assert decide(database, "other", cap=None, at=NOON + timedelta(hours=2)) == Skip("cap")


def test_two_runs_of_one_person_in_one_page_share_his_cap() -> None:
    database = FakeDatabase()
    rows = [row("s"), replace(row("s"), sk="ENR#s#2"), row("s", 2)]
    people = {**PEOPLE, Cid(2): replace(HANAKO, customer=Customer(Cid(2), Profile(email="b@b.test")))}
    decisions = Caps(database).decide(job(), rows, people, NOON)
    assert decisions == [Send(), Hold(NOON + DAY, "cap"), Send()]


def test_the_places_of_those_whom_a_link_has_made_one_are_one() -> None:
    database = FakeDatabase()
    decide(database)
    moved = replace(row("other"), cid=Cid(7))
    assert Caps(database).decide(job("other"), [moved], {Cid(7): HANAKO}, NOON) == [Hold(NOON + DAY, "cap")]


def test_what_he_got_before_a_link_made_him_one_person_counts() -> None:
    database = FakeDatabase()
    stranger = Person(Customer(Cid(7), Profile(email="a@b.test")), PurchaseStats(), frozenset(), {})
    Caps(database).decide(job(), [row("s", 7)], {Cid(7): stranger}, NOON)
    linked = replace(HANAKO, customer=Customer(Cid(1), Profile(email="a@b.test"), aliases=(Cid(7),)))
    assert Caps(database).decide(job("other"), [row("other")], {Cid(1): linked}, NOON) == [Hold(NOON + DAY, "cap")]
    assert Caps(database).decide(job(), [row("s", 7)], {Cid(7): linked}, NOON) == [Send()]  # the same page again


def test_old_places_are_dropped() -> None:
    database = FakeDatabase()
    decide(database)
    decide(database, "later", at=NOON + timedelta(days=31))
    assert sends(database) == ["v|C#1|ENR#later#"]


def test_a_place_is_given_back_when_the_claim_was_lost_for_good_and_only_then() -> None:
    database = FakeDatabase()
    key = {"pk": "C#1", "sk": "ENR#s#", "cohort": "c", "status": ACTIVE, "path": {}}
    for still, is_kept in (
        (key, True),  # another page may claim it yet
        ({**key, "cohort": "elsewhere", "path": {"v": "sent"}}, True),  # another page has sent
        ({**key, "status": "done"}, False),
        ({**key, "cohort": "elsewhere"}, False),
        (None, False),
    ):
        database = FakeDatabase()
        if still:
            database.put_many(settings().engine_table, [still])
        decide(database)
        Caps(database).give_back(job(), [row("s")], PEOPLE)
        assert bool(sends(database)) is is_kept, still


def test_who_may_no_longer_be_sent_to_gives_his_place_back_when_he_is_decided_again() -> None:
    database = FakeDatabase()
    decide(database)
    gone = replace(HANAKO, customer=Customer(Cid(1), Profile()))
    assert Caps(database).decide(job(), [row("s")], {Cid(1): gone}, NOON) == [Skip("no_address")]
    assert sends(database) == []


def intruded(breaks_in: Callable[[FakeDatabase], None]) -> list[tuple[FakeDatabase, list[Decision]]]:
    """Play a decision with an intruder at each of its steps; return the database and what was decided."""
    scenes: list[tuple[FakeDatabase, list[Decision]]] = []
    for at in count():
        scene = Scene(at, breaks_in)
        decided = list[Decision]()
        try:
            decided.append(decide(scene.database, cap=TWO_A_DAY))
        except Crash:
            pass
        if scene.steps <= at:
            assert at > 3
            return scenes
        scenes.append((scene.database, decided))
    raise AssertionError


class Scene:
    """A database into which somebody breaks at one step; what he does there takes no steps of its own."""

    def __init__(self, at: int, breaks_in: Callable[[FakeDatabase], None]) -> None:
        self.database = FakeDatabase(self.step)
        self.at, self.breaks_in = at, breaks_in
        self.steps, self.is_busy = 0, False

    def step(self, _: str) -> None:
        if self.is_busy:
            return
        self.steps += 1
        if self.steps == self.at + 1:
            self.is_busy = True
            self.breaks_in(self.database)
            self.is_busy = False


def test_two_others_who_break_in_anywhere_never_pass_the_cap_together() -> None:
    others: dict[int, list[Decision]] = {}

    def breaks_in(database: FakeDatabase) -> None:
        others[id(database)] = [decide(database, name, TWO_A_DAY) for name in ("first", "second")]

    for database, decided in intruded(breaks_in):
        everybody = [*decided, *others[id(database)]]
        assert everybody.count(Send()) == 2 == len(sends(database)), everybody
        assert everybody.count(Hold(NOON + DAY, "cap")) == 1


def test_a_death_anywhere_heals_by_running_again() -> None:
    def dies(_: FakeDatabase) -> None:
        raise Crash

    for database, decided in intruded(dies):
        assert decided == []
        assert decide(database, cap=TWO_A_DAY) == Send()
        assert sends(database) == ["v|C#1|ENR#s#"]


class Counting(FakeDatabase):
    requests = 0

    def execute(self, statements: Sequence[Statement]) -> list[str | None]:
        self.requests += 1
        return super().execute(statements)

    def get_many(self, table: str, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Item]:
        self.requests += 1
        return super().get_many(table, keys)


def test_a_page_asks_by_the_batch_and_not_by_the_person() -> None:
    database = Counting()
    people = {Cid(n): replace(HANAKO, customer=Customer(Cid(n), Profile(email="a@b.test"))) for n in range(60)}
    decisions = Caps(database).decide(job(), [row("s", n) for n in range(60)], people, NOON)
    assert decisions == [Send()] * 60
    assert database.requests == 3  # the company's limits, everybody's places, the booking

"""Who comes into scenarios: every trigger by the fact it means, schedules, and what crashes do to an entry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zlib import crc32

import pytest

from chalicelib.kernel.clock import to_text
from chalicelib.kernel.facts import (
    Evidence,
    Fact,
    IdentityLinked,
    IdentityUnlinked,
    LinkClicked,
    Occurred,
    OrderPlaced,
    Responded,
    TagAdded,
    TagRemoved,
)
from chalicelib.kernel.ids import Cid
from chalicelib.kernel.windows import JST, at_local, parse_hhmm
from chalicelib.reactions import react
from chalicelib.segments.candidates import PARTS
from chalicelib.scenarios.model import EnrollmentStatus
from chalicelib.settings import settings
from tests.builders import HANAKO, MAIN, Stage
from tests.fakes.runner import Runner
from tests.rooms.journey import END, NOON, rest
from tests.rooms.memory import crashes, database, inside, look, people

NODES = {"w": rest("P9D", "e"), "e": END}


def ten(day: date) -> datetime:
    return at_local(day, parse_hhmm("10:00"))


# Events ---------------------------------------------------------------------------------------------------------------------

TRIGGERS: dict[str, dict[str, Any]] = {
    "follow": {"event": "follow"},
    "linked": {"event": "linked"},
    "unlinked": {"event": "unlinked"},
    "tagged": {"event": "tag_added", "tag": "tag_vip"},
    "untagged": {"event": "tag_removed", "tag": "tag_vip"},
    "bought": {"event": "purchase"},
    "first": {"event": "first_purchase"},
    "tea": {"event": "purchase", "product": "茶"},
    "kyoto": {"event": "purchase", "shop": "京都"},
    "dear": {"event": "purchase", "min_amount_yen": 10_000},
    "survey": {"event": "survey_answered", "name": "満足度"},
    "form": {"event": "form_submitted"},
    "booked": {"event": "reservation_made"},
    "visited": {"event": "reservation_visited"},
    "cancelled": {"event": "reservation_cancelled"},
    "custom": {"event": "custom", "name": "cart_left"},
    "clicked": {"event": "clicked", "link": "sale"},
    "asked": {"event": "message", "contains": "予約"},
    "tapped": {"event": "postback", "data": "plan=a"},
}


def line(**more: Any) -> dict[str, Any]:
    return {"account": MAIN, "line_user_id": HANAKO, **more}


def bought(**more: Any) -> tuple[Any, dict[str, Any]]:
    return OrderPlaced, {"order_no": "1", "is_first": False, "amount_yen": 500, **more}


FACTS: list[tuple[tuple[Any, dict[str, Any]], set[str]]] = [
    ((IdentityLinked, line(former_cid=Cid(9999))), {"linked"}),
    ((IdentityUnlinked, line(customer_cid=Cid(9999))), {"unlinked"}),
    ((TagAdded, {"tag_id": "tag_vip"}), {"tagged"}),
    ((TagAdded, {"tag_id": "tag_other"}), set()),
    ((TagRemoved, {"tag_id": "tag_vip"}), {"untagged"}),
    (bought(), {"bought"}),
    (bought(is_first=True, amount_yen=10_000), {"bought", "first", "dear"}),
    (bought(products=("菓子", "茶"), shop="京都"), {"bought", "tea", "kyoto"}),
    ((Occurred, {"event": "survey_answered", "name": "満足度"}), {"survey"}),
    ((Occurred, {"event": "survey_answered", "name": "来店"}), set()),
    ((Occurred, {"event": "form_submitted", "name": "資料請求"}), {"form"}),
    ((Occurred, {"event": "reservation_made", "name": "カット"}), {"booked"}),
    ((Occurred, {"event": "reservation_visited", "name": "カット"}), {"visited"}),
    ((Occurred, {"event": "reservation_cancelled", "name": "カット"}), {"cancelled"}),
    ((Occurred, {"event": "custom", "name": "cart_left"}), {"custom"}),
    ((Occurred, {"event": "custom", "name": "cart_paid"}), set()),
    ((LinkClicked, {"link_id": "sale", "source": "cmp|x|", "evidence": Evidence.PROBABLE}), {"clicked"}),
    ((Responded, line(kind="message", text="予約したい")), {"asked"}),
    ((Responded, line(kind="postback", data="plan=a")), {"tapped"}),
    ((Responded, line(kind="postback", data="plan=b")), set()),
]


def test_every_event_starts_the_scenarios_that_mean_it_and_no_other(memory: Stage) -> None:
    memory.world.tags.create("常連", tag_id="tag_vip")
    memory.world.tracking.create_link("sale", "セール", "https://shop.test/sale")
    for scenario_id, trigger in TRIGGERS.items():
        memory.scenario(scenario_id, NODES, trigger={"type": "event", **trigger})
    memory.scenario("by_hand", NODES, trigger={"type": "manual"})
    for cid, ((kind, values), expected) in enumerate(FACTS, start=1):
        people(memory, cid)
        fact: Fact = kind(fact_id=f"f{cid}", cid=Cid(cid), at=memory.clock.now(), **values)
        for _ in range(2):
            memory.world.scenario_people.on_fact(fact)
        found = memory.world.scenario_people.of(Cid(cid))
        assert {str(one.scenario_id) for one in found} == expected, fact
        assert all(one.data["at"] == to_text(fact.at) for one in found)
    memory.world.entries.by_hand("by_hand", Cid(1), "api|1")
    assert inside(memory, "by_hand") == {1}


def test_a_follow_and_a_tag_put_on_by_staff_start_their_scenarios(stage: Stage) -> None:
    tag = stage.world.tags.create("常連", tag_id="tag_vip").tag_id
    for scenario_id in ("follow", "tagged"):
        stage.scenario(scenario_id, NODES, trigger={"type": "event", **TRIGGERS[scenario_id]})
    facts = stage.world.friends.follow(MAIN, HANAKO, stage.clock.now(), event_id="1", is_unblocked=False, reply=None)
    react(facts, stage.world)
    cid = facts[0].cid
    assert {one.scenario_id for one in stage.world.scenario_people.of(cid)} == {"follow"}
    react(stage.world.tags.add(cid, tag, "staff"), stage.world)
    assert {one.scenario_id for one in stage.world.scenario_people.of(cid)} == {"follow", "tagged"}


def test_another_account_is_not_meant(memory: Stage) -> None:
    memory.scenario("mine", NODES, trigger={"type": "event", "event": "message"}, account="main")
    people(memory, 1)
    for account in ("other", "main"):
        fact = Responded(fact_id=account, cid=Cid(1), at=NOON, account=account, line_user_id=HANAKO, kind="message")  # type: ignore[arg-type]
        memory.world.scenario_people.on_fact(fact)
        assert inside(memory, "mine") == (set() if account == "other" else {1})


def test_one_failing_scenario_keeps_nobody_out_of_the_others(memory: Stage) -> None:
    for scenario_id in ("a", "b", "c"):
        memory.scenario(scenario_id, NODES, trigger={"type": "event", "event": "custom", "name": "x"})
    people(memory, 1, 2)
    walk = memory.world.engine.walk

    def fails(one: Any, *rest: Any) -> Any:
        if one.scenario_id == "a":
            raise SystemError("this scenario is broken")
        return walk(one, *rest)

    memory.world.engine.walk = fails  # type: ignore[method-assign]
    facts = [Occurred(fact_id=f"f{n}", cid=Cid(n), at=NOON, event="custom", name="x") for n in (1, 2)]
    for _ in range(2):
        with pytest.raises(SystemError):
            react(facts, memory.world)
        assert (inside(memory, "b"), inside(memory, "c")) == ({1, 2}, {1, 2})
    memory.world.engine.walk = walk  # type: ignore[method-assign]
    react(facts, memory.world)
    assert inside(memory, "a") == {1, 2}


def test_a_scenario_that_cannot_hear_keeps_nobody_out_of_another(memory: Stage) -> None:
    memory.scenario("left", NODES, trigger={"type": "manual"}, exits=[{"event": "custom", "name": "x"}])
    memory.scenario("next", NODES, trigger={"type": "event", "event": "custom", "name": "x"})
    people(memory, 1)
    memory.world.entries.by_hand("left", Cid(1), "x", NOON - timedelta(days=1))

    def fails(*_: Any) -> Any:
        raise SystemError("hard of hearing")

    memory.world.scenario_people._hearing.hear = fails  # type: ignore[method-assign]
    with pytest.raises(SystemError):
        react([Occurred(fact_id="f", cid=Cid(1), at=NOON, event="custom", name="x")], memory.world)
    assert inside(memory, "next") == {1}


# Two numbers of one person ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["friend", "customer"])
def test_of_two_runs_that_a_link_brings_together_the_later_one_ends(stage: Stage, first: str) -> None:
    stage.scenario("hello", NODES, trigger={"type": "manual"})
    stage.scenario("orders", NODES, trigger={"type": "manual"}, reentry={"mode": "always"})
    numbers = {"friend": stage.friend(), "customer": stage.customer("M1")}
    for hours, name in enumerate(sorted(numbers, key=lambda name: name != first)):
        for scenario_id in ("hello", "orders"):
            stage.world.entries.by_hand(scenario_id, numbers[name], name, stage.clock.now() + timedelta(hours=hours))
    stage.world.people.mark_merged(numbers["friend"], numbers["customer"])
    fact = IdentityLinked(
        fact_id="l", cid=numbers["customer"], at=stage.clock.now(), account=MAIN, line_user_id=HANAKO, former_cid=numbers["friend"]
    )
    for _ in range(2):
        stage.world.scenario_people.on_fact(fact)
        found = {
            (one.scenario_id, one.occurrence): (one.row.status, one.reason) for one in stage.world.scenario_people.of(fact.cid)
        }
        active = (EnrollmentStatus.ACTIVE, "")
        second = "customer" if first == "friend" else "friend"
        assert found == {
            ("hello", first): active,
            ("hello", second): (EnrollmentStatus.EXITED, "merged"),
            ("orders", "friend"): active,
            ("orders", "customer"): active,
        }


def test_what_is_told_of_a_former_number_is_heard_of_the_person_whom_he_became(stage: Stage) -> None:
    friend, customer = stage.friend(), stage.customer("M1")
    stage.scenario("hello", NODES, trigger={"type": "event", "event": "custom", "name": "x"}, exits=[{"event": "form_submitted"}])
    stage.world.people.mark_merged(friend, customer)
    for cid in (friend, customer):
        stage.world.scenario_people.on_fact(Occurred(fact_id=f"f{cid}", cid=cid, at=stage.clock.now(), event="custom", name="x"))
    (one,) = stage.world.scenario_people.of(friend)
    assert one.cid == customer
    later = stage.clock.now() + timedelta(minutes=1)
    stage.world.scenario_people.on_fact(Occurred(fact_id="out", cid=friend, at=later, event="form_submitted"))
    assert stage.world.scenario_people.current(customer) == []


# Schedules ------------------------------------------------------------------------------------------------------------------


def entered_on(stage: Stage, scenario_id: str, cid: int, days: Iterator[date]) -> list[date]:
    """Return the days on whose look a person came into a scenario."""
    found = []
    for day in days:
        look(stage, scenario_id, ten(day))
        kept = database(stage).items(settings().engine_table)
        if any(item.get("cid") == cid and item.get("entered_at") == to_text(ten(day)) for item in kept.values()):
            found.append(day)
    return found


def span(first: date, length: int) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range(length))


def test_schedules_look_at_their_instants_and_at_no_other(memory: Stage) -> None:
    schedules: dict[str, dict[str, Any]] = {
        "daily": {"at": "10:00"},
        "weekly": {"at": "12:00", "every": "week", "weekdays": ["mon", "sat"]},
        "monthly": {"at": "09:00", "every": "month", "day": 31},
        "once": {"at": "18:00", "every": "once", "on": "2026-12-24"},
    }
    people(memory, 1)
    for scenario_id, schedule in schedules.items():
        trigger = {"type": "segment", "condition": {"field": "customer.known", "is": True}, "schedule": schedule}
        memory.scenario(scenario_id, {"e": END}, trigger=trigger, reentry={"mode": "always"})
    runner = Runner(memory)
    runner.until(ten(date(2026, 12, 31)))
    seen: dict[str, list[str]] = {}
    for one in memory.world.scenario_people.of(Cid(1)):
        seen.setdefault(one.scenario_id, []).append(f"{one.entered_at.astimezone(JST):%d %H:%M}")
        assert one.row.status == EnrollmentStatus.DONE
    assert runner.failed == []
    assert {scenario_id: sorted(moments) for scenario_id, moments in seen.items()} == {
        "daily": [f"{day:02} 10:00" for day in range(2, 32)],
        "weekly": [f"{day:02} 12:00" for day in (5, 7, 12, 14, 19, 21, 26, 28)],
        "monthly": ["31 09:00"],
        "once": ["24 18:00"],
    }


@pytest.mark.parametrize(
    ("born", "offset", "expected"),
    [
        ("1990-03-01", -7, [date(2027, 2, 22), date(2028, 2, 23)]),
        ("2000-02-29", -7, [date(2027, 2, 21), date(2028, 2, 22)]),  # on the 28th where there is no 29th
        ("2000-02-29", 0, [date(2027, 2, 28), date(2028, 2, 29)]),
        ("1990-12-30", 3, [date(2027, 1, 2), date(2028, 1, 2)]),
    ],
)
def test_a_birthday_is_found_every_year_so_many_days_before_it(memory: Stage, born: str, offset: int, expected: list[date]) -> None:
    people(memory, 1, birthday=born)
    people(memory, 2)
    trigger = {"type": "date", "date": "profile.birthday", "at": "10:00", "offset_days": offset, "yearly": True}
    memory.scenario("birthday", NODES, trigger=trigger, reentry={"mode": "always"})
    days = [day for year in expected for day in span(year - timedelta(days=3), 7)]
    assert entered_on(memory, "birthday", 1, iter(days)) == expected
    assert not any(item.get("cid") == 2 for item in database(memory).items(settings().engine_table).values())


def test_a_date_of_the_companys_own_counts_once(memory: Stage) -> None:
    people(memory, 1, attributes={"wedding": "2026-12-20"})
    trigger = {"type": "date", "date": "attribute.wedding", "at": "10:00", "offset_days": -14}
    memory.scenario("wedding", NODES, trigger=trigger)
    assert entered_on(memory, "wedding", 1, span(date(2026, 12, 2), 30)) == [date(2026, 12, 6)]


def test_who_has_slept_for_so_many_days_is_found(memory: Stage) -> None:
    people(memory, 1)
    item = {"pk": "C#1", "sk": "A", "last_at": to_text(NOON), "h12": 1}
    memory.world.database.put_many(settings().core_table, [item])
    memory.scenario("sleepers", NODES, trigger={"type": "dormant", "days": 20, "at": "10:00"})
    assert entered_on(memory, "sleepers", 1, span(date(2026, 12, 2), 25)) == [date(2026, 12, 21)]


def gold(stage: Stage, *numbers: int) -> None:
    everybody = {int(pk[2:]) for pk, sk in database(stage).items(settings().core_table) if sk == "P"} | set(numbers)
    for number in everybody:
        people(stage, number, attributes={"rank": "gold" if number in numbers else "none"})


def test_who_comes_to_fulfil_a_condition_is_found_once_each_time(memory: Stage) -> None:
    condition = {"field": "attribute.rank", "is": "gold"}
    trigger = {"type": "segment", "condition": condition, "schedule": {"at": "10:00"}, "enters": True}
    memory.scenario("gold", NODES, trigger=trigger, reentry={"mode": "always"})
    looks = [(1, 2, 3), (1, 2, 3), (2, 3, 400), (1, 2), (1, 2, 3), ()]
    new = [set(), set(), {400}, {1}, {3}, set()]
    for number, (golden, expected) in enumerate(zip(looks, new, strict=True)):
        gold(memory, *golden)
        at = ten(date(2026, 12, 2) + timedelta(days=number))
        for _ in range(2):  # a tick may fire twice, and late
            look(memory, "gold", at)
            entered = {
                item["cid"]
                for item in database(memory).items(settings().engine_table).values()
                if item.get("entered_at") == to_text(at)
            }
            assert entered == expected, number
    gold(memory, 77)
    look(memory, "gold", ten(date(2026, 12, 3)))
    late = [item for item in database(memory).items(settings().engine_table).values() if item.get("cid") == 77 and "status" in item]
    assert [item["entered_at"] for item in late] == [to_text(ten(date(2026, 12, 3)))], (
        "a look that comes late sees who came meanwhile"
    )


def test_a_person_who_falls_into_another_part_of_the_scan_has_not_entered_anew(memory: Stage) -> None:
    condition = {"field": "attribute.rank", "is": "gold"}
    trigger = {"type": "segment", "condition": condition, "schedule": {"at": "10:00"}, "enters": True}
    memory.scenario("gold", NODES, trigger=trigger, reentry={"mode": "always"})
    look(memory, "gold", ten(date(2026, 12, 1)))
    gold(memory, *range(1, 40))
    look(memory, "gold", ten(date(2026, 12, 2)))
    scan = memory.world.database.scan
    memory.world.database.scan = lambda table, segment, segments: scan(table, segment=segments - 1 - segment, segments=segments)  # type: ignore[method-assign]
    look(memory, "gold", ten(date(2026, 12, 3)))
    items = database(memory).items(settings().engine_table).values()
    assert {item["entered_at"] for item in items if "entered_at" in item} == {to_text(ten(date(2026, 12, 2)))}


def test_a_look_that_never_ended_is_not_what_the_next_one_is_compared_with(memory: Stage) -> None:
    condition = {"field": "attribute.rank", "is": "gold"}
    trigger = {"type": "segment", "condition": condition, "schedule": {"at": "10:00"}, "enters": True}
    memory.scenario("gold", NODES, trigger=trigger, reentry={"mode": "always"})
    look(memory, "gold", ten(date(2026, 12, 1)))
    gold(memory, *range(1, 40))
    look(memory, "gold", ten(date(2026, 12, 2)))
    memory.world.entries.by_schedule("gold", ten(date(2026, 12, 3)), 0)
    look(memory, "gold", ten(date(2026, 12, 4)))
    items = database(memory).items(settings().engine_table).values()
    assert {item["entered_at"] for item in items if "entered_at" in item} == {to_text(ten(date(2026, 12, 2)))}


@pytest.mark.parametrize("reentry", ["never", "always"])
def test_who_is_linked_between_two_parts_of_a_look_comes_in_once(memory: Stage, reentry: str) -> None:
    """A friend has come in by the first part; a member who comes in by a later one is he by then, and the other way round."""
    condition = {"field": "attribute.rank", "is": "gold"}
    trigger = {"type": "segment", "condition": condition, "schedule": {"at": "10:00"}}
    memory.scenario("gold", NODES, trigger=trigger, reentry={"mode": reentry})
    gold(memory, *range(1, 30))
    part = {number: crc32(f"C#{number}".encode()) % PARTS for number in range(1, 30)}
    first = [number for number in part if part[number] == 0][:3]
    last = [number for number in part if part[number] == PARTS - 1][:3]
    at = ten(date(2026, 12, 5))
    assert memory.world.entries.by_schedule("gold", at, 0) == 1
    for gone, living in ((first[0], last[0]), (last[1], first[1])):
        people(memory, gone, attributes={"rank": "gold"}, merged_into=living)
        people(memory, living, attributes={"rank": "gold"}, aliases=[gone])
    number: int | None = 1
    while number is not None:
        number = memory.world.entries.by_schedule("gold", at, number)
    kept = database(memory).items(settings().engine_table)
    runs = sorted(item["cid"] for (_, sk), item in kept.items() if sk.startswith("ENR#gold#"))
    assert runs == sorted({*range(1, 30)} - {last[0], last[1]})


# Crashes --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "enters"),
    [({}, False), ({"reentry": {"mode": "after_exit", "cooldown": "PT1H"}}, False), ({"reentry": {"mode": "always"}}, True)],
)
def test_an_entry_by_schedule_that_dies_anywhere_brings_everybody_in_once(
    memory: Stage, more: dict[str, Any], enters: bool
) -> None:
    trigger = {
        "type": "segment",
        "condition": {"field": "customer.known", "is": True},
        "schedule": {"at": "10:00"},
        "enters": enters,
    }
    memory.scenario("daily", NODES, trigger=trigger, **more)
    at = ten(date(2026, 12, 5))
    before = ten(date(2026, 12, 2))
    people(memory, 1, 2, 3)
    look(memory, "daily", before)
    people(memory, 4, 5)
    ended = [one for cid in (1, 2) for one in memory.world.records.of(Cid(cid))]
    memory.world.records.end_enrollments(ended, EnrollmentStatus.DONE, "e", before, in_cohort=False)
    expected = {4, 5} if enters or not more else {1, 2, 4, 5}
    for number in crashes(memory, lambda: look(memory, "daily", at)):
        for _ in range(2):
            look(memory, "daily", at)
        kept = database(memory).items(settings().engine_table)
        runs = [item["cid"] for (_, sk), item in kept.items() if item.get("entered_at") == to_text(at) and sk.startswith("ENR#")]
        assert sorted(runs) == sorted(expected), f"death at step {number}"
        cohorts = {item["cohort"] for item in kept.values() if item.get("entered_at") == to_text(at)}
        assert all(name in memory.machines.started for name in cohorts)
        inside(memory, "daily")


def test_a_fact_that_dies_anywhere_brings_its_person_in_once_and_what_follows_is_told(memory: Stage) -> None:
    """The first scenario puts a tag on, which starts the second; whoever dies between the two tells of it again."""
    memory.world.tags.create("常連", tag_id="tag_vip")
    nodes = {"t": {"type": "action", "do": "tag_add", "tag": "tag_vip", "next": "w"}, **NODES}
    memory.scenario("first", nodes, trigger={"type": "event", "event": "custom", "name": "x"})
    memory.scenario("second", NODES, trigger={"type": "event", "event": "tag_added", "tag": "tag_vip"})
    people(memory, 1)
    fact = Occurred(fact_id="f", cid=Cid(1), at=memory.clock.now(), event="custom", name="x")
    for number in crashes(memory, lambda: react([fact], memory.world)):
        react([fact], memory.world)
        assert (inside(memory, "first"), inside(memory, "second")) == ({1}, {1}), f"death at step {number}"
        assert len(memory.world.scenario_people.of(Cid(1))) == 2


def test_the_parts_of_an_entry_are_all_looked_at(memory: Stage) -> None:
    memory.scenario(
        "all", NODES, trigger={"type": "segment", "condition": {"field": "customer.known", "is": True}, "schedule": {"at": "10:00"}}
    )
    people(memory, *range(1, 301))
    at = datetime(2026, 12, 5, 1, 0, tzinfo=UTC)
    parts = [memory.world.entries.by_schedule("all", at, part) for part in range(PARTS)]
    assert parts == [*range(1, PARTS), None]
    assert inside(memory, "all") == set(range(1, 301))
    assert len(memory.machines.started) == 1

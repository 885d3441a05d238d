"""What a fact means for those who are in a scenario: the ways out, the goal, and that a refusal is heard before all else."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.facts import Evidence, Fact, FriendBlocked, LinkClicked, Occurred, OptedOut, OrderPlaced, Responded
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.reactions import ASK_STOP, react
from chalicelib.scenarios.model import EnrollmentStatus
from chalicelib.settings import settings
from tests.builders import HANAKO, MAIN, Stage
from tests.fakes.runner import Runner
from tests.rooms.journey import END, NOON, follow, rest, say, texts
from tests.rooms.memory import crashes, database, people

NODES = {"w": rest("P9D", "e"), "e": END}
LATER = NOON + timedelta(days=1)
OTHER = AccountKey("other")


def enter(stage: Stage, scenario_id: str = "s", **more: Any) -> Cid:
    stage.scenario(scenario_id, NODES, trigger={"type": "manual"}, **more)
    people(stage, 1)
    stage.world.entries.by_hand(scenario_id, Cid(1), "api", NOON)
    return Cid(1)


def left(stage: Stage) -> str:
    """Return why the person left; empty while he is in."""
    (one,) = stage.world.scenario_people.of(Cid(1))
    assert (one.row.status == EnrollmentStatus.EXITED) == bool(one.reason)
    return str(one.reason)


def line(kind: type[Any], account: AccountKey = MAIN, **more: Any) -> Fact:
    made: Fact = kind(fact_id="f", cid=Cid(1), at=LATER, account=account, line_user_id=HANAKO, **more)
    return made


def happened(kind: type[Any], **more: Any) -> Fact:
    made: Fact = kind(**{"fact_id": "f", "cid": Cid(1), "at": LATER, **more})
    return made


@pytest.mark.parametrize(
    ("more", "fact", "reason"),
    [
        ({"exits": ["blocked"]}, line(FriendBlocked), "blocked"),
        ({"exits": ["blocked"]}, line(FriendBlocked, OTHER), "blocked"),
        ({"exits": ["blocked"], "account": "main"}, line(FriendBlocked, OTHER), ""),
        ({"exits": ["blocked"], "account": "main"}, line(FriendBlocked), "blocked"),
        ({}, line(FriendBlocked), ""),
        ({"exits": ["opted_out"]}, happened(OptedOut, channel="email"), "opted_out"),
        ({"exits": ["opted_out"]}, line(FriendBlocked), ""),
        ({"exits": ["opted_out"]}, happened(OptedOut, channel="line", at=NOON - timedelta(days=9)), "opted_out"),
        ({"exits": [{"event": "reservation_cancelled", "name": "カット"}]},
         happened(Occurred, event="reservation_cancelled", name="カット"), "reservation_cancelled"),
        ({"exits": [{"event": "reservation_cancelled", "name": "カット"}]},
         happened(Occurred, event="reservation_cancelled", name="カラー"), ""),
        ({"exits": [{"event": "reservation_cancelled"}]},
         happened(Occurred, event="reservation_cancelled", at=NOON - timedelta(days=1)), ""),
        ({"goal": {"event": "purchase", "min_amount_yen": 500}},
         happened(OrderPlaced, order_no="1", is_first=False, amount_yen=500), "goal"),
        ({"goal": {"event": "purchase", "min_amount_yen": 500}},
         happened(OrderPlaced, order_no="1", is_first=False, amount_yen=499), ""),
        ({"goal": {"event": "purchase", "window": "PT12H"}},
         happened(OrderPlaced, order_no="1", is_first=False, amount_yen=500), ""),
        ({"goal": {"event": "purchase", "exit": False}},
         happened(OrderPlaced, order_no="1", is_first=False, amount_yen=500), ""),
    ],
)  # fmt: skip
def test_a_fact_takes_a_person_out_where_the_scenario_says_so(memory: Stage, more: Any, fact: Fact, reason: str) -> None:
    enter(memory, **more)
    for _ in range(2):
        memory.world.scenario_people.on_fact(fact)
        assert left(memory) == reason


def test_a_goal_that_is_no_exit_is_noted_with_its_moment(memory: Stage) -> None:
    cid = enter(memory, goal={"event": "purchase", "exit": False})
    react([OrderPlaced(fact_id="o", cid=cid, at=LATER, order_no="1", is_first=True, amount_yen=1)], memory.world)
    (one,) = memory.world.scenario_people.of(cid)
    assert set(one.events) == {"goal"}


def test_who_no_longer_fulfils_what_the_scenario_asks_leaves_at_the_next_step(memory: Stage) -> None:
    memory.world.tags.create("新規", tag_id="tag_new")
    nodes = {
        "w": rest("P1D", "s"),
        "s": {"type": "action", "do": "score_add", "by": 1, "next": "w2"},
        "w2": rest("P1D", "e"),
        "e": END,
    }
    memory.scenario("s", nodes, trigger={"type": "manual"}, stays_while={"field": "attribute.rank", "is": "gold"})
    for cid, rank in ((1, "none"), (2, "gold")):
        people(memory, cid, attributes={"rank": rank})
        memory.world.entries.by_hand("s", Cid(cid), f"api{cid}", NOON)
    Runner(memory).days(1.5)
    found = {cid: memory.world.scenario_people.of(Cid(cid))[0] for cid in (1, 2)}
    assert (found[1].reason, found[2].row.status) == ("left_segment", EnrollmentStatus.ACTIVE)
    loaded = memory.world.customers.load([Cid(1), Cid(2)])
    assert [loaded[Cid(cid)].profile.attributes.get("score") for cid in (1, 2)] == [None, 1]


def test_an_erased_person_is_out_of_everything_and_his_ways_are_forgotten(memory: Stage) -> None:
    trigger = {"type": "event", "event": "custom", "name": "x"}
    memory.scenario("s", NODES, trigger=trigger, reentry={"mode": "after_exit", "cooldown": "PT1H"})
    memory.scenario("t", NODES, trigger={"type": "event", "event": "form_submitted"}, reentry={"mode": "always"})
    people(memory, 1)

    def tell(fact_id: str, event: str, at: datetime) -> None:
        data = {"note": "私的なこと"}
        memory.world.scenario_people.on_fact(Occurred(fact_id=fact_id, cid=Cid(1), at=at, event=event, name="x", data=data))

    tell("first", "custom", NOON)
    ones = memory.world.scenario_people.current(Cid(1))
    memory.world.records.end_enrollments(ones, EnrollmentStatus.DONE, "e", NOON, in_cohort=False)
    tell("second", "custom", LATER)
    tell("third", "form_submitted", LATER)
    assert "私的" in str(database(memory).items(settings().engine_table))
    at = LATER + timedelta(days=1)
    for number in crashes(memory, lambda: memory.world.scenario_people.erase(Cid(1), at)):
        memory.world.scenario_people.erase(Cid(1), at)
        found = memory.world.scenario_people.of(Cid(1))
        assert sorted(one.reason for one in found) == ["e", "erased", "erased"], f"death at step {number}"
        assert "私的" not in str(database(memory).items(settings().engine_table))
        assert all(one.row.status != EnrollmentStatus.ACTIVE for one in found)


def test_a_refusal_is_heard_whatever_scenario_fails(stage: Stage) -> None:
    stage.clock.set(NOON)
    stage.template("tpl_a", "a")
    nodes = {"a": say("tpl_a", "w"), "w": rest("P1D", "b"), "b": say("tpl_a", "e"), "e": END}
    stage.scenario("s", nodes, exits=["opted_out"])
    cid = follow(stage)

    def fails(*_: Any) -> Any:
        raise SystemError("hard of hearing")

    hear, stage.world.scenario_people._hearing.hear = stage.world.scenario_people._hearing.hear, fails  # type: ignore[method-assign]
    stop = Responded(fact_id="stop", cid=cid, at=LATER, account=MAIN, line_user_id=HANAKO, kind="postback", data=ASK_STOP)
    with pytest.raises(SystemError):
        react([stop], stage.world)
    assert stage.world.customers.get(cid).has_opted_out(DeliveryChannel.LINE)
    stage.world.scenario_people._hearing.hear = hear  # type: ignore[method-assign]
    react([stop], stage.world)
    assert [one.reason for one in stage.world.scenario_people.of(cid)] == ["opted_out"]
    assert texts(stage)[0] == "a"


def test_a_click_of_another_scenarios_link_answers_nothing_here(memory: Stage) -> None:
    memory.template("tpl_a", "a")
    wait = {"type": "wait_for_response", "of": "a", "timeout": "P3D", "responded": "e", "timed_out": "e"}
    memory.scenario("s", {"a": say("tpl_a", "w"), "w": wait, "e": END}, trigger={"type": "manual"})
    people(memory, 1)
    friend = {"pk": "C#1", "sk": "FR#main", "line_user_id": HANAKO, "state": "following", "display_name": "x",
              "first_seen_at": "2026-11-01T00:00:00.000Z", "state_at": "2026-11-01T00:00:00.000Z"}  # fmt: skip
    memory.world.database.put_many(settings().core_table, [friend])
    memory.world.entries.by_hand("s", Cid(1), "api", NOON)
    (one,) = memory.world.scenario_people.of(Cid(1))
    for source, node in (("scn|other|a", "w"), ("cmp|x|", "w"), ("scn|s|a", "e")):
        at = NOON + timedelta(hours=1)
        memory.world.scenario_people.on_fact(
            LinkClicked(fact_id=source, cid=Cid(1), at=at, link_id="l", source=source, evidence=Evidence.PROBABLE)
        )
        (one,) = memory.world.scenario_people.of(Cid(1))
        assert one.row.cohort.split("-")[2] == node, source

"""The people of a send, found in the lake at an instant and looked at again in the tables."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chalicelib.customers.model import DeliveryChannel
from chalicelib.entrypoints import workers
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.errors import TemporaryError
from chalicelib.kernel.ids import Cid, LineUserId
from chalicelib.lake.reader import Lake
from chalicelib.scenarios.roster import Roster
from chalicelib.segments.candidates import PARTS, Candidates, Plan, Wanted
from chalicelib.settings import settings
from tests.builders import MAIN, Stage, make_stage
from tests.lake.base_files import put_lake

REACHABLE = {"field": "line.reachable", "is": True}


@dataclass
class FakeMarks:
    asked: list[datetime] = field(default_factory=list)
    come: bool = False

    def ask(self, now: datetime) -> None:
        self.asked.append(now)

    def reached(self, asked_at: datetime) -> bool:
        return self.come and asked_at in self.asked


@pytest.fixture
def marks() -> FakeMarks:
    return FakeMarks()


@pytest.fixture
def stage(tables: str, marks: FakeMarks, monkeypatch: pytest.MonkeyPatch) -> Stage:
    """Nine friends of a company that counts as large, all of them in its lake."""
    monkeypatch.setattr("chalicelib.segments.asking.FEW", 3)
    made = make_stage()
    made.world.__dict__["marks"] = marks
    cids = [made.friend(LineUserId(f"U{n:032x}")) for n in range(9)]
    put_lake(made.files, {"customer": [person(cid) for cid in cids], "friend": [friend(cid) for cid in cids]})
    return made


def person(cid: int) -> dict[str, Any]:
    return {"cid": cid, "line_reachable": True, "known": False, "linked": False}


def friend(cid: int) -> dict[str, Any]:
    return {"account": "main", "cid": cid, "state": "following", "reachable": True}


def wanted(stage: Stage, condition: Any = REACHABLE) -> Wanted:
    return Wanted("cmp_1", condition, stage.clock.now(), MAIN)


def found(candidates: Candidates, plan: Plan | None, asked: Wanted) -> list[int]:
    assert plan is not None
    return sorted(one.cid for part in range(plan.parts) for one in candidates.find(plan, asked, part))


def test_nobody_is_found_before_the_lake_holds_everything_until_that_instant(stage: Stage, marks: FakeMarks) -> None:
    candidates, now = stage.world.candidates, stage.clock.now()
    assert candidates.plan(wanted(stage), now) is None
    assert candidates.plan(wanted(stage), now + timedelta(seconds=10)) is None
    assert marks.asked == [now]
    marks.come = True
    plan = candidates.plan(wanted(stage), now + timedelta(seconds=20))
    assert plan == Plan("cmp_1", PARTS, from_lake=True)
    assert found(candidates, plan, wanted(stage)) == list(range(1, 10))
    note = json.loads(stage.files.kept["lake/audience/cmp_1.json"])
    assert (note["count"], note["about"]["condition"], note["about"]["account"]) == (9, REACHABLE, "main")


def test_a_lake_that_does_not_come_holds_no_send_up(stage: Stage, marks: FakeMarks) -> None:
    candidates, now = stage.world.candidates, stage.clock.now()
    assert candidates.plan(wanted(stage), now) is None
    plan = candidates.plan(wanted(stage), now + timedelta(minutes=11))
    assert plan == Plan("cmp_1", PARTS, from_lake=False)
    assert found(candidates, plan, wanted(stage)) == list(range(1, 10))
    marks.come = True  # what was decided stays
    assert candidates.plan(wanted(stage), now + timedelta(minutes=12)) == plan


def test_a_condition_that_the_lake_cannot_answer_in_time_is_answered_by_the_tables(stage: Stage, marks: FakeMarks) -> None:
    candidates, now = stage.world.candidates, stage.clock.now()
    marks.come = True
    questions = stage.world.questions
    questions._patience_seconds = 0.5
    questions._answers = {**questions._answers, "audience": lambda lake, _: _endless(lake)}
    assert candidates.plan(wanted(stage), now) is None
    plan = candidates.plan(wanted(stage), now + timedelta(seconds=1))
    assert plan == Plan("cmp_1", PARTS, from_lake=False)
    assert found(candidates, plan, wanted(stage)) == list(range(1, 10))


@pytest.mark.parametrize("fails", ["counts", "audience"])
def test_a_lake_that_cannot_be_asked_holds_no_send_up(stage: Stage, marks: FakeMarks, fails: str) -> None:
    candidates, now, questions = stage.world.candidates, stage.clock.now(), stage.world.questions

    def breaks(_lake: Lake, _question: Any) -> dict[str, Any]:
        raise TemporaryError("the lake could not be asked")

    questions._answers = {**questions._answers, fails: breaks}
    marks.come = fails == "audience"
    for seconds in (0, 10, 599):
        assert candidates.plan(wanted(stage), now + timedelta(seconds=seconds)) is None
    plan = candidates.plan(wanted(stage), now + timedelta(minutes=11))
    assert plan == Plan("cmp_1", PARTS, from_lake=False)
    assert found(candidates, plan, wanted(stage)) == list(range(1, 10))


def _endless(lake: Lake) -> dict[str, Any]:
    tables = ", ".join(f"range(100000) t{n}(c{n})" for n in range(4))
    return {"count": lake.connection.execute(f"SELECT count(*) FROM {tables} WHERE hash(c0, c1, c2, c3) = 1").fetchone()}


def test_without_a_lake_or_with_few_people_the_tables_are_walked_at_once(
    stage: Stage, marks: FakeMarks, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = Plan("cmp_1", PARTS, from_lake=False)
    monkeypatch.setattr("chalicelib.segments.asking.FEW", 100_000)
    assert stage.world.candidates.plan(wanted(stage), stage.clock.now()) == tables
    monkeypatch.setattr("chalicelib.segments.asking.FEW", 3)
    assert stage.world.candidates.plan(wanted(stage), stage.clock.now()) == tables  # so it was at the first part
    stage.files.kept.clear()
    assert stage.world.candidates.plan(wanted(stage), stage.clock.now()) == tables
    assert marks.asked == []


def test_whoever_the_lake_names_is_looked_at_again(stage: Stage, marks: FakeMarks) -> None:
    marks.come = True
    candidates, now = stage.world.candidates, stage.clock.now()
    candidates.plan(wanted(stage), now)
    plan = candidates.plan(wanted(stage), now)
    stage.world.friends.block(MAIN, LineUserId(f"U{4:032x}"), now + timedelta(seconds=1), event_id="b")
    assert found(candidates, plan, wanted(stage)) == [1, 2, 3, 4, 6, 7, 8, 9]


def test_an_address_that_was_refused_since_is_left_out_where_the_condition_asks_for_it(stage: Stage, marks: FakeMarks) -> None:
    marks.come = True
    cids = [stage.customer(f"M{n}", email=f"{n}@x.test") for n in range(3)]
    put_lake(stage.files, {"customer": [{**person(cid), "email_reachable": True} for cid in cids]})
    asked = Wanted("cmp_mail", {"field": "email.reachable", "is": True}, stage.clock.now(), None)
    for _ in range(2):
        plan = stage.world.candidates.plan(asked, stage.clock.now())
    assert plan is not None and plan.from_lake
    stage.world.customers.suppress(DeliveryChannel.EMAIL, "1@x.test", "bounce")
    assert found(stage.world.candidates, plan, asked) == [cids[0], cids[2]]


def test_who_was_linked_meanwhile_comes_once_under_the_number_that_lives(stage: Stage, marks: FakeMarks) -> None:
    marks.come = True
    candidates, now = stage.world.candidates, stage.clock.now()
    candidates.plan(wanted(stage), now)
    plan = candidates.plan(wanted(stage), now)
    member = stage.customer("M1")  # is in no audience by himself
    for number, into in ((0, member), (1, 3)):
        row = stage.world.friends.get(MAIN, LineUserId(f"U{number:032x}"))
        stage.world.people.mark_merged(row.cid, into)
        if into == member:
            stage.world.friends.move(row, into)
    assert plan is not None
    assert set(found(candidates, plan, wanted(stage))) == {3, 4, 5, 6, 7, 8, 9, member}
    assert [one.cid for one in candidates.find(replace(plan, parts=1), wanted(stage), 0)].count(3) == 1


@pytest.mark.parametrize("is_moved", [True, False], ids=["after the link", "while the link is made"])
def test_who_is_linked_between_two_parts_of_the_tables_is_found(stage: Stage, is_moved: bool) -> None:
    friends = {Cid(number): _part_of(stage, Cid(number)) for number in range(1, 10)}
    friend = max(friends, key=lambda cid: friends[cid])
    member = next(cid for n in range(50) if _part_of(stage, cid := stage.customer(f"M{n}")) < friends[friend])
    candidates, plan = stage.world.candidates, Plan("cmp_1", PARTS, from_lake=False)
    parts = [[one.cid for one in candidates.find(plan, wanted(stage), part)] for part in range(friends[friend])]
    assert member not in {cid for part in parts for cid in part}
    row = stage.world.friends.of(friend, MAIN)
    assert row is not None
    stage.world.people.mark_merged(friend, member)
    if is_moved:
        stage.world.friends.move(row, member)
    rest = [one.cid for part in range(friends[friend], PARTS) for one in candidates.find(plan, wanted(stage), part)]
    assert rest.count(member) == 1 and friend not in rest
    assert {*rest, *(cid for part in parts for cid in part)} == {*friends, member} - {friend}


def _part_of(stage: Stage, cid: Cid) -> int:
    scan = stage.world.database.scan
    return next(
        part
        for part in range(PARTS)
        if any(item["pk"] == f"C#{cid}" for item in scan(settings().core_table, segment=part, segments=PARTS))
    )


def test_who_did_not_fit_in_his_part_of_the_audience_and_does_by_a_link_is_found(stage: Stage, marks: FakeMarks) -> None:
    marks.come = True
    member = stage.customer("M1")  # a friend by the lake, and none any more
    assert member % PARTS == 2
    cids = [*range(1, 10), int(member)]
    put_lake(stage.files, {"customer": [person(cid) for cid in cids], "friend": [friend(cid) for cid in cids]})
    candidates, now = stage.world.candidates, stage.clock.now()
    candidates.plan(wanted(stage), now)
    plan = candidates.plan(wanted(stage), now)
    assert plan is not None and plan.from_lake
    assert [one.cid for one in candidates.find(plan, wanted(stage), 2)] == [2, 6]
    row = stage.world.friends.of(Cid(3), MAIN)
    assert row is not None
    stage.world.people.mark_merged(Cid(3), member)
    assert [one.cid for one in candidates.find(plan, wanted(stage), 3)] == [member, 7]  # his friendship has yet to be moved
    stage.world.friends.move(row, member)
    assert [one.cid for one in candidates.find(plan, wanted(stage), 3)] == [member, 7]


def test_a_campaign_waits_for_the_lake_and_reaches_exactly_its_audience_once(stage: Stage, marks: FakeMarks) -> None:
    stage.template()
    campaign = stage.world.campaigns.create("新作", DeliveryChannel.LINE, "tpl_hello", {"all": []}, account="main")
    _, steps = stage.world.campaigns.schedule(campaign.campaign_id, None)
    enqueue(steps, stage.world)
    waited = 0
    while stage.work.messages:
        step = json.loads(stage.work.messages.pop(0)[0])
        waited += "delay_seconds" in step
        marks.come = waited > 2
        enqueue(workers.do(step, stage.world), stage.world)
    assert waited == 3
    assert stage.world.campaigns.get(campaign.campaign_id).state == "sent"
    report = stage.world.campaigns.report(campaign.campaign_id)
    assert (report.audience, report.sent, report.waiting) == (9, 9, 0)
    assert stage.world.campaigns.estimate(campaign.campaign_id) == 9


def test_a_scenario_waits_for_the_lake_and_brings_in_whoever_it_names(stage: Stage, marks: FakeMarks) -> None:
    stage.template()
    hello = {"type": "send", "channel": "line", "template": "tpl_hello", "next": "done"}
    nodes = {"hello": hello, "done": {"type": "end"}}
    trigger = {"type": "segment", "condition": REACHABLE, "schedule": {"at": "10:00"}}
    stage.scenario("daily", nodes, trigger=trigger)
    step = {"op": "scenario_entry", "scenario_id": "daily", "at": "2026-11-23T01:00:00.000Z", "part": 0}
    (again,) = workers.do(step, stage.world)
    assert again == {**step, "version": 1, "delay_seconds": 10}
    marks.come = True
    parts = []
    while steps := workers.do(again, stage.world):
        (again,) = steps
        parts.append(again["part"])
        assert "delay_seconds" not in again
    assert parts == [1, 2, 3]


def test_of_two_who_decide_at_once_the_first_decides_for_all_parts(stage: Stage, marks: FakeMarks) -> None:
    candidates, now = stage.world.candidates, stage.clock.now()
    marks.come = True
    assert candidates.plan(wanted(stage), now) is None
    slow = candidates._decided("cmp_1")
    plan = candidates.plan(wanted(stage), now)
    assert plan is not None and plan.from_lake
    late = candidates._decide("cmp_1", {"parts": PARTS, "from_lake": False}, slow[1])
    assert late["from_lake"] and candidates.plan(wanted(stage), now) == plan


def test_an_audience_is_taken_from_no_older_lake_than_the_marks_have_seen(stage: Stage, marks: FakeMarks) -> None:
    candidates, now = stage.world.candidates, stage.clock.now()
    reader = stage.world.questions._reader
    reader._monotonic = lambda: 0.0  # no time passes: whoever asked a moment ago has read an older manifest
    assert candidates.plan(wanted(stage), now) is None
    late = stage.friend(LineUserId("U" + "f" * 32))
    cids = [*range(1, 10), int(late)]
    put_lake(stage.files, {"customer": [person(cid) for cid in cids], "friend": [friend(cid) for cid in cids]})
    marks.come = True
    plan = candidates.plan(wanted(stage), now)
    assert found(candidates, plan, wanted(stage)) == cids


def test_a_look_that_lacks_a_part_is_none_and_who_was_linked_has_not_come_in(stage: Stage) -> None:
    def look(day: int, parts: dict[int, list[int]], of: int) -> None:
        for part, cids in parts.items():
            roster = Roster(stage.files, "x", datetime(2026, 12, day, tzinfo=UTC), part, of)
            for cid in cids:
                roster.saw(Cid(cid))
            roster.keep()

    look(1, {0: [7], 1: [8]}, 2)
    look(2, {1: [9]}, 2)  # its first part is missing
    today = Roster(stage.files, "x", datetime(2026, 12, 3, tzinfo=UTC), 0, 1)
    assert [today.saw(Cid(7)), today.saw(Cid(9)), today.saw(Cid(20), [Cid(8)]), today.saw(Cid(21), [Cid(22)])] == [
        False,
        True,
        False,
        True,
    ]


def test_marks_are_asked_for_again_while_they_do_not_come_and_the_first_ones_still_count(stage: Stage, marks: FakeMarks) -> None:
    """Another send at the same moment has written over some of the marks, with an instant before ours."""
    candidates, now = stage.world.candidates, stage.clock.now()
    for seconds in range(0, 130, 10):
        assert candidates.plan(wanted(stage), now + timedelta(seconds=seconds)) is None
    assert marks.asked == [now + timedelta(minutes=minutes) for minutes in (0, 1, 2)]
    marks.come = True
    plan = candidates.plan(wanted(stage), now + timedelta(seconds=130))
    assert plan is not None and plan.from_lake


@pytest.mark.parametrize("is_there", [True, False], ids=["from the lake", "through the tables"])
def test_many_people_are_looked_through_in_as_many_parts_as_a_step_each_can_do(
    stage: Stage, marks: FakeMarks, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    monkeypatch.setattr("chalicelib.segments.candidates.A_PART", 2)
    candidates, now = stage.world.candidates, stage.clock.now()
    marks.come = is_there
    candidates.plan(wanted(stage), now)
    plan = candidates.plan(wanted(stage), now if is_there else now + timedelta(minutes=11))
    numbers = 9 if is_there else stage.world.people.highest()
    assert plan == Plan("cmp_1", -(-numbers // 2), from_lake=is_there)
    stage.customer("M1")  # a company that grows meanwhile: its parts stay
    for number in range(20):
        stage.friend(LineUserId(f"U{number + 100:032x}"))
    assert candidates.plan(wanted(stage), now) == plan
    assert set(range(1, 10)) <= set(found(candidates, plan, wanted(stage)))


def test_a_part_whose_step_ends_half_way_begins_anew(stage: Stage, marks: FakeMarks) -> None:
    stage.template()
    campaign = stage.world.campaigns.create("新作", DeliveryChannel.LINE, "tpl_hello", {"all": []}, account="main")
    _, steps = stage.world.campaigns.schedule(campaign.campaign_id, None)
    enqueue(steps, stage.world)
    marks.come = True
    load, calls = stage.world.segments.load, [0]

    def dies(*given: Any, **more: Any) -> Any:
        calls[0] += 1
        if calls[0] in (2, 4):
            raise TimeoutError
        return load(*given, **more)

    stage.world.segments.load = dies  # type: ignore[method-assign]
    while stage.work.messages:
        body = stage.work.messages.pop(0)[0]
        try:
            enqueue(workers.do(json.loads(body), stage.world), stage.world)
        except TimeoutError:
            stage.work.put(body, {})
    report = stage.world.campaigns.report(campaign.campaign_id)
    assert (report.audience, report.sent, report.waiting) == (9, 9, 0)

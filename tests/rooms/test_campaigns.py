"""Campaigns: whoever is meant gets it once, whatever fires twice, dies half way or runs out of messages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import chalicelib.campaigns.service as campaigns_module
from chalicelib.campaigns import table
from chalicelib.campaigns.model import CampaignState
from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.model import Cap, Limits
from chalicelib.entrypoints import workers
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.errors import ConflictError, QuotaExceededError, TemporaryError
from chalicelib.kernel.ids import Cid
from chalicelib.people.model import AUDIENCE_SHARDS
from chalicelib.segments.candidates import PARTS, Plan, Wanted
from chalicelib.segments.model import Person
from chalicelib.settings import settings
from tests.builders import HANAKO, MAIN, Stage
from tests.fakes.runner import Runner

NOON = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
EVERYBODY = {"all": []}


@pytest.fixture
def runner(stage: Stage) -> Runner:
    stage.clock.set(NOON)
    stage.template("tpl_news", "news")
    return Runner(stage)


def crowd(stage: Stage, numbers: range) -> list[Cid]:
    """Enter many friends at once."""
    items = [
        {
            "pk": f"C#{n}", "sk": "FR#main", "line_user_id": f"U{n:032x}", "state": "following",
            "first_seen_at": "2026-11-01T00:00:00.000Z", "state_at": "2026-11-01T00:00:00.000Z", "display_name": "x",
        }
        for n in numbers
    ]  # fmt: skip
    stage.world.database.put_many(settings().core_table, items)
    return [Cid(n) for n in numbers]


def campaign(stage: Stage, send_at: datetime | None = None, condition: Any = EVERYBODY, **more: Any) -> str:
    made = stage.world.campaigns.create("news", DeliveryChannel.LINE, "tpl_news", condition, **more)
    _, steps = stage.world.campaigns.schedule(made.campaign_id, send_at)
    enqueue(steps, stage.world)
    return made.campaign_id


def received(stage: Stage) -> Counter[str]:
    found: Counter[str] = Counter()
    for _, body, _ in stage.line.sent:
        found.update(body["to"] if isinstance(body["to"], list) else [body["to"]])
    return found


def state(stage: Stage, campaign_id: str) -> CampaignState:
    return stage.world.campaigns.get(campaign_id).state


def test_a_campaign_to_a_tag_reaches_those_who_carry_it(stage: Stage, runner: Runner) -> None:
    cids = crowd(stage, range(1000, 1010))
    tag = stage.world.tags.create("vip").tag_id
    for cid in cids[:3]:
        stage.world.tags.add(cid, tag, "test")
    campaign_id = campaign(stage, condition={"tag": tag})
    runner.days(0.01)
    assert received(stage) == {f"U{cid:032x}": 1 for cid in cids[:3]}
    assert state(stage, campaign_id) is CampaignState.SENT


@pytest.mark.parametrize("first", [False, True])
def test_who_is_linked_after_the_audience_was_frozen_gets_it_once(stage: Stage, runner: Runner, first: bool) -> None:
    """first: whether the member's row, under which he was no friend yet, was looked at before the link."""
    friend = stage.friend()
    member = stage.customer("M1")
    made = stage.world.campaigns.create("news", DeliveryChannel.LINE, "tpl_news", EVERYBODY)
    campaigns = stage.world.campaigns
    _, steps = campaigns.schedule(made.campaign_id, None)
    while steps[0]["op"] != "campaign_page":
        steps = workers.do(steps[0], stage.world)
    table.freeze(stage.world.database, campaigns.get(made.campaign_id), [member])  # as a part does that comes to him after the link
    shards = {cid: cid % AUDIENCE_SHARDS for cid in (friend, member)}
    if first:
        campaigns.send_page(made.campaign_id, shards[member], "")
    found = stage.world.friends.get(MAIN, HANAKO)
    stage.world.people.mark_merged(friend, member)
    stage.world.friends.move(found, member)
    for step in reversed(steps) if shards[friend] < shards[member] else steps:
        workers.do(step, stage.world)
        workers.do(step, stage.world)
    assert received(stage) == {HANAKO: 1}


def test_a_scheduled_campaign_leaves_at_its_time_and_not_before(stage: Stage, runner: Runner) -> None:
    crowd(stage, range(1000, 1005))
    campaign(stage, NOON + timedelta(hours=5))
    runner.days(4.9 / 24)
    assert received(stage) == {}
    runner.days(0.2 / 24)
    assert set(received(stage).values()) == {1}


def test_everything_may_fire_twice(stage: Stage, runner: Runner) -> None:
    crowd(stage, range(1000, 1020))
    campaign_id = campaign(stage)
    put = stage.work.put

    def twice(body: str, attributes: dict[str, str], delay_seconds: int = 0) -> None:
        put(body, attributes)
        if body not in seen:
            seen.add(body)
            put(body, attributes)

    seen: set[str] = set()
    stage.work.put = twice  # type: ignore[method-assign]
    workers.tick({"kind": "campaign", "campaign_id": campaign_id}, stage.world)
    # As the door does it: a step that fails comes again.
    for _ in range(500):
        if not stage.work.messages:
            break
        body, attributes = stage.work.messages.pop(0)
        answer = workers.handle({"Records": [{"messageId": "m", "body": body}]}, stage.world)
        if answer["batchItemFailures"]:
            stage.work.messages.append((body, attributes))
    assert (len(received(stage)), set(received(stage).values())) == (20, {1})
    assert state(stage, campaign_id) is CampaignState.SENT


class Crash(BaseException):
    """The process dies: nothing may catch it."""


def test_a_crash_before_any_write_loses_and_doubles_nobody(stage: Stage, runner: Runner) -> None:
    """Every step of the queue dies at a point that moves on with each try, and SQS brings it again."""
    cids = crowd(stage, range(1000, 1024))
    campaign_id = campaign(stage)
    database = stage.world.database
    real = {name: getattr(database, name) for name in ("execute", "put_many")}
    left = [0]

    def dying(name: str) -> Any:
        def call(*args: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                raise Crash
            return real[name](*args)

        return call

    for name in real:
        setattr(database, name, dying(name))
    put = stage.work.put
    stage.work.put = lambda *args, **more: (_ for _ in ()).throw(Crash) if left[0] == 1 else put(*args, **more)  # type: ignore[method-assign,misc]
    tries = 0
    while stage.work.messages:
        body, attributes = stage.work.messages.pop(0)
        for left[0] in range(1, 40):
            tries += 1
            try:
                enqueue(workers.do(json.loads(body), stage.world), stage.world)
                break
            except Crash:
                continue
        else:
            pytest.fail(f"{body} never ends")
    assert tries > 60
    assert received(stage) == {f"U{cid:032x}": 1 for cid in cids}
    assert state(stage, campaign_id) is CampaignState.SENT


def test_a_crash_before_the_first_pages_are_queued_does_not_strand_the_campaign(stage: Stage, runner: Runner) -> None:
    crowd(stage, range(1000, 1010))
    campaign_id = campaign(stage)
    stage.work.messages.clear()
    stage.world.campaigns.start(campaign_id)
    for part in range(4):
        stage.world.campaigns.freeze(campaign_id, part)  # its last answer is lost
    enqueue(stage.world.campaigns.freeze(campaign_id, 3), stage.world)
    runner.days(0.01)
    assert set(received(stage).values()) == {1}
    assert state(stage, campaign_id) is CampaignState.SENT


def test_a_campaign_called_off_before_its_time_reaches_nobody(stage: Stage, runner: Runner) -> None:
    crowd(stage, range(1000, 1005))
    campaign_id = campaign(stage, NOON + timedelta(hours=1))
    stage.world.campaigns.cancel(campaign_id)
    workers.tick({"kind": "campaign", "campaign_id": campaign_id}, stage.world)
    runner.days(1)
    assert received(stage) == {}
    with pytest.raises(ConflictError):
        stage.world.campaigns.cancel(campaign_id)


def test_calling_off_half_way_stops_what_has_not_been_claimed_and_stays_called_off(stage: Stage, runner: Runner) -> None:
    crowd(stage, range(1000, 1016))
    campaign_id = campaign(stage)
    send, sent = stage.line.send, [0]

    def and_cancel(*args: Any, **more: Any) -> Any:
        sent[0] += 1
        if sent[0] == 3:
            stage.world.campaigns.cancel(campaign_id)
        return send(*args, **more)

    stage.line.send = and_cancel  # type: ignore[method-assign]
    runner.days(0.01)
    assert len(stage.line.sent) == 3
    assert state(stage, campaign_id) is CampaignState.CANCELLED


@pytest.mark.parametrize("accepted", [0, 1, 3])
def test_used_up_messages_park_it_and_resuming_reaches_the_rest_once(stage: Stage, runner: Runner, accepted: int) -> None:
    cids = crowd(stage, range(1000, 1032))
    campaign_id = campaign(stage)
    stage.line.problems = [*[None] * accepted, *[QuotaExceededError("You have reached your monthly limit.")] * 50]
    runner.days(1)
    assert state(stage, campaign_id) is CampaignState.PARKED
    stage.line.problems = []
    stage.clock.advance(days=20)
    _, steps = stage.world.campaigns.resume(campaign_id)
    enqueue(steps, stage.world)
    runner.days(1)
    assert received(stage) == {f"U{cid:032x}": 1 for cid in cids}
    assert state(stage, campaign_id) is CampaignState.SENT


def test_who_opts_out_while_it_is_parked_gets_nothing_although_his_batch_was_frozen(stage: Stage, runner: Runner) -> None:
    cids = crowd(stage, range(1000, 1032))
    campaign_id = campaign(stage)
    stage.line.problems = [QuotaExceededError("You have reached your monthly limit.")] * 50
    runner.days(1)
    stage.line.problems = []
    frozen = stage.world.ledger.open_batches(stage.clock.now())
    assert frozen
    for cid in cids[:16]:
        stage.world.customers.set_consent(cid, DeliveryChannel.LINE, opted_out=True, source="phone")
    _, steps = stage.world.campaigns.resume(campaign_id)
    enqueue(steps, stage.world)
    runner.days(1)
    assert received(stage) == {f"U{cid:032x}": 1 for cid in cids[16:]}


def test_outside_its_hours_a_campaign_waits_for_the_morning(stage: Stage, runner: Runner) -> None:
    crowd(stage, range(1000, 1010))
    stage.clock.set(datetime(2026, 12, 1, 14, 0, tzinfo=UTC))  # 23:00 in Japan
    campaign_id = campaign(stage, window=("09:00", "21:00"))
    runner.until(datetime(2026, 12, 1, 23, 59, tzinfo=UTC))
    assert received(stage) == {}
    runner.until(datetime(2026, 12, 2, 0, 5, tzinfo=UTC))
    assert (len(received(stage)), set(received(stage).values())) == (10, {1})
    assert state(stage, campaign_id) is CampaignState.SENT


def test_who_is_over_his_cap_waits_for_himself_and_nobody_else(
    stage: Stage, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaigns_module, "PAGE", 2)
    crowd(stage, range(1000, 1064))
    stage.world.caps.set_limits(Limits((Cap("all", 1, timedelta(days=7), "delay"),)))
    stage.world.tags.create("first", tag_id="tag_first")
    for cid in (1000, 1008, 1016):
        stage.world.tags.add(Cid(cid), "tag_first", "test")
    first = campaign(stage, condition={"tag": "tag_first"})
    runner.days(1)
    second = campaign(stage)
    runner.days(1)
    assert (state(stage, first), state(stage, second)) == (CampaignState.SENT, CampaignState.SENDING)
    assert (len(received(stage)), set(received(stage).values())) == (64, {1})
    report = stage.world.campaigns.report(second)
    assert (report.sent, report.waiting) == (61, 3)
    runner.days(6)
    assert [count for _, count in sorted(received(stage).items())].count(2) == 3
    assert state(stage, second) is CampaignState.SENT


def test_being_throttled_for_long_uses_up_none_of_the_queues_tries(stage: Stage) -> None:
    stage.clock.set(NOON)
    stage.template("tpl_mail", "mail", channel="email")
    for n in range(30):
        stage.customer(f"m{n}", email=f"{n}@x.test")
    made = stage.world.campaigns.create("mail", DeliveryChannel.EMAIL, "tpl_mail", EVERYBODY)
    enqueue(stage.world.campaigns.schedule(made.campaign_id, None)[1], stage.world)
    pauses: list[float] = []
    stage.world.delivery._senders._sleep = pauses.append
    stage.email.problems = [None, *[TemporaryError("SES", retry_after_seconds=1.0)] * 40]
    while stage.work.messages:
        body, _ = stage.work.messages.pop(0)
        answer = workers.handle({"Records": [{"messageId": "m", "body": body}]}, stage.world)
        assert answer == {"batchItemFailures": []}
    assert sorted(email.to for email in stage.email.sent) == sorted(f"{n}@x.test" for n in range(30))
    assert len(pauses) >= 30
    assert state(stage, made.campaign_id) is CampaignState.SENT


def test_the_days_emails_being_used_up_parks_it(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_mail", "mail", channel="email")
    for n in range(3):
        stage.customer(f"m{n}", email=f"{n}@x.test")
    made = stage.world.campaigns.create("mail", DeliveryChannel.EMAIL, "tpl_mail", EVERYBODY)
    enqueue(stage.world.campaigns.schedule(made.campaign_id, None)[1], stage.world)
    stage.email.problems = [None, QuotaExceededError("SendEmail: the day's e-mails are used up")]
    runner.days(0.1)
    assert state(stage, made.campaign_id) is CampaignState.PARKED
    runner.days(1)
    enqueue(stage.world.campaigns.resume(made.campaign_id)[1], stage.world)
    runner.days(1)
    assert sorted(email.to for email in stage.email.sent) == ["0@x.test", "1@x.test", "2@x.test"]
    assert state(stage, made.campaign_id) is CampaignState.SENT


def test_the_report_says_what_an_independent_count_says(stage: Stage, runner: Runner) -> None:
    cids = crowd(stage, range(1000, 1040))
    campaign_id = campaign(stage, NOON + timedelta(hours=1))
    workers.do({"op": "campaign_start", "campaign_id": campaign_id}, stage.world)
    for part in range(4):
        last = stage.world.campaigns.freeze(campaign_id, part)
    for cid in cids[:5]:
        stage.world.customers.set_consent(cid, DeliveryChannel.LINE, opted_out=True, source="phone")
    stage.world.database.put_many(
        settings().core_table,
        [{"pk": f"C#{cid}", "sk": "FR#main", "line_user_id": f"U{cid:032x}", "state": "blocked", "first_seen_at": "2026-11-01T00:00:00.000Z"} for cid in cids[5:8]],
    )  # fmt: skip
    enqueue(last, stage.world)
    runner.days(1)
    report = stage.world.campaigns.report(campaign_id)
    assert (report.audience, report.sent, report.waiting) == (40, len(received(stage)), 0)
    assert (report.sent, report.skipped) == (32, {"opted_out": 5, "blocked": 3})


def test_a_shard_of_several_pages_reaches_everybody_once_in_spite_of_time_outs(stage: Stage, runner: Runner) -> None:
    crowd(stage, range(8000, 16000, 8))
    campaign_id = campaign(stage)
    stage.line.problems = [None, TemporaryError("time-out", maybe_done=True)]
    while stage.work.messages:
        body, attributes = stage.work.messages.pop(0)
        if workers.handle({"Records": [{"messageId": "m", "body": body}]}, stage.world)["batchItemFailures"]:
            stage.work.messages.append((body, attributes))
    assert (len(received(stage)), set(received(stage).values())) == (1000, {1})
    assert len(stage.line.sent) == 2
    assert state(stage, campaign_id) is CampaignState.SENT


def test_a_campaign_whose_schedule_was_never_armed_is_found_by_the_reconciler(stage: Stage, runner: Runner) -> None:
    crowd(stage, range(1000, 1010))
    campaign_id = campaign(stage, NOON + timedelta(hours=1))
    stage.schedules.armed.clear()
    runner.until(NOON + timedelta(minutes=65))
    workers.tick({"kind": "reconcile"}, stage.world)
    runner.until(NOON + timedelta(minutes=66))
    assert state(stage, campaign_id) is CampaignState.SCHEDULED  # it may just be under way
    runner.until(NOON + timedelta(minutes=71))
    workers.tick({"kind": "reconcile"}, stage.world)
    workers.tick({"kind": "reconcile"}, stage.world)
    runner.until(NOON + timedelta(minutes=72))
    assert (len(received(stage)), set(received(stage).values())) == (10, {1})
    assert state(stage, campaign_id) is CampaignState.SENT


@pytest.mark.parametrize("parts", [1, 4], ids=["while freezing", "while sending"])
def test_a_campaign_whose_steps_were_lost_goes_on_by_the_reconciler(stage: Stage, runner: Runner, parts: int) -> None:
    crowd(stage, range(1000, 1010))
    campaign_id = campaign(stage)
    stage.work.messages.clear()
    stage.world.campaigns.start(campaign_id)
    for part in range(parts):
        stage.world.campaigns.freeze(campaign_id, part)
    runner.until(NOON + timedelta(hours=3))
    assert received(stage) == {}
    workers.tick({"kind": "reconcile"}, stage.world)
    runner.until(NOON + timedelta(hours=3, minutes=1))
    assert (len(received(stage)), set(received(stage).values())) == (10, {1})
    assert state(stage, campaign_id) is CampaignState.SENT


def test_a_part_that_comes_again_and_finds_fewer_ends_nothing_before_everybody_has_it(stage: Stage, runner: Runner) -> None:
    cids = crowd(stage, range(1000, 1010))
    stage.world.caps.set_limits(Limits((Cap("all", 1, timedelta(days=7), "delay"),)))
    stage.world.tags.create("first", tag_id="tag_first")
    stage.world.tags.add(cids[0], "tag_first", "test")
    campaign(stage, condition={"tag": "tag_first"})
    runner.days(0.1)
    made = campaign(stage)
    stage.work.messages.clear()
    stage.world.campaigns.start(made)
    for part in range(PARTS - 1):
        stage.world.campaigns.freeze(made, part)
    left = next(cid for cid in cids[1:] if table.notes(stage.world.database, made, f"AUDIENCE#{part_of(stage, cid)}"))
    blocked = {"line_user_id": f"U{left:032x}", "state": "blocked", "first_seen_at": "2026-11-01T00:00:00.000Z"}
    stage.world.database.put_many(settings().core_table, [{"pk": f"C#{left}", "sk": "FR#main", **blocked}])
    stage.world.campaigns.freeze(made, part_of(stage, left))
    enqueue(stage.world.campaigns.freeze(made, PARTS - 1), stage.world)
    runner.days(1)
    report = stage.world.campaigns.report(made)
    assert (report.audience, report.sent, report.skipped, report.waiting) == (10, 8, {"blocked": 1}, 1)
    assert state(stage, made) is CampaignState.SENDING
    runner.days(7)
    assert (state(stage, made), stage.world.campaigns.report(made).waiting) == (CampaignState.SENT, 0)


def part_of(stage: Stage, cid: Cid) -> int:
    def is_in(part: int) -> bool:
        items = stage.world.database.scan(settings().core_table, segment=part, segments=PARTS)
        return any(item["pk"] == f"C#{cid}" for item in items)

    return next(part for part in range(PARTS) if is_in(part))


def test_who_is_found_in_two_parts_because_of_a_link_counts_once_and_the_campaign_ends(stage: Stage, runner: Runner) -> None:
    stage.template("tpl_mail", "mail", channel="email")
    made = stage.world.campaigns.create("mail", DeliveryChannel.EMAIL, "tpl_mail", EVERYBODY)
    friends = crowd(stage, range(1000, 1020))
    member = next(cid for n in range(50) if part_of(stage, cid := stage.customer(f"m{n}", email=f"{n}@x.test")) == 0)
    friend = next(cid for cid in friends if part_of(stage, cid) > 0)
    stage.world.campaigns.schedule(made.campaign_id, None)
    stage.world.campaigns.start(made.campaign_id)
    stage.world.campaigns.freeze(made.campaign_id, 0)
    stage.world.people.mark_merged(friend, member)
    for part in range(1, PARTS):
        last = stage.world.campaigns.freeze(made.campaign_id, part)
    enqueue(last, stage.world)
    runner.days(0.1)
    report = stage.world.campaigns.report(made.campaign_id)
    assert report.audience == report.sent == len(stage.email.sent) == len({email.to for email in stage.email.sent})
    assert state(stage, made.campaign_id) is CampaignState.SENT


def test_nobody_is_written_into_an_audience_that_is_being_sent_to(
    stage: Stage, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two workers at one part the slower has found somebody who came after the faster one had looked."""
    monkeypatch.setattr(campaigns_module, "PAGE", 2)
    cids = crowd(stage, range(1000, 1010))
    made = campaign(stage)
    stage.world.campaigns.start(made)
    find = stage.world.candidates.find

    def slowly(plan: Plan, wanted: Wanted, part: int) -> Iterator[Person]:
        monkeypatch.undo()
        yield from find(plan, wanted, part)
        runner.days(0.01)  # the faster one, and all that follows
        late = stage.world.segments.load(crowd(stage, range(2000, 2005)), [MAIN])
        yield from late.values()

    monkeypatch.setattr(stage.world.candidates, "find", slowly)
    assert stage.world.campaigns.freeze(made, 0) == []
    runner.days(0.01)
    assert received(stage) == {f"U{cid:032x}": 1 for cid in cids}
    report = stage.world.campaigns.report(made)
    assert (report.audience, report.sent, report.waiting) == (10, 10, 0)
    assert state(stage, made) is CampaignState.SENT
    rows = [row for shard in range(AUDIENCE_SHARDS) for row, _ in table.rows(stage.world.database, made, shard, "", 100)]
    assert sorted(row.cid for row in rows) == cids


def test_an_audience_is_gone_on_with_where_it_stands_and_only_when_it_stands_still(stage: Stage, runner: Runner) -> None:
    crowd(stage, range(1000, 1010))
    made = campaign(stage)
    stage.work.messages.clear()
    stage.world.campaigns.start(made)
    for hours in range(3):  # a company so large that a part takes long
        runner.until(NOON + timedelta(hours=1.5 * (hours + 1)))
        stage.world.campaigns.freeze(made, hours)
        assert stage.world.campaigns.overdue() == []
    runner.until(NOON + timedelta(hours=7))
    assert stage.world.campaigns.overdue() == [{"op": "campaign_freeze", "campaign_id": made, "part": 2}]
    former = {"pk": f"CMP#{made}", "sk": "AUDIENCE#0", "count": 3}  # as it was noted before it was noted when
    stage.world.database.put_many(settings().engine_table, [former])
    assert stage.world.campaigns.overdue() == [{"op": "campaign_freeze", "campaign_id": made, "part": 2}]
    stage.world.campaigns.freeze(made, 3)
    stage.work.messages.clear()
    enqueue(stage.world.campaigns.overdue(), stage.world)
    runner.days(0.1)
    assert (len(received(stage)), state(stage, made)) == (10, CampaignState.SENT)

"""What leaves the house, by which lane and with which key, on the real ledger."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from chalicelib.adapters import aws
from chalicelib.customers.model import DeliveryChannel
from chalicelib.delivery.model import ACTIVE, BatchState, Cap, Job, Report, Row, row_of
from chalicelib.kernel.errors import PermanentError, QuotaExceededError, TemporaryError
from chalicelib.kernel.ids import LineUserId
from chalicelib.settings import settings
from tests.builders import MAIN, Stage
from tests.rooms.crashes import every_intrusion

PAGE = "c|v__202612010100|0|"


def enrolled(stage: Stage, cid: str) -> tuple[str, str]:
    """Put a customer into the scenario and return the key of the enrolment."""
    item = {
        "pk": f"C#{cid}",
        "sk": "ENR#s#",
        "cid": int(cid),
        "cohort": "c",
        "status": ACTIVE,
        "last": "",
        "claim": "",
        "path": {},
    }
    stage.world.database.put_many(settings().engine_table, [item])
    return (f"C#{cid}", "ENR#s#")


def friends(stage: Stage, count: int) -> list[tuple[str, str]]:
    keys = []
    for n in range(1, count + 1):
        cid = stage.friend(LineUserId(f"U{n:032x}"))
        keys.append(enrolled(stage, cid))
    return keys


def deliver(stage: Stage, keys: list[tuple[str, str]], template: str, channel: DeliveryChannel = DeliveryChannel.LINE) -> Report:
    found = stage.world.database.get_many(settings().engine_table, keys)
    rows: list[Row] = [row_of(found[key]) for key in keys]
    job = Job(PAGE, "c", "v__202612010100", channel, template, "scn|s|a", stage.clock.now())
    return stage.world.delivery.deliver(job, rows, [MAIN])


def test_the_same_text_for_all_is_one_multicast(stage: Stage) -> None:
    keys = friends(stage, 3)
    deliver(stage, keys, stage.template())
    assert [(verb, len(body["to"])) for verb, body, _ in stage.line.sent] == [("multicast", 3)]


def test_a_personal_text_is_a_push_to_each(stage: Stage) -> None:
    keys = friends(stage, 3)
    deliver(stage, keys, stage.template(text="{{name|お客様}}へ"))
    assert [verb for verb, _, _ in stage.line.sent] == ["push"] * 3


def test_a_retry_after_an_unclear_answer_says_the_same_with_the_same_key(stage: Stage) -> None:
    keys = friends(stage, 3)
    template = stage.template()
    stage.line.problems = [TemporaryError("time-out", maybe_done=True)]
    with pytest.raises(TemporaryError):
        deliver(stage, keys, template)
    stage.world.messages.change(template, "x", {"messages": [{"type": "text", "text": "changed"}]})
    deliver(stage, keys, template)
    deliver(stage, keys, template)
    ((_, body, key),) = stage.line.sent
    assert body["messages"][0]["text"] == "こんにちは"
    assert key == stage.world.ledger.batches(PAGE)[0].calls[0].key


def test_after_23_and_a_half_hours_an_unclear_batch_is_left_to_a_person(stage: Stage) -> None:
    keys = friends(stage, 2)
    template = stage.template()
    stage.line.problems = [TemporaryError("time-out", maybe_done=True)]
    with pytest.raises(TemporaryError):
        deliver(stage, keys, template)
    stage.clock.advance(hours=23, minutes=30)
    deliver(stage, keys, template)
    assert stage.line.sent == []
    assert [entry["members"] for entry in stage.world.delivery.unknown()] == [2]


def test_a_batch_that_was_only_ever_refused_for_the_quota_may_wait_for_weeks(stage: Stage) -> None:
    keys = friends(stage, 2)
    template = stage.template()
    stage.line.problems = [QuotaExceededError("monthly limit")]
    with pytest.raises(QuotaExceededError):
        deliver(stage, keys, template)
    stage.clock.advance(days=20)
    deliver(stage, keys, template)
    assert len(stage.line.sent) == 1


def test_claims_older_than_the_memory_of_batches_are_not_sent_again(stage: Stage) -> None:
    keys = friends(stage, 2)
    template = stage.template()
    due = stage.clock.now()
    deliver(stage, keys, template)
    for batch in stage.world.ledger.batches(PAGE):
        key = {"pk": {"S": f"SND#{PAGE}"}, "sk": {"S": f"{batch.number:04d}"}}
        aws.client("dynamodb").delete_item(TableName=settings().engine_table, Key=key)  # as the TTL does
    stage.clock.advance(days=41)
    found = stage.world.database.get_many(settings().engine_table, keys)
    job = Job(PAGE, "c", "v__202612010100", DeliveryChannel.LINE, template, "scn|s|a", due)
    stage.world.delivery.deliver(job, [row_of(found[key]) for key in keys], [MAIN])
    assert len(stage.line.sent) == 1


def test_one_bad_id_costs_the_others_nothing(stage: Stage) -> None:
    keys = friends(stage, 5)
    bad = f"U{3:032x}"
    send = stage.line.send

    def picky(credentials: object, verb: str, body: dict[str, object], retry_key: str = "") -> object:
        to = body["to"]
        if to == bad or (isinstance(to, list) and bad in to):
            raise PermanentError("400: The property, 'to', in the request body is invalid")
        return send(credentials, verb, body, retry_key)  # type: ignore[arg-type]

    stage.line.send = picky  # type: ignore[assignment,method-assign]
    deliver(stage, keys, stage.template())
    deliver(stage, keys, "tpl_hello")
    got = [user_id for _, body, _ in stage.line.sent for user_id in body["to"]]
    assert sorted(got) == [f"U{n:032x}" for n in (1, 2, 4, 5)]
    assert stage.world.ledger.batches(PAGE)[0].state is BatchState.SENT


def test_an_unclear_email_waits_for_the_providers_word_and_leaves_again_only_without_it(stage: Stage) -> None:
    cids = [stage.customer(str(n), email=f"{n}@x.test") for n in (1, 2)]
    keys = []
    for cid in cids:
        keys.append(enrolled(stage, cid))
    stage.email.problems = [TemporaryError("time-out", maybe_done=True)] * 2
    report = deliver(stage, keys, stage.template(channel="email"), DeliveryChannel.EMAIL)
    assert report.pending == 2
    told = stage.world.ledger.batches(PAGE)[0].calls[0].key
    stage.world.delivery.note_event(told, "Send", stage.clock.now())
    stage.clock.advance(minutes=31)
    stage.world.delivery.reconcile(timedelta(minutes=15))
    assert [email.to for email in stage.email.sent] == ["2@x.test"]


def test_long_emails_make_more_batches_instead_of_an_item_that_dynamodb_refuses(stage: Stage) -> None:
    keys = []
    for n in range(10):
        cid = stage.customer(str(n), email=f"{n}@x.test")
        keys.append(enrolled(stage, cid))
    stage.world.messages.create(
        "x", DeliveryChannel.EMAIL, {"subject": "s", "text": "長" * 9000, "html": "<p>長</p>" * 3000}, "tpl_long"
    )
    deliver(stage, keys, "tpl_long", DeliveryChannel.EMAIL)
    assert sorted(email.to for email in stage.email.sent) == sorted(f"{n}@x.test" for n in range(10))
    assert len(stage.world.ledger.batches(PAGE)) > 1


def test_ses_asking_for_patience_is_waited_for_and_a_used_up_day_stops_without_spoiling_anybody(stage: Stage) -> None:
    keys = [enrolled(stage, stage.customer(str(n), email=f"{n}@x.test")) for n in range(4)]
    pauses: list[float] = []
    stage.world.delivery._senders._sleep = pauses.append
    patience = TemporaryError("SendEmail: TooManyRequestsException", retry_after_seconds=1.0)
    stage.email.problems = [None, patience, patience, None, QuotaExceededError("SendEmail: the day's e-mails are used up")]
    with pytest.raises(QuotaExceededError):
        deliver(stage, keys, stage.template(channel="email"), DeliveryChannel.EMAIL)
    assert (len(stage.email.sent), len(pauses)) == (2, 2)
    deliver(stage, keys, "tpl_hello", DeliveryChannel.EMAIL)
    assert sorted(email.to for email in stage.email.sent) == [f"{n}@x.test" for n in range(4)]


def test_a_page_that_waits_too_long_stops_and_goes_on_where_it_was(stage: Stage) -> None:
    keys = [enrolled(stage, stage.customer(str(n), email=f"{n}@x.test")) for n in range(8)]
    pauses: list[float] = []
    stage.world.delivery._senders._sleep = pauses.append
    stage.email.problems = [TemporaryError("SendEmail: TooManyRequestsException", retry_after_seconds=20.0), None] * 8
    with pytest.raises(TemporaryError) as caught:
        deliver(stage, keys, stage.template(channel="email"), DeliveryChannel.EMAIL)
    assert caught.value.retry_after_seconds > 0
    assert 60 < sum(pauses) < 91
    assert 0 < len(stage.email.sent) < 8
    stage.email.problems = []
    deliver(stage, keys, "tpl_hello", DeliveryChannel.EMAIL)
    assert sorted(email.to for email in stage.email.sent) == [f"{n}@x.test" for n in range(8)]


def test_two_scenarios_at_once_never_pass_a_cap_together_wherever_they_meet(stage: Stage) -> None:
    template = stage.template()
    one_a_week = (Cap("all", 1, timedelta(days=7), "delay"),)
    numbers: dict[int, tuple[str, str]] = {}

    def send(number: int, scenario: str) -> Report:
        cid = stage.friend(LineUserId(f"U{number:032x}"))
        key = (f"C#{cid}", f"ENR#{scenario}#")
        found = stage.world.database.get_many(settings().engine_table, [key])
        job = Job(
            f"{scenario}|{number}",
            "c",
            "v",
            DeliveryChannel.LINE,
            template,
            f"scn|{scenario}|a",
            stage.clock.now(),
            caps=one_a_week,
        )
        return stage.world.delivery.deliver(job, [row_of(found[key])], [MAIN])

    def scene(number: int) -> Callable[[], Report]:
        cid = stage.friend(LineUserId(f"U{number:032x}"))
        row = {"pk": f"C#{cid}", "cid": int(cid), "cohort": "c", "status": ACTIVE, "last": "", "claim": "", "path": {}}
        stage.world.database.put_many(settings().engine_table, [{**row, "sk": f"ENR#{name}#"} for name in ("a", "b")])
        numbers[number] = (f"U{number:032x}", cid)
        return lambda: send(number, "a")

    meetings = 0
    for number, _after, act in every_intrusion(scene, lambda number: lambda: send(number, "b")):
        meetings += 1
        report = act()  # again: who was sent to is not sent to again, who waits goes on waiting
        to = [body["to"] for _, body, _ in stage.line.sent if body["to"] == numbers[number][0]]
        assert len(to) == 1
        assert len(report.held) + len(report.sent) == 1
    assert meetings > 10

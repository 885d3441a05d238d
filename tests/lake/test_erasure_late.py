"""What was on its way when somebody was erased brings nothing of him back, whatever queue it lay in."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

import pytest

from chalicelib.campaigns.model import CampaignState
from chalicelib.customers.model import DeliveryChannel
from chalicelib.entrypoints import feedback, webhook_worker, workers
from chalicelib.entrypoints.admin_api.events import EventBody, take_events
from chalicelib.entrypoints.steps import enqueue
from chalicelib.identity_links import table
from chalicelib.imports.model import ImportKind
from chalicelib.kernel.clock import to_text
from chalicelib.kernel.ids import Cid
from chalicelib.people.model import line_identity
from chalicelib.settings import settings
from chalicelib.tracking.model import CLICK, OPEN, SITE, Origin, make_token
from tests.builders import HANAKO, MAIN, Stage, make_stage
from tests.doors.conftest import envelope, event, records
from tests.rooms.journey import NOON
from tests.rooms.test_imports import run
from tests.rooms.test_tracking import PHONE

# M1 and what he wrote; his LINE user id is looked for too.
TRACES = ("山田花子", "hanako@example.jp", "M1'", "満足です", HANAKO)


@pytest.fixture
def stage(tables: str) -> Stage:
    return make_stage()


@pytest.fixture
def member(stage: Stage) -> tuple[Cid, Cid]:
    """A member who is a friend: both his numbers."""
    stage.clock.set(NOON)
    cid, friend = stage.customer("M1", name="山田花子", email="hanako@example.jp"), stage.friend()
    stage.world.people.mark_merged(friend, cid)
    stage.world.friends.move(stage.world.friends.get(MAIN, HANAKO), cid)
    return cid, friend


def line(stage: Stage, *events: dict[str, object]) -> None:
    """Let the worker read a webhook."""
    attributes = {"account": "main", "received_at": to_text(stage.clock.now())}
    assert webhook_worker.handle(records((envelope(*events).decode(), attributes)), stage.world) == {"batchItemFailures": []}


def erase(stage: Stage, cid: Cid) -> None:
    receipt = stage.world.erasures.order(cid, "本人の申し出", "key_1")
    workers.do({"op": "erasure", "receipt_id": receipt.receipt_id}, stage.world)


def left(stage: Stage, *cids: Cid) -> list[str]:
    """Return all items that tell of him, but for his receipt and his bare number in an audience (docs/operations.md)."""
    config = settings()
    found = []
    for name in (config.core_table, config.timeline_table, config.engine_table, config.config_table):
        for item in stage.world.database.scan(name, segment=0, segments=1):
            is_his = (
                item["pk"] in {f"C#{cid}" for cid in cids} or item.get("cid") in cids or any(word in repr(item) for word in TRACES)
            )
            if is_his and not item["pk"].startswith(("ERASED", "IMP", "CMP#")):
                found.append(repr(item))
    return found


def test_nothing_that_was_on_its_way_brings_him_back(stage: Stage, member: tuple[Cid, Cid]) -> None:
    world, (cid, friend), now = stage.world, member, stage.clock.now()
    world.tracking.create_link("sale", "セール", "https://shop.test/sale", identifies=True)
    stage.template("tpl_news", "news")
    told = [EventBody(event="survey_answered", event_id="s1", name="survey_1", member_no="M1", data={"q1": "満足です"})]
    assert take_events(world, told) == [cid]
    campaign = world.campaigns.create("news", DeliveryChannel.LINE, "tpl_news", {"all": []}).campaign_id
    enqueue(world.campaigns.schedule(campaign, None)[1], world)
    while not any(json.loads(body)["op"] == "campaign_page" for body, _ in stage.work.messages):
        workers.handle(records((stage.work.messages.pop(0)[0], {})), world)  # until it is frozen with him in it
    visits = []
    for number in (cid, friend):
        for purpose in (CLICK, OPEN, SITE):
            token = make_token(world.tracking._key(), purpose, Origin(number, "cmp|c", now, "sale"))
            visits.append(
                {
                    "purpose": purpose,
                    "token": token,
                    "method": "GET",
                    "agent": PHONE,
                    "visit_id": f"v{purpose}{number}",
                    "page": "/",
                }
            )
    kinds: list[tuple[str, dict[str, object]]] = [
        ("message", {"message": {"type": "text", "id": "1", "text": "山田花子です"}}), ("postback", {"postback": {"data": "満足です"}}),
        ("follow", {}), ("unfollow", {}), ("videoPlayComplete", {"videoPlayComplete": {"trackingId": "t"}}),
        ("accountLink", {"link": {"result": "ok", "nonce": "x"}}),
    ]  # fmt: skip
    others = [event(stage, kind, number, **more) for number, (kind, more) in enumerate(kinds)]
    stage.clock.advance(minutes=1)
    erase(stage, cid)

    stage.clock.advance(minutes=1)
    for visit in visits:
        webhook_worker.handle_message(json.dumps({**visit, "at": to_text(stage.clock.now())}), {"kind": "visit"}, world)
    for body, attributes in stage.events.messages:
        webhook_worker.handle_message(body, attributes, world)
    line(stage, *others)
    feedback.handle_message(
        {"eventType": "Open", "mail": {"tags": {"delivery": ["a"]}, "destination": ["hanako@example.jp"]}}, world
    )
    run(stage, "注文番号,会員番号,注文日,金額\r\nN1,M1,2026-11-01,100\r\n", ImportKind.ORDERS)
    run(stage, f"会員番号,氏名,LINEユーザーID\r\nM1,山田花子,{HANAKO}\r\n", account="main")
    while stage.work.messages:
        body, _ = stage.work.messages.pop(0)
        assert workers.handle(records((body, {})), world) == {"batchItemFailures": []}
    assert left(stage, cid, friend) == []
    assert not stage.line.sent and world.campaigns.get(campaign).state is CampaignState.SENT


def test_what_he_does_after_it_makes_him_somebody_new_but_a_block_does_not(stage: Stage, member: tuple[Cid, Cid]) -> None:
    erase(stage, member[0])
    stage.clock.advance(minutes=1)
    line(stage, event(stage, "unfollow", 1))
    assert stage.world.people.find(line_identity(MAIN, HANAKO)) is None
    assert left(stage, *member) == []
    line(stage, event(stage, "follow", 2))
    stage.clock.advance(minutes=1)
    line(stage, event(stage, "unfollow", 3))
    anew = stage.world.friends.get(MAIN, HANAKO)
    assert anew.cid not in member and not anew.is_reachable


@pytest.mark.parametrize("when", ["put_link", "mark_merged"])
def test_who_was_just_being_linked_with_him_goes_too(stage: Stage, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    stage.clock.set(NOON)
    world, cid, friend = stage.world, stage.customer("M1", name="山田花子"), stage.friend()
    line(stage, event(stage, "message", message={"id": "1", "type": "text", "text": "満足です"}))
    nonce = unquote(world.identity_links.request("main", "M1", "token-of-LINE").rpartition("nonce=")[2])
    place = {"put_link": table, "mark_merged": world.people}[when]
    real = getattr(place, when)

    def meanwhile(*given: Any) -> Any:
        monkeypatch.undo()
        erase(stage, cid)
        return real(*given)

    monkeypatch.setattr(place, when, meanwhile)
    line(stage, event(stage, "accountLink", 2, link={"result": "ok", "nonce": nonce}))
    for _ in range(2):
        stage.clock.advance(hours=1)
        workers.tick({"kind": "reconcile"}, world)
        while stage.work.messages:
            enqueue(workers.do(json.loads(stage.work.messages.pop(0)[0]), world), world)
    assert [item for item in left(stage, cid, friend) if "'NON#" not in item] == []  # a used nonce: a number, for a day
    (receipt,) = world.erasures.page(None, 10).items
    assert receipt.cids == (cid, friend)
    assert world.erasures.erased([line_identity(MAIN, HANAKO)]) == {line_identity(MAIN, HANAKO): receipt.receipt_id}

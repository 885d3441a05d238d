"""The scenarios that come with the product can be published and run as they are."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from chalicelib.kernel.clock import to_text
from chalicelib.kernel.errors import ConflictError, NotFoundError
from chalicelib.kernel.facts import Occurred
from chalicelib.kernel.ids import Cid
from chalicelib.orders.model import Order
from chalicelib.reactions import react
from chalicelib.scenarios.graph import SendNode, parse
from chalicelib.scenarios.lint import lint
from chalicelib.scenarios.model import EnrollmentStatus
from chalicelib.scenarios.ready_made import drawings
from tests.builders import HANAKO, MAIN, Stage
from tests.fakes.runner import Runner
from tests.rooms.journey import NOON, enrollment, follow, member, texts

EVERY = sorted(drawings())


def publish(stage: Stage, ready_id: str) -> None:
    for link in stage.world.ready_mades.get(ready_id).links:
        stage.world.tracking.create_link(link["link_id"], link["name"], "https://shop.test/")
    stage.world.ready_mades.draw(ready_id, account=MAIN)
    assert stage.world.scenarios.problems(ready_id) == []
    stage.world.scenarios.publish(ready_id)


def told(stage: Stage) -> list[str]:
    """What Hanako read: texts and the alternative texts of bubbles."""
    return [bubble.get("altText") or bubble["text"] for messages in stage.line.received_by(HANAKO) for bubble in messages[-1:]]


def occurred(stage: Stage, cid: Cid, event: str, name: str = "", **data: str) -> None:
    react(
        [Occurred(fact_id=f"{event}|{name}|{data}", cid=cid, at=stage.clock.now(), event=event, name=name, data=data)], stage.world
    )


def test_there_are_six() -> None:
    assert EVERY == ["birthday", "booking", "coupon", "dormant90", "first_purchase", "welcome"]


@pytest.mark.parametrize("ready_id", EVERY)
def test_a_drawing_is_whole(ready_id: str) -> None:
    found = drawings()[ready_id]
    graph = parse(found.graph)
    assert lint(graph) == [] and graph.account == ""
    assert set(found.purpose) == {"ja", "en"} and all(set(need) == {"ja", "en"} for need in found.needs) and found.needs
    sends = {(node.template, node.channel) for node in graph.nodes.values() if isinstance(node, SendNode)}
    assert sends == {(template["template_id"], template["channel"]) for template in found.templates}
    assert all(node.label for node in graph.nodes.values() if isinstance(node, SendNode))


def test_no_two_drawings_share_a_template() -> None:
    ids = [template["template_id"] for found in drawings().values() for template in found.templates]
    assert len(ids) == len(set(ids))


def test_drawing_keeps_what_the_shop_wrote_and_is_harmless_when_repeated(stage: Stage) -> None:
    stage.template("tpl_hello", "自社のあいさつ")
    head = stage.world.ready_mades.draw("welcome", "hajimemashite", MAIN)
    assert (head.scenario_id, head.version, head.draft["account"]) == ("hajimemashite", 0, "main")
    assert stage.world.messages.get("tpl_hello").content == {"messages": [{"type": "text", "text": "自社のあいさつ"}]}
    assert stage.world.messages.get("tpl_story").name == "7日目：読みもの"
    assert stage.world.ready_mades.draw("welcome", "hajimemashite", MAIN) == head
    with pytest.raises(ConflictError) as caught:
        stage.world.ready_mades.draw("birthday", "hajimemashite", MAIN)
    assert caught.value.code == "scenario.taken"
    with pytest.raises(NotFoundError):
        stage.world.ready_mades.draw("moon")


def test_welcome_runs(stage: Stage, runner: Runner) -> None:
    publish(stage, "welcome")
    cid = follow(stage)
    runner.days(20)
    assert told(stage)[1:] == [
        "読みもの",
        "はじめてのお買い物に使える特典のご案内です。\nご利用のときに、このメッセージをお見せください。",
    ]
    over(stage, runner, cid)


def test_first_purchase_runs_on_line_and_by_mail(stage: Stage, runner: Runner) -> None:
    publish(stage, "first_purchase")
    cids = [member(stage, "1", HANAKO), member(stage, "2", email="taro@example.com", email_consent="yes")]
    for cid in cids:
        facts, _ = stage.world.orders.take([Order(f"o{cid}", cid, stage.clock.now(), 1000)])
        react(facts, stage.world)
    runner.days(35)
    assert len(told(stage)) == 3
    over(stage, runner, *cids)


def test_dormant_falls_back_to_a_letter(stage: Stage, runner: Runner) -> None:
    publish(stage, "dormant90")
    cid = member(stage, "1", HANAKO, name="花子", postal_code="100-0001", prefecture="東京都", address="1-1")
    stage.world.orders.take([Order("o1", cid, NOON - timedelta(days=100), 1000)])
    runner.days(30)
    assert told(stage) == ["お久しぶりです", "新作のご案内"]
    over(stage, runner, cid, "代替配信")


def test_birthday_comes_a_week_before_and_on_the_day(stage: Stage, runner: Runner) -> None:
    publish(stage, "birthday")
    cid = member(stage, "1", HANAKO, birthday="1990-12-12")
    runner.until(NOON + timedelta(days=3, hours=22))  # 5 December, ten o'clock
    assert told(stage) == ["お誕生日クーポン"]
    runner.days(6)
    assert len(told(stage)) == 1
    runner.days(1.1)
    assert len(told(stage)) == 2 and "おめでとう" in told(stage)[1]
    over(stage, runner, cid)


def test_a_booking_is_reminded_of_the_day_before_and_two_hours_before(stage: Stage, runner: Runner) -> None:
    publish(stage, "booking")
    cid = member(stage, "1", HANAKO)
    occurred(stage, cid, "reservation_made", starts_at=to_text(NOON + timedelta(days=5)), reservation_id="r1")
    occurred(stage, cid, "reservation_made", starts_at=to_text(NOON + timedelta(days=7)), reservation_id="r2")
    runner.until(NOON + timedelta(days=4, hours=5, minutes=50))
    assert told(stage) == []
    runner.until(NOON + timedelta(days=4, hours=6, minutes=10))
    assert len(told(stage)) == 1 and "明日" in told(stage)[0]
    runner.until(NOON + timedelta(days=4, hours=21, minutes=50))
    assert len(told(stage)) == 1
    runner.until(NOON + timedelta(days=4, hours=22, minutes=10))
    assert len(told(stage)) == 2 and "まもなく" in told(stage)[1]
    occurred(stage, cid, "reservation_cancelled", reservation_id="r2")
    runner.days(10)
    assert len(told(stage)) == 2
    assert runner.failed == []
    assert sorted(one.row.status for one in stage.world.scenario_people.of(cid)) == ["done", "exited"]


def test_who_books_for_today_is_not_told_about_tomorrow(stage: Stage, runner: Runner) -> None:
    publish(stage, "booking")
    cid = member(stage, "1", HANAKO)
    occurred(stage, cid, "reservation_made", starts_at=to_text(NOON + timedelta(hours=5)), reservation_id="r1")
    runner.days(2)
    assert len(told(stage)) == 1 and "まもなく" in told(stage)[0]
    over(stage, runner, cid)


def test_a_coupon_is_reminded_of_until_it_is_used(stage: Stage, runner: Runner) -> None:
    publish(stage, "coupon")
    cid = member(stage, "1", HANAKO)
    occurred(stage, cid, "custom", "coupon_issued", coupon_id="c1", expires_on="2026-12-10")
    occurred(stage, cid, "custom", "coupon_issued", coupon_id="c2", expires_on="2026-12-20")
    runner.until(NOON + timedelta(days=8))
    assert told(stage) == ["クーポンの期限"]
    occurred(stage, cid, "custom", "coupon_used", coupon_id="c2")
    runner.days(30)
    assert told(stage) == ["クーポンの期限", "クーポンは本日まで"]
    assert sorted(one.row.status for one in stage.world.scenario_people.of(cid)) == ["done", "exited"]
    assert runner.failed == []


def over(stage: Stage, runner: Runner, *expected: Any) -> None:
    """Everybody came to the end, and nothing is left standing."""
    cids, outcome = [one for one in expected if not isinstance(one, str)], [one for one in expected if isinstance(one, str)]
    for cid in cids:
        one = enrollment(stage, cid)
        assert (one.row.status, one.reason) == (EnrollmentStatus.DONE, outcome[0] if outcome else "完了")
        assert stage.world.records.live_cohorts(one.scenario_id) == []
    assert runner.failed == []

from datetime import timedelta

import pytest

from chalicelib.customers.model import DeliveryChannel
from chalicelib.kernel.errors import PermanentError
from chalicelib.kernel.facts import OptedOut, ReplyToken, Responded
from chalicelib.reactions import react
from tests.builders import HANAKO, MAIN, Stage


def tap(stage: Stage, data: str, token: str = "t1", event_id: str = "ev") -> Responded:
    cid = stage.friend()
    now = stage.clock.now()
    reply = ReplyToken(token, now)
    return Responded(fact_id=event_id, cid=cid, at=now, account=MAIN, line_user_id=HANAKO, kind="postback", data=data, reply=reply)


def test_an_answer_that_is_told_twice_leaves_once(stage: Stage) -> None:
    fact = tap(stage, "enishi:stop")
    for _ in range(2):
        react([fact], stage.world)
    assert [verb for verb, _, _ in stage.line.sent] == ["reply"]


def test_stop_is_kept_before_it_is_confirmed_and_outlasts_a_dead_reply_token(stage: Stage) -> None:
    fact = tap(stage, "enishi:stop")
    stage.line.problems = [PermanentError("LINE /v2/bot/message/reply 400: Invalid reply token")]
    react([fact], stage.world)
    assert stage.world.customers.get(fact.cid).has_opted_out(DeliveryChannel.LINE)


def test_restart_takes_a_stop_back(stage: Stage) -> None:
    react([tap(stage, "enishi:stop", "t1", "1")], stage.world)
    stage.clock.advance(minutes=1)
    fact = tap(stage, "enishi:restart", "t2", "2")
    react([fact], stage.world)
    assert not stage.world.customers.get(fact.cid).has_opted_out(DeliveryChannel.LINE)


@pytest.mark.parametrize("word", ["enishi:unlink", "enishi:link"])
def test_without_a_reply_token_nothing_is_said(stage: Stage, word: str) -> None:
    cid = stage.friend()
    fact = Responded(fact_id="x", cid=cid, at=stage.clock.now(), account=MAIN, line_user_id=HANAKO, kind="postback", data=word)
    react([fact], stage.world)
    assert stage.line.sent == []


def test_an_opt_out_is_noted_on_the_timeline_once_however_often_it_is_told(stage: Stage) -> None:
    cid = stage.friend()
    fact = OptedOut(fact_id="o", cid=cid, at=stage.clock.now() - timedelta(minutes=1), channel="line")
    for _ in range(2):
        react([fact], stage.world)
    assert [item["kind"] for item in stage.world.tracking.timeline(cid)] == ["opted_out"]

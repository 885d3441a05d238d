"""The words in which journeys are told: who comes, what he says, and what he has heard."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from chalicelib.entrypoints import workers
from chalicelib.entrypoints.steps import enqueue
from chalicelib.kernel.facts import ReplyToken, Responded
from chalicelib.kernel.ids import Cid, LineUserId
from chalicelib.reactions import react
from chalicelib.settings import settings
from tests.builders import HANAKO, MAIN, Stage

NOON = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
END = {"type": "end"}


def say(template: str, following: str, **more: Any) -> dict[str, Any]:
    return {"type": "send", "channel": "line", "template": template, "next": following, **more}


def rest(length: str, following: str, **more: Any) -> dict[str, Any]:
    return {"type": "wait", "duration": length, "next": following, **more}


def texts(stage: Stage, user_id: LineUserId = HANAKO) -> list[str]:
    return [messages[0]["text"] for messages in stage.line.received_by(user_id)]


def follow(stage: Stage, user_id: LineUserId = HANAKO, event_id: str = "ev-1", reply: ReplyToken | None = None) -> Cid:
    facts = stage.world.friends.follow(MAIN, user_id, stage.clock.now(), event_id=event_id, is_unblocked=False, reply=reply)
    react(facts, stage.world)
    return facts[0].cid


def answer(stage: Stage, cid: Cid, user_id: LineUserId = HANAKO, data: str = "", event_id: str = "answer") -> None:
    fact = Responded(
        fact_id=event_id, cid=cid, at=stage.clock.now(), account=MAIN, line_user_id=user_id, kind="postback", data=data
    )
    react([fact], stage.world)


def crowd(stage: Stage, count: int) -> list[Cid]:
    """Enter many friends at once."""
    first = 1000
    items = [
        {
            "pk": f"C#{first + i}", "sk": "FR#main", "line_user_id": f"U{first + i:032x}", "state": "following",
            "first_seen_at": "2026-11-01T00:00:00.000Z", "state_at": "2026-11-01T00:00:00.000Z", "display_name": "x",
        }
        for i in range(count)
    ]  # fmt: skip
    stage.world.database.put_many(settings().core_table, items)
    return [Cid(first + i) for i in range(count)]


def enrollment(stage: Stage, cid: Cid) -> Any:
    return stage.world.scenario_people.of(cid)[0]


def drain(stage: Stage) -> None:
    """Work the queue off; what dies is delivered again."""
    while stage.work.messages:
        body, _ = stage.work.messages[0]
        enqueue(workers.do(json.loads(body), stage.world), stage.world)
        stage.work.messages.pop(0)


def order(stage: Stage, verb: Callable[..., tuple[Any, list[Any]]], *given: Any) -> None:
    """Give an order of the upkeep's, and do what follows from it."""
    _, steps = verb(*given)
    enqueue(steps, stage.world)
    drain(stage)


def resume(stage: Stage, scenario_id: str, mode: Any = "now") -> None:
    order(stage, stage.world.upkeep.resume, scenario_id, mode)


def reconcile(stage: Stage) -> int:
    """Let the hourly look find and mend; return how many cohorts it has started."""
    started, steps = stage.world.upkeep.reconcile()
    enqueue(steps, stage.world)
    drain(stage)
    return started


def friend_number(number: int) -> LineUserId:
    return LineUserId(f"U{number:032x}")


def three_days(stage: Stage, **more: Any) -> None:
    for name in ("a", "b", "c"):
        stage.template(f"tpl_{name}", name)
    nodes = {
        "a": say("tpl_a", "w1"), "w1": rest("P7D", "b"), "b": say("tpl_b", "w2"), "w2": rest("P7D", "c"), "c": say("tpl_c", "e"),
        "e": END,
    }  # fmt: skip
    stage.scenario("welcome", nodes, **more)


def dormant(stage: Stage) -> None:
    for name in ("hello", "again", "thanks"):
        stage.template(f"tpl_{name}", name)
    stage.template("tpl_sms", "sms", "sms")
    stage.template("tpl_dm", "dm", "postal")
    nodes = {
        "hello": say("tpl_hello", "w1", unreachable="sms"),
        "w1": {"type": "wait_for_response", "of": "hello", "timeout": "P3D", "responded": "thanks", "timed_out": "again", "at": "20:00"},
        "again": say("tpl_again", "w2"),
        "w2": {"type": "wait_for_response", "of": "again", "timeout": "P3D", "responded": "thanks", "timed_out": "sms"},
        "sms": {"type": "send", "channel": "sms", "template": "tpl_sms", "next": "e", "unreachable": "dm"},
        "dm": {"type": "send", "channel": "postal", "template": "tpl_dm", "next": "e"},
        "thanks": say("tpl_thanks", "e"),
        "e": END,
    }  # fmt: skip
    trigger = {"type": "segment", "condition": {"field": "customer.known", "is": True}, "schedule": {"at": "10:00"}}
    stage.scenario("dormant", nodes, trigger=trigger, reentry={"mode": "never"})


def member(stage: Stage, number: str, user_id: LineUserId | None = None, **values: str) -> Cid:
    cid = stage.customer(number, **values)
    if user_id:
        stage.world.friends.enter(MAIN, user_id, cid, stage.clock.now())
    return cid


def dies(*_: Any, **__: Any) -> Any:
    raise SystemError("the process dies here")

"""The judge itself: it knows every operation, and it finds what is broken."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from line_simulator import LineSimulator
from line_simulator.api.operations import OPERATIONS
from line_simulator.journal import Call
from tests.simulator.contract import official
from tests.simulator.contract.drift import KNOWN_DRIFT
from tests.simulator.contract.judge import judge_call, judge_webhook
from tests.simulator.contract.plugin import Witness

pytestmark = pytest.mark.skipif(not official.present(), reason=official.MISSING)

USER = "U" + "0" * 32
TEXT = {"type": "text", "text": "a"}
SENT = {"sentMessages": [{"id": "1", "quoteToken": "q"}]}
EVENT = {
    "type": "follow",
    "timestamp": 1,
    "mode": "active",
    "webhookEventId": "01",
    "deliveryContext": {"isRedelivery": False},
    "source": {"type": "user", "userId": USER},
    "replyToken": "r",
    "follow": {"isUnblocked": False},
}


def _call(operation_id: str, status: int, answer: Any, body: Any = None, **changes: Any) -> Call:
    method, path, _ = next(one for one in OPERATIONS if one[2] == operation_id)
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    given = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    call = Call(0.0, method, path, "", None, status, "r", None, raw, given, authorized=True, operation_id=operation_id)
    return replace(call, **changes)


def _webhook(event: dict[str, Any], **changes: Any) -> Any:
    """What the judge reads of a Delivery."""
    body = json.dumps({"destination": USER, "events": [event]}).encode()
    return SimpleNamespace(**{"id": 1, "body": body, "events": (str(event.get("type")),), "fault": "", **changes})


def _push(*messages: Any, **extra: Any) -> Any:
    return {"to": USER, "messages": list(messages), **extra}


def _without(*names: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**EVENT, **changes}.items() if name not in names}


GOOD = [
    _call("pushMessage", 200, SENT, _push(TEXT)),
    _call("pushMessage", 400, {"message": "m", "details": [{"message": "d", "property": "p"}]}, {"to": 1}),
    _call("pushMessage", 200, SENT, _push({**TEXT, "quickReply": None}, notificationDisabled=None)),
    _call("pushMessage", 404, {"message": "m", "details": []}),
    _call("multicast", 200, {}, {"to": [USER], "messages": [TEXT]}),
    _call("pushMessage", 200, SENT, _push({"type": "text", "text": "\ud800"})),
    _call("getMessageContent", 200, b"\x89PNG", content_type="image/png"),
    _call("getNumberOfSentPushMessages", 200, {"status": "unready"}, query="date=20261122"),
    _call("issueChannelToken", 400, {"error": "invalid_request", "error_description": "d"}),
    _call("pushMessage", 500, {"message": "m"}, fault="error_after_accept"),
    _call("pushMessage", 200, b'{"se', _push(TEXT), fault="truncated_json"),
    _call("setWebhookEndpoint", 200, b"", {"endpoint": "https://a.example/"}),
]
BROKEN = [
    (_call("getBotInfo", 200, '{"userId":"\ud800"}'.encode("utf-8", "surrogatepass")), "the answer is not JSON"),
    (_call("pushMessage", 200, {"sentMessages": [{"id": 1}]}, _push(TEXT)), "$.sentMessages[0].id"),
    (_call("pushMessage", 200, {}, _push(TEXT)), "sentMessages"),
    (_call("pushMessage", 200, {**SENT, "invented": 1}, _push(TEXT)), "'invented' was unexpected"),
    (_call("pushMessage", 200, SENT, _push({"type": "text"})), '"text" is a required property'),
    (_call("pushMessage", 200, SENT, _push({"type": "novel", "text": "a"})), "messages[0].type"),
    (_call("pushMessage", 200, SENT, _push({"type": "flex", "altText": "a", "contents": {"type": "box"}})), "contents.type"),
    (_call("pushMessage", 200, SENT, _push(*[TEXT] * 6)), "messages"),
    (_call("pushMessage", 200, SENT, {"messages": [TEXT]}), '"to" is a required property'),
    (_call("pushMessage", 200, SENT, b"{"), "not JSON"),
    (_call("pushMessage", 201, SENT, _push(TEXT)), "do not list this status"),
    (_call("pushMessage", 418, {"message": "m"}), "do not list this status"),
    (_call("pushMessage", 500, {"message": "m"}), "a server error nobody asked for"),
    (_call("pushMessage", 400, {"error": "m"}), '"message" is a required property'),
    (_call("pushMessage", 404, {"message": "m", "details": [{"text": "d"}]}), "details"),
    (_call("pushMessage", 200, SENT, {"to": None, "messages": [TEXT]}), '"to" is a required property'),
    (_call("pushMessage", 200, SENT, _push(None)), "messages[0]"),
    (_call("getBotInfo", 200, {"userId": USER}), '"basicId" is a required property'),
    (_call("getBotInfo", 200, b"<html>", content_type="text/html"), "the content type is text/html"),
    (_call("getBotInfo", 401, b"no", content_type="text/plain"), "the content type is text/plain"),
    (_call("getMessageContent", 200, {}), "media was expected"),
    (_call("getNumberOfSentPushMessages", 200, {"status": "unready"}), "required query parameter date"),
    (_call("getNumberOfFollowers", 200, {"status": "unready"}, query="date=today"), "query parameter date"),
    (_call("getNumberOfSentPushMessages", 200, {"status": "later"}, query="date=20261122"), "$.status"),
    (_call("getFollowers", 200, {"userIds": []}, query="limit=x"), "query parameter limit"),
    (_call("issueChannelToken", 200, {"access_token": "t", "expires_in": 1, "token_type": "Bearer"}, b"client_id=1"), "form"),
    (_call("setWebhookEndpoint", 200, {"ok": True}, {"endpoint": "https://a.example/"}), "ok"),
]
BROKEN_WEBHOOKS = [
    (_webhook(_without("follow")), '"follow" is a required property'),
    (_webhook(_without("deliveryContext")), '"deliveryContext" is a required property'),
    (_webhook(_without(mode="asleep")), "$.events[0].mode"),
    (_webhook(_without(source={"type": "group"})), "groupId"),
    (_webhook(_without(type="novel")), "$.events[0].type"),
    (_webhook(_without(type="message", message={"type": "text", "id": "1", "text": "a"})), "quoteToken"),
    (_webhook({**EVENT, "invented": 1}), "'invented' was unexpected"),
    (_webhook(EVENT, body=b'{"destination":"me","events":[]}'), "$.destination"),
    (_webhook(EVENT, body=b"{"), "not JSON"),
]


def test_the_documents_have_every_operation() -> None:
    assert set(official.operations()) == {operation_id for _, _, operation_id in OPERATIONS}


@pytest.mark.parametrize("call", GOOD, ids=lambda call: f"{call.operation_id}-{call.status}")
def test_what_is_right_passes(call: Call) -> None:
    assert judge_call(call) == []


@pytest.mark.parametrize(("call", "sentence"), BROKEN, ids=[f"{one.operation_id}-{text}" for one, text in BROKEN])
def test_what_is_broken_is_found(call: Call, sentence: str) -> None:
    assert sentence in " ".join(judge_call(call))


@pytest.mark.parametrize(("delivery", "sentence"), BROKEN_WEBHOOKS, ids=[text for _, text in BROKEN_WEBHOOKS])
def test_a_broken_webhook_is_found(delivery: Any, sentence: str) -> None:
    assert sentence in " ".join(judge_webhook(delivery))


def test_a_right_webhook_passes_and_a_distorted_one_is_not_judged() -> None:
    assert judge_webhook(_webhook(EVENT)) == []
    assert judge_webhook(_webhook(_without("follow"), fault="webhook_no_is_unblocked")) == []


@pytest.mark.off_contract
def test_the_plugin_sees_the_simulators_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from line_simulator.journal import Journal
    from line_simulator.people.people import People
    from line_simulator.webhooks.webhooks import Webhooks

    for owner, name in ((Journal, "add"), (Webhooks, "_delivery"), (Webhooks, "send"), (People, "raw_event")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    witness = Witness()
    witness.watch()
    with LineSimulator(seed=1) as line:
        shop = line.channel("花屋")
        line.person("花子").follow(shop)
        line.person("花子").raw_event(shop, {"type": "novel"})
        assert witness.verdict() == []
        line.journal.add(_call("getBotInfo", 200, {}))
        line.world.emit(shop, {"type": "novel"})
        first, *others = witness.verdict()
    assert "getBotInfo" in first and any("novel" in one for one in others)
    assert witness.judged == {"calls": 1, "webhooks": 2}


def test_known_drift_is_named_and_needed() -> None:
    for drift in KNOWN_DRIFT:
        assert drift.subject and drift.reason
    edited = {"type": "text", "id": "1", "quoteToken": "q", "text": "b"}
    assert judge_webhook(_webhook(_without("follow", type="messageEdited", message=edited))) == []

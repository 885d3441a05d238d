"""Below the queue: events into rooms, whatever LINE sends, however often, in whatever order."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chalicelib.entrypoints.webhook_worker import handle
from chalicelib.kernel.clock import to_millis, to_text
from chalicelib.kernel.errors import PermanentError
from chalicelib.kernel.facts import FriendFollowed
from chalicelib.ports.line import Profile
from tests.builders import HANAKO, MAIN, TARO, Stage, make_stage
from tests.doors.conftest import envelope, event, records

FINE: dict[str, Any] = {"batchItemFailures": []}


def work(stage: Stage, *bodies: bytes | str, account: str = "main") -> dict[str, Any]:
    attributes = {"account": account, "received_at": to_text(stage.clock.now())}
    texts = [body.decode() if isinstance(body, bytes) else body for body in bodies]
    return handle(records(*[(text, attributes) for text in texts]), stage.world)


GROUP = {"type": "group", "groupId": "C" + "1" * 32, "userId": HANAKO}
# One of each type of line-platform.md 1.3, in the shape of LINE's reference.
EVENTS: list[tuple[str, dict[str, Any]]] = [
    *[
        ("message", {"message": {"id": "468789577898262530", "quoteToken": "q3Plxr4AgKd", "markAsReadToken": "30yhdy", **message}})
        for message in (
            {"type": "text", "text": "@All @example 花子さん (love)", "emojis": [{"index": 14, "length": 6, "productId": "5ac1"}],
             "mention": {"mentionees": [{"index": 0, "length": 4, "type": "all"}, {"index": 5, "isSelf": True, "type": "user"}]}},
            {"type": "text"},
            {"type": "image", "contentProvider": {"type": "line"}, "imageSet": {"id": "E005D41A", "index": 1, "total": 2}},
            {"type": "video", "duration": 60000, "contentProvider": {"type": "external", "originalContentUrl": "https://example.com/v.mp4"}},
            {"type": "audio", "duration": 60000, "contentProvider": {"type": "line"}},
            {"type": "file", "fileName": "file.txt", "fileSize": 2138},
            {"type": "location", "title": "my location", "address": "〒102-8282", "latitude": 35.67966, "longitude": 139.73669},
            {"type": "sticker", "packageId": "11537", "stickerId": "52002734", "stickerResourceType": "ANIMATION", "keywords": ["x"]},
            {"type": "hologram", "beam": [1, {"deep": None}]},
        )
    ],
    ("messageEdited", {"message": {"type": "text", "id": "1", "text": "x"}, "replyToken": None}),
    ("unsend", {"unsend": {"messageId": "325708"}, "replyToken": None}),
    ("follow", {"follow": {"isUnblocked": False}}),
    ("follow", {}),
    ("follow", {"follow": "yes"}),
    ("unfollow", {"replyToken": None}),
    ("postback", {"postback": {"data": "storyId=12345"}}),
    ("postback", {"postback": {"data": "d", "params": {"datetime": "2017-12-25T01:00"}}}),
    ("postback", {"postback": {"data": "d", "params": {"newRichMenuAliasId": "b", "status": "SUCCESS"}}}),
    ("postback", {"postback": None}),
    ("accountLink", {"link": {"result": "ok", "nonce": "xxxx"}}),
    ("accountLink", {"link": {"result": "failed", "nonce": "xxxx"}, "source": None, "replyToken": None}),
    ("accountLink", {"link": {"result": "ok"}}),
    ("videoPlayComplete", {"videoPlayComplete": {"trackingId": "track-id"}}),
    ("beacon", {"beacon": {"hwid": "d41d8cd98f", "type": "enter", "dm": "00"}}),
    ("join", {"source": {"type": "group", "groupId": "C1"}}),
    ("leave", {"source": {"type": "room", "roomId": "R1"}, "replyToken": None}),
    ("memberJoined", {"source": {"type": "group", "groupId": "C1"}, "joined": {"members": [{"type": "user", "userId": HANAKO}]}}),
    ("memberLeft", {"source": {"type": "group", "groupId": "C1"}, "left": {"members": [{"type": "user", "userId": HANAKO}]}}),
    ("membership", {"membership": {"type": "joined", "membershipId": 3189}}),
    ("module", {"module": {"type": "attached", "botId": "U1", "scopes": ["a"]}, "source": None}),
    ("activated", {"chatControl": {"expireAt": 1462629479859}}),
    ("deactivated", {}),
    ("botSuspended", {"source": None}),
    ("botResumed", {"source": None}),
    ("delivery", {"delivery": {"data": "15034552939884E28681A7D668CEA94C147C716C0EC9DFE8B80B44EF3B57F6BD"}, "source": None}),
    ("somethingOf2031", {"future": {"x": [1, 2, 3]}, "mode": "dreaming", "newTopLevel": 7}),
    ("", {"mode": None}),
]  # fmt: skip


def test_it_takes_every_event_that_line_knows_and_those_it_will_think_of(stage: Stage) -> None:
    for number, (kind, parts) in enumerate(EVENTS):
        assert work(stage, envelope(event(stage, kind, number, **parts))) == FINE, (kind, parts)
        kept = stage.world.webhook_log.get(f"01J{number:023d}")
        assert kept is not None
        assert kept["kind"] == kind


def test_it_keeps_what_it_does_not_understand_word_for_word(stage: Stage) -> None:
    raw = event(stage, "somethingOf2031", 1, future={"花": ["😀", None, 1.5]})
    assert work(stage, envelope(raw)) == FINE
    kept = stage.world.webhook_log.get(raw["webhookEventId"])
    assert kept is not None
    assert json.loads(kept["raw"]) == raw


@pytest.mark.parametrize(
    "source",
    [
        None,
        {},
        {"type": "user"},
        {"type": "user", "userId": "bob"},
        {"type": "user", "userId": None},
        "U",
        {"type": "group"},
        GROUP,
    ],
)
@pytest.mark.parametrize("kind", ["follow", "unfollow", "message", "postback"])
def test_it_knows_nobody_by_an_event_without_a_person_of_its_own(stage: Stage, source: Any, kind: str) -> None:
    parts = {"message": {"type": "text", "text": "x"}, "postback": {"data": "enishi:stop"}}
    assert work(stage, envelope(event(stage, kind, 1, source=source, **parts))) == FINE
    assert stage.world.friends.find(MAIN, HANAKO) is None
    assert stage.line.sent == []


def test_a_stopped_friend_is_answered_once_whatever_comes_twice(stage: Stage) -> None:
    body = envelope(event(stage, "postback", 1, postback={"data": "enishi:stop"}))
    again = envelope(event(stage, "postback", 1, postback={"data": "enishi:stop"}, deliveryContext={"isRedelivery": True}))
    assert work(stage, body, body) == FINE
    assert work(stage, again) == FINE
    assert [verb for verb, _, _ in stage.line.sent] == ["reply"]


def test_nothing_is_sent_while_another_module_holds_the_chat(stage: Stage) -> None:
    body = envelope(event(stage, "postback", 1, mode="standby", replyToken=None, postback={"data": "enishi:link"}))
    assert work(stage, body) == FINE
    assert stage.line.sent == []
    assert stage.line.link_tokens == 0
    assert stage.world.webhook_log.is_done("01J" + f"{1:023d}")


def test_a_webhook_for_another_destination_changes_nothing_and_is_counted(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    body = envelope(event(stage, "follow", 1), destination="U" + "d" * 32)
    assert work(stage, body) == FINE
    assert stage.world.friends.find(MAIN, HANAKO) is None
    assert "WebhookWrongDestination" in capsys.readouterr().out


@pytest.mark.parametrize("body", ["", "{", "[]", '"x"', "null", '{"events":{}}', '{"destination":"x"}', '{"events":null}'])
def test_what_is_signed_and_yet_unreadable_ends_as_a_dead_letter(stage: Stage, body: str) -> None:
    good = envelope(event(stage, "follow", 1))
    assert work(stage, body, good) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert stage.world.friends.find(MAIN, HANAKO) is not None


@pytest.mark.parametrize("attributes", [{}, {"account": "gone", "received_at": "2026-12-01T00:00:00Z"}, {"account": "main"},
                                        {"account": "main", "received_at": "2026-12-01T00:00:00Z", "file": "none.json"}, {"kind": "visit"}])  # fmt: skip
def test_a_message_without_what_it_needs_fails_alone(stage: Stage, attributes: dict[str, str]) -> None:
    good = (envelope(event(stage, "follow", 1)).decode(), {"account": "main", "received_at": to_text(stage.clock.now())})
    bad = (envelope(event(stage, "follow", 2)).decode(), attributes)
    assert handle(records(bad, good, bad), stage.world) == {
        "batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m2"}]
    }
    assert stage.world.webhook_log.is_done("01J" + f"{1:023d}")
    assert not stage.world.webhook_log.is_done("01J" + f"{2:023d}")


@pytest.mark.parametrize("timestamp", [None, "1", True, 1e300, 10**30, -(10**30), float("nan"), float("inf"), [], {}])
def test_an_unreadable_event_does_not_stop_the_others_of_its_body(stage: Stage, timestamp: Any) -> None:
    bad = {**event(stage, "follow", 1, source={"type": "user", "userId": TARO}), "timestamp": timestamp}
    assert work(stage, envelope(bad, event(stage, "follow", 2), {"x": 1}, 7)) == FINE  # type: ignore[arg-type]
    assert stage.world.friends.find(MAIN, HANAKO) is not None
    assert stage.world.friends.find(MAIN, TARO) is None


def test_a_failing_event_is_tried_again_and_holds_nobody_else_up(stage: Stage) -> None:
    def profile(_: Any, user_id: str) -> Profile | None:
        if user_id == TARO:
            raise RuntimeError("boom")
        return Profile("花子")

    stage.line.profile = profile  # type: ignore[method-assign]
    one = event(stage, "message", 1, source={"type": "user", "userId": TARO}, message={"type": "text", "text": "a"})
    two = event(stage, "message", 2, message={"type": "text", "text": "b"})
    assert work(stage, envelope(one, two)) == {"batchItemFailures": [{"itemIdentifier": "m0"}]}
    assert [stage.world.webhook_log.is_done(one["webhookEventId"]), stage.world.webhook_log.is_done(two["webhookEventId"])] == [
        False,
        True,
    ]
    stage.line.profile = lambda *_: None  # type: ignore[method-assign]
    assert work(stage, envelope(one, two)) == FINE
    assert stage.world.webhook_log.is_done(one["webhookEventId"])


def test_a_profile_that_line_keeps_to_itself_is_no_failure(stage: Stage) -> None:
    def refuse(*_: Any) -> None:
        raise PermanentError("LINE 403")

    stage.line.profile = refuse  # type: ignore[method-assign]
    assert work(stage, envelope(event(stage, "message", 1, message={"type": "text", "text": "x"}))) == FINE


def test_a_long_answer_is_cut_where_its_field_ends(stage: Stage) -> None:
    seen: list[Any] = []
    stage.world.scenario_people.on_fact = lambda fact, reply=None, tell=None: (seen.append(fact), [])[1]  # type: ignore[method-assign]
    work(stage, envelope(event(stage, "message", 1, message={"type": "text", "text": "あ" * 6000})))
    work(stage, envelope(event(stage, "postback", 2, postback={"data": "x" * 400})))
    assert [len(seen[0].text), len(seen[1].data)] == [5000, 300]


def test_no_name_text_or_token_stands_in_the_log(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    def boom(*_: Any) -> None:
        raise RuntimeError("秘密の名前")

    body = envelope(event(stage, "message", 1, replyToken="tokentoken", message={"type": "text", "text": "とても私的な話"}))
    work(stage, body)
    stage.world.webhook_log.is_done = boom  # type: ignore[method-assign]
    work(stage, body)
    logged = capsys.readouterr().out
    for secret in ("秘密の名前", "とても私的な話", "tokentoken", HANAKO, "Traceback"):
        assert secret not in logged
    assert "RuntimeError" in logged


def story(stage: Stage) -> list[dict[str, Any]]:
    """Two people over some minutes; some of it in the same millisecond."""
    start = to_millis(stage.clock.now())
    taro = {"source": {"type": "user", "userId": TARO}}
    told = [
        ("follow", 0, {}),
        ("message", 1000, {"message": {"type": "text", "text": "一"}}),
        ("unfollow", 2000, {}),
        ("follow", 3000, {"follow": {"isUnblocked": True}}),
        ("postback", 4000, {"postback": {"data": "enishi:stop"}}),
        ("follow", 500, taro),
        ("unfollow", 500, taro),
        ("videoPlayComplete", 4500, {}),
        ("unknown", 5000, {}),
    ]
    return [event(stage, kind, number, timestamp=start + at, **parts) for number, (kind, at, parts) in enumerate(told)]


def state_of(stage: Stage) -> Any:
    found = []
    for user in (HANAKO, TARO):
        friend = stage.world.friends.get(MAIN, user)
        kinds = sorted(
            {
                (item["sk"], item["kind"])
                for item in stage.world.tracking.timeline(friend.cid)
                if item["kind"] in ("message", "postback", "video")
            }
        )
        found.append((friend.state, friend.state_at, kinds, stage.world.customers.get(friend.cid).consents.keys()))
    return found


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9))
def test_order_and_repetition_change_nothing(tables: str, seed: int) -> None:
    import tests.conftest as setup
    from chalicelib.adapters import aws

    chance = random.Random(seed)
    results = []
    for shuffled in (False, True):
        for name in setup.TABLES:
            aws.client("dynamodb").delete_table(TableName=setup._NAMES[name])
        setup.make_tables()
        stage = make_stage()
        events = story(stage)
        bodies = [envelope(one) for one in events]
        if shuffled:
            chance.shuffle(events)
            bodies = []
            while events:
                size = chance.randint(1, 4)
                bodies.append(envelope(*events[:size]))
                events = events[size:]
            bodies += chance.sample(bodies, len(bodies) // 2)
            chance.shuffle(bodies)
        for body in bodies:
            assert work(stage, body) == FINE
        results.append(state_of(stage))
        # An answer by reply token is free and single: never twice.
        tokens = [sent["replyToken"] for verb, sent, _ in stage.line.sent if verb == "reply"]
        assert len(tokens) == len(set(tokens))
    assert results[0] == results[1]


def test_the_follow_fact_is_told_again_until_it_is_done(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    import chalicelib.entrypoints.webhook_worker as worker

    told: list[Any] = []

    def dies(facts: list[Any], _: Any) -> None:
        told.extend(facts)
        if len(told) == 1:
            raise RuntimeError("the function was killed")

    monkeypatch.setattr(worker, "react", dies)
    body = envelope(event(stage, "follow", 1))
    assert work(stage, body) != FINE
    assert work(stage, body) == FINE
    assert [type(fact) for fact in told] == [FriendFollowed, FriendFollowed]
    assert told[0] == told[1]


def test_a_visit_with_a_forged_token_is_forgotten(stage: Stage) -> None:
    visit = {
        "purpose": "r",
        "token": "forged.token",
        "method": "GET",
        "agent": "Mozilla/5.0",
        "at": to_text(stage.clock.now()),
        "visit_id": "v",
    }
    assert handle(records((json.dumps(visit), {"kind": "visit"})), stage.world) == FINE

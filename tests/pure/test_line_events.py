"""LINE's events: every type of line-platform.md 1.3 is read, and nothing that LINE may invent is lost."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chalicelib.entrypoints.line_events import LineEvent, read_envelope

HANAKO = "U" + "a" * 32
TYPES: dict[str, dict[str, Any]] = {
    "message": {"message": {"id": "1", "type": "text", "text": "やあ", "quoteToken": "q", "markAsReadToken": "m"}},
    "messageEdited": {"message": {"id": "1", "type": "text", "text": "やあ!", "quoteToken": "q"}},
    "unsend": {"unsend": {"messageId": "1"}},
    "follow": {"follow": {"isUnblocked": True}},
    "unfollow": {},
    "postback": {"postback": {"data": "a=b", "params": {"datetime": "2026-11-22T10:00"}}},
    "accountLink": {"link": {"result": "ok", "nonce": "n" * 20}},
    "videoPlayComplete": {"videoPlayComplete": {"trackingId": "t"}},
    "beacon": {"beacon": {"hwid": "d41d8cd98f", "type": "enter"}},
    "join": {},
    "leave": {},
    "memberJoined": {"joined": {"members": [{"type": "user", "userId": HANAKO}]}},
    "memberLeft": {"left": {"members": []}},
    "membership": {"membership": {"type": "joined", "membershipId": 1}},
    "module": {"module": {"type": "attached", "botId": "x", "scopes": []}},
    "activated": {"chatControl": {"expireAt": 1}},
    "deactivated": {},
    "botSuspended": {},
    "botResumed": {},
    "delivery": {"delivery": {"data": "tag"}},
    "teleport": {"teleport": {"to": "火星"}},  # LINE adds types without notice
}


def raw(kind: str = "message", **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "mode": "active",
        "timestamp": 1_700_000_000_123,
        "source": {"type": "user", "userId": HANAKO},
        "webhookEventId": "01FZ74A0TDDPYRVKNK77XKC3ZR",
        "deliveryContext": {"isRedelivery": False},
        "replyToken": "r",
        **more,
    }


def read(*events: object) -> tuple[LineEvent, ...]:
    return read_envelope(json.dumps({"destination": "U" + "0" * 32, "events": list(events)})).events


@pytest.mark.parametrize("kind", TYPES)
def test_it_reads_every_type_and_keeps_its_payload(kind: str) -> None:
    (event,) = read(raw(kind, **TYPES[kind]))
    assert event.type == kind and event.user_id == HANAKO and event.event_id == "01FZ74A0TDDPYRVKNK77XKC3ZR"
    assert event.at == datetime(2023, 11, 14, 22, 13, 20, 123000, tzinfo=UTC)
    for name, value in TYPES[kind].items():
        assert event.part(name) == value
    assert event.part("missing") == {}


def test_an_empty_list_of_events_is_lines_connectivity_check() -> None:
    envelope = read_envelope(b'{"destination":"U8e742f61d673b39c7fff3cecb7536ef0","events":[]}')
    assert (envelope.destination, envelope.events, envelope.problems) == ("U8e742f61d673b39c7fff3cecb7536ef0", (), 0)


@pytest.mark.parametrize(("mode", "answers"), [("active", True), ("standby", False), ("dreaming", True), (None, True), (5, True)])
def test_an_unknown_mode_loses_nothing_and_standby_gives_no_reply(mode: object, answers: bool) -> None:
    first, second = read(raw(mode=mode), raw())
    assert first.is_active is answers and (first.reply is not None) is answers
    assert second.reply is not None


@pytest.mark.parametrize(
    ("source", "user_id", "in_group"),
    [
        ({"type": "user", "userId": HANAKO}, HANAKO, False),
        ({"type": "group", "groupId": "C1", "userId": HANAKO}, HANAKO, True),
        ({"type": "group", "groupId": "C1"}, None, True),
        ({"type": "room", "roomId": "R1"}, None, True),
        ({"type": "planet", "userId": HANAKO}, HANAKO, True),
        ({"userId": HANAKO}, HANAKO, False),
        ({"type": "user", "userId": "nobody"}, None, False),
        (None, None, False),
        ([], None, False),
    ],
)
def test_it_knows_who_speaks_and_where(source: object, user_id: str | None, in_group: bool) -> None:
    (event,) = read(raw(source=source))
    assert (event.user_id, event.in_group) == (user_id, in_group)


def test_a_failed_link_has_neither_person_nor_token() -> None:
    event = raw("accountLink", link={"result": "failed", "nonce": "n"})
    del event["source"], event["replyToken"]
    (found,) = read(event)
    assert (found.user_id, found.reply, found.part("link")["result"]) == (None, None, "failed")


def test_lines_own_samples_without_optional_parts_are_read() -> None:
    follow, message = raw("follow"), raw("message", message={"id": "1", "type": "text", "text": "x"})
    del follow["deliveryContext"], message["mode"]
    assert [event.type for event in read(follow, message)] == ["follow", "message"]


def test_a_redelivered_event_says_so() -> None:
    (event,) = read(raw(deliveryContext={"isRedelivery": True}))
    assert event.is_redelivery


@pytest.mark.parametrize(
    "junk",
    [7, None, [], {}, raw(webhookEventId=None), raw(webhookEventId=""), raw(timestamp="now"), raw(timestamp=True), raw(timestamp=None),
     raw(timestamp=10**17), raw(timestamp=1e300), raw(timestamp=float("inf")), raw(timestamp=float("nan")), raw(timestamp=-(10**17))],
)  # fmt: skip
def test_junk_is_counted_and_its_neighbours_survive(junk: object) -> None:
    envelope = read_envelope(json.dumps({"destination": None, "events": [junk, raw()]}))
    assert (len(envelope.events), envelope.problems, envelope.destination) == (1, 1, "")


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"[]", b"{}", b'{"events":{}}', b'{"events":null}', b"\xff\xfe", b"7", "[" * 100_000]
)
def test_what_is_no_webhook_body_is_a_value_error(body: bytes | str) -> None:
    with pytest.raises(ValueError):
        read_envelope(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "userId", "isRedelivery", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(
    st.dictionaries(
        st.sampled_from(["type", "mode", "timestamp", "source", "webhookEventId", "deliveryContext", "replyToken", "message"]), JSON
    )
)
@example({"timestamp": 1e300, "webhookEventId": "x"})
def test_no_event_whatever_stops_the_batch(event: dict[str, Any]) -> None:
    envelope = read_envelope(json.dumps({"events": [event, {**raw(), **event, "timestamp": 1, "webhookEventId": "e"}]}))
    last = envelope.events[-1]
    assert last.event_id == "e"
    last.part("message"), last.reply  # noqa: B018

"""What somebody who runs the system looks at: dead letters, deliveries nobody can vouch for, raw events, letters."""

from __future__ import annotations

from typing import Any, Literal

from chalicelib.entrypoints.admin_api.framework import Body, Call, View, endpoint
from chalicelib.kernel.errors import InvalidError, NotFoundError


class DeadLetterView(View, kw_only=True):
    """A message that failed too often; its body may hold personal data."""

    message_id: str
    body: str
    attributes: dict[str, str]


class DeadLetterList(View, kw_only=True):
    """Up to 50 dead letters."""

    items: list[DeadLetterView]


class ReplayBody(Body, kw_only=True):
    """Which dead letters go back to work; nothing for all."""

    message_ids: list[str] = []


class Replayed(View, kw_only=True):
    """How many went back."""

    count: int


def _queue(call: Call[Any]) -> Literal["events", "work", "mail", "lake"]:
    match call.path["queue"]:
        case "events" | "work" | "mail" | "lake" as queue:
            return queue
    raise InvalidError("api.parameter_malformed", name="queue")


@endpoint(
    "GET", "/dead-letters/{queue}", scope="operations:read", response=DeadLetterList,
    summary="処理できなかったメッセージの一覧（events / work / mail / lake） / List dead letters",
)  # fmt: skip
def list_dead_letters(call: Call[None]) -> DeadLetterList:
    """List dead letters."""
    letters = call.world.dead_letters(_queue(call)).peek(50)
    items = [DeadLetterView(message_id=one.message_id, body=one.body, attributes=one.attributes) for one in letters]
    return DeadLetterList(items=items)


@endpoint(
    "POST", "/dead-letters/{queue}/replay", scope="operations:write", request=ReplayBody, response=Replayed, idempotent=True,
    summary="処理できなかったメッセージをもう一度処理 / Replay dead letters",
)  # fmt: skip
def replay_dead_letters(call: Call[ReplayBody]) -> Replayed:
    """Put dead letters back to work: first back into the queue, then out of here, so that none can be lost in between."""
    name = _queue(call)
    if name == "lake":  # a record of a stream cannot be handed in again: the lake is rebuilt
        raise InvalidError("lake.not_replayed")
    dead = call.world.dead_letters(name)
    queue = call.world.mail_events if name == "mail" else call.world.events if name == "events" else call.world.work
    wanted = set(call.body.message_ids)
    count = 0
    for letter in dead.peek(50):
        if not wanted or letter.message_id in wanted:
            queue.put(letter.body, letter.attributes)
            dead.remove(letter)
            count += 1
    return Replayed(count=count)


class UnknownList(View, kw_only=True):
    """Batches of which nobody can tell whether they arrived; they are never sent again by themselves."""

    items: list[dict[str, Any]]


@endpoint(
    "GET",
    "/deliveries/unknown",
    scope="operations:read",
    summary="到達不明の配信 / Deliveries of unknown fate",
    response=UnknownList,
)
def list_unknown_deliveries(call: Call[None]) -> UnknownList:
    """List deliveries of unknown fate."""
    return UnknownList(items=call.world.delivery.unknown())


class RawEvent(View, kw_only=True):
    """A webhook event as LINE sent it."""

    account: str
    kind: str
    at: str
    received_at: str
    raw: str


@endpoint(
    "GET", "/webhook-events/{event_id}", scope="operations:read", summary="Webhookイベントの原文 / A raw event", response=RawEvent
)
def get_webhook_event(call: Call[None]) -> RawEvent:
    """Return a raw event."""
    found = call.world.webhook_log.get(call.path["event_id"])
    if found is None:
        raise NotFoundError("resource.unknown")
    return RawEvent(**{name: found[name] for name in ("account", "kind", "at", "received_at", "raw")})


class LetterFile(View, kw_only=True):
    """A batch of letters: addresses as CSV, pages as PDF; the addresses work for an hour."""

    name: str
    csv_url: str
    pdf_url: str


class LetterList(View, kw_only=True):
    """Batches of letters."""

    items: list[LetterFile]


@endpoint(
    "GET",
    "/letters/{day}",
    scope="letters:read",
    summary="郵送DMの入稿データ（日付は2026-11-22の形） / Letter files of a day",
    response=LetterList,
)
def list_letters(call: Call[None]) -> LetterList:
    """List letter files of a day."""
    keys = call.world.files.list(f"postal/{call.path['day']}/")
    names = [key.removesuffix(".pdf") for key in keys if key.endswith(".pdf")]
    return LetterList(
        items=[
            LetterFile(
                name=name,
                csv_url=call.world.files.download_url(f"{name}.csv", 3600),
                pdf_url=call.world.files.download_url(f"{name}.pdf", 3600),
            )
            for name in names
        ]
    )

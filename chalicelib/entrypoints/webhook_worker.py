"""Below the queue: each event into its room, then its facts into reactions. Anything here may run twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from chalicelib import observability
from chalicelib.entrypoints.batches import work_through
from chalicelib.entrypoints.line_events import LineEvent, read_envelope
from chalicelib.kernel.clock import from_text
from chalicelib.kernel.errors import InvalidError, PermanentError
from chalicelib.kernel.facts import Evidence, Fact, LinkAnswered, Responded
from chalicelib.kernel.ids import AccountKey
from chalicelib.people.model import line_identity
from chalicelib.reactions import react
from chalicelib.tracking.model import CLICK, SITE
from chalicelib.wiring import World


def handle(event: Mapping[str, Any], here: World) -> dict[str, Any]:
    """Work through an SQS batch; return the messages to be tried again."""
    return work_through(event, lambda body, attributes: handle_message(body, attributes, here))


def handle_message(body: str, attributes: Mapping[str, str], here: World) -> None:
    """Work through one message of the events queue: a webhook body, a visit of one of our own addresses, or what others report."""
    if attributes.get("kind") == "visit":
        _visit(json.loads(body), here)
        return
    if attributes.get("kind") == "occurred":
        _occurred(json.loads(body)["fact_ids"], here)
        return
    account = AccountKey(attributes["account"])
    content: bytes | str = body
    if attributes.get("file"):
        content = here.files.get(attributes["file"]) or b""
    try:
        envelope = read_envelope(content)
    except ValueError:
        # Signed by LINE and yet unreadable: kept as a dead letter for a person to see, never silently dropped.
        observability.count("WebhookUnreadable", Account=account)
        raise
    if envelope.problems:
        observability.count("WebhookEventUnreadable", envelope.problems, Account=account)
    if envelope.destination != here.line_accounts.secret(account).bot_user_id:
        observability.count("WebhookWrongDestination", Account=account)
        observability.warning("a signed webhook names another account; check its address in LINE's console", account=account)
        return
    received_at = from_text(attributes["received_at"])
    failed: Exception | None = None
    for event in sorted(envelope.events, key=lambda event: event.at):
        try:
            _event(account, event, received_at, here)
        except Exception as error:  # noqa: BLE001 - raised below: other people's events must not wait for this one
            observability.error("an event failed", account=account, event_id=event.event_id)
            failed = error
    if failed is not None:
        raise failed


def _event(account: AccountKey, event: LineEvent, received_at: datetime, here: World) -> None:
    log = here.webhook_log
    if log.is_done(event.event_id):
        return
    is_late = _is_of_erased(account, event, here)
    if not is_late:
        react(facts_of(account, event, here), here)
    # Last, so that a crash before this line makes the event run again: the mark never precedes what it stands for.
    log.mark_done(account, event.event_id, event.type, event.at, received_at, {} if is_late else event.raw)


def _is_of_erased(account: AccountKey, event: LineEvent, here: World) -> bool:
    """Say whether an event would bring somebody back who was erased after it, or who only blocks us since.

    Whatever else he does after his erasure makes him somebody new: it is his own doing.
    """
    if event.user_id is None:
        return False
    identity = line_identity(account, event.user_id)
    receipt_id = here.erasures.erased([identity]).get(identity)
    if receipt_id is None:
        return False
    if event.at <= here.erasures.receipt(receipt_id).at:
        return True
    return event.type == "unfollow" and here.people.find(identity) is None


def facts_of(account: AccountKey, event: LineEvent, here: World) -> list[Fact]:
    """Return what an event means; the friend is entered on any event of his own."""
    if event.user_id is None or event.in_group:
        return []
    reply = replace(event.reply, account=account) if event.reply else None
    match event.type:
        case "follow":
            is_unblocked = event.part("follow").get("isUnblocked") is True
            return here.friends.follow(
                account, event.user_id, event.at, event_id=event.event_id, is_unblocked=is_unblocked, reply=reply
            )
        case "unfollow":
            return here.friends.block(account, event.user_id, event.at, event_id=event.event_id)
    friend = here.friends.observe(account, event.user_id, event.at)
    if not friend.display_name and event.is_active:
        try:
            friend = here.friends.fetch_profile(friend)
        except PermanentError:
            observability.warning("LINE would not tell a profile", account=account)
    common: dict[str, Any] = {
        "fact_id": event.event_id,
        "cid": friend.cid,
        "at": event.at,
        "account": account,
        "line_user_id": event.user_id,
        "reply": reply,
    }
    match event.type:
        case "accountLink":
            link = event.part("link")
            nonce = link.get("nonce")
            if link.get("result") != "ok" or not isinstance(nonce, str):
                return []
            return [LinkAnswered(**common, nonce=nonce)]
        case "message":
            message = event.part("message")
            return [Responded(**common, kind="message", text=str(message.get("text") or "")[:5000])]
        case "postback":
            return [Responded(**common, kind="postback", data=str(event.part("postback").get("data") or "")[:300])]
        case "videoPlayComplete":
            return [Responded(**common, kind="video", evidence=Evidence.EXPLICIT)]
        case _:
            return []


def _occurred(fact_ids: Sequence[str], here: World) -> None:
    facts = here.tracking.occurrences(fact_ids)
    late = [fact.fact_id for fact in facts if not here.people.is_there(fact.cid)]
    # Whoever was erased had not done it yet when his timeline was looked through.
    here.tracking.forget_occurrences(late)
    react([fact for fact in facts if fact.fact_id not in late], here)


def _visit(visit: Mapping[str, Any], here: World) -> None:
    at = from_text(visit["at"])
    facts: list[Fact]
    try:
        if visit["purpose"] == SITE:
            facts = [*here.tracking.visited(visit["token"], visit["page"], visit["agent"], at, here.people.is_there)]
        elif visit["purpose"] == CLICK:
            facts = here.tracking.clicked(visit["token"], visit["method"], visit["agent"], at, visit["visit_id"])
        else:
            facts = here.tracking.opened(visit["token"], at, visit["visit_id"])
    except InvalidError:
        return
    # Old links outlive whoever was erased, and nothing is noted of him any more.
    react([fact for fact in facts if here.people.is_there(fact.cid)], here)

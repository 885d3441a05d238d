"""LINE notification messages by phone number: flexible, and made of LINE's templates; counts of both."""

from __future__ import annotations

import re
from typing import Any, Final

from line_simulator.api.accounts import Accounts
from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.api.coupons import check_sent
from line_simulator.api.modules import FORBIDDEN
from line_simulator.exchange import ApiError, Response, json_bytes, json_response
from line_simulator.objects import notice
from line_simulator.objects.findings import Findings
from line_simulator.objects.messages import check_messages
from line_simulator.people.notifications import Notification, notify
from line_simulator.world.partner_book import is_granted
from line_simulator.world.state import Via, World

_TAG_HEADER: Final = "x-line-delivery-tag"
_DIGEST: Final = re.compile("[0-9a-fA-F]{64}")


class Notifications:
    """The calls (LINE notification messages API reference). Callers hold the world's lock."""

    def __init__(self, world: World, accounts: Accounts) -> None:
        self._world = world
        self._accounts = accounts

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        keys = "of LINE's templates, items and buttons it knows those of the reference's example, and what it is told"
        return {
            "pushMessagesByPhone": Operation(self._push, Reads.JSON),
            "getPNPMessageStatistics": Operation(lambda call: self._count(call, Via.PNP)),
            "pushTemplatedMessagesByPhone": Operation(self._push_templated, Reads.JSON, partial=keys),
            "getPNPTemplatedMessageStatistics": Operation(lambda call: self._count(call, Via.PNP_TEMPLATED)),
        }

    def _push(self, call: Context) -> Response:
        _check_granted(call, Via.PNP)
        found = Findings()
        _check_digest(found, call.body.get("to"))
        check_messages(found, call.body.get("messages"))
        found.boolean("notificationDisabled", call.body.get("notificationDisabled"))
        found.raise_if_any()
        check_sent(self._world, call.owner, found, call.body["messages"])
        found.raise_if_any()
        self._send(call, Via.PNP, call.request.body)
        return json_response({})

    def _push_templated(self, call: Context) -> Response:
        _check_granted(call, Via.PNP_TEMPLATED)
        found = Findings()
        _check_digest(found, call.body.get("to"))
        message = notice.written(self._world, found, call.body.get("templateKey"), call.body.get("body"))
        self._send(call, Via.PNP_TEMPLATED, json_bytes({"messages": [message]}))
        return json_response({}, 202)

    def _send(self, call: Context, via: Via, body: bytes) -> None:
        tag, digest = call.request.headers.get(_TAG_HEADER), call.body["to"].lower()
        if tag is not None and not 16 <= len(tag) <= 100:
            raise ApiError(400, "The X-Line-Delivery-Tag header is invalid")
        if not notify(self._world, Notification(call.owner, via, digest, tag or call.body["to"], body, call.request_id)):
            raise ApiError(422, "Failed to send messages")

    def _count(self, call: Context, via: Via) -> Response:
        _check_granted(call, via)
        return self._accounts.sent_count(call.owner, via, call.query)


def _check_granted(call: Context, via: Via) -> None:
    if not is_granted(call.owner, via):
        raise ApiError(403, FORBIDDEN)


def _check_digest(found: Findings, to: Any) -> None:
    if not isinstance(to, str) or _DIGEST.fullmatch(to) is None:
        found.add("to", "The value must be a valid SHA-256 digest.")

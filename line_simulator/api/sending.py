"""The send calls: reply, push, multicast, broadcast, with retry keys, quota and delivery."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from line_simulator.api.calls import Act, Context, Operation, Reads
from line_simulator.api.coupons import check_sent
from line_simulator.api.destination import check_destination, refuse_mentions
from line_simulator.api.units import refuse_units
from line_simulator.exchange import ApiError, Response, json_response
from line_simulator.objects.findings import Findings
from line_simulator.objects.messages import QUOTABLE, check_messages
from line_simulator.world import reports
from line_simulator.world.group_chats import GroupPost, GroupRecord, joined_by
from line_simulator.world.ids import is_retry_key, is_user_id, quote_token
from line_simulator.world.state import (
    DAY_SECONDS,
    RETRY_KEY_SECONDS,
    Channel,
    Chat,
    Friendship,
    Sending,
    Via,
    World,
)

MULTICAST_MAX: Final = 500
REPLY_SECONDS: Final = 60.0
REPLY_CUTOFF_SECONDS: Final = 1200.0
# Someone who is no friend but wrote in the last seven days can be pushed to (Messaging API reference, Send push message).
TALKED_SECONDS: Final = 7 * DAY_SECONDS
# LINE notification messages reach people who are no friends too, and are billed apart from the monthly limit
# (LINE notification messages, Technical specifications).
BY_PHONE: Final = (Via.PNP, Via.PNP_TEMPLATED)
_TO_STRANGERS: Final = (Via.PUSH, Via.REPLY, *BY_PHONE)
_ADDRESS: Final = re.compile("[UCR][0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Draft:
    """A send call as it arrived."""

    channel: Channel
    body: bytes
    content: dict[str, Any]
    request_id: str
    notes: list[str]
    retry_key: str | None = None


class Sender:
    """Accepts or refuses messages and puts them into chats. Callers hold the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the send and validate operations."""

        def send(act: Act, *, retry_key: bool = True, partial: str = "") -> Operation:
            return Operation(act, Reads.JSON, retry_key=retry_key, partial=partial)

        return {
            "replyMessage": send(lambda call: _sent(self.reply(draft_of(call))), retry_key=False),
            "pushMessage": send(lambda call: _sent(self.push(draft_of(call)))),
            "multicast": send(lambda call: self.multicast(draft_of(call))),
            "broadcast": send(lambda call: self.broadcast(draft_of(call))),
            **dict.fromkeys(_VALIDATIONS, send(self.validate, retry_key=False)),
        }

    def reply(self, draft: Draft) -> list[dict[str, str]]:
        """Send by reply token: free, once, within a minute. Raises ApiError 400."""
        found = Findings()
        found.text("replyToken", draft.content.get("replyToken"), 1000)
        self._check(found, draft)
        token = self._world.state.reply_tokens.get(draft.content["replyToken"])
        now = self._world.clock.time()
        seconds = REPLY_SECONDS if self._world.settings.strict_reply_tokens else REPLY_CUTOFF_SECONDS
        if (
            token is None
            or token.used
            or token.channel_id != draft.channel.id
            or now - token.received_at > seconds
            or now - token.event_at > REPLY_CUTOFF_SECONDS
        ):
            raise ApiError(400, "Invalid reply token")
        group = joined_by(self._world, draft.channel, token.user_id)
        if group is None and not is_user_id(token.user_id):
            # The account has left the group since; no document tells the answer.
            raise ApiError(400, "Failed to send messages")
        check_destination(self._world, draft.channel, draft.content["messages"], token.user_id, group)
        token.used = True
        if group is not None:
            return self._post(draft, Via.REPLY, group)
        return self._deliver(draft, Via.REPLY, [token.user_id], billed=False)

    def push(self, draft: Draft) -> list[dict[str, str]]:
        """Send to one person, group or room. A blocked person or stranger gives success and no delivery. Raises ApiError."""
        found = Findings()
        to: str = draft.content.get("to", "")
        found.text("to", to, 100)
        self._check(found, draft)
        self._check_units(draft)
        if _ADDRESS.fullmatch(to) is None:
            raise ApiError(400, "The property, to, in the request body is invalid (line: -, column: -)")
        group = joined_by(self._world, draft.channel, to)
        if group is None and not (is_user_id(to) and self._in_provider(draft.channel, to)):
            raise ApiError(400, "Failed to send messages")
        check_destination(self._world, draft.channel, draft.content["messages"], to, group)
        self.refuse_repeated(draft, Via.PUSH)
        if group is not None:
            return self._post(draft, Via.PUSH, group)
        return self._deliver(draft, Via.PUSH, [to])

    def multicast(self, draft: Draft) -> Response:
        """Send to up to 500 people. Raises ApiError."""
        found = Findings()
        to = found.items("to", draft.content.get("to"), 1, MULTICAST_MAX)
        self._check(found, draft)
        refuse_mentions(draft.content["messages"])
        self._check_units(draft)
        user_ids = self._addressees(draft.channel, to)
        self.refuse_repeated(draft, Via.MULTICAST)
        self._deliver(draft, Via.MULTICAST, user_ids)
        return json_response({})

    def broadcast(self, draft: Draft) -> Response:
        """Send to all friends. Raises ApiError."""
        self._check(Findings(), draft)
        refuse_mentions(draft.content["messages"])
        self.refuse_repeated(draft, Via.BROADCAST)
        friends = [user for user, chat in draft.channel.chats.items() if chat.status is Friendship.FRIEND]
        self._deliver(draft, Via.BROADCAST, friends)
        return json_response({})

    def notify(self, draft: Draft, via: Via, user_id: str) -> None:
        """Deliver a LINE notification message (BY_PHONE) to someone who may be no friend; a block keeps it out."""
        draft.channel.chat(user_id)
        self._deliver(draft, via, [user_id], billed=False)

    def validate(self, call: Context) -> Response:
        """Answer the validations: only `messages` are looked at. Raises ApiError 400."""
        found = Findings()
        check_messages(found, call.body.get("messages"))
        found.raise_if_any()
        check_sent(self._world, call.owner, found, call.body["messages"])
        found.raise_if_any()
        if call.operation_id not in ("validateReply", "validatePush"):
            refuse_mentions(call.body["messages"])
        return json_response({})

    def _check(self, found: Findings, draft: Draft) -> None:
        check_messages(found, draft.content.get("messages"))
        found.boolean("notificationDisabled", draft.content.get("notificationDisabled"))
        found.raise_if_any()
        check_sent(self._world, draft.channel, found, draft.content["messages"])
        found.raise_if_any()

    def _check_units(self, draft: Draft) -> None:
        units = draft.content.get("customAggregationUnits")
        if units is None:
            return
        refuse_units(self._world)
        found = Findings()
        for index, unit in enumerate(found.items("customAggregationUnits", units, 1, 1)):
            path = f"customAggregationUnits[{index}]"
            # MulticastRequest.customAggregationUnits in messaging-api.yml: ^[a-zA-Z0-9_]{1,30}$
            if found.text(path, unit, 30) and not (unit.isascii() and unit.replace("_", "a").isalnum()):
                found.add(path, "Must match the pattern ^[a-zA-Z0-9_]{1,30}$")
        found.raise_if_any()

    def _in_provider(self, channel: Channel, user_id: str) -> bool:
        if user_id in channel.chats:
            return True
        owner = self._world.state.owners.get(user_id)
        return owner is not None and owner[0] == channel.provider

    def _addressees(self, channel: Channel, to: list[Any]) -> list[str]:
        chats = channel.chats
        user_ids = list(dict.fromkeys(user for user in to if isinstance(user, str)))
        lenient = self._world.settings.multicast_foreign_id == 200
        if len(user_ids) == len(to) and all(user in chats for user in user_ids):
            return user_ids
        for index, user in enumerate(to):
            if not is_user_id(user) or not (lenient or self._in_provider(channel, user)):
                raise ApiError(400, f"The property, to[{index}], in the request body is invalid (line: -, column: -)")
        return user_ids

    def refuse_repeated(self, draft: Draft, via: Via) -> None:
        if draft.retry_key is None:
            return
        first = self._world.state.retries.get((draft.channel.id, f"{via}/{draft.retry_key}"))
        if first is None or self._world.clock.time() - first.at >= RETRY_KEY_SECONDS:
            return
        if first.body != draft.body:
            draft.notes.append("retry key used again with a different body")
        error = ApiError(409, "The retry key is already accepted")
        error.headers["x-line-accepted-request-id"] = first.request_id
        if via is Via.PUSH:
            error.extra["sentMessages"] = sent_messages(first)
        raise error

    def _deliver(self, draft: Draft, via: Via, to: list[str], *, billed: bool = True) -> list[dict[str, str]]:
        world = self._world
        now = world.clock.time()
        chats = draft.channel.chats
        reached: list[tuple[str, Chat]] = []
        for user_id in to:
            chat = chats.get(user_id)
            if chat is not None and can_receive(chat, via, now):
                reached.append((user_id, chat))
        month = world.month(now)
        if billed:
            _refuse_beyond_limit(draft.channel, month, len(reached))
        sending = self._accept(draft, via, now)
        for _, chat in reached:
            if chat.inbox is None:
                chat.inbox = [sending]
            else:
                chat.inbox.append(sending)
        self._count(draft, sending, len(reached), month, billed=billed)
        if reached:
            world.delivered(draft.channel, [user_id for user_id, _ in reached], sending)
        return sent_messages(sending, draft.content["messages"])

    def _post(self, draft: Draft, via: Via, group: GroupRecord) -> list[dict[str, str]]:
        """Send to all members of a group; each counts, whether friend or not (documentation, Messaging API pricing)."""
        world, now = self._world, self._world.clock.time()
        month, billed = world.month(now), via is not Via.REPLY
        if billed:
            _refuse_beyond_limit(draft.channel, month, len(group.members))
        people = [world.state.people[one] for one in group.members if one in world.state.people]
        user_ids = [world.user_id(one, draft.channel.provider) for one in people]
        sending = self._accept(draft, via, now, group.id)
        group.posts.append(GroupPost(sending, user_ids))
        self._count(draft, sending, len(user_ids), month, billed=billed)
        if user_ids:
            world.delivered(draft.channel, user_ids, sending)
        return sent_messages(sending, draft.content["messages"])

    def _count(self, draft: Draft, sending: Sending, reached: int, month: str, *, billed: bool) -> None:
        channel = draft.channel
        if billed:
            channel.used[month] = channel.used.get(month, 0) + reached
        key = f"{self._world.tokyo(sending.at):%Y%m%d}/{sending.via}"
        channel.sent[key] = channel.sent.get(key, 0) + reached
        reports.note(self._world, sending, draft.content.get("customAggregationUnits"), reached)

    def _accept(self, draft: Draft, via: Via, now: float, group_id: str = "") -> Sending:
        count = len(draft.content["messages"])
        sending = Sending(
            sequence=self._world.state.next_sequence(),
            channel_id=draft.channel.id,
            via=via,
            body=draft.body,
            first_id=self._world.ids.message_ids(count),
            count=count,
            at=now,
            request_id=draft.request_id,
            retry_key=draft.retry_key,
            group_id=group_id,
        )
        if draft.retry_key is not None:
            self._world.state.retries[(draft.channel.id, f"{via}/{draft.retry_key}")] = sending
        return sending


def _refuse_beyond_limit(channel: Channel, month: str, reached: int) -> None:
    """Refuse the whole call when it does not fit; LINE sends nothing of it (Messaging API, Monthly limit)."""
    limit = channel.monthly_limit
    if limit is not None and channel.used.get(month, 0) + channel.reserved.get(month, 0) + max(reached, 1) > limit:
        raise ApiError(429, "You have reached your monthly limit.")


def can_receive(chat: Chat, via: Via, now: float) -> bool:
    """Tell whether a message sent `via` would appear in this chat at `now` (epoch seconds)."""
    if chat.status is Friendship.FRIEND:
        return True
    if chat.status is Friendship.BLOCKED or via not in _TO_STRANGERS:
        return False
    if via in BY_PHONE:
        return True
    return now - chat.last_said_at <= TALKED_SECONDS


def sent_messages(sending: Sending, messages: list[dict[str, Any]] | None = None) -> list[dict[str, str]]:
    """Return the sentMessages of a reply or push (messaging-api.yml, SentMessage)."""
    result = []
    for index, message in enumerate(sending.messages() if messages is None else messages):
        entry = {"id": str(sending.first_id + index)}
        if message["type"] in QUOTABLE:
            entry["quoteToken"] = quote_token(entry["id"])
        result.append(entry)
    return result


def draft_of(call: Context) -> Draft:
    """Return the send call. Raises ApiError 400 if its retry key is malformed."""
    key = call.request.headers.get("x-line-retry-key")
    if key is not None and not is_retry_key(key):
        raise ApiError(400, "The X-Line-Retry-Key header is invalid")
    return Draft(call.owner, call.request.body, call.body, call.request_id, call.notes, key and key.lower())


def _sent(messages: list[dict[str, str]]) -> Response:
    return json_response({"sentMessages": messages})


_VALIDATIONS: Final = ("validateReply", "validatePush", "validateMulticast", "validateNarrowcast", "validateBroadcast")

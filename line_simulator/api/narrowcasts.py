"""Narrowcasts: accepted at once, filtered and sent in the background by the virtual clock."""

from __future__ import annotations

import random
from collections.abc import Container
from datetime import UTC, datetime
from typing import Final

from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.api.coupons import check_sent
from line_simulator.api.demographics import target_reach
from line_simulator.api.destination import refuse_mentions
from line_simulator.api.sending import Draft, Sender, draft_of
from line_simulator.exchange import ApiError, Response, json_response
from line_simulator.objects.findings import Findings
from line_simulator.objects.messages import check_messages
from line_simulator.objects.narrowcast import (
    Sources,
    check_filter,
    check_limit,
    check_recipient,
    filter_test,
    recipient_test,
    refuse_lone_option,
)
from line_simulator.world import reports
from line_simulator.world.audience_book import ENOUGH, AudienceBook, members, status
from line_simulator.world.narrowcast_book import Narrowcast, NarrowcastBook, reserve
from line_simulator.world.state import DAY_SECONDS, Channel, Friendship, JsonObject, Sending, Via, World

KEPT_SECONDS: Final = 14 * DAY_SECONDS
REACH_FOR_ATTRIBUTES: Final = 100
_INTERNAL, _TOO_FEW, _CONFLICT, _SMALL_AUDIENCE, _PARTIAL = 1, 2, 3, 4, 5
# LINE documents the codes, but no text of failedDescription.
_REASONS: Final = {
    _INTERNAL: "An internal error occurred",
    _TOO_FEW: "There are not enough recipients",
    _CONFLICT: "The request has already been accepted",
    _SMALL_AUDIENCE: "An audience has less than 50 recipients",
    _PARTIAL: "Message delivery has been canceled to prevent partial delivery",
}
_MONTHLY_LIMIT: Final = "You have reached your monthly limit."
_TOKYO_OFFSET: Final = 9 * 3600


class Narrowcasts:
    """Accepts narrowcasts, carries them out as time passes, and tells how far they are."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._sender = Sender(world)

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area.

        Guessed: how long the phases take, the texts of failedDescription, errorCode 1 when the quota cannot be reserved, that
        people of whom LINE knows nothing fit the opposite of a filter, the texts for malformed recipients, filters and limits.
        """
        return {
            "narrowcast": Operation(self.narrowcast, Reads.JSON, retry_key=True),
            "getNarrowcastProgress": Operation(self.progress),
        }

    def resume(self) -> None:
        """Take up again the narrowcasts that were running when the world was kept."""
        with self._world.lock:
            for one in self._book.narrowcasts.values():
                if one.running:
                    self._expect(one)

    def narrowcast(self, call: Context) -> Response:
        """Answer narrowcast with 202. Raises ApiError 400, 403, 409, 429."""
        draft = draft_of(call)
        found = Findings()
        check_messages(found, draft.content.get("messages"))
        found.boolean("notificationDisabled", draft.content.get("notificationDisabled"))
        sources = check_recipient(found, draft.content.get("recipient"))
        demographic = check_filter(found, draft.content.get("filter"))
        limit = check_limit(found, draft.content.get("limit"))
        found.raise_if_any()
        check_sent(self._world, draft.channel, found, draft.content["messages"])
        found.raise_if_any()
        refuse_mentions(draft.content["messages"])
        refuse_lone_option(limit)
        self._sender.refuse_repeated(draft, Via.NARROWCAST)
        self._check_sources(draft.channel, sources)
        if demographic is not None and target_reach(self._world, draft.channel) < REACH_FOR_ATTRIBUTES:
            raise ApiError(403, "Your account does not have enough friends")
        narrowcast = self._accept(draft, demographic, limit)
        if call.fault is not None and call.fault.kind == "narrowcast_failed":
            self._doom(narrowcast, call.fault.code or _INTERNAL)
        if call.fault is not None and call.fault.kind == "narrowcast_slow":
            narrowcast.filtered_at += call.fault.seconds
            narrowcast.done_at += call.fault.seconds
        self._expect(narrowcast)
        return json_response({}, 202)

    def progress(self, call: Context) -> Response:
        """Answer getNarrowcastProgress, for fourteen days. Raises ApiError 400, 404."""
        request_id = call.query.get("requestId")
        if not request_id:
            raise ApiError(400, "The value for the 'requestId' parameter is invalid")
        one = self._book.of(call.owner, request_id)
        if one is None or self._world.clock.time() - one.accepted_at >= KEPT_SECONDS:
            raise ApiError(404, "Not found")
        content: JsonObject = {"phase": one.phase, "acceptedTime": _iso(one.accepted_at)}
        if one.phase != "waiting":
            failed = one.target_count - one.success if one.phase == "succeeded" else 0
            content.update(successCount=one.success, failureCount=failed, targetCount=one.target_count)
        if not one.running:
            content["completedTime"] = _iso(one.completed_at)
        if one.phase == "failed":
            content.update(failedDescription=one.reason, errorCode=one.error)
        return json_response(content)

    # -- accepting

    def _check_sources(self, channel: Channel, sources: Sources) -> None:
        now = self._world.clock.time()
        for audience_id in sources.audiences:
            audience = self._world.part(AudienceBook).find(channel, audience_id, now)
            if audience is None or status(self._world, audience) != "READY":
                raise ApiError(400, f"Invalid audience group id: {audience_id}")
        for request_id in sources.requests:
            earlier = self._book.of(channel, request_id)
            if earlier is None or earlier.phase != "succeeded" or now - earlier.accepted_at >= KEPT_SECONDS:
                raise ApiError(400, f"Invalid request id: {request_id}")

    def _accept(self, draft: Draft, demographic: JsonObject | None, limit: JsonObject) -> Narrowcast:
        """Note a narrowcast and reserve what it may need (Messaging API reference, Limit objects)."""
        world, channel = self._world, draft.channel
        now = world.clock.time()
        month = world.month(now)
        # Without attributes people LINE knows nothing of are written to as well, so the reach is all friends.
        most = sum(chat.status is Friendship.FRIEND for chat in channel.chats.values())
        if limit.get("max") is not None:
            most = min(most, limit["max"])
        left = None
        if channel.monthly_limit is not None:
            left = channel.monthly_limit - channel.used.get(month, 0) - channel.reserved.get(month, 0)
            if left < 1:
                raise ApiError(429, _MONTHLY_LIMIT)
            if limit.get("upToRemainingQuota"):
                most = min(most, left)
        filtered_at = now + world.settings.narrowcast_waiting_seconds
        narrowcast = Narrowcast(
            request_id=draft.request_id,
            channel_id=channel.id,
            retry_key=draft.retry_key,
            body=draft.body,
            messages=len(draft.content["messages"]),
            accepted_at=now,
            filtered_at=filtered_at,
            done_at=filtered_at + world.settings.narrowcast_sending_seconds,
            month=month,
            limit=most,
            recipient=draft.content.get("recipient"),
            demographic=demographic,
            whole=bool(limit.get("forbidPartialDelivery")),
        )
        if left is not None and most > left:
            # LINE says that such a narrowcast fails when its delivery starts, but not with which errorCode.
            self._doom(narrowcast, _INTERNAL, _MONTHLY_LIMIT)
        else:
            reserve(channel, narrowcast, most)
        self._book.narrowcasts[draft.request_id] = narrowcast
        self._note(narrowcast)
        return narrowcast

    def _note(self, narrowcast: Narrowcast) -> None:
        """Let statistics and a retry know of it before anything is delivered."""
        accepted = self._sending(narrowcast)
        narrowcast.sequence = accepted.sequence
        reports.note(self._world, accepted, None, None)
        if narrowcast.retry_key is not None:
            self._world.state.retries[(narrowcast.channel_id, f"{Via.NARROWCAST}/{narrowcast.retry_key}")] = accepted

    def _sending(self, narrowcast: Narrowcast) -> Sending:
        return Sending(
            sequence=self._world.state.next_sequence(),
            channel_id=narrowcast.channel_id,
            via=Via.NARROWCAST,
            body=narrowcast.body,
            first_id=self._world.ids.message_ids(narrowcast.messages),
            count=narrowcast.messages,
            at=self._world.clock.time(),
            request_id=narrowcast.request_id,
            retry_key=narrowcast.retry_key,
        )

    def _doom(self, narrowcast: Narrowcast, code: int, reason: str = "") -> None:
        narrowcast.doomed = code
        narrowcast.reason = reason or _REASONS.get(code, _REASONS[_INTERNAL])

    # -- carrying out

    @property
    def _book(self) -> NarrowcastBook:
        return self._world.part(NarrowcastBook)

    def _expect(self, narrowcast: Narrowcast) -> None:
        waiting = narrowcast.phase == "waiting"
        act = self._filter if waiting else self._send
        self._world.due.at(narrowcast.filtered_at if waiting else narrowcast.done_at, lambda: act(narrowcast))

    def _filter(self, narrowcast: Narrowcast) -> None:
        """Find the recipients and begin to send, or fail."""
        channel = self._world.state.channels[narrowcast.channel_id]
        people = self._recipients(channel, narrowcast)
        narrowcast.target_count = len(people)
        if not narrowcast.doomed:
            self._doom_privacy(channel, narrowcast, people)
        if not narrowcast.doomed and narrowcast.whole and len(people) > narrowcast.limit:
            self._doom(narrowcast, _PARTIAL)
        if narrowcast.doomed:
            narrowcast.phase, narrowcast.error, narrowcast.target_count = "failed", narrowcast.doomed, 0
            self._end(channel, narrowcast)
            return
        if len(people) > narrowcast.limit:
            # Chosen at random, the same ones for the same seed.
            chosen = random.Random(narrowcast.request_id).sample(range(len(people)), narrowcast.limit)
            people = [people[index] for index in sorted(chosen)]
        narrowcast.phase, narrowcast.targets, narrowcast.target_count = "sending", people, len(people)
        if narrowcast.reserved:
            reserve(channel, narrowcast, len(people))
        self._expect(narrowcast)

    def _send(self, narrowcast: Narrowcast) -> None:
        """Put the messages into the chats of those who are still friends."""
        world = self._world
        channel = world.state.channels[narrowcast.channel_id]
        sending = self._sending(narrowcast)
        reached = [user for user in narrowcast.targets if channel.chats[user].status is Friendship.FRIEND]
        for user in reached:
            chat = channel.chats[user]
            if chat.inbox is None:
                chat.inbox = [sending]
            else:
                chat.inbox.append(sending)
        month, day = world.month(sending.at), f"{world.tokyo(sending.at):%Y%m%d}/{Via.NARROWCAST}"
        channel.used[month] = channel.used.get(month, 0) + len(reached)
        channel.sent[day] = channel.sent.get(day, 0) + len(reached)
        narrowcast.phase, narrowcast.success, narrowcast.sequence = "succeeded", len(reached), sending.sequence
        self._end(channel, narrowcast)
        reports.note(world, sending, None, len(reached))
        if reached:
            world.delivered(channel, reached, sending)

    def _end(self, channel: Channel, narrowcast: Narrowcast) -> None:
        narrowcast.completed_at = self._world.clock.time()
        narrowcast.targets = []
        reserve(channel, narrowcast, 0)

    def _recipients(self, channel: Channel, narrowcast: Narrowcast) -> list[str]:
        world = self._world
        friends = [user for user, chat in channel.chats.items() if chat.status is Friendship.FRIEND]
        if narrowcast.recipient is not None:
            wanted = recipient_test(narrowcast.recipient, self._members, lambda request_id: self._delivered(channel, request_id))
            friends = [user for user in friends if wanted(user)]
        if narrowcast.demographic is not None:
            fits = filter_test(narrowcast.demographic)
            today, owners = _day(world.clock.time()), world.state.owners
            friends = [user for user in friends if fits(owners[user][1], today - _day(channel.chats[user].since))]
        return friends

    def _members(self, audience_id: int) -> Container[str]:
        # One deleted meanwhile is empty.
        audience = self._world.part(AudienceBook).audiences.get(audience_id)
        return members(self._world, audience) if audience else ()

    def _delivered(self, channel: Channel, request_id: str) -> Container[str]:
        earlier = self._book.of(channel, request_id)
        sequence = earlier.sequence if earlier else -1
        inboxes = ((user, chat.inbox) for user, chat in channel.chats.items() if chat.inbox)
        return {user for user, inbox in inboxes if any(one.sequence == sequence for one in inbox)}

    def _doom_privacy(self, channel: Channel, narrowcast: Narrowcast, people: list[str]) -> None:
        """Fail what would tell too much of too few (Messaging API reference, restrictions using attributes and audiences)."""
        sources = check_recipient(Findings(), narrowcast.recipient)
        book = self._world.part(AudienceBook).audiences
        audiences = [book[one] for one in dict.fromkeys(sources.audiences) if one in book]
        restricted = [one for one in audiences if one.restricted]
        if len(audiences) > 1:
            friends = {user for user, chat in channel.chats.items() if chat.status is Friendship.FRIEND}
            if any(len(friends & members(self._world, one)) < ENOUGH for one in restricted):
                self._doom(narrowcast, _SMALL_AUDIENCE)
                return
        if (restricted or narrowcast.demographic is not None) and len(people) < ENOUGH:
            self._doom(narrowcast, _TOO_FEW)


def _day(at: float) -> int:
    """Return the number of the day in Japan; friendship is counted from the day after somebody became a friend."""
    return int((at + _TOKYO_OFFSET) // DAY_SECONDS)


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

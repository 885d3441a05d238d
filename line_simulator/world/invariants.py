"""What must hold whatever the product does, checked from what people's chats really contain."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field

from line_simulator.api.sending import BY_PHONE, TALKED_SECONDS
from line_simulator.world.group_chats import all_posts
from line_simulator.world.narrowcast_book import NarrowcastBook
from line_simulator.world.state import Channel, Chat, Friendship, Sending, Via, World


@dataclass(frozen=True, slots=True)
class Verdict:
    """`broken` holds one sentence per violation; `repeated` those who got equal content more than once."""

    broken: tuple[str, ...]
    repeated: tuple[str, ...]
    delivered: int

    @property
    def ok(self) -> bool:
        """Whether nothing is broken."""
        return not self.broken


@dataclass(slots=True)
class _Seen:
    """What was found in all chats of one channel; sendings by their sequence number, with one person who got each."""

    billed: Counter[str] = field(default_factory=Counter)
    daily: Counter[str] = field(default_factory=Counter)
    sendings: dict[int, tuple[Sending, str]] = field(default_factory=dict)
    reached: Counter[int] = field(default_factory=Counter)
    months: dict[int, tuple[str, str]] = field(default_factory=dict)


def check(world: World, *, unique_content: bool = False) -> Verdict:
    """Check all chats. With `unique_content`, receiving equal messages twice (other than replies) counts as broken.

    One delivery per person and retry key; nothing delivered to someone who had blocked; used quota and daily counts are
    what was delivered; reserved quota is what running narrowcasts hold; one reply per reply token, to whom it was meant.
    """
    broken: list[str] = []
    repeated: list[str] = []
    delivered = 0
    marks: dict[int, bytes] = {}
    with world.lock:
        for channel in world.state.channels.values():
            found = _Seen()
            for user_id, chat in channel.chats.items():
                inbox = chat.inbox or []
                delivered += sum(sending.count for sending in inbox)
                for sending in inbox:
                    _count(world, found, sending, user_id)
                broken += _repeated(channel, user_id, inbox)
                broken += _unreachable(channel, user_id, chat)
                repeated += _repeated_content(channel, user_id, inbox, marks)
            delivered += _check_groups(world, channel, found, broken)
            broken += _quota(channel, found)
            broken += _narrowcasts(world, channel, found)
            broken += _daily(channel, found)
            broken += _reply_tokens(world, channel, found)
    if unique_content:
        broken += repeated
    return Verdict(tuple(broken), tuple(repeated), delivered)


def _count(world: World, found: _Seen, sending: Sending, user_id: str) -> None:
    dates = found.months.get(sending.sequence)
    if dates is None:
        day = f"{world.tokyo(sending.at):%Y%m%d}"
        dates = found.months[sending.sequence] = (day[:6], f"{day}/{sending.via}")
        found.sendings[sending.sequence] = (sending, user_id)
    found.reached[sending.sequence] += 1
    if sending.via is not Via.REPLY and sending.via not in BY_PHONE:
        found.billed[dates[0]] += 1
    found.daily[dates[1]] += 1


def _check_groups(world: World, channel: Channel, found: _Seen, broken: list[str]) -> int:
    """Count what was sent to groups, each member for one; returns how many messages members received."""
    posts: dict[str, list[Sending]] = {}
    for user_id, sending in all_posts(world, channel):
        posts.setdefault(user_id, []).append(sending)
        _count(world, found, sending, user_id)
    for user_id, sendings in posts.items():
        broken += _repeated(channel, user_id, sendings)
    return sum(sending.count for sendings in posts.values() for sending in sendings)


def _repeated(channel: Channel, user_id: str, inbox: list[Sending]) -> list[str]:
    if len(inbox) < 2:
        return []
    numbers = Counter(sending.sequence for sending in inbox)
    keys = Counter(sending.retry_key for sending in inbox if sending.retry_key is not None)
    if len(numbers) == len(inbox) and all(count == 1 for count in keys.values()):
        return []
    requests = {sending.sequence: sending.request_id for sending in inbox}
    told = [
        f"{user_id} received request {requests[number]} of {channel.name} {count} times."
        for number, count in numbers.items()
        if count > 1
    ]
    for key, count in keys.items():
        if count > 1:
            which = ", ".join(one.request_id for one in inbox if one.retry_key == key)
            told.append(f"{user_id} received retry key {key} of {channel.name} {count} times (requests {which}).")
    return told


def _unreachable(channel: Channel, user_id: str, chat: Chat) -> list[str]:
    history = chat.history
    if all(status is Friendship.FRIEND for _, status in history) and history:
        first = history[0][0]
        early = [one for one in chat.inbox or () if one.sequence < first and not _had_talked(chat, one)]
        return [_told(channel, user_id, one, "was no friend") for one in early]
    told = []
    for sending in chat.inbox or ():
        status = _status_at(chat, sending.sequence)
        if status is Friendship.BLOCKED:
            told.append(_told(channel, user_id, sending, "had blocked the account"))
        elif status is Friendship.NONE and not _had_talked(chat, sending):
            told.append(_told(channel, user_id, sending, "was no friend"))
    return told


def _status_at(chat: Chat, sequence: int) -> Friendship:
    status = Friendship.NONE
    for at, became in chat.history:
        if at > sequence:
            break
        status = became
    return status


def _had_talked(chat: Chat, sending: Sending) -> bool:
    if sending.via is Via.REPLY or sending.via in BY_PHONE:
        return True
    return any(said.at <= sending.at <= said.at + TALKED_SECONDS for said in chat.said or ())


def _told(channel: Channel, user_id: str, sending: Sending, reason: str) -> str:
    return f"{user_id} received request {sending.request_id} of {channel.name} although the person {reason}."


def _repeated_content(channel: Channel, user_id: str, inbox: list[Sending], marks: dict[int, bytes]) -> list[str]:
    if len(inbox) < 2:
        return []
    requests: dict[bytes, list[str]] = {}
    for sending in inbox:
        if sending.via is not Via.REPLY:
            requests.setdefault(_mark(sending, marks), []).append(sending.request_id)
    return [
        f"{user_id} received equal content of {channel.name} {len(same)} times (requests {', '.join(same)})."
        for same in requests.values()
        if len(same) > 1
    ]


def _mark(sending: Sending, marks: dict[int, bytes]) -> bytes:
    """Return a digest of the messages; `marks` remembers it, since a sending may stand in many chats."""
    found = marks.get(sending.sequence)
    if found is None:
        content = json.dumps(sending.messages(), sort_keys=True).encode()
        found = marks[sending.sequence] = hashlib.blake2b(content, digest_size=16).digest()
    return found


def _quota(channel: Channel, found: _Seen) -> list[str]:
    return [
        f"{channel.name} used {channel.used.get(month, 0)} of its quota in {month}, but {found.billed[month]} were delivered."
        for month in sorted({*found.billed, *channel.used})
        if channel.used.get(month, 0) != found.billed[month]
    ]


def _narrowcasts(world: World, channel: Channel, found: _Seen) -> list[str]:
    """Compare what narrowcasts hold back and say they delivered with the account's books and with people's chats."""
    told, held = [], Counter[str]()
    for one in world.part(NarrowcastBook).narrowcasts.values():
        if one.channel_id != channel.id:
            continue
        held[one.month] += one.reserved
        if one.reserved and not one.running:
            told.append(f"Narrowcast {one.request_id} of {channel.name} is over but still reserves {one.reserved} messages.")
        if one.phase == "succeeded" and one.success != found.reached[one.sequence]:
            got = found.reached[one.sequence]
            told.append(
                f"Narrowcast {one.request_id} of {channel.name} tells of {one.success} deliveries, but {got} chats hold it."
            )
    for month in sorted({*held, *channel.reserved}):
        if channel.reserved.get(month, 0) != held[month]:
            told.append(
                f"{channel.name} reserves {channel.reserved.get(month, 0)} messages in {month}, "
                f"but its narrowcasts hold {held[month]}."
            )
    return told


def _daily(channel: Channel, found: _Seen) -> list[str]:
    return [
        f"{channel.name} counts {channel.sent.get(key, 0)} deliveries for {key}, but chats hold {found.daily[key]}."
        for key in sorted({*found.daily, *channel.sent})
        if channel.sent.get(key, 0) != found.daily[key]
    ]


def _reply_tokens(world: World, channel: Channel, found: _Seen) -> list[str]:
    uses: dict[str, list[tuple[Sending, str]]] = {}
    for sending, user_id in found.sendings.values():
        if sending.via is Via.REPLY:
            uses.setdefault(str(json.loads(sending.body).get("replyToken")), []).append((sending, user_id))
    told = []
    for token, replies in uses.items():
        which = ", ".join(sending.request_id for sending, _ in replies)
        if len(replies) > 1:
            told.append(
                f"{replies[0][1]} received {len(replies)} replies of {channel.name} with one reply token (requests {which})."
            )
        known = world.state.reply_tokens.get(token)
        if known is not None and known.channel_id != channel.id:
            told.append(f"{replies[0][1]} received a reply of {channel.name} with the reply token of another (request {which}).")
    return told

"""What must hold whatever the product does, checked from what people's chats really contain."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass

from line_simulator.api.sending import TALKED_SECONDS
from line_simulator.state import Channel, Chat, Friendship, Sending, Via, World


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


def check(world: World, *, unique_content: bool = False) -> Verdict:
    """Check all chats. With `unique_content`, receiving equal messages twice (other than replies) counts as broken.

    One delivery per person and retry key; nothing delivered to someone who had blocked; used quota = delivered.
    """
    broken: list[str] = []
    repeated: list[str] = []
    delivered = 0
    marks: dict[int, bytes] = {}
    with world.lock:
        for channel in world.state.channels.values():
            billed: Counter[str] = Counter()
            for user_id, chat in channel.chats.items():
                inbox = chat.inbox or []
                delivered += sum(sending.count for sending in inbox)
                billed.update(world.month(sending.at) for sending in inbox if sending.via is not Via.REPLY)
                broken += _repeated_keys(channel, user_id, inbox)
                broken += _unreachable(channel, user_id, chat)
                repeated += _repeated_content(channel, user_id, inbox, marks)
            broken += _quota(channel, billed)
    if unique_content:
        broken += repeated
    return Verdict(tuple(broken), tuple(repeated), delivered)


def _repeated_keys(channel: Channel, user_id: str, inbox: list[Sending]) -> list[str]:
    if len(inbox) < 2:
        return []
    keys = Counter(sending.retry_key for sending in inbox if sending.retry_key is not None)
    return [f"{user_id} received retry key {key} of {channel.name} {count} times." for key, count in keys.items() if count > 1]


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
    if sending.via is Via.REPLY:
        return True
    return any(said.at <= sending.at <= said.at + TALKED_SECONDS for said in chat.said or ())


def _told(channel: Channel, user_id: str, sending: Sending, reason: str) -> str:
    return f"{user_id} received request {sending.request_id} of {channel.name} although the person {reason}."


def _repeated_content(channel: Channel, user_id: str, inbox: list[Sending], marks: dict[int, bytes]) -> list[str]:
    if len(inbox) < 2:
        return []
    counts = Counter(_mark(sending, marks) for sending in inbox if sending.via is not Via.REPLY)
    return [f"{user_id} received equal content of {channel.name} {count} times." for count in counts.values() if count > 1]


def _mark(sending: Sending, marks: dict[int, bytes]) -> bytes:
    """Return a digest of the messages; `marks` remembers it, since a sending may stand in many chats."""
    found = marks.get(sending.sequence)
    if found is None:
        content = json.dumps(sending.messages(), sort_keys=True).encode()
        found = marks[sending.sequence] = hashlib.blake2b(content, digest_size=16).digest()
    return found


def _quota(channel: Channel, billed: Counter[str]) -> list[str]:
    return [
        f"{channel.name} used {channel.used.get(month, 0)} of its quota in {month}, but {billed[month]} were delivered."
        for month in sorted({*billed, *channel.used})
        if channel.used.get(month, 0) != billed[month]
    ]

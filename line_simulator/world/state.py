"""What exists in the simulated LINE: channels, people, chats, messages, tokens."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from line_simulator.exchange import SimulatorError
from line_simulator.world.clock import TOKYO, Clock
from line_simulator.world.due import Due
from line_simulator.world.ids import Ids
from line_simulator.world.settings import Settings

JsonObject = dict[str, Any]
P = TypeVar("P")

DAY_SECONDS = 86_400.0
RETRY_KEY_SECONDS = DAY_SECONDS


class Friendship(StrEnum):
    """How a person stands to a channel."""

    NONE = "none"
    FRIEND = "friend"
    BLOCKED = "blocked"


class Via(StrEnum):
    """By which call a message came."""

    REPLY = "reply"
    PUSH = "push"
    MULTICAST = "multicast"
    BROADCAST = "broadcast"
    NARROWCAST = "narrowcast"
    # LINE notification messages, by phone number.
    PNP = "pnp"
    PNP_TEMPLATED = "pnp_templated"


@dataclass(frozen=True, slots=True)
class Sending:
    """One accepted send call. Everyone who received it shares this object and its raw body. group_id: of a group or room."""

    sequence: int
    channel_id: str
    via: Via
    body: bytes
    first_id: int
    count: int
    at: float
    request_id: str
    retry_key: str | None
    group_id: str = ""

    def messages(self) -> list[JsonObject]:
        """Return the message objects as they were sent."""
        found: list[JsonObject] = json.loads(self.body)["messages"]
        return found


@dataclass(frozen=True, slots=True)
class Said:
    """Something a person sent to a channel. note: only shown in the chat, such as the text of a postback; the bot never saw it."""

    id: str
    at: float
    message: JsonObject
    sequence: int
    note: bool = False


@dataclass(frozen=True, slots=True)
class Received:
    """One message in a person's chat: what they see. group_id: the group or room it was sent to, if it was."""

    id: str
    message: JsonObject
    at: datetime
    request_id: str
    retry_key: str | None
    via: str
    channel_id: str
    user_id: str
    group_id: str = ""


@dataclass(slots=True)
class Chat:
    """One person's chat with one channel, from the person's side.

    history pairs a sequence number with a status. seen: how many of the inbox the person has looked at.
    """

    status: Friendship = Friendship.NONE
    since: float = 0.0
    ever_friend: bool = False
    ever_blocked: bool = False
    last_said_at: float = 0.0
    seen: int = 0
    history: tuple[tuple[int, Friendship], ...] = ()
    inbox: list[Sending] | None = None
    said: list[Said] | None = None


@dataclass(slots=True)
class Channel:
    """A Messaging API channel with its LINE Official Account. `monthly_limit` None means an unlimited plan.

    used and reserved: messages by month (yyyymm); a running narrowcast reserves what it may need.
    options: what LINE has granted to it on application, see partner_book.OPTIONS.
    """

    id: str
    name: str
    secret: str
    bot_user_id: str
    basic_id: str
    provider: str
    access_token: str
    webhook_url: str = ""
    webhook_active: bool = True
    redelivery: bool = False
    verified: bool = True
    monthly_limit: int | None = None
    chat_mode: str = "bot"
    picture_url: str = ""
    chats: dict[str, Chat] = field(default_factory=dict, repr=False)
    used: dict[str, int] = field(default_factory=dict, repr=False)
    reserved: dict[str, int] = field(default_factory=dict, repr=False)
    sent: dict[str, int] = field(default_factory=dict, repr=False)
    options: list[str] = field(default_factory=list)

    def chat(self, user_id: str) -> Chat:
        """Return the chat with this user, begun if need be."""
        found = self.chats.get(user_id)
        if found is None:
            found = self.chats[user_id] = Chat()
        return found


@dataclass(slots=True)
class PersonRecord:
    """A simulated human being. User ids are scoped to the provider, as LINE's are.

    gender (male, female), age and area (jp_13, …) as LINE estimates them, empty where it does not know; app: ios, android or
    pc; ifa: the advertising id of the phone. phone: the number (E.164); phone_consent: whether LINE notification messages are
    wanted (on, off, or unset: never decided); phone_verified: whether the number was verified by SMS in the last 180 days.
    """

    id: str
    name: str
    language: str = "ja"
    picture_url: str = ""
    status_message: str = ""
    consent: bool = True
    user_ids: dict[str, str] = field(default_factory=dict)
    gender: str = ""
    age: int | None = None
    area: str = ""
    app: str = "ios"
    ifa: str = ""
    email: str = ""
    phone: str = ""
    phone_consent: str = "on"
    phone_verified: bool = True


@dataclass(slots=True)
class AccessToken:
    """A channel access token, kind long, short, v21 or stateless; `expires_at` None for a long-lived one."""

    channel_id: str
    kind: str
    expires_at: float | None
    key_id: str = ""


@dataclass(slots=True)
class ReplyToken:
    """Permission for one reply, to a user, group or room (`user_id`). `received_at`: when the webhook was last handed over."""

    channel_id: str
    user_id: str
    event_at: float
    received_at: float
    used: bool = False


@dataclass(slots=True)
class LinkToken:
    """Permission to link one user's account: ten minutes, one use."""

    channel_id: str
    user_id: str
    expires_at: float
    used: bool = False


@dataclass(slots=True)
class Content:
    """The bytes of an image, video, audio or file (`kind`) that a person sent at `at`. `gone`: unsent or deleted."""

    channel_id: str
    data: bytes
    content_type: str
    kind: str = "file"
    at: float = 0.0
    gone: bool = False


@dataclass(slots=True)
class State:
    """Everything that exists now."""

    channels: dict[str, Channel] = field(default_factory=dict)
    people: dict[str, PersonRecord] = field(default_factory=dict)
    names: dict[str, PersonRecord] = field(default_factory=dict)
    owners: dict[str, tuple[str, PersonRecord]] = field(default_factory=dict)
    tokens: dict[str, AccessToken] = field(default_factory=dict)
    reply_tokens: dict[str, ReplyToken] = field(default_factory=dict)
    link_tokens: dict[str, LinkToken] = field(default_factory=dict)
    read_tokens: dict[str, str] = field(default_factory=dict)
    contents: dict[str, Content] = field(default_factory=dict)
    retries: dict[tuple[str, str], Sending] = field(default_factory=dict)
    parts: dict[type, Any] = field(default_factory=dict)
    sequence: int = 0
    person_count: int = 0

    def next_sequence(self) -> int:
        """Return the next number in the order of everything that happens."""
        self.sequence += 1
        return self.sequence


PARTS: Final[dict[str, type]] = {}


def part(name: str) -> Callable[[type[P]], type[P]]:
    """Register a dataclass as the state of one area; it is kept between runs under `name`.

    Its fields must be what msgspec can write and read: plain values, bytes, dataclasses, lists, sets, dicts.
    """

    def register(kind: type[P]) -> type[P]:
        PARTS[name] = kind
        return kind

    return register


def _ignore(_channel: Channel, _event: JsonObject) -> None:
    return None


def _ignore_delivery(_channel: Channel, _user_ids: list[str], _sending: Sending) -> None:
    return None


def _no_posts(_channel: Channel, _user_id: str) -> list[Sending]:
    return []


class World:
    """The state with its clock, its source of ids, its lock, and who is told when something happens."""

    def __init__(self, clock: Clock, seed: int | None = None, settings: Settings | None = None) -> None:
        self.clock = clock
        self.ids = Ids(seed)
        self.settings = settings or Settings()
        self.state = State()
        self.lock = threading.RLock()
        self.due = Due(clock, self.lock)
        # Where the simulator listens; empty before it does.
        self.origin = ""
        # How many requests came that may have changed something.
        self.asked = 0
        self.emit: Callable[[Channel, JsonObject], None] = _ignore
        self.delivered: Callable[[Channel, list[str], Sending], None] = _ignore_delivery
        self.posted: Callable[[Channel, str], list[Sending]] = _no_posts

    def part(self, kind: type[P]) -> P:
        """Return the state of one area, empty at first, as in part(RichMenuBook)."""
        found = self.state.parts.get(kind)
        if found is None:
            found = self.state.parts[kind] = kind()
        result: P = found
        return result

    def month(self, at: float | None = None) -> str:
        """Return the billing month as yyyymm. LINE counts months in Japan time."""
        return self.tokyo(at).strftime("%Y%m")

    def tokyo(self, at: float | None = None) -> datetime:
        """Return the instant (default: now) in Japan time."""
        return datetime.fromtimestamp(self.clock.time() if at is None else at, TOKYO)

    def channel(self, key: str) -> Channel:
        """Return the channel with this id or name. Raises SimulatorError if there is none."""
        found = self.state.channels.get(key)
        if found is not None:
            return found
        for channel in self.state.channels.values():
            if channel.name == key:
                return channel
        raise SimulatorError(f"There is no channel {key!r}.", 404)

    def person(self, key: str) -> PersonRecord:
        """Return the person with this id, name or user id. Raises SimulatorError if there is none."""
        owner = self.state.owners.get(key)
        found = self.state.people.get(key) or self.state.names.get(key) or (owner[1] if owner else None)
        if found is None:
            raise SimulatorError(f"There is no person {key!r}.", 404)
        return found

    def user_id(self, person: PersonRecord, provider: str) -> str:
        """Return the person's user id under this provider, given on first need."""
        found = person.user_ids.get(provider)
        if found is None:
            found = person.user_ids[provider] = self.ids.user_id()
            self.state.owners[found] = (provider, person)
        return found

    def received(self, channel: Channel, user_id: str) -> Iterator[Received]:
        """Yield what this user received from this channel, in groups too, oldest first."""
        chat = channel.chats.get(user_id)
        found = list(chat.inbox or ()) if chat else []
        posts = self.posted(channel, user_id)
        for sending in sorted([*found, *posts], key=lambda one: one.sequence) if posts else found:
            yield from unpack(sending, user_id)


def unpack(sending: Sending, user_id: str, messages: list[JsonObject] | None = None) -> Iterator[Received]:
    """Yield the messages of one sending as `user_id` sees them; pass `messages` if they are already read."""
    at = datetime.fromtimestamp(sending.at, UTC)
    for index, message in enumerate(sending.messages() if messages is None else messages):
        yield Received(
            id=str(sending.first_id + index),
            message=message,
            at=at,
            request_id=sending.request_id,
            retry_key=sending.retry_key,
            via=sending.via.value,
            channel_id=sending.channel_id,
            user_id=user_id,
            group_id=sending.group_id,
        )

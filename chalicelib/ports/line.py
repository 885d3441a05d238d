"""LINE's Messaging API as this product uses it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class LineCredentials:
    """What signs us in as one LINE account; comes from Secrets Manager, never logged."""

    channel_id: str
    channel_secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SendAccepted:
    """LINE took the message. already: an earlier try with the same retry key had been taken (409)."""

    request_id: str
    already: bool = False


@dataclass(frozen=True, slots=True)
class BotInfo:
    """What LINE says about the account itself."""

    user_id: str
    basic_id: str
    display_name: str
    chat_mode: str


@dataclass(frozen=True, slots=True)
class Profile:
    """What LINE says about a friend."""

    display_name: str
    picture_url: str = ""
    language: str = ""
    status_message: str = ""


@dataclass(frozen=True, slots=True)
class Quota:
    """A month's messages. limit: None when the plan has none. used: about, as LINE counts it."""

    limit: int | None
    used: int

    @property
    def left(self) -> int | None:
        """How many may still be sent; None when there is no limit."""
        return None if self.limit is None else max(0, self.limit - self.used)


class Line(Protocol):
    """Every verb raises TemporaryError (429 rate, 5xx, time-out), SendingStoppedError (429 monthly, 401, 403) or PermanentError."""

    def send(self, credentials: LineCredentials, verb: str, body: dict[str, Any], retry_key: str = "") -> SendAccepted:
        """Send by `verb` reply, push or multicast; `body` is LINE's request. A reply takes no retry key."""
        ...

    def profile(self, credentials: LineCredentials, user_id: str) -> Profile | None:
        """Return the profile; None when LINE will not tell (blocked, not a friend, no consent)."""
        ...

    def link_token(self, credentials: LineCredentials, user_id: str) -> str:
        """Return a fresh account-link token of this friend: ten minutes, single use."""
        ...

    def bot_info(self, credentials: LineCredentials) -> BotInfo:
        """Return the account's own data; also the check that the credentials work."""
        ...

    def validate(self, credentials: LineCredentials, verb: str, messages: list[dict[str, Any]]) -> list[str]:
        """Return LINE's own complaints about these messages, empty when it would take them."""
        ...

    def quota(self, credentials: LineCredentials) -> Quota:
        """Return how many messages the month allows and how many are used."""
        ...

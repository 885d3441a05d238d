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

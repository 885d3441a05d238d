"""Module channels: which accounts they are attached to, who leads each chat, and which channel hears of what happens.

Source: documentation for corporate users, Module (attach, Chat Control, Using the Messaging API from a module channel). A module
channel is a Channel with the option "module"; the account's own channel is called the primary channel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from line_simulator.exchange import SimulatorError
from line_simulator.webhooks.webhook_events import make_event
from line_simulator.world.ids import is_user_id
from line_simulator.world.partner_book import is_granted
from line_simulator.world.state import Channel, JsonObject, World, part

SCOPES: Final = (
    "message:send",
    "message:receive",
    "account:manage",
    "message:mark_as_read",
    "message:templated_pnp",
    "profile:read",
    "coupon:manage",
    "crm:manage",
)
# No document tells what an activated event says when control never ends: the last second of the year 9999.
_NEVER_MS: Final = 253_402_300_799_000
_CODE_SECONDS: Final = 600.0
_SUSPENSIONS: Final = ("botSuspended", "botResumed")


@dataclass(slots=True)
class Attachment:
    """A module channel at work for an account."""

    module_id: str
    account_id: str
    scopes: list[str]


@dataclass(slots=True)
class Control:
    """Who leads a chat: a module channel, or "" for the primary one. expires_at: then the primary channel does; None never."""

    module_id: str
    expires_at: float | None
    since: float


@dataclass(slots=True)
class AttachCode:
    """What an account's administrator agreed to. given: the parameters that attachModule has to repeat."""

    module_id: str
    account_id: str
    scopes: list[str]
    given: dict[str, str]
    challenge: str | None
    expires_at: float
    used: bool = False


@part("modules")
@dataclass(slots=True)
class ModuleBook:
    """control: by account id/chat id. codes: by authorization code."""

    attachments: list[Attachment] = field(default_factory=list)
    control: dict[str, Control] = field(default_factory=dict)
    codes: dict[str, AttachCode] = field(default_factory=dict)


def attachment_of(world: World, module: Channel, account: Channel) -> Attachment | None:
    """Return the attachment of this module channel to this account, or None."""
    found = world.part(ModuleBook).attachments
    return next((one for one in found if (one.module_id, one.account_id) == (module.id, account.id)), None)


def attach(world: World, module: Channel, account: Channel, scopes: Sequence[str]) -> Attachment:
    """Attach a module channel to an account, or widen its scopes, and tell it by a webhook.

    Raises SimulatorError for what LINE does not attach: a channel that is no module, to one that is; unknown scopes; a
    second one with the option default_active.
    """
    if not is_granted(module, "module") or is_granted(account, "module"):
        raise SimulatorError(f"{module.name} must have the option module, and {account.name} must not.")
    _check_scopes(scopes)
    if is_granted(module, "default_active") and _leading(world, account) not in ("", module.id):
        raise SimulatorError(f"Another module channel takes over the chats of {account.name} already.", 409)
    found = attachment_of(world, module, account)
    if found is None:
        found = Attachment(module.id, account.id, [])
        world.part(ModuleBook).attachments.append(found)
    found.scopes = [one for one in SCOPES if one in found.scopes or one in scopes]
    world.state.next_sequence()
    content = {"type": "attached", "botId": account.bot_user_id, "scopes": list(found.scopes)}
    tell(world, module, account, make_event(world, account, "module", {"module": content}))
    return found


def detach(world: World, attachment: Attachment) -> None:
    """Undo an attachment and tell the module channel; chats that it led go back to the account."""
    book = world.part(ModuleBook)
    book.attachments.remove(attachment)
    account, module = world.state.channels[attachment.account_id], world.state.channels[attachment.module_id]
    for key in [key for key, one in book.control.items() if key.startswith(f"{account.id}/") and one.module_id == module.id]:
        del book.control[key]
    world.state.next_sequence()
    # webhook.yml demands a reason and knows only this one; the reference shows an event without.
    content = {"type": "detached", "botId": account.bot_user_id, "reason": "bot_deleted"}
    tell(world, module, account, make_event(world, account, "module", {"module": content}))


def issue_code(
    world: World, module: Channel, account: Channel, scopes: Sequence[str], given: dict[str, str], challenge: str | None = None
) -> str:
    """Return a code for attachModule, good once for ten minutes (a guess: LINE only says that it expires).

    given: the parameters that attachModule has to repeat. Raises SimulatorError as attach does, apart from default_active.
    """
    if not is_granted(module, "module") or is_granted(account, "module"):
        raise SimulatorError(f"{module.name} must have the option module, and {account.name} must not.")
    _check_scopes(scopes)
    code = world.ids.url_token()
    expires_at = world.clock.time() + _CODE_SECONDS
    world.part(ModuleBook).codes[code] = AttachCode(module.id, account.id, list(scopes), given, challenge, expires_at)
    return code


def _check_scopes(scopes: Sequence[str]) -> None:
    unknown = [one for one in scopes if one not in SCOPES]
    if unknown:
        raise SimulatorError(f"There is no scope {unknown[0]!r}; known are {', '.join(SCOPES)}.")


def leader(world: World, account: Channel, chat_id: str) -> str:
    """Return the id of the module channel that leads a chat now, "" for the primary channel."""
    control = world.part(ModuleBook).control.get(f"{account.id}/{chat_id}")
    if control is None:
        return _leading(world, account)
    if control.expires_at is not None and control.expires_at <= world.clock.time():
        return ""
    return control.module_id


def _leading(world: World, account: Channel) -> str:
    for one in world.part(ModuleBook).attachments:
        module = world.state.channels.get(one.module_id)
        if one.account_id == account.id and module is not None and is_granted(module, "default_active"):
            return one.module_id
    return ""


def take_control(world: World, module: Channel, account: Channel, chat_id: str, seconds: float | None) -> None:
    """Let a module channel lead a chat, for ever if seconds is None; it and the one before are told."""
    now, before = world.clock.time(), leader(world, account, chat_id)
    expires_at = None if seconds is None else now + seconds
    world.part(ModuleBook).control[f"{account.id}/{chat_id}"] = Control(module.id, expires_at, now)
    world.state.next_sequence()
    source = _source(chat_id)
    previous = world.state.channels.get(before)
    if previous is not None and previous.id != module.id:
        tell(world, previous, account, make_event(world, account, "deactivated", {}, source))
    told = {"chatControl": {"expireAt": _NEVER_MS if expires_at is None else int(expires_at * 1000)}}
    tell(world, module, account, make_event(world, account, "activated", told, source))


def give_back(world: World, module: Channel, account: Channel, chat_id: str) -> None:
    """Return a chat to the primary channel, if this module channel leads it, and tell the module channel."""
    if leader(world, account, chat_id) != module.id:
        return
    world.part(ModuleBook).control[f"{account.id}/{chat_id}"] = Control("", None, world.clock.time())
    world.state.next_sequence()
    tell(world, module, account, make_event(world, account, "deactivated", {}, _source(chat_id)))


def _source(chat_id: str) -> JsonObject:
    kind = {"U": "user", "C": "group", "R": "room"}[chat_id[0]]
    return {"type": kind, f"{kind}Id": chat_id}


def tell(world: World, module: Channel, account: Channel, event: JsonObject) -> None:
    """Send an event about an account to a module channel: signed with the module's secret, destined for the account's bot."""
    sender = replace(module, bot_user_id=account.bot_user_id)
    world.emit(sender, _for_module(world, module, account, event))


# -- user ids


def outward_id(world: World, module: Channel, account: Channel, user_id: str) -> str:
    """Return the 68 characters by which a module channel knows a user of an account; unknown ids stay as they are."""
    owner = world.state.owners.get(user_id)
    if owner is None:
        return user_id
    return f"L{world.user_id(owner[1], module.provider)}-{account.bot_user_id}"


def inward_id(world: World, module: Channel, account: Channel, given: str) -> str:
    """Return the account's user id for what a module channel calls a user; what is none stays as it is."""
    inner, _, bot = given[1:].partition("-")
    owner = world.state.owners.get(inner)
    if not given.startswith("L") or bot != account.bot_user_id or owner is None or owner[0] != module.provider:
        return given
    return world.user_id(owner[1], account.provider)


def _for_module(world: World, module: Channel, account: Channel, value: Any) -> Any:
    if isinstance(value, list):
        return [_for_module(world, module, account, one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: outward_id(world, module, account, one)
        if key == "userId" and is_user_id(one)
        else _for_module(world, module, account, one)
        for key, one in value.items()
    }


# -- webhooks


class Hearing:
    """Sends every event of an account to its own channel and to the module channels attached to it."""

    def __init__(self, world: World, send: Callable[[Channel, JsonObject], None]) -> None:
        self._world = world
        self._send = send

    def emit(self, channel: Channel, event: JsonObject) -> None:
        """Send an event: active for the channel that leads the chat, standby and without reply token for the others."""
        book = self._world.part(ModuleBook)
        attached = [one for one in book.attachments if one.account_id == channel.id] if book.attachments else ()
        if not attached:
            self._send(channel, event)
            return
        chat_id = _chat_of(event)
        if event.get("type") == "follow" and event.get("follow", {}).get("isUnblocked"):
            # Blocking and coming back puts control back to what it was at first (Module, Webhook events).
            book.control.pop(f"{channel.id}/{chat_id}", None)
        active = leader(self._world, channel, chat_id) if chat_id else None
        if event.get("type") not in _SUSPENSIONS:
            self._send(channel, event if active in (None, "") else _standby(event))
        needed = "message:templated_pnp" if event.get("type") == "delivery" else "message:receive"
        for one in attached:
            module = self._world.state.channels.get(one.module_id)
            if module is not None and needed in one.scopes:
                tell(self._world, module, channel, event if active in (None, module.id) else _standby(event))


def _chat_of(event: JsonObject) -> str:
    source = event.get("source")
    if not isinstance(source, dict):
        return ""
    return str(source.get("groupId") or source.get("roomId") or source.get("userId") or "")


def _standby(event: JsonObject) -> JsonObject:
    return {**{name: value for name, value in event.items() if name != "replyToken"}, "mode": "standby"}

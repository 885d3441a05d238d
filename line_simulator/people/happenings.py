"""What else happens in one-to-one chats and to accounts: taking messages back, beacons, several images, news for modules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from line_simulator.exchange import SimulatorError
from line_simulator.webhooks.webhook_events import make_event, user_source
from line_simulator.world.consents import source_of
from line_simulator.world.state import Channel, Friendship, JsonObject, PersonRecord, World

_BEACONS: Final = ("enter", "banner", "stay")
_CONTROL_SECONDS: Final = 3600.0


def unsend(world: World, person: PersonRecord, channel: Channel, message_id: str) -> None:
    """Take a message back: an unsend event, its content is gone.

    Raises SimulatorError if the person said no such message; the text that a postback shows is none.
    """
    with world.lock:
        user_id = world.user_id(person, channel.provider)
        said = channel.chat(user_id).said or []
        for index, one in enumerate(said):
            if one.id == message_id and not one.note and one.message.get("type") != "unsent":
                world.state.next_sequence()
                said[index] = replace(one, message={"type": "unsent"})
                break
        else:
            raise SimulatorError(f"{person.name} said no such message to {channel.name}.", 404)
        content = world.state.contents.get(message_id)
        if content is not None:
            content.gone, content.data = True, b""
        world.emit(channel, make_event(world, channel, "unsend", {"unsend": {"messageId": message_id}}, source_of(world, user_id)))


def beacon(world: World, person: PersonRecord, channel: Channel, hwid: str, kind: str = "enter", dm: str | None = None) -> None:
    """Come near a LINE Beacon (enter), tap its banner (banner), or stay near it (stay). dm: its device message, hexadecimal.

    Raises SimulatorError unless the person is a friend, or for another kind.
    """
    with world.lock:
        user_id = world.user_id(person, channel.provider)
        if channel.chat(user_id).status is not Friendship.FRIEND:
            raise SimulatorError(f"{person.name} is no friend of {channel.name}; beacons tell accounts of friends only.", 409)
        if kind not in _BEACONS:
            raise SimulatorError(f"A beacon event cannot be {kind!r}; known are {', '.join(_BEACONS)}.")
        content = {"hwid": hwid, "type": kind, **({"dm": dm} if dm is not None else {})}
        world.emit(channel, make_event(world, channel, "beacon", {"beacon": content}, source_of(world, user_id), answer_to=user_id))


def image_set(world: World, count: int) -> list[JsonObject]:
    """Return that many image messages that were chosen together (webhook.yml, ImageSet)."""
    set_id = (world.ids.hex32() + world.ids.hex32()).upper()
    return [{"type": "image", "imageSet": {"id": set_id, "index": index, "total": count}} for index in range(1, count + 1)]


def account_event(world: World, channel: Channel, kind: str, person: PersonRecord | None = None, /, **details: Any) -> None:
    """Tell an account something that no person did; see ACCOUNT_EVENTS for the kinds and their details.

    person: whose chat `activated` and `deactivated` are about. Raises SimulatorError for what is not known.
    """
    make = ACCOUNT_EVENTS.get(kind)
    if make is None:
        raise SimulatorError(f"There is no event {kind!r} of an account; known are {', '.join(ACCOUNT_EVENTS)}.")
    with world.lock:
        source = user_source(world.user_id(person, channel.provider)) if person is not None else None
        world.emit(channel, make_event(world, channel, kind, make(world, channel, details), source))


def _module(_world: World, channel: Channel, details: JsonObject) -> JsonObject:
    kind = details.get("type", "attached")
    bot_id = details.get("botId", channel.bot_user_id)
    if kind == "attached":
        scopes = details.get("scopes", ["message:send", "message:receive"])
        return {"module": {"type": kind, "botId": bot_id, "scopes": scopes}}
    if kind == "detached":
        return {"module": {"type": kind, "botId": bot_id, "reason": details.get("reason", "bot_deleted")}}
    raise SimulatorError("type of a module event must be attached or detached.")


def _activated(world: World, _channel: Channel, details: JsonObject) -> JsonObject:
    expires = details.get("expireAt", int((world.clock.time() + _CONTROL_SECONDS) * 1000))
    if isinstance(expires, bool) or not isinstance(expires, int):
        raise SimulatorError("expireAt of an activated event must be a number of milliseconds.")
    return {"chatControl": {"expireAt": expires}}


def _delivery(_world: World, _channel: Channel, details: JsonObject) -> JsonObject:
    data = details.get("data")
    if not isinstance(data, str) or not data:
        raise SimulatorError("data of a delivery event must be text: a hashed phone number, or the delivery tag.")
    return {"delivery": {"data": data}}


def _nothing(_world: World, _channel: Channel, _details: JsonObject) -> JsonObject:
    return {}


# webhook.yml; module, activated, deactivated, botSuspended and botResumed reach module channels only, delivery those with PNP.
ACCOUNT_EVENTS: Final[dict[str, Callable[[World, Channel, JsonObject], JsonObject]]] = {
    "module": _module,
    "activated": _activated,
    "deactivated": _nothing,
    "botSuspended": _nothing,
    "botResumed": _nothing,
    "delivery": _delivery,
}

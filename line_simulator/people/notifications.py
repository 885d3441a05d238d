"""LINE notification messages on their way: at once, on hold until the reader consents, or never (documentation of the API)."""

from __future__ import annotations

import json
from dataclasses import dataclass

from line_simulator.api.sending import Draft, Sender
from line_simulator.webhooks.webhook_events import make_event
from line_simulator.world.partner_book import Held, PartnerBook, person_of, take_held
from line_simulator.world.state import Channel, Friendship, PersonRecord, Via, World


@dataclass(frozen=True, slots=True)
class Notification:
    """An accepted call. data: what the delivery event will tell, the delivery tag or the hashed number. body: with messages."""

    channel: Channel
    via: Via
    digest: str
    data: str
    body: bytes
    request_id: str


def notify(world: World, notification: Notification) -> bool:
    """Deliver a notification or put it on hold; False if there is nobody to take it. Callers hold the world's lock."""
    person = person_of(world, notification.digest)
    if person is None:
        return False
    channel = notification.channel
    user_id = world.user_id(person, channel.provider)
    if channel.chat(user_id).status is Friendship.BLOCKED:
        # Taken, never delivered, and nobody is told (Technical specifications, users who have blocked the account).
        return True
    if person.phone_consent == "on" and person.phone_verified:
        _deliver(world, notification, user_id)
        return True
    n = notification
    held = Held(person.id, channel.id, n.via.value, n.digest, n.data, n.body, n.request_id, world.clock.time())
    world.part(PartnerBook).held.append(held)
    world.state.next_sequence()
    return True


def settle(world: World, person: PersonRecord) -> None:
    """Deliver or drop what waits for this person, once they decided and their number is verified."""
    if person.phone_consent == "unset" or (person.phone_consent == "on" and not person.phone_verified):
        return
    for held in take_held(world, person):
        channel = world.state.channels.get(held.channel_id)
        if channel is None or person.phone_consent == "off":
            continue
        user_id = world.user_id(person, channel.provider)
        if channel.chat(user_id).status is not Friendship.BLOCKED:
            found = Notification(channel, Via(held.via), held.digest, held.data, held.body, held.request_id)
            _deliver(world, found, user_id)


def decide(world: World, person: PersonRecord, *, agree: bool) -> None:
    """Let a person consent, with SMS if need be, or refuse; what waits is delivered or dropped."""
    with world.lock:
        person.phone_consent = "on" if agree else "off"
        person.phone_verified = person.phone_verified or agree
        world.state.next_sequence()
        settle(world, person)


def _deliver(world: World, notification: Notification, user_id: str) -> None:
    channel, content = notification.channel, json.loads(notification.body)
    Sender(world).notify(Draft(channel, notification.body, content, notification.request_id, []), notification.via, user_id)
    world.emit(channel, make_event(world, channel, "delivery", {"delivery": {"data": notification.data}}))

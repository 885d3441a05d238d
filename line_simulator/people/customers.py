"""What people do as customers of an account: taking and using coupons, joining, renewing and leaving memberships."""

from __future__ import annotations

from line_simulator.api import coupons, memberships
from line_simulator.webhooks.webhook_events import make_event, user_source
from line_simulator.world.consents import is_nameless
from line_simulator.world.state import Channel, PersonRecord, World


def take_coupon(world: World, person: PersonRecord, channel: Channel, coupon_id: str) -> bool:
    """Take a coupon that was sent to the person, or is public; returns whether they have it, which a lottery may deny.

    Raises SimulatorError when it cannot be taken.
    """
    with world.lock:
        user_id = world.user_id(person, channel.provider)
        return coupons.take(world, channel, channel.chat(user_id), user_id, coupon_id)


def use_coupon(world: World, person: PersonRecord, channel: Channel, coupon_id: str) -> int:
    """Use a coupon that the person took; returns how often they have used it. Raises SimulatorError when they cannot."""
    with world.lock:
        return coupons.use(world, channel, world.user_id(person, channel.provider), coupon_id)


def change_membership(world: World, person: PersonRecord, channel: Channel, plan_id: int, change: str) -> None:
    """Join, renew or leave a membership plan (`change`: joined, renewed, left) and tell the bot.

    Raises SimulatorError when that is not possible.
    """
    with world.lock:
        user_id = world.user_id(person, channel.provider)
        content = memberships.change(world, channel, user_id, plan_id, change)
        if is_nameless(world, user_id):
            # Of them LINE sends no membership event (documentation, Consent on getting user profile information).
            return
        event = make_event(world, channel, "membership", {"membership": content}, user_source(user_id), answer_to=user_id)
        world.emit(channel, event)

"""Whose user id and profile accounts get to know (documentation, Consent on getting user profile information).

People consent when they begin to use LINE on a phone. Who reads on a PC now (PersonRecord.app) may have consented long ago, so
only PersonRecord.consent decides; in groups the reference asks for the app too, see group_chats.is_known.
"""

from __future__ import annotations

from line_simulator.webhooks.webhook_events import user_source
from line_simulator.world.state import JsonObject, PersonRecord, World


def source_of(world: World, user_id: str) -> JsonObject:
    """Return the source of an event in a one-to-one chat; of people without consent it has no userId."""
    return {"type": "user"} if is_nameless(world, user_id) else user_source(user_id)


def is_nameless(world: World, user_id: str) -> bool:
    """Tell whether this is the user id of a person who has not agreed that accounts get their profile."""
    owner = world.state.owners.get(user_id)
    return owner is not None and not owner[1].consent


def known(world: World, user_id: str) -> PersonRecord | None:
    """Return whose user id this is, if accounts may know."""
    owner = world.state.owners.get(user_id)
    return owner[1] if owner is not None and owner[1].consent else None

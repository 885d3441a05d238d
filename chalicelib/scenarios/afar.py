"""People without who they are: what a drawing asks of them and how they can be reached, small enough to keep very many; pure."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.customers.model import Consent, Customer, DeliveryChannel, Profile, is_mobile
from chalicelib.friends.model import Friend
from chalicelib.kernel.ids import LineUserId
from chalicelib.segments.model import Person

_NOBODY = LineUserId("U" + "0" * 32)
_SOME, _MOBILE, _EMAIL = "-", "+819010000000", "x@example.com"


def from_afar(person: Person, asked: str) -> Person:
    """Return a person without name, addresses, LINE user id and whatever else nobody asks for.

    asked: everything that can be asked, as JSON: a field of the company's own stays when its name occurs there.
    """
    customer = person.customer
    consents = {channel: Consent(consent.is_opted_out, "", "") for channel, consent in customer.consents.items()}
    friends = {account: _friend(friend) for account, friend in person.friends.items()}
    seen = Customer(customer.cid, _profile(customer.profile, asked), consents)
    suppressed = frozenset(DeliveryChannel(channel) for channel in person.suppressed)
    return replace(person, customer=seen, friends=friends, suppressed=suppressed)


def _friend(friend: Friend) -> Friend:
    return replace(friend, line_user_id=_NOBODY, display_name="", picture_url="", language="")


def _profile(profile: Profile, asked: str) -> Profile:
    return replace(
        profile,
        name=profile.name if '"profile.name"' in asked else profile.name and _SOME,
        name_kana="",
        email=profile.email and _EMAIL,
        phone=_MOBILE if profile.phone and is_mobile(profile.phone) else "",
        address=profile.address and _SOME,
        building="",
        attributes={name: value for name, value in profile.attributes.items() if name in asked},
    )

"""People without who they are: what a drawing asks of them and how they can be reached, small enough to keep very many; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec

from chalicelib.customers.model import Consent, Customer, Profile, is_mobile
from chalicelib.friends.model import Friend
from chalicelib.kernel.ids import LineUserId
from chalicelib.orders.model import Line
from chalicelib.segments.model import History, Person
from chalicelib.tracking.model import Activity

_NOBODY = LineUserId("U" + "0" * 32)
_SOME, _MOBILE = "-", "+819010000000"
_NO_ACTIVITY = Activity()


class Asked:
    """What can be asked of people: whatever is named anywhere in a drawing and in the conditions that it may refer to."""

    def __init__(self, named_in: Iterable[object]) -> None:
        self._text = msgspec.json.encode(list(named_in)).decode()
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = name in self._text
        return found


def from_afar(person: Person, asked: Asked) -> Person:
    """Return a person without name, addresses, LINE user id and whatever else nobody asks for."""
    customer = person.customer
    consents = {channel: Consent(consent.is_opted_out, "", "") for channel, consent in customer.consents.items()}
    has_habits = "activity.last" in asked or '"best_hour":true' in asked
    return replace(
        person,
        customer=Customer(customer.cid, _profile(customer.profile, asked), consents),
        friends={account: _friend(friend) for account, friend in person.friends.items()},
        tags=frozenset(tag for tag in person.tags if tag in asked),
        activity=person.activity if has_habits else _NO_ACTIVITY,
        history=_history(person.history, asked),
    )


def _history(history: History, asked: Asked) -> History:
    """Return a history, read as far as somebody asks already, without the company's numbers and the names that nobody asks for."""
    if not history.asked:
        return history

    def seen(text: str) -> str:
        return text if msgspec.json.encode(text).decode()[1:-1] in asked else ""  # as the drawing's JSON writes it

    orders = [
        # Numbered anew in the order that tells first and last.
        replace(
            order,
            order_no=f"{place:06d}",
            shop=seen(order.shop),
            products=(),
            lines=tuple(Line(seen(line.product), seen(line.category)) for line in order.lines),
        )
        for place, order in enumerate(sorted(history.orders, key=lambda order: (order.at, order.order_no)))
    ]
    acts = [
        replace(act, name=seen(act.name), link=seen(act.link), data={name: text for name, text in act.data.items() if seen(name)})
        for act in history.acts
    ]
    return replace(history, orders=tuple(orders), acts=tuple(acts))


def _friend(friend: Friend) -> Friend:
    return replace(friend, line_user_id=_NOBODY, display_name="", picture_url="", language="")


def _profile(profile: Profile, asked: Asked) -> Profile:
    def seen(name: str) -> str:
        """Return a field that somebody asks for; of others only whether it is there, for that says how he can be reached."""
        value: str = getattr(profile, name)
        return value if f"profile.{name}" in asked else value and _SOME

    return Profile(
        member_no=seen("member_no"),
        name=seen("name"),
        birthday=profile.birthday if "profile.birthday" in asked or "profile.age" in asked else None,
        gender=profile.gender,
        email=seen("email"),
        phone=_MOBILE if profile.phone and is_mobile(profile.phone) else "",
        postal_code=seen("postal_code"),
        prefecture=seen("prefecture"),
        city=seen("city"),
        address=seen("address"),
        attributes={name: value for name, value in profile.attributes.items() if name in asked},
    )

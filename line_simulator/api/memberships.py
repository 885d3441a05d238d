"""Memberships of an account: monthly plans that people join, renew and leave."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from line_simulator.api.asking import limit_of, page_of
from line_simulator.api.calls import Context, Operation
from line_simulator.exchange import ApiError, Response, SimulatorError, json_response
from line_simulator.world.consents import known
from line_simulator.world.ids import is_user_id
from line_simulator.world.state import Channel, Friendship, JsonObject, World, part

# Messaging API reference, Get membership plans being offered.
PLANS_MAX: Final = 5
BENEFITS_MAX: Final = 5
_CURRENCIES: Final = ("JPY", "TWD", "THB")
_PAGE_DEFAULT: Final = 300
_PAGE_MAX: Final = 1000
_FIRST_ID: Final = 3000


@dataclass(slots=True)
class Member:
    """One member's subscription; joined in epoch seconds, months counted from the last joining."""

    number: int
    joined: float
    months: int = 1


@dataclass(slots=True)
class Plan:
    """A membership plan. price is per month; member_limit None means no limit; unpublished plans take no new members."""

    id: int
    channel_id: str
    title: str
    description: str = ""
    benefits: list[str] = field(default_factory=lambda: ["メンバー限定メッセージ"])
    price: float = 500.0
    currency: str = "JPY"
    member_limit: int | None = None
    in_app_purchase: bool = True
    published: bool = True
    joined_ever: int = 0
    members: dict[str, Member] = field(default_factory=dict)


@part("memberships")
@dataclass(slots=True)
class PlanBook:
    """Plans by id, oldest first."""

    plans: dict[int, Plan] = field(default_factory=dict)

    def of(self, channel: Channel) -> list[Plan]:
        """Return the plans of an account."""
        return [plan for plan in self.plans.values() if plan.channel_id == channel.id]


class Memberships:
    """Answers on memberships. Callers hold the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {
            "getMembershipList": Operation(self.plans),
            "getMembershipSubscription": Operation(self.subscriptions),
            "getJoinedMembershipUsers": Operation(self.members),
        }

    def plans(self, call: Context) -> Response:
        """Answer getMembershipList. Raises ApiError 404 if there is none."""
        found = self._world.part(PlanBook).of(call.owner)
        if not found:
            raise ApiError(404, "Membership plan not found")
        return json_response({"memberships": [{**_plan(plan), **_state(plan)} for plan in found]})

    def subscriptions(self, call: Context) -> Response:
        """Answer getMembershipSubscription. Raises ApiError 400, 404."""
        user_id = call.parameters["userId"]
        if not is_user_id(user_id):
            raise ApiError(400, "The value for the 'userId' parameter is invalid")
        plans = [plan for plan in self._world.part(PlanBook).of(call.owner) if user_id in plan.members]
        if not plans:
            raise ApiError(404, "Not found")
        entries = [{"membership": _plan(plan), "user": self._member(plan.members[user_id])} for plan in plans]
        return json_response({"subscriptions": entries})

    def members(self, call: Context) -> Response:
        """Answer getJoinedMembershipUsers: pages of consenting friends among the members. Raises ApiError 400, 404."""
        plan = _find(self._world, call.owner, call.parameters["membershipId"])
        if plan is None:
            raise ApiError(404, "Membership ID is not found")
        limit = limit_of(call.query, _PAGE_DEFAULT, _PAGE_MAX)
        page, following = page_of(self._world, f"members{plan.id}", list(plan.members), call.query.get("start"), limit)
        # A page may be shorter than the limit although more follow (reference, Restrictions on user IDs).
        content: JsonObject = {"userIds": [one for one in page if self._is_listed(call.owner, one)]}
        if following is not None:
            content["next"] = following
        return json_response(content)

    def _member(self, member: Member) -> JsonObject:
        return {
            "membershipNo": member.number,
            "joinedTime": int(member.joined),
            "nextBillingDate": _later(self._world.tokyo(member.joined).date(), member.months).isoformat(),
            "totalSubscriptionMonths": member.months,
        }

    def _is_listed(self, channel: Channel, user_id: str) -> bool:
        chat = channel.chats.get(user_id)
        return chat is not None and chat.status is Friendship.FRIEND and known(self._world, user_id) is not None


def set_plan(world: World, channel: Channel, title: str, /, **attributes: Any) -> Plan:
    """Create a plan, or return the account's one of this title after setting the given attributes.

    attributes: those of Plan but id, channel, members. Raises SimulatorError for what no plan could be.
    """
    _check_plan(title, attributes)
    book = world.part(PlanBook)
    own = book.of(channel)
    plan = next((one for one in own if one.title == title), None)
    if plan is None:
        if len(own) >= PLANS_MAX:
            raise SimulatorError(f"An account has at most {PLANS_MAX} membership plans.")
        plan = Plan(max(book.plans, default=_FIRST_ID) + 1, channel.id, title)
        book.plans[plan.id] = plan
    for name, value in attributes.items():
        setattr(plan, name, float(value) if name == "price" else value)
    world.state.next_sequence()
    return plan


def change(world: World, channel: Channel, user_id: str, plan_id: int, change_to: str) -> JsonObject:
    """Let a person's membership be joined, renewed or left; returns the content of the webhook event.

    Raises SimulatorError when that is not possible.
    """
    plan = _find(world, channel, str(plan_id))
    if plan is None:
        raise SimulatorError(f"{channel.name} has no membership plan {plan_id}.", 404)
    member = plan.members.get(user_id)
    if change_to == "joined":
        _join(world, plan, user_id)
    elif member is None:
        raise SimulatorError("The person is not a member of this plan.", 409)
    elif change_to == "renewed":
        member.months += 1
    else:
        del plan.members[user_id]
    world.state.next_sequence()
    return {"type": change_to, "membershipId": plan.id}


def describe(plan: Plan) -> JsonObject:
    """Return a plan as JSON values of /_sim/."""
    members = {user_id: {"no": one.number, "months": one.months} for user_id, one in plan.members.items()}
    return {**_plan(plan), **_state(plan), "members": members}


def _join(world: World, plan: Plan, user_id: str) -> None:
    if user_id in plan.members:
        raise SimulatorError("The person is a member of this plan already.", 409)
    if not plan.published or (plan.member_limit is not None and len(plan.members) >= plan.member_limit):
        raise SimulatorError("The plan takes no new members.", 409)
    plan.joined_ever += 1
    plan.members[user_id] = Member(plan.joined_ever, world.clock.time())


def _find(world: World, channel: Channel, plan_id: str) -> Plan | None:
    if not (plan_id.isascii() and plan_id.isdigit() and len(plan_id) <= 9):
        return None
    plan = world.part(PlanBook).plans.get(int(plan_id))
    return plan if plan is not None and plan.channel_id == channel.id else None


def _plan(plan: Plan) -> JsonObject:
    return {
        "membershipId": plan.id,
        "title": plan.title,
        "description": plan.description,
        "benefits": plan.benefits,
        "price": plan.price,
        "currency": plan.currency,
    }


def _state(plan: Plan) -> JsonObject:
    return {
        "memberCount": len(plan.members),
        "memberLimit": plan.member_limit,
        "isInAppPurchase": plan.in_app_purchase,
        "isPublished": plan.published,
    }


def _later(day: date, months: int) -> date:
    """Return the same day of a later month, or that month's last."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def _check_plan(title: object, attributes: JsonObject) -> None:
    if not isinstance(title, str) or not title:
        raise SimulatorError("A membership plan needs a title.")
    for name, value in attributes.items():
        check = _ATTRIBUTES.get(name)
        if check is None:
            raise SimulatorError(f"A membership plan has no attribute {name!r}.")
        if not check(value):
            raise SimulatorError(f"The attribute {name} of a membership plan cannot be {value!r}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e9


def _are_benefits(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= BENEFITS_MAX and all(isinstance(one, str) for one in value)


def _is_limit(value: Any) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0)


_ATTRIBUTES: Final[dict[str, Any]] = {
    "description": lambda value: isinstance(value, str),
    "benefits": _are_benefits,
    "price": _is_number,
    "currency": lambda value: value in _CURRENCIES,
    "member_limit": _is_limit,
    "in_app_purchase": lambda value: isinstance(value, bool),
    "published": lambda value: isinstance(value, bool),
}

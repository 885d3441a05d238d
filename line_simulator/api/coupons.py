"""Coupons of an account: made through the API, sent as messages, taken and used by people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from line_simulator.api.asking import page_of
from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.exchange import ApiError, Response, SimulatorError, json_response
from line_simulator.objects.coupon import STATUSES, check_coupon, choice, shown
from line_simulator.objects.findings import Findings
from line_simulator.world.state import Channel, Chat, JsonObject, World, part

VALID_MAX: Final = 5000
_PAGE_DEFAULT: Final = 20
_PAGE_MAX: Final = 100
_CLOSED: Final = "The coupon has already been closed."
_UNKNOWN: Final = "coupon not found"


@dataclass(slots=True)
class Coupon:
    """A coupon. content: as its detail shows it. tickets: uses by user id. losers: who drew a blank in its lottery."""

    id: str
    content: dict[str, Any]
    created: float
    closed: bool = False
    tickets: dict[str, int] = field(default_factory=dict)
    losers: set[str] = field(default_factory=set)

    def status(self, now: float) -> str:
        """Return RUNNING (also before its period begins) or CLOSED (discontinued, or its period is over)."""
        return "CLOSED" if self.closed or now > self.content["endTimestamp"] else "RUNNING"


@part("coupons")
@dataclass(slots=True)
class CouponBook:
    """Coupons by channel id and coupon id, oldest first."""

    channels: dict[str, dict[str, Coupon]] = field(default_factory=dict)

    def of(self, channel: Channel) -> dict[str, Coupon]:
        """Return the coupons of an account."""
        return self.channels.setdefault(channel.id, {})


class Coupons:
    """Answers on coupons. Callers hold the world's lock."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations. That closing an expired coupon is refused like closing twice is guessed."""
        return {
            "createCoupon": Operation(self.create, Reads.JSON),
            "listCoupon": Operation(self.list),
            "getCouponDetail": Operation(self.detail),
            "closeCoupon": Operation(self.close),
        }

    def create(self, call: Context) -> Response:
        """Answer createCoupon. Raises ApiError 400."""
        now = self._world.clock.time()
        found = Findings()
        check_coupon(found, call.body, now)
        found.raise_if_any()
        coupons = self._world.part(CouponBook).of(call.owner)
        if sum(coupon.status(now) == "RUNNING" for coupon in coupons.values()) >= VALID_MAX:
            raise _error(400, "You have too many coupons created.")
        coupon = Coupon(self._world.ids.ulid(now), shown(call.body), now)
        coupons[coupon.id] = coupon
        self._world.state.next_sequence()
        return json_response({"couponId": coupon.id})

    def list(self, call: Context) -> Response:
        """Answer listCoupon, newest first. Raises ApiError 400."""
        query = call.query
        found = Findings()
        wanted = _statuses(found, call.request.query)
        limit = _limit(found, query.get("limit", str(_PAGE_DEFAULT)))
        found.raise_if_any()
        now = self._world.clock.time()
        coupons = self._world.part(CouponBook).of(call.owner)
        ids = [one.id for one in reversed(coupons.values()) if not wanted or one.status(now) in wanted]
        page, following = page_of(self._world, "coupons", ids, query.get("start"), limit)
        items = [{"couponId": one, "title": coupons[one].content["title"]} for one in page]
        return json_response({"items": items} if following is None else {"next": following, "items": items})

    def detail(self, call: Context) -> Response:
        """Answer getCouponDetail. Raises ApiError 404."""
        coupon = self._of_call(call)
        state = {"status": coupon.status(self._world.clock.time()), "createdTimestamp": int(coupon.created)}
        # Only friend referral coupons, which the API cannot make, give a person more than one ticket.
        return json_response({"couponId": coupon.id, **coupon.content, "maxTicketPerUser": 1, **state})

    def close(self, call: Context) -> Response:
        """Answer closeCoupon. Raises ApiError 404, 410."""
        coupon = self._of_call(call)
        if coupon.status(self._world.clock.time()) == "CLOSED":
            raise _error(410, _CLOSED)
        coupon.closed = True
        self._world.state.next_sequence()
        return json_response({})

    def _of_call(self, call: Context) -> Coupon:
        coupon = self._world.part(CouponBook).of(call.owner).get(call.parameters["couponId"])
        if coupon is None:
            raise _error(404, _UNKNOWN)
        return coupon


def check_sent(world: World, channel: Channel, found: Findings, messages: list[Any]) -> None:
    """Note every coupon message whose coupon is not a running one of this account. LINE's own texts are unknown."""
    for index, message in enumerate(messages):
        if message["type"] != "coupon":
            continue
        coupon = world.part(CouponBook).of(channel).get(message["couponId"])
        if coupon is None:
            found.add(f"messages[{index}].couponId", _UNKNOWN)
        elif coupon.status(world.clock.time()) == "CLOSED":
            found.add(f"messages[{index}].couponId", _CLOSED)


def take(world: World, channel: Channel, chat: Chat, user_id: str, coupon_id: str) -> bool:
    """Let a person take a coupon; returns whether they have it, which a lottery decides once.

    Raises SimulatorError when there is no such coupon, it is closed, or it never came to this person's chat.
    """
    coupon = _running(world, channel, coupon_id)
    if user_id in coupon.tickets:
        return True
    if coupon.content["visibility"] != "PUBLIC" and not _received(chat, coupon_id):
        raise SimulatorError(f"The coupon {coupon_id} was not sent to this person.", 409)
    condition = coupon.content["acquisitionCondition"]
    won = user_id not in coupon.losers
    if won and condition["type"] == "lottery":
        left = condition["maxAcquireCount"] == -1 or len(coupon.tickets) < condition["maxAcquireCount"]
        won = world.ids.chance(condition["lotteryProbability"]) and left
    if won:
        coupon.tickets[user_id] = 0
    else:
        coupon.losers.add(user_id)
    world.state.next_sequence()
    return won


def use(world: World, channel: Channel, user_id: str, coupon_id: str) -> int:
    """Let a person use their coupon; returns how often they have used it. Raises SimulatorError when they cannot."""
    coupon = _running(world, channel, coupon_id)
    if user_id not in coupon.tickets:
        raise SimulatorError("The person has not taken this coupon.", 409)
    if world.clock.time() < coupon.content["startTimestamp"]:
        raise SimulatorError("The coupon is not valid yet.", 409)
    if coupon.tickets[user_id] >= 1 and coupon.content["maxUseCountPerTicket"] == 1:
        raise SimulatorError("The coupon has been used already.", 409)
    coupon.tickets[user_id] += 1
    world.state.next_sequence()
    return coupon.tickets[user_id]


def describe(world: World, channel: Channel) -> list[JsonObject]:
    """Return the coupons of an account as JSON values of /_sim/, with who took them and how often they were used."""
    now = world.clock.time()
    return [
        {"couponId": one.id, "status": one.status(now), **one.content, "tickets": one.tickets, "losers": sorted(one.losers)}
        for one in world.part(CouponBook).of(channel).values()
    ]


def _running(world: World, channel: Channel, coupon_id: str) -> Coupon:
    coupon = world.part(CouponBook).of(channel).get(coupon_id)
    if coupon is None:
        raise SimulatorError(f"{channel.name} has no coupon {coupon_id!r}.", 404)
    if coupon.status(world.clock.time()) == "CLOSED":
        raise SimulatorError("The coupon is closed.", 409)
    return coupon


def _received(chat: Chat, coupon_id: str) -> bool:
    needle = coupon_id.encode()
    return any(
        message.get("type") == "coupon" and message.get("couponId") == coupon_id
        for sending in chat.inbox or ()
        if needle in sending.body
        for message in sending.messages()
    )


def _statuses(found: Findings, query: str) -> set[str]:
    values = [value for name, value in parse_qsl(query, keep_blank_values=True) if name == "status"]
    wanted = {one for value in values for one in value.split(",")}
    for one in sorted(wanted - set(STATUSES))[:1]:
        choice(found, "status", one, STATUSES)
    return wanted


def _limit(found: Findings, text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        found.add("limit", "Must be a number")
    elif len(text) > 9 or int(text) > _PAGE_MAX:
        found.add("limit", f"Must be less than or equal to {_PAGE_MAX}")
    elif int(text) < 1:
        found.add("limit", "Must be greater than or equal to 1")
    else:
        return int(text)
    return _PAGE_DEFAULT


def _error(status: int, message: str) -> ApiError:
    return ApiError(status, "The request body has 1 error(s)", [{"message": message, "property": ""}])

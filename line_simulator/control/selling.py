"""Coupons and memberships under /_sim/: who has what, and what people do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from line_simulator.api import coupons, memberships
from line_simulator.control.values import Answer, Verb, need, need_text, snake
from line_simulator.exchange import SimulatorError
from line_simulator.people import customers
from line_simulator.world.state import Channel, JsonObject, PersonRecord

if TYPE_CHECKING:
    from line_simulator.simulator import LineSimulator


class Selling:
    """Coupons, memberships, and the verbs on them."""

    def __init__(self, line: LineSimulator) -> None:
        self._line = line

    def routes(self) -> dict[tuple[str, str], Answer]:
        """Return the answers by method and path."""
        return {
            ("GET", "/_sim/coupons"): self._coupons,
            ("GET", "/_sim/memberships"): self._memberships,
            ("POST", "/_sim/memberships"): self._set_membership,
        }

    def verbs(self) -> dict[str, Verb]:
        """Return what a person can do, by the last word of /_sim/people/{person}/{verb}."""
        return {
            "take_coupon": self._take_coupon,
            "use_coupon": self._use_coupon,
            "join_membership": lambda person, channel, body: self._member(person, channel, body, "joined"),
            "renew_membership": lambda person, channel, body: self._member(person, channel, body, "renewed"),
            "leave_membership": lambda person, channel, body: self._member(person, channel, body, "left"),
        }

    def _coupons(self, _: JsonObject, query: dict[str, str]) -> Any:
        """Coupons of ?channel=, with who took them."""
        world = self._line.world
        with world.lock:
            return {"coupons": coupons.describe(world, world.channel(need(query, "channel")))}

    def _memberships(self, _: JsonObject, query: dict[str, str]) -> Any:
        """Plans of ?channel=, with their members."""
        world = self._line.world
        with world.lock:
            plans = world.part(memberships.PlanBook).of(world.channel(need(query, "channel")))
            return {"memberships": [memberships.describe(plan) for plan in plans]}

    def _set_membership(self, body: JsonObject, _: dict[str, str]) -> Any:
        attributes = {snake(key): value for key, value in body.items()}
        channel = self._line.world.channel(need_text(attributes, "channel"))
        title = need(attributes, "title")
        rest = {key: value for key, value in attributes.items() if key not in ("channel", "title")}
        return memberships.describe(self._line.membership(channel, title, **rest))

    def _take_coupon(self, person: PersonRecord, channel: Channel, body: JsonObject) -> Any:
        return {"taken": customers.take_coupon(self._line.world, person, channel, need_text(body, "couponId"))}

    def _use_coupon(self, person: PersonRecord, channel: Channel, body: JsonObject) -> Any:
        return {"uses": customers.use_coupon(self._line.world, person, channel, need_text(body, "couponId"))}

    def _member(self, person: PersonRecord, channel: Channel, body: JsonObject, change: str) -> None:
        plan_id = need(body, "membershipId")
        if not isinstance(plan_id, int) or isinstance(plan_id, bool):
            raise SimulatorError("membershipId must be a number.")
        customers.change_membership(self._line.world, person, channel, plan_id, change)

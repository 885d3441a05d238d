"""Checking of a new coupon, and how LINE shows it again (Messaging API reference, Coupon)."""

from __future__ import annotations

from typing import Any, Final

from line_simulator.objects.findings import Findings, utf16_length
from line_simulator.world.state import JsonObject

STATUSES: Final = ("DRAFT", "RUNNING", "CLOSED")
_MAX_SECONDS: Final = 2**63 - 1
_MAX_AMOUNT: Final = 2**63 - 1
_WINNERS_MAX: Final = 999_999
_REWARDS: Final = ("discount", "free", "gift", "cashBack", "others")
# What each kind of reward can say about its price, and which numbers belong to it: smallest and largest.
_PRICES: Final = {"discount": ("fixed", "percentage", "explicit"), "cashBack": ("fixed", "percentage")}
_NUMBERS: Final[dict[str, dict[str, tuple[int, int]]]] = {
    "fixed": {"fixedAmount": (1, _MAX_AMOUNT)},
    "percentage": {"percentage": (1, 99)},
    "explicit": {"originalPrice": (1, _MAX_AMOUNT), "priceAfterDiscount": (1, _MAX_AMOUNT)},
}
_ALL_NUMBERS: Final = tuple(name for numbers in _NUMBERS.values() for name in numbers)
_TEXTS: Final = {"title": (1, 60), "description": (0, 1000), "couponCode": (0, 16), "usageCondition": (0, 100)}
_SHOWN: Final = (
    *("title", "description", "startTimestamp", "endTimestamp", "timezone", "couponCode", "maxUseCountPerTicket"),
    *("visibility", "imageUrl", "barcodeImageUrl", "usageCondition"),
)
TIMEZONES: Final = tuple(
    """ETC_GMT_MINUS_12 ETC_GMT_MINUS_11 PACIFIC_HONOLULU AMERICA_ANCHORAGE AMERICA_LOS_ANGELES AMERICA_PHOENIX AMERICA_CHICAGO
    AMERICA_NEW_YORK AMERICA_CARACAS AMERICA_SANTIAGO AMERICA_ST_JOHNS AMERICA_SAO_PAULO ETC_GMT_MINUS_2 ATLANTIC_CAPE_VERDE
    EUROPE_LONDON EUROPE_PARIS EUROPE_ISTANBUL EUROPE_MOSCOW ASIA_TEHRAN ASIA_TBILISI ASIA_KABUL ASIA_TASHKENT ASIA_COLOMBO
    ASIA_KATHMANDU ASIA_ALMATY ASIA_RANGOON ASIA_BANGKOK ASIA_TAIPEI ASIA_TOKYO AUSTRALIA_DARWIN AUSTRALIA_SYDNEY
    ASIA_VLADIVOSTOK ETC_GMT_PLUS_12 PACIFIC_TONGATAPU""".split()
)


def check_coupon(found: Findings, body: JsonObject, now: float) -> None:
    """Note everything wrong with a CouponCreateRequest (messaging-api.yml) that arrives at `now` (epoch seconds)."""
    for name, bounds in _TEXTS.items():
        _sized(found, name, body.get(name), bounds)
    for name in ("imageUrl", "barcodeImageUrl"):
        found.https_url(name, body.get(name), required=False)
    choice(found, "visibility", body.get("visibility"), ("UNLISTED", "PUBLIC"))
    choice(found, "timezone", body.get("timezone"), TIMEZONES)
    if body.get("maxUseCountPerTicket") != -1:
        found.number("maxUseCountPerTicket", body.get("maxUseCountPerTicket"), 1, 1)
    _period(found, body.get("startTimestamp"), body.get("endTimestamp"), now)
    _acquisition(found, body.get("acquisitionCondition"))
    _reward(found, body.get("reward"))


def choice(found: Findings, path: str, value: Any, allowed: tuple[str, ...]) -> bool:
    """Check an enumerated value; these endpoints write the list without spaces."""
    if value is None:
        found.add(path, "May not be empty")
        return False
    if not isinstance(value, str) or value not in allowed:
        found.add(path, f"Must be one of the following values: [{','.join(allowed)}]")
        return False
    return True


def shown(body: JsonObject) -> JsonObject:
    """Return the properties of a checked coupon that its detail shows, with the currency of an account in Japan."""
    content = {name: body[name] for name in _SHOWN if body.get(name) is not None}
    condition = body["acquisitionCondition"]
    lottery = ("lotteryProbability", "maxAcquireCount") if condition["type"] == "lottery" else ()
    content["acquisitionCondition"] = {name: condition[name] for name in ("type", *lottery)}
    content["reward"] = reward = {"type": body["reward"]["type"]}
    if reward["type"] in _PRICES:
        price = body["reward"]["priceInfo"]
        numbers = {name: price[name] for name in _NUMBERS[price["type"]]}
        currency = {} if price["type"] == "percentage" else {"currency": "JPY"}
        reward["priceInfo"] = {"type": price["type"], **numbers, **currency}
    return content


def _sized(found: Findings, path: str, value: Any, bounds: tuple[int, int]) -> None:
    if value is None:
        if bounds[0]:
            found.add(path, "May not be empty")
    elif not isinstance(value, str):
        found.add(path, "Must be a string")
    elif not bounds[0] <= utf16_length(value) <= bounds[1]:
        found.add(path, f"Size must be between {bounds[0]} and {bounds[1]}")


def _period(found: Findings, start: Any, end: Any, now: float) -> None:
    usable = [found.number("startTimestamp", start, 0, _MAX_SECONDS), found.number("endTimestamp", end, 0, _MAX_SECONDS)]
    # The reference states the rule but no text for it.
    if all(usable) and end <= max(now, start):
        found.add("endTimestamp", "Must be after the current time and startTimestamp")


def _acquisition(found: Findings, value: Any) -> None:
    path = "acquisitionCondition"
    condition = found.mapping(path, value)
    if condition is None or not choice(found, f"{path}.type", condition.get("type"), ("normal", "lottery")):
        return
    if condition["type"] == "lottery":
        found.number(f"{path}.lotteryProbability", condition.get("lotteryProbability"), 1, 99)
        if condition.get("maxAcquireCount") != -1:
            found.number(f"{path}.maxAcquireCount", condition.get("maxAcquireCount"), 1, _WINNERS_MAX)


def _reward(found: Findings, value: Any) -> None:
    # The reference requires a reward, the OpenAPI does not.
    reward = found.mapping("reward", value)
    if reward is None or not choice(found, "reward.type", reward.get("type"), _REWARDS):
        return
    kinds = _PRICES.get(reward["type"])
    path = "reward.priceInfo"
    if kinds is None:
        if reward.get("priceInfo") is not None:
            found.add(path, "Must not be specified")
        return
    price = found.mapping(path, reward.get("priceInfo"))
    if price is None or not choice(found, f"{path}.type", price.get("type"), kinds):
        return
    wanted = _NUMBERS[price["type"]]
    for name in _ALL_NUMBERS:
        if name in wanted:
            found.number(f"{path}.{name}", price.get(name), *wanted[name])
        elif price.get(name) is not None:
            found.add(f"{path}.{name}", "Must not be specified")

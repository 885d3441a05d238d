"""What people tend to do with what they receive: pure decisions, the same for the same seed, person and message."""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from dataclasses import dataclass
from enum import IntEnum
from statistics import NormalDist
from typing import Any, Final

import msgspec

from line_simulator.exchange import SimulatorError
from line_simulator.world.state import DAY_SECONDS, Sending

HOUR_SECONDS: Final = 3600.0
# Japan knows no summer time.
TOKYO_OFFSET_SECONDS: Final = 9 * HOUR_SECONDS
# Whoever has not done something by then never does it.
LONGEST_SECONDS: Final = 30 * DAY_SECONDS
# Nobody is faster: by then everything that was sent at the same time has arrived, in whatever order.
SETTLED_SECONDS: Final = 1.0
_NORMAL: Final = NormalDist()
_NUMBERS: Final = struct.Struct("<8Q")
_OTHER: Final = 0x9E3779B97F4A7C15
_UNIT: Final = 1.0 / 2**64
# Addresses and postback data often hold a random number; a person reads neither.
_UNREAD: Final = re.compile(rb'https?://[^\s"\\]*|"data": *"(?:[^"\\]|\\.)*"')


class Deed(IntEnum):
    """Something a person does."""

    LOOK = 0
    TAP = 1
    REPLY = 2
    VIDEO = 3
    BLOCK = 4
    UNBLOCK = 5
    FOLLOW = 6
    MENU = 7


class Habits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How people behave. Rates are shares from 0 to 1. Delays are log-normal around their median, at most 30 days.

    open_rate: of all receptions of a send call, how many lead to a look into the chat.
    tap_rate, reply_rate, video_rate, menu_rate: of those looks, how many lead to a tap on the message, a reply, a video
    played to its end, a tap on the rich menu (every area alike). taps: weights of actions by label, or by position ("0" is the first of the send call); empty means all alike.
    replies: what they write. block_rate: the chance to block upon a reception; for each send call beyond `fatigue_free`
    within `fatigue_days` it grows by `fatigue`. unblock_rate: of those who block, how many come back.
    quiet_hours: from which hour to which (Japan time) nobody does anything; what would happen then happens in the
    hour that follows. open_links: whether a tap on a link really requests the page.
    """

    open_rate: float = 0.3
    look_median_seconds: float = 1800.0
    tap_rate: float = 0.1
    taps: dict[str, float] = {}
    tap_median_seconds: float = 20.0
    reply_rate: float = 0.0
    replies: tuple[str, ...] = ("ありがとうございます",)
    reply_median_seconds: float = 60.0
    video_rate: float = 0.0
    menu_rate: float = 0.0
    block_rate: float = 0.0
    fatigue: float = 0.0
    fatigue_free: int = 4
    fatigue_days: float = 7.0
    unblock_rate: float = 0.0
    unblock_median_days: float = 10.0
    quiet_hours: tuple[int, int] | None = None
    spread: float = 1.0
    open_links: bool = False


_RATES: Final = ("open_rate", "tap_rate", "reply_rate", "video_rate", "menu_rate", "block_rate", "fatigue", "unblock_rate")
_AMOUNTS: Final = (
    "look_median_seconds",
    "tap_median_seconds",
    "reply_median_seconds",
    "fatigue_free",
    "fatigue_days",
    "unblock_median_days",
    "spread",
)


def read_habits(values: object) -> Habits:
    """Return habits from JSON values in camelCase, or checked again. Raises SimulatorError with one sentence."""
    try:
        habits = msgspec.convert(msgspec.to_builtins(values), Habits)
    except (msgspec.ValidationError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise SimulatorError(f"These habits cannot be: {error}.") from None
    for name in _RATES:
        if not 0.0 <= getattr(habits, name) <= 1.0:
            raise SimulatorError(f"The habit {name} must be a share from 0 to 1.")
    for name in _AMOUNTS:
        if not 0.0 <= getattr(habits, name) <= 1e9:
            raise SimulatorError(f"The habit {name} must be a number from 0 to 1,000,000,000.")
    if not all(0.0 <= weight <= 1e9 for weight in habits.taps.values()):
        raise SimulatorError("The weights of taps must be numbers of zero or more.")
    quiet = habits.quiet_hours
    if quiet is not None and not all(0 <= hour <= 24 for hour in quiet):
        raise SimulatorError("quiet_hours must be two hours from 0 to 24.")
    if habits.reply_rate and not all(0 < len(text) <= 5000 for text in habits.replies or ("",)):
        raise SimulatorError("replies must be texts of 1 to 5,000 characters.")
    return habits


@dataclass(frozen=True, slots=True)
class Seen:
    """What habits need to know of a send call. `key` is the same whenever people read the same on the same day."""

    key: bytes
    at: float
    messages: list[dict[str, Any]]
    has_actions: bool
    has_video: bool


def seen(sending: Sending, seed: object) -> Seen:
    """Return what a send call looks like to those who receive it."""
    messages = sending.messages()
    text = _UNREAD.sub(b"", json.dumps(messages, sort_keys=True).encode())
    day = math.floor((sending.at + TOKYO_OFFSET_SECONDS) / DAY_SECONDS)
    key = hashlib.blake2b(text, digest_size=32, key=f"{day}/{seed}".encode()[:64]).digest()
    has_actions = any(word in sending.body for word in (b'"action"', b'"actions"', b'"defaultAction"'))
    return Seen(key, sending.at, messages, has_actions, any(one.get("type") == "video" for one in messages))


def chances(key: bytes, person_id: str) -> tuple[int, ...]:
    """Return nine numbers below 2**64, always the same for the same person and key."""
    first = _NUMBERS.unpack(hashlib.blake2b(person_id.encode("utf-8", "surrogatepass"), key=key).digest())
    return (*first, first[0] * _OTHER % 2**64)


def timeline(habits: Habits, what: Seen, lot: tuple[int, ...], block_chance: float) -> list[tuple[float, Deed]]:
    """Return what a person will do about a send call, and when (virtual epoch seconds)."""
    found: list[tuple[float, Deed]] = []
    if lot[0] * _UNIT < habits.open_rate:
        look = awake(habits, what.at + SETTLED_SECONDS + _delay(habits, habits.look_median_seconds, lot[1]), lot[6])
        found.append((look, Deed.LOOK))
        after = (
            (Deed.TAP, what.has_actions, habits.tap_rate, habits.tap_median_seconds, lot[2]),
            (Deed.REPLY, True, habits.reply_rate, habits.reply_median_seconds, lot[3]),
            (Deed.VIDEO, what.has_video, habits.video_rate, habits.tap_median_seconds, lot[4]),
            (Deed.MENU, True, habits.menu_rate, habits.tap_median_seconds, lot[8]),
        )
        for deed, possible, rate, median, number in after:
            # What is left of a number below the rate is again a number from 0 to 1: one draw says whether and when.
            if possible and number * _UNIT < rate:
                later = _delay(habits, median, int(number / rate))
                found.append((awake(habits, look + later, lot[6]), deed))
    if lot[5] * _UNIT < block_chance:
        block = awake(habits, what.at + SETTLED_SECONDS + _delay(habits, habits.look_median_seconds, lot[1]), lot[6])
        found.append((block, Deed.BLOCK))
        if lot[7] * _UNIT < habits.unblock_rate:
            back = _delay(habits, habits.unblock_median_days * DAY_SECONDS, int(lot[7] / habits.unblock_rate))
            found.append((awake(habits, block + back, lot[6]), Deed.UNBLOCK))
    return found


def awake(habits: Habits, moment: float, number: int) -> float:
    """Return the moment, or one in the hour after the quiet hours if it falls into them."""
    if habits.quiet_hours is None:
        return moment
    start, end = habits.quiet_hours
    hour = (moment + TOKYO_OFFSET_SECONDS) % DAY_SECONDS / HOUR_SECONDS
    if not (start <= hour < end if start <= end else hour >= start or hour < end):
        return moment
    return moment + ((end - hour) % 24 + number * _UNIT) * HOUR_SECONDS


def choose(weights: list[float], number: int) -> int | None:
    """Return a position by weight, None if no weight is above zero. `number` is below 2**64."""
    left = number * _UNIT * sum(weights)
    for position, weight in enumerate(weights):
        if weight > 0 and left < weight:
            return position
        left -= weight
    return next((position for position, weight in reversed(list(enumerate(weights))) if weight > 0), None)


def _delay(habits: Habits, median: float, number: int) -> float:
    share = min(max(number * _UNIT, 1e-12), 1 - 1e-12)
    exponent = habits.spread * _NORMAL.inv_cdf(share)
    return min(median * math.exp(min(exponent, 50.0)), LONGEST_SECONDS)

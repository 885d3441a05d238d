"""Insight into friends: how many are of which gender, age, region, phone, and how long they have been friends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from line_simulator.api.calls import Context, Operation
from line_simulator.exchange import Response, json_response
from line_simulator.objects.demographics import AGE_STEPS, APP_TYPES, AREA_LABELS, GENDERS, PERIOD_DAYS
from line_simulator.world.state import DAY_SECONDS, Channel, Chat, Friendship, JsonObject, PersonRecord, World

LAG_SECONDS: Final = 3 * DAY_SECONDS
_SHOWN_FROM: Final = 20
_UNKNOWN: Final = "unknown"
_AGES: Final = ("from0to14", *(f"from{step}to{step + 4}" for step in AGE_STEPS[:-1]), "from70", _UNKNOWN)
_PERIODS: Final = (*(f"within{days}days" for days in PERIOD_DAYS), f"over{PERIOD_DAYS[-1]}days", _UNKNOWN)
_FIFTY_AND_UP: Final = tuple(name for name in _AGES if name[:6] in ("from50", "from55", "from60", "from65", "from70"))
_TOKYO_OFFSET: Final = 9 * 3600


class Demographics:
    """Answers getFriendsDemographics."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the operations of this area."""
        return {"getFriendsDemographics": Operation(self.demographics)}

    def demographics(self, call: Context) -> Response:
        """Answer getFriendsDemographics as of three days ago; nothing below a target reach of twenty."""
        at = self._world.clock.time() - LAG_SECONDS
        friends = list(friends_at(self._world, call.owner, at))
        if sum(is_known(person) for person, _ in friends) < _SHOWN_FROM:
            return json_response(
                {"available": False, "genders": [], "ages": [], "areas": [], "appTypes": [], "subscriptionPeriods": []}
            )
        people = [person for person, _ in friends]
        ages = Counter(_age_group(person) for person in people)
        ages["from50"] = sum(ages[name] for name in _FIFTY_AND_UP)
        areas = Counter(AREA_LABELS.get(person.area, _UNKNOWN) for person in people)
        apps = Counter(person.app if person.app in APP_TYPES else "others" for person in people)
        periods = Counter(_period(since, at) for _, since in friends)
        total = len(friends)
        return json_response(
            {
                "available": True,
                "genders": _tiles("gender", Counter(person.gender or _UNKNOWN for person in people), (*GENDERS, _UNKNOWN), total),
                "ages": _tiles("age", ages, (*_AGES, "from50"), total),
                "areas": _tiles("area", areas, (*areas, _UNKNOWN), total),
                "appTypes": _tiles("appType", apps, (*APP_TYPES, "others"), total),
                "subscriptionPeriods": _tiles("subscriptionPeriod", periods, _PERIODS, total),
            }
        )


def is_known(person: PersonRecord) -> bool:
    """Tell whether LINE has an estimate of gender, age or region."""
    return bool(person.gender or person.area) or person.age is not None


def target_reach(world: World, channel: Channel, at: float | None = None) -> int:
    """Return how many friends can be reached by attributes, now or as of `at` (epoch seconds): those LINE knows something of."""
    moment = world.clock.time() if at is None else at
    return sum(is_known(person) for person, _ in friends_at(world, channel, moment))


def friends_at(world: World, channel: Channel, at: float) -> Iterator[tuple[PersonRecord, float | None]]:
    """Yield the friends at an instant, with the time (epoch seconds) since when, None if that is not known any more."""
    owners = world.state.owners
    for user_id, chat in channel.chats.items():
        owner = owners.get(user_id)
        if owner is not None and _was_friend(chat, at):
            yield owner[1], chat.since if chat.since <= at else None


def _was_friend(chat: Chat, at: float) -> bool:
    if chat.since <= at:
        return chat.status is Friendship.FRIEND
    # Of earlier changes only the order is kept, which is enough for one change within the last days.
    return len(chat.history) > 1 and chat.history[-2][1] is Friendship.FRIEND


def _age_group(person: PersonRecord) -> str:
    if person.age is None:
        return _UNKNOWN
    return _AGES[sum(person.age >= step for step in AGE_STEPS)]


def _period(since: float | None, at: float) -> str:
    if since is None:
        return _UNKNOWN
    days = int((at + _TOKYO_OFFSET) // DAY_SECONDS) - int((since + _TOKYO_OFFSET) // DAY_SECONDS)
    return _PERIODS[sum(days >= limit for limit in PERIOD_DAYS)]


def _tiles(name: str, counts: Counter[str], values: Iterable[str], total: int) -> Sequence[JsonObject]:
    """Return a percentage for each value, the largest first as in LINE's example."""
    tiles = [{name: value, "percentage": round(100 * counts[value] / total, 1)} for value in dict.fromkeys(values)]
    return sorted(tiles, key=lambda tile: -float(str(tile["percentage"])))

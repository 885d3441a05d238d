"""Adding up what people did with messages, and hiding what fewer than twenty people did."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from line_simulator.world.activity import SendingActivity
from line_simulator.world.state import DAY_SECONDS, JsonObject

# Messaging API reference, Get user interaction statistics.
COLLECTED_SECONDS: Final = 14 * DAY_SECONDS
PEOPLE_MIN: Final = 20

_PLAYED: Final = {0: "", 25: "25Percent", 50: "50Percent", 75: "75Percent", 100: "100Percent"}


@dataclass(frozen=True, slots=True)
class Window:
    """The instants (epoch seconds) between which actions count."""

    first: float
    last: float


@dataclass(slots=True)
class Count:
    """How often something happened, and to whom."""

    times: int = 0
    people: set[str] = field(default_factory=set)

    def add(self, user_id: str) -> None:
        """Count once more."""
        self.times += 1
        self.people.add(user_id)

    def often(self) -> int | None:
        """Return the number of times, None if fewer than twenty people did it."""
        return self.times if len(self.people) >= PEOPLE_MIN else None

    def unique(self) -> int | None:
        """Return the number of people, None below twenty."""
        return len(self.people) if len(self.people) >= PEOPLE_MIN else None


@dataclass(slots=True)
class Sums:
    """Counts over several send calls, by bubble (from 1), by how far it was played, by link."""

    seen: dict[int, Count] = field(default_factory=dict)
    played: dict[tuple[int, int], Count] = field(default_factory=dict)
    clicked: dict[tuple[int, str], Count] = field(default_factory=dict)
    links: dict[str, Count] = field(default_factory=dict)
    readers: Count = field(default_factory=Count)
    tappers: Count = field(default_factory=Count)
    viewers: dict[int, Count] = field(default_factory=dict)


def event_statistics(activities: Iterable[SendingActivity], window: Window, counts: Callable[[str], bool]) -> JsonObject:
    """Return overview, messages and clicks of GetStatisticsPerUnitResponse (insight.yml).

    Actions count within the window and within 14 days of their message, by people for whom `counts` is true.
    """
    sums = Sums()
    for activity in activities:
        _add(sums, activity, window, counts)
    return {"overview": _overview(sums), "messages": _messages(sums), "clicks": _clicks(sums)}


def _add(sums: Sums, activity: SendingActivity, window: Window, counts: Callable[[str], bool]) -> None:
    last = min(window.last, activity.sent_at + COLLECTED_SECONDS)

    def usable(user_id: str, at: float) -> bool:
        return window.first <= at <= last and counts(user_id)

    for user_id, at in (*activity.impressions.items(), *activity.repeats):
        if usable(user_id, at):
            sums.readers.add(user_id)
            for bubble in range(1, activity.bubbles + 1):
                sums.seen.setdefault(bubble, Count()).add(user_id)
    for click in activity.clicks:
        if usable(click.user_id, click.at):
            sums.tappers.add(click.user_id)
            sums.clicked.setdefault((click.index + 1, click.url), Count()).add(click.user_id)
            sums.links.setdefault(click.url, Count()).add(click.user_id)
    for play in activity.plays:
        if usable(play.user_id, play.at):
            for percent in (one for one in _PLAYED if one <= play.percent):
                sums.viewers.setdefault(percent, Count()).add(play.user_id)
                sums.played.setdefault((play.index + 1, percent), Count()).add(play.user_id)


def _overview(sums: Sums) -> JsonObject:
    return {
        "uniqueImpression": sums.readers.unique(),
        "uniqueClick": sums.tappers.unique(),
        "uniqueMediaPlayed": sums.viewers.get(0, Count()).unique(),
        "uniqueMediaPlayed100Percent": sums.viewers.get(100, Count()).unique(),
    }


def _messages(sums: Sums) -> list[JsonObject]:
    found = []
    for bubble in sorted({*sums.seen, *(one for one, _ in sums.played)}):
        seen = sums.seen.get(bubble, Count())
        played = {part: sums.played.get((bubble, percent), Count()) for percent, part in _PLAYED.items()}
        numbers = {
            "impression": seen.often(),
            "uniqueImpression": seen.unique(),
            **{f"mediaPlayed{part}": count.often() for part, count in played.items()},
            **{f"uniqueMediaPlayed{part}": count.unique() for part, count in played.items()},
        }
        if _known(numbers):
            found.append({"seq": bubble, **numbers})
    return found


def _clicks(sums: Sums) -> list[JsonObject]:
    found = []
    for bubble, url in sorted(sums.clicked, key=lambda one: one[0]):
        count = sums.clicked[bubble, url]
        numbers = {"click": count.often(), "uniqueClick": count.unique(), "uniqueClickOfRequest": sums.links[url].unique()}
        if _known(numbers):
            found.append({"seq": bubble, "url": url, **numbers})
    return found


def _known(numbers: dict[str, int | None]) -> bool:
    """Tell whether anything may be shown; the reference shows empty lists when nothing may."""
    return any(number is not None for number in numbers.values())

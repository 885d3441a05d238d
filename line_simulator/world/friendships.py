"""How many friends and blocks an account had at the end of each day, without looking at every person."""

from __future__ import annotations

from dataclasses import dataclass, field

from line_simulator.world.state import Channel, Chat, Friendship, World, part


@dataclass(slots=True)
class Day:
    """What one day in Japan changed: people who became friends for the first time, and more or fewer friends and blocks."""

    added: int = 0
    friends: int = 0
    blocks: int = 0


@part("friendships")
@dataclass(slots=True)
class Friendships:
    """Changes by channel id and day (yyyymmdd)."""

    days: dict[str, dict[str, Day]] = field(default_factory=dict)


def note(world: World, channel: Channel, chat: Chat, status: Friendship) -> None:
    """Count a change; call it before the chat takes the new status."""
    days = world.part(Friendships).days.setdefault(channel.id, {})
    day = days.setdefault(f"{world.tokyo():%Y%m%d}", Day())
    day.added += status is Friendship.FRIEND and not chat.ever_friend
    day.friends += (status is Friendship.FRIEND) - (chat.status is Friendship.FRIEND)
    day.blocks += (status is Friendship.BLOCKED) - (chat.status is Friendship.BLOCKED)


def until(world: World, channel: Channel, date: str) -> Day:
    """Return the sum of all changes up to the end of `date` (yyyymmdd)."""
    total = Day()
    for name, day in world.part(Friendships).days.get(channel.id, {}).items():
        if name <= date:
            total.added += day.added
            total.friends += day.friends
            total.blocks += day.blocks
    return total

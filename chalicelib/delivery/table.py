"""How much of a moment's calls is given out: `RATE#account#verb` / number of the moment, in the engine table."""

from __future__ import annotations

from pynamodb.attributes import NumberAttribute
from pynamodb.exceptions import PynamoDBException, UpdateError
from pynamodb.expressions.update import Action

from chalicelib.kernel.errors import TemporaryError
from chalicelib.storage import EngineItem, is_lost

_KEEP_SECONDS = 3600


class RateItem(EngineItem):
    """Calls given out in one moment."""

    used = NumberAttribute()
    ttl = NumberAttribute()


def take(name: str, moment: int, count: int, most: int, now: float) -> bool:
    """Give out `count` calls of a moment that has `most`; False when not so many are left."""
    item = RateItem(f"RATE#{name}", f"{moment:012d}")
    actions: list[Action] = [RateItem.used.add(count), RateItem.ttl.set(int(now) + _KEEP_SECONDS)]
    try:
        item.update(actions=actions, condition=RateItem.used.does_not_exist() | (RateItem.used <= most - count))
    except UpdateError as error:
        if is_lost(error):
            return False
        raise TemporaryError("rate permits") from error
    except PynamoDBException as error:
        raise TemporaryError("rate permits") from error
    return True

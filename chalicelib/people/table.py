"""Counter, identity pointers and merge marks in the core table."""

from __future__ import annotations

from collections.abc import Callable

from pynamodb.attributes import ListAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError

from chalicelib.kernel.errors import TemporaryError
from chalicelib.kernel.ids import Cid
from chalicelib.people.model import person_key
from chalicelib.ports.database import Statement
from chalicelib.settings import settings
from chalicelib.storage import CoreItem, is_lost, saved

_TRIES = 20


class CounterItem(CoreItem):
    """The highest number handed out."""

    highest = NumberAttribute(default=0)


class PointerItem(CoreItem):
    """From an identity to a person."""

    cid = NumberAttribute()
    claimed_at = UnicodeAttribute()


class MergeItem(CoreItem):
    """On the profile of an absorbed person: whom he became; on the absorbing one: whom he took in."""

    merged_into = NumberAttribute(null=True)
    aliases: ListAttribute[int] = ListAttribute(null=True)


def reserve_block(size: int) -> int:
    """Hand out the next `size` numbers and return the first of them."""
    counter = CounterItem("COUNTER", "cid")
    counter.update(actions=[CounterItem.highest.add(size)])
    return int(counter.highest) - size + 1


def highest() -> int:
    """Return the highest number handed out, 0 before the first."""
    try:
        return int(CounterItem.get("COUNTER", "cid", consistent_read=True).highest)
    except CounterItem.DoesNotExist:
        return 0


def pointer(identity: str) -> Cid | None:
    """Return the person that an identity points to."""
    try:
        return Cid(int(PointerItem.get(f"ID#{identity}", "#", consistent_read=True).cid))
    except PointerItem.DoesNotExist:
        return None


def put_pointer(identity: str, cid: Cid, at: str) -> bool:
    """Point a free identity to a person; return False when it is taken."""
    return saved(PointerItem(f"ID#{identity}", "#", cid=cid, claimed_at=at), PointerItem.pk.does_not_exist())


def move_pointer(identity: str, old: Cid, new: Cid) -> bool:
    """Point an identity from one person to another; return False when it no longer points to `old`."""
    item = PointerItem(f"ID#{identity}", "#")
    try:
        item.update(actions=[PointerItem.cid.set(new)], condition=PointerItem.cid == old)
    except UpdateError as error:
        if is_lost(error):
            return False
        raise
    return True


def mark_merged(old: Cid, new: Cid) -> None:
    """Say on both profiles that `old` is now part of `new`; the same when repeated."""
    mark = MergeItem(person_key(old), "P")
    mark.update(actions=[MergeItem.merged_into.set(new)])
    _change_aliases(new, lambda numbers: numbers | {int(old)})


def unmark_merged(old: Cid, new: Cid) -> None:
    """Take the merge marks back."""
    _change_aliases(new, lambda numbers: numbers - {int(old)})
    try:
        # Last, because it shows that there is something to take back; only its own, he may be part of somebody else by now.
        MergeItem(person_key(old), "P").update(
            actions=[MergeItem.merged_into.remove()], condition=MergeItem.merged_into == int(new)
        )
    except UpdateError as error:
        if not is_lost(error):
            raise


def _change_aliases(cid: Cid, change: Callable[[set[int]], set[int]]) -> None:
    """Change whom a person has taken in; what others, who link or part somebody else at this moment, have written stays."""
    for _ in range(_TRIES):
        found = aliases(cid)
        is_so = MergeItem.aliases == found if found else MergeItem.aliases.does_not_exist() | (MergeItem.aliases == [])
        try:
            MergeItem(person_key(cid), "P").update(actions=[MergeItem.aliases.set(sorted(change(set(found))))], condition=is_so)
        except UpdateError as error:
            if not is_lost(error):
                raise
        else:
            return
    raise TemporaryError("whom a person has taken in changed under every try")


def aliases(cid: Cid) -> list[int]:
    """Return the numbers that have become part of a person's."""
    try:
        return [int(alias) for alias in MergeItem.get(person_key(cid), "P", consistent_read=True).aliases or []]
    except MergeItem.DoesNotExist:
        return []


def claim_statement(identity: str, cid: Cid, at: str) -> Statement:
    """Return the bulk form of `put_pointer`."""
    return Statement.insert(settings().core_table, {"pk": f"ID#{identity}", "sk": "#", "cid": int(cid), "claimed_at": at})


def pointer_key(identity: str) -> tuple[str, str]:
    """Return the key of a pointer, for bulk reads."""
    return f"ID#{identity}", "#"

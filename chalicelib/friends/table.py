"""Friendships in the core table: `C#cid` / `FR#account`; every change is guarded by the event's own time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pynamodb.attributes import UnicodeAttribute
from pynamodb.exceptions import DeleteError, PutError, UpdateError

from chalicelib.friends.model import FollowState, Friend, friend_sk, from_item
from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.errors import TemporaryError
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.people.model import person_key
from chalicelib.ports.database import Database, Statement
from chalicelib.settings import settings
from chalicelib.storage import CoreItem, is_lost, saved


class FriendItem(CoreItem):
    """A friendship. state_at is empty until a follow or a block was seen."""

    line_user_id = UnicodeAttribute()
    state = UnicodeAttribute()
    first_seen_at = UnicodeAttribute()
    state_at = UnicodeAttribute(default="")
    display_name = UnicodeAttribute(default="")
    picture_url = UnicodeAttribute(default="")
    language = UnicodeAttribute(default="")
    profile_at = UnicodeAttribute(default="")


def get(cid: Cid, account: AccountKey) -> Friend | None:
    """Return a friendship."""
    try:
        item = FriendItem.get(person_key(cid), friend_sk(account), consistent_read=True)
    except FriendItem.DoesNotExist:
        return None
    return from_item(cid, account, item.attribute_values)


def create(cid: Cid, account: AccountKey, user_id: LineUserId, first_seen_at: datetime, state: FollowState) -> bool:
    """Write a friendship that is not there yet; return False when it is."""
    item = FriendItem(
        person_key(cid),
        friend_sk(account),
        line_user_id=user_id,
        state=state,
        first_seen_at=to_text(first_seen_at),
        state_at="" if state is FollowState.UNKNOWN else to_text(first_seen_at),
    )
    return saved(item, FriendItem.pk.does_not_exist())


def create_many(database: Database, friends: Iterable[Friend]) -> None:
    """Write friendships that are not there yet."""
    items = [
        {
            "pk": person_key(friend.cid),
            "sk": friend_sk(friend.account),
            "line_user_id": friend.line_user_id,
            "state": str(friend.state),
            "first_seen_at": to_text(friend.first_seen_at),
            "state_at": to_text(friend.state_at) if friend.state_at else "",
            "display_name": friend.display_name,
            "picture_url": friend.picture_url,
            "language": friend.language,
            "profile_at": "",
        }
        for friend in friends
    ]
    database.execute([Statement.insert(settings().core_table, item) for item in items])


def set_state(cid: Cid, account: AccountKey, state: FollowState, at: datetime) -> bool:
    """Change the state unless a later event has spoken; return whether this event decides.

    Two events of one millisecond: the block wins, because a message too few is better than one too many.
    """
    text = to_text(at)
    newer = FriendItem.state_at < text
    if state is FollowState.BLOCKED:
        newer |= (FriendItem.state_at == text) & (FriendItem.state != FollowState.BLOCKED)
    item = FriendItem(person_key(cid), friend_sk(account))
    try:
        item.update(actions=[FriendItem.state.set(state), FriendItem.state_at.set(text)], condition=newer)
    except UpdateError as error:
        if is_lost(error):
            return False
        raise
    return True


def set_profile(friend: Friend, name: str, picture_url: str, language: str, at: datetime) -> None:
    """Write what LINE says about the friend."""
    FriendItem(person_key(friend.cid), friend_sk(friend.account)).update(
        actions=[
            FriendItem.display_name.set(name),
            FriendItem.picture_url.set(picture_url),
            FriendItem.language.set(language),
            FriendItem.profile_at.set(to_text(at)),
        ]
    )


def copy(friend: Friend, new: Cid) -> None:
    """Write the friendship to another person too, unless he knows a later state; the old one stays until `drop`.

    Raises TemporaryError when another friend stands there: whoever links two at once must do it one after the other.
    """
    item = _item(friend)
    if item is None:
        return
    values = {name: value for name, value in item.attribute_values.items() if name not in ("pk", "sk")}
    older = (FriendItem.line_user_id == item.line_user_id) & (FriendItem.state_at <= item.state_at)
    try:
        FriendItem(person_key(new), friend_sk(friend.account), **values).save(condition=FriendItem.pk.does_not_exist() | older)
    except PutError as error:
        if not is_lost(error):
            raise
        there = get(new, friend.account)
        if there is None or there.line_user_id != friend.line_user_id:
            raise TemporaryError("another friend stands where this one is to go") from error


def drop(friend: Friend, new: Cid) -> None:
    """Delete the friendship of his old number; what was written to it since `copy` is carried over first: no block is lost."""
    while (item := _item(friend)) is not None:
        there = get(new, friend.account)
        if there is None or there.line_user_id != friend.line_user_id:
            return  # he has been moved on by somebody else in the meantime
        if item.state_at:
            set_state(new, friend.account, FollowState(item.state), from_text(item.state_at))
        try:
            item.delete(condition=(FriendItem.state_at == item.state_at) & (FriendItem.state == item.state))
        except DeleteError as error:
            if not is_lost(error):
                raise


def delete(friend: Friend, cid: Cid) -> None:
    """Delete this friend's friendship as it stands at another number; somebody else's there stays."""
    try:
        FriendItem(person_key(cid), friend_sk(friend.account)).delete(condition=FriendItem.line_user_id == friend.line_user_id)
    except DeleteError as error:
        if not is_lost(error):
            raise


def _item(friend: Friend) -> FriendItem | None:
    try:
        item = FriendItem.get(person_key(friend.cid), friend_sk(friend.account), consistent_read=True)
    except FriendItem.DoesNotExist:
        return None
    return item if item.line_user_id == friend.line_user_id else None

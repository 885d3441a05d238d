"""Follow friends by the time of their events, in whatever order these arrive."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from chalicelib.friends import table
from chalicelib.friends.model import FollowState, Friend
from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import NotFoundError, TemporaryError
from chalicelib.kernel.facts import Fact, FriendBlocked, FriendFollowed, ReplyToken
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.people.model import line_identity
from chalicelib.people.service import People
from chalicelib.ports.database import Database
from chalicelib.ports.line import Line


class Friends:
    """Friends of all LINE accounts."""

    def __init__(self, people: People, accounts: LineAccounts, line: Line, clock: Clock, database: Database) -> None:
        self._people = people
        self._accounts = accounts
        self._line = line
        self._clock = clock
        self._database = database

    def find(self, account: AccountKey, user_id: LineUserId) -> Friend | None:
        """Return a friend by his LINE user id."""
        cid = self._people.find(line_identity(account, user_id))
        return table.get(cid, account) if cid is not None else None

    def of(self, cid: Cid, account: AccountKey) -> Friend | None:
        """Return the friend that a person is on an account."""
        friend = table.get(cid, account)
        # What stands at a person while the friend is on his way from or to him is not his.
        return friend if friend and self._people.find(line_identity(account, friend.line_user_id)) == cid else None

    def get(self, account: AccountKey, user_id: LineUserId) -> Friend:
        """Return a friend by his LINE user id. Raises NotFoundError(`friend.unknown`)."""
        friend = self.find(account, user_id)
        if friend is None:
            raise NotFoundError("friend.unknown", account=account)
        return friend

    def observe(self, account: AccountKey, user_id: LineUserId, at: datetime, state: FollowState = FollowState.UNKNOWN) -> Friend:
        """Return the friend, entering him when an event of his is the first that we see (he followed before we came)."""
        cid, _ = self._people.find_or_number(line_identity(account, user_id))
        friend = table.get(cid, account)
        if friend is None:
            table.create(cid, account, user_id, at, state)
            friend = table.get(cid, account)
        if friend is None:
            raise LookupError("a friendship vanished while it was entered")
        return friend

    def follow(
        self, account: AccountKey, user_id: LineUserId, at: datetime, *, event_id: str, is_unblocked: bool, reply: ReplyToken | None
    ) -> list[Fact]:
        """Record that the person added the account; the fact comes when this is news, and again when it is told again."""
        friend = self._record(account, user_id, at, FollowState.FOLLOWING)
        if friend is None:
            return []
        return [
            FriendFollowed(
                fact_id=event_id,
                cid=friend.cid,
                at=at,
                account=account,
                line_user_id=user_id,
                reply=reply,
                is_unblocked=is_unblocked,
            )
        ]

    def block(self, account: AccountKey, user_id: LineUserId, at: datetime, *, event_id: str) -> list[Fact]:
        """Record that the person blocked the account."""
        friend = self._record(account, user_id, at, FollowState.BLOCKED)
        if friend is None:
            return []
        return [FriendBlocked(fact_id=event_id, cid=friend.cid, at=at, account=account, line_user_id=user_id)]

    def _record(self, account: AccountKey, user_id: LineUserId, at: datetime, state: FollowState) -> Friend | None:
        """Write a state; return the friend when this event is the one that counts, whoever wrote it first."""
        while True:
            friend = self.observe(account, user_id, at, state)
            decides = table.set_state(friend.cid, account, state, at)
            now = self._people.find(line_identity(account, user_id))
            if now is None or now == friend.cid:
                return friend if decides or self._is_current(friend.cid, account, state, at) else None
            # Somebody moved him between our look-up and our write, and may have read before it: carry it over and look again.
            table.drop(friend, now)

    def _is_current(self, cid: Cid, account: AccountKey, state: FollowState, at: datetime) -> bool:
        # The event was recorded by an earlier try that may have died before its facts were acted on: tell them again.
        friend = table.get(cid, account)
        return friend is not None and friend.state is state and friend.state_at == at

    def fetch_profile(self, friend: Friend) -> Friend:
        """Ask LINE for name, picture and language and keep them; nothing changes when LINE will not tell."""
        profile = self._line.profile(self._accounts.credentials(friend.account), friend.line_user_id)
        if profile is None:
            return friend
        table.set_profile(friend, profile.display_name, profile.picture_url, profile.language, self._clock.now())
        return table.get(friend.cid, friend.account) or friend

    def enter(self, account: AccountKey, user_id: LineUserId, cid: Cid, at: datetime) -> bool:
        """Enter a friend of a known person from another system's export; return False when he is somebody else here."""
        if not self._people.number_identity(line_identity(account, user_id), cid):
            return False
        table.create(cid, account, user_id, at, FollowState.UNKNOWN)
        return True

    def enter_many(self, friends: Iterable[Friend]) -> set[LineUserId]:
        """Enter friends of known people from another system's export; return those that are somebody else here."""
        given = {line_identity(friend.account, friend.line_user_id): friend for friend in friends}
        lost = self._people.number_identities({identity: friend.cid for identity, friend in given.items()})
        table.create_many(self._database, [friend for identity, friend in given.items() if identity not in lost])
        return {given[identity].line_user_id for identity in lost}

    def move(self, friend: Friend, new: Cid) -> None:
        """Make the friend a part of another person (identity link); harmless when repeated, at whatever point it stopped.

        Raises TemporaryError when somebody else has moved him elsewhere in the meantime.
        """
        identity = line_identity(friend.account, friend.line_user_id)
        if self._people.find(identity) != new:
            table.copy(friend, new)
            if not self._people.move(identity, friend.cid, new):
                table.delete(friend, new)
                raise TemporaryError("the friend was moved to somebody else")
        table.drop(friend, new)

"""Find customers who may be one person, make them one, and two again.

A merge is decided and written down first (core `C#kept` / `MRG#gone`: what will be taken along; `C#gone` / `INTO#kept`: where that
stands), then done; whoever dies on the way does the rest by asking again. The record of the one who goes stays as it is, behind the
same marks that identity links use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from itertools import groupby
from typing import Any, Protocol

from chalicelib.customers.model import PROFILE_SK, Customer, DeliveryChannel, customer_of
from chalicelib.customers.service import Customers
from chalicelib.duplicates.model import MOST_SHARING, Merge, Pair, Parted, Reason, lacking, pairs, signs
from chalicelib.friends.model import Friend
from chalicelib.friends.service import Friends
from chalicelib.kernel.clock import Clock, to_text
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError
from chalicelib.kernel.facts import CustomersMerged
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.lake.erasure import Erasures
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.orders.service import Orders
from chalicelib.people.model import cid_of, person_key
from chalicelib.people.service import People
from chalicelib.ports.analyst import Analyst, to_wire
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.settings import settings
from chalicelib.tags.service import Tags

_FEW = 20_000  # people whose records a walk through the table reads in a few seconds
_MOST_PAIRS = 500
_SETTING = ("DUP", "#")
_GROUPS = """
WITH shared AS (
  SELECT 'email' AS reason, email AS word, cid FROM identity WHERE email <> ''
  UNION ALL SELECT 'phone', phone, cid FROM identity WHERE phone <> ''
  UNION ALL SELECT 'name_birthday',
    regexp_replace(nfc_normalize(i.name_kana), '[\\s　]', '', 'g') || '|' || c.birthday, i.cid
    FROM identity i JOIN customer c ON c.cid = i.cid WHERE i.name_kana <> '' AND c.birthday IS NOT NULL)
SELECT reason, list(cid ORDER BY cid) FROM shared SEMI JOIN customer ON customer.cid = shared.cid AND customer.known
GROUP BY reason, word HAVING count(*) BETWEEN 2 AND ? ORDER BY reason, 2 LIMIT ?"""


class Crowd(Protocol):
    """Who knows whether the lake is to be asked (segments/asking.py)."""

    def prefers_the_lake(self) -> bool:
        """Say whether there are so many people that the lake is asked, and a lake."""
        ...


class Duplicates:
    """Two records of one person."""

    def __init__(
        self,
        people: People,
        customers: Customers,
        friends: Friends,
        accounts: LineAccounts,
        orders: Orders,
        tags: Tags,
        erasures: Erasures,
        asking: Crowd,
        analyst: Analyst,
        database: Database,
        clock: Clock,
    ) -> None:
        self._people = people
        self._customers = customers
        self._friends = friends
        self._accounts = accounts
        self._orders = orders
        self._tags = tags
        self._erasures = erasures
        self._asking = asking
        self._analyst = analyst
        self._database = database
        self._clock = clock

    # Finding ----------------------------------------------------------------------------------------------------------------

    def find(self) -> list[Pair]:
        """Return customers who may be one person, the surest first, up to five hundred; not those of whom it was denied."""
        groups = self._by_the_lake() if self._asking.prefers_the_lake() else self._by_the_table()
        found = pairs(groups)
        keys = [_denied_key(pair.first, pair.second) for pair in found]
        denied = self._database.get_many(settings().core_table, keys)
        return [pair for pair, key in zip(found, keys, strict=True) if key not in denied][:_MOST_PAIRS]

    def _by_the_lake(self) -> list[tuple[Reason, list[int]]]:
        answer = self._analyst.ask({"op": "groups", "query": to_wire(_GROUPS, [MOST_SHARING, 4 * _MOST_PAIRS])})
        return [(Reason(reason), cids) for reason, cids in answer.get("groups", ())]

    def _by_the_table(self) -> list[tuple[Reason, list[int]]]:
        shared: dict[tuple[Reason, str], list[int]] = defaultdict(list)
        items = (item for item in self._database.scan(settings().core_table, segment=0, segments=1) if item["pk"].startswith("C#"))
        for pk, collection in groupby(items, key=lambda item: item["pk"]):
            customer = customer_of(cid_of(pk), {item["sk"]: dict(item) for item in collection if item["sk"] == PROFILE_SK})
            if customer.profile.member_no and customer.merged_into is None:
                for sign in signs(customer.profile):
                    shared[sign].append(customer.cid)
        return [(reason, cids) for (reason, _), cids in shared.items() if len(cids) > 1]

    def deny(self, one: Cid, other: Cid) -> None:
        """Say that two customers are two people: they are not found any more."""
        pk, sk = _denied_key(min(one, other), max(one, other))
        self._database.put_many(settings().core_table, [{"pk": pk, "sk": sk, "at": to_text(self._clock.now())}])

    # Making one of two ------------------------------------------------------------------------------------------------------

    def crosses_accounts(self) -> bool:
        """Say whether customers may be merged who are friends of different LINE accounts; off unless it was switched on."""
        item = self._database.get_many(settings().config_table, [_SETTING]).get(_SETTING)
        return bool(item and item["crosses_accounts"])

    def let_cross_accounts(self, allowed: bool) -> None:
        """Say whether customers may be merged who are friends of different LINE accounts."""
        item = {"pk": _SETTING[0], "sk": _SETTING[1], "crosses_accounts": allowed}
        self._database.put_many(settings().config_table, [item])

    def merge(self, kept: Cid, gone: Cid, by: str, consent: str = "") -> list[CustomersMerged]:
        """Make two customers one person under the number of the first; told again, the rest is done and the same fact comes.

        consent: when and where the person agreed; needed where friends of different LINE accounts come together.
        Raises NotFoundError(`customer.unknown`), InvalidError and ConflictError(`merge.*`), TemporaryError(People.alone).
        """
        with self._people.alone(f"merge {kept} {gone}"):
            self._refuse_erasing(kept, gone)
            return self._merged(self._merge_of(kept, gone) or self._decided(kept, gone, by, consent))

    def _refuse_erasing(self, kept: Cid, gone: Cid) -> None:
        if self._erasures.under_way([kept, gone]):
            raise ConflictError("merge.erasure_runs")

    def _merged(self, merge: Merge) -> list[CustomersMerged]:
        kept, gone = merge.kept, merge.gone
        marked = self._customers.load(Cid(number) for number in merge.numbers)
        for number, one in marked.items():
            # Others have left him since it was decided, or have become part of whoever took both in.
            if one.merged_into in (gone, kept) or (number == gone and one.merged_into is None):
                self._people.mark_merged(number, kept)
        merge = self._with_late_friends(merge)
        for account in merge.accounts:
            self._carry_friend(merge, account, gone, kept)
        for channel in DeliveryChannel:
            self._customers.carry_consent(gone, kept, channel)
        customer = self._customers.load([kept])[kept]
        filled = dict(lacking(customer, self._customers.load([gone])[gone])[0])
        attributes = {name: value for name, value in merge.attributes.items() if name not in customer.profile.attributes}
        if attributes:
            filled["attributes"] = attributes
        if filled:
            self._customers.change(kept, filled)
        for tag_id in merge.tags:
            self._tags.add(kept, tag_id, _by(merge))
        self._orders.recount(kept)
        at = self._clock.now()
        return [CustomersMerged(fact_id=f"merge|{kept}|{gone}|{merge.at}", cid=kept, at=at, former_cid=gone)]

    def _decided(self, kept: Cid, gone: Cid, by: str, consent: str) -> Merge:
        customers = self._customers.load([kept, gone])
        for cid in (kept, gone):
            if not customers[cid].profile.member_no:
                raise NotFoundError("customer.unknown")
        # The opposite may be decided and not begun: both would be part of each other.
        if kept == gone or any(customer.merged_into for customer in customers.values()) or self._merge_of(gone, kept):
            raise ConflictError("merge.one_already")
        theirs, his = self._friends_of(gone), self._friends_of(kept)
        if {friend.account for friend in theirs} & {friend.account for friend in his}:
            raise ConflictError("merge.two_friends")
        if theirs and his and not self.crosses_accounts():
            raise ConflictError("merge.accounts_crossed")
        if theirs and his and not consent.strip():
            raise InvalidError("merge.consent_missing")
        filled, attributes = lacking(customers[kept], customers[gone])
        said = customers[kept].consents
        merge = Merge(
            kept, gone, to_text(self._clock.now()), by, consent,
            numbers=(gone, *self._people.aliases(gone)),
            filled={name: str(value) for name, value in filled.items()},
            attributes=attributes,
            tags=tuple(sorted(self._tags.of(gone) - self._tags.of(kept))),
            accounts={friend.account: friend.line_user_id for friend in theirs},
            refusals={str(channel): f"{word.at} {word.source}" for channel, word in said.items() if word.is_opted_out},
        )  # fmt: skip
        # Each by itself, the hint first: who is erased before he is part of anybody leaves nothing at the other.
        self._database.put_many(settings().core_table, [_hint(merge)])
        self._database.execute([Statement.insert(settings().core_table, _item(merge))])
        return self._merge_of(kept, gone) or merge  # of two at once the first decides: the other may have seen half of it done

    def _friends_of(self, cid: Cid) -> list[Friend]:
        found = (self._friends.of(cid, account.key) for account in self._accounts.everyone())
        return [friend for friend in found if friend is not None]

    def _with_late_friends(self, merge: Merge) -> Merge:
        """Return the merge with friends who came to `gone` while it was decided: an undoing must know of them too."""
        found = {str(friend.account): friend.line_user_id for friend in self._friends_of(merge.gone)}
        his = {friend.account for friend in self._friends_of(merge.kept)}
        late = {account: user_id for account, user_id in found.items() if account not in {*merge.accounts, *his}}
        if not late:
            return merge
        merge = replace(merge, accounts={**merge.accounts, **late})
        text = f'UPDATE "{settings().core_table}" SET "accounts"=? WHERE pk=? AND sk=? AND "at"=?'
        key = _item(merge)
        self._database.execute([Statement(text, (merge.accounts, key["pk"], key["sk"], merge.at))])
        return merge

    def _carry_friend(self, merge: Merge, account: str, old: Cid, new: Cid) -> bool:
        """Move the friend that this merge is about, wherever an earlier try has left him; False when he is elsewhere by now."""
        key, user_id = AccountKey(account), merge.accounts[account]
        friend = self._friends.find(key, LineUserId(user_id)) if user_id else self._friends.of(old, key)
        if friend is None or friend.cid not in (old, new):
            return False
        self._friends.move(replace(friend, cid=old), new)
        return True

    # And two of one ---------------------------------------------------------------------------------------------------------

    def merges(self, kept: Cid) -> list[Merge]:
        """Return who became part of a customer by a merge."""
        return [_merge(item) for item in self._database.query(settings().core_table, person_key(kept), prefix="MRG#")]

    def undo(self, kept: Cid, gone: Cid) -> Parted:
        """Make two customers of one again. What has happened since stays with the one who was kept.

        Of the friends only those go back who came along and have not left him or proven themselves his since.
        Raises NotFoundError(`merge.unknown`), ConflictError(`merge.later_first`, `merge.erasure_runs`), TemporaryError.
        """
        with self._people.alone(f"undo {kept} {gone}"):
            self._refuse_erasing(kept, gone)
            merge = self._merge_of(kept, gone)
            if merge is None:
                raise NotFoundError("merge.unknown")
            return self._undone(merge)

    def _undone(self, merge: Merge) -> Parted:
        kept, gone = merge.kept, merge.gone
        if self._customers.load([kept])[kept].merged_into:
            raise ConflictError("merge.later_first")
        back = [account for account in merge.accounts if not self._is_his_own(merge, account)]
        returned = [account for account in back if self._carry_friend(merge, account, kept, gone)]
        customer = self._customers.load([kept])[kept]
        for channel, word in customer.consents.items():
            # A refusal counts for both, for nobody knows who spoke; an agreement for the one whose number it was given to.
            if word.is_opted_out and word.at > merge.at:
                self._customers.carry_consent(kept, gone, channel)
            refused = merge.refusals.get(channel)
            if refused and not word.is_opted_out and word.at <= merge.at:  # the agreement of the one who went stood in its place
                self._customers.refuse_again(kept, channel, *refused.split(" ", 1))
        self._take_back(customer, merge)
        for tag_id in merge.tags:
            self._tags.remove(kept, tag_id, f"un{_by(merge)}")
        self._part(merge)
        for cid in (kept, gone):
            self._orders.recount(cid)
        # Last, because it shows that there is something to take back.
        text = f'DELETE FROM "{settings().core_table}" WHERE pk=? AND sk=?'
        for item in (_item(merge), _hint(merge)):
            self._database.execute([Statement(text, (item["pk"], item["sk"]))])
        return Parted(tuple(sorted(returned)), tuple(sorted(set(merge.accounts) - set(returned))))

    def _is_his_own(self, merge: Merge, account: str) -> bool:
        """Say whether a friend has proven since the merge that he is the one who was kept (identity_links)."""
        key = (person_key(merge.kept), f"LINK#{account}")
        link = self._database.get_many(settings().core_table, [key]).get(key)
        return link is not None and merge.accounts[account] in ("", link["line_user_id"]) and link["linked_at"] > merge.at

    def _part(self, merge: Merge) -> None:
        """Take the marks back, the one of `gone` last: his former numbers are his again, but for those that have left since."""
        former = [Cid(number) for number in merge.numbers if number != merge.gone]
        marked = self._customers.load(former)
        for number in former:
            is_his = marked[number].merged_into in (merge.kept, merge.gone)
            (self._people.mark_merged if is_his else self._people.unmark_merged)(number, merge.gone)
        for number in (*former, merge.gone):
            self._people.unmark_merged(number, merge.kept)

    def _take_back(self, customer: Customer, merge: Merge) -> None:
        profile = customer.profile
        values: dict[str, Any] = {name: None for name, value in merge.filled.items() if str(getattr(profile, name)) == value}
        taken = {name: None for name, value in merge.attributes.items() if profile.attributes.get(name, _NOTHING) == value}
        if taken:
            values["attributes"] = taken
        if values:
            self._customers.change(customer.cid, values)

    def _merge_of(self, kept: Cid, gone: Cid) -> Merge | None:
        key = (person_key(kept), f"MRG#{gone:012d}")
        item = self._database.get_many(settings().core_table, [key]).get(key)
        return _merge(item) if item else None


_NOTHING = object()


def _by(merge: Merge) -> str:
    return f"merge {merge.gone} {merge.at}"


def _denied_key(first: int, second: int) -> tuple[str, str]:
    return person_key(Cid(first)), f"NOT#{second:012d}"


def _item(merge: Merge) -> Item:
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(merge).items()}
    return {"pk": person_key(merge.kept), "sk": f"MRG#{merge.gone:012d}", **values}


def _hint(merge: Merge) -> Item:
    return {"pk": person_key(merge.gone), "sk": f"INTO#{merge.kept:012d}", "kept": int(merge.kept)}


def _merge(item: Mapping[str, Any]) -> Merge:
    values: Iterable[str] = Merge.__dataclass_fields__
    made = Merge(**{name: item[name] for name in values if name in item})
    # Former merges have noted the accounts alone.
    accounts = made.accounts if isinstance(made.accounts, Mapping) else dict.fromkeys(made.accounts, "")
    return replace(made, numbers=tuple(made.numbers), tags=tuple(made.tags), accounts=accounts)

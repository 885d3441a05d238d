"""Identities and what they point to."""

from __future__ import annotations

from collections.abc import Mapping

from chalicelib.kernel.ids import AccountKey, Cid, LineUserId

# Over so many partitions of the engine table the audience of a campaign is spread.
AUDIENCE_SHARDS = 8


def line_identity(account: AccountKey, line_user_id: LineUserId) -> str:
    """Return the identity of a friend of one LINE account."""
    return f"line#{account}#{line_user_id}"


def member_identity(member_no: str) -> str:
    """Return the identity of a customer by the company's own member number."""
    return f"member#{member_no}"


def person_key(cid: Cid) -> str:
    """Return the partition key under which every table keeps a person's items."""
    return f"C#{cid}"


def cid_of(pk: str) -> Cid:
    """Return the person's number in a partition key made by `person_key`."""
    return Cid(int(pk[2:]))


def audience_shard(campaign_id: str, shard: int) -> str:
    """Return the partition key of one part of a campaign's audience."""
    return f"CMP#{campaign_id}#{shard}"


def audience_key(campaign_id: str, cid: Cid) -> tuple[str, str]:
    """Return where a person stands in a campaign's audience."""
    return audience_shard(campaign_id, cid % AUDIENCE_SHARDS), f"{cid:012d}"


def end_of(cid: Cid, merged: Mapping[Cid, Cid | None]) -> Cid:
    """Return whom a number has become in the end; of numbers that lead to each other the least."""
    way = [cid]
    while into := merged.get(way[-1]):
        if into in way:
            return min(way[way.index(into) :])
        way.append(into)
    return way[-1]

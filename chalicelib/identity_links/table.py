"""Nonces in the engine table (`NON#nonce`), links beside the person in the core table (`C#cid` / `LINK#account`)."""

from __future__ import annotations

from pynamodb.attributes import NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import UpdateError

from chalicelib.identity_links.model import IdentityLink, LinkRequest
from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.kernel.signing import fingerprint
from chalicelib.people.model import person_key
from chalicelib.storage import CoreItem, EngineItem, is_lost


class NonceItem(EngineItem):
    """A link request; the nonce itself is not kept, its fingerprint is. used_by: the event that consumed it."""

    account = UnicodeAttribute()
    cid = NumberAttribute()
    expires_at = UnicodeAttribute()
    used_by = UnicodeAttribute(default="")
    ttl = NumberAttribute()


class LinkItem(CoreItem):
    """A link."""

    line_user_id = UnicodeAttribute()
    former_cid = NumberAttribute()
    linked_at = UnicodeAttribute()


def put_request(request: LinkRequest) -> None:
    """Keep a link request."""
    NonceItem(
        f"NON#{fingerprint(request.nonce)}",
        "#",
        account=request.account,
        cid=request.cid,
        expires_at=to_text(request.expires_at),
        ttl=int(request.expires_at.timestamp()) + 86_400,
    ).save()


def consume(nonce: str, account: str, event_id: str, now_text: str) -> Cid | None:
    """Use a nonce up for one event; return the customer, None when it is unknown, expired, of another account or used.

    The same event may use it again: it is the same link, told twice.
    """
    item = NonceItem(f"NON#{fingerprint(nonce)}", "#")
    free = (NonceItem.used_by == "") & (NonceItem.expires_at > now_text)
    try:
        item.update(
            actions=[NonceItem.used_by.set(event_id)],
            condition=(NonceItem.account == account) & (free | (NonceItem.used_by == event_id)),
        )
    except UpdateError as error:
        if is_lost(error):
            return None
        raise
    return Cid(int(item.cid))


def put_link(link: IdentityLink) -> None:
    """Write a link; the same when repeated."""
    LinkItem(
        person_key(link.cid),
        f"LINK#{link.account}",
        line_user_id=link.line_user_id,
        former_cid=link.former_cid,
        linked_at=to_text(link.linked_at),
    ).save()


def get_link(cid: Cid, account: AccountKey) -> IdentityLink | None:
    """Return a person's link on an account."""
    try:
        item = LinkItem.get(person_key(cid), f"LINK#{account}", consistent_read=True)
    except LinkItem.DoesNotExist:
        return None
    return IdentityLink(account, LineUserId(item.line_user_id), cid, Cid(int(item.former_cid)), from_text(item.linked_at))


def delete_link(cid: Cid, account: AccountKey) -> None:
    """Forget a link."""
    LinkItem(person_key(cid), f"LINK#{account}").delete()

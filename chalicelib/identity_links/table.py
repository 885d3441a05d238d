"""Nonces in the engine table (`NON#nonce`), links beside the person in the core table (`C#cid` / `LINK#account`)."""

from __future__ import annotations

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.exceptions import DeleteError, UpdateError
from pynamodb.expressions.condition import Condition

from chalicelib.identity_links.model import IdentityLink, LinkRequest, LinkState
from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.ids import AccountKey, Cid, LineUserId
from chalicelib.kernel.signing import fingerprint
from chalicelib.people.model import person_key
from chalicelib.storage import CoreItem, EngineItem, is_lost, saved


class NonceItem(EngineItem):
    """A link request; the nonce itself is not kept, its fingerprint is. used_by: the event that consumed it; done: to its end."""

    account = UnicodeAttribute()
    cid = NumberAttribute()
    expires_at = UnicodeAttribute()
    used_by = UnicodeAttribute(default="")
    done = BooleanAttribute(default=False)
    ttl = NumberAttribute()


class LinkItem(CoreItem):
    """A link."""

    line_user_id = UnicodeAttribute()
    former_cid = NumberAttribute()
    linked_at = UnicodeAttribute()
    state = UnicodeAttribute(default=LinkState.MADE)


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


def consume(nonce: str, account: str, event_id: str, at: str) -> tuple[Cid, bool] | None:
    """Use a nonce up for one event; return the customer and whether the event has been worked through before.

    None when the nonce is unknown, expired at the time of the event, of another account or used. The same event may use it
    again: it is the same link, told twice.
    """
    item = NonceItem(f"NON#{fingerprint(nonce)}", "#")
    free = (NonceItem.used_by == "") & (NonceItem.expires_at > at)
    try:
        item.update(
            actions=[NonceItem.used_by.set(event_id)],
            condition=(NonceItem.account == account) & (free | (NonceItem.used_by == event_id)),
        )
    except UpdateError as error:
        if is_lost(error):
            return None
        raise
    return Cid(int(item.cid)), bool(item.done)


def settle(nonce: str) -> None:
    """Say that the event which used a nonce has been worked through."""
    NonceItem(f"NON#{fingerprint(nonce)}", "#").update(actions=[NonceItem.done.set(True)])


def put_link(link: IdentityLink) -> bool:
    """Write a link; the same when repeated. Return False when the person has another one."""
    item = LinkItem(
        person_key(link.cid),
        f"LINK#{link.account}",
        line_user_id=link.line_user_id,
        former_cid=link.former_cid,
        linked_at=to_text(link.linked_at),
        state=link.state,
    )
    return saved(item, LinkItem.pk.does_not_exist() | _is(link))


def _is(link: IdentityLink) -> Condition:
    same: Condition = (LinkItem.line_user_id == link.line_user_id) & (LinkItem.former_cid == int(link.former_cid))
    return same


def get_link(cid: Cid, account: AccountKey) -> IdentityLink | None:
    """Return a person's link on an account."""
    try:
        item = LinkItem.get(person_key(cid), f"LINK#{account}", consistent_read=True)
    except LinkItem.DoesNotExist:
        return None
    return IdentityLink(
        account, LineUserId(item.line_user_id), cid, Cid(int(item.former_cid)), from_text(item.linked_at), LinkState(item.state)
    )


def mark_made(link: IdentityLink) -> None:
    """Say that a link is whole; nothing when it is another one by now."""
    try:
        LinkItem(person_key(link.cid), f"LINK#{link.account}").update(
            actions=[LinkItem.state.set(LinkState.MADE)], condition=_is(link)
        )
    except UpdateError as error:
        if not is_lost(error):
            raise


def delete_link(link: IdentityLink) -> None:
    """Forget a link; another one of the same person stays."""
    try:
        LinkItem(person_key(link.cid), f"LINK#{link.account}").delete(condition=_is(link))
    except DeleteError as error:
        if not is_lost(error):
            raise

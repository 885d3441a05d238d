"""Link a friend to a customer, by LINE's account-link flow alone, and undo it at any time.

1. invite: LINE gives a link token for the friend; he gets a button to the member site's own sign-in with it.
2. request: the site has signed the member in and says so (API call or signed redirect); a nonce is made, after sign-in only.
3. LINE asks the friend, compares him with the link token's owner, and tells us the nonce with the friend's id.
4. complete: the nonce is used up once, and friend and customer become one person.
Nobody's id is ever taken from a browser: the member comes from the site's signature, the friend from LINE's.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from chalicelib.customers.model import DeliveryChannel
from chalicelib.customers.service import Customers
from chalicelib.friends.model import Friend
from chalicelib.friends.service import Friends
from chalicelib.identity_links import table
from chalicelib.identity_links.model import (
    NONCE_LIFE,
    IdentityLink,
    LinkRequest,
    LinkState,
    is_link_token,
    new_nonce,
    redirect_payload,
)
from chalicelib.kernel.clock import Clock, to_text
from chalicelib.kernel.errors import DeniedError, InvalidError, NotFoundError, TemporaryError
from chalicelib.kernel.facts import Fact, IdentityLinked, IdentityUnlinked, LinkAnswered
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.people.service import People
from chalicelib.ports.line import Line
from chalicelib.ports.secrets import Secrets

MEMBER_SITE_SECRET = "member-site"
_IN_FLIGHT = timedelta(minutes=5)  # longer than a worker lives


class IdentityLinks:
    """Identity links."""

    def __init__(
        self,
        people: People,
        friends: Friends,
        customers: Customers,
        accounts: LineAccounts,
        line: Line,
        secrets: Secrets,
        clock: Clock,
        line_access_url: str,
    ) -> None:
        self._people = people
        self._friends = friends
        self._customers = customers
        self._accounts = accounts
        self._line = line
        self._secrets = secrets
        self._clock = clock
        self._line_access_url = line_access_url

    def invitation(self, account: AccountKey, friend: Friend) -> str:
        """Return the address at which this friend proves his member account, good for ten minutes.

        Raises InvalidError(`link.no_member_site`).
        """
        page = self._accounts.get(account).member_login_url
        if not page:
            raise InvalidError("link.no_member_site", account=account)
        token = self._line.link_token(self._accounts.credentials(account), friend.line_user_id)
        parts = urlsplit(page)
        query = "&".join(filter(None, [parts.query, urlencode({"linkToken": token, "account": account})]))
        return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))

    def request(self, account: str, member_no: str, link_token: str) -> str:
        """Return LINE's address to send a signed-in member's browser to.

        Raises NotFoundError(`customer.unknown`, `account.unknown`) and InvalidError(`link.token_malformed`).
        """
        key = self._accounts.get(account).key
        if not is_link_token(link_token):
            raise InvalidError("link.token_malformed")
        customer = self._customers.by_member_no(member_no)
        request = LinkRequest(new_nonce(), key, customer.cid, self._clock.now() + NONCE_LIFE)
        table.put_request(request)
        query = f"linkToken={quote(link_token, safe='')}&nonce={quote(request.nonce, safe='')}"
        return f"{self._line_access_url}/dialog/bot/accountLink?{query}"

    def request_signed(self, account: str, member_no: str, link_token: str, expires: str, signature: str) -> str:
        """Return LINE's address for a browser that comes with the member site's signature.

        Raises DeniedError(`link.signature_refused`, `link.expired`) and what `request` raises.
        """
        secret = self._secrets.get(MEMBER_SITE_SECRET)
        now = int(self._clock.now().timestamp())
        if secret is None or not signature.isascii() or not expires.isascii() or not expires.isdigit() or len(expires) > 12:
            raise DeniedError("link.signature_refused")
        payload = redirect_payload(account, member_no, link_token, int(expires))
        expected = hmac.new(str(secret["key"]).encode(), payload.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise DeniedError("link.signature_refused")
        if not now <= int(expires) <= now + 600:
            raise DeniedError("link.expired")
        return self.request(account, member_no, link_token)

    def complete(self, answer: LinkAnswered) -> list[Fact]:
        """Link the friend that LINE vouches for with the customer who holds the nonce; nothing when the nonce is no good."""
        friend = self._friends.get(answer.account, answer.line_user_id)
        used = table.consume(answer.nonce, answer.account, answer.fact_id, to_text(answer.at))
        if used is None:
            return []
        try:
            cid = self._customers.get(used[0]).cid
        except NotFoundError:  # erased since he asked for it
            return []
        link = self._link(cid, answer.account)
        if used[1]:
            # Told again after it was done: he may have unlinked himself since, and that stays.
            return self._linked(link, answer) if link and link.line_user_id == answer.line_user_id else []
        if link and link.line_user_id != answer.line_user_id:
            # The member has proven himself anew with another LINE: the newest proof counts.
            self._wait_for(link)
            self.undo(link)
        if friend.cid != cid:
            link = self._join(friend, cid, answer)
        elif link:
            # Linked by an earlier try that may have stopped before its last write, or by an import.
            self._friends.move(replace(friend, cid=link.former_cid), cid)
        else:
            return []
        self._customers.carry_consent(link.former_cid, cid, DeliveryChannel.LINE)
        table.mark_made(link)
        table.settle(answer.nonce)
        return self._linked(link, answer)

    def _wait_for(self, link: IdentityLink) -> None:
        # Somebody is making this link at this moment, and would go on with it after it was undone.
        if link.state is LinkState.MAKING and self._clock.now() - link.linked_at < _IN_FLIGHT:
            raise TemporaryError("another friend is being linked with this member")

    def _join(self, friend: Friend, cid: Cid, answer: LinkAnswered) -> IdentityLink:
        # The member whom he leaves: by the link, or by the mark that an undoing which stopped half-way has left.
        others = {friend.cid, self._customers.load([friend.cid])[friend.cid].merged_into} - {None, cid}
        for other in others:
            earlier = self._link(Cid(other or 0), answer.account)
            if earlier and earlier.line_user_id == answer.line_user_id:
                self.undo(earlier)
                friend = self._friends.get(answer.account, answer.line_user_id)
        link = IdentityLink(answer.account, answer.line_user_id, cid, friend.cid, self._clock.now(), LinkState.MAKING)
        if not table.put_link(link):
            raise TemporaryError("the member was linked with another friend at the same moment")
        self._people.mark_merged(friend.cid, cid)
        self._friends.move(friend, cid)
        return link

    def _link(self, cid: Cid, account: AccountKey) -> IdentityLink | None:
        link = table.get_link(cid, account)
        if link:
            return link
        friend = self._friends.of(cid, account)
        if friend is None or not self._customers.load([cid])[cid].profile.member_no:
            return None
        # He came with his customer from another system: with a number to go back to, it is a link like any other.
        link = IdentityLink(account, friend.line_user_id, cid, self._people.new_number(), friend.first_seen_at, LinkState.MADE)
        return link if table.put_link(link) else table.get_link(cid, account)

    def _linked(self, link: IdentityLink, answer: LinkAnswered) -> list[Fact]:
        return [
            IdentityLinked(
                fact_id=answer.fact_id,
                cid=link.cid,
                at=answer.at,
                account=link.account,
                line_user_id=link.line_user_id,
                reply=answer.reply,
                former_cid=link.former_cid,
            )
        ]

    def undo(self, link: IdentityLink) -> list[Fact]:
        """Make friend and customer two people again."""
        friend = self._friends.find(link.account, link.line_user_id)
        if friend and friend.cid in (link.cid, link.former_cid):
            # Also when he is back already: an earlier try may have stopped before it took him off the member.
            self._friends.move(replace(friend, cid=link.cid), link.former_cid)
        self._customers.carry_consent(link.cid, link.former_cid, DeliveryChannel.LINE)
        self._people.unmark_merged(link.former_cid, link.cid)
        table.delete_link(link)
        now = self._clock.now()
        return [
            IdentityUnlinked(
                fact_id=f"unlink|{link.cid}|{link.account}|{to_text(now)}",
                cid=link.former_cid,
                at=now,
                account=link.account,
                line_user_id=link.line_user_id,
                customer_cid=link.cid,
            )
        ]

    def of(self, cid: Cid, account: AccountKey) -> IdentityLink:
        """Return a person's link on an account. Raises NotFoundError(`link.none`)."""
        link = self._link(cid, account)
        if link is None:
            raise NotFoundError("link.none")
        return link

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
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from chalicelib.customers.service import Customers
from chalicelib.friends.model import Friend
from chalicelib.friends.service import Friends
from chalicelib.identity_links import table
from chalicelib.identity_links.model import (
    NONCE_LIFE,
    IdentityLink,
    LinkRequest,
    is_link_token,
    new_nonce,
    redirect_payload,
)
from chalicelib.kernel.clock import Clock, to_text
from chalicelib.kernel.errors import DeniedError, InvalidError, NotFoundError
from chalicelib.kernel.facts import Fact, IdentityLinked, IdentityUnlinked, LinkAnswered
from chalicelib.kernel.ids import AccountKey, Cid
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.people.service import People
from chalicelib.ports.line import Line
from chalicelib.ports.secrets import Secrets

MEMBER_SITE_SECRET = "member-site"


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
        if secret is None or not expires.isascii() or not expires.isdigit():
            raise DeniedError("link.signature_refused")
        payload = redirect_payload(account, member_no, link_token, int(expires))
        expected = hmac.new(str(secret["key"]).encode(), payload.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            raise DeniedError("link.signature_refused")
        if not now <= int(expires) <= now + 600:
            raise DeniedError("link.expired")
        return self.request(account, member_no, link_token)

    def complete(self, answer: LinkAnswered) -> list[Fact]:
        """Link the friend that LINE vouches for with the customer who holds the nonce; nothing when the nonce is no good."""
        friend = self._friends.get(answer.account, answer.line_user_id)
        cid = table.consume(answer.nonce, answer.account, answer.fact_id, to_text(self._clock.now()))
        if cid is None:
            return []
        cid = self._customers.get(cid).cid
        former = table.get_link(cid, answer.account)
        if former and former.line_user_id != answer.line_user_id:
            # The member has proven himself anew with another LINE: the newest proof counts.
            self.undo(former)
        if friend.cid == cid:
            if former is None:
                return []
            # Linked by an earlier try that may have stopped before its last write.
            self._friends.move(replace(friend, cid=former.former_cid), cid)
            return self._linked(former, answer)
        earlier = table.get_link(friend.cid, answer.account)
        if earlier and earlier.line_user_id == answer.line_user_id:
            self.undo(earlier)
            friend = self._friends.get(answer.account, answer.line_user_id)
        link = IdentityLink(answer.account, answer.line_user_id, cid, friend.cid, answer.at)
        table.put_link(link)
        self._people.mark_merged(friend.cid, cid)
        self._friends.move(friend, cid)
        return self._linked(link, answer)

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
        if friend and friend.cid == link.cid:
            self._friends.move(friend, link.former_cid)
        self._people.unmark_merged(link.former_cid, link.cid)
        table.delete_link(link.cid, link.account)
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
        link = table.get_link(cid, account)
        if link is None:
            raise NotFoundError("link.none")
        return link

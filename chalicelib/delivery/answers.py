"""Short answers to what a friend has just tapped: by his own reply token, free, or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chalicelib.delivery.ledger import Ledger
from chalicelib.friends.service import Friends
from chalicelib.identity_links.service import IdentityLinks
from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import DomainError, NotFoundError, PermanentError, TemporaryError
from chalicelib.kernel.facts import Fact, LineFact
from chalicelib.line_accounts.service import LineAccounts
from chalicelib.observability import info
from chalicelib.ports.line import Line

_TEXTS = {
    "linked": "会員アカウントとの連携が完了しました。連携はいつでも解除できます。",
    "link_failed": "会員アカウントとの連携ができませんでした。お手数ですが、もう一度お試しください。",
    "unlinked": "会員アカウントとの連携を解除しました。",
    "not_linked": "このLINEは会員アカウントと連携されていません。",
    "stopped": "お知らせの配信を停止しました。いつでも再開できます。",
    "restarted": "お知らせの配信を再開しました。",
    "no_member_site": "ただいま会員連携をご利用いただけません。",
}


class Answers:
    """Answers at once. A reply token works once, so an answer that is told twice arrives once."""

    def __init__(
        self, ledger: Ledger, line: Line, accounts: LineAccounts, links: IdentityLinks, friends: Friends, clock: Clock
    ) -> None:
        self._ledger = ledger
        self._line = line
        self._accounts = accounts
        self._links = links
        self._friends = friends
        self._clock = clock

    def confirm(self, fact: LineFact, word: str) -> None:
        """Say what has been done."""
        self._answer(fact, word, lambda: [{"type": "text", "text": _TEXTS[word]}])

    def invite(self, fact: LineFact) -> None:
        """Offer the way to the member site's sign-in; what will be linked and that it can be undone is said (LINE wants both)."""

        def messages() -> list[dict[str, Any]]:
            try:
                url = self._links.invitation(fact.account, self._friends.get(fact.account, fact.line_user_id))
            except DomainError:
                return [{"type": "text", "text": _TEXTS["no_member_site"]}]
            text = "このLINEと会員アカウントを連携します。連携はいつでも解除できます。"
            action = {"type": "uri", "label": "会員ログインへ進む", "uri": url}
            template = {"type": "buttons", "text": text, "actions": [action]}
            return [{"type": "template", "altText": "会員アカウントとの連携", "template": template}]

        self._answer(fact, "invite", messages)

    def unlink(self, fact: LineFact) -> list[Fact]:
        """Undo the person's link on this account, on his word alone."""
        try:
            facts = self._links.undo(self._links.of(fact.cid, fact.account))
        except NotFoundError:
            self.confirm(fact, "not_linked")
            return []
        self.confirm(fact, "unlinked")
        return facts

    def _answer(self, fact: LineFact, word: str, messages: Callable[[], list[dict[str, Any]]]) -> None:
        if fact.reply is None:
            return
        key = f"answer|{fact.fact_id}|{word}"
        if self._ledger.begun_call(key):
            return
        try:
            body = {"replyToken": fact.reply.token, "messages": messages()}
            ours, _, _ = self._ledger.begin_call(key, self._clock.now())
            if ours:
                self._line.send(self._accounts.credentials(fact.account), "reply", body)
        except PermanentError as error:
            info("an answer came too late", reason=error.reason)
        except TemporaryError as error:
            if not error.maybe_done:
                self._ledger.release_call(key)
            raise

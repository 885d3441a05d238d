"""A LINE account and its secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from chalicelib.kernel.clock import from_text, to_text
from chalicelib.kernel.errors import InvalidError
from chalicelib.kernel.ids import AccountKey
from chalicelib.ports.line import LineCredentials
from chalicelib.ports.line_setup import LineSetup

# How long webhooks signed with the former secret are still taken after a change: LINE switches at once, our caches and
# requests under way do not.
PREVIOUS_SECRET_LIFE = timedelta(hours=24)
_KEY = re.compile(r"[a-z][a-z0-9-]{1,19}\Z")


@dataclass(frozen=True, slots=True)
class LineAccount:
    """One Messaging API account. member_login_url: where a person proves his member account (identity link)."""

    key: AccountKey
    name: str
    channel_id: str
    bot_user_id: str
    basic_id: str
    created_at: datetime
    member_login_url: str = ""
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class AccountSecret:
    """What Secrets Manager keeps for an account."""

    channel_id: str
    bot_user_id: str
    channel_secret: str = field(repr=False)
    previous_secret: str = field(default="", repr=False)
    previous_until: datetime | None = None

    def accepted(self, now: datetime) -> tuple[str, ...]:
        """Return the secrets that may have signed a webhook that arrives now."""
        if self.previous_secret and self.previous_until and now < self.previous_until:
            return self.channel_secret, self.previous_secret
        return (self.channel_secret,)

    def credentials(self) -> LineCredentials:
        """Return what signs us in at LINE."""
        return LineCredentials(self.channel_id, self.channel_secret)

    def rotated(self, channel_secret: str, now: datetime) -> AccountSecret:
        """Return the secret after a change; the present one stays good for a day."""
        if channel_secret == self.channel_secret:
            return self
        return AccountSecret(self.channel_id, self.bot_user_id, channel_secret, self.channel_secret, now + PREVIOUS_SECRET_LIFE)


def secret_name(key: str) -> str:
    """Return the name under which Secrets Manager keeps an account's secret, below the stage's prefix."""
    return f"line/{key}"


def secret_to_json(secret: AccountSecret) -> dict[str, Any]:
    """Return the form that Secrets Manager keeps."""
    return {
        "channel_id": secret.channel_id,
        "bot_user_id": secret.bot_user_id,
        "channel_secret": secret.channel_secret,
        "previous_secret": secret.previous_secret,
        "previous_until": to_text(secret.previous_until) if secret.previous_until else "",
    }


def secret_from_json(data: Mapping[str, Any]) -> AccountSecret:
    """Return the secret in the form that Secrets Manager keeps."""
    until = data.get("previous_until")
    return AccountSecret(
        channel_id=data["channel_id"],
        bot_user_id=data.get("bot_user_id", ""),
        channel_secret=data["channel_secret"],
        previous_secret=data.get("previous_secret", ""),
        previous_until=from_text(until) if until else None,
    )


def check_key(key: str) -> AccountKey:
    """Return `key` when it can name an account in an address. Raises InvalidError(`account.key_malformed`)."""
    if not _KEY.match(key):
        raise InvalidError("account.key_malformed", given=key)
    return AccountKey(key)


def is_key(key: str) -> bool:
    """Say whether `key` can name an account: a cheap filter at the door before any look-up."""
    return bool(_KEY.match(key))


def setup_problems(setup: LineSetup, webhook_url: str) -> list[str]:
    """Return what is wrong with an account's settings at LINE, each in a sentence that says what to do."""
    found = []
    if setup.webhook_url != webhook_url:
        found.append(f"Webhook URLを {webhook_url} に変更してください。 / Set the webhook URL to {webhook_url}.")
    if not setup.webhook_active:
        found.append("「Webhookの利用」をオンにしてください。 / Switch on the use of webhooks.")
    elif not setup.webhook_answers:
        found.append(
            f"Webhookのテストが失敗しました（{setup.webhook_reason}）。 / The webhook test failed ({setup.webhook_reason})."
        )
    if setup.chat_mode == "chat":
        found.append(
            "チャットがオンの間は、応答モードをWebhookと併用に設定してください。 / Chat is on: let webhooks answer beside it."
        )
    if setup.quota is not None and setup.used >= setup.quota:
        found.append(f"今月の配信数（{setup.quota}通）を使い切りました。 / This month's {setup.quota} messages are used up.")
    return found

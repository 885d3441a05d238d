"""Connect LINE accounts and hand out what signs us in."""

from __future__ import annotations

from dataclasses import replace

from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import ConflictError, InvalidError, NotFoundError, PermanentError
from chalicelib.line_accounts import table
from chalicelib.line_accounts.model import (
    AccountSecret,
    LineAccount,
    check_key,
    is_key,
    secret_from_json,
    secret_name,
    secret_to_json,
)
from chalicelib.ports.line import Line, LineCredentials
from chalicelib.ports.secrets import Secrets


class LineAccounts:
    """The LINE accounts of this company."""

    def __init__(self, line: Line, secrets: Secrets, clock: Clock) -> None:
        self._line = line
        self._secrets = secrets
        self._clock = clock

    def connect(self, key: str, name: str, channel_id: str, channel_secret: str, member_login_url: str = "") -> LineAccount:
        """Connect an account after LINE has accepted its credentials.

        Raises InvalidError(`account.credentials_refused`) and ConflictError(`account.key_taken`).
        """
        account_key = check_key(key)
        existing = table.get(key)
        if existing and existing.channel_id != channel_id:
            raise ConflictError("account.key_taken", key=key)
        try:
            info = self._line.bot_info(LineCredentials(channel_id, channel_secret))
        except PermanentError as error:
            raise InvalidError("account.credentials_refused", reason=error.reason) from error
        # The secret first: an account without one would refuse every webhook, a secret without an account harms nobody.
        self._store(key, AccountSecret(channel_id, info.user_id, channel_secret))
        account = LineAccount(
            key=account_key,
            name=name,
            channel_id=channel_id,
            bot_user_id=info.user_id,
            basic_id=info.basic_id,
            created_at=existing.created_at if existing else self._clock.now(),
            member_login_url=member_login_url,
        )
        if not table.save(account, new=existing is None):
            raise ConflictError("account.key_taken", key=key)
        return account

    def _store(self, key: str, secret: AccountSecret) -> None:
        data = self._secrets.get(secret_name(key))
        known = secret_from_json(data) if data else None
        # Of another channel: left by a connection that died before the account was written.
        if known and known.channel_id == secret.channel_id:
            secret = replace(known, bot_user_id=secret.bot_user_id).rotated(secret.channel_secret, self._clock.now())
        self._secrets.put(secret_name(key), secret_to_json(secret))

    def rotate_secret(self, key: str, channel_secret: str) -> LineAccount:
        """Take the secret that LINE has reissued; the former one is accepted for a day."""
        account = self.get(key)
        return self.connect(key, account.name, account.channel_id, channel_secret, account.member_login_url)

    def get(self, key: str) -> LineAccount:
        """Return an account. Raises NotFoundError(`account.unknown`)."""
        account = table.get(key) if is_key(key) else None
        if account is None:
            raise NotFoundError("account.unknown", key=key)
        return account

    def everyone(self) -> list[LineAccount]:
        """Return all accounts by key."""
        return table.everyone()

    def credentials(self, key: str) -> LineCredentials:
        """Return what signs us in as this account. Raises NotFoundError(`account.unknown`)."""
        return self.secret(key).credentials()

    def secret(self, key: str) -> AccountSecret:
        """Return an account's secret. Raises NotFoundError(`account.unknown`)."""
        data = self._secrets.get(secret_name(key))
        if data is None:
            raise NotFoundError("account.unknown", key=key)
        return secret_from_json(data)

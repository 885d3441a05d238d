"""Webhooks out, a delivery channel of its own: signed, told at least once under one key, given up after a day.

Config item `HOOK` / id; the secret lies in Secrets Manager under `webhook/{id}`. A call that is not answered stays open in its
frozen batch and holds nobody up: the reconciler makes it again.
"""

from __future__ import annotations

import re
import secrets as random
from dataclasses import dataclass
from datetime import datetime, timedelta

from chalicelib.delivery.model import Call
from chalicelib.kernel.clock import Clock
from chalicelib.kernel.errors import InvalidError, NotFoundError, PermanentError, TemporaryError
from chalicelib.kernel.signing import timed_signature
from chalicelib.messages.model import canonical
from chalicelib.observability import count, warning
from chalicelib.ports.database import Database, Item, Statement
from chalicelib.ports.hooks import HookCaller
from chalicelib.ports.secrets import Secrets
from chalicelib.settings import settings

_PK = "HOOK"
_ID = re.compile(r"[a-z][a-z0-9_-]{0,39}\Z")
_URL = re.compile(r"https://[^\s/@?#]+([/?]\S*)?\Z")
_LOCAL_URL = re.compile(r"http://(127\.0\.0\.1|localhost)(:\d+)?(/\S*)?\Z")
GIVE_UP = timedelta(hours=24)
# After so many calls in a row without an answer the rest of them would only wait for the same silence.
_MISSES = 3
_REST = timedelta(minutes=1)
_LONGEST_REST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Hook:
    """A place outside that wants to be told. url: https."""

    hook_id: str
    name: str
    url: str
    is_enabled: bool = True


class Hooks:
    """Keeps webhooks and calls them."""

    def __init__(self, database: Database, secrets: Secrets, caller: HookCaller, clock: Clock) -> None:
        self._database = database
        self._secrets = secrets
        self._caller = caller
        self._clock = clock
        self._looked_up: tuple[str, datetime, Hook | None] | None = None
        self._misses: dict[str, int] = {}
        self._rests: dict[str, datetime] = {}

    def everyone(self) -> list[Hook]:
        """Return all webhooks by id."""
        return [_hook(item) for item in self._database.query(settings().config_table, _PK)]

    def get(self, hook_id: str) -> Hook:
        """Return a webhook. Raises NotFoundError(`webhook.unknown`)."""
        hook = self._find(hook_id)
        if hook is None:
            raise NotFoundError("webhook.unknown", hook_id=hook_id)
        return hook

    def save(self, hook: Hook) -> str:
        """Create or change a webhook; return the secret of a new one, which is shown this once, else "". Raises InvalidError."""
        if not _ID.match(hook.hook_id):
            raise InvalidError("webhook.id_malformed")
        local = settings().line_api_url.startswith("http://")  # allowed by settings for this machine alone
        if len(hook.url) > 2000 or not (_URL.match(hook.url) or (local and _LOCAL_URL.match(hook.url))):
            raise InvalidError("webhook.url_malformed")
        secret = ""
        if self._find(hook.hook_id) is None:
            secret = f"whs_{random.token_urlsafe(32)}"
            # Before the webhook: nobody is called without a signature, and who died in between makes another secret.
            self._secrets.put(_secret_of(hook.hook_id), {"secret": secret})
        item = {"pk": _PK, "sk": hook.hook_id, "name": hook.name, "url": hook.url, "is_enabled": hook.is_enabled}
        self._database.put_many(settings().config_table, [item])
        return secret

    def delete(self, hook_id: str) -> None:
        """Forget a webhook; calls to it that are still open fail. Harmless when there is none."""
        statement = Statement(f'DELETE FROM "{settings().config_table}" WHERE pk=? AND sk=?', (_PK, hook_id))
        self._database.execute([statement])
        self._secrets.delete(_secret_of(hook_id))

    def call(self, call: Call, frozen_at: datetime, batch_now: datetime) -> str:
        """Make a frozen call; return `accepted …`, `failed …`, or "" when it has to be made again later.

        batch_now: the moment of the batch's try; the webhook is looked up once for all of its calls.
        """
        hook_id = str(call.body["hook"])
        hook = self._at(hook_id, batch_now)
        kept = self._secrets.get(_secret_of(hook_id)) if hook else None
        if hook is None or kept is None:
            return "failed webhook: deleted"
        if not hook.is_enabled:
            return "failed webhook: switched off"
        now = self._clock.now()
        if now - frozen_at >= GIVE_UP:
            warning("a webhook was given up after a day", hook_id=hook_id, key=call.key)
            count("WebhookGivenUp")
            return "failed webhook: no answer for 24 hours"
        if now < self._rests.get(hook_id, now):
            return ""
        return self._post(hook, call, str(kept["secret"]), now)

    def _post(self, hook: Hook, call: Call, secret: str, now: datetime) -> str:
        content = canonical(call.body["payload"]).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": call.key, **signature(secret, content, now)}
        try:
            status = self._caller.post(hook.url, content, headers)
        except TemporaryError as error:
            self._missed(hook, error, now)
            return ""
        except PermanentError as error:
            warning("a webhook refused a call", hook_id=hook.hook_id, reason=error.reason)
            return f"failed {error.reason}"
        self._misses.pop(hook.hook_id, None)
        return f"accepted {status}"

    def _missed(self, hook: Hook, error: TemporaryError, now: datetime) -> None:
        warning("a webhook did not take a call yet", hook_id=hook.hook_id, reason=error.reason)
        count("WebhookMissed")
        misses = self._misses[hook.hook_id] = self._misses.get(hook.hook_id, 0) + 1
        if error.retry_after_seconds:
            self._rests[hook.hook_id] = now + min(timedelta(seconds=error.retry_after_seconds), _LONGEST_REST)
        elif misses >= _MISSES:
            self._rests[hook.hook_id] = now + _REST

    def _at(self, hook_id: str, moment: datetime) -> Hook | None:
        known = self._looked_up
        if known is None or known[:2] != (hook_id, moment):
            known = self._looked_up = (hook_id, moment, self._find(hook_id))
        return known[2]

    def _find(self, hook_id: str) -> Hook | None:
        item = self._database.get_many(settings().config_table, [(_PK, hook_id)]).get((_PK, hook_id)) if hook_id else None
        return _hook(item) if item else None


def signature(secret: str, content: bytes, now: datetime) -> dict[str, str]:
    """Return the headers that prove a call and its moment: hex(HMAC-SHA256(secret, timestamp.body)), seconds since 1970."""
    stamp = str(int(now.timestamp()))
    return {"Enishi-Timestamp": stamp, "Enishi-Signature": timed_signature(secret, stamp, content)}


def _secret_of(hook_id: str) -> str:
    return f"webhook/{hook_id}"


def _hook(item: Item) -> Hook:
    return Hook(item["sk"], item["name"], item["url"], item["is_enabled"])

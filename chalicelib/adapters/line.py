"""LINE's Messaging API over urllib3: the SDK's import costs 1.6 s (docs/decisions/0003), this one's a tenth of it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

import urllib3

from chalicelib.kernel.errors import AccountRefusedError, PermanentError, QuotaExceededError, TemporaryError
from chalicelib.ports.line import BotInfo, LineCredentials, Profile, Quota, SendAccepted

# Stateless tokens live 15 minutes (docs: channel access token); a new one is fetched after twelve.
_TOKEN_SECONDS = 720.0
_ALREADY_ACCEPTED = 409
# As many threads as a page of pushes uses: each keeps its connection, none is opened for one call.
CALLS_AT_ONCE = 64


@lru_cache(maxsize=1)
def _pool() -> urllib3.PoolManager:
    return urllib3.PoolManager(maxsize=CALLS_AT_ONCE, block=True, retries=False, timeout=urllib3.Timeout(connect=3.0, read=10.0))


class LineApi:
    """Implements ports.line.Line."""

    def __init__(self, base_url: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._base_url = base_url
        self._monotonic = monotonic
        self._tokens: dict[str, tuple[float, str, str]] = {}
        self._lock = threading.Lock()
        self._host: urllib3.HTTPConnectionPool | None = None

    def send(self, credentials: LineCredentials, verb: str, body: dict[str, Any], retry_key: str = "") -> SendAccepted:
        """Send by reply, push or multicast; see the port."""
        headers = {"X-Line-Retry-Key": retry_key} if retry_key else {}
        status, answered, _ = self._call(
            credentials, "POST", f"/v2/bot/message/{verb}", body, headers, accept=(200, _ALREADY_ACCEPTED)
        )
        already = status == _ALREADY_ACCEPTED
        name = "x-line-accepted-request-id" if already else "x-line-request-id"
        return SendAccepted(answered.get(name, ""), already)

    def profile(self, credentials: LineCredentials, user_id: str) -> Profile | None:
        """Return the profile of a friend; see the port."""
        status, _, data = self._call(credentials, "GET", f"/v2/bot/profile/{user_id}", accept=(200, 404))
        if status == 404:
            return None
        return Profile(
            data.get("displayName", ""), data.get("pictureUrl", ""), data.get("language", ""), data.get("statusMessage", "")
        )

    def link_token(self, credentials: LineCredentials, user_id: str) -> str:
        """Return a fresh account-link token; see the port."""
        return str(self._call(credentials, "POST", f"/v2/bot/user/{user_id}/linkToken")[2]["linkToken"])

    def bot_info(self, credentials: LineCredentials) -> BotInfo:
        """Return the account's own data; see the port."""
        data = self._call(credentials, "GET", "/v2/bot/info")[2]
        return BotInfo(data["userId"], data.get("basicId", ""), data.get("displayName", ""), data.get("chatMode", ""))

    def validate(self, credentials: LineCredentials, verb: str, messages: list[dict[str, Any]]) -> list[str]:
        """Return LINE's complaints about messages; see the port."""
        path = f"/v2/bot/message/validate/{verb}"
        status, _, data = self._call(credentials, "POST", path, {"messages": messages}, accept=(200, 400))
        if status == 200:
            return []
        details = data.get("details") or [data]
        return [f"{detail.get('property', '')}: {detail.get('message', '')}".removeprefix(": ") for detail in details]

    def quota(self, credentials: LineCredentials) -> Quota:
        """Return the month's messages; see the port."""
        allowed = self._call(credentials, "GET", "/v2/bot/message/quota")[2]
        used = self._call(credentials, "GET", "/v2/bot/message/quota/consumption")[2]
        return Quota(int(allowed["value"]) if allowed.get("type") == "limited" else None, int(used["totalUsage"]))

    def token(self, credentials: LineCredentials) -> str:
        """Return a stateless token that lives for some minutes yet; for the SDK (adapters/line_setup.py)."""
        return self._token(credentials)

    def _call(
        self,
        credentials: LineCredentials,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        accept: tuple[int, ...] = (200,),
    ) -> tuple[int, Any, dict[str, Any]]:
        dead = ""
        for last in (False, True):
            token = self._token(credentials, dead)
            sent = {"Authorization": f"Bearer {token}", **(headers or {})}
            content = None
            if body is not None:
                sent["Content-Type"] = "application/json"
                content = json.dumps(body, ensure_ascii=False).encode()
            status, answered, data = self._request(method, path, content, sent)
            if status != 401 or last:  # a token may die early; once is worth a second try
                break
            dead = token
        if status in accept:
            return status, answered, data
        raise _error(path, status, data)

    def _request(self, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> tuple[int, Any, dict[str, Any]]:
        try:
            # Of the host's own pool: finding it anew for every call costs a quarter of the call.
            if self._host is None:
                self._host = _pool().connection_from_url(self._base_url)
            response = self._host.urlopen(method, path, body=content, headers=headers, retries=False)
        except urllib3.exceptions.HTTPError as error:
            unsent = isinstance(error, urllib3.exceptions.ConnectTimeoutError | urllib3.exceptions.NewConnectionError)
            raise TemporaryError(f"LINE did not answer: {type(error).__name__}", maybe_done=not unsent) from error
        try:
            data = json.loads(response.data) if response.data else {}
        except ValueError as error:
            if response.status < 300:
                raise TemporaryError("LINE's answer was cut short", maybe_done=True) from error
            data = {}
        return response.status, response.headers, data if isinstance(data, dict) else {}

    def _token(self, credentials: LineCredentials, dead: str = "") -> str:
        with self._lock:  # many threads send at once: one of them fetches, the others wait for it
            known = self._tokens.get(credentials.channel_id)
            is_alive = known and known[1] != dead and self._monotonic() < known[0]
            if known and is_alive and known[2] == credentials.channel_secret:
                return known[1]
            token = self._issue(credentials)
            self._tokens[credentials.channel_id] = (self._monotonic() + _TOKEN_SECONDS, token, credentials.channel_secret)
            return token

    def _issue(self, credentials: LineCredentials) -> str:
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials.channel_id,
            "client_secret": credentials.channel_secret,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            status, _, data = self._request("POST", "/oauth2/v3/token", urlencode(form).encode(), headers)
            if status != 200:
                raise _error("/oauth2/v3/token", status, data)
        except TemporaryError as error:
            # Whatever became of the token, the call that needs it has not been made.
            raise TemporaryError(error.reason, retry_after_seconds=error.retry_after_seconds) from error
        return str(data["access_token"])


def _error(path: str, status: int, data: dict[str, Any]) -> TemporaryError | PermanentError:
    sentence = str(data.get("message") or data.get("error_description") or "")[:200]
    details = "; ".join(
        f"{d.get('property', '')}: {d.get('message', '')}" for d in data.get("details") or [] if isinstance(d, dict)
    )[:300]
    reason = f"LINE {path.split('?', maxsplit=1)[0]} {status}: {sentence} {details}".strip()
    if status == 429:
        # LINE documents no Retry-After and does not promise its texts, but these two are all there is (docs: rate limits).
        return QuotaExceededError(reason) if "monthly limit" in sentence else TemporaryError(reason, retry_after_seconds=1.0)
    if status in (401, 403):
        return AccountRefusedError(reason)
    if status >= 500:
        return TemporaryError(reason, maybe_done=True)
    return PermanentError(reason)

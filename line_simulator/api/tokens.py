"""Channel access tokens: issuing, verifying, revoking, and recognising them on a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from line_simulator.api.assertions import OAuthError, read_assertion, token_seconds
from line_simulator.api.calls import Context, Operation, Reads
from line_simulator.exchange import ApiError, Response, SimulatorError, json_response
from line_simulator.world.ids import Ids
from line_simulator.world.login_book import LoginBook
from line_simulator.world.state import DAY_SECONDS, AccessToken, Channel, World

STATELESS_SECONDS: Final = 900
SHORT_LIVED_SECONDS: Final = int(30 * DAY_SECONDS)
SHORT_LIVED_MAX: Final = 30
V21_MAX: Final = 30
# Reissuing a long-lived token may keep the old one for up to a day (LINE Platform basics, Channel access tokens).
OVERLAP_MAX_HOURS: Final = 24
# Expired tokens are swept when this many tokens are held; LINE itself has no such number.
_SWEEP_AT: Final = 10_000

_UNAUTHENTICATED: Final = "Authentication failed due to the following reason: "
_MISSING: Final = "some parameters missed or invalid"
_OPAQUE: Final = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_JWS: Final = re.compile(r"[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
# A long-lived token shows a far future (channel-access-token.yml, example of verifyChannelToken).
_FOREVER: Final = 3_138_007_490


class Client(Protocol):
    """What of a channel of either kind the token endpoints need."""

    id: str
    secret: str


def find_client(world: World, key: str) -> Client | None:
    """Return the Messaging API or LINE Login channel of this id."""
    return world.state.channels.get(key) or world.part(LoginBook).channels.get(key)


class Tokens:
    """The token endpoints of api.line.me and the check of the Authorization header."""

    def __init__(self, world: World) -> None:
        self._world = world

    def operations(self) -> dict[str, Operation]:
        """Return the token operations; three are shared with LINE Login, see Login."""

        def form(answer: Callable[[dict[str, str]], Response]) -> Operation:
            return Operation(refusing(lambda call: answer(call.form)), Reads.FORM, account=False)

        return {
            "issueStatelessChannelToken": form(self.issue_stateless),
            "issueChannelToken": form(self.issue_short_lived),
            "verifyChannelToken": form(self.verify),
            "revokeChannelToken": form(self.revoke),
            "getsAllValidChannelAccessTokenKeyIds": Operation(refusing(lambda call: self.key_ids(call.query)), account=False),
        }

    # -- recognising

    def authenticate(self, header: str | None) -> Channel:
        """Return the Messaging API channel whose token the Authorization header carries.

        Raises ApiError 401, or 403 for a token of a LINE Login channel (a guess: no document says).
        """
        token = self.recognise(header)
        channel = self._world.state.channels.get(token.channel_id)
        if channel is None:
            raise ApiError(403, "Access to this API is not available for your account")
        return channel

    def recognise(self, header: str | None) -> AccessToken:
        """Return the live channel access token of an Authorization header, whatever its channel. Raises ApiError 401."""
        value = bearer(header)
        token = self._world.state.tokens.get(value)
        if token is None:
            raise ApiError(
                401,
                _UNAUTHENTICATED + "invalid token. Confirm that the access token in the authorization header is valid.",
            )
        if not self._is_live(token):
            raise ApiError(401, _UNAUTHENTICATED + "access token expired")
        return token

    def _is_live(self, token: AccessToken) -> bool:
        return token.expires_at is None or token.expires_at > self._world.clock.time()

    # -- issuing

    def issue_stateless(self, form: Mapping[str, str]) -> Response:
        """Answer POST /oauth2/v3/token for id and secret, or for an assertion: fifteen minutes, any number of tokens."""
        if form.get("grant_type") != "client_credentials":
            raise OAuthError("invalid_request", "Invalid 'client_credentials'.")
        if "client_assertion" in form or "client_assertion_type" in form:
            channel_id, _ = read_assertion(self._world, form)
        else:
            channel = find_client(self._world, form.get("client_id", ""))
            if channel is None or channel.secret != form.get("client_secret"):
                raise OAuthError("invalid_request", "Invalid 'client_credentials'.")
            channel_id = channel.id
        token = self._issue(channel_id, "stateless", STATELESS_SECONDS)
        return json_response({"token_type": "Bearer", "access_token": token, "expires_in": STATELESS_SECONDS})

    def issue_by_assertion(self, form: Mapping[str, str]) -> Response:
        """Answer POST /oauth2/v2.1/token for an assertion: the wished lifetime; the thirty-first live token is refused."""
        channel_id, claims = read_assertion(self._world, form)
        seconds = token_seconds(claims)
        if len(self._live(channel_id, "v21")) >= V21_MAX:
            raise ApiError(400, "The maximum number of access tokens has already been issued")
        key_id = self._world.ids.url_token(16)
        token = self._issue(channel_id, "v21", seconds, key_id)
        return json_response({"access_token": token, "token_type": "Bearer", "expires_in": seconds, "key_id": key_id})

    def issue_short_lived(self, form: Mapping[str, str]) -> Response:
        """Answer POST /v2/oauth/accessToken: thirty days; the thirty-first token pushes the oldest out."""
        if form.get("grant_type") != "client_credentials" or not form.get("client_id") or not form.get("client_secret"):
            raise OAuthError("invalid_request", _MISSING)
        channel = self.client(form)
        live = self._live(channel.id, "short")
        for oldest in live[: max(0, len(live) - SHORT_LIVED_MAX + 1)]:
            del self._world.state.tokens[oldest]
        token = self._issue(channel.id, "short", SHORT_LIVED_SECONDS)
        return json_response({"access_token": token, "expires_in": SHORT_LIVED_SECONDS, "token_type": "Bearer"})

    def reissue_long_lived(self, channel: Channel, keep_old_hours: float = 0) -> str:
        """Give a channel a new long-lived token, as the console does, and return it; the old one lives `keep_old_hours` on.

        Raises SimulatorError outside 0 to 24 hours.
        """
        if not 0 <= keep_old_hours <= OVERLAP_MAX_HOURS:
            raise SimulatorError("The old token can be kept for 0 to 24 hours.")
        with self._world.lock:
            tokens = self._world.state.tokens
            old = tokens.pop(channel.access_token, None)
            if old is not None and keep_old_hours:
                tokens[channel.access_token] = AccessToken(channel.id, "long", self._world.clock.time() + keep_old_hours * 3600)
            channel.access_token = self._world.ids.token()
            tokens[channel.access_token] = AccessToken(channel.id, "long", None)
            self._world.state.next_sequence()
            return channel.access_token

    def _issue(self, channel_id: str, kind: str, seconds: int, key_id: str = "") -> str:
        now = self._world.clock.time()
        tokens = self._world.state.tokens
        if len(tokens) >= _SWEEP_AT:
            for key in [key for key, token in tokens.items() if token.expires_at is not None and token.expires_at <= now]:
                del tokens[key]
        value = self._world.ids.token() if kind == "short" else jws_like(self._world.ids)
        tokens[value] = AccessToken(channel_id, kind, now + seconds, key_id)
        return value

    def _live(self, channel_id: str, kind: str) -> list[str]:
        """Return the live tokens of one kind, oldest first; expired ones do not count towards LINE's limits."""
        tokens = self._world.state.tokens.items()
        return [key for key, one in tokens if one.kind == kind and one.channel_id == channel_id and self._is_live(one)]

    def client(self, form: Mapping[str, str]) -> Client:
        """Return the channel of client_id and client_secret. Raises OAuthError."""
        channel = find_client(self._world, form.get("client_id", ""))
        if channel is None:
            raise OAuthError("invalid_client", "invalid client_id")
        if channel.secret != form.get("client_secret"):
            raise OAuthError("invalid_client", "invalid client_secret")
        return channel

    # -- verifying and revoking

    def verify(self, form: Mapping[str, str]) -> Response:
        """Answer POST /v2/oauth/verify for short-lived and long-lived tokens."""
        value = form.get("access_token", "")
        if not value:
            raise OAuthError("invalid_request", _MISSING)
        token = self._world.state.tokens.get(value)
        if token is None and _OPAQUE.fullmatch(value) is None or token is not None and token.kind in ("stateless", "v21"):
            raise OAuthError("invalid_request", "access_token in invalid format")
        if token is None or not self._is_live(token):
            raise OAuthError("invalid_request", "access_token invalid")
        return json_response({"client_id": token.channel_id, "expires_in": self._left(token), "scope": "P CM"})

    def verify_v21(self, value: str) -> Response:
        """Answer GET /oauth2/v2.1/verify for a channel access token v2.1.

        Stateless tokens, of which the reference says nothing here, are taken as well (a guess).
        """
        token = self._world.state.tokens.get(value)
        if token is None or token.kind not in ("v21", "stateless"):
            # For tokens of the right shape that never existed the reference gives no text.
            raise OAuthError("invalid_request", "The access token not JWS" if not is_jws(value) else "The access token malformed")
        if not self._is_live(token):
            raise OAuthError("invalid_request", "The access token expired")
        scope = "profile chat_message.write"
        return json_response({"client_id": token.channel_id, "expires_in": self._left(token), "scope": scope})

    def revoke(self, form: Mapping[str, str]) -> Response:
        """Answer POST /v2/oauth/revoke for short-lived and long-lived tokens; unknown tokens are no error."""
        value = form.get("access_token", "")
        token = self._world.state.tokens.get(value)
        if token is None and _OPAQUE.fullmatch(value) is None or token is not None and token.kind in ("stateless", "v21"):
            raise OAuthError("invalid_request")
        self._world.state.tokens.pop(value, None)
        return Response(200, b"")

    def revoke_v21(self, channel: Client, value: str) -> Response:
        """Answer POST /oauth2/v2.1/revoke for a channel access token v2.1 of the channel.

        A note of the reference says that invalid tokens are no error, its table says 400: malformed ones are refused here,
        unknown ones pass. Stateless tokens cannot be revoked and live on.
        """
        if not is_jws(value):
            raise OAuthError("invalid_request", "The access token not JWS")
        token = self._world.state.tokens.get(value)
        if token is not None and token.channel_id != channel.id:
            raise OAuthError("invalid_request", "The access token malformed")
        if token is not None and token.kind == "v21":
            del self._world.state.tokens[value]
        return Response(200, b"")

    def key_ids(self, query: Mapping[str, str]) -> Response:
        """Answer getsAllValidChannelAccessTokenKeyIds."""
        channel_id, _ = read_assertion(self._world, query)
        tokens = self._world.state.tokens
        return json_response({"kids": [tokens[key].key_id for key in self._live(channel_id, "v21")]})

    def _left(self, token: AccessToken) -> int:
        return _FOREVER if token.expires_at is None else int(token.expires_at - self._world.clock.time())


def refusing(answer: Callable[[Context], Response]) -> Callable[[Context], Response]:
    """Return `answer` with OAuthError turned into the response of the token endpoints."""

    def act(call: Context) -> Response:
        try:
            return answer(call)
        except OAuthError as error:
            return error.response()

    return act


def bearer(header: str | None) -> str:
    """Return the token of an Authorization header. Raises ApiError 401."""
    if not header:
        raise ApiError(401, _UNAUTHENTICATED + "missing authorization header")
    scheme, _, value = header.partition(" ")
    if scheme != "Bearer" or not value:
        raise ApiError(401, _UNAUTHENTICATED + "invalid authorization header")
    return value


def is_jws(value: str) -> bool:
    """Tell whether a token has the three parts of a JSON Web Signature."""
    return _JWS.fullmatch(value) is not None


def jws_like(ids: Ids) -> str:
    """Return an opaque token that looks like a JSON Web Signature, as LINE's newer tokens do."""
    return f"eyJhbGciOiJIUzI1NiJ9.{ids.url_token(96)}.{ids.url_token(32)}"
